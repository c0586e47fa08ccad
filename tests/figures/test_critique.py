"""The figures of `critique`: what their scripts compute, held against Python."""

import numpy as np

from latent_book.figures.critique import ClutterFigure


def test_the_browser_lays_the_picture_together_as_python_does(maths):
    rng = np.random.default_rng(0)
    figure = ClutterFigure(
        [0.0, 0.5, 1.0],
        rng.random((2, 9)),
        rng.random((2, 9)),
        ["a"],
        rng.random((3, 1, 2, 2, 9)),
        rng.random((3, 1, 9)),
        ["a"],
        rng.random((1, 2, 3, 2)),
        i=1,
        j=1,
    )
    m, b, trips = (list(getattr(figure, n)) for n in ("digits", "photos", "trips"))
    ink, clutter = ([v / 255 for v in grey[9:]] for grey in (m, b))
    picture, trip = maths(
        figure,
        ("layOver", ink, clutter, figure.levels[figure.k]),
        ("greys", trips, ((figure.k * 2 + 1) * 2 + 1) * 9, 9),
    )
    assert np.allclose(picture, figure.picture(), atol=1e-12)
    assert np.allclose(trip, figure.trip(0), atol=1e-12)
