"""The figures of `bound`: what their scripts compute, held against Python."""

import math

import numpy as np
import pytest
from scipy import stats

from latent_book import bound as b
from latent_book.figures.bound import DirectionFigure, JensenFigure, SplitFigure


def two_bumps(z: np.ndarray, apart: float, width: float = 0.7) -> np.ndarray:
    """The log-density of a bump of 40% on the left and one of 60% on the right."""
    left, right = stats.norm(-apart, width), stats.norm(apart, width)
    return np.log(0.4 * left.pdf(z) + 0.6 * right.pdf(z))


def test_the_browser_splits_the_bar_as_python_does(maths):
    figure = SplitFigure([0.5, 0.3, 0.2], [0.02, 0.1, 0.3], ["coin", "plate", "moon"])
    guesses = [
        [1.0, 0.6, 0.2],
        [0.0, 0.0, 1.0],
        [1.0, 0.0, 0.0],
        [0.0, 0.0, 0.0],
        [0.1, 0.3, 0.6],
    ]
    shares = maths(figure, *[("normalised", weights) for weights in guesses])
    found = maths(figure, *[("parts", figure.log_joint, q) for q in shares])
    for weights, q, parts in zip(guesses, shares, found, strict=True):
        figure.weights = weights
        assert figure.q() == pytest.approx(q)
        assert figure.parts() == pytest.approx(
            {k: parts[k] for k in ("logp", "elbo", "kl")}, abs=1e-10
        )
        assert parts["elbo"] + parts["kl"] == pytest.approx(math.log(0.1), abs=1e-10)
    assert found[0]["posterior"] == pytest.approx([0.1, 0.3, 0.6])
    assert found[-1]["kl"] == pytest.approx(0.0, abs=1e-12)


def test_the_browser_averages_on_the_curve_as_python_does(maths):
    figure = JensenFigure()
    cases = [
        ([0.5, 0.2, 0.6], [0.4, 2.5, 7.0]),
        ([0, 1, 0], [1.0, 2.0, 3.0]),
        ([0, 0, 0], [0.2, 0.2, 5.0]),
    ]
    found = maths(figure, *[("averages", *case) for case in cases])
    for (weights, values), answer in zip(cases, found, strict=True):
        figure.weights, figure.values = [float(w) for w in weights], values
        assert figure.averages() == pytest.approx(answer, abs=1e-12)
        a = np.array(weights) / sum(weights) if sum(weights) else np.full(3, 1 / 3)
        gap = b.jensen_gap(a, np.array(values))
        assert answer["logOfMean"] - answer["meanOfLogs"] == pytest.approx(
            gap, abs=1e-12
        )


def test_the_browser_measures_and_fits_as_python_does(maths):
    figure = DirectionFigure()
    starts = [
        (2.0, -0.8, 1.2),
        (2.5, 0.0, 2.0),
        (0.0, 3.0, 0.55),
        (3.0, 3.5, 4.0),
        (1.3, -5.0, 0.55),
    ]
    fixed = (figure.grid, figure.share, figure.width)
    calls = []
    for apart, mu, sigma in starts:
        target = (fixed[0], apart, *fixed[1:])
        calls += [
            ("both", *target, mu, sigma),
            ("forward", *target),
            ("reverse", *target, mu, sigma),
        ]
    answers = maths(figure, *calls)
    for i, (apart, mu, sigma) in enumerate(starts):
        figure.separation, figure.mu, figure.sigma = apart, mu, sigma
        z, log_p = figure.target()
        both, forward, reverse = answers[3 * i : 3 * i + 3]
        assert np.allclose(log_p, two_bumps(z, apart), atol=1e-9)
        assert figure.both() == pytest.approx(both, abs=1e-8)
        assert b.fit_forward(z, log_p) == pytest.approx(forward, abs=1e-8)
        assert b.fit_reverse(z, log_p, mu, sigma) == pytest.approx(reverse, abs=1e-5)


def test_the_figures_draw_their_posters():
    for figure in (
        SplitFigure([0.5, 0.5], [0.1, 0.2], ["a", "b"]),
        JensenFigure(),
        DirectionFigure(),
    ):
        assert figure.poster().startswith(b"\x89PNG")
        assert figure.alt
