"""The chapter on the bound, by independent routes: exact fractions, loops, quadrature,
automatic differentiation, PyTorch's and SciPy's own.
"""

import inspect
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats
from scipy.special import logsumexp
from torch.distributions import (
    Categorical,
    MultivariateNormal,
    kl_divergence,
)

from latent_book import bound as b

seeds = st.integers(0, 2**31)
quick = settings(max_examples=60, deadline=None)


def tables(
    seed: int, N: int = 6, K: int = 4, scale: float = 5.0
) -> tuple[np.ndarray, np.ndarray]:
    """Any log-joint probabilities, and any guesses, some of them with zeros."""
    rng = np.random.default_rng(seed)
    q = rng.dirichlet(np.full(K, 0.3), size=N)
    q[0] = np.eye(K)[0]
    q[1] = np.r_[0.0, np.full(K - 1, 1 / (K - 1))]
    return rng.normal(scale=scale, size=(N, K)), q


def two_bumps(z: np.ndarray, apart: float, width: float = 0.7) -> np.ndarray:
    """The log-density of a bump of 40% on the left and one of 60% on the right."""
    left, right = stats.norm(-apart, width), stats.norm(apart, width)
    return np.log(0.4 * left.pdf(z) + 0.6 * right.pdf(z))


# --- Jensen
# --------------------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-bound-log")
@given(st.floats(1e-300, 1e300))
def test_the_logarithm_stays_below_its_tangent(t):
    assert math.log(t) <= t - 1
    if abs(t - 1) > 1e-6:
        assert math.log(t) < t - 1


probabilities = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8).filter(
    lambda a: math.fsum(a) > 0.01
)


@pytest.mark.equation("eq-bound-jensen")
@given(probabilities, st.data())
@settings(max_examples=200, deadline=None)
def test_log_of_the_mean_is_at_least_the_mean_of_the_logs(a, data):
    n = len(a)
    values = data.draw(st.lists(st.floats(1e-30, 1e30), min_size=n, max_size=n))
    weights = np.array(a) / math.fsum(a)
    definition = math.log(math.fsum(weights * values)) - math.fsum(
        weights * np.log(values)
    )
    assert definition >= -1e-12 * (1 + np.abs(np.log(values)).max())
    gap = b.jensen_gap(weights, np.array(values))
    assert gap >= 0
    assert gap == pytest.approx(definition, abs=1e-9)


@given(probabilities, st.floats(1e-30, 1e30))
@quick
def test_equality_for_a_constant_and_only_for_one(a, constant):
    weights = np.array(a) / math.fsum(a)
    assert b.jensen_gap(weights, np.full(len(a), constant)) < 1e-12
    held = weights > 1e-3
    if held.sum() > 1:
        values = np.full(len(a), constant)
        values[held.argmax()] *= 1.5
        assert b.jensen_gap(weights, values) > 1e-6


# --- the bound and the gap
# -----------------------------------------------------------------------------------------


@pytest.mark.equation("eq-bound-evidence")
def test_the_evidence_is_the_sum_in_exact_fractions():
    prior = [Fraction(5, 10), Fraction(3, 10), Fraction(2, 10)]
    likelihood = [Fraction(2, 100), Fraction(1, 10), Fraction(3, 10)]
    joint = [p * v for p, v in zip(prior, likelihood, strict=True)]
    assert sum(joint) == Fraction(1, 10)
    log_joint = np.log([[float(v) for v in joint]])
    found = b.posterior(log_joint)[0]
    assert found == pytest.approx([float(v / sum(joint)) for v in joint])
    assert b.elbo(log_joint, found[None])[0] == pytest.approx(math.log(1 / 10))


@pytest.mark.equation("eq-bound-fisher")
def test_the_slope_of_the_evidence_is_the_posteriors_mean_of_slopes():
    torch.manual_seed(0)
    theta = torch.tensor([0.3, -1.0, 0.2], dtype=torch.float64, requires_grad=True)
    x = torch.linspace(-3, 3, 7, dtype=torch.float64)

    def joint(theta):
        means = torch.stack([theta[0], theta[1]])
        log_pi = torch.log_softmax(
            torch.stack([theta[2], torch.zeros_like(theta[2])]), 0
        )
        return log_pi - 0.5 * (x[:, None] - means) ** 2 - 0.5 * math.log(2 * math.pi)

    (direct,) = torch.autograd.grad(torch.logsumexp(joint(theta), 1).sum(), theta)
    R = torch.from_numpy(b.posterior(joint(theta).detach().numpy()))
    (averaged,) = torch.autograd.grad((R * joint(theta)).sum(), theta)
    assert torch.allclose(direct, averaged, atol=1e-12)


def by_loops(log_joint: np.ndarray, q: np.ndarray) -> list[float]:
    """The definition, a term at a time."""
    return [
        math.fsum(
            qk * math.log(math.exp(v) / qk)
            for v, qk in zip(row, guess, strict=True)
            if qk > 0
        )
        for row, guess in zip(log_joint.tolist(), q.tolist(), strict=True)
    ]


@pytest.mark.equation("eq-bound-elbo")
@given(seeds)
@quick
def test_the_bound_is_its_definition_and_lies_below(seed):
    log_joint, q = tables(seed)
    found = b.elbo(log_joint, q)
    assert np.allclose(found, by_loops(log_joint, q), atol=1e-10)
    assert np.all(found <= np.log(np.exp(log_joint).sum(axis=1)) + 1e-12)


@pytest.mark.equation("eq-bound-identity")
@given(seeds, st.floats(0.1, 30.0))
@settings(max_examples=200, deadline=None)
def test_bound_and_gap_add_up_for_any_guess(seed, scale):
    log_joint, q = tables(seed, scale=scale)
    with np.errstate(divide="ignore"):
        gap = b.kl(q, b.posterior(log_joint))
    logp = np.array(
        [math.log(math.fsum(math.exp(v) for v in row)) for row in log_joint.tolist()]
    )
    finite = np.isfinite(gap)
    total = b.elbo(log_joint, q) + gap
    assert np.abs(total - logp)[finite].max() < 1e-10
    R = b.posterior(log_joint)
    assert np.abs(b.elbo(log_joint, R) - logp).max() < 1e-10  # tight


@pytest.mark.equation("eq-bound-energy", "eq-bound-prior")
@given(seeds)
@quick
def test_three_readings_of_one_number(seed):
    rng = np.random.default_rng(seed)
    prior, q = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5), size=3)
    log_lik = rng.normal(scale=4, size=(3, 5))
    found = b.elbo(np.log(prior) + log_lik, q)
    entropies = Categorical(torch.from_numpy(q)).entropy().numpy()
    assert np.allclose(
        found, (q * (np.log(prior) + log_lik)).sum(axis=1) + entropies, atol=1e-10
    )
    p = Categorical(torch.from_numpy(np.tile(prior, (3, 1))))
    code = (q * log_lik).sum(axis=1) - kl_divergence(
        Categorical(torch.from_numpy(q)), p
    ).numpy()
    assert np.allclose(found, code, atol=1e-10)
    assert np.allclose(b.entropy(q), stats.entropy(q, axis=1))


@given(seeds)
@quick
def test_no_guess_beats_the_posterior(seed):
    log_joint, q = tables(seed)
    R = b.posterior(log_joint)
    assert np.all(b.elbo(log_joint, R) >= b.elbo(log_joint, q) - 1e-12)
    nudged = 0.999 * R + 0.001 * q
    assert np.all(b.elbo(log_joint, nudged) <= b.elbo(log_joint, R) + 1e-12)


def test_a_guess_that_believes_in_the_impossible_is_infinitely_wrong():
    log_joint = np.log([[1e-300, 0.5, 0.5]])
    log_joint[0, 0] = -np.inf
    assert b.elbo(log_joint, np.array([[0.1, 0.4, 0.5]]))[0] == -np.inf
    assert b.kl(np.array([[0.1, 0.4, 0.5]]), b.posterior(log_joint))[0] == np.inf
    assert b.elbo(log_joint, np.array([[0.0, 0.5, 0.5]]))[0] == pytest.approx(
        0.0, abs=1e-15
    )


def test_far_away_nothing_underflows():
    log_joint = np.array([[-5e5, -5e5 - 1.0]])
    assert b.posterior(log_joint)[0, 0] == pytest.approx(1 / (1 + math.exp(-1)))
    assert b.elbo(log_joint, b.posterior(log_joint))[0] == pytest.approx(
        -5e5 + math.log(1 + math.exp(-1)), abs=1e-9
    )


# --- the divergence
# ------------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-bound-kl")
@given(seeds, st.integers(2, 9))
@quick
def test_the_divergence_is_that_of_scipy_and_never_negative(seed, K):
    q, p = np.random.default_rng(seed).dirichlet(np.full(K, 0.5), size=(2, 7))
    p = 0.999 * p + 0.001 / K
    assert np.allclose(b.kl(q, p), stats.entropy(q, p, axis=1), atol=1e-12)
    assert b.kl(q, p).min() >= 0
    assert np.all(b.kl(q, q) == 0)
    near = p + 1e-9 * (np.arange(K) - (K - 1) / 2)
    assert np.all(b.kl(near, p) >= 0)


def test_the_divergence_is_the_mean_gain_of_the_true_belief_in_long_runs():
    q, p = np.array([[0.5, 0.3, 0.2]]), np.array([[0.2, 0.2, 0.6]])
    draws = np.random.default_rng(0).choice(3, size=200_000, p=q[0])
    assert np.log(q[0] / p[0])[draws].mean() == pytest.approx(b.kl(q, p)[0], abs=0.01)


def covariance(rng: np.random.Generator, D: int) -> np.ndarray:
    """Some positive definite matrix."""
    A = rng.normal(size=(D, D))
    return A @ A.T + 0.2 * np.eye(D)


@pytest.mark.equation("eq-bound-gaussian")
@given(seeds, st.integers(1, 6))
@quick
def test_the_closed_form_is_that_of_torch(seed, D):
    rng = np.random.default_rng(seed)
    mu_q, mu_p, Sigma_q, Sigma_p = (
        *rng.normal(size=(2, D)),
        covariance(rng, D),
        covariance(rng, D),
    )
    q, p = (
        MultivariateNormal(torch.from_numpy(mu), torch.from_numpy(Sigma))
        for mu, Sigma in ((mu_q, Sigma_q), (mu_p, Sigma_p))
    )
    found = b.kl_gaussian(mu_q, Sigma_q, mu_p, Sigma_p)
    assert found == pytest.approx(float(kl_divergence(q, p)), rel=1e-8, abs=1e-9)
    assert found >= 0
    assert b.kl_gaussian(mu_q, Sigma_q, mu_q, Sigma_q) < 1e-12


@pytest.mark.parametrize(
    "case", [(0.0, 1.0, 0.0, 1.0), (1.0, 0.3, -0.5, 2.0), (-2.0, 1.7, 0.4, 0.8)]
)
def test_the_closed_form_is_the_integral(case):
    m, s, n, t = case
    q, p = stats.norm(m, s), stats.norm(n, t)
    area = integrate.quad(
        lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)),
        m - 12 * s,
        m + 12 * s,
        epsabs=1e-12,
    )[0]
    found = b.kl_gaussian(
        np.array([m]), np.array([[s**2]]), np.array([n]), np.array([[t**2]])
    )
    assert found == pytest.approx(area, abs=1e-9)


# --- forward and reverse
# -------------------------------------------------------------------------------------------

Z = np.linspace(-8, 8, 321)


@pytest.mark.equation("eq-bound-moments")
def test_the_forward_fit_is_where_a_blind_search_ends():
    for apart in (0.5, 2.0, 2.5):
        log_p = two_bumps(Z, apart)

        # by quadrature, with the density of the whole line
        def forward(eta, log_p=log_p):
            q = stats.norm.logpdf(Z, eta[0], math.exp(eta[1]))
            return np.trapezoid(np.exp(log_p) * (log_p - q), Z)

        found = optimize.minimize(
            forward,
            [0.0, 0.0],
            method="Nelder-Mead",
            options={"xatol": 1e-7, "fatol": 1e-13},
        )
        mu, sigma = b.fit_forward(Z, log_p)
        assert [mu, sigma] == pytest.approx(
            [found.x[0], math.exp(found.x[1])], abs=1e-5
        )
        assert mu == pytest.approx(0.2 * apart, abs=1e-9)
        # within and between
        assert sigma**2 == pytest.approx(0.49 + 0.96 * apart**2, abs=1e-6)
        assert b.fit_forward(Z, log_p + 7.0) == pytest.approx((mu, sigma))


@pytest.mark.equation("eq-bound-reverse")
def test_the_slope_of_the_reverse_divergence_by_differentiation():
    eta = torch.tensor([0.4, math.log(1.3)], dtype=torch.float64, requires_grad=True)
    u = torch.linspace(
        -12, 12, 4001, dtype=torch.float64
    )  # z = mu + sigma u, so that the grid follows
    weights = torch.exp(-(u**2) / 2) / math.sqrt(2 * math.pi) * (u[1] - u[0])

    def log_p(z):
        left, right = (
            torch.distributions.Normal(-2.0, 0.7),
            torch.distributions.Normal(2.0, 0.7),
        )
        return torch.logaddexp(
            math.log(0.4) + left.log_prob(z), math.log(0.6) + right.log_prob(z)
        )

    sigma = eta[1].exp()
    z = eta[0] + sigma * u
    entropy = eta[1] + 0.5 * math.log(2 * math.pi * math.e)
    (slopes,) = torch.autograd.grad(-entropy - (weights * log_p(z)).sum(), eta)
    with torch.no_grad():
        log_ratio = -eta[1] - 0.5 * math.log(2 * math.pi) - u**2 / 2 - log_p(z)
        by_formula = [
            (weights * u * log_ratio).sum() / sigma,
            (weights * (u**2 - 1) * log_ratio).sum(),
        ]
    assert slopes.numpy() == pytest.approx([float(v) for v in by_formula], abs=1e-8)


@pytest.mark.parametrize(
    "start", [(-2.5, 1.0), (2.5, 1.0), (0.0, 2.0), (-1.0, 0.5), (5.0, 0.4)]
)
def test_the_reverse_fit_ends_where_another_descent_does(start):
    log_p = two_bumps(Z, 2.5)
    p = b.posterior(log_p[None])

    def reverse(eta):
        return b.kl(b.gaussian_on_grid(Z, eta[0], math.exp(eta[1]))[None], p)[0]

    mu, sigma = b.fit_reverse(Z, log_p, *start)
    found = optimize.minimize(
        reverse, [mu, math.log(sigma)], method="BFGS", options={"gtol": 1e-8}
    )
    assert [mu, sigma] == pytest.approx([found.x[0], math.exp(found.x[1])], abs=1e-3)
    assert b.fit_reverse(Z, log_p - 3.0, *start) == pytest.approx(
        (mu, sigma), abs=1e-6
    )  # to rounding


@given(st.floats(0.3, 3.0), st.floats(-4, 4), st.floats(0.3, 3.0))
@settings(max_examples=15, deadline=None)
def test_the_reverse_fit_never_goes_uphill(apart, mu, sigma):
    log_p = two_bumps(Z, apart)
    p = b.posterior(log_p[None])
    path = [b.fit_reverse(Z, log_p, mu, sigma, steps=k) for k in (1, 2, 4, 8, 16, 64)]
    values = [b.kl(b.gaussian_on_grid(Z, *at)[None], p)[0] for at in path]
    assert np.all(np.diff(values) <= 1e-9)


@pytest.mark.equation("eq-bound-likelihood")
def test_maximum_likelihood_is_the_forward_fit():
    counts = np.array([30, 50, 20])
    x = np.repeat(np.arange(3), counts)
    model = np.array([0.5, 0.3, 0.2])
    by_data = np.mean([math.log(model[i]) for i in x])
    p_hat = counts / 100
    assert by_data == pytest.approx(-stats.entropy(p_hat) - stats.entropy(p_hat, model))
    assert by_data == pytest.approx(
        -b.entropy(p_hat[None])[0] - b.kl(p_hat[None], model[None])[0]
    )


# --- tight, loose, sampled
# -----------------------------------------------------------------------------------------


@pytest.mark.equation("eq-bound-touch")
@pytest.mark.parametrize("theta_0", [-3.0, -0.2, 1.1, 4.0])
def test_a_tight_bound_touches_with_the_same_slope(theta_0):
    x = torch.tensor([-1.2, 0.3, 2.2, 1.9], dtype=torch.float64)

    def joint(theta):
        means = torch.stack([theta, torch.tensor(2.0, dtype=torch.float64)])
        return (
            math.log(0.5)
            - 0.5 * (x[:, None] - means) ** 2
            - 0.5 * math.log(2 * math.pi)
        )

    theta = torch.tensor(theta_0, dtype=torch.float64, requires_grad=True)
    q = b.posterior(joint(theta).detach().numpy())
    fixed = torch.from_numpy(q)
    logp = torch.logsumexp(joint(theta), 1).sum()
    bound = (fixed * (joint(theta) - fixed.log())).sum()
    assert bound.item() == pytest.approx(logp.item(), abs=1e-10)
    assert b.elbo(joint(theta).detach().numpy(), q).sum() == pytest.approx(
        bound.item(), abs=1e-10
    )
    slopes = [float(torch.autograd.grad(value, theta)[0]) for value in (bound, logp)]
    assert slopes[0] == pytest.approx(slopes[1], abs=1e-10)
    for other in np.linspace(-6, 6, 25):
        table = joint(torch.tensor(other, dtype=torch.float64)).numpy()
        assert b.elbo(table, q).sum() <= logsumexp(table, axis=1).sum() + 1e-12


@pytest.mark.equation("eq-bound-step", "eq-bound-price")
@given(seeds)
@quick
def test_a_rise_of_the_bound_costs_at_most_the_old_gap(seed):
    (before, q), (after, q_new) = tables(seed, N=40), tables(seed + 1, N=40)
    with np.errstate(divide="ignore"):
        gaps = [b.kl(q, b.posterior(before)), b.kl(q_new, b.posterior(after))]
    logp = [np.log(np.exp(table).sum(axis=1)) for table in (before, after)]
    lower = [b.elbo(before, q), b.elbo(after, q_new)]
    step = logp[1] - logp[0]
    assert np.allclose(step, lower[1] - lower[0] + gaps[1] - gaps[0], atol=1e-9)
    raised = lower[1] >= lower[0]
    assert np.all(step[raised] >= -gaps[0][raised] - 1e-9)


def test_the_price_can_be_as_high_as_the_gap():
    """Nothing better can be proved: here log p falls by nearly all of it."""
    before, q = np.log([[0.5, 0.5]]), np.array([[1.0, 0.0]])
    after = np.log([[0.5 + 1e-9, 1e-12]])
    assert b.elbo(after, q)[0] > b.elbo(before, q)[0]
    fall = logsumexp(before) - logsumexp(after)
    assert fall == pytest.approx(b.kl(q, b.posterior(before))[0], abs=1e-6)


@pytest.mark.equation("eq-bound-samples")
def test_the_log_of_a_mean_of_samples_by_adding_up_all_draws():
    joint, q = np.array([0.01, 0.03, 0.06]), np.array([0.8, 0.15, 0.05])
    rungs, means = [], []
    for M in (1, 2, 3, 5):
        draws = list(itertools.product(range(3), repeat=M))
        chance = [math.prod(q[k] for k in draw) for draw in draws]
        mean = [sum(joint[k] / q[k] for k in draw) / M for draw in draws]
        rungs.append(
            math.fsum(c * math.log(m) for c, m in zip(chance, mean, strict=True))
        )
        means.append(math.fsum(c * m for c, m in zip(chance, mean, strict=True)))
    assert rungs[0] == pytest.approx(b.elbo(np.log(joint)[None], q[None])[0])
    assert means == pytest.approx([0.1] * 4)  # unbiased
    assert all(low < high for low, high in itertools.pairwise([*rungs, math.log(0.1)]))


# --- bad calls
# -----------------------------------------------------------------------------------------------------

OK, LJ = np.array([[0.5, 0.5]]), np.log([[0.1, 0.2]])
WRONG = [
    (lambda: b.elbo(LJ, np.array([[0.5, 0.6]])), r"divide: q / q.sum\(axis=-1"),
    (lambda: b.elbo(LJ, LJ), r"pass np.exp\(q\)"),
    (lambda: b.elbo(LJ, np.array([[np.nan, 0.5]])), "row 0; drop or mend"),
    (lambda: b.elbo(LJ * np.nan, OK), "drop such rows"),
    (lambda: b.posterior(np.array([[-np.inf, -np.inf]])), "has no posterior; drop it"),
    (lambda: b.kl(OK, np.array([[0.7, 0.7]])), "row 0 of p sums to 1.4"),
    (lambda: b.entropy(np.array([[2.0, -1.0]])), "negative probability"),
    (
        lambda: b.jensen_gap(OK[0], np.array([1.0, 0.0])),
        "drop the others with their weights",
    ),
    (
        lambda: b.jensen_gap(np.array([0.5, 0.6]), np.ones(2)),
        "divide: weights / weights.sum",
    ),
    (
        lambda: b.kl_gaussian(np.zeros(2), np.eye(2), np.zeros(2), np.ones((2, 2))),
        r"jitter \* np.eye",
    ),
    (
        lambda: b.kl_gaussian(np.zeros(1), np.eye(1) * np.nan, np.zeros(1), np.eye(1)),
        "finite and symmetric",
    ),
    (lambda: b.gaussian_on_grid(Z, 0.0, -1.0), "a width above zero"),
    (lambda: b.fit_reverse(Z, np.where(Z > 0, 0.0, -np.inf), 0.0, 1.0), "cut the grid"),
    (lambda: b.elbo(np.array([[0.0, np.inf]]), OK), "zero width"),
    (
        lambda: b.posterior(np.array([[0.0, -1.0], [-np.inf, -np.inf]])),
        "no cause can have made observation 1",
    ),
    (lambda: b.jensen_gap(OK[0], np.array([1.0, -1.0])), "above zero"),
    (lambda: b.jensen_gap(OK[0], np.array([1.0, np.nan])), "above zero"),
    (lambda: b.gaussian_on_grid(Z, 0.0, 0.0), "a width above zero"),
    (
        lambda: b.kl_gaussian(
            np.zeros(2), np.eye(2) + np.eye(2, k=1) / 2, np.zeros(2), np.eye(2)
        ),
        "finite and symmetric",
    ),
    (
        lambda: b.kl_gaussian(
            np.zeros(2),
            1e-20 * (np.eye(2) + np.eye(2, k=1) / 2),
            np.zeros(2),
            1e-20 * np.eye(2),
        ),
        "finite and symmetric",
    ),
    (
        lambda: b.kl_gaussian(np.full(1, np.inf), np.eye(1), np.zeros(1), np.eye(1)),
        "a mean has",
    ),
    (lambda: b.fit_reverse(Z, np.zeros_like(Z), 0.0, 0.0), "a width above zero"),
]


@pytest.mark.parametrize(("call", "cure"), WRONG)
def test_bad_calls_are_refused_with_a_cure(call, cure):
    with pytest.raises(ValueError, match=cure):
        call()


@pytest.mark.parametrize(("q", "p"), [((2, 3), (2, 4)), ((3,), (3,))])
def test_shapes_that_do_not_fit_are_refused(q, p):
    with pytest.raises((ValueError, TypeError)):
        b.kl(np.full(q, 1 / q[-1]), np.full(p, 1 / p[-1]))


@pytest.mark.parametrize(
    ("function", "arguments", "cure"),
    [
        (b.jensen_gap, (np.ones(1), np.ones(2)), "one weight for each value"),
        (b.elbo, (LJ, OK[0]), r"pass q\[None\]"),
        (b.elbo, (LJ, np.array([[0.2, 0.3, 0.5]])), "a row of q for each observation"),
        (b.kl, (OK, np.array([[0.2, 0.3, 0.5]])), "two tables of one shape"),
        (b.posterior, (LJ[0],), r"log_joint\[None\]"),
        (
            b.kl_gaussian,
            (np.zeros(2), np.ones(2), np.zeros(2), np.eye(2)),
            r"np.diag\(variances\)",
        ),
    ],
)
def test_a_user_is_told_which_shape_to_pass(function, arguments, cure):
    """Without the tests' own check of shapes, which would be first to complain."""
    with pytest.raises(ValueError, match=cure):
        inspect.unwrap(function)(*arguments)


def test_the_gap_of_jensen_is_right_where_the_values_fill_the_range_of_doubles():
    extremes = np.array([1e-300, 1e300])
    assert b.jensen_gap(np.array([1.0, 0.0]), extremes) == 0
    assert b.jensen_gap(OK[0], extremes) == pytest.approx(
        300 * math.log(10) - math.log(2)
    )


def test_a_gaussian_is_nowhere_from_itself():
    assert b.kl_gaussian(np.ones(2), 3 * np.eye(2), np.ones(2), 3 * np.eye(2)) == 0


def test_a_first_step_that_is_too_long_is_taken_back():
    log_p = two_bumps(Z, 0.5)
    far, near = (b.fit_reverse(Z, log_p, *at) for at in ((-4.0, 0.3), (0.0, 1.0)))
    assert far == pytest.approx(near, abs=1e-4)


def test_an_empty_table_gives_an_empty_answer():
    none = np.zeros((0, 3))
    assert b.elbo(none, none).shape == b.kl(none, none).shape == (0,)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_the_distance_of_two_gaussians_has_no_unit(unit):
    """Covariances with the rounding of their making; torch's formula beside it."""
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(2, 3, 3))
    A, B = A @ A.T + np.eye(3), B @ B.T + np.eye(3)
    A[0, 1] *= 1 + 1e-12
    mu = rng.normal(size=(2, 3))
    found = b.kl_gaussian(unit * mu[0], unit**2 * A, unit * mu[1], unit**2 * B)
    p, q = (
        torch.distributions.MultivariateNormal(torch.tensor(m), torch.tensor(S))
        for m, S in zip(mu, (A, B), strict=True)
    )
    assert found == pytest.approx(torch.distributions.kl_divergence(p, q).item())
