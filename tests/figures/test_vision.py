"""The figures of `vision`: what their scripts compute, held against Python."""

import numpy as np
import pytest
import torch

from latent_book import vision as v
from latent_book.figures.vision import AmbiguityFigure, SceneFigure


def scenes(n: int, seed: int = 0) -> torch.Tensor:
    """Scenes a little inside their ranges, so that they can be nudged."""
    middle = torch.tensor([(low + high) / 2 for low, high in v.CAUSES.values()])
    return (
        middle
        + 0.99 * (v.sample_causes(n, torch.Generator().manual_seed(seed)) - middle)
    ).double()


LENS = {"softness": v.SOFTNESS, "relief": v.RELIEF}


def test_the_browser_draws_what_python_draws(maths):
    Z = scenes(40, seed=14)
    jobs = [(z, v.SHAPES[i % 4]) for i, z in enumerate(Z)]
    drawn = maths(
        SceneFigure,
        *[("draw", z.tolist(), v.SIDES[shape], LENS) for z, shape in jobs],
    )
    for (z, shape), picture in zip(jobs, drawn, strict=True):
        assert (
            np.abs(np.array(picture) - v.render(z[None], shape)[0].numpy()).max() < 1e-5
        )


def test_the_browser_walks_downhill_as_python_does(maths):
    x, start = (
        v.render(v.causes(angle=0.2, y=0.1).double()),
        v.causes(x=0.1, size=0.7, angle=0.5).double(),
    )
    scene = {
        "sides": v.SIDES["dart"],
        "lens": LENS,
        "ranges": list(v.CAUSES.values()),
        "circular": [4, 6],
    }
    (walked,) = maths(
        SceneFigure, ("steps", x[0].tolist(), start[0].tolist(), scene, 30)
    )
    assert walked == pytest.approx(
        v.descend(x, start, steps=30)[-1, 0].tolist(), abs=1e-5
    )


@pytest.mark.parametrize(
    ("apparent", "sigma", "mean", "width"),
    [(0.4, 0.6, 0.65, 0.05), (0.31, 0.3, 0.5, 0.4), (0.7, 2.0, 0.8, 0.01)],
)
def test_the_browser_weighs_the_evidence_as_python_does(
    apparent, sigma, mean, width, maths
):
    figure = AmbiguityFigure(apparent=apparent, sigma=sigma, mean=mean, width=width)
    call = (
        "posterior",
        figure.picture().tolist(),
        figure.cells,
        figure.ranges,
        figure.others,
        LENS,
        sigma,
        mean,
        width,
    )
    (posterior,) = maths(AmbiguityFigure, call)
    assert np.abs(np.array(posterior) - figure.maps()["posterior"].ravel()).max() < 1e-5


@pytest.mark.parametrize("figure", [SceneFigure, AmbiguityFigure])
def test_a_figure_has_a_poster_and_words(figure):
    assert figure().poster()[:4] == b"\x89PNG"
    assert len(figure().alt) > 40
