"""The figures of `autoencoder`: what their scripts compute, held against Python."""

import numpy as np
import pytest
import torch

from latent_book import autoencoder as a
from latent_book.autoencoder import Autoencoder
from latent_book.figures.autoencoder import BottleneckFigure
from latent_book.figures.pca import PlaneFigure

# torch's own, at first use
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
)


def images(N: int = 60, D: int = 16, seed: int = 0) -> np.ndarray:
    """Grey values in [0, 1] that two causes made."""
    z = np.random.default_rng(seed).normal(size=(N, 2))
    turn = np.random.default_rng(1).normal(size=(2, D))
    return 1 / (1 + np.exp(-2 * np.tanh(z) @ turn))


@pytest.fixture(scope="module")
def fitted() -> Autoencoder:
    return Autoencoder(2, hidden=(12,), epochs=5, batch_size=20, lr=1e-2).fit(images())


def bottleneck(**traits) -> BottleneckFigure:
    X = images(3)
    rng = np.random.default_rng(0)
    flat, bent = rng.uniform(-0.2, 1.2, size=(2, 4, 3, 16))
    errors = {"flat_error": [4.0, 3.0, 2.0, 1.0], "bent_error": [3.5, 2.0, 1.5, 1.2]}
    return BottleneckFigure(
        X, [1, 2, 4, 8], flat=flat, bent=bent, names=["a", "b", "c"], **errors, **traits
    )


@pytest.mark.parametrize(("digit", "k"), [(0, 0), (2, 3), (1, 2)])
def test_the_browser_chooses_the_pictures_and_adds_up_the_errors_as_python_does(
    digit, k, maths
):
    figure = bottleneck(digit=digit, k=k)
    state = figure.state()
    shipped = [list(part) for part in (figure.images, figure.flat, figure.bent)]
    ((flat, bent, distances),) = maths(figure, ("chosen", *shipped, 3, digit, k))
    assert np.array_equal(np.array(flat), np.round(255 * state["flat"]))
    assert np.array_equal(np.array(bent), np.round(255 * state["bent"]))
    assert np.allclose(distances, [state["flat_away"], state["bent_away"]], atol=1e-9)
    x, y = images(3)[digit], np.array(flat) / 255
    # up to one byte a pixel
    assert distances[0] == pytest.approx(np.sum((x - y) ** 2), abs=0.1)


def test_the_bottleneck_figure_is_whole_and_refuses_what_does_not_fit():
    assert bottleneck().poster().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="widths, images, pixels"):
        BottleneckFigure(
            images(3),
            [1],
            flat=[],
            bent=[],
            flat_error=[1.0],
            bent_error=[1.0],
            names=["a"],
        )
    with pytest.raises(ValueError, match="one error for each"):
        BottleneckFigure(
            images(1),
            [1],
            flat=[images(1)],
            bent=[images(1)],
            flat_error=[],
            bent_error=[1.0],
            names=["a"],
        )


def test_the_plane_decodes_as_the_trained_network_does(fitted, maths):
    Z = torch.from_numpy(fitted.encode(images()))
    white, codes = a.whiten_codes(fitted.network_.decoder, Z)
    plane = PlaneFigure.of_network(
        white, codes.numpy(), np.zeros(60, int), ["a"], at=[0.4, -1.1]
    )
    with torch.no_grad():
        expected = white(torch.tensor([0.4, -1.1]))
    assert np.allclose(plane.decoded(), expected, atol=1e-5)
    numbers = np.frombuffer(plane.weights, "<f4").tolist()
    (decoded,) = maths(plane, ("decode", plane.layers, numbers, [0.4, -1.1]))
    assert np.allclose(decoded, expected, atol=1e-5)
