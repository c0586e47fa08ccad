"""The figures of `mixture`: what their scripts compute, held against Python."""

import numpy as np

from latent_book import mixture as m
from latent_book.figures.mixture import MixtureFigure


def test_the_browser_asks_bayes_rule_as_python_does(maths):
    figure = MixtureFigure(
        mu=[-1.0, 0.3, 2.0, -0.5], angle=[0.4, 2.0], weight=0.3, draw=5
    )
    model = {
        name: getattr(figure, name)
        for name in ("mu", "long", "short", "angle", "weight")
    }
    noise = np.frombuffer(figure.noise, "<f4").reshape(8, -1)[5]
    X = figure.points()
    *each, points, border = maths(
        figure,
        *[
            (name, x, model)
            for name in ("logProb", "responsibilities")
            for x in X.tolist()
        ],
        ("points", noise.tolist(), model),
        ("border", model, [-4, 4], [-3, 3]),
    )
    log_p, R = each[: len(X)], each[len(X) :]
    np.testing.assert_allclose(
        log_p, m.mixture_log_prob(X, *figure.parameters()), atol=1e-6
    )
    np.testing.assert_allclose(
        R, m.responsibilities(X, *figure.parameters()), atol=1e-6
    )
    np.testing.assert_allclose(np.reshape(points, (-1, 2)), X, atol=1e-6)
    ends = np.reshape(
        border, (-1, 2)
    )  # the browser's strokes lie where Python's responsibilities are equal
    assert len(ends) > 40
    np.testing.assert_allclose(
        m.responsibilities(ends, *figure.parameters()), 0.5, atol=0.01
    )
    assert figure.poster().startswith(b"\x89PNG")
