"""The figures of `denoising`: what their scripts compute, held against Python."""

import numpy as np
import pytest
from scipy import stats

from latent_book import denoising as d
from latent_book.denoising import DenoisingAutoencoder
from latent_book.figures.denoising import DenoiseFigure, FieldFigure, mulberry_normals
from latent_book.figures.kit import run_network
from latent_book.mixture import mixture_log_prob

# torch's own, at first use
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
)

PI = np.array([0.5, 0.3, 0.2])
MU = np.array([[-1.5, -0.6], [1.4, -0.9], [0.3, 1.5]])
SIGMA = np.array(
    [[[0.25, 0.12], [0.12, 0.16]], [[0.1, -0.05], [-0.05, 0.3]], [[0.4, 0], [0, 0.05]]]
)
THREE = (PI, MU, SIGMA)


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """Small pictures of few kinds."""
    rng = np.random.default_rng(0)
    kinds = rng.uniform(size=(5, 16)) > 0.5
    return np.clip(
        kinds[rng.integers(5, size=100)] * 0.9 + 0.05 * rng.uniform(size=(100, 16)),
        0,
        1,
    )


@pytest.fixture(scope="module")
def fitted(digits) -> DenoisingAutoencoder:
    """A network trained on them as they are, for the figure asks it about pixels."""
    model = DenoisingAutoencoder(40, sigma=0.3, epochs=5, units=None)
    return model.fit(digits)


def test_the_browser_draws_the_same_noise(maths):
    seeds = [0, 1, 7, 999]
    drawn = maths(DenoiseFigure, *[("normals", seed, 400) for seed in seeds])
    for seed, found in zip(seeds, drawn, strict=True):
        assert np.allclose(found, mulberry_normals(seed, 400), atol=1e-12)
    assert stats.kstest(mulberry_normals(3, 20_000), "norm").pvalue > 1e-3


@pytest.mark.parametrize(
    "settings",
    [{}, {"times": 7, "draw": 3}, {"times": 5, "shake": 1, "sigma": 0.8}, {"digit": 3}],
)
def test_the_browser_cleans_as_python_does(fitted, digits, settings, maths):
    figure = DenoiseFigure(fitted.network_, digits[:3], "abc", trained=0.3, **settings)
    seen = figure.pictures()
    told = {
        "sigma": figure.sigma,
        "draw": figure.draw,
        "times": figure.times,
        "shake": bool(figure.shake),
    }
    weights = np.frombuffer(figure.weights, "<f4").tolist()
    found, apart = maths(
        figure,
        ("cleaned", seen["original"].tolist(), figure.layers, weights, told),
        ("apart", [0.0, 1.0, 2.0], [1.0, 1.0, 0.0]),
    )
    assert np.allclose(found["noisy"], seen["with noise"], atol=1e-9)
    assert np.allclose(found["now"], seen["cleaned"], atol=1e-6)
    assert apart == 5
    if not settings:
        once = fitted.denoise(seen["with noise"][None])[0]
        assert np.allclose(seen["cleaned"], once, atol=1e-5)
        assert np.allclose(
            run_network(figure.layers, figure.weights, seen["with noise"]),
            once,
            atol=1e-5,
        )
    assert figure.poster().startswith(b"\x89PNG")


def test_the_browser_walks_as_python_does(maths):
    points = np.random.default_rng(0).uniform(-3, 3, size=(20, 2))
    figure = FieldFigure(*THREE, sigma=0.4, at=[2.0, 1.5], steps=9)
    mixture = [part.tolist() for part in THREE]
    field, path = maths(
        figure,
        ("score", *mixture, 0.4, points.tolist()),
        ("walked", *mixture, 0.4, [2.0, 1.5], 9),
    )
    assert np.allclose(
        [f["logp"] for f in field],
        mixture_log_prob(points, *d.blur(*THREE, 0.4)),
        atol=1e-9,
    )
    assert np.allclose(
        [f["slope"] for f in field], d.mixture_score(points, *THREE, 0.4), atol=1e-9
    )
    assert np.allclose(path, figure.path(), atol=1e-9)
    assert figure.poster().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="do not fit"):
        FieldFigure(PI[:2], MU, SIGMA)
