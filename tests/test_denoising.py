"""The chapter on denoising, by independent routes: quadrature, Monte Carlo, autograd,
SciPy, and the browser's own arithmetic.
"""

import math
from functools import partial

import jaxtyping
import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import nn

from latent_book import denoising as d
from latent_book.denoising import DenoisingAutoencoder
from latent_book.mixture import mixture_log_prob, sample_mixture
from latent_book.training import seeded

PI = np.array([0.5, 0.3, 0.2])
MU = np.array([[-1.5, -0.6], [1.4, -0.9], [0.3, 1.5]])
SIGMA = np.array(
    [[[0.25, 0.12], [0.12, 0.16]], [[0.1, -0.05], [-0.05, 0.3]], [[0.4, 0], [0, 0.05]]]
)
THREE = (PI, MU, SIGMA)


def cloud(N: int, D: int, seed: int = 0) -> np.ndarray:
    """Points with a spectrum that falls, in directions that no axis shares."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(D, D)))[0]
    return rng.normal(size=(N, D)) * np.arange(1, D + 1) ** -0.7 @ turn + 0.5


def net(D: int = 5, H: int = 7, seed: int = 0) -> nn.Sequential:
    """A small network with a smooth bend."""
    with seeded(seed):
        return d.overcomplete(D, H, nn.Tanh()).double()


# --- the identity
# --------------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-denoising-identity")
@given(st.integers(1, 30), st.integers(0, 2**31), st.floats(1e-3, 1e6))
@settings(max_examples=40, deadline=None)
def test_the_network_written_by_hand_returns_whatever_comes(D, seed, scale):
    copier = d.copy_network(D)
    x = scale * torch.randn(4, D, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(copier(x), x)
    assert [type(layer).__name__ for layer in copier] == ["Linear", "ReLU", "Linear"]
    assert copier[0].out_features == 2 * D


@pytest.mark.equation("eq-denoising-cost")
def test_without_noise_the_loss_is_the_reconstruction_error():
    model, X = net(), cloud(6, 5)
    r = model(torch.from_numpy(X)).detach().numpy()
    by_loops = (
        sum(
            sum((a - b) ** 2 for a, b in zip(u, v, strict=True))
            for u, v in zip(r, X, strict=True)
        )
        / 6
    )
    found = d.denoising_loss(model, torch.from_numpy(X), torch.Generator(), 0.0)
    assert found.item() == pytest.approx(by_loops)


@pytest.mark.equation("eq-denoising-moments")
@given(st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_an_affine_map_errs_alike_on_all_data_of_the_same_two_moments(seed):
    rng = np.random.default_rng(seed)
    X = rng.exponential(size=(50, 4)) @ rng.normal(size=(4, 4))
    S = np.cov(X.T, bias=True)
    other = rng.uniform(size=(90, 4)) ** 3  # other data, bent to the same moments
    other -= other.mean(axis=0)
    L = np.linalg.cholesky(np.cov(other.T, bias=True))
    other = other @ np.linalg.inv(L).T @ np.linalg.cholesky(S).T + X.mean(axis=0)
    A, mu = rng.normal(size=(4, 4)), X.mean(axis=0)
    wanted = np.trace((A - np.eye(4)) @ S @ (A - np.eye(4)).T)
    for data in (X, other):
        r = mu + (data - mu) @ A.T
        assert np.mean(np.sum((r - data) ** 2, axis=1)) == pytest.approx(wanted)


@pytest.mark.equation("eq-denoising-descent")
def test_gradient_descent_reaches_the_identity_fast_along_strong_directions():
    Y = cloud(200, 4) - cloud(200, 4).mean(axis=0)
    Y[:, 0] = 0.0  # a pixel that never changes
    S = np.cov(Y.T, bias=True)
    lam, U = np.linalg.eigh(S)
    rng, eta, y = np.random.default_rng(0), 0.3 / lam.max(), torch.from_numpy(Y)
    start = rng.normal(size=(4, 4))
    A = torch.tensor(start, requires_grad=True)
    for _ in range(25):  # descent by automatic differentiation
        (slope,) = torch.autograd.grad(((y @ A.T - y) ** 2).sum(dim=1).mean(), A)
        A = (A - eta * slope).detach().requires_grad_()
    off = (A.detach().numpy() - np.eye(4)) @ U
    assert np.allclose(off, (start - np.eye(4)) @ U * (1 - 2 * eta * lam) ** 25)
    assert np.allclose(A.detach().numpy()[:, 0], start[:, 0])  # never touched


def test_the_relative_error_is_nought_for_a_copy_and_one_for_the_mean():
    X = cloud(30, 4)
    assert d.relative_error(X, X) == 0
    assert d.relative_error(X, np.tile(X.mean(axis=0), (30, 1))) == pytest.approx(1)
    with pytest.raises(ValueError, match="give rows that differ"):
        d.relative_error(np.ones((3, 2)), np.ones((3, 2)))


# --- the cost of noise
# ---------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-denoising-loss")
def test_the_loss_is_the_mean_over_noise_by_quadrature():
    with seeded(1):
        model = d.overcomplete(1, 4, nn.Tanh()).double()

    def r(x):
        return model(torch.tensor([[x]], dtype=torch.float64)).item()

    exact, _ = integrate.quad(
        lambda e: (r(0.3 + 0.5 * e) - 0.3) ** 2 * stats.norm.pdf(e), -8, 8
    )
    x = torch.full((200_000, 1), 0.3, dtype=torch.float64)
    sampled = d.denoising_loss(model, x, torch.Generator().manual_seed(0), 0.5).item()
    assert sampled == pytest.approx(exact, rel=0.02)


@pytest.mark.equation("eq-denoising-contraction")
def test_a_little_noise_charges_for_the_jacobian():
    x = torch.from_numpy(cloud(1, 5)[0])
    rng = np.random.default_rng(0)
    A, b = (
        torch.from_numpy(rng.normal(size=(5, 5))),
        torch.from_numpy(rng.normal(size=5)),
    )
    # exact for polynomials up to degree 5
    nodes, w = np.polynomial.hermite_e.hermegauss(3)
    grid = torch.from_numpy(np.stack(np.meshgrid(*[nodes] * 5), axis=-1).reshape(-1, 5))
    weight = torch.from_numpy(math.prod(np.meshgrid(*[w / w.sum()] * 5)).reshape(-1))

    def mean_error(r, sigma):
        return (weight * (r(x + sigma * grid) - x).square().sum(dim=1)).sum().item()

    def affine(v):
        return v @ A.T + b

    wanted = (affine(x) - x).square().sum() + 0.7**2 * A.square().sum()
    assert mean_error(affine, 0.7) == pytest.approx(wanted.item())  # exactly

    model = net()
    J = torch.autograd.functional.jacobian(model, x)
    with torch.no_grad():
        bend = torch.zeros(
            5, dtype=torch.float64
        )  # the Laplacian of r, for the term of order sigma^2 |r - x|
        for unit in 1e-3 * torch.eye(5, dtype=torch.float64):
            bend += (model(x + unit) - 2 * model(x) + model(x - unit)) / 1e-6
        off = model(x) - x
        rise = (mean_error(model, 0.02) - off.square().sum().item()) / 0.02**2
        assert rise == pytest.approx((J.square().sum() + off @ bend).item(), rel=1e-2)


@pytest.mark.equation("eq-denoising-posterior")
def test_no_function_beats_the_posterior_mean():
    weights, places, sigma = np.array([0.2, 0.5, 0.3]), np.array([-1.0, 0.4, 2.0]), 0.6

    def cost(r):
        return sum(
            p
            * integrate.quad(
                lambda e, x=x: (r(x + sigma * e) - x) ** 2 * stats.norm.pdf(e), -9, 9
            )[0]
            for p, x in zip(weights, places, strict=True)
        )

    def best(v):
        like = weights * stats.norm.pdf(v, places, sigma)
        return like @ places / like.sum()

    least = cost(best)
    for wobble in (
        lambda v: 0.1,
        lambda v: 0.1 * v,
        lambda v: -0.1 * v,
        np.sin,
        lambda v: 0.2 * np.cos(3 * v),
    ):
        assert cost(lambda v, w=wobble: best(v) + w(v)) > least
    spikes = (weights, places[:, None], np.full((3, 1, 1), 1e-12))
    seen = np.linspace(-3, 4, 9)[:, None]
    assert np.allclose(
        d.posterior_mean(seen, *spikes, sigma)[:, 0], [best(v) for v in seen[:, 0]]
    )


@pytest.mark.equation("eq-denoising-blur", "eq-denoising-tweedie")
@pytest.mark.parametrize("sigma", [0.2, 1.0])
def test_tweedie_holds_for_a_density_that_is_no_mixture(sigma):
    def p(x):  # a triangle on [0, 1]
        return 2 * x

    def blur(v):
        return integrate.quad(
            lambda x: p(x) * stats.norm.pdf(v, x, sigma), 0, 1, epsabs=1e-13
        )[0]

    for v in (-0.7, 0.2, 0.9, 1.6):
        top = integrate.quad(
            lambda x, v=v: x * p(x) * stats.norm.pdf(v, x, sigma), 0, 1, epsabs=1e-13
        )[0]
        slope = (math.log(blur(v + 1e-4)) - math.log(blur(v - 1e-4))) / 2e-4
        mean = np.array([[top / blur(v)]])
        assert d.score_from_denoiser(np.array([[v]]), mean, sigma)[
            0, 0
        ] == pytest.approx(slope, abs=1e-4)


# --- the mixture
# ---------------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-denoising-mixture")
@given(st.integers(0, 2**31), st.floats(0.0, 3.0))
@settings(max_examples=30, deadline=None)
def test_density_and_slope_of_a_blurred_mixture(seed, sigma):
    X = np.random.default_rng(seed).uniform(-3, 3, size=(6, 2))
    density = sum(
        p * stats.multivariate_normal(m, S + sigma**2 * np.eye(2)).pdf(X)
        for p, m, S in zip(*THREE, strict=True)
    )
    assert np.allclose(np.exp(mixture_log_prob(X, *d.blur(*THREE, sigma))), density)
    x = torch.tensor(X, requires_grad=True)
    parts = [
        math.log(p)
        + torch.distributions.MultivariateNormal(
            torch.tensor(m), torch.tensor(S + sigma**2 * np.eye(2))
        ).log_prob(x)
        for p, m, S in zip(*THREE, strict=True)
    ]
    (slope,) = torch.autograd.grad(torch.logsumexp(torch.stack(parts), dim=0).sum(), x)
    assert np.allclose(d.mixture_score(X, *THREE, sigma), slope.numpy())


def test_blur_is_a_convolution():
    rng = np.random.default_rng(0)
    noisy = sample_mixture(400_000, *THREE, rng)[1] + 0.7 * rng.normal(
        size=(400_000, 2)
    )
    box = np.all(np.abs(noisy - [0.3, 0.2]) < 0.2, axis=1).mean() / 0.16
    assert np.exp(mixture_log_prob(np.array([[0.3, 0.2]]), *d.blur(*THREE, 0.7)))[
        0
    ] == pytest.approx(box, rel=0.1)


@pytest.mark.equation("eq-denoising-mixture-mean")
def test_the_posterior_mean_of_a_mixture_is_an_average_over_what_was_drawn():
    rng, sigma = np.random.default_rng(0), 0.8
    _, X = sample_mixture(400_000, *THREE, rng)
    for v in np.array([[0.0, 0.0], [1.5, 1.0], [-2.0, 0.5]]):
        log_w = -np.sum((X - v) ** 2, axis=1) / (
            2 * sigma**2
        )  # the prior's own draws, weighted by likelihood
        w = np.exp(log_w - log_w.max())
        assert np.allclose(
            d.posterior_mean(v[None], *THREE, sigma)[0], w @ X / w.sum(), atol=0.02
        )


@given(st.integers(0, 2**31), st.floats(0.05, 3.0))
@settings(max_examples=40, deadline=None)
def test_slope_and_posterior_mean_meet_at_tweedies_formula(seed, sigma):
    X = np.random.default_rng(seed).uniform(-4, 4, size=(8, 2))
    by_denoiser = d.score_from_denoiser(X, d.posterior_mean(X, *THREE, sigma), sigma)
    assert np.allclose(
        by_denoiser, d.mixture_score(X, *THREE, sigma), atol=1e-8 / sigma**2
    )


@pytest.mark.equation("eq-denoising-climb")
@given(st.integers(0, 2**31), st.floats(0.1, 3.0))
@settings(max_examples=40, deadline=None)
def test_a_step_climbs_by_at_least_half_its_square(seed, sigma):
    a = np.random.default_rng(seed).uniform(-4, 4, size=(20, 2))
    b = d.posterior_mean(a, *THREE, sigma)
    rise = mixture_log_prob(b, *d.blur(*THREE, sigma)) - mixture_log_prob(
        a, *d.blur(*THREE, sigma)
    )
    assert np.all(rise >= np.sum((b - a) ** 2, axis=1) / (2 * sigma**2) - 1e-9)


def test_a_walk_keeps_its_stations():
    path = d.walk(lambda X: X / 2, np.array([[8.0, 4.0]]), 3)
    assert path.tolist() == [[[8, 4]], [[4, 2]], [[2, 1]], [[1, 0.5]]]
    with pytest.raises(ValueError, match="count from 0"):
        d.walk(lambda X: X, np.ones((1, 1)), -1)


# --- what is learned
# -----------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-denoising-wiener")
def test_the_wiener_filter_is_the_regression_of_clean_on_noisy():
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    lam, mu = np.array([2.0, 0.5, 0.1]), np.array([1.0, -2.0, 0.5])
    X = rng.normal(size=(300_000, 3)) * np.sqrt(lam) @ turn.T + mu
    noisy = X + 0.7 * rng.normal(size=X.shape)
    beta = scipy.linalg.lstsq(np.column_stack([noisy, np.ones(len(X))]), X)[
        0
    ]  # least squares knows no spectrum
    seen = rng.normal(size=(5, 3))
    fitted = np.column_stack([seen, np.ones(5)]) @ beta
    assert np.allclose(d.wiener(seen, mu, turn, lam, 0.7), fitted, atol=0.02)
    S = (turn * lam) @ turn.T
    one = d.posterior_mean(seen, np.ones(1), mu[None], S[None], 0.7)
    assert np.allclose(d.wiener(seen, mu, turn, lam, 0.7), one)


def test_the_share_that_is_passed_on_is_the_mean_of_the_jacobian():
    model, X = net(), torch.from_numpy(cloud(12, 5))
    W = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 3)))[0]
    with torch.no_grad():
        slopes = [
            (
                (
                    model(X + 1e-5 * torch.from_numpy(w))
                    - model(X - 1e-5 * torch.from_numpy(w))
                )
                / 2e-5
            ).numpy()
            @ w
            for w in W.T
        ]
    assert np.allclose(
        d.copied_share(model, X, W), [s.mean() for s in slopes], atol=1e-8
    )


@pytest.mark.equation("eq-denoising-memory")
def test_the_memory_is_the_posterior_mean_of_spikes():
    X, examples = cloud(6, 3, 1), cloud(9, 3)
    spikes = (np.full(9, 1 / 9), examples, np.tile(1e-13 * np.eye(3), (9, 1, 1)))
    assert np.allclose(d.memory(X, examples, 0.4), d.posterior_mean(X, *spikes, 0.4))
    # one memory, one answer
    assert np.allclose(d.memory(X, examples[:1], 0.4), examples[0])
    assert np.allclose(
        d.memory(100 + X, examples, 1e-2), d.memory(100 + X, examples, 1e-3)
    )  # no overflow


@pytest.mark.equation("eq-denoising-variance")
def test_variance_is_what_is_known_and_what_is_not():
    rng = np.random.default_rng(0)
    _, X = sample_mixture(400_000, *THREE, rng)
    r = d.posterior_mean(X + 0.9 * rng.normal(size=X.shape), *THREE, 0.9)
    left = np.mean(np.sum((r - X) ** 2, axis=1))
    assert X.var(axis=0).sum() == pytest.approx(r.var(axis=0).sum() + left, rel=0.01)


def test_halving_is_the_mean_of_blocks():
    X = np.arange(32.0).reshape(2, 16)
    by_loops = [
        [
            np.mean([x[4 * (2 * i + a) + 2 * j + b] for a in (0, 1) for b in (0, 1)])
            for i in (0, 1)
            for j in (0, 1)
        ]
        for x in X
    ]
    assert np.allclose(d.halve(X), by_loops)
    for D in (9, 15):
        with pytest.raises(ValueError, match="crop them"):
            d.halve(np.ones((2, D)))


def test_top_k_keeps_the_largest_and_passes_their_gradient_only():
    h = torch.tensor(
        [[3.0, -1.0, 2.0, 5.0], [0.0, -3.0, -1.0, -2.0]], requires_grad=True
    )
    kept = d.TopK(2)(h)
    assert kept.tolist() == [[3, 0, 0, 5], [0, 0, -1, 0]]
    kept.sum().backward()
    assert h.grad.tolist() == [[1, 0, 0, 1], [1, 0, 1, 0]]
    with pytest.raises(ValueError, match="lower k"):
        d.TopK(5)(h)
    with pytest.raises(ValueError, match="at least one unit"):
        d.TopK(0)


# --- the class
# -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """Small pictures of few kinds."""
    rng = np.random.default_rng(0)
    kinds = rng.uniform(size=(5, 16)) > 0.5
    return np.clip(
        kinds[rng.integers(5, size=300)] * 0.9 + 0.05 * rng.uniform(size=(300, 16)),
        0,
        1,
    )


@pytest.fixture(scope="module")
def fitted(digits) -> DenoisingAutoencoder:
    """A network trained on them."""
    return DenoisingAutoencoder(n_components=40, sigma=0.3, epochs=60).fit(digits)


def test_the_class_is_made_of_the_pieces(fitted, digits):
    noisy = digits + 0.3 * np.random.default_rng(1).normal(size=digits.shape)
    hidden = fitted.encode(noisy)
    assert hidden.shape == (300, 40)
    assert hidden.min() >= 0
    assert np.allclose(fitted.decode(hidden), fitted.denoise(noisy), atol=1e-5)
    assert np.allclose(fitted.transform(noisy), hidden)
    slope = fitted.grad_log_prob(noisy)
    assert np.allclose(slope, (fitted.denoise(noisy) - noisy) / 0.09)
    assert np.sum((fitted.denoise(noisy) - digits) ** 2) < 0.2 * np.sum(
        (noisy - digits) ** 2
    )
    assert len(fitted.history_.loss) == 60
    assert fitted.history_.loss[-1] < fitted.history_.loss[0]


def test_it_learns_the_slope_of_its_own_blurred_data(fitted, digits):
    noisy = digits + 0.3 * np.random.default_rng(2).normal(size=digits.shape)
    exact = d.score_from_denoiser(noisy, d.memory(noisy, digits, 0.3), 0.3)
    found = fitted.grad_log_prob(noisy)
    cosine = (
        np.sum(found * exact, axis=1)
        / np.linalg.norm(found, axis=1)
        / np.linalg.norm(exact, axis=1)
    )
    assert cosine.mean() > 0.85


def test_the_same_seed_gives_the_same_network_and_the_global_chance_is_untouched(
    digits,
):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (
        DenoisingAutoencoder(20, epochs=2, random_state=s).fit(digits)
        for s in (0, 0, 1)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(first.denoise(digits), again.denoise(digits))
    assert not np.allclose(first.denoise(digits), other.denoise(digits))
    copy = clone(first)
    assert copy.get_params() == first.get_params()
    with pytest.raises(NotFittedError):
        copy.denoise(digits)


@pytest.mark.parametrize("sigma", [0.0, -0.1, math.nan])
def test_a_noise_of_nothing_is_refused(sigma, digits):
    with pytest.raises(ValueError, match="give sigma > 0"):
        DenoisingAutoencoder(sigma=sigma).fit(digits)
    with pytest.raises(ValueError, match="sigma"):
        d.wiener(digits, digits[0], np.eye(16), np.ones(16), sigma)
    with pytest.raises(ValueError, match="sigma"):
        d.memory(digits, digits, sigma)
    with pytest.raises(ValueError, match="positive standard deviation"):
        d.score_from_denoiser(digits, digits, sigma)


def test_bad_images_get_an_error_that_names_the_cure(fitted, digits):
    broken = digits.copy()
    broken[3, 4] = np.nan
    for bad, error, cure in [
        (broken, ValueError, "drop|finite|NaN"),
        (digits[:0], ValueError, "0 sample"),
        (np.arange(10), ValueError, "labels"),
    ]:
        with pytest.raises(error, match=cure):
            DenoisingAutoencoder(epochs=1).fit(bad)
    with pytest.raises(ValueError, match="expecting 16"):
        fitted.denoise(np.ones((2, 9)))
    with pytest.raises(ValueError, match="codes of 40"):
        fitted.decode(np.ones((2, 16)))
    with pytest.raises(ValueError, match="whole number, at least 1"):
        DenoisingAutoencoder(n_components=0).fit(digits)
    with pytest.raises(ValueError, match="0 or more"):
        d.denoising_loss(net(), torch.zeros(1, 5).double(), torch.Generator(), -1.0)
    for pi in (np.array([0.5, 0.5, 0.5]), np.array([1.2, -0.4, 0.2])):
        with pytest.raises(ValueError, match=r"pi / pi\.sum"):
            d.mixture_score(MU, pi, MU, SIGMA)
    with pytest.raises(ValueError, match="0 or more"):
        mixture_log_prob(MU, *d.blur(*THREE, -0.1))
    with pytest.raises(ValueError, match="0 or more"):
        d.posterior_mean(MU, *THREE, -1.0)


def test_training_takes_the_loss_as_it_is(digits):
    from latent_book.training import train

    with seeded(0):
        model = d.overcomplete(16, 20)
    loss = partial(d.denoising_loss, sigma=0.2)
    history = train(
        model, loss, torch.from_numpy(digits).float(), epochs=3, progress=False
    )
    assert history.loss[-1] < history.loss[0]


@pytest.mark.parametrize("N", [1, 300, 5000])
def test_slopes_and_means_of_many_rows_are_those_of_a_plain_loop(N):
    """A loop over rows and components with inverses, in place of one root for a
    component; more rows than a block.
    """
    pi, mu, Sigma = THREE
    X = 3 * np.random.default_rng(N).normal(size=(N, 2))
    X[-1] = 400.0  # here all components but one have weight 0
    slope, mean = d.mixture_score(X, *THREE, 0.3), d.posterior_mean(X, *THREE, 0.3)
    C = Sigma + 0.09 * np.eye(2)
    for n in {0, N // 2, N - 1}:
        log_p = [
            math.log(w) + stats.multivariate_normal(a, c).logpdf(X[n])
            for w, a, c in zip(pi, mu, C, strict=True)
        ]
        r = np.exp(log_p - np.logaddexp.reduce(log_p))
        pulls = [np.linalg.inv(c) @ (X[n] - a) for a, c in zip(mu, C, strict=True)]
        np.testing.assert_allclose(slope[n], -sum(r[:, None] * pulls), rtol=1e-9)
        means = [a + S @ p for a, S, p in zip(mu, Sigma, pulls, strict=True)]
        np.testing.assert_allclose(mean[n], sum(r[:, None] * means), rtol=1e-9)


def test_a_component_has_one_root_whatever_the_number_of_rows(monkeypatch):
    roots = []

    def counted(*given, **more):
        roots.append(given[0].shape)
        return scipy.linalg.cho_factor(*given, **more)

    monkeypatch.setattr(d, "cho_factor", counted)
    X = np.random.default_rng(0).normal(size=(9000, 2))
    d.mixture_score(X, *THREE, 0.3)
    d.posterior_mean(X, *THREE, 0.3)
    assert roots == [(2, 2)] * 2 * len(MU)


@pytest.mark.parametrize("kind", ["tied", "diag", "spherical"])
def test_a_covariance_of_another_kind_is_refused_with_the_shape_that_is_wanted(
    kind, monkeypatch
):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    K, D = MU.shape
    Sigma = {"tied": np.eye(D), "diag": np.ones((K, D)), "spherical": np.ones(K)}[kind]
    wanted = rf"pass Sigma \({K}, {D}, {D}\); of .* make "
    with pytest.raises(ValueError, match=wanted):
        d.blur(THREE[0], MU, Sigma, 0.3)
    for verb in (d.mixture_score, d.posterior_mean):
        with pytest.raises(ValueError, match=wanted):
            verb(MU, THREE[0], MU, Sigma, 0.3)


def test_a_row_too_far_for_a_posterior_is_named():
    X = np.array([[0.0, 0.0], [1e160, 0.0]])
    for verb in (d.mixture_score, d.posterior_mean):
        with pytest.raises(ValueError, match="row 1 of X is so far"):
            verb(X, *THREE, 0.3)
