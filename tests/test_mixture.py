"""The chapter on mixtures, by other routes: quadrature, long runs, extended precision,
scikit-learn and SciPy.
"""

import inspect
import itertools
import math

import jaxtyping
import mpmath
import numpy as np
import pytest
import sklearn.mixture
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from latent_book import mixture as m


def parameters(
    K: int = 3, D: int = 2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    """Each cause as often as its weight says, and its points pass a test of their
    whitened lengths.
    """
    pi, mu, Sigma = parameters()
    z, X = m.sample_mixture(20_000, pi, mu, Sigma, np.random.default_rng(1))
    assert stats.chisquare(np.bincount(z, minlength=3), 20_000 * pi).pvalue > 1e-4
    for k in range(3):
        centred = X[z == k] - mu[k]
        squares = np.einsum("ni,ij,nj->n", centred, np.linalg.inv(Sigma[k]), centred)
        assert stats.kstest(squares, stats.chi2(2).cdf).pvalue > 1e-4
    again = m.sample_mixture(5, pi, mu, Sigma, np.random.default_rng(1))[1]
    assert np.array_equal(
        again, m.sample_mixture(5, pi, mu, Sigma, np.random.default_rng(1))[1]
    )


@pytest.mark.equation("eq-mixture-draw")
@given(D=st.integers(1, 4), seed=st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_a_draw_is_the_mean_plus_the_root_times_the_noise(D, seed):
    """The same noise gives draws whose whitened form, by another root, has the noise's
    lengths.
    """
    _, mu, Sigma = parameters(1, D, seed)
    rng, again = np.random.default_rng(seed), np.random.default_rng(seed)
    _, X = m.sample_mixture(50, np.ones(1), mu, Sigma, rng)
    again.choice(1, size=50, p=np.ones(1))
    eps = again.normal(size=(50, D))
    lam, V = np.linalg.eigh(Sigma[0])  # the symmetric root, in place of Cholesky's
    y = (X - mu[0]) @ V / np.sqrt(lam)
    np.testing.assert_allclose((y**2).sum(axis=1), (eps**2).sum(axis=1), rtol=1e-8)


@pytest.mark.equation("eq-mixture-gaussian")
def test_the_gaussian_is_the_formula_and_integrates_to_one():
    _, mu, Sigma = parameters(1)

    # a smooth bump: plain sums converge faster than any power of their step
    wide = 8 * math.sqrt(Sigma.max())
    steps, step = np.linspace(-wide, wide, 301, retstep=True)
    d = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    form = np.einsum("ni,ij,nj->n", d, np.linalg.inv(Sigma[0]), d)
    plain = np.exp(-0.5 * form) / math.sqrt(np.linalg.det(2 * math.pi * Sigma[0]))
    ours = np.exp(m.log_gaussian(mu[0] + d, mu, Sigma).ravel())
    np.testing.assert_allclose(ours, plain, rtol=1e-10)
    assert plain.sum() * step**2 == pytest.approx(1, abs=1e-9)


@pytest.mark.equation("eq-mixture-cholesky")
@pytest.mark.parametrize("D", [1, 3, 40])
def test_the_root_gives_what_scipy_gives(D):
    _, mu, Sigma = parameters(2, D)
    X = 5 * np.random.default_rng(3).normal(size=(20, D))
    theirs = [
        stats.multivariate_normal(a, S).logpdf(X)
        for a, S in zip(mu, Sigma, strict=True)
    ]
    np.testing.assert_allclose(m.log_gaussian(X, mu, Sigma).T, theirs, rtol=1e-9)


@pytest.mark.equation("eq-mixture-density")
def test_the_density_integrates_to_one():
    pi, mu, Sigma = parameters(3, 1)
    total, _ = integrate.quad(
        lambda x: math.exp(m.mixture_log_prob(np.array([[x]]), pi, mu, Sigma).item()),
        -60,
        60,
        limit=500,
    )
    assert total == pytest.approx(1, abs=1e-7)


@pytest.mark.equation("eq-mixture-logsumexp")
def test_far_away_fifty_digits_agree():
    mpmath.mp.dps = 50
    pi, mu, Sigma = parameters(3, 1)
    for x in (0.0, 50.0, 1e3):
        exact = mpmath.log(
            sum(
                mpmath.mpf(w)
                * mpmath.exp(-((x - mpmath.mpf(a)) ** 2) / (2 * mpmath.mpf(s)))
                / mpmath.sqrt(2 * mpmath.pi * mpmath.mpf(s))
                for w, a, s in zip(pi, mu[:, 0], Sigma[:, 0, 0], strict=True)
            )
        )
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


@pytest.mark.equation("eq-mixture-hard")
def test_the_log_odds_of_round_components_are_the_difference_of_squared_distances():
    pi, mu, _ = parameters(2, 3)
    X = np.random.default_rng(0).normal(size=(20, 3))
    for sigma in (2.0, 0.5, 0.1):
        G = m.log_joint(X, pi, mu, np.stack([sigma**2 * np.eye(3)] * 2))
        d1, d2 = (np.linalg.norm(X - mean, axis=1) ** 2 for mean in mu)
        wanted = (d2 - d1) / (2 * sigma**2) + math.log(pi[0] / pi[1])
        np.testing.assert_allclose(G[:, 0] - G[:, 1], wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.equation("eq-mixture-heldout")
def test_a_held_out_score_is_the_truths_own_less_the_divergence():
    """By quadrature on one side and a long run of draws on the other."""
    true, model = parameters(2, 1, 0), parameters(3, 1, 1)
    x = np.linspace(-40, 40, 40_001)[:, None]
    log_true, log_model = m.mixture_log_prob(x, *true), m.mixture_log_prob(x, *model)
    own = np.trapezoid(np.exp(log_true) * log_true, x[:, 0])
    divergence = np.trapezoid(np.exp(log_true) * (log_true - log_model), x[:, 0])
    _, X = m.sample_mixture(200_000, *true, np.random.default_rng(2))
    scores = m.mixture_log_prob(X, *model)
    assert divergence > 0
    assert abs(scores.mean() - (own - divergence)) < 5 * scores.std() / math.sqrt(
        len(scores)
    )


@pytest.mark.equation("eq-mixture-laplace")
def test_laplaces_approximation_closes_in_on_the_evidence():
    """A Bernoulli probability under a flat prior, whose evidence is a Beta function; M
    = 1.
    """
    errors = []
    for N in (10, 100, 1000, 10_000):
        ones = int(0.3 * N)
        theta = ones / N
        top = ones * math.log(theta) + (N - ones) * math.log(1 - theta)
        H = 1 / (theta * (1 - theta))  # of minus the log-likelihood, per point
        laplace = (
            top - 0.5 * math.log(N) + 0.5 * math.log(2 * math.pi) - 0.5 * math.log(H)
        )
        errors.append(abs(laplace - special.betaln(ones + 1, N - ones + 1)))
    assert errors[0] < 0.2
    assert all(later < earlier / 5 for earlier, later in itertools.pairwise(errors))


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_different_gaussians_are_linearly_independent(seed):
    """What the proof that a mixture is known by its density rests on, as a rank, in the
    plane.
    """
    rng = np.random.default_rng(seed)
    _, mu, Sigma = parameters(3, 2, seed)
    mu[1] = mu[0]  # one mean twice, with another covariance
    X = mu[rng.integers(3, size=200)] + 2 * rng.normal(size=(200, 2))
    densities = np.exp(m.log_gaussian(X, mu, Sigma))
    densities /= np.linalg.norm(densities, axis=0)
    assert np.linalg.matrix_rank(densities, tol=1e-9) == 3


@given(seed=st.integers(0, 1000), K=st.integers(2, 4))
@settings(max_examples=20, deadline=None)
def test_relabelling_changes_names_and_nothing_else(seed, K):
    theta = parameters(K, 2, seed)
    X = 3 * np.random.default_rng(seed).normal(size=(10, 2))
    order = np.random.default_rng(seed).permutation(K)
    switched = tuple(part[order] for part in theta)
    np.testing.assert_allclose(
        m.mixture_log_prob(X, *switched), m.mixture_log_prob(X, *theta)
    )
    R, Q = m.responsibilities(X, *theta), m.responsibilities(X, *switched)
    np.testing.assert_allclose(Q, R[:, order], atol=1e-12)
    np.testing.assert_allclose(Q @ Q.T, R @ R.T, atol=1e-12)


@pytest.mark.equation("eq-mixture-bic")
@pytest.mark.parametrize(("K", "D"), [(1, 1), (3, 2), (4, 5)])
def test_bic_is_scikit_learns(K, D):
    X = np.random.default_rng(0).normal(size=(300, D))
    peer = sklearn.mixture.GaussianMixture(
        K, random_state=0, reg_covar=1e-3, max_iter=500
    ).fit(X)
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
                (ValueError, TypeError),
                match=cure if arguments[0].shape[1] == 2 else None,
            ):
                verb(*arguments)
    with pytest.raises(ValueError, match="at least one component"):
        m.parameter_count(0, 2)
    with pytest.raises(ValueError, match="X has no rows"):
        m.bic(np.zeros((0, 2)), pi, mu, Sigma)
    with pytest.raises(ValueError, match="one row a component"):
        m.log_joint(np.zeros((1, 0)), pi, np.zeros((3, 0)), np.zeros((3, 0, 0)))


@pytest.mark.parametrize(
    ("change", "cure"),
    [
        ({0: np.array([0.7, 0.5, -0.2])}, "no probabilities"),
        ({1: np.zeros(2)}, "one row a component"),
        ({2: np.stack([np.eye(2)] * 2)}, "do not fit"),
    ],
)
def test_parameters_that_do_not_fit_are_told_so_before_a_draw(change, cure):
    """As a user meets it, without the tests' own check of shapes."""
    theta = [change.get(i, part) for i, part in enumerate(parameters())]
    with pytest.raises(ValueError, match=cure):
        inspect.unwrap(m.sample_mixture)(3, *theta, np.random.default_rng(0))


def test_labels_in_place_of_points_are_told_what_they_look_like():
    _pi, mu, Sigma = parameters()
    with pytest.raises(ValueError, match="look like labels"):
        inspect.unwrap(m.log_gaussian)(np.arange(3.0), mu, Sigma)


@pytest.mark.parametrize("far", [1e160, 1e308, -1.7e308])
def test_a_row_whose_square_overflows_has_no_density_and_no_posterior(far):
    """The right number, by Python's integers, is below the least of doubles; the other
    rows keep theirs.
    """
    pi, mu, Sigma = parameters(3, 2)
    Sigma[1, 1, 0] = Sigma[1, 0, 1] = 0.0  # infinity times nought is met on the way
    X = np.array([[0.5, -0.2], [far, 0.0], [0.0, far], [far, -far], [1.0, 1.0]])
    found = m.mixture_log_prob(X, pi, mu, Sigma)
    fine = np.array([0, 4])
    np.testing.assert_allclose(found[fine], m.mixture_log_prob(X[fine], pi, mu, Sigma))
    assert -(int(far) ** 2) // 100 < -int(np.finfo(float).max), "below all doubles"
    assert np.isneginf(found[1:4]).all()
    with pytest.raises(ValueError, match=r"row 1 of X is so far .* drop such rows"):
        m.responsibilities(X, pi, mu, Sigma)


def test_a_distance_just_below_the_largest_number_is_still_right():
    """Fifty digits beside it."""
    x = 1.3e154
    exact = -(mpmath.mpf(x) ** 2) / 2 - mpmath.log(2 * mpmath.pi) / 2
    found = m.log_gaussian(np.array([[x]]), np.zeros((1, 1)), np.ones((1, 1, 1)))
    assert found.item() == pytest.approx(float(exact), rel=1e-14)


@pytest.mark.parametrize(
    ("make", "cure"),
    [
        (lambda S: S[0], r"pass Sigma \(3, 2, 2\); .*np\.stack\(\[Sigma\] \* K\)"),
        (
            lambda S: S[:, 0],
            r"pass Sigma \(3, 2, 2\); .*Sigma\[:, :, None\] \* np\.eye",
        ),
        (lambda S: S[:, 0, 0], r"Sigma\[:, None, None\] \* np\.eye\(D\)"),
        (lambda S: S[:2], r"for 3 means of 2 numbers pass Sigma \(3, 2, 2\)$"),
    ],
)
def test_other_kinds_of_covariance_are_told_how_to_become_full(make, cure, monkeypatch):
    """A tied, a diagonal, a spherical one, and one too few; the cure is then run."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    pi, mu, Sigma = parameters()
    X, Sigma = np.zeros((2, 2)), make(Sigma)
    for verb in (m.mixture_log_prob, m.responsibilities, m.log_joint, m.bic):
        with pytest.raises(ValueError, match=cure):
            verb(X, pi, mu, Sigma)
    with pytest.raises(ValueError, match=cure):
        m.log_gaussian(X, mu, Sigma)
    with pytest.raises(ValueError, match=cure):
        m.sample_mixture(3, pi, mu, Sigma, np.random.default_rng(0))
    with pytest.raises(ValueError, match=cure) as told:
        m.check_mixture(pi, mu, Sigma)
    if "make " in str(told.value):
        K, D = mu.shape
        cured = eval(
            str(told.value).rsplit("make ", 1)[1],
            {"np": np, "Sigma": abs(Sigma), "K": K, "D": D},
        )
        assert m.check_mixture(pi, mu, cured)[2].shape == (K, D, D)


@pytest.mark.parametrize("mu", [np.zeros((0, 2)), np.zeros(2), np.zeros((2, 0))])
def test_means_that_are_no_table_are_refused_by_every_verb(mu, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    K = len(mu)
    Sigma, X = np.stack([np.eye(2)] * K) if K else np.zeros((0, 2, 2)), np.zeros((1, 2))
    with pytest.raises(ValueError, match=r"mu has shape .* one row a component"):
        m.log_gaussian(X, mu, Sigma)
    with pytest.raises(ValueError, match=r"mu has shape .* one row a component"):
        m.log_joint(X, np.full(K, 1 / max(K, 1)), mu, Sigma)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_a_crooked_covariance_is_seen_in_any_unit(unit):
    pi, mu, Sigma = parameters()
    m.check_mixture(pi, mu, unit**2 * Sigma)
    Sigma[2, 0, 1] *= 1.01
    with pytest.raises(ValueError, match=r"Sigma\[2\] is not symmetric"):
        m.check_mixture(pi, mu, unit**2 * Sigma)
