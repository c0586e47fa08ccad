"""The appendix of Gaussian identities, by routes other than its own: grids in two
dimensions, draws, finite differences.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

SEEDS = st.integers(0, 10_000)
side = np.linspace(-12, 12, 481)
GRID = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
CELL = (side[1] - side[0]) ** 2


def gaussian(seed: int, D: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """A mean, and a covariance that a grid of this width resolves."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(D, D)))[0]
    return rng.uniform(-1, 1, size=D), turn * rng.uniform(0.3, 2, size=D) @ turn.T


def on_grid(mu: np.ndarray, Sigma: np.ndarray) -> np.ndarray:
    """The density, by the formula."""
    off = GRID - mu
    square = np.einsum("ni,ij,nj->n", off, np.linalg.inv(Sigma), off)
    return np.exp(-0.5 * square) / np.sqrt(np.linalg.det(2 * np.pi * Sigma))


def moments(density: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of a density on the grid, by adding up."""
    share = density / density.sum()
    mean = share @ GRID
    return mean, (share[:, None] * (GRID - mean)).T @ (GRID - mean)


@pytest.mark.equation("eq-gaussian-density")
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_the_density_sums_to_one_and_has_its_moments(seed):
    mu, Sigma = gaussian(seed)
    density = on_grid(mu, Sigma)
    assert np.isclose(density.sum() * CELL, 1)
    mean, covariance = moments(density)
    assert np.allclose(mean, mu)
    assert np.allclose(covariance, Sigma)


@pytest.mark.equation("eq-gaussian-affine")
def test_a_linear_map_of_a_gaussian_has_the_gaussians_tails_too():
    mu, Sigma = gaussian(0, 4)
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=4), 0.3
    draws = rng.multivariate_normal(mu, Sigma, size=20_000) @ A + b
    standard = (draws - (A @ mu + b)) / np.sqrt(A @ Sigma @ A)
    assert stats.kstest(standard, "norm").pvalue > 0.01


@pytest.mark.equation("eq-gaussian-conditional")
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_a_row_and_a_sum_of_the_grid_are_the_conditional_and_the_marginal(seed):
    mu, Sigma = gaussian(seed)
    table = on_grid(mu, Sigma).reshape(len(side), -1)
    marginal = table.sum(axis=1) * (side[1] - side[0])
    assert np.allclose(marginal, stats.norm.pdf(side, mu[0], Sigma[0, 0] ** 0.5))
    k = 250
    row = table[:, k] / table[:, k].sum() / (side[1] - side[0])
    mean = mu[0] + Sigma[0, 1] / Sigma[1, 1] * (side[k] - mu[1])
    width = (Sigma[0, 0] - Sigma[0, 1] ** 2 / Sigma[1, 1]) ** 0.5
    assert np.allclose(row, stats.norm.pdf(side, mean, width))


@pytest.mark.equation("eq-gaussian-linear")
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_the_posterior_of_a_linear_cause_is_bayes_on_a_grid(seed):
    rng = np.random.default_rng(seed)
    W, mu, Psi = (
        rng.normal(size=(3, 2)),
        rng.normal(size=3),
        np.diag(rng.uniform(0.5, 1, size=3)),
    )
    x = mu + W @ rng.normal(size=2)
    off = x - mu - GRID @ W.T
    log_joint = -0.5 * (
        (GRID**2).sum(1) + np.einsum("ni,ij,nj->n", off, np.linalg.inv(Psi), off)
    )
    density = np.exp(log_joint) / (2 * np.pi) / np.sqrt(np.linalg.det(2 * np.pi * Psi))
    mean, covariance = moments(density)
    S = np.linalg.inv(np.eye(2) + W.T @ np.linalg.inv(Psi) @ W)
    assert np.allclose(mean, S @ W.T @ np.linalg.inv(Psi) @ (x - mu), atol=1e-6)
    assert np.allclose(covariance, S, atol=1e-6)
    evidence = stats.multivariate_normal.pdf(x, mu, W @ W.T + Psi)
    assert np.isclose(density.sum() * CELL, evidence, rtol=1e-6)


@pytest.mark.equation("eq-gaussian-woodbury")
@settings(max_examples=50, deadline=None)
@given(SEEDS, st.integers(1, 6), st.integers(1, 6))
def test_woodbury_undoes_the_large_matrix(seed, D, L):
    rng = np.random.default_rng(seed)
    W, Psi = rng.normal(size=(D, L)), np.diag(rng.uniform(0.3, 2, size=D))
    P = np.linalg.inv(Psi)
    M = np.eye(L) + W.T @ P @ W
    inverse = P - P @ W @ np.linalg.inv(M) @ W.T @ P
    assert np.allclose(inverse @ (Psi + W @ W.T), np.eye(D))
    eigenvalues = np.linalg.eigvalsh(Psi + W @ W.T)
    assert np.isclose(np.prod(eigenvalues), np.linalg.det(Psi) * np.linalg.det(M))


@pytest.mark.equation("eq-gaussian-product")
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_the_product_of_two_gaussians_has_its_mass_and_moments(seed):
    (a, A), (b, B) = gaussian(seed), gaussian(seed + 1)
    product = on_grid(a, A) * on_grid(b, B)
    assert np.isclose(product.sum() * CELL, stats.multivariate_normal.pdf(a, b, A + B))
    mean, covariance = moments(product)
    C = np.linalg.inv(np.linalg.inv(A) + np.linalg.inv(B))
    assert np.allclose(covariance, C)
    assert np.allclose(mean, C @ (np.linalg.inv(A) @ a + np.linalg.inv(B) @ b))


@pytest.mark.equation("eq-gaussian-quadratic")
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_the_mean_square_of_a_lopsided_density(seed):
    rng = np.random.default_rng(seed)
    # two bumps: no Gaussian
    share = on_grid(*gaussian(seed)) + 0.4 * on_grid(*gaussian(seed + 1))
    mean, covariance = moments(share)
    A, m = rng.normal(size=(2, 2)), rng.normal(size=2)
    square = np.einsum("ni,ij,nj->n", GRID - m, A, GRID - m)
    expected = np.trace(A @ covariance) + (mean - m) @ A @ (mean - m)
    assert np.isclose(share @ square / share.sum(), expected)


@pytest.mark.equation("eq-gaussian-entropy")
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_entropy_and_kl_by_adding_up(seed):
    (mu, Sigma), (m, S) = gaussian(seed), gaussian(seed + 1)
    p = on_grid(mu, Sigma)
    log_p = np.log(np.maximum(p, 1e-300))
    assert np.isclose(
        -(p * log_p).sum() * CELL, 0.5 * np.log(np.linalg.det(2 * np.pi * np.e * Sigma))
    )
    log_r = stats.multivariate_normal.logpdf(GRID, m, S)
    off = mu - m
    expected = 0.5 * (
        np.trace(np.linalg.solve(S, Sigma)) + off @ np.linalg.solve(S, off) - 2
        + np.log(np.linalg.det(S) / np.linalg.det(Sigma))
    )  # fmt: skip
    assert np.isclose((p * (log_p - log_r)).sum() * CELL, expected)


@pytest.mark.equation("eq-gaussian-slopes")
@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_slopes_by_finite_differences(seed):
    rng = np.random.default_rng(seed)
    mu, Sigma = gaussian(seed, 3)
    P, S, x, step = (
        np.linalg.inv(Sigma),
        rng.normal(size=(3, 3)),
        rng.normal(size=3),
        1e-6,
    )
    P = P + 0.1 * rng.normal(size=(3, 3))  # the two slopes for P need no symmetry
    for i in range(3):
        e = step * np.eye(3)[i]
        ends = [
            stats.multivariate_normal.logpdf(x, mu + sign * e, Sigma)
            for sign in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / (2 * step)
        assert np.isclose(
            slope, np.linalg.solve(Sigma, x - mu)[i], rtol=1e-4, atol=1e-6
        )
        for j in range(3):
            d = np.zeros((3, 3))
            d[i, j] = step
            log_det = np.linalg.slogdet(P + d)[1] - np.linalg.slogdet(P - d)[1]
            assert np.isclose(
                log_det / (2 * step), np.linalg.inv(P).T[i, j], rtol=1e-4, atol=1e-6
            )
            trace = np.trace((P + d) @ S) - np.trace((P - d) @ S)
            assert np.isclose(trace / (2 * step), S.T[i, j], rtol=1e-4, atol=1e-6)
