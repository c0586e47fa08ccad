"""The figures of `pca`: what their scripts compute, held against Python."""

import math

import numpy as np
import pytest
import torch

from latent_book import pca as p
from latent_book.figures.pca import ComponentsFigure, PlaneFigure, RotateFigure


def cloud(N: int, D: int, seed: int = 0, mean: float = 3.0) -> np.ndarray:
    """Points with a spectrum that falls, in directions that no axis shares."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(D, D)))[0]
    return rng.normal(size=(N, D)) * np.arange(1, D + 1) ** -0.7 @ turn + mean


def test_the_browser_encodes_and_rebuilds_as_python_does(maths):
    X = cloud(40, 16)
    mu, W, _ = p.pca(X, 6)
    x = X[3]
    z, x_hat = (
        p.encode(x[None], mu, W)[0],
        p.decode(p.encode(x[None], mu, W)[:, :4], mu, W[:, :4])[0],
    )
    rows = W.T.tolist()
    codes, rebuilt, errors = maths(
        ComponentsFigure,
        ("codes", x.tolist(), mu.tolist(), rows),
        ("rebuild", z.tolist(), mu.tolist(), rows, 4),
        ("errors", x.tolist(), mu.tolist(), z.tolist()),
    )
    assert np.allclose(codes, z, atol=1e-5)
    assert np.allclose(rebuilt, x_hat, atol=1e-5)
    left = [p.reconstruction_error(x[None], mu, W[:, :k]) for k in range(1, 7)]
    assert np.allclose(errors, [np.sum((x - mu) ** 2), *left], atol=1e-5)


def test_the_browser_splits_the_variance_as_python_does(maths):
    X = cloud(60, 2, mean=0.0)
    X -= X.mean(axis=0)
    angles = [0, 33, 90, 171]
    *splits, best = maths(
        RotateFigure,
        *[("split", X.tolist(), a) for a in angles],
        ("best", X.tolist()),
    )
    for angle, found in zip(angles, splits, strict=True):
        W = np.array([[math.cos(math.radians(angle))], [math.sin(math.radians(angle))]])
        assert found["error"] == pytest.approx(
            p.reconstruction_error(X, np.zeros(2), W), abs=1e-5
        )
        assert found["kept"] == pytest.approx(
            np.mean(p.encode(X, np.zeros(2), W) ** 2), abs=1e-5
        )
    _, W, _ = p.pca(X, 1)
    assert best == pytest.approx(
        math.degrees(math.atan2(W[1, 0], W[0, 0])) % 180, abs=1e-4
    )


def test_the_plane_decodes_as_the_components_do_and_finds_the_nearest_digit(maths):
    X = cloud(40, 16)
    mu, W, _ = p.pca(X, 2)
    Z = p.encode(X, mu, W)
    plane = PlaneFigure(mu, W, Z, np.zeros(40, int), ["a"], at=[0.3, -1.2])
    assert np.allclose(
        plane.decoded(), p.decode(np.array([[0.3, -1.2]]), mu, W)[0], atol=1e-5
    )
    (nearest,) = maths(PlaneFigure, ("nearest", [0.3, -1.2], Z.tolist()))
    assert nearest == np.argmin(np.sum((Z - [0.3, -1.2]) ** 2, axis=1))


def test_the_figures_hold_what_the_browser_needs():
    X = np.clip(np.abs(cloud(40, 16, mean=0.3)), 0, 1)
    mu, W, _ = p.pca(X, 6)
    figure = ComponentsFigure(mu, W, X[:3], ["a", "b", "c"], digit=1, k=6)
    state = figure.state()
    assert np.allclose(state["x"], X[1], atol=1 / 255)
    assert state["left"][-1] == pytest.approx(
        np.sum((state["x"] - state["x_hat"]) ** 2), abs=1e-5
    )
    plane = PlaneFigure(
        mu, W, p.encode(X, mu, W), np.zeros(40, int), ["a"], at=[0.2, 0.1]
    )
    assert np.allclose(plane.decoded(), mu + W[:, :2] @ [0.2, 0.1], atol=1e-6)
    for shown in (figure, plane, RotateFigure(X[:, :2])):
        assert shown.poster().startswith(b"\x89PNG")


def test_a_plane_wants_two_causes():
    three = torch.nn.Sequential(torch.nn.Linear(3, 4))
    with pytest.raises(ValueError, match="decoder has 3 causes, and a plane shows two"):
        PlaneFigure.of_network(three, np.zeros((5, 3)), np.zeros(5, int), ["a"])
    with pytest.raises(ValueError, match=r"codes have shape \(5, 1\)"):
        PlaneFigure(np.zeros(4), np.eye(4)[:, :1], np.zeros((5, 1)), np.zeros(5), ["a"])
