"""What the plots draw: pictures of every shape, learning curves, and what the causes
do.
"""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from sklearn.exceptions import NotFittedError

from latent_book import (
    GAN,
    PCA,
    VAE,
    BernoulliMixture,
    Diffusion,
    Flow,
    GaussianMixture,
    HelmholtzMachine,
    Ladder,
    ProbabilisticPCA,
)
from latent_book.data import digits8
from latent_book.gan import GANHistory
from latent_book.plots import (
    COLOR,
    image_grid,
    interpolation,
    learning_curve,
    traversal,
)
from latent_book.training import History

torch.set_num_threads(1)
RNG = np.random.default_rng(0)
X = digits8().X[:200]
SMALL = {"epochs": 1, "device": "cpu", "random_state": 0}


def axes():
    """Where to draw."""
    return Figure().add_subplot()


def sheet(ax) -> np.ndarray:
    """What was drawn, without the mask."""
    return np.ma.filled(np.ma.asarray(ax.images[0].get_array(), float), np.nan)


def tile(ax, r: int, c: int, height: int, width: int) -> np.ndarray:
    """The picture in this row and column."""
    top, left = r * (height + 2), c * (width + 2)
    return sheet(ax)[top : top + height, left : left + width]


# --- images


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_colour_first_and_last_are_the_same_sheet(channels, kind):
    images = RNG.random((5, channels, 4, 6))
    last = np.ascontiguousarray(np.moveaxis(images, 1, -1))
    a = sheet(image_grid(kind(images), axes(), columns=3))
    b = sheet(image_grid(kind(last), axes(), columns=3))
    np.testing.assert_array_equal(a, b)
    assert a.shape[:2] == (10, 22)
    if channels == 1:
        grey = sheet(image_grid(images[:, 0], axes(), columns=3))
        np.testing.assert_array_equal(a, grey)
        assert np.isnan(a[4:6]).all()  # the gap
    else:
        np.testing.assert_allclose(a[6:, 8:14, :3], last[4])
        assert (a[6:, 8:14, 3] == 1).all()
        assert (a[4:6, :, 3] == 0).all()  # the gap
        assert (a[6:, 16:, 3] == 0).all()  # where no image is


def test_channels_come_first_where_both_orders_fit():
    images = RNG.random((2, 3, 5, 3))
    assert sheet(image_grid(images, axes())).shape == (5, 8, 4)


def test_limits_hold_for_colour_and_a_missing_number_is_transparent():
    images = np.zeros((1, 3, 1, 4))
    images[0, :, 0] = [-1, 0, 3, np.nan]
    drawn = sheet(image_grid(images, axes(), limits=(-1.0, 1.0)))
    np.testing.assert_allclose(drawn[0, :3, 0], [0, 0.5, 1])
    assert drawn[0, :, 3].tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((2, 10), r"rows of 10 pixels are no squares"),
        ((0, 16), r"N >= 1.*\(0, 16\)"),
        ((0, 3, 4, 4), r"N >= 1.*\(0, 3, 4, 4\)"),
        ((16,), r"\(16,\)"),
        ((2, 2, 3, 4, 4), r"\(2, 2, 3, 4, 4\)"),
        ((2, 4, 8, 8), r"1 or 3 channels.*\(2, 4, 8, 8\)"),
        ((2, 8, 8, 2), r"1 or 3 channels.*\(2, 8, 8, 2\)"),
    ],
)
def test_other_shapes_are_named(shape, told):
    with pytest.raises(ValueError, match=told):
        image_grid(np.zeros(shape), axes())


def test_the_cure_for_rows_that_are_no_squares_is_true():
    rows = RNG.random((2, 12))
    with pytest.raises(ValueError, match=r"\(N, height, width\), or \(N, 3, height"):
        image_grid(rows, axes())
    assert sheet(image_grid(rows.reshape(2, 3, 4), axes())).shape == (3, 10)
    assert sheet(image_grid(rows.reshape(2, 3, 2, 2), axes())).shape == (2, 6, 4)


# --- learning curves


def lines(ax) -> dict:
    """The lines by their labels."""
    return {line.get_label(): line for line in ax.get_lines()}


def test_a_history_shows_both_losses_and_the_epoch_that_was_kept():
    history = History(loss=[3.0, 2.0, 1.5], val_loss=[3.1, 2.4, 2.6], best=1)
    for given in (history, SimpleNamespace(history_=history)):
        ax = axes()
        assert learning_curve(given, ax) is ax
        found = lines(ax)
        assert found["training"].get_ydata().tolist() == history.loss
        assert found["held out"].get_ydata().tolist() == history.val_loss
        assert to_hex(found["training"].get_color()) == COLOR["data"]
        assert found["kept"].get_xydata().tolist() == [[1, 2.4]]
        assert (ax.get_xlabel(), ax.get_ylabel()) == (
            "epoch",
            "loss, mean over examples",
        )
        assert {t.get_text() for t in ax.texts} == {"training", "held out", "kept"}


def test_without_rows_held_out_the_last_epoch_is_kept():
    found = lines(learning_curve(History(loss=[3.0, 2.0], best=1), axes()))
    assert set(found) == {"training", "kept"}
    assert found["kept"].get_xydata().tolist() == [[1, 2.0]]


def test_two_players_are_two_lines():
    ax = learning_curve(GANHistory([1.3, 1.2], [0.7, 0.9]), axes())
    assert {k: list(v.get_ydata()) for k, v in lines(ax).items()} == {
        "discriminator": [1.3, 1.2],
        "generator": [0.7, 0.9],
    }
    assert ax.get_ylabel() == "loss, nats"
    several = History(loss=[1.3, 1.2], parts=[[1.3, 0.7], [1.2, 0.9]], best=1)
    found = lines(learning_curve(several, axes()))
    assert found["loss 1"].get_ydata().tolist() == [1.3, 1.2]
    assert found["loss 2"].get_ydata().tolist() == [0.7, 0.9]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "model",
    [
        VAE(2, likelihood="gaussian", validation_fraction=0.3, **SMALL),
        GAN(2, **SMALL),
        ProbabilisticPCA(2),
        ProbabilisticPCA(2, solver="em", max_iter=3, random_state=0),
        GaussianMixture(2, reg_covar=1e-2, max_iter=3, random_state=0),
        BernoulliMixture(2, max_iter=3, random_state=0),
    ],
    ids=lambda m: type(m).__name__,
)
def test_every_estimator_with_a_history_has_a_curve(model):
    ax = learning_curve(model.fit(X), axes())
    assert all(np.isfinite(line.get_ydata()).all() for line in ax.get_lines())
    if not hasattr(model.history_, "stopped"):
        (bound,) = ax.get_lines()
        np.testing.assert_array_equal(bound.get_ydata(), np.ravel(model.history_))
        assert ax.get_xlabel() == "EM step"


@pytest.mark.parametrize("given", [VAE(2), PCA(2).fit(X)])
def test_where_there_is_no_history_the_cure_is_told(given):
    with pytest.raises(ValueError, match="has no history_: fit it first"):
        learning_curve(given, axes())


def test_what_is_no_history_is_refused():
    with pytest.raises(TypeError, match="a str is no history"):
        learning_curve("loss", axes())
    for empty in (History(), GANHistory(), []):
        with pytest.raises(ValueError, match="no epoch yet"):
            learning_curve(empty, axes())


# --- what causes do


class Painter:
    """A model of one's own: a picture is its code, twelve numbers."""

    n_components_, n_features_in_ = 4, 12

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def decode(self, Z):
        return np.concatenate([Z, Z, Z], axis=1).reshape(len(Z), *self.shape)

    def encode(self, X):
        return X.reshape(len(X), -1)[:, :4], "something about the spread"


SHAPES = [(3, 4), (1, 3, 4), (3, 2, 2)]
FREE = (-10.0, 10.0)


def drawn_codes(ax, rows: int, steps: int, shape) -> np.ndarray:
    """The codes that a Painter was given, read off its pictures."""
    *channels, H, W = shape
    found = np.empty((rows, steps, 4))
    for r in range(rows):
        for c in range(steps):
            part = tile(ax, r, c, H, W)
            if channels == [3]:
                part = np.moveaxis(part[..., :3], -1, 0) * 20 - 10
            found[r, c] = part.ravel()[:4]
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_a_traversal_moves_one_cause_a_row(shape):
    ax = axes()
    model = Painter(*shape)
    assert traversal(model, ax, at=[1, 2, 3, 4], reach=2, steps=3, limits=FREE) is ax
    wanted = np.tile([1.0, 2, 3, 4], (4, 3, 1))
    for k in range(4):
        wanted[k, :, k] = [-2, 0, 2]
    np.testing.assert_allclose(drawn_codes(ax, 4, 3, shape), wanted, atol=1e-9)
    said = [t.get_text() for t in ax.texts]
    assert said == ["−2", "0", "2", "z[0]", "z[1]", "z[2]", "z[3]"]


def test_a_reach_for_each_cause_and_some_causes():
    model = Painter(3, 4)
    ax = traversal(
        model, axes(), reach=[1, 2, 3, 4], steps=2, causes=[3, 1], limits=FREE
    )
    wanted = np.zeros((2, 2, 4))
    wanted[0, :, 3], wanted[1, :, 1] = [-4, 4], [-2, 2]
    np.testing.assert_allclose(drawn_codes(ax, 2, 2, (3, 4)), wanted)
    assert [t.get_text() for t in ax.texts] == ["z[3]", "z[1]"]
    ways = [[0, 1], [5, 6], [0, 1], [0, 1]]
    ax = traversal(model, axes(), reach=ways, steps=2, causes=1, limits=FREE)
    np.testing.assert_allclose(
        drawn_codes(ax, 1, 2, (3, 4))[0], [[0, 5, 0, 0], [0, 6, 0, 0]]
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_an_interpolation_is_a_straight_line(shape):
    model, a, b = Painter(*shape), np.arange(4.0), -np.arange(4.0)
    wanted = np.linspace(a, b, 5)
    for ends in ((a, b), (a[None], b[None]), (torch.tensor(a), torch.tensor(b))):
        ax = interpolation(model, *ends, axes(), steps=5, limits=FREE)
        np.testing.assert_allclose(drawn_codes(ax, 1, 5, shape)[0], wanted, atol=1e-9)
    rows = [np.concatenate([a, RNG.random(8)]), np.concatenate([b, RNG.random(8)])]
    for ends in (rows, [row.reshape(shape) for row in rows]):
        ax = interpolation(model, *ends, axes(), steps=5, limits=FREE)
        np.testing.assert_allclose(drawn_codes(ax, 1, 5, shape)[0], wanted, atol=1e-9)


FITTED = [
    PCA(3),
    ProbabilisticPCA(3),
    GaussianMixture(3, reg_covar=1e-2, max_iter=2, random_state=0),
    BernoulliMixture(3, max_iter=2, random_state=0),
    HelmholtzMachine(3, **SMALL),
    VAE(3, likelihood="gaussian", **SMALL),
    GAN(3, **SMALL),
    Flow(layers=2, hidden=(4,), **SMALL),
    Ladder(n_components=(3, 2), hidden=(4,), **SMALL),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", FITTED, ids=lambda m: type(m).__name__)
def test_every_model_with_a_decoder_shows_its_causes(model):
    rows = (X > 0.5).astype(float)
    model.fit(rows)
    L = 64 if isinstance(model, Flow) else 3
    n = min(L, 10)
    ax = traversal(model, axes(), steps=3)
    assert sheet(ax).shape == (n * 10 - 2, 28)
    middle = np.asarray(model.decode(np.zeros((1, L)))).reshape(8, 8)
    np.testing.assert_allclose(tile(ax, n - 1, 1, 8, 8), middle, atol=1e-6)
    codes = RNG.normal(size=(2, L))
    if L == 3:
        ax = interpolation(model, *codes, axes(), steps=3)
        half = np.asarray(model.decode(codes.mean(axis=0, keepdims=True)))
        np.testing.assert_allclose(tile(ax, 0, 1, 8, 8), half.reshape(8, 8), atol=1e-5)
    if hasattr(model, "encode"):
        ax = interpolation(model, rows[0], rows[1], axes(), steps=3)
        trip = np.asarray(model.decode(model.encode(rows[1:2]))).reshape(8, 8)
        np.testing.assert_allclose(tile(ax, 0, 2, 8, 8), trip, atol=1e-5)
    else:
        with pytest.raises(TypeError, match=r"GAN has no encode.*codes of 3"):
            interpolation(model, rows[0], rows[1], axes())


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (3, 4, 4)])
def test_a_model_of_pictures_shows_pictures(shape):
    pictures = RNG.random((40, *shape))
    model = VAE(2, likelihood="gaussian", **SMALL).fit(pictures)
    *channels, H, W = shape
    layers = (4,) if channels == [3] else ()
    ax = traversal(model, axes(), steps=3)
    assert sheet(ax).shape == (2 * (H + 2) - 2, 3 * (W + 2) - 2, *layers)
    ax = interpolation(model, pictures[0], pictures[1], axes(), steps=3)
    assert sheet(ax).shape == (H, 3 * (W + 2) - 2, *layers)


def test_rows_that_are_no_squares_want_a_shape():
    rows = RNG.random((30, 12))
    model = PCA(2).fit(rows)
    for draw in (
        lambda **more: traversal(model, axes(), steps=3, **more),
        lambda **more: interpolation(model, rows[0], rows[1], axes(), steps=3, **more),
    ):
        with pytest.raises(ValueError, match=r"rows of 12 numbers.*shape=\(height"):
            draw()
        assert sheet(draw(shape=(3, 4))).shape[1] == 16
        assert sheet(draw(shape=(3, 2, 2))).shape[1:] == (10, 4)
        with pytest.raises(ValueError, match=r"has 15 numbers, but a picture.*has 12"):
            draw(shape=(3, 5))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"at": [0, 0]}, "at has 2 numbers; a code has 4"),
        ({"reach": [1, 2]}, r"reach has shape \(2,\); pass one number, 4"),
        ({"causes": [4]}, r"causes=\[4\]; count them from 0 to 3"),
        ({"causes": [-1]}, "from 0 to 3"),
        ({"causes": []}, "from 0 to 3"),
        ({"causes": [0.5]}, "from 0 to 3"),
        ({"steps": 1}, "steps=1 must be a whole number, at least 2"),
    ],
)
def test_what_does_not_fit_is_told(more, told):
    with pytest.raises(ValueError, match=told):
        traversal(Painter(3, 4), axes(), **more)


def test_what_makes_no_path_is_refused():
    with pytest.raises(TypeError, match="object has no decode"):
        traversal(object())
    noisy = Diffusion(hidden=(4,), T=3, **SMALL).fit(X)
    for draw in (
        lambda: traversal(noisy, axes()),
        lambda: interpolation(noisy, X[0], X[1], axes()),
    ):
        with pytest.raises(TypeError, match=r"decode of Diffusion draws noise.*Flow"):
            draw()
    with pytest.raises(NotFittedError):
        traversal(VAE(2), axes())
    model = Painter(3, 4)
    with pytest.raises(ValueError, match="5 numbers; pass two codes of 4, or two pic"):
        interpolation(model, np.zeros(5), np.zeros(5), axes())
    with pytest.raises(ValueError, match=r"first has shape \(4,\) and second \(5,\)"):
        interpolation(model, np.zeros(4), np.zeros(5), axes())
    mute = SimpleNamespace(decode=lambda Z: Z)
    with pytest.raises(ValueError, match="does not tell how many causes"):
        traversal(mute, axes())
    assert sheet(traversal(mute, axes(), at=np.zeros(4), steps=2)).shape == (14, 6)


@pytest.mark.filterwarnings("ignore")
def test_without_axes_each_has_a_figure_of_its_own():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    model = Painter(3, 4)
    drawn = [
        learning_curve(History(loss=[1.0, 0.5], best=1)),
        traversal(model),
        interpolation(model, np.zeros(4), np.ones(4)),
    ]
    assert len({id(ax.figure) for ax in drawn}) == 3
    assert len(plt.get_fignums()) == len(before) + 3
    for ax in drawn:
        plt.close(ax.figure)


def test_plots_does_without_torch():
    code = "import sys, latent_book.plots; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout == "False\n"
