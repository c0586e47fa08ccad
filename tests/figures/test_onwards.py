"""The figures of `onwards`: what their scripts compute, held against Python."""

import numpy as np
import pytest

from latent_book import onwards as o
from latent_book.figures.onwards import ReverseFigure
from latent_book.training import seeded


@pytest.mark.parametrize("calm", [0, 1])
@pytest.mark.parametrize("chain", [0, 2])
def test_the_browser_walks_as_python_does(chain, calm, maths):
    with seeded(0):
        network = o.NoiseNetwork(2, (6, 5))
    mu, Sigma = (
        np.array([[-1.0, 0.0], [1.0, 0.5]]),
        np.array([np.eye(2), [[0.5, 0.2], [0.2, 0.3]]]),
    )
    figure = ReverseFigure(
        network,
        np.zeros((3, 2)),
        mu,
        Sigma,
        rng=np.random.default_rng(0),
        n=9,
        chain=chain,
        calm=calm,
    )
    start, noise = (
        np.frombuffer(b, "<f4").tolist() for b in (figure.start, figure.noise)
    )
    weights = np.frombuffer(figure.weights, "<f4").tolist()
    ours = figure.path()
    last = ours[-1].ravel().tolist()
    heaps, T = figure.heaps, figure.chains[chain]
    path, found, middle = maths(
        figure,
        (
            "path",
            figure.layers,
            weights,
            figure.waves,
            start,
            None if calm else noise,
            T,
            figure.first,
            figure.last,
        ),
        ("inside", last, heaps),
        ("between", ours.reshape(T + 1, -1).tolist(), 0.3),
    )
    np.testing.assert_allclose(np.array(path).reshape(ours.shape), ours, atol=1e-5)
    assert found == figure.inside(ours[-1])
    at, k = divmod(0.3 * T, 1)
    np.testing.assert_allclose(
        middle, ((1 - k) * ours[int(at)] + k * ours[int(at) + 1]).ravel(), atol=1e-12
    )
