"""The figures of `vae`: what their scripts compute, held against Python."""

import numpy as np
import pytest
import torch

from latent_book.figures.vae import BetaFigure, DrawFigure
from latent_book.training import seeded
from latent_book.vae import VAENetwork


def test_the_browsers_encoder_says_what_torchs_says(maths):
    with seeded(0):
        network = VAENetwork(36, 2, (8,))
    rng = np.random.default_rng(0)
    figure = DrawFigure(
        network,
        rng.integers(0, 2, size=(10, 36)),
        rng.normal(size=(5, 2)),
        np.arange(5),
    )
    weights = np.frombuffer(figure.encoder_weights, "<f4").astype(float).tolist()
    (said,) = maths(figure, ("posterior", figure.encoder_layers, weights, figure.ink))
    with torch.no_grad():
        mu, log_var = network.encode(torch.tensor([figure.ink], dtype=torch.float32))
    assert np.allclose(said["mu"], mu[0], atol=1e-5)
    assert np.allclose(said["sigma"], (0.5 * log_var[0]).exp(), atol=1e-5)
    assert np.allclose(figure.guess(), [said["mu"], said["sigma"]], atol=1e-6)
    weights = np.frombuffer(figure.decoder_weights, "<f4").astype(float).tolist()
    (picture,) = maths(figure, ("decoded", figure.decoder_layers, weights, said["mu"]))
    with torch.no_grad():
        by_torch = network.decode(mu)[0]
    assert np.allclose(picture, by_torch, atol=1e-5)
    assert 0 < min(picture) < max(picture) < 1
    (drawn,) = maths(figure, ("inked", [0] * 36, 6, [2.5, 5.5]))
    assert np.reshape(drawn, (6, 6))[0, 2] == 1
    assert sum(drawn) < 5


def test_the_browser_lays_out_the_pictures_as_python_does(maths):
    rng = np.random.default_rng(0)
    trips = rng.random((3, 4, 9))
    figure = BetaFigure(
        [0.5, 1.0, 2.0], trips[0], trips, trips[::-1], rng.normal(size=(3, 3)), k=2
    )
    (sheet,) = maths(figure, ("sheet", list(figure.trips), 2 * 4 * 9, 4, 3))
    assert np.allclose(np.reshape(sheet, (3, 15)), figure.sheet("trips"))


def test_the_plane_of_a_drawing_wants_two_causes():
    network = VAENetwork(n_features=4, n_components=3, hidden=(8,))
    with pytest.raises(ValueError, match="network has 3 causes, and the plane shows"):
        DrawFigure(network, np.zeros((10, 4)), np.zeros((10, 3)), np.arange(10))
