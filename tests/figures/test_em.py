"""The figures of `em`: what their scripts compute, held against Python."""

import numpy as np
import pytest

from latent_book import em as e
from latent_book.figures.em import EMFigure


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


def test_the_browser_climbs_as_python_does(maths):
    X, theta, _ = problem(7, 60)
    figure = EMFigure(X, *theta)
    flat = (figure.points, figure.pi, figure.mu, figure.Sigma)
    spike = np.eye(3)[np.r_[0, np.ones(30, int), np.full(29, 2)]].ravel().tolist()
    found, collapsed, alive = maths(
        EMFigure,
        ("steps", *flat, 20),
        ("collapsed", figure.points, spike, 3),
        ("collapsed", figure.points, figure.q, 3),
    )
    (pi, mu, Sigma), history = e.em_gaussian(X, *theta, steps=20)
    assert np.allclose(found["path"], [(h.log_p, h.elbo) for h in history], atol=1e-9)
    assert np.allclose(found["pi"], pi, atol=1e-6)
    assert np.allclose(np.reshape(found["mu"], (3, 2)), mu, atol=1e-6)
    assert np.allclose(
        np.reshape(found["Sigma"], (3, 3)), Sigma[:, [0, 0, 1], [0, 1, 1]], atol=1e-6
    )
    assert np.allclose(np.reshape(found["q"], (60, 3)).sum(axis=1), 1)
    assert collapsed == 0  # one point spans no area
    assert alive == -1


def test_the_figure_holds_what_the_browser_needs():
    X, theta, _ = problem(8)
    figure = EMFigure(X, *theta)
    points, back = figure.arrays()
    assert np.allclose(points, X)
    for one, other in zip(back, theta, strict=True):
        assert np.allclose(one, other)
    assert figure.elbo[0] <= figure.log_p[0]
    assert figure.poster().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="3 components and at most 140"):
        EMFigure(np.zeros((141, 2)), *theta)
