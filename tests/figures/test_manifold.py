"""The figures of `manifold`: what their scripts compute, held against Python."""

import numpy as np
import pytest
import torch

from latent_book import manifold as m
from latent_book.figures.manifold import SurfaceFigure, WalkFigure

# torch's own, at first use
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
)

DOUBLE = torch.float64


def grid(n: int = 13) -> torch.Tensor:
    """Candidates all over the chart."""
    side = torch.linspace(-0.3, 0.3, n, dtype=DOUBLE)
    return torch.cartesian_prod(side, side)


@pytest.mark.parametrize(
    "ends", [[-0.28, -0.1, 0.28, 0.12], [-0.3, 0.3, 0.013, 0.004], [0.0, 0.0, 0.1, 0.0]]
)
def test_the_browser_finds_the_distances_that_python_finds(ends, maths):
    figure = WalkFigure(ends=ends)
    scene = {
        "others": figure.others,
        "lens": {"softness": figure.lens[0], "relief": figure.lens[1]},
    }
    (found,) = maths(
        WalkFigure,
        ("distances", figure.ends, scene, figure.cells, figure.reach, 41),
    )
    assert np.allclose(found, figure.distances(), atol=2e-4)
    a, b = m.ball(torch.tensor(figure.ends, dtype=DOUBLE).reshape(2, 2))
    t = torch.linspace(0, 1, 41, dtype=DOUBLE)[:, None]
    without_grid = m.nearest_on_manifold((1 - t) * a + t * b, m.ball, grid(25))[1]
    assert np.allclose(found, without_grid, atol=0.02 * float(a.norm()))


def test_the_browser_turns_the_surface_as_python_does(maths):
    figure = SurfaceFigure(azimuth=50.0, elevation=-20.0)
    numbers = {
        name: np.frombuffer(getattr(figure, name), "<f4").tolist()
        for name in ("mean", "axes")
    }
    scene = {
        "others": figure.others,
        "lens": {"softness": figure.lens[0], "relief": figure.lens[1]},
        **numbers,
    }
    where = [[0.0, 0.0], [0.21, -0.3], [-0.3, 0.17]]
    shadows = figure.project(where)
    turned = figure.turn(shadows)
    answers = maths(
        SurfaceFigure,
        *[("project", z, scene) for z in where],
        *[("turn", p.tolist(), 50.0, -20.0) for p in shadows],
    )
    assert np.allclose(answers[:3], shadows, atol=1e-6)
    assert np.allclose(answers[3:], turned, atol=1e-9)


def test_far_quadrilaterals_are_drawn_first_and_flat_ones_face_alike(maths):
    points = [[i, j, 0.1 * i] for i in range(4) for j in range(4)]
    (drawn,) = maths(SurfaceFigure, ("order", points, 4))
    depth, facing = np.array(drawn).T
    assert len(depth) == 9
    assert np.all(np.diff(depth) <= 0)
    assert np.allclose(facing, facing[0])
    assert 0 < facing[0] <= 1


def test_the_three_directions_are_the_widest():
    figure = SurfaceFigure()
    axes = np.frombuffer(figure.axes, "<f4").reshape(3, -1)
    assert np.allclose(axes @ axes.T, np.eye(3), atol=1e-5)
    side = np.linspace(-0.3, 0.3, 21)
    X = m.ball(
        torch.from_numpy(np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2))
    ).numpy()
    values, vectors = np.linalg.eigh(np.cov(X.T))
    assert np.allclose(
        np.linalg.norm(vectors[:, -3:].T @ axes.T.astype(float), axis=0), 1, atol=1e-4
    )
    assert values[-4] < values[-3]
