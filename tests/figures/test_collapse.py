"""The figures of `collapse`: what their scripts compute, held against Python."""

import numpy as np
import pytest

from latent_book import collapse as c
from latent_book.figures.collapse import CollapseFigure


@pytest.mark.parametrize("log_sigma2", [-1.0, 0.0, 0.4])
def test_the_browser_predicts_as_python_does(log_sigma2, maths):
    rng = np.random.default_rng(0)
    W = np.linalg.qr(rng.normal(size=(9, 9)))[0][:, :4]
    lam = np.array([3.0, 1.5, 0.6, 0.2], dtype=np.float32)
    figure = CollapseFigure(
        np.full(9, 0.5), W, lam, rng.random((5, 9)), log_sigma2=log_sigma2
    )
    prices, gain, trip = figure.state()
    shipped = {
        k: np.frombuffer(getattr(figure, k), "<f4").astype(float).tolist()
        for k in ("mean", "W", "lam")
    }
    x = (np.frombuffer(figure.images, "u1").reshape(5, 9)[figure.digit] / 255).tolist()
    said, picture = maths(
        figure,
        ("predict", shipped["lam"], 10**log_sigma2),
        ("roundTrip", x, shipped["mean"], shipped["W"], gain.tolist()),
    )
    assert np.allclose(said["kl"], prices)
    assert np.allclose(said["kl"], c.predicted_kl(lam.astype(float), 10**log_sigma2))
    assert np.allclose(said["gain"], gain)
    assert np.allclose(picture, trip, atol=1e-6)
