"""Anything may come in: each model gives a right answer, or an error of the documented
kind that says what to do.

One strategy makes the tables: 0 to 12 rows, 0 to 5 columns; normal, repeated, constant,
collinear and equal rows, and bits; scales from 1e-300 to 1e300, far from zero or not;
float64, float32, float16, big-endian, integers, booleans; in order of rows or of
columns, as a stride, as a read-only array, as a list, as objects, sparse; with and
without a NaN or an infinity. Warnings are errors.

Cases: 120 for each of 5 linear models, 25 for each of 9 networks (825), and 80 for each
of 5 mixtures (400).
"""

import re
import warnings
from typing import NamedTuple

import jaxtyping
import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from latent_book import (
    bound,
    collapse,
    critique,
    denoising,
    em,
    gan,
    manifold,
    mixture,
    pca,
    variational,
)
from latent_book.autoencoder import Autoencoder
from latent_book.denoising import DenoisingAutoencoder
from latent_book.em import BernoulliMixture, GaussianMixture
from latent_book.gan import GAN
from latent_book.onwards import Diffusion, Flow
from latent_book.pca import PCA, ProbabilisticPCA
from latent_book.training import DivergedError
from latent_book.vae import VAE
from latent_book.variational import HelmholtzMachine

torch.set_num_threads(1)
DOCUMENTED = (ValueError, TypeError, DivergedError)
CRYPTIC = re.compile(
    r"setting an array element|must not contain infs|did not converge|Singular matrix|not broadcastable|could not be broadcast|"
    r"zero-size array|division by zero|Can't call numpy|ScalarType"
)
SMALL = {"epochs": 1, "batch_size": 8, "device": "cpu"}
LINEAR = {
    "pca": PCA(1),
    "pca-full": PCA(1, svd_solver="full"),
    "pca-white": PCA(2, whiten=True),
    "ppca": ProbabilisticPCA(1),
    "ppca-em": ProbabilisticPCA(1, solver="em", max_iter=20, random_state=0),
}
NETWORKS = {
    "autoencoder": Autoencoder(1, hidden=(3,), **SMALL),
    "autoencoder-linear": Autoencoder(1, hidden=(), output="linear", **SMALL),
    "vae": VAE(1, hidden=(3,), **SMALL),
    "vae-gaussian": VAE(1, hidden=(3,), likelihood="gaussian", **SMALL),
    "helmholtz": HelmholtzMachine(2, **SMALL),
    "gan": GAN(1, hidden=(3,), output="linear", **SMALL),
    "flow": Flow(layers=2, hidden=(3,), **SMALL),
    "diffusion": Diffusion(hidden=(3,), T=3, **SMALL),
    "denoising": DenoisingAutoencoder(3, **SMALL),
}
MIXTURES = {
    "gaussians": GaussianMixture(2, max_iter=20, random_state=0),
    "tied": GaussianMixture(2, covariance_type="tied", max_iter=20, random_state=0),
    "diagonal": GaussianMixture(2, covariance_type="diag", max_iter=20, random_state=0),
    "spherical": GaussianMixture(
        2, covariance_type="spherical", max_iter=20, random_state=0
    ),
    "tied-diagonal": GaussianMixture(
        2, covariance_type="tied_diag", max_iter=20, random_state=0
    ),
    "tied-spherical": GaussianMixture(
        2, covariance_type="tied_spherical", max_iter=20, random_state=0
    ),
    "bernoulli": BernoulliMixture(2, max_iter=20, random_state=0),
}


class Table(NamedTuple):
    """What comes in, and the same as a plain array of doubles, or singles where it has
    those.
    """

    X: object
    plain: np.ndarray
    bad: bool  # has a NaN or an infinity


@st.composite
def tables(draw) -> Table:
    """See the head of this file."""
    N = draw(st.sampled_from([12, 12, 12, 12, 7, 5, 3, 2, 1, 0]))
    D = draw(st.sampled_from([4, 4, 4, 5, 3, 2, 1, 0]))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    X = rng.normal(size=(N, D))
    rows = draw(
        st.sampled_from(
            [
                "normal",
                "normal",
                "bits",
                "grey",
                "repeated",
                "constant",
                "collinear",
                "equal",
            ]
        )
    )
    if rows == "bits":
        X = (X > 0).astype(float)
    elif rows == "grey":
        X = rng.uniform(size=(N, D))
    elif rows == "repeated":
        X = X[rng.integers(0, max(1, N // 3), N)] if N else X
    elif rows == "constant":
        X[:, D // 2 :] = 3.0
    elif rows == "collinear":
        X = X[:, :1] * np.arange(1.0, D + 1) if D else X
    elif rows == "equal":
        X[:] = 0.7
    if rows not in ("bits", "grey"):
        e = draw(
            st.sampled_from(
                [
                    0,
                    0,
                    0,
                    -300,
                    -200,
                    -160,
                    -150,
                    -100,
                    -40,
                    -25,
                    -18,
                    -8,
                    8,
                    18,
                    25,
                    40,
                    100,
                    150,
                    160,
                    200,
                    300,
                ]
            )
        )
        X = (X + draw(st.sampled_from([0.0, 0.0, 1e3, -1e8]))) * 10.0**e
    kind = draw(
        st.sampled_from(
            ["f8", "f8", "f8", "f4", "f4", "f2", ">f8", ">f4", "i8", "i4", "u1", "?"]
        )
    )
    if kind[0] in "iu?":
        X = np.clip(np.nan_to_num(X), 0 if kind == "u1" else -100, 100)
    with np.errstate(over="ignore", under="ignore"):
        X = X.astype(kind)
    bad = X.dtype.kind == "f" and not np.isfinite(X).all()
    if X.dtype.kind == "f" and X.size and draw(st.integers(0, 7)) == 0:
        X[rng.integers(N), rng.integers(D)] = draw(
            st.sampled_from([np.nan, np.inf, -np.inf])
        )
        bad = True
    plain = X.astype(np.float32 if kind[-2:] == "f4" else np.float64)
    form = draw(
        st.sampled_from(
            [
                "rows",
                "rows",
                "columns",
                "stride",
                "reversed",
                "read-only",
                "list",
                "object",
                "sparse",
            ]
        )
    )
    if form == "columns":
        X = np.asfortranarray(X)
    elif form == "stride":
        X = np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]
    elif form == "reversed":
        X = X[::-1].copy()[::-1]
    elif form == "read-only":
        X.flags.writeable = False
    elif form == "list":
        X, plain = X.tolist(), plain.astype(np.float64)
    elif form == "object":
        X, plain = X.astype(object), plain.astype(np.float64)
    elif form == "sparse" and kind not in ("f2", ">f8", ">f4"):
        X = scipy.sparse.csr_matrix(X)
    return Table(X, plain, bad)


def answers(model, X) -> dict[str, np.ndarray]:
    """All that the model says of these rows."""
    said = {}
    for verb in (
        "transform",
        "predict_proba",
        "score_samples",
        "log_prob",
        "denoise",
        "reconstruct",
    ):
        if hasattr(model, verb) and not isinstance(model, Diffusion):
            of_a_noise = isinstance(model, GaussianMixture) and verb == "denoise"
            more = [float(model.covariances_.max()) ** 0.5] if of_a_noise else []
            said[verb] = getattr(model, verb)(X, *more)
    if hasattr(model, "elbo"):
        said["elbo"] = model.elbo(X, rng=0)
    if isinstance(model, Flow | Diffusion):
        code = model.encode(X)
        said["encode"] = code
    if hasattr(model, "sample") and not hasattr(model, "covariance_type"):
        drawn = (
            model.sample(3)
            if isinstance(model, BernoulliMixture)
            else model.sample(3, 0)
        )
        said["sample"] = drawn[0] if isinstance(drawn, tuple) else drawn
    return {name: np.asarray(value) for name, value in said.items()}


def outcome(model, X):
    """The fitted model and its answers, or the error; a warning that is not documented
    is an error of no documented kind.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "the discriminator wins")
        warnings.filterwarnings("ignore", "columns of X differ in range")
        warnings.filterwarnings("ignore", ".*noise so weak")
        warnings.filterwarnings("ignore", "reg_covar = .* is added")
        model = clone(model)
        try:
            model.fit(X)
            return model, answers(model, X), None
        except DOCUMENTED as error:
            told = str(error)
            assert len(told) > 25, told
            assert not CRYPTIC.search(told), told
            return model, {}, error


def copied(X):
    """A copy to compare with."""
    return X.copy() if hasattr(X, "copy") else list(X)


def takes_sparse(model) -> bool:
    return model.__sklearn_tags__().input_tags.sparse


def hold(model, table: Table) -> bool:
    """The demands on a model; whether there was an answer."""
    before = copied(table.X)
    _, said, error = outcome(model, table.X)
    was, now = (
        x.toarray() if scipy.sparse.issparse(x) else x for x in (before, table.X)
    )
    same = np.array_equal(
        np.asarray(was, float), np.asarray(now, float), equal_nan=True
    )
    assert same, "the rows were changed"
    refused = scipy.sparse.issparse(table.X) and not takes_sparse(model)
    if table.bad or 0 in table.plain.shape or refused:
        assert error is not None
    if error is not None:
        return False
    for name, value in said.items():
        assert np.isfinite(value).all(), name
    _, plain, error = outcome(model, table.plain)  # in whatever form: the same numbers
    assert error is None, error
    for name, value in said.items():
        if name == "elbo" and value.dtype != plain[name].dtype:
            continue  # in another precision other guesses are drawn
        # where entries tie, the sign is free
        if isinstance(model, PCA) and name == "transform":
            value, plain[name] = np.abs(value), np.abs(plain[name])
        scale = max(float(np.abs(plain[name]).max(initial=0.0)), 1e-300)
        short = (
            np.float32 in (value.dtype, table.plain.dtype)
            or getattr(table.X, "dtype", None) == np.float16
        )
        loose = 1e-2 if short else 1e-6
        np.testing.assert_allclose(
            value.astype(float) / scale,
            plain[name].astype(float) / scale,
            rtol=0,
            atol=loose,
            err_msg=name,
        )
    return True


def doubled(model, table: Table) -> None:
    """In units of half the size, all is the same: shares of variance, codes, and the
    density up to its unit.
    """
    X, D = table.plain, table.plain.shape[1]
    one, told, _ = outcome(model, X)
    with np.errstate(over="ignore"):
        two, told_two, error = outcome(model, 2 * X)
    if error is not None:
        return  # at the edge of the numbers
    tight = 1e-3 if X.dtype == np.float32 else 1e-6
    if hasattr(one, "explained_variance_ratio_"):
        np.testing.assert_allclose(
            two.explained_variance_ratio_, one.explained_variance_ratio_, atol=tight
        )
    if model.get_params().get("solver") == "closed":
        shift = told["log_prob"] - told_two["log_prob"]
        np.testing.assert_allclose(
            shift, D * np.log(2), atol=1e-3 * (1 + np.abs(told["log_prob"]).max())
        )


def many(
    examples: int, models: dict, name: str, further=lambda model, table: None
) -> int:
    """How many of so many tables the model answers, each held to the demands and, where
    it answers, to a further one.
    """
    answered = []

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(tables())
    def one(table):
        if hold(models[name], table):
            answered.append(1)
            further(models[name], table)

    one()
    return len(answered)


@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_model_takes_anything(name):
    assert many(160, LINEAR, name, doubled) > 7  # not everything is refused


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_takes_anything(name):
    assert many(25, NETWORKS, name) > 0


@pytest.mark.parametrize("name", MIXTURES)
def test_a_mixture_takes_anything(name):
    assert many(80, MIXTURES, name) > 5


@pytest.mark.parametrize(
    "name", ["pca", "ppca", "autoencoder-linear", "vae-gaussian", "flow"]
)
@pytest.mark.parametrize("factor", [1e10, 1e40, 1e160, 1e300])
def test_rows_far_beyond_those_fitted_get_numbers_or_an_error(name, factor):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 4)) @ rng.normal(size=(4, 4))
    model = clone({**LINEAR, **NETWORKS}[name]).fit(X)
    for verb in ("transform", "encode", "score_samples", "log_prob", "elbo", "score"):
        if hasattr(model, verb):
            try:
                said = getattr(model, verb)(X * factor)
            except ValueError as error:
                assert "beyond the numbers" in str(error)  # noqa: PT017
            else:
                assert all(
                    np.isfinite(part).all()
                    for part in (said if isinstance(said, tuple) else [said])
                )


def test_far_from_zero_a_linear_autoencoder_is_as_good():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1)) @ rng.normal(size=(1, 4)) + 0.01 * rng.normal(
        size=(200, 4)
    )
    model = Autoencoder(
        1, hidden=(), output="linear", epochs=150, batch_size=20, device="cpu"
    )
    near, far = (
        clone(model).fit(X + shift).reconstruction_error(X + shift)
        for shift in (0, 1e8)
    )
    assert far == pytest.approx(near, rel=0.01)
    assert near < 0.5 * X.var(axis=0).sum()


@pytest.mark.parametrize(("scale", "dtype"), [(1e-162, "f8"), (1e-161, "f8"), (1e-23, "f4"), (1e-24, "f4"), (1e-40, "f4")])  # fmt: skip
@pytest.mark.parametrize("name", ["pca", "pca-full", "ppca", "ppca-em"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_squares_that_are_too_small_are_refused(name, scale, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4))
    small = (X * scale).astype(dtype)
    try:
        model = clone(LINEAR[name]).fit(small)
    except ValueError as error:
        assert "by a constant" in str(error)  # noqa: PT017
        return
    wanted = clone(LINEAR[name]).fit(
        X
    )  # if it answers, it is right: the codes of PPCA have no unit
    codes, expected = model.encode(small), wanted.encode(X)
    codes, expected = codes / np.abs(codes).max(), expected / np.abs(expected).max()
    np.testing.assert_allclose(np.abs(codes), np.abs(expected), atol=1e-3)


# --- the functions of the chapters
# -----------------------------------------------------------------------------------------------------

GRID = np.arange(-3, 4)
POINTS = np.array([[0, 1], [2, -1], [-3, 2], [1, 1], [2, 3], [-1, 0]])
SURE = np.eye(2, dtype=int)[[0, 1, 0, 1, 0, 1]]
BITS = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 1]])
MIX = (np.array([1, 0]), np.array([[0, 1], [2, 0]]), np.array([[[2, 1], [1, 3]]] * 2))
HALF = (np.array([0.5, 0.5]), *MIX[1:])
LINE = np.array([[2], [1]])
CROSSED = np.arange(12).reshape(2, 3, 2) ** 2
# each by arguments that half precision and whole numbers hold exactly
CALLS = {
    "mixture.log_gaussian": (mixture.log_gaussian, POINTS, *MIX[1:]),
    "mixture.log_joint": (mixture.log_joint, POINTS, *HALF),
    "mixture.mixture_log_prob": (mixture.mixture_log_prob, POINTS, *MIX),
    "mixture.responsibilities": (mixture.responsibilities, POINTS, *HALF),
    "mixture.bic": (mixture.bic, POINTS, *HALF),
    "bound.entropy": (bound.entropy, SURE),
    "bound.elbo": (bound.elbo, -POINTS, SURE),
    "bound.posterior": (bound.posterior, POINTS),
    "bound.kl": (bound.kl, SURE, np.full((6, 2), 0.5)),
    "bound.kl_gaussian": (
        bound.kl_gaussian,
        MIX[1][0],
        MIX[2][0],
        MIX[1][1],
        2 * MIX[2][0],
    ),
    "bound.gaussian_on_grid": (lambda z: bound.gaussian_on_grid(z, 0.3, 0.7), GRID),
    "bound.fit_forward": (bound.fit_forward, GRID, -(GRID**2)),
    "bound.fit_reverse": (lambda *z: bound.fit_reverse(*z, 0.2, 1.5), GRID, -(GRID**2)),
    "em.expected_complete_log_lik": (em.expected_complete_log_lik, -POINTS, SURE),
    "em.m_step_gaussian": (lambda *a: em.m_step_gaussian(*a, prior=1.0), POINTS, SURE),
    "em.gaussian_start": (em.gaussian_start, POINTS, MIX[1]),
    "em.em_gaussian": (
        lambda *a: em.em_gaussian(*a, steps=2, prior=1.0)[0],
        POINTS,
        *HALF,
    ),
    "em.moments": (em.moments, POINTS, SURE),
    "em.incremental_em_gaussian": (
        lambda *a: em.incremental_em_gaussian(*a, 1, 2, np.random.default_rng(0))[0],
        POINTS,
        *HALF,
    ),
    "em.spread_means": (
        lambda X: em.spread_means(X, 3, np.random.default_rng(0)),
        POINTS,
    ),
    "em.log_joint_bernoulli": (
        lambda X: em.log_joint_bernoulli(X, np.ones(1), np.full((1, 3), 0.3)),
        BITS,
    ),
    "em.m_step_bernoulli": (em.m_step_bernoulli, BITS, SURE[:4]),
    "variational.restrict": (lambda q: variational.restrict(q, 0.9), SURE),
    "denoising.halve": (denoising.halve, np.arange(16)[None]),
    "denoising.relative_error": (
        denoising.relative_error,
        POINTS % 5,
        POINTS[::-1] % 5,
    ),
    "denoising.score_from_denoiser": (
        lambda *a: denoising.score_from_denoiser(*a, 0.3),
        POINTS % 5,
        POINTS[::-1] % 5,
    ),
    "denoising.blur": (lambda *a: denoising.blur(*a, 0.3), *MIX),
    "denoising.mixture_score": (
        lambda *a: denoising.mixture_score(*a, 0.3),
        POINTS,
        *HALF,
    ),
    "denoising.posterior_mean": (
        lambda *a: denoising.posterior_mean(*a, 0.3),
        POINTS,
        *HALF,
    ),
    "denoising.wiener": (
        lambda X: denoising.wiener(X, np.zeros(2), np.eye(2), np.ones(2), 0.3),
        POINTS,
    ),
    "denoising.memory": (lambda *a: denoising.memory(*a, 0.7), POINTS, MIX[1]),
    "pca.encode": (pca.encode, POINTS, MIX[1][0], LINE),
    "pca.decode": (pca.decode, POINTS[:, :1], MIX[1][0], LINE),
    "pca.reconstruction_error": (pca.reconstruction_error, POINTS, MIX[1][0], LINE),
    "pca.pca": (lambda X: pca.pca(X, 1), POINTS),
    "pca.ppca_fit": (lambda X: pca.ppca_fit(X, 1), POINTS),
    "pca.ppca_log_prob": (
        lambda *a: pca.ppca_log_prob(*a, 0.3),
        POINTS,
        MIX[1][0],
        LINE,
    ),
    "pca.ppca_posterior": (
        lambda *a: pca.ppca_posterior(*a, 0.3),
        POINTS,
        MIX[1][0],
        LINE,
    ),
    "pca.ppca_elbo": (
        lambda X, mu, W, m: pca.ppca_elbo(X, mu, W, 0.3, m, np.eye(1)),
        POINTS,
        MIX[1][0],
        LINE,
        POINTS[:, :1],
    ),
    "pca.ppca_m_step": (
        lambda Y, m: pca.ppca_m_step(Y, m, np.eye(1)),
        POINTS,
        POINTS[:, :1],
    ),
    "manifold.classical_scaling": (
        lambda T: manifold.classical_scaling(T, 1)[1],
        20 * abs(GRID[:, None] - GRID),
    ),
    "manifold.mle_dimension": (manifold.mle_dimension, 1 + np.arange(6).reshape(2, 3)),
    "critique.lay_over": (lambda *a: critique.lay_over(*a, 0.3), BITS, BITS[::-1]),
    "critique.effect_sizes": (critique.effect_sizes, CROSSED),
    "critique.unexplained": (critique.unexplained, CROSSED, CROSSED[::-1]),
    "gan.jensen_shannon": (gan.jensen_shannon, SURE[0], SURE[1]),
    "collapse.predicted_kl": (lambda lam: collapse.predicted_kl(lam, 0.7), GRID**2),
}


def numbers(answer) -> np.ndarray:
    """All numbers of an answer, one after the other."""
    parts = answer if isinstance(answer, tuple) else (answer,)
    return np.concatenate([np.ravel(np.asarray(part)) for part in parts])


@pytest.mark.parametrize("kind", [np.float16, np.int8, np.int64, np.uint8])
@pytest.mark.parametrize("name", CALLS)
def test_half_precision_and_whole_numbers_are_answered_as_doubles(
    name, kind, monkeypatch
):
    """All numbers are such that each kind holds them, so the answer is that for doubles,
    to the last digits.
    """
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    function, *given = CALLS[name]
    if kind == np.uint8:
        given = [a if a.min() >= 0 else a - a.min() for a in given]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        right = numbers(function(*(a.astype(float) for a in given)))
        exact = [a if (a % 1).any() else a.astype(kind) for a in given]
        found = numbers(function(*exact))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-12)
