"""The chapter on principal components, by independent routes: loops, enumeration,
quadrature, autograd, scikit-learn and SciPy.
"""

import math
import pickle
import tracemalloc
import warnings

import mpmath
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import sklearn.decomposition
from conftest import cloud
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.estimator_checks import parametrize_with_checks

from latent_book import pca as p
from latent_book.linalg import choose_solver, spectrum
from latent_book.pca import PCA, ProbabilisticPCA
from latent_book.rows import as_generator

FITTED = [
    "mean_",
    "components_",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
]
FITTED += ["noise_variance_", "n_components_", "n_samples_", "n_features_in_"]


def model(
    D: int = 5, L: int = 2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, float]:
    """Some parameters of probabilistic PCA that are no maximum of anything."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=D), rng.normal(size=(D, L)), 0.4


def dense(
    mu: np.ndarray, W: np.ndarray, sigma2: float
) -> stats._multivariate.multivariate_normal_frozen:
    """The Gaussian of the model with its covariance written out, by SciPy."""
    return stats.multivariate_normal(mu, W @ W.T + sigma2 * np.eye(len(mu)))


# --- the plane
# -----------------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-pca-decode")
def test_a_decoded_point_is_a_walk_along_the_directions():
    mu, W, _ = model()
    walked = [mu[d] + 2.0 * W[d, 0] - 1.5 * W[d, 1] for d in range(5)]
    assert np.allclose(p.decode(np.array([[2.0, -1.5]]), mu, W)[0], walked)


@pytest.mark.equation("eq-pca-encode", "eq-pca-error")
def test_no_other_code_comes_nearer_and_the_error_is_the_mean_squared_distance():
    X = cloud(30, 6)
    W, mu = (
        np.linalg.qr(np.random.default_rng(1).normal(size=(6, 2)))[0],
        X.mean(axis=0),
    )
    nearest = [
        scipy.linalg.lstsq(W, x - mu)[0] for x in X
    ]  # a solver that knows nothing of shadows
    assert np.allclose(p.encode(X, mu, W), nearest)
    by_loops = sum(
        sum((x[d] - mu[d] - z @ W[d]) ** 2 for d in range(6))
        for x, z in zip(X, nearest, strict=True)
    ) / len(X)
    assert math.isclose(p.reconstruction_error(X, mu, W), by_loops)


@pytest.mark.equation("eq-pca-pythagoras", "eq-pca-budget")
@given(st.integers(0, 2**31), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_what_a_sheet_keeps_and_what_it_loses_add_up(seed, L):
    X = cloud(20, 7, seed)
    W, mu = (
        np.linalg.qr(np.random.default_rng(seed).normal(size=(7, L)))[0],
        X.mean(axis=0),
    )
    Z = p.encode(X, mu, W)
    off = X - p.decode(Z, mu, W)
    assert np.allclose(
        np.sum((X - mu) ** 2, axis=1), np.sum(Z**2, axis=1) + np.sum(off**2, axis=1)
    )
    variance = sum(np.var(X[:, d]) for d in range(7))
    assert math.isclose(
        variance, np.mean(np.sum(Z**2, axis=1)) + p.reconstruction_error(X, mu, W)
    )


@pytest.mark.equation("eq-pca-scatter")
def test_the_variance_along_a_sheet_is_read_off_the_scatter():
    X = cloud(50, 5)
    centre = [math.fsum(column) / 50 for column in X.T]
    rows = [[float(v - c) for v, c in zip(x, centre, strict=True)] for x in X]
    S = [
        [math.fsum(r[i] * r[j] for r in rows) for j in range(5)] for i in range(5)
    ]  # sums without rounding
    W = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 2)))[0]
    shadows = sum(W[:, k] @ np.array(S) @ W[:, k] for k in range(2)) / 50
    Z = p.encode(X, np.array(centre), W)
    assert math.isclose(np.mean(np.sum(Z**2, axis=1)), shadows)


@pytest.mark.equation("eq-pca-svd")
def test_singular_values_give_the_variances_and_singular_vectors_the_directions():
    X = cloud(40, 12)
    mu, W, lam = p.pca(X, 5)
    _, s, Vt = np.linalg.svd(X - mu, full_matrices=False)
    assert np.allclose(lam, s[:5] ** 2 / 40)
    assert np.allclose(np.abs(np.sum(W * Vt[:5].T, axis=0)), 1)


@pytest.mark.equation("eq-pca-eigen", "eq-pca-leftover")
def test_components_are_eigenvectors_and_the_error_is_what_the_others_hold():
    X = cloud(200, 9)
    mu, W, lam = p.pca(X, 4)
    covariance = np.cov(X.T, bias=True)
    assert np.allclose(covariance @ W, W * lam)
    assert np.allclose(W.T @ W, np.eye(4))
    # a solver that knows no symmetry
    every = np.sort(np.linalg.eigvals(covariance).real)[::-1]
    assert np.allclose(lam, every[:4])
    assert math.isclose(p.reconstruction_error(X, mu, W), every[4:].sum())


@given(st.integers(0, 2**31), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_no_other_directions_keep_more_ky_fan(seed, L):
    X = cloud(30, 6, seed)
    mu, _, lam = p.pca(X, L)
    rival = np.linalg.qr(np.random.default_rng(seed).normal(size=(6, L)))[0]
    assert np.mean(np.sum(p.encode(X, mu, rival) ** 2, axis=1)) <= lam.sum() * (
        1 + 1e-12
    )


# --- probabilistic PCA
# ---------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-pca-model", "eq-pca-marginal")
def test_the_marginal_is_the_integral_over_the_causes():
    mu, W, sigma2 = np.array([0.5, -1.0]), np.array([[1.2], [-0.4]]), 0.3
    for x in ([0.0, 0.0], [1.5, -2.0]):

        def joint(z, x=x):  # the prior times the noise, as the model makes an image
            return stats.norm.pdf(z) * np.prod(
                stats.norm.pdf(x, mu + W[:, 0] * z, math.sqrt(sigma2))
            )

        by_quadrature = integrate.quad(joint, -12, 12, epsabs=1e-13)[0]
        assert math.isclose(
            math.exp(p.ppca_log_prob(np.array([x]), mu, W, sigma2)[0]),
            by_quadrature,
            rel_tol=1e-8,
        )


def test_samples_have_the_moments_of_the_marginal():
    mu, W, sigma2 = model()
    Z, X = p.ppca_sample(200_000, mu, W, sigma2, np.random.default_rng(0))
    assert np.allclose(X.mean(axis=0), mu, atol=0.02)
    assert np.allclose(np.cov(X.T), W @ W.T + sigma2 * np.eye(5), atol=0.05)
    assert np.allclose(np.cov(Z.T), np.eye(2), atol=0.02)


@pytest.mark.equation("eq-pca-woodbury", "eq-pca-log-prob")
@pytest.mark.parametrize("L", [1, 2, 4])
def test_the_log_density_without_a_large_matrix_is_that_with_one(L):
    mu, W, sigma2 = model(L=L)
    X = np.random.default_rng(2).normal(size=(20, 5))
    C = W @ W.T + sigma2 * np.eye(5)
    M = W.T @ W + sigma2 * np.eye(L)
    assert np.allclose(
        np.linalg.inv(C), (np.eye(5) - W @ np.linalg.inv(M) @ W.T) / sigma2
    )
    assert math.isclose(
        np.linalg.slogdet(C)[1], (5 - L) * math.log(sigma2) + np.linalg.slogdet(M)[1]
    )
    reference = dense(mu, W, sigma2).logpdf(X)
    assert np.allclose(p.ppca_log_prob(X, mu, W, sigma2), reference)
    U, length, _ = np.linalg.svd(W, full_matrices=False)
    assert np.allclose(
        p.log_prob_along(X, mu, U, length**2 + sigma2, sigma2), reference
    )


@pytest.mark.equation("eq-pca-loglik")
def test_the_log_likelihood_needs_only_the_covariance():
    X = cloud(50, 5)
    _, W, sigma2 = model()
    C, covariance = W @ W.T + sigma2 * np.eye(5), np.cov(X.T, bias=True)
    by_moments = -25 * (
        5 * math.log(2 * math.pi)
        + np.linalg.slogdet(C)[1]
        + np.trace(np.linalg.solve(C, covariance))
    )
    assert math.isclose(by_moments, dense(X.mean(axis=0), W, sigma2).logpdf(X).sum())


@pytest.mark.equation("eq-pca-gradient")
def test_the_gradient_by_automatic_differentiation():
    torch = pytest.importorskip("torch")
    X = cloud(50, 5)
    _, W, sigma2 = model()
    w = torch.tensor(W, requires_grad=True)
    C = w @ w.T + sigma2 * torch.eye(5, dtype=torch.float64)
    mean = torch.tensor(X.mean(axis=0))
    torch.distributions.MultivariateNormal(mean, C).log_prob(
        torch.tensor(X)
    ).sum().backward()
    inverse, covariance = np.linalg.inv(C.detach().numpy()), np.cov(X.T, bias=True)
    assert np.allclose(
        w.grad.numpy(), 50 * (inverse @ covariance @ inverse @ W - inverse @ W)
    )


@pytest.mark.equation("eq-pca-ml-w", "eq-pca-ml-sigma", "eq-pca-ml-value")
@pytest.mark.parametrize("L", [1, 3])
def test_the_closed_form_is_the_best_of_all_choices_and_no_search_beats_it(L):
    from itertools import combinations

    X = cloud(60, 5)
    mu, W, sigma2 = p.ppca_fit(X, L)
    best = dense(mu, W, sigma2).logpdf(X).sum()
    lam, U = np.linalg.eigh(np.cov(X.T, bias=True))
    for kept in combinations(
        range(5), L
    ):  # every choice of eigenvectors that leaves room for the noise
        left = [j for j in range(5) if j not in kept]
        noise = lam[left].mean()
        if noise > lam[list(kept)].min():
            continue
        V = U[:, kept] * np.sqrt(lam[list(kept)] - noise)
        value = dense(mu, V, noise).logpdf(X).sum()
        assert value <= best + 1e-9
        F = (
            5 * math.log(2 * math.pi)
            + 5
            + np.log(lam[list(kept)]).sum()
            + (5 - L) * math.log(noise)
        )
        assert math.isclose(value, -30 * F)

    def loss(v):
        return -dense(mu, v[:-1].reshape(5, L), math.exp(v[-1])).logpdf(X).sum()

    start = np.append(0.3 * np.random.default_rng(0).normal(size=5 * L), 0.0)
    searched = scipy.optimize.minimize(loss, start, method="BFGS")
    assert -searched.fun == pytest.approx(best, rel=1e-6)
    assert math.exp(searched.x[-1]) == pytest.approx(sigma2, rel=1e-3)


@pytest.mark.equation("eq-pca-posterior")
def test_the_posterior_is_bayes_rule_on_a_grid():
    mu, W, sigma2 = np.array([0.5, -1.0, 0.2]), np.array([[1.2], [-0.4], [0.3]]), 0.3
    x, z = np.array([1.0, -2.0, 0.0]), np.linspace(-8, 8, 20001)
    weight = stats.norm.pdf(z) * np.exp(
        -np.sum((x - mu - z[:, None] * W[:, 0]) ** 2, axis=1) / (2 * sigma2)
    )
    weight /= weight.sum()
    mean, cov = p.ppca_posterior(x[None], mu, W, sigma2)
    assert mean[0, 0] == pytest.approx(weight @ z, abs=1e-8)
    assert cov[0, 0] == pytest.approx(weight @ (z - weight @ z) ** 2, abs=1e-8)


@pytest.mark.equation("eq-pca-rotation")
def test_a_turned_model_is_the_same_model():
    mu, W, sigma2 = model()
    R = stats.special_ortho_group(2, seed=0).rvs()
    X = np.random.default_rng(0).normal(size=(10, 5))
    assert np.allclose(dense(mu, W @ R, sigma2).cov, dense(mu, W, sigma2).cov)
    assert np.allclose(
        p.ppca_log_prob(X, mu, W @ R, sigma2), p.ppca_log_prob(X, mu, W, sigma2)
    )


@pytest.mark.equation("eq-pca-limit")
def test_without_noise_the_posterior_mean_is_the_least_squares_code():
    mu, W, _ = model()
    X = np.random.default_rng(0).normal(size=(10, 5))
    mean, cov = p.ppca_posterior(X, mu, W, 1e-12)
    assert np.allclose(mean, np.linalg.lstsq(W, (X - mu).T, rcond=None)[0].T, atol=1e-9)
    assert np.abs(cov).max() < 1e-11


@pytest.mark.equation("eq-pca-identity", "eq-pca-elbo")
@given(st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_log_p_is_the_bound_plus_the_gap_for_any_q(seed):
    rng = np.random.default_rng(seed)
    mu, W, sigma2 = model(seed=seed)
    X, m = rng.normal(size=(4, 5)), rng.normal(size=(4, 2))
    A = rng.normal(size=(2, 2))
    V = A @ A.T + 0.1 * np.eye(2)
    mean, cov = p.ppca_posterior(X, mu, W, sigma2)
    inverse = np.linalg.inv(cov)
    kl = 0.5 * (
        np.trace(inverse @ V) - 2 + np.linalg.slogdet(cov)[1] - np.linalg.slogdet(V)[1]
        + np.einsum("ni,ij,nj->n", mean - m, inverse, mean - m)
    )  # fmt: skip
    bound = p.ppca_elbo(X, mu, W, sigma2, m, V)
    assert np.allclose(bound + kl, dense(mu, W, sigma2).logpdf(X), atol=1e-8)
    assert np.all(kl >= 0)


def test_the_bound_is_an_average_over_q():
    mu, W, sigma2 = model(D=3, L=1)
    x, m, V = np.array([[0.3, 1.0, -0.5]]), np.array([[0.7]]), np.array([[0.2]])

    def integrand(z):
        joint = (
            stats.norm.logpdf(z)
            + stats.norm.logpdf(x[0], mu + W[:, 0] * z, math.sqrt(sigma2)).sum()
        )
        return stats.norm.pdf(z, 0.7, math.sqrt(0.2)) * (
            joint - stats.norm.logpdf(z, 0.7, math.sqrt(0.2))
        )

    assert p.ppca_elbo(x, mu, W, sigma2, m, V)[0] == pytest.approx(
        integrate.quad(integrand, -8, 8)[0], abs=1e-8
    )


@pytest.mark.equation("eq-pca-m-step")
def test_the_m_step_is_where_the_gradient_of_the_bound_is_zero():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    Y, m, V = (
        cloud(30, 5, mean=0.0),
        rng.normal(size=(30, 2)),
        np.array([[0.4, 0.1], [0.1, 0.3]]),
    )
    W, sigma2 = p.ppca_m_step(Y, m, V)
    w, log_s = (
        torch.tensor(W, requires_grad=True),
        torch.tensor(math.log(sigma2), dtype=torch.float64, requires_grad=True),
    )
    t = torch.from_numpy
    fit = ((t(Y) - t(m) @ w.T) ** 2).sum() + 30 * torch.trace(w @ t(V) @ w.T)
    bound = -0.5 * 150 * log_s - fit / (2 * torch.exp(log_s))
    bound.backward()
    assert w.grad.abs().max() < 1e-9 * 150
    assert abs(log_s.grad) < 1e-9 * 150
    assert (
        p.ppca_elbo(Y, np.zeros(5), W, sigma2, m, V).sum()
        > p.ppca_elbo(Y, np.zeros(5), 1.01 * W, sigma2, m, V).sum()
    )


@pytest.mark.parametrize("seed", range(5))
def test_em_never_goes_downhill_and_ends_at_the_closed_form(seed):
    X = cloud(200, 6)
    _, W, _, history = p.ppca_em(X, 2, np.random.default_rng(seed), 5000, 1e-13)
    assert np.all(np.diff(history) >= -1e-12)
    mu_c, W_c, sigma_c = p.ppca_fit(X, 2)
    assert history[-1] == pytest.approx(
        dense(mu_c, W_c, sigma_c).logpdf(X).mean(), abs=1e-7
    )
    assert np.allclose(W @ W.T, W_c @ W_c.T, atol=1e-3)


# --- the estimators
# ------------------------------------------------------------------------------------------------


REPEATED = {  # n_components=None and more columns than rows
    f"check_sample_weight_equivalence_on_{kind}_data": (
        "as many components as rows that differ; repeated rows have empty ones beside"
    )
    for kind in ("dense", "sparse")
}


@parametrize_with_checks(
    [
        PCA(),
        PCA(1, whiten=True),
        ProbabilisticPCA(),
        ProbabilisticPCA(solver="em", tol=1e-4),
    ],
    expected_failed_checks=lambda model: REPEATED if repr(model) == "PCA()" else {},
)
def test_scikit_learns_own_estimator_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks provoke some on purpose
        check(estimator)


SHAPES = [(300, 12), (40, 30), (20, 90), (12, 12), (1200, 40)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("L", [1, 5, 0.9, None, "mle", 0])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_pca_is_scikit_learns_full_solver(shape, L, offset):
    if L == "mle" and shape[0] <= shape[1]:
        pytest.skip("not defined")
    X = cloud(*shape, mean=0.0) + offset
    ours, theirs = PCA(L).fit(X), sklearn.decomposition.PCA(L, svd_solver="full").fit(X)
    tight = {"rtol": 1e-6, "atol": 1e-6 if offset else 1e-9}
    for name in FITTED:
        a, b = np.asarray(getattr(ours, name)), np.asarray(getattr(theirs, name))
        assert a.shape == b.shape, name
        if name == "components_" and L is None and shape[0] <= shape[1]:
            a, b = a[:-1], b[:-1]  # the last one has no variance, and so no direction
        assert np.allclose(
            a, b, **({"atol": 1e-5} if name == "components_" else tight)
        ), name
    keep = slice(0, -1) if L is None and shape[0] <= shape[1] else slice(None)
    assert np.allclose(
        ours.transform(X)[:, keep],
        theirs.transform(X)[:, keep],
        atol=1e-4 if offset else 1e-7,
    )
    if L != 0:
        assert np.allclose(
            ours.inverse_transform(ours.transform(X)),
            theirs.inverse_transform(theirs.transform(X)),
            atol=1e-5,
        )
    assert list(ours.get_feature_names_out()) == list(theirs.get_feature_names_out())
    if L in (1, 5) and not offset:
        assert np.allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-6)
        assert np.allclose(ours.get_covariance(), theirs.get_covariance())
        assert np.allclose(ours.get_precision(), theirs.get_precision(), rtol=1e-5)


def test_the_constructor_is_scikit_learns():
    from inspect import signature

    ours, theirs = (
        signature(PCA).parameters,
        signature(sklearn.decomposition.PCA).parameters,
    )
    assert {k: (v.default, v.kind) for k, v in ours.items()} == {
        k: (v.default, v.kind) for k, v in theirs.items()
    }
    public = {n for n in dir(sklearn.decomposition.PCA()) if not n.startswith("_")}
    assert public <= set(dir(PCA()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_single_precision_data_keep_their_kind_and_most_of_their_digits(dtype, offset):
    X = (cloud(5000, 20, mean=0.0) + offset).astype(dtype)
    exact = sklearn.decomposition.PCA(5, svd_solver="full").fit(X.astype(np.float64))
    ours = PCA(5).fit(X)
    assert (
        ours.components_.dtype == ours.transform(X).dtype == ours.mean_.dtype == dtype
    )
    digits = 1e-5 if dtype == np.float32 else 1e-9
    assert np.allclose(ours.explained_variance_, exact.explained_variance_, rtol=digits)
    assert np.allclose(
        ours.transform(X),
        exact.transform(X),
        atol=5e-3 if dtype == np.float32 else 1e-9,
    )


@pytest.mark.parametrize("shape", [(2000, 1500), (1500, 2000)])
def test_the_krylov_road_keeps_as_much_variance_as_the_exact_one(shape):
    X = cloud(*shape, mean=0.5)
    assert choose_solver(*shape, 10) == "krylov"
    ours = PCA(10, random_state=0).fit(X)
    exact = spectrum(X, 10, "gram" if shape[0] < shape[1] else "scatter")
    top = exact.lam / (len(X) - 1)
    # never more than there is
    assert np.all(ours.explained_variance_ <= top * (1 + 1e-9))
    assert ours.explained_variance_.sum() > (1 - 1e-4) * top.sum()
    assert np.allclose(ours.components_ @ ours.components_.T, np.eye(10), atol=1e-10)
    theirs = sklearn.decomposition.PCA(10, svd_solver="randomized", random_state=0).fit(
        X
    )
    assert ours.explained_variance_.sum() >= theirs.explained_variance_.sum() * (
        1 - 1e-4
    )
    assert np.array_equal(
        PCA(10, random_state=0).fit(X).components_.shape, (10, shape[1])
    )


def test_a_steep_spectrum_keeps_its_small_end():
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.normal(size=(n, 6)))[0] for n in (100, 30))
    Y = (U - U.mean(axis=0)) * 10.0 ** -np.arange(0, 12, 2) @ V.T
    theirs = sklearn.decomposition.PCA(6, svd_solver="full").fit(Y)
    for name in ("auto", "full"):
        ours = PCA(6, svd_solver=name).fit(Y)
        assert np.allclose(
            ours.explained_variance_, theirs.explained_variance_, rtol=1e-4
        ), name


@given(st.integers(0, 2**31), st.lists(st.integers(1, 60), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_blocks_give_what_all_rows_at_once_give(seed, sizes):
    X = cloud(sum(sizes) + 6, 5, seed)
    streamed = PCA(3)
    for block in np.split(X, np.cumsum(sizes)):
        streamed.partial_fit(block)
    whole = PCA(3).fit(X)
    for name in (
        "mean_",
        "explained_variance_",
        "noise_variance_",
        "explained_variance_ratio_",
    ):
        assert np.allclose(getattr(streamed, name), getattr(whole, name), rtol=1e-8), (
            name
        )
    assert np.allclose(streamed.get_covariance(), whole.get_covariance())


def test_partial_fit_says_what_it_cannot_do_and_survives_pickling():
    X = cloud(50, 4)
    streamed = PCA(2).partial_fit(X[:1])
    with pytest.raises(ValueError, match="more rows"):
        _ = streamed.components_
    streamed.partial_fit(X[1:30])
    seen = streamed.components_
    again = pickle.loads(pickle.dumps(streamed)).partial_fit(X[30:])
    assert np.allclose(again.components_, PCA(2).fit(X).components_)
    assert np.array_equal(streamed.components_, seen)
    with pytest.raises(ValueError, match="features"):
        again.partial_fit(X[:, :3])
    with pytest.warns(UserWarning, match="afresh"):
        PCA(2).fit(X).partial_fit(X)
    assert not hasattr(clone(again), "components_")


BAD = [
    (PCA(), np.array([[1.0, np.nan], [2.0, 3.0]]), ValueError, "NaN"),
    (PCA(), np.array([[1.0, np.inf], [2.0, 3.0]]), ValueError, "infinity"),
    (PCA(), np.full((9, 3), 0.1), ValueError, "constant.*give rows that differ"),
    (PCA(), np.ones((1, 3)), ValueError, "minimum of 2"),
    (PCA(), np.ones(3), ValueError, "Reshape your data"),
    (
        PCA(svd_solver="full"),
        scipy.sparse.eye(4, format="csr"),
        TypeError,
        "svd_solver='auto'.*toarray",
    ),
    (
        ProbabilisticPCA(solver="em"),
        scipy.sparse.eye(4, format="csr"),
        TypeError,
        "(?i)sparse.*toarray",
    ),
    (PCA(svd_solver="arpack"), 0 * scipy.sparse.eye(4).tocsr(), ValueError, "constant"),
    (
        PCA(),
        1e200 * np.random.default_rng(0).normal(size=(9, 3)),
        ValueError,
        "divide X by a constant",
    ),
    (PCA(4), cloud(9, 3), ValueError, "between 0 and.*lower n_components"),
    (PCA(11), cloud(10, 20), ValueError, "lower n_components"),
    (PCA(0, svd_solver="randomized"), cloud(9, 3), ValueError, "between 1 and"),
    (PCA(3, svd_solver="arpack"), cloud(9, 3), ValueError, "strictly less"),
    (PCA("mle"), cloud(3, 9), ValueError, "give more rows"),
    (PCA("most"), cloud(9, 3), ValueError, "use a whole number"),
    (PCA(1.5), cloud(9, 3), ValueError, "share of the variance"),
    (PCA([1]), cloud(9, 3), TypeError, "use a whole number"),
    (PCA(svd_solver="best"), cloud(9, 3), ValueError, "'arpack' or 'randomized'"),
    (ProbabilisticPCA(3), cloud(9, 3), ValueError, "between 1 and D - 1"),
    (ProbabilisticPCA(2), cloud(3, 9), ValueError, "give more rows"),
    (ProbabilisticPCA(1, solver="gibbs"), cloud(9, 3), ValueError, "'closed' or 'em'"),
    (ProbabilisticPCA(1), np.ones((9, 3)), ValueError, "rows"),
]


@pytest.mark.parametrize(("estimator", "X", "kind", "cure"), BAD)
def test_bad_input_is_refused_with_a_cure(estimator, X, kind, cure):
    with pytest.raises(kind, match=cure):
        estimator.fit(X)


def test_bad_input_after_fitting():
    X = cloud(20, 4)
    fitted = PCA(2).fit(X)
    with pytest.raises(ValueError, match="expecting 4 features"):
        fitted.transform(X[:, :3])
    with pytest.raises(ValueError, match="codes of 2 numbers"):
        fitted.decode(X)
    with pytest.raises(ValueError, match="lower n_components"):
        PCA(3).fit(X[:4, :]).score_samples(X)
    with pytest.raises(ValueError, match="positive noise variance"):
        p.ppca_log_prob(X, X[0], X[:2].T.copy(), 0.0)


def test_whitened_codes_have_unit_variance_and_a_direction_without_variance_gets_zero():
    X = np.column_stack([cloud(40, 3), np.full(40, 7.0)])
    fitted = PCA(whiten=True).fit(X)
    Z = fitted.transform(X)
    assert np.allclose(np.cov(Z[:, :3].T), np.eye(3))
    assert np.all(Z[:, 3] == 0)
    assert np.allclose(fitted.decode(Z), X)
    plain = PCA(2).fit(X)
    assert np.allclose(
        PCA(2, whiten=True).fit(X).get_covariance(), plain.get_covariance()
    )


def test_data_are_left_as_they_are():
    X = cloud(50, 4)
    before = X.copy()
    X.flags.writeable = False
    for L in (2, None):
        PCA(L, copy=False).fit_transform(X)
        PCA(L, svd_solver="full").fit_transform(X)
    ProbabilisticPCA(2, solver="em").fit(X)
    assert np.array_equal(X, before)


def test_column_names_and_other_orders_of_memory():
    pandas = pytest.importorskip("pandas")
    X = cloud(50, 4)
    frame = pandas.DataFrame(X, columns=list("abcd"))
    fitted = PCA(2).set_output(transform="pandas").fit(frame)
    assert list(fitted.feature_names_in_) == list("abcd")
    assert list(fitted.transform(frame).columns) == ["pca0", "pca1"]
    for other in (np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], X[::-1][::-1]):
        assert np.allclose(PCA(2).fit(other).components_, PCA(2).fit(X).components_)


def test_ppca_keeps_its_verbs():
    X = cloud(300, 6)
    for fitted in (
        ProbabilisticPCA(2).fit(X),
        ProbabilisticPCA(2, solver="em", tol=1e-12, max_iter=3000).fit(X),
    ):
        reference = dense(fitted.mu_, fitted.W_, fitted.sigma2_)
        assert np.allclose(fitted.log_prob(X), reference.logpdf(X))
        assert np.allclose(fitted.get_covariance(), reference.cov)
        mean, cov = fitted.posterior(X)
        assert np.array_equal(fitted.encode(X), mean)
        assert cov.shape == (2, 2)
        assert fitted.decode(mean).shape == X.shape
        assert np.array_equal(
            fitted.sample(5, rng=3), fitted.sample(5, rng=as_generator(3, "sample"))
        )
        assert fitted.history_[-1] == pytest.approx(fitted.score(X), abs=1e-6)
    assert not hasattr(PCA, "sample")  # a verb that a model cannot have is absent


# --- data of every kind
# --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.uint8, np.int64, bool, np.float16])
def test_whole_numbers_and_booleans_are_taken_for_what_they_are(kind):
    X = (
        np.random.default_rng(0).random((500, 6)) * (1 if kind is bool else 255)
    ).round()
    X = X.astype(kind)
    mu, _, lam = p.pca(X, 3)
    every = np.linalg.eigvalsh(np.cov(X.astype(float).T, bias=True))[::-1]
    assert np.allclose(lam, every[:3])
    assert np.allclose(mu, X.astype(float).mean(axis=0))
    assert np.allclose(spectrum(X, 3, "gram").lam / 500, every[:3])
    assert p.ppca_fit(X, 2)[2] == pytest.approx(every[2:].mean())


SPIKES = {(10_000, 1000): 90.0, (2000, 1500): 90.0, (1500, 2000): 30.0}


@pytest.mark.parametrize(("shape", "spike"), SPIKES.items(), ids=str)
def test_a_large_first_component_does_not_hide_the_others(shape, spike):
    X = np.random.default_rng(0).normal(size=shape)
    X[:, 0] *= spike
    ours = PCA(20, random_state=0).fit(X)  # as it comes: no tolerance named
    Y = X - X.mean(axis=0)
    S = (Y @ Y.T if shape[0] < shape[1] else Y.T @ Y) / (len(X) - 1)
    size = len(S)
    exact = scipy.linalg.eigh(
        S, eigvals_only=True, subset_by_index=[size - 20, size - 1]
    )[::-1]
    assert np.allclose(ours.explained_variance_, exact, rtol=2e-6)


def test_what_has_not_settled_is_solved_exactly_or_said():
    X = cloud(1600, 1200)
    auto = PCA(10, iterated_power=1, random_state=0).fit(X)
    exact = spectrum(X, 10, "scatter")
    assert np.allclose(auto.singular_values_**2, exact.lam, rtol=1e-10)
    rough = PCA(10, svd_solver="randomized", iterated_power=1, random_state=0).fit(X)
    assert not np.allclose(rough.singular_values_**2, exact.lam, rtol=1e-6)


@pytest.mark.parametrize("L", [50, 199])
def test_wide_single_precision_components_are_at_right_angles(L):
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(n, 200)))[0] for n in (200, 2000))
    X = ((left * np.logspace(0, -4.2, 200)) @ right.T).astype(np.float32)
    W = PCA(L).fit(X).components_
    assert W.dtype == np.float32
    assert np.allclose(W @ W.T, np.eye(L), atol=2e-6)


def test_one_column_of_large_numbers_does_not_make_the_others_constant():
    X = np.column_stack([np.full(100, 1.7e15), cloud(100, 3)])
    assert np.allclose(
        PCA(2).fit(X).explained_variance_, PCA(2).fit(X[:, 1:]).explained_variance_
    )
    with pytest.raises(ValueError, match="too small"):
        PCA(1).fit(1e-170 * cloud(20, 3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_whitening_keeps_small_components_that_are_real(dtype):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(4000, 500)) * np.r_[1.0, np.full(499, 3e-3)]).astype(dtype)
    Z = PCA(whiten=True).fit_transform(X)
    assert np.allclose(Z.std(axis=0, ddof=1), 1, atol=0.02)


def test_overflow_is_refused_block_by_block_and_leaves_what_was_there():
    X = cloud(40, 3)
    streamed = PCA(2).partial_fit(X)
    with pytest.raises(ValueError, match="divide X by a constant"):
        streamed.partial_fit(1e200 * X)
    assert np.allclose(streamed.components_, PCA(2).fit(X).components_)
    with pytest.raises(ValueError, match="between 0 and"):
        streamed.set_params(n_components=9).fit(X)
    assert streamed.moments_.N == 40  # a fit that failed has thrown nothing away


def test_noise_of_wide_data_is_scikit_learns():
    X = cloud(12, 40)
    for solver in ("auto", "full", "covariance_eigh"):
        ours = PCA(3, svd_solver=solver).fit(X)
        theirs = sklearn.decomposition.PCA(3, svd_solver=solver).fit(X)
        assert ours.noise_variance_ == pytest.approx(theirs.noise_variance_), solver


def test_no_component_is_a_point():
    X = cloud(20, 3)
    assert np.allclose(
        PCA(0).fit(X).inverse_transform(np.zeros((5, 0))), X.mean(axis=0)
    )


def test_partial_fit_answers_for_the_kind_of_all_blocks_and_for_what_it_was_asked():
    X = cloud(60, 4)
    streamed = PCA(2).partial_fit(X[:30]).partial_fit(X[30:].astype(np.float32))
    assert streamed.components_.dtype == np.float64
    assert streamed.set_params(n_components=3).components_.shape == (2, 4)
    assert streamed.partial_fit(X).components_.shape == (3, 4)
    assert not hasattr(PCA(1).partial_fit(X[:1]), "components_")


WRONG = [
    (lambda X: p.pca(X, 9), "between 0 and the number of columns"),
    (lambda X: p.pca(X, -1), "between 0 and the number of columns"),
    (lambda X: p.pca(np.where(X > 4, np.nan, X), 2), "NaN"),
    (lambda X: p.pca(X[:0], 1), "at least one row"),
    (lambda X: p.pca(X + 1j, 1), "complex"),
    (lambda X: p.ppca_em(X, 2, np.random.default_rng(0), max_iter=0), "takes no step"),
    (lambda X: ProbabilisticPCA(2, solver="em", max_iter=0).fit(X), "takes no step"),
    (lambda X: PCA(np.array([1, 2])).fit(X), "use a whole number"),
    (lambda X: PCA(svd_solver="arpack").fit(X[:2, :1]), "use 'full'"),
]


@pytest.mark.parametrize(("call", "cure"), WRONG)
def test_bad_calls_are_refused_with_a_cure(call, cure):
    with pytest.raises((ValueError, TypeError), match=cure):
        call(cloud(30, 6))


def test_em_does_not_need_the_closed_form(monkeypatch):
    monkeypatch.setattr(p, "ppca_fit", None)
    X = cloud(100, 5)
    fitted = ProbabilisticPCA(2, solver="em").fit(X)
    assert np.all(np.diff(fitted.history_) >= -1e-12)
    with pytest.raises(ValueError, match="no variance to the noise"):
        ProbabilisticPCA(3, solver="em").fit(X[:, :2] @ np.ones((2, 6)))


def test_an_em_that_ran_out_of_steps_says_so():
    X = np.random.default_rng(0).normal(size=(60, 5)) @ np.diag(
        [3.0, 2.0, 1.0, 1.0, 1.0]
    )
    with pytest.warns(ConvergenceWarning, match="raise max_iter or tol"):
        ProbabilisticPCA(2, solver="em", max_iter=2, random_state=0).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        ProbabilisticPCA(2, solver="em", max_iter=5000, random_state=0).fit(X)


# --- what people bring
# -----------------------------------------------------------------------------------------------------


def sparse_and_dense(N=120, D=30, seed=0, **kind):
    """Rows of which most are zero; one column is full and far off, one is constant."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D)) * (rng.random((N, D)) < 0.1)
    X[:, 1], X[:, 3] = 1e6 + rng.normal(size=N), 5.0
    return scipy.sparse.csr_array(X, **kind), X


@pytest.mark.parametrize("form", ["csr_array", "csc_array", "csc_matrix", "coo_matrix"])
@pytest.mark.parametrize("solver", ["auto", "arpack", "covariance_eigh"])
@pytest.mark.parametrize("shape", [(120, 30), (30, 120)], ids=str)
@pytest.mark.parametrize("whiten", [False, True])
def test_sparse_rows_are_answered_as_dense_ones(form, solver, shape, whiten):
    A, X = sparse_and_dense(*shape)
    A = getattr(scipy.sparse, form)(A)
    ours = PCA(6, svd_solver=solver, whiten=whiten).fit(A)
    exact = PCA(6, svd_solver="full", whiten=whiten).fit(X)
    close = {"rtol": 1e-10, "atol": 1e-10}
    assert ours._fit_svd_solver == ("arpack" if solver == "auto" else solver)
    for name in set(FITTED) - {"noise_variance_"}:
        assert np.allclose(getattr(ours, name), getattr(exact, name), **close), name
    # a number near 1e6 has ten digits behind the point
    close = {"rtol": 1e-8, "atol": 1e-8}
    Z = exact.transform(X)
    assert np.allclose(ours.transform(A), Z, **close)
    assert np.allclose(ours.encode(A), ours.transform(X), **close)
    assert np.allclose(clone(ours).fit_transform(A), Z, **close)
    assert np.allclose(ours.inverse_transform(Z), exact.inverse_transform(Z), **close)
    assert np.allclose(ours.score_samples(A), ours.score_samples(X), **close)
    assert np.isclose(ours.score(A), ours.score(X))


def test_sparse_rows_come_in_blocks_in_single_precision_and_with_doubled_entries():
    A, X = sparse_and_dense()
    parts = PCA(4)
    for i in range(0, 120, 40):
        parts.partial_fit(A[i : i + 40])
    assert np.allclose(parts.components_, PCA(4).fit(X).components_, atol=1e-10)
    half = PCA(4).fit(A.astype(np.float32))
    assert half.components_.dtype == half.transform(A.astype("f4")).dtype == np.float32
    assert np.allclose(
        half.components_, PCA(4).fit(X.astype("f4")).components_, atol=1e-5
    )
    twice = scipy.sparse.csr_array(
        (np.tile(A.data / 2, 2), np.tile(A.tocoo().coords, 2)), shape=A.shape
    )
    doubled = scipy.sparse.csr_array(A.shape)
    doubled.data = np.repeat(A.data / 2, 2)
    doubled.indices, doubled.indptr = np.repeat(A.indices, 2), 2 * A.indptr
    for B in (twice, doubled):
        before = B.data.copy()
        assert np.allclose(PCA(4).fit(B).transform(B), PCA(4).fit(X).transform(X))
        assert np.array_equal(B.data, before), "the rows are left as they are"


@pytest.mark.parametrize("n_components", [None, 0, 30, 0.9, "mle"])
def test_of_sparse_rows_as_many_components_as_of_dense_ones(n_components):
    A, X = sparse_and_dense()
    ours, exact = PCA(n_components).fit(A), PCA(n_components).fit(X)
    less = int(n_components is None)  # scikit-learn's default for sparse rows
    assert ours.n_components_ == exact.n_components_ - less
    assert np.allclose(
        ours.explained_variance_, exact.explained_variance_[: ours.n_components_]
    )


def test_many_texts_and_words_need_no_dense_copy_and_no_square_matrix():
    rng = np.random.default_rng(0)
    A = scipy.sparse.random_array((1000, 50_000), density=2e-3, rng=rng, format="csr")
    for solver in ("auto", "covariance_eigh"):
        tracemalloc.start()
        model = PCA(10, svd_solver=solver).fit(A)
        Z = model.transform(A)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * 1000 * 50_000 / 4, f"{solver}: {peak / 2**20:.0f} MiB"
        assert np.allclose(Z.var(axis=0, ddof=1), model.explained_variance_)
        assert (
            np.abs(model.components_ @ model.components_.T - np.eye(10)).max() < 1e-12
        )
    theirs = sklearn.decomposition.PCA(10, svd_solver="arpack").fit(A)
    assert np.allclose(
        model.explained_variance_, theirs.explained_variance_, rtol=1e-10
    )


def test_words_and_categories_go_straight_into_pca():
    texts = ["a cat sat", "the dog ran far", "a cat ran", "the dog sat", "dog and cat"]
    kinds = [["a", "x"], ["b", "y"], ["a", "y"], ["c", "x"], ["c", "z"], ["b", "x"]]
    for first, rows in ((TfidfVectorizer(), texts), (OneHotEncoder(), kinds)):
        Z = make_pipeline(first, PCA(2)).fit_transform(rows)
        dense = PCA(2).fit_transform(first.fit_transform(rows).toarray())
        # a direction with two largest entries has no sign of its own
        assert np.allclose(np.abs(Z), np.abs(dense), atol=1e-10)


def test_probabilistic_pca_of_sparse_rows():
    A, X = sparse_and_dense()
    ours, exact = ProbabilisticPCA(3).fit(A), ProbabilisticPCA(3).fit(X)
    assert np.isclose(ours.sigma2_, exact.sigma2_, rtol=1e-10)
    assert np.allclose(ours.log_prob(A), exact.log_prob(X), rtol=1e-8)
    assert np.allclose(ours.encode(A), exact.encode(X), atol=1e-6)
    assert np.allclose(ours.posterior(A)[1], exact.posterior(X)[1])


def test_attributes_are_of_the_kinds_that_programs_read():
    X = cloud(60, 8)
    for L in (3, 0.9, "mle", None):
        ours, theirs = PCA(L).fit(X), sklearn.decomposition.PCA(L).fit(X)
        a, b = ours.n_components_, theirs.n_components_
        assert (a, isinstance(a, np.generic)) == (b, isinstance(b, np.generic))
        assert ours.noise_variance_.item() == float(ours.noise_variance_)
        assert ours._n_features_out == theirs._n_features_out
        assert ours._fit_svd_solver == theirs._fit_svd_solver
    model, rows = PCA(3).fit(X), X.astype(np.float32)
    assert model.transform(rows).dtype == np.float64, "as the model's, as theirs"
    assert model.score_samples(rows).dtype == np.float64
    assert ProbabilisticPCA(3).fit(X).encode(rows).dtype == np.float64
    assert isinstance(PCA(), sklearn.decomposition.PCA)


@pytest.mark.parametrize("whiten", [False, True])
def test_a_model_restored_by_hand_works(whiten):
    X = cloud(60, 8)
    fitted, bare = PCA(4, whiten=whiten).fit(X), PCA(4, whiten=whiten)
    for name in ("components_", "mean_", "explained_variance_"):
        setattr(bare, name, getattr(fitted, name))
    Z = fitted.transform(X)
    assert np.allclose(bare.transform(X), Z)
    assert np.allclose(bare.inverse_transform(Z), fitted.inverse_transform(Z))
    bare.noise_variance_ = fitted.noise_variance_
    assert np.isclose(bare.score(X), fitted.score(X))
    assert np.allclose(bare.get_precision(), fitted.get_precision())
    fitted, bare = ProbabilisticPCA(3).fit(X), ProbabilisticPCA(3)
    for name in ("mu_", "W_", "sigma2_"):
        setattr(bare, name, getattr(fitted, name))
    assert np.allclose(bare.transform(X), fitted.transform(X))
    assert np.isclose(bare.score(X), fitted.score(X))
    assert bare.sample(3, 0).shape == (3, 8)


def test_half_precision_and_whole_numbers_are_answered_as_doubles():
    X = np.round(8 * cloud(60, 8))
    for model in (PCA(3), PCA(3, whiten=True), ProbabilisticPCA(3)):
        exact = clone(model).fit(X)
        for kind in (np.float16, np.int64, np.int8):
            rows = X.astype(kind)
            ours = clone(model).fit(rows)
            for verb in ("transform", "score_samples"):
                a, b = getattr(ours, verb)(rows), getattr(exact, verb)(X)
                assert a.dtype == np.float64
                assert np.allclose(a, b, rtol=1e-10, atol=1e-10)
            Z = ours.transform(rows).astype(np.float16)
            assert ours.inverse_transform(Z).dtype == np.float64


def test_the_number_of_components_does_not_depend_on_the_unit():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 8))
    X += 0.1 * rng.normal(size=X.shape)
    for unit in (1, 1e-7, 1e-8, 1e-9, 1e-100, 1e9, 1e100):
        assert PCA("mle").fit(unit * X).n_components_ == 3, unit


@pytest.mark.parametrize("solver", ["auto", "full", "covariance_eigh"])
@pytest.mark.parametrize("shape", [(60, 3), (3, 60)], ids=str)
def test_what_varies_in_its_last_digits_is_not_constant(solver, shape):
    rng = np.random.default_rng(0)
    for X in (
        1.7e9 + 5e-6 * rng.normal(size=shape),
        (1e6 + rng.normal(size=shape)).astype(np.float32),
    ):
        apart = X.astype(np.float64) - X.astype(np.float64)[0]  # exact
        right = PCA(1, svd_solver="full").fit(apart).explained_variance_
        ours = PCA(1, svd_solver=solver).fit(X).explained_variance_
        assert np.allclose(ours, right, rtol=1e-5 if X.dtype == np.float32 else 1e-8)
    for value in (0.1, 1.7e9, 1 / 3):
        X = np.full(shape, value)
        with pytest.raises(ValueError, match="constant"):
            PCA(svd_solver=solver).fit(X)
        with pytest.raises(ValueError, match="constant"):
            _ = PCA().partial_fit(X).partial_fit(X[:2]).components_
    with pytest.raises(ValueError, match="squares of X are too small"):
        PCA(svd_solver=solver).fit(1e-200 * rng.normal(size=shape))


def test_without_noise_there_is_no_density_and_a_search_goes_on():
    X = cloud(30, 60)
    flat = PCA(20).fit(X[:20])
    for verb in (flat.score_samples, flat.log_prob, lambda X: flat.get_precision()):
        with pytest.raises(ValueError, match="lower n_components"):
            verb(X)
    with pytest.warns(UserWarning, match="-inf.*lower n_components"):
        assert flat.score(X[20:]) == -math.inf
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(
        size=(60, 6)
    )
    X = np.column_stack([X, np.full(60, 3.0)])  # a column that does not vary
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of -inf, and of its spread over the folds
        search = GridSearchCV(PCA(), {"n_components": [0, 1, 2, 3, 6, 7]}).fit(X)
        means = search.cv_results_["mean_test_score"]
    assert search.best_params_ == {"n_components": 2}
    assert np.isfinite(means[:4]).all()
    assert (means[4:] == -np.inf).all()


@pytest.mark.parametrize("shape", [(300, 6), (40, 6)], ids=str)
def test_precision_and_density_are_those_of_the_covariance_whitened_or_not(shape):
    X = cloud(*shape)
    for L in (0, 2, 6):
        plain, white = PCA(L).fit(X), PCA(L, whiten=True).fit(X)
        C = plain.get_covariance()
        assert np.isclose(np.trace(C), np.trace(np.cov(X.T)))
        assert np.allclose(white.get_covariance(), C)
        assert np.allclose(white.get_precision(), np.linalg.inv(C))
        right = stats.multivariate_normal(X.mean(axis=0), C).logpdf(X)
        assert np.allclose(white.score_samples(X), right)


def test_the_density_keeps_its_digits_at_small_noise_and_under_steep_loadings():
    rng = np.random.default_rng(0)
    D, L = 5, 2
    for sigma2, second in ((1e-12, 1.0), (1e-9, 1e-3), (1e-2, 1e-6)):
        W = rng.normal(size=(D, L)) * [1.0, second]
        mu = rng.normal(size=D)
        x = mu + W @ rng.normal(size=L) + math.sqrt(sigma2) * rng.normal(size=D)
        with mpmath.workdps(50):
            A, y = mpmath.matrix(W.tolist()), mpmath.matrix(x.tolist())
            y -= mpmath.matrix(mu.tolist())
            C = A * A.T + mpmath.mpf(sigma2) * mpmath.eye(D)
            right = -(D * mpmath.log(2 * mpmath.pi) + mpmath.log(mpmath.det(C))) / 2
            right -= (y.T * mpmath.lu_solve(C, y))[0] / 2
        ours = p.ppca_log_prob(x[None], mu, W, sigma2)[0]
        # what rounding of x alone does to |off|^2 / sigma2
        assert abs(ours - float(right)) < 1e-14 / math.sqrt(sigma2) + 1e-9


@pytest.mark.parametrize("condition", [1e0, 1e4, 1e8, 1e12])
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1e9])
def test_digits_beside_fifty(condition, offset):
    """Variances by mpmath of the very numbers that the model is given."""
    rng = np.random.default_rng(3)
    D = 4
    turn = np.linalg.qr(rng.normal(size=(D, D)))[0]
    X = rng.normal(size=(25, D)) * np.geomspace(1, condition**-0.5, D) @ turn + offset
    with mpmath.workdps(50):
        A = mpmath.matrix(X.tolist())
        mean = [mpmath.fsum(A[:, j]) / 25 for j in range(D)]
        Y = mpmath.matrix(25, D)
        for i in range(25):
            for j in range(D):
                Y[i, j] = A[i, j] - mean[j]
        lam = sorted(mpmath.eigsy(Y.T * Y, eigvals_only=True), reverse=True)
        right = np.array([float(v / 24) for v in lam])
        noise = float(mpmath.fsum(lam[2:]) / 25 / (D - 2))
    steep = right[0] / right[-1]
    full = PCA(svd_solver="full").fit(X).explained_variance_
    # singular values: to a share of eps of the largest
    assert np.allclose(full, right, rtol=1e-14 + 2e-15 * math.sqrt(steep), atol=0)
    squares = PCA(svd_solver="covariance_eigh").fit(X).explained_variance_
    assert np.allclose(squares, right, rtol=0, atol=4e-15 * right[0])
    auto = PCA().fit(X).explained_variance_
    assert np.allclose(auto, right, rtol=1e-5, atol=0)
    if noise > 1e-12 * right[0]:
        sigma2 = ProbabilisticPCA(2).fit(X).sigma2_
        assert np.isclose(sigma2, noise, rtol=0, atol=4e-15 * right[0])


@pytest.mark.parametrize("shape", [(40, 6), (20, 60)], ids=str)
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
@pytest.mark.parametrize(
    "model",
    [
        PCA(3),
        PCA(3, whiten=True),
        PCA(3, svd_solver="covariance_eigh"),
        ProbabilisticPCA(3),
    ],
    ids=repr,
)
def test_a_weight_is_a_number_of_repetitions(shape, form, model):
    X = cloud(*shape)
    w = np.random.default_rng(0).integers(0, 4, len(X))
    ours = clone(model).fit(form(X), sample_weight=w)
    again = clone(model).fit(np.repeat(X, w, axis=0))
    for name, value in vars(again).items():
        by_rows = name == "noise_variance_" and shape[0] < shape[1]
        if name.endswith("_") and not by_rows:
            assert np.allclose(getattr(ours, name), value), name
    assert np.allclose(ours.transform(X), again.transform(X))


def test_weights_in_blocks_in_em_and_when_they_are_wrong():
    X, w = cloud(40, 6), np.random.default_rng(0).integers(1, 4, 40)
    repeated = np.repeat(X, w, axis=0)
    blocks = PCA(3)
    for part in (slice(0, 15), slice(15, 40)):
        blocks.partial_fit(X[part], sample_weight=w[part])
    assert np.allclose(blocks.components_, PCA(3).fit(repeated).components_)
    assert blocks.n_samples_ == w.sum()
    assert (
        PCA("mle").fit(X, sample_weight=w).n_components_
        == PCA("mle").fit(repeated).n_components_
    )
    em = ProbabilisticPCA(2, solver="em", tol=1e-12, max_iter=5000, random_state=0)
    ours, again = clone(em).fit(X, sample_weight=w), clone(em).fit(repeated)
    assert np.isclose(ours.sigma2_, again.sigma2_)
    assert np.isclose(ours.history_[-1], again.history_[-1])
    full = PCA(3, svd_solver="full").fit(X, sample_weight=w)
    assert np.allclose(
        full.explained_variance_, PCA(3).fit(repeated).explained_variance_
    )
    for wrong, cure in (
        (w[1:], "one number a row"),
        (-w, "Negative values"),
        (0 * w, "non-zero weight"),
        (w / w.sum(), "multiply the weights"),
        (np.where(w > 1, np.nan, w), "NaN"),
    ):
        for model in (PCA(3), ProbabilisticPCA(3)):
            with pytest.raises(ValueError, match=cure):
                model.fit(X, sample_weight=wrong)


def test_the_moments_of_a_dask_array_add_up():
    da = pytest.importorskip("dask.array")
    X = cloud(90, 6) + 1e6
    D = da.from_array(X, chunks=(40, 4))
    exact = PCA(3).fit(X)
    for ours in (PCA(3).fit(D), PCA(3).partial_fit(D[:50]).partial_fit(X[50:])):
        assert np.allclose(ours.components_, exact.components_)
        assert np.allclose(ours.explained_variance_, exact.explained_variance_)
        assert ours.n_samples_ == 90
    assert np.allclose(PCA(3).fit_transform(D), exact.transform(X), atol=1e-8)
    with pytest.raises(TypeError, match="partial_fit on its blocks"):
        PCA(3).fit(D, sample_weight=np.ones(90))
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        PCA(3).partial_fit(D[D[:, 0] > 1e6])


@pytest.mark.parametrize("whiten", [False, True])
def test_programs_that_ask_for_the_very_class_get_it(whiten):
    X = cloud(60, 8)
    parts = PCA(3, whiten=whiten).partial_fit(X[:30]).partial_fit(X[30:])
    for model in (PCA(3, whiten=whiten).fit(X), parts):
        theirs = model.to_sklearn()
        assert type(theirs) is sklearn.decomposition.PCA
        assert np.allclose(theirs.transform(X), model.transform(X))
        Z = model.transform(X)
        assert np.allclose(theirs.inverse_transform(Z), model.inverse_transform(Z))
    convert = pytest.importorskip("skl2onnx").to_onnx
    session = pytest.importorskip("onnxruntime").InferenceSession(
        convert(model.to_sklearn(), X[:1].astype(np.float32)).SerializeToString()
    )
    Z = session.run(None, {"X": X.astype(np.float32)})[0]
    assert np.allclose(Z, model.transform(X), atol=1e-4)


class _Frame:
    """What pandas gives, with names of columns; made when it is used."""

    def __new__(cls, X):
        import pandas as pd

        return pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])])


def bad_calls():
    X = cloud(30, 6)
    spoilt = X.copy()
    spoilt[3, 2] = np.nan
    yield {}, spoilt
    yield {}, spoilt[:, :4]
    yield {}, _Frame(spoilt)
    yield {}, np.ones((9, 4))
    yield {}, _Frame(np.ones((9, 4)))
    yield {}, X[:1, :4]
    yield {}, 1e200 * X[:, :4]
    yield {}, 1e-200 * X[:, :4]
    yield {"n_components": 7}, X[:, :4]
    yield {"n_components": "some"}, X[:, :4]
    yield {}, X + 1j
    yield {}, scipy.sparse.csr_array(spoilt[:, :4])
    yield {}, scipy.sparse.csr_array((9, 4))


@pytest.mark.parametrize("verb", ["fit", "fit_transform", "partial_fit"])
@pytest.mark.parametrize("whole_fit", [True, False])
@pytest.mark.parametrize(
    "model", [PCA(2), ProbabilisticPCA(2), ProbabilisticPCA(2, solver="em")], ids=repr
)
def test_a_fit_that_fails_leaves_the_model_as_it_was(verb, whole_fit, model):
    if not hasattr(model, verb):
        pytest.skip("it has no such verb")
    tried = 0
    for settings_, X in bad_calls():
        ours = clone(model)
        if whole_fit:
            (ours.partial_fit if verb == "partial_fit" else ours.fit)(
                _Frame(cloud(20, 6))
            )
            if verb == "partial_fit":
                ours.components_  # noqa: B018
        ours.set_params(**settings_)
        before = dict(vars(ours))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                getattr(ours, verb)(X)
            except (ValueError, TypeError):
                tried += 1
                assert vars(ours).keys() == before.keys()
                assert all(vars(ours)[k] is before[k] for k in before)
    assert tried > 5


def test_sparse_columns_without_a_zero_keep_their_digits_and_may_be_constant():
    X = np.column_stack([1e9 + cloud(60, 2), cloud(60, 3)])
    exact = PCA(3, svd_solver="full").fit(X)
    ours = PCA(3).fit(scipy.sparse.csr_array(X))
    Z = (X - X[0]) @ exact.components_.T  # X - X[0] is exact
    codes = ours.transform(scipy.sparse.csr_array(X))
    # the offset itself is known to 1e-7
    assert np.allclose(codes - codes[0], Z - Z[0], rtol=1e-11, atol=1e-11)
    for value in (0.1, 1 / 3, 1.7e9 + 0.1, 1e-5):
        for N in (7, 60, 70, 1000):
            A = scipy.sparse.csr_array(np.full((N, 3), value))
            with pytest.raises(ValueError, match="constant"):
                PCA(1).fit(A)
