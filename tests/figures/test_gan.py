"""The figures of `gan`: what their scripts compute, held against Python."""

import numpy as np
import pytest
import torch
from torch import nn

from latent_book.autoencoder import mlp
from latent_book.figures.gan import DuelFigure, GenerateFigure
from latent_book.training import seeded


def floats(part: bytes) -> list[float]:
    return np.frombuffer(part, "<f4").tolist()


@pytest.mark.parametrize(("game", "k"), [(0, 0), (1, 1)])
def test_the_browser_plays_the_snapshot_as_torch_does(game, k, maths):
    with seeded(0):
        pairs = [
            [(mlp([2, 7, 5, 2]), mlp([2, 6, 5, 1])) for _ in range(2)] for _ in range(2)
        ]
    z = np.random.default_rng(0).normal(size=(40, 2))
    centres = np.array([[0.0, 0.0], [1.0, 0.0], [9.0, 9.0]])
    duel = DuelFigure(
        {"a": pairs[0], "b": pairs[1]},
        [0, 5],
        data=centres,
        centres=centres,
        sigma=0.2,
        z=z,
        game=game,
        k=k,
    )
    (answer,) = maths(
        duel,
        (
            "state",
            duel.layers_g,
            duel.layers_d,
            floats(duel.weights),
            2 * game + k,
            floats(duel.z),
            duel.reach,
            8,
            centres.ravel().tolist(),
            duel.radius,
        ),
    )
    G, D = pairs[game][k]
    at = torch.tensor(
        duel.reach * ((2 * np.arange(8) + 1) / 8 - 1), dtype=torch.float32
    )
    places = torch.stack([at.repeat(8), -at.repeat_interleave(8)], 1)
    with torch.no_grad():
        x = G(torch.tensor(z, dtype=torch.float32))
        p = D(places).sigmoid().squeeze(1)
    assert np.allclose(np.reshape(answer[0], (-1, 2)), x, atol=1e-5)
    assert np.allclose(answer[1], p, atol=1e-5)
    assert (
        answer[2]
        == duel.state()[2]
        == int((torch.cdist(x, torch.tensor(centres).float()).min(0)[0] < 0.6).sum())
    )
    assert np.allclose(duel.state(8)[1].ravel(), p, atol=1e-5)
    assert duel.poster().startswith(b"\x89PNG")


def test_the_duel_refuses_games_that_do_not_fit():
    some = {
        "data": np.zeros((1, 2)),
        "centres": np.zeros((1, 2)),
        "sigma": 1.0,
        "z": np.zeros((1, 2)),
    }
    pair = (mlp([2, 3, 2]), mlp([2, 3, 1]))
    with pytest.raises(ValueError, match="each of the 2 steps"):
        DuelFigure({"a": [pair]}, [0, 1], **some)
    with pytest.raises(ValueError, match="one shape"):
        DuelFigure({"a": [pair, (mlp([2, 4, 2]), mlp([2, 3, 1]))]}, [0, 1], **some)


@pytest.mark.parametrize("t", [0.0, 0.3, 2.0, 3.75, 4.0])
def test_the_browser_generates_what_torch_does(t, maths):
    with seeded(0):
        net = mlp([3, 6, 16], nn.Sigmoid())
    rng = np.random.default_rng(1)
    figure = GenerateFigure(
        net,
        rng.normal(size=(10, 3)),
        rng.normal(size=(2, 3)),
        t=t,
        off=[0.5, -1.0],
        walk=1,
    )
    stations = np.frombuffer(figure.stations, "<f4").reshape(2, 5, 3)[1].tolist()
    directions = np.frombuffer(figure.directions, "<f4").reshape(2, 3).tolist()
    (z,) = maths(figure, ("causes", t, stations, directions, [0.5, -1.0]))
    assert np.allclose(z, figure.causes(), atol=1e-9)
    (image,) = maths(figure, ("make", figure.layers, floats(figure.weights), z))
    with torch.no_grad():
        expected = net(torch.tensor(z, dtype=torch.float32))
    assert np.allclose(image, expected, atol=1e-5)
    assert np.allclose(figure.image(), expected, atol=1e-5)
    if t == 4.0:
        assert np.allclose(
            z, np.array(stations[4]) + [0.5, -1.0] @ np.array(directions)
        )
    assert figure.poster().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="do not fit"):
        GenerateFigure(net, np.zeros((4, 3)), np.zeros((2, 3)))
