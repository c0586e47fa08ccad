"""The figures of `variational`: what their scripts compute, held against Python."""

import itertools

import numpy as np
import pytest
import torch

from latent_book import mixture
from latent_book.autoencoder import mlp
from latent_book.figures.variational import GapsFigure, RainFigure


def test_the_browser_splits_log_p_as_python_does(maths):
    theta = (
        np.array([0.5, 0.3, 0.2]),
        np.array([[-1.0, 0.0], [1.0, 0.5], [0.0, -1.0]]),
        np.array(
            [
                [[0.5, 0.2], [0.2, 0.6]],
                [[0.9, -0.3], [-0.3, 0.4]],
                [[1.0, 0.0], [0.0, 0.1]],
            ]
        ),
    )
    X = np.random.default_rng(0).normal(scale=1.5, size=(12, 2))
    torch.manual_seed(0)
    figure = GapsFigure(X, *theta, [mlp([2, 3]), mlp([2, 6, 3])], ["a", "b"])
    ship = {
        "layers": figure.layers, "mu": figure.mu, "forms": figure.forms,
        "weights": np.frombuffer(figure.weights, "<f4").astype(float).tolist(),
    }  # fmt: skip
    for encoder, c in itertools.product((0, 1), (0.34, 0.7, 0.95, 1.0)):
        figure.encoder, figure.sure = encoder, c
        found = maths(figure, *[("whole", ship, x.tolist(), encoder, c) for x in X])
        for name, values in figure.split(X).items():
            assert [part[name] for part in found] == pytest.approx(values, abs=1e-6)
    assert figure.split(X)["logp"] == pytest.approx(mixture.mixture_log_prob(X, *theta))


def test_the_browser_rains_as_python_does(maths):
    for case in (
        {},
        {"draws": 7, "causes": 5, "mu": -0.8, "sigma": 1.1},
        {"draws": 32, "causes": 8, "baseline": 0},
    ):
        figure = RainFigure(**case)
        now = {
            k: getattr(figure, k)
            for k in ("mu", "sigma", "tau2", "causes", "draws", "baseline")
        }
        noise = np.frombuffer(figure.noise, "<f4").astype(float).tolist()
        truth, both = maths(figure, ("truth", now), ("estimates", noise, 32, now))
        assert (truth["slope"], truth["bound"]) == pytest.approx(figure.truth())
        by_score, by_path = figure.estimates()
        assert both["score"] == pytest.approx(by_score, abs=1e-9)
        assert both["path"] == pytest.approx(by_path, abs=1e-9)
