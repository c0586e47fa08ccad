"""The chapter on EM, by independent routes: loops, automatic differentiation, SciPy's
densities and optimisers, scikit-learn.
"""

import math

import jaxtyping
import numpy as np
import pytest
import scipy.optimize
import sklearn.mixture
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from latent_book import em as e
from latent_book.bound import elbo, kl, posterior
from latent_book.mixture import log_joint, mixture_log_prob

seeds = st.integers(0, 2**31)
quick = settings(max_examples=25, deadline=None)


def problem(seed: int = 0, N: int = 40, D: int = 2, K: int = 3) -> tuple:
    """Points, any parameters, any memberships: nothing of it is an optimum of anything."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D)) + 2 * rng.integers(0, 2, size=(N, 1))
    root = rng.normal(size=(K, D, D)) / 2
    theta = (
        rng.dirichlet(np.full(K, 5.0)),
        rng.normal(size=(K, D)),
        root @ root.mT + np.eye(D),
    )
    return X, theta, rng.dirichlet(np.ones(K), size=N)


def loops(X: np.ndarray, theta: tuple, q: np.ndarray) -> tuple[float, float, float]:
    """The bound, log p and the gap by SciPy's Gaussian and plain loops."""
    bound = log_p = gap = 0.0
    for x, q_n in zip(X, q, strict=True):
        joint = [
            pi * stats.multivariate_normal(mu, Sigma).pdf(x)
            for pi, mu, Sigma in zip(*theta, strict=True)
        ]
        log_p += math.log(sum(joint))
        bound += sum(w * math.log(p / w) for w, p in zip(q_n, joint, strict=True))
        gap += sum(
            w * math.log(w * sum(joint) / p) for w, p in zip(q_n, joint, strict=True)
        )
    return bound, log_p, gap


def in_torch(X: np.ndarray, theta: tuple) -> tuple:
    """Parameters that want a gradient, and log p(x, z = k) made from them by PyTorch's
    Gaussian.
    """
    pi, mu, Sigma = (torch.tensor(v).requires_grad_() for v in theta)
    normal = torch.distributions.MultivariateNormal(mu, Sigma)
    return (pi, mu, Sigma), torch.log(pi) + normal.log_prob(torch.tensor(X)[:, None])


# --- the bound and its two half steps
# ------------------------------------------------------------------------------


@pytest.mark.equation("eq-em-identity", "eq-em-split", "eq-em-complete", "eq-em-counts")
@given(seeds)
@quick
def test_the_bound_in_three_readings(seed):
    X, theta, q = problem(seed, N=12)
    bound, log_p, gap = loops(X, theta, q)
    G = log_joint(X, *theta)
    assert math.isclose(bound + gap, log_p, abs_tol=1e-9)
    assert math.isclose(elbo(G, q).sum(), bound, abs_tol=1e-9)
    assert math.isclose(mixture_log_prob(X, *theta).sum(), log_p, abs_tol=1e-9)
    assert math.isclose(kl(q, posterior(G)).sum(), gap, abs_tol=1e-9)
    complete = e.expected_complete_log_lik(G, q).sum()
    assert math.isclose(complete + stats.entropy(q, axis=1).sum(), bound, abs_tol=1e-9)
    apart = 0.0  # eq-em-complete: component by component
    for k, (pi, mu, Sigma) in enumerate(zip(*theta, strict=True)):
        A, N_k = np.linalg.inv(Sigma), sum(q[:, k])
        apart += N_k * (
            math.log(pi) + 0.5 * math.log(np.linalg.det(A)) - math.log(2 * math.pi)
        )
        apart -= 0.5 * sum(
            w * (x - mu) @ A @ (x - mu) for w, x in zip(q[:, k], X, strict=True)
        )
    assert math.isclose(apart, complete, abs_tol=1e-9)
    assert np.isclose(sum(q[:, k].sum() for k in range(3)), len(X))


def test_an_impossible_component_counts_nothing_where_q_is_zero():
    G = np.array([[-1.0, -np.inf]])
    assert e.expected_complete_log_lik(G, np.array([[1.0, 0.0]])) == [-1.0]
    assert e.expected_complete_log_lik(G, np.array([[0.5, 0.5]])) == [-np.inf]


@pytest.mark.equation("eq-em-mu-gradient")
def test_the_gradient_of_the_means_has_the_precision_in_front():
    X, theta, q = problem(1)
    (_, mu, _), table = in_torch(X, theta)
    (found,) = torch.autograd.grad((torch.tensor(q) * table).sum(), mu)
    for k in range(3):
        pull = sum(w * (x - theta[1][k]) for w, x in zip(q[:, k], X, strict=True))
        assert np.allclose(found[k], np.linalg.inv(theta[2][k]) @ pull)
        assert not np.allclose(found[k], theta[2][k] @ pull, rtol=0.05)  # the slide's


@pytest.mark.equation("eq-em-precision", "eq-em-sigma-slope")
@given(seeds)
@quick
def test_the_slope_along_a_symmetric_matrix_and_the_maximum(seed):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(3, 3, 3))
    A, S, _ = root @ root.mT + 0.5 * np.eye(3)
    B, N_k = root[2] + root[2].T, 7.0

    def f(A):
        return N_k / 2 * (np.linalg.slogdet(A)[1] - np.trace(A @ S))

    at = torch.tensor(A).requires_grad_()
    by_torch = N_k / 2 * (torch.logdet(at) - (at * torch.tensor(S)).sum())
    (slope,) = torch.autograd.grad(by_torch, at)
    assert math.isclose(by_torch.item(), f(A), rel_tol=1e-9)
    by_formula = N_k / 2 * np.trace((np.linalg.inv(A) - S) @ B)
    assert math.isclose(
        (slope.numpy() * B).sum(), by_formula, rel_tol=1e-7, abs_tol=1e-7
    )
    # no precision is better than that of the scatter
    assert f(A) <= f(np.linalg.inv(S)) + 1e-9


@pytest.mark.equation("eq-em-lagrange")
def test_the_weights_are_those_that_a_constrained_optimiser_finds():
    N_k = np.array([3.2, 10.5, 1.3])
    found = scipy.optimize.minimize(
        lambda pi: -np.sum(N_k * np.log(pi)),
        np.ones(3) / 3,
        bounds=[(1e-6, 1)] * 3,
        constraints={"type": "eq", "fun": lambda pi: pi.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-14},
    )
    assert np.allclose(found.x, N_k / 15.0, atol=1e-5)


@pytest.mark.equation("eq-em-m-step")
@given(seeds, st.integers(1, 3), st.integers(1, 4))
@quick
def test_the_m_step_is_a_weighted_fit_and_no_other_parameters_do_better(seed, D, K):
    X, _, q = problem(seed, 30, D, K)
    pi, mu, Sigma = e.m_step_gaussian(X, q)
    for k in range(K):
        assert math.isclose(pi[k], q[:, k].mean())
        assert np.allclose(mu[k], np.average(X, axis=0, weights=q[:, k]))
        assert np.allclose(Sigma[k], np.cov(X.T, aweights=q[:, k], bias=True))
    best, rng = elbo(log_joint(X, pi, mu, Sigma), q).sum(), np.random.default_rng(seed)
    for size in (0.01, 0.3):
        root = np.linalg.cholesky(Sigma) + size * np.tril(rng.normal(size=Sigma.shape))
        weights = pi * np.exp(size * rng.normal(size=K))
        other = (
            weights / weights.sum(),
            mu + size * rng.normal(size=mu.shape),
            root @ root.mT,
        )
        if np.linalg.eigvalsh(other[2]).min() > 1e-6:
            assert elbo(log_joint(X, *other), q).sum() < best


def test_the_gradient_vanishes_and_the_hessian_has_no_positive_eigenvalue():
    X, _, q = problem(3, K=2)
    pi, mu, Sigma = e.m_step_gaussian(X, q)
    rows, columns = np.tril_indices(2)

    def bound(free):
        root = torch.zeros(2, 2, 2, dtype=free.dtype)
        root[:, rows, columns] = free[5:].reshape(2, 3)
        normal = torch.distributions.MultivariateNormal(
            free[1:5].reshape(2, 2), scale_tril=root
        )
        weights = torch.nn.functional.logsigmoid(torch.stack([free[0], -free[0]]))
        return (
            torch.tensor(q) * (weights + normal.log_prob(torch.tensor(X)[:, None]))
        ).sum()

    roots = np.linalg.cholesky(Sigma)[:, rows, columns]
    at = torch.tensor(
        np.concatenate([[np.log(pi[0] / pi[1])], mu.ravel(), roots.ravel()])
    )
    assert torch.autograd.functional.jacobian(bound, at).abs().max() < 1e-10
    assert (
        torch.linalg.eigvalsh(torch.autograd.functional.hessian(bound, at)).max()
        < -1e-3
    )


# --- EM
# ------------------------------------------------------------------------------------------------------------


@given(seeds, st.integers(1, 3), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_em_never_goes_downhill_and_is_tight_after_each_e_step(seed, D, K):
    X, theta, _ = problem(seed, 40, D, K)
    try:
        _, history = e.em_gaussian(X, *theta, steps=10, prior=0.0 if K == 1 else 1e-12)
    except ValueError:  # a component collapsed, as some do without a prior
        assume(False)  # another test is about that
    log_p, bound = np.array([(h.log_p, h.elbo) for h in history]).T
    assert [h.half for h in history[:4]] == ["E", "M", "E", "M"]
    assert np.allclose(log_p[::2], bound[::2], atol=1e-10)
    assert np.all(np.diff(log_p) >= -1e-9)
    assert np.all(np.diff(log_p)[::2] >= np.diff(bound)[::2] - 1e-9)
    assert all(h.gap >= -1e-10 for h in history)


@pytest.mark.parametrize("seed", range(3))
def test_each_step_is_that_of_scikit_learn(seed):
    X, _, _ = problem(seed, 200, 2, 3)
    start = e.gaussian_start(X, X[:3])
    options = {"covariance_type": "full", "reg_covar": 0, "tol": 0, "max_iter": 7}
    peer = sklearn.mixture.GaussianMixture(
        3,
        weights_init=start[0],
        means_init=start[1],
        precisions_init=np.linalg.inv(start[2]),
        **options,
    )
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        peer.fit(X)
    (pi, mu, Sigma), history = e.em_gaussian(X, *start, steps=7)
    assert np.allclose(pi, peer.weights_)
    assert np.allclose(mu, peer.means_)
    assert np.allclose(Sigma, peer.covariances_)
    assert math.isclose(history[-1].log_p, peer.score(X))
    assert history[-1].theta[0] is pi


@pytest.mark.equation("eq-em-fisher", "eq-em-preconditioned")
def test_log_p_and_the_tight_bound_have_one_gradient_and_the_step_is_a_scaled_one():
    X, theta, _ = problem(4)
    at, table = in_torch(X, theta)
    of_log_p = torch.autograd.grad(
        torch.logsumexp(table, 1).sum(), at, retain_graph=True
    )
    R = torch.softmax(table, 1).detach()
    of_bound = torch.autograd.grad((R * table - R * R.log()).sum(), at)
    for one, other in zip(of_log_p, of_bound, strict=True):
        assert torch.allclose(one, other, atol=1e-10)
    _, mu, _ = e.m_step_gaussian(X, R.numpy())
    for k in range(3):
        step = theta[2][k] @ of_log_p[1][k].numpy() / R[:, k].sum().item()
        assert np.allclose(mu[k] - theta[1][k], step)


@pytest.mark.equation("eq-em-touch")
@given(seeds)
@quick
def test_the_bound_touches_here_and_lies_below_elsewhere(seed):
    X, theta, _ = problem(seed, N=15)
    R = posterior(log_joint(X, *theta))
    bound, log_p, gap = loops(X, theta, R)
    assert math.isclose(bound, log_p, abs_tol=1e-9)
    assert abs(gap) < 1e-9
    _, other, _ = problem(seed + 1)
    bound, log_p, _ = loops(X, other, R)
    assert bound < log_p


@pytest.mark.equation("eq-em-parabola")
def test_the_bound_of_the_one_place_is_a_parabola():
    rng = np.random.default_rng(0)
    x = rng.normal(size=30) * 3
    q = rng.dirichlet(np.ones(2), size=30)

    def bound(theta):
        joint = 0.5 * np.stack(
            [stats.norm(theta, 1).pdf(x), stats.norm(0, 3).pdf(x)], axis=1
        )
        return np.sum(q * np.log(joint / q))

    top = np.average(x, weights=q[:, 0])
    for theta in (-4.0, 0.3, 5.0):
        fallen = 0.5 * q[:, 0].sum() * (theta - top) ** 2
        assert math.isclose(bound(theta), bound(top) - fallen, rel_tol=1e-10)


# --- partial E-steps
# -----------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-em-share")
@given(seeds, st.floats(0.01, 1.0))
@quick
def test_a_partial_e_step_closes_at_least_its_share_of_the_gap(seed, share):
    X, theta, q = problem(seed)
    G = log_joint(X, *theta)
    before, after = (
        stats.entropy(q, posterior(G), axis=1),
        kl(e.partial_e_step(share)(G, q), posterior(G)),
    )
    assert np.all(after <= (1 - share) * before + 1e-10)


@pytest.mark.equation("eq-em-floor")
@given(seeds)
@settings(max_examples=15, deadline=None)
def test_whatever_the_e_step_the_bound_rises_and_log_p_stays_above_all_it_has_been(
    seed,
):
    X, theta, q = problem(seed, 60)
    for rule in (e.partial_e_step(0.1), e.partial_e_step(0.7), e.hard_e_step):
        try:
            _, history = e.em_gaussian(X, *theta, steps=8, prior=0.0, e_step=rule, q=q)
        except ValueError as stopped:  # a hard component may lose its points
            if "component" not in str(stopped):
                raise
            continue
        log_p, bound = np.array([(h.log_p, h.elbo) for h in history]).T
        assert np.all(np.diff(bound) >= -1e-9)
        assert np.all(log_p >= np.maximum.accumulate(bound) - 1e-9)


def test_the_hard_e_step_is_the_best_of_all_hard_ones():
    X, theta, _ = problem(5, N=4)
    G = log_joint(X, *theta)
    chosen = elbo(G, e.hard_e_step(G, None)).sum()
    # all 81 assignments
    every = np.stack(np.meshgrid(*[range(3)] * 4), axis=-1).reshape(-1, 4)
    assert math.isclose(chosen, max(elbo(G, np.eye(3)[list(z)]).sum() for z in every))


@pytest.mark.equation("eq-em-moments")
@given(seeds, st.integers(1, 39))
@quick
def test_moments_add_over_blocks_and_give_the_m_step(seed, cut):
    X, _, q = problem(seed)
    parts = zip(e.moments(X[:cut], q[:cut]), e.moments(X[cut:], q[cut:]), strict=True)
    summed = [a + b for a, b in parts]
    by_loops = sum(w * np.outer(x, x) for w, x in zip(q[:, 1], X, strict=True))
    assert np.allclose(summed[2][1], by_loops)
    for one, other in zip(
        e.gaussian_from_moments(*summed), e.m_step_gaussian(X, q), strict=True
    ):
        assert np.allclose(one, other, atol=1e-9)


@pytest.mark.parametrize("block", [1, 7, 200])
def test_incremental_em_climbs_the_same_bound_to_the_same_summit(block):
    rng = np.random.default_rng(1)
    X = np.concatenate(
        [rng.normal(-2, 1, size=(80, 2)), rng.normal(2, 1, size=(120, 2))]
    )
    start = e.gaussian_start(X, np.array([[-1.0, -1.0], [1.0, 1.0]]))
    theta, history = e.incremental_em_gaussian(
        X, *start, passes=12, block=block, rng=rng
    )
    plain, _ = e.em_gaussian(X, *start, steps=100)
    assert np.all(np.diff([h.elbo for h in history]) >= -1e-9)
    assert np.allclose(theta[1], plain[1], atol=1e-3)


# --- rate
# ----------------------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-em-rate")
def test_the_slope_of_the_map_is_the_fraction_of_missing_information():
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(-1.2, 1, 150), rng.normal(1.2, 1, 150)])

    def table(theta):
        return torch.distributions.Normal(theta, 1.0).log_prob(
            torch.tensor(x)[:, None]
        ) + math.log(0.5)

    def step(theta):  # means only
        R = torch.softmax(table(theta), 1)
        return (R * torch.tensor(x)[:, None]).sum(0) / R.sum(0)

    star = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    for _ in range(400):
        star = step(star)
    R = torch.softmax(table(star), 1)
    hessian = torch.autograd.functional.hessian
    I_c = -hessian(lambda t: (R * table(t)).sum(), star)
    I_o = -hessian(lambda t: torch.logsumexp(table(t), 1).sum(), star)
    # differentiates the algorithm itself
    slope = torch.autograd.functional.jacobian(step, star)
    assert torch.allclose(slope, torch.eye(2) - torch.linalg.solve(I_c, I_o), atol=1e-8)
    rates = torch.linalg.eigvals(slope).real
    assert rates.min() > 0
    assert rates.max() < 1


# --- priors, starts, Bernoulli
# -------------------------------------------------------------------------------------


@pytest.mark.equation("eq-em-prior", "eq-em-map")
def test_the_step_with_a_prior_is_where_the_gradient_of_both_vanishes():
    X, _, q = problem(6)
    nu, v = 2.5, X.var(axis=0).mean()
    theta = e.m_step_gaussian(X, q, prior=nu)
    (pi, _, Sigma), table = in_torch(X, theta)
    spread = torch.logdet(Sigma) + v * torch.linalg.inv(Sigma).diagonal(
        dim1=1, dim2=2
    ).sum(1)
    total = (torch.tensor(q) * table).sum() + (
        nu * torch.log(pi) - nu / 2 * spread
    ).sum()
    of_pi, of_Sigma = torch.autograd.grad(total, (pi, Sigma))
    assert torch.allclose(
        of_pi, of_pi[0].expand(3)
    )  # all alike: nothing to gain within the simplex
    assert of_Sigma.abs().max() < 1e-9


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_with_a_prior_likelihood_times_prior_never_falls(seed):
    X, _, _ = problem(seed)
    spike = (np.ones(2) / 2, X[:2].copy(), np.stack([1e-3 * np.eye(2), np.eye(2)]))
    _, history = e.em_gaussian(X, *spike, steps=30, prior=0.3)
    v = X.var(axis=0).mean()
    levels = []
    for h in history:
        pi, _, Sigma = h.theta
        lam = np.linalg.eigvalsh(Sigma)  # determinant and trace from the eigenvalues
        log_prior = 0.3 * np.log(pi).sum() - 0.15 * (np.log(lam) + v / lam).sum()
        levels.append(len(X) * h.log_p + log_prior)
    assert np.all(np.diff(levels) >= -1e-8)


def test_spread_means_are_points_and_lie_apart():
    X = np.concatenate([np.zeros((50, 2)), np.ones((1, 2)) * 9])
    for seed in range(10):
        means = e.spread_means(X, 2, np.random.default_rng(seed))
        assert {tuple(m) for m in means} == {(0.0, 0.0), (9.0, 9.0)}
    with pytest.raises(ValueError, match="only 2 different points; lower K"):
        e.spread_means(X, 3, np.random.default_rng(0))


@pytest.mark.equation("eq-em-bernoulli", "eq-em-bernoulli-m")
@given(seeds)
@quick
def test_the_bernoulli_mixture_by_pytorch(seed):
    rng = np.random.default_rng(seed)
    X = (rng.random((20, 6)) < 0.4).astype(float)
    pi, mu = rng.dirichlet(np.ones(3)), rng.uniform(0.1, 0.9, size=(3, 6))
    peer = (
        torch.distributions.Bernoulli(torch.tensor(mu))
        .log_prob(torch.tensor(X)[:, None])
        .sum(2)
    )
    assert np.allclose(e.log_joint_bernoulli(X, pi, mu), np.log(pi) + peer.numpy())
    q, a = rng.dirichlet(np.ones(3), size=20), 0.7
    found = [torch.tensor(v).requires_grad_() for v in e.m_step_bernoulli(X, q, a)]
    ink = (
        torch.distributions.Bernoulli(found[1])
        .log_prob(torch.tensor(X)[:, None])
        .sum(2)
    )
    prior = (
        a * (found[1].log() + (1 - found[1]).log()).sum() + 2 * a * found[0].log().sum()
    )
    total = (torch.tensor(q) * (found[0].log() + ink)).sum() + prior
    of_pi, of_mu = torch.autograd.grad(total, found)
    assert of_mu.abs().max() < 1e-9
    assert torch.allclose(of_pi, of_pi[0].expand(3))


def test_em_for_bernoulli_finds_two_templates():
    rng = np.random.default_rng(0)
    templates = np.array([[0.9] * 5 + [0.1] * 5, [0.1] * 5 + [0.9] * 5])
    X = (rng.random((400, 10)) < templates[rng.integers(0, 2, 400)]).astype(float)
    (pi, mu), history = e.em_bernoulli(
        X, np.ones(2) / 2, 0.25 + 0.5 * X[:2] if X[0, 0] != X[1, 0] else templates, 20
    )
    order = np.argsort(-mu[:, 0])
    assert np.allclose(mu[order], templates, atol=0.08)
    assert math.isclose(pi.sum(), 1)
    assert np.all(np.diff([h.elbo for h in history]) > -1e-3)


# --- the exponential family
# ----------------------------------------------------------------------------------------


def statistics(X: np.ndarray) -> np.ndarray:
    return np.array([[1.0, *x, *np.outer(x, x).ravel()] for x in X])


@pytest.mark.equation("eq-em-expand", "eq-em-linear", "eq-em-two-products")
@given(seeds)
@quick
def test_the_table_is_linear_in_the_statistics(seed):
    X, theta, q = problem(seed, N=9)
    eta = []
    for pi, mu, Sigma in zip(*theta, strict=True):
        A = np.linalg.inv(Sigma)
        constant = (
            math.log(pi)
            - 0.5 * mu @ A @ mu
            + 0.5 * math.log(np.linalg.det(A))
            - math.log(2 * math.pi)
        )
        eta.append([constant, *(A @ mu), *(-0.5 * A).ravel()])
    T, eta = statistics(X), np.array(eta)
    by_scipy = [
        [
            math.log(p) + stats.multivariate_normal(m, S).logpdf(x)
            for p, m, S in zip(*theta, strict=True)
        ]
        for x in X
    ]
    assert np.allclose(T @ eta.T, by_scipy)
    S = q.T @ T
    for part, moment in zip(
        (S[:, 0], S[:, 1:3], S[:, 3:].reshape(-1, 2, 2)), e.moments(X, q), strict=True
    ):
        assert np.allclose(part, moment)


@pytest.mark.equation("eq-em-mean-map", "eq-em-moment-match")
def test_the_slope_of_the_log_normaliser_is_the_expected_statistic_and_matching_is_the_maximum():
    def A(a, b):  # of exp(a x + b x^2), by quadrature
        return math.log(
            integrate.quad(lambda x: math.exp(a * x + b * x * x), -30, 30)[0]
        )

    mu, var, h = 0.7, 1.3, 1e-4
    a, b = mu / var, -0.5 / var
    assert math.isclose((A(a + h, b) - A(a - h, b)) / (2 * h), mu, rel_tol=1e-5)
    assert math.isclose(
        (A(a, b + h) - A(a, b - h)) / (2 * h), var + mu**2, rel_tol=1e-5
    )

    rng = np.random.default_rng(0)
    x, q = rng.normal(size=25), rng.random(25)
    sums = q @ x, q @ x**2
    found = scipy.optimize.minimize(
        lambda t: (
            q.sum() * A(t[0], -math.exp(t[1]))
            - t[0] * sums[0]
            + math.exp(t[1]) * sums[1]
        ),
        [0.0, 0.0],
        tol=1e-9,
    )
    variance = 0.5 / math.exp(found.x[1])
    mean = found.x[0] * variance
    assert math.isclose(mean, sums[0] / q.sum(), abs_tol=1e-4)
    assert math.isclose(variance + mean**2, sums[1] / q.sum(), rel_tol=1e-4)


# --- bad input
# -----------------------------------------------------------------------------------------------------


def test_errors_name_the_component_and_the_cure():
    X, theta, q = problem(0)
    with pytest.raises(
        ValueError, match=r"component 0 has collapsed.*raise `prior`, lower K"
    ):
        e.em_gaussian(
            X,
            np.ones(2) / 2,
            X[:2],
            np.stack([1e-6 * np.eye(2), 4 * np.eye(2)]),
            steps=9,
        )
    with pytest.raises(
        ValueError, match=r"component 1 has lost all its points.*spread_means"
    ):
        e.m_step_gaussian(
            X, np.eye(3)[np.zeros(40, int)] * [1, 1, 1] + np.array([-1e-3, 0, 1e-3])
        )
    with pytest.raises(ValueError, match="component 2 has lost all its points"):
        e.gaussian_from_moments(*e.moments(X, np.eye(3)[np.arange(40) % 2]))
    with pytest.raises(ValueError, match="NaN or infinity; drop such rows"):
        e.m_step_gaussian(np.where(X > 1, np.nan, X), q)
    with pytest.raises(ValueError, match="each row of q must be a distribution"):
        e.m_step_gaussian(X, 2 * q)
    with pytest.raises(ValueError, match="use 1 or more"):
        e.em_gaussian(X, *theta, steps=0)
    with pytest.raises(ValueError, match="must be above 0"):
        e.partial_e_step(0.0)
    with pytest.raises(ValueError, match="pass q to `em`"):
        e.em_gaussian(X, *theta, steps=1, e_step=e.partial_e_step(0.5))
    with pytest.raises(ValueError, match="1 or more"):
        e.incremental_em_gaussian(
            X, *theta, passes=1, block=0, rng=np.random.default_rng(0)
        )
    with pytest.raises(ValueError, match="between 1 and the number of points"):
        e.spread_means(X, 41, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"threshold the grey values"):
        e.m_step_bernoulli(np.full((40, 2), 0.5), q)
    with pytest.raises(ValueError, match="log 0"):
        e.m_step_bernoulli(np.ones((40, 2)), q, prior=0.0)


def test_a_row_of_q_too_few_is_counted_for_the_user(monkeypatch):
    # else the tests' own check of shapes is first to complain
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    X, _theta, q = problem(0)
    with pytest.raises(ValueError, match="39 rows for 40 points"):
        e.m_step_gaussian(X, q[:39])


def test_a_collapse_is_an_error_of_scikit_learns_kind():
    assert issubclass(e.CollapsedError, ValueError)


def test_a_constant_column_is_a_collapse_unless_there_is_a_prior():
    X, _, q = problem(0)
    X[:, 1] = 3.0
    with pytest.raises(ValueError, match="span no volume"):
        e.m_step_gaussian(X, q)
    _, _, Sigma = e.m_step_gaussian(X, q, prior=1.0)
    assert np.linalg.eigvalsh(Sigma).min() > 0


@pytest.mark.equation("eq-em-missing")
@pytest.mark.parametrize("apart", [1.5, 2.5, 4.0])
def test_the_rates_are_those_of_the_map_itself_by_differences(apart):
    """Two bells of width one and half the weight, two unknown means: a map from the
    plane to the plane.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=400) + apart * rng.integers(0, 2, size=400)

    def shares(theta: np.ndarray) -> np.ndarray:
        heights = stats.norm.pdf(x[:, None], theta)
        return heights / heights.sum(axis=1, keepdims=True)

    def step(theta: np.ndarray) -> np.ndarray:
        q = shares(theta)
        return q.T @ x / q.sum(axis=0)

    theta = np.array([-0.5, apart + 0.5])
    for _ in range(5000):
        theta = step(theta)
    moves = 1e-5 * np.eye(2)
    jacobian = np.stack(
        [(step(theta + m) - step(theta - m)) / 2e-5 for m in moves], axis=1
    )
    at = torch.tensor(theta)

    def log_p(t):
        return torch.logsumexp(-0.5 * (torch.tensor(x)[:, None] - t) ** 2, dim=1).sum()

    observed = -torch.autograd.functional.hessian(log_p, at).numpy()
    # complete: N_k over a variance of one
    root = np.diag(shares(theta).sum(axis=0) ** -0.5)
    rates = np.linalg.eigvalsh(np.eye(2) - root @ observed @ root)
    assert np.allclose(np.sort(np.linalg.eigvals(jacobian).real), rates, atol=1e-6)
    assert rates.min() >= 0
    assert rates.max() < 1


@pytest.mark.equation("eq-em-remaining")
@given(st.floats(0.1, 0.99), st.floats(0.01, 10))
def test_what_is_still_to_come_is_the_sum_of_the_gains_to_come(rho, gain):
    gains = gain * rho ** (2 * np.arange(1, 5000))
    assert np.isclose(gains.sum(), rho**2 / (1 - rho**2) * gain)


@pytest.mark.equation("eq-em-age")
@pytest.mark.parametrize("B", [1, 2, 3, 10])
def test_the_mean_age_by_keeping_a_diary(B):
    rng = np.random.default_rng(0)
    renewed, ages, now = np.zeros(B), [], 0
    for _ in range(4000):
        for block in rng.permutation(B):
            now += 1
            renewed[block] = now
            ages.append(np.mean(now - renewed + 1) / B)
    assert np.mean(ages[10 * B :]) == pytest.approx(
        (B + 1) * (7 * B - 1) / (12 * B**2), rel=0.01
    )


@pytest.mark.parametrize("prior", [-5.0, -1e-9, math.nan, math.inf])
def test_a_number_of_imaginary_points_is_not_negative(prior):
    X, theta, q = problem(0)
    with pytest.raises(ValueError, match="use a number that is 0 or above"):
        e.m_step_gaussian(X, q, prior=prior)
    with pytest.raises(ValueError, match="use a number that is 0 or above"):
        e.em_gaussian(X, *theta, steps=1, prior=prior)


def test_with_a_prior_log_p_may_fall_and_the_sum_does_not():
    """As the docstring of `em` says: log p plus the log prior, up to a constant, by the
    Dirichlet and Wishart terms of eq-em-map; from the maximum of log p on.
    """
    X, theta, _ = problem(0)
    best, _ = e.em_gaussian(X, *theta, steps=300)
    _, history = e.em_gaussian(X, *best, steps=20, prior=3.0)
    log_p = [step.log_p for step in history]
    assert min(np.diff(log_p)) < -1e-3, "so the maximum of log p is left"

    width = X.var(axis=0).mean()

    def penalised(step) -> float:
        pi, _, Sigma = step.theta
        prior = sum(
            math.log(w)
            - 0.5 * np.linalg.slogdet(S)[1]
            - 0.5 * width * np.trace(np.linalg.inv(S))
            for w, S in zip(pi, Sigma, strict=True)
        )
        return len(X) * step.log_p + 3.0 * prior

    assert min(np.diff([penalised(step) for step in history])) > -1e-8


def test_points_whose_squares_overflow_are_refused():
    X, _, q = problem(0)
    with pytest.raises(ValueError, match="the squares of X overflow; divide X"):
        e.m_step_gaussian(1e160 * X, q)


@pytest.mark.parametrize("unit", [1e-170, 1e-12, 1e160])
def test_the_start_is_the_same_in_any_unit(unit):
    X, _, _ = problem(0)
    plain = e.spread_means(X, 4, np.random.default_rng(0))
    found = e.spread_means(unit * X, 4, np.random.default_rng(0))
    np.testing.assert_allclose(found, unit * plain, rtol=1e-12)


def test_a_point_that_no_component_can_have_made_has_no_hard_membership():
    with pytest.raises(ValueError, match="no cause can have made observation 1"):
        e.hard_e_step(np.array([[0.0, -1.0], [-np.inf, -np.inf]]), None)


def test_shapes_and_means_that_do_not_fit_are_told_so(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    X, _, q = problem(0)
    for a, b in [(X[:, 0], q), (X, q[:, 0]), (X[:, :0], q), (X, q[:, :0])]:
        with pytest.raises(ValueError, match="pass one row a point"):
            e.m_step_gaussian(a, b)
    bits, half = np.eye(3), np.full((2, 3), 0.5)
    with pytest.raises(ValueError, match="do not fit"):
        e.log_joint_bernoulli(bits, np.ones(3) / 3, half)
    for end in (0.0, 1.0):
        with pytest.raises(ValueError, match="strictly between 0 and 1"):
            e.log_joint_bernoulli(bits, np.ones(2) / 2, np.full((2, 3), end))


# --- stepwise
# ----------------------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-em-stepwise")
def test_a_step_of_stepwise_em_is_the_weighted_sum_written_out():
    """Against a fit to the start's own density and to the block, both as weighted
    points: Gauss-Hermite nodes stand for the density.
    """
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-2, 1, (30, 1)), rng.normal(2, 0.7, (30, 1))])
    pi, mu = np.array([0.3, 0.7]), np.array([[-1.5], [1.0]])
    Sigma = np.array([[[0.8]], [[1.7]]])
    found, _ = e.stepwise_em_gaussian(
        X, pi, mu, Sigma, 1, len(X), rng, decay=0.6, offset=2.0
    )
    step = 3.0**-0.6
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    weights = weights / weights.sum()
    joint = pi * np.exp(-((X - mu[:, 0]) ** 2) / (2 * Sigma[:, 0, 0]))
    joint = joint / np.sqrt(Sigma[:, 0, 0])
    q = joint / joint.sum(axis=1, keepdims=True)
    for k in range(2):
        points = np.concatenate([mu[k, 0] + np.sqrt(Sigma[k, 0, 0]) * nodes, X[:, 0]])
        w = np.concatenate([(1 - step) * pi[k] * weights, step * q[:, k] / len(X)])
        mean = np.average(points, weights=w)
        assert np.isclose(found[0][k], w.sum())
        assert np.isclose(found[1][k, 0], mean)
        spread = np.average((points - mean) ** 2, weights=w)
        assert np.isclose(found[2][k, 0, 0], spread)


def test_stepwise_em_rests_where_em_rests():
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(-2, 1, (80, 2)), rng.normal(2, 1, (120, 2))])
    start = e.gaussian_start(X, np.array([[-1.0, -1.0], [1.0, 1.0]]))
    top, _ = e.em_gaussian(X, *start, steps=300)
    stays, _ = e.stepwise_em_gaussian(X, *top, 3, len(X), rng)
    assert all(np.allclose(a, b, atol=1e-8) for a, b in zip(top, stays, strict=True))
    ends, history = e.stepwise_em_gaussian(X, *start, 60, 20, rng, decay=0.6)
    assert np.allclose(ends[1], top[1], atol=0.05)
    assert len(history) == 60
    for bad in ({"decay": 0.5}, {"decay": 1.1}, {"offset": -1.0}):
        with pytest.raises(ValueError, match=r"must be above 0\.5"):
            e.stepwise_em_gaussian(X, *start, 1, 20, rng, **bad)
    with pytest.raises(ValueError, match="must both be 1 or more"):
        e.stepwise_em_gaussian(X, *start, 1, 0, rng)
