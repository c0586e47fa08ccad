"""What people bring to the network estimators: data in any units, pictures, more rows
than memory has room for, held-out rows, networks of their own, bad luck.

Each demand is held for all nine; one that a model cannot meet is named beside it.
"""

import copy
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import datasets
from sklearn.base import clone
from torch import nn

from latent_book import load, save
from latent_book.autoencoder import Autoencoder
from latent_book.denoising import DenoisingAutoencoder
from latent_book.estimators import RealEstimator
from latent_book.gan import GAN
from latent_book.onwards import Diffusion, Flow, FlowNetwork, Ladder
from latent_book.pca import ProbabilisticPCA
from latent_book.training import DivergedError
from latent_book.vae import VAE
from latent_book.variational import NVIL, HelmholtzMachine

torch.set_num_threads(1)
SMALL = {"epochs": 3, "batch_size": 32, "device": "cpu"}
REAL = {
    "vae": VAE(2, hidden=(8,), likelihood="gaussian", **SMALL),
    "autoencoder": Autoencoder(2, hidden=(8,), output="linear", **SMALL),
    "denoising": DenoisingAutoencoder(8, sigma=0.5, **SMALL),
    "gan": GAN(2, hidden=(8,), output="linear", **SMALL),
    "flow": Flow(layers=2, hidden=(8,), **SMALL),
    "diffusion": Diffusion(hidden=(8,), T=5, **SMALL),
    "ladder": Ladder(n_components=(2, 1), hidden=(8,), **SMALL),
}
BITS = {
    "vae-bits": VAE(2, hidden=(8,), **SMALL),
    "autoencoder-grey": Autoencoder(2, hidden=(8,), **SMALL),
    "gan-grey": GAN(2, hidden=(8,), **SMALL),
    "helmholtz": HelmholtzMachine(3, **SMALL),
    "helmholtz-many": HelmholtzMachine(12, **SMALL),
    "nvil": NVIL(3, **SMALL),
}
ALL = {**REAL, **BITS}
ROWS_TO_ROWS = ("reconstruct", "denoise")
ROWS_TO_CODES = ("transform", "encode", "posterior")
ROWS_TO_NATS = ("log_prob", "elbo", "iwae", "score_samples")


def table(n: int = 120, D: int = 6) -> np.ndarray:
    """Rows on a bent sheet, of about unit spread."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, 2))
    return np.tanh(z @ rng.normal(size=(2, D))) + 0.3 * rng.normal(size=(n, D))


def pixels(n: int = 60, shape: tuple[int, ...] = (4, 4)) -> np.ndarray:
    """Pictures of zeros and ones."""
    rng = np.random.default_rng(1)
    ink = rng.uniform(size=(3, *shape))
    return (rng.uniform(size=(n, *shape)) < ink[rng.integers(3, size=n)]).astype("f8")


def said(model, X, verbs) -> dict[str, np.ndarray]:
    """What the model says of X, by verb."""
    told = {}
    for verb in verbs:
        # a diffusion's `denoise` asks for a noise level
        if hasattr(model, verb) and not (
            isinstance(model, Diffusion) and verb == "denoise"
        ):
            more = {"k": 20} if verb in ("iwae", "log_prob") else {}
            if verb == "log_prob" and isinstance(model, Flow):
                more = {}
            answer = getattr(model, verb)(X, **more)
            told[verb] = answer[0] if isinstance(answer, tuple) else answer
    return told


# --- units


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize(
    ("a", "b"), [(1e-6, 0.0), (1e-6, 3.0), (1e6, -2e8), (-40.0, 1e4)]
)
def test_in_other_units_it_is_the_same_model(name, a, b):
    """fit(a X + b) is fit(X) in other units: to 1e-3 of the spread, and to 5e-3 nats
    (a GAN, whose game is chaos, to 5e-2 of the spread).
    """
    X = table()
    other = a * X + b
    one = clone(REAL[name]).fit(X)
    settings = {"sigma": 0.5 * abs(a)} if name == "denoising" else {}
    two = clone(REAL[name]).set_params(**settings)
    if a < 0:  # the mirror image has other weights: the first layers see other signs
        other, b = abs(a) * X + b, b
        a = abs(a)
    two.fit(other)
    close = 5e-2 if name == "gan" else 1e-3
    for verb, answer in said(one, X, ROWS_TO_ROWS).items():
        back = (getattr(two, verb)(other) - b) / a
        np.testing.assert_allclose(back, answer, atol=close, err_msg=verb)
    for verb, answer in said(one, X, ROWS_TO_CODES).items():
        np.testing.assert_allclose(said(two, other, [verb])[verb], answer, atol=5e-3)
    shift = X.shape[1] * np.log(a)
    for verb, answer in said(one, X, ROWS_TO_NATS).items():
        nats = said(two, other, [verb])[verb] + shift
        np.testing.assert_allclose(nats, answer, atol=5e-3, err_msg=verb)
    if hasattr(one, "sample"):
        drawn, wanted = (two.sample(50, 0) - b) / a, one.sample(50, 0)
        np.testing.assert_allclose(drawn, wanted, atol=close)


@pytest.mark.parametrize("name", REAL)
def test_each_column_may_have_its_own_unit(name):
    X = table()
    a, b = 10.0 ** np.arange(-6, 6, 2), np.array([0.0, 1.0, 10.0, 1e3, -1e5, 1e7])
    one, two = (
        clone(REAL[name]).set_params(units="columns").fit(x) for x in (X, a * X + b)
    )
    close = 5e-2 if name == "gan" else 1e-3
    for verb, answer in said(one, X, ROWS_TO_ROWS).items():
        back = (getattr(two, verb)(a * X + b) - b) / a
        np.testing.assert_allclose(back, answer, atol=close, err_msg=verb)
    shift = np.log(a).sum()
    for verb, answer in said(one, X, ROWS_TO_NATS).items():
        nats = said(two, a * X + b, [verb])[verb] + shift
        np.testing.assert_allclose(nats, answer, atol=5e-3, err_msg=verb)
    if hasattr(one, "sample"):
        drawn = (two.sample(50, 0) - b) / a
        np.testing.assert_allclose(drawn, one.sample(50, 0), atol=close)


@pytest.mark.parametrize("name", REAL)
def test_columns_of_different_units_are_told_of(name):
    X = table() * [1, 1, 1, 1, 1, 1e4]
    settings = {"sigma": 5e3} if name == "denoising" else {}
    with pytest.warns(UserWarning, match="units='columns'"):
        clone(REAL[name]).set_params(**settings).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(REAL[name]).set_params(units="columns").fit(X)


def test_densities_in_the_datas_units_integrate_to_one():
    """By quadrature, in one dimension of spread 300, with both kinds of units."""
    rng = np.random.default_rng(0)
    X = np.stack([300 * rng.normal(size=400) + 5e3, rng.normal(size=400)], 1)
    for units in ("one", "columns"):
        flow = Flow(layers=4, hidden=(8,), units=units, **SMALL).fit(X)
        # bands of equal width in both, wide enough for either
        first = np.linspace(5e3 - 3000, 5e3 + 3000, 401)
        second = np.linspace(-3000, 3000, 401) if units == "one" else None
        second = np.linspace(-9, 9, 401) if second is None else second
        grid = np.stack(np.meshgrid(first, second, indexing="ij"), -1).reshape(-1, 2)
        cell = (first[1] - first[0]) * (second[1] - second[0])
        assert np.exp(flow.log_prob(grid)).sum() * cell == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("units", ["one", "columns"])
def test_errors_and_losses_are_told_in_the_datas_units(units):
    X = table() * (50.0 if units == "one" else 10.0 ** np.arange(-2, 4))
    model = Autoencoder(2, output="linear", units=units, **{**SMALL, "epochs": 40})
    model.fit(X)
    error = np.square(X - model.reconstruct(X)).sum(1).mean()
    assert model.reconstruction_error(X) == pytest.approx(error, rel=1e-5)
    if units == "one":
        assert model.history_.loss[-1] == pytest.approx(error, rel=0.1)
        denoiser = DenoisingAutoencoder(8, sigma=25.0, **SMALL).fit(X)
        assert denoiser.sigma_ == pytest.approx(25.0)
        with pytest.raises(ValueError, match="set it back"):
            denoiser.set_params(sigma=50.0, warm_start=True).fit(X)


@pytest.mark.parametrize("units", ["one", "columns", None])
def test_a_verb_as_a_module_of_torch_knows_the_units(units):
    X = (table() * [1, 2, 3, 4, 5, 60] + 40).astype("f4")
    model = VAE(2, hidden=(8,), likelihood="gaussian", units=units, **SMALL).fit(X)
    Z = model.encode(X)
    there, back = model.to_torch("encode"), model.to_torch("decode")
    np.testing.assert_allclose(there(torch.tensor(X)).detach(), Z, atol=1e-3)
    told = back(torch.tensor(Z)).detach()
    np.testing.assert_allclose(told, model.decode(Z), rtol=1e-4)


def test_rows_held_out_are_measured_by_those_that_teach():
    X = table()
    near, far = (
        Autoencoder(2, output="linear", **SMALL).fit(X, X_val=held)
        for held in (X[::3], X[::3] + 20)
    )
    assert far.history_.val_loss[-1] > 100 * near.history_.val_loss[-1]


@pytest.mark.filterwarnings("ignore:a flow of", "ignore:columns of X")
def test_nothing_of_an_earlier_fit_is_left():
    X = table()
    model = Flow(layers=2, **SMALL).fit(1000 * X).set_params(units=None).fit(X)
    fresh = Flow(layers=2, units=None, **SMALL).fit(X)
    np.testing.assert_array_equal(model.log_prob(X), fresh.log_prob(X))
    assert not hasattr(model, "scale_")


def test_threads_that_ask_one_model_hear_the_same():
    X = np.repeat(pixels(50, (6,)), 60, axis=0).astype("f4")
    model = VAE(2, hidden=(8,), **SMALL).fit(X[:100])
    wanted = model.elbo(X)
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda _: model.elbo(X), range(40)):
            np.testing.assert_array_equal(answer, wanted)


@pytest.mark.parametrize("name", ["vae", "ladder", "diffusion", "helmholtz"])
def test_no_seed_is_another_each_time(name):
    X = pixels(40, (6,))
    model = clone(ALL[name]).fit(X)
    assert not np.array_equal(model.elbo(X, rng=None), model.elbo(X, rng=None))
    assert np.array_equal(model.elbo(X), model.elbo(X, rng=0))


def test_a_fixed_noise_is_told_in_the_datas_units():
    X = table() * 50
    model = VAE(2, hidden=(), likelihood="gaussian", sigma2=400.0, epochs=60).fit(X)
    drawn = model.sample(4000, 0) - model.sample(4000, 0, noise=False)
    assert drawn.std() == pytest.approx(20.0, rel=0.02)


def test_a_weak_noise_is_told_of():
    with pytest.warns(UserWarning, match="sigma is told in the units of X"):
        DenoisingAutoencoder(8, sigma=0.3, **SMALL).fit(255 * table())


# --- pictures


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 4), (3, 2, 4)])
def test_pictures_go_in_and_come_out(name, shape):
    pictures = pixels(shape=shape)
    rows = pictures.reshape(len(pictures), -1)
    flat = clone(ALL[name]).fit(rows)
    model = clone(ALL[name]).fit(pictures)
    assert model.image_shape_ == shape
    assert not hasattr(flat, "image_shape_")
    for verb, answer in said(flat, rows, ROWS_TO_ROWS).items():
        np.testing.assert_array_equal(
            getattr(model, verb)(pictures), answer.reshape(pictures.shape)
        )
        assert getattr(model, verb)(rows).shape == rows.shape  # as they were given
        assert getattr(flat, verb)(pictures).shape == pictures.shape
    for verb, answer in said(flat, rows, (*ROWS_TO_CODES, *ROWS_TO_NATS)).items():
        np.testing.assert_array_equal(said(model, pictures, [verb])[verb], answer)
    if hasattr(flat, "sample"):
        drawn = model.sample(5, 0)
        assert drawn.shape == (5, *shape)
        np.testing.assert_array_equal(drawn.reshape(5, -1), flat.sample(5, 0))
    if hasattr(flat, "decode"):
        codes = flat.encode(rows) if hasattr(flat, "encode") else np.zeros((3, 2))
        decoded = model.decode(codes)
        np.testing.assert_array_equal(
            decoded, flat.decode(codes).reshape(decoded.shape)
        )
        assert decoded.shape == (len(codes), *shape)
    if not isinstance(model, GAN):
        with pytest.raises(ValueError, match="was fitted to"):
            model.score(np.zeros((2, 5, 5))) if hasattr(model, "score") else (
                model.denoise(np.zeros((2, 5, 5)))
            )


def test_lists_and_tensors_of_pictures_are_pictures():
    pictures = pixels()
    model = VAE(2, hidden=(8,), **SMALL).fit(list(pictures))
    assert model.image_shape_ == (4, 4)
    tensor = torch.from_numpy(pictures)
    trip = model.reconstruct(tensor)
    assert isinstance(trip, torch.Tensor)
    assert trip.shape == tensor.shape
    np.testing.assert_array_equal(trip, model.reconstruct(list(pictures)))


# --- memory


def peak(act) -> float:
    """The most memory that the process holds meanwhile, beyond what it held before, in
    bytes.
    """

    def held(what: str) -> int:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(what):
                return 1024 * int(line.split()[1])
        return 0

    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before = held("VmRSS")
    answer = act()
    most = held("VmHWM") - before
    parts = answer if isinstance(answer, tuple) else (answer,)
    return most - sum(getattr(part, "nbytes", 0) for part in parts)


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="Linux tells it"
)
@pytest.mark.parametrize("name", ALL)
def test_a_verb_takes_little_memory_beside_its_answer(name):
    """At most half of X: what is taken is a block of rows at a time."""
    D, n = 96, 150_000
    rng = np.random.default_rng(0)
    few = (rng.uniform(size=(200, D)) < 0.5).astype("f8")
    X = np.repeat(few, n // 200, axis=0)
    model = clone(ALL[name]).set_params(epochs=1).fit(few)
    verbs = (*ROWS_TO_ROWS, *ROWS_TO_CODES, "score", "reconstruction_error")
    verbs += ("grad_log_prob", "elbo", "prices", "score_samples", "log_prob")
    told = {}
    verbs = [v for v in verbs if hasattr(model, v)]
    for verb in verbs:
        if isinstance(model, Diffusion) and verb == "denoise":
            continue  # it is asked for a noise level
        if verb in ("log_prob", "score_samples") and not isinstance(model, Flow):
            continue  # hundreds of draws a row: `elbo` goes the same way
        act = getattr(model, verb)
        act(few)  # what is imported late is no memory of a verb
        told[verb] = peak(lambda act=act: act(X)) / X.nbytes
    if isinstance(model, GAN):
        told["decode"] = peak(lambda: model.decode(X[:, :2])) / X.nbytes
    assert told
    assert max(told.values()) < 0.5, told


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="Linux tells it"
)
def test_convolutions_take_little_memory_too():
    sees = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Flatten())
    encoder = nn.Sequential(*sees, nn.LazyLinear(4))
    pictures = np.repeat(pixels(64, (28, 28)), 160, axis=0)
    model = VAE(2, hidden=(8,), encoder=encoder, **SMALL).fit(pictures[::160])
    model.transform(pictures[:99])
    for act in (model.transform, model.score, model.reconstruct):
        assert peak(lambda act=act: act(pictures)) < 0.5 * pictures.nbytes


@pytest.mark.parametrize("name", ALL)
def test_no_gradient_is_kept(name):
    X = torch.from_numpy(pixels(40, (6,))).requires_grad_()
    model = clone(ALL[name]).fit(X.detach())
    for answer in said(
        model, X, (*ROWS_TO_ROWS, *ROWS_TO_CODES, *ROWS_TO_NATS)
    ).values():
        assert isinstance(answer, torch.Tensor)
        assert not answer.requires_grad


# --- a fit that fails, and what torch was told


class Stumble:
    """A callback that fails in the second epoch."""

    def __call__(self, run) -> None:
        if run.epoch > 1:
            raise RuntimeError("no more")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.filterwarnings("ignore")
def test_a_fit_that_fails_changes_nothing(name):
    X = pixels(60, (6,))
    model = clone(ALL[name]).fit(X)
    before = {key: copy.deepcopy(value) for key, value in vars(model).items()}
    answers = said(model, X, (*ROWS_TO_ROWS, *ROWS_TO_NATS))
    hole = X.copy()
    hole[3, 2] = np.nan
    for settings, bad, error in [
        ({}, hole, ValueError),
        ({}, X[:, :0], ValueError),
        ({"callbacks": [Stumble()]}, pixels(50, (5,)), RuntimeError),
        ({"lr": 1e30, "warm_start": True}, X, (DivergedError, ValueError)),
        ({"epochs": 0}, pixels(50, (5,)), ValueError),
    ]:
        if "lr" in settings and isinstance(model, HelmholtzMachine):
            continue  # bits do not diverge
        plain = {key: getattr(model, key) for key in settings}
        model.set_params(**settings)
        with pytest.raises(error):
            model.fit(bad)
        model.set_params(**plain)
        assert vars(model).keys() == before.keys()
        now = said(model, X, (*ROWS_TO_ROWS, *ROWS_TO_NATS))
        for verb, answer in answers.items():
            np.testing.assert_array_equal(now[verb], answer)
        assert model.n_features_in_ == before["n_features_in_"]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("when", ["fit", "ask"])
def test_torchs_default_precision_changes_nothing(name, when):
    X = pixels(60, (6,))
    verbs = (*ROWS_TO_ROWS, *ROWS_TO_CODES, *ROWS_TO_NATS)
    model = clone(ALL[name]).fit(X)
    answers = said(model, X, verbs)
    torch.set_default_dtype(torch.float64)
    try:
        other = clone(ALL[name]).fit(X) if when == "fit" else model
        now = said(other, X, verbs)
        drawn = other.sample(3, 0) if hasattr(other, "sample") else 0.0
    finally:
        torch.set_default_dtype(torch.float32)
    for verb, answer in answers.items():
        np.testing.assert_array_equal(now[verb], answer, err_msg=verb)
    if hasattr(model, "sample"):
        np.testing.assert_array_equal(drawn, model.sample(3, 0))


# --- held-out rows, and a fit that goes on


JUDGED = {name: model for name, model in ALL.items() if not isinstance(model, GAN)}


@pytest.mark.parametrize("name", JUDGED)
def test_rows_are_held_out_and_the_best_weights_kept(name):
    X = pixels(100, (6,))
    model = clone(JUDGED[name]).set_params(
        validation_fraction=0.25, patience=2, epochs=6, lr=0.05
    )
    model.fit(X)
    told = model.history_
    assert len(told.val_loss) == len(told.loss) <= 6
    assert told.best == int(np.argmin(told.val_loss))
    if told.stopped == "early":
        assert len(told.loss) == told.best + 3
    # the same rows given by hand: those of the split
    order = np.random.default_rng((_seed(model), 2**31)).permutation(100)
    held, kept = np.sort(order[:25]), np.sort(order[25:])
    by_hand = clone(model).set_params(validation_fraction=None)
    by_hand.fit(X[kept], X_val=X[held])
    assert by_hand.history_.val_loss == told.val_loss
    with pytest.raises(ValueError, match="give one of them"):
        clone(model).fit(X, X_val=X)
    with pytest.raises(ValueError, match=r"validation_fraction=0\.1"):
        clone(model).set_params(validation_fraction=None).fit(X)
    with pytest.raises(ValueError, match="share between 0 and 1"):
        clone(model).set_params(validation_fraction=1.0).fit(X)


def _seed(model) -> int:
    from latent_book.rows import draw_seed

    return draw_seed(model.random_state)


def weights(model) -> torch.Tensor:
    """All weights of a fitted model."""
    return torch.cat([w.detach().flatten() for w in model.network_.parameters()])


def epochs(model) -> int:
    """How many its history has."""
    told = model.history_
    return len(told.generator if isinstance(model, GAN) else told.loss)


WARM = {**ALL, "warm-up": VAE(2, hidden=(8,), warm_up=3, **SMALL)}


@pytest.mark.parametrize("name", WARM)
def test_a_fit_that_was_cut_off_goes_on_to_the_same_end(name, tmp_path):
    X, place = pixels(60, (6,)), tmp_path / "run"
    whole = clone(WARM[name]).fit(X)
    cut = clone(WARM[name]).set_params(checkpoint=place, callbacks=[Stumble()])
    with pytest.raises(RuntimeError, match="no more"):
        cut.fit(X)
    assert not hasattr(cut, "network_")
    cut.set_params(callbacks=()).fit(X)
    assert torch.equal(weights(cut), weights(whole))
    assert repr(cut.history_) == repr(whole.history_)
    # under more epochs the run goes on as well; another lr is another run
    longer = clone(cut).set_params(epochs=5).fit(X)
    assert epochs(longer) == 5
    assert not torch.equal(weights(longer), weights(whole))
    with pytest.raises(ValueError, match="belongs to another run"):
        clone(longer).set_params(lr=0.5).fit(X)
    with pytest.raises(ValueError, match="belongs to another run"):
        clone(longer).fit(X[::-1].copy())
    with pytest.raises((ValueError, OSError), match="nowhere"):
        clone(longer).set_params(checkpoint=tmp_path / "nowhere" / "run").fit(X)


@pytest.mark.parametrize("name", ALL)
def test_a_finished_fit_goes_on(name):
    X = pixels(60, (6,))
    model = clone(ALL[name]).fit(X)
    first = weights(model)
    units = getattr(model, "mean_", None)
    model.set_params(warm_start=True, epochs=2)
    model.fit(X + 1 if name in REAL else X)  # the units stay those of the first fit
    assert epochs(model) == 5
    assert not torch.equal(weights(model), first)
    if units is not None:
        np.testing.assert_array_equal(model.mean_, units)
    fresh = clone(model).set_params(epochs=5).fit(X)  # a new model begins anew
    assert not torch.equal(weights(model), weights(fresh))
    with pytest.raises(ValueError, match="6 features"):
        model.fit(pixels(60, (5,)))
    assert model.n_features_in_ == 6


@pytest.mark.parametrize("name", ALL)
def test_a_callback_may_end_the_fit(name):
    enough = [lambda run: run.epoch == 2]
    model = clone(ALL[name]).set_params(callbacks=enough).fit(pixels(60, (6,)))
    assert model.history_.stopped == "early"
    assert epochs(model) == 2


@pytest.mark.parametrize("name", ALL)
def test_slopes_are_clipped(name):
    X = pixels(60, (6,))
    plain, clipped, loose = (
        clone(ALL[name]).set_params(grad_clip=most, optimizer=torch.optim.SGD).fit(X)
        for most in (None, 1e-3, 1e9)
    )
    assert not torch.equal(weights(plain), weights(clipped))
    assert torch.equal(weights(plain), weights(loose))


@pytest.mark.parametrize("name", ALL)
def test_callbacks_see_the_run(name):
    seen = []
    model = clone(ALL[name]).set_params(callbacks=[lambda run: seen.append(run.epoch)])
    model.fit(pixels(60, (6,)))
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("name", ALL)
def test_an_optimiser_of_ones_own(name):
    X = pixels(60, (6,))
    plain, other, same = (
        clone(ALL[name]).set_params(optimizer=kind).fit(X)
        for kind in (None, torch.optim.SGD, torch.optim.SGD)
    )
    weights = [next(m.network_.parameters()) for m in (plain, other, same)]
    assert not torch.equal(weights[0], weights[1])
    assert torch.equal(weights[1], weights[2])


# --- networks of one's own


class Pair(nn.Module):
    """An encoder that answers a pair, and says `x.float()`, as many do."""

    def __init__(self, D: int, L: int) -> None:
        super().__init__()
        self.body, self.mu, self.log_var = (
            nn.Linear(D, 8), nn.Linear(8, L), nn.Linear(8, L),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.body(x.float().flatten(1)).relu()
        return self.mu(h), self.log_var(h)


def sees(outputs: int, *last: nn.Module) -> nn.Sequential:
    """A small convolutional network over one channel, with a lazy layer."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Flatten(), nn.LazyLinear(outputs), *last,
    )  # fmt: skip


def draws(L: int, *last: nn.Module) -> nn.Sequential:
    """A decoder that wants a code as a picture of one pixel, and answers pictures."""
    return nn.Sequential(
        nn.ConvTranspose2d(L, 6, 2), nn.BatchNorm2d(6), nn.ReLU(),
        nn.ConvTranspose2d(6, 1, 2, 2), *last,
    )  # fmt: skip


class Judge(nn.Module):
    """A discriminator that leaves out the last axis."""

    def __init__(self) -> None:
        super().__init__()
        self.body = sees(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x).squeeze(1)


class Unet(nn.Module):
    """A denoiser of pictures that is told the time, as those of diffusion models."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 1)
        self.time = nn.Linear(1, 4)

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        h = self.first(x) + self.time(t[:, None] / 1000)[:, :, None, None]
        return self.last(h.relu())


OWN = {
    "vae": (VAE(2, likelihood="gaussian", **SMALL), lambda: {"encoder": Pair(16, 2), "decoder": draws(2)}),
    "vae-bits": (VAE(2, k=3, **SMALL), lambda: {"encoder": sees(4), "decoder": draws(2)}),
    "autoencoder": (Autoencoder(2, **SMALL), lambda: {"encoder": sees(2), "decoder": draws(2, nn.Sigmoid())}),
    "autoencoder-linear": (Autoencoder(2, output="linear", **SMALL), lambda: {"decoder": draws(2)}),
    "denoising": (DenoisingAutoencoder(3, **SMALL), lambda: {"encoder": sees(3), "decoder": draws(3)}),
    "helmholtz": (HelmholtzMachine(3, **SMALL), lambda: {"encoder": sees(3), "decoder": draws(3)}),
    "nvil": (NVIL(3, **SMALL), lambda: {"decoder": draws(3), "baseline": Judge()}),
    "gan": (GAN(2, **SMALL), lambda: {"generator": draws(2, nn.Sigmoid()), "discriminator": Judge()}),
    "gan-tanh": (GAN(2, output="tanh", **SMALL), lambda: {"generator": draws(2, nn.Tanh())}),
    "flow": (Flow(**SMALL), lambda: {"network": FlowNetwork(16, 2, (8,))}),
    "diffusion": (Diffusion(T=5, **SMALL), lambda: {"network": Unet()}),
    "ladder": (Ladder(n_components=(2, 1), hidden=(8,), **SMALL), lambda: {"guess_top": Pair(16, 1), "decoder": draws(2)}),
}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_networks_of_ones_own_fit_with_no_glue(name, dtype, tmp_path):
    """Also 257 rows: a last batch of one row, which batch normalisation refuses."""
    model, make = OWN[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mine = make()
    before = {key: copy.deepcopy(net.state_dict()) for key, net in mine.items()}
    pictures = pixels(257).astype(dtype)
    model = clone(model).set_params(batch_size=128, **mine).fit(pictures)
    verbs = (*ROWS_TO_ROWS, *ROWS_TO_CODES, *ROWS_TO_NATS)
    answers = said(model, pictures[:20], verbs)
    for verb, answer in answers.items():
        assert np.isfinite(answer).all(), verb
        again = said(model, pictures[:20], [verb])[verb]
        np.testing.assert_array_equal(again, answer, err_msg=verb)  # nothing learned
    for key, net in mine.items():  # a copy was trained
        for part, value in net.state_dict().items():
            lazy = isinstance(value, nn.parameter.UninitializedParameter)
            assert lazy or torch.equal(value, before[key][part])
    save(model, tmp_path / "model")
    with pytest.raises(ValueError, match=next(iter(mine))):
        load(type(model), tmp_path / "model")
    back = load(type(model), tmp_path / "model", **mine)
    assert back.image_shape_ == (4, 4)
    for verb, answer in answers.items():
        told = said(back, pictures[:20], [verb])[verb]
        np.testing.assert_array_equal(told, answer, err_msg=verb)


class Times255(nn.Module):
    """Grey values from 0 to 255."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 255 * torch.sigmoid(x)


class Scaled(nn.Module):
    """A flow that doubles everything, and whose inverse answers a pair, as those of
    nflows do; its volume has this sign.
    """

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.sign, self.log_scale = sign, nn.Parameter(torch.tensor(0.7))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        volume = self.sign * self.log_scale * x[0].numel()
        return x * self.log_scale.exp(), volume.expand(len(x))

    def inverse(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return z * (-self.log_scale).exp(), -self.log_scale.expand(len(z))


def test_a_flow_in_the_manner_of_nflows_finds_the_spread():
    X = 3 * np.random.default_rng(0).normal(size=(400, 4))
    model = Flow(network=Scaled(1.0), epochs=40, lr=0.05, device="cpu").fit(X)
    wanted = -np.square(X).sum(1) / 18 - 4 * np.log(3 * np.sqrt(2 * np.pi))
    assert model.score(X) == pytest.approx(wanted.mean(), abs=0.02)


@pytest.mark.parametrize(
    ("model", "mine", "cure"),
    [
        (VAE(2), {"decoder": draws(2, nn.Sigmoid())}, "log-odds"),
        (VAE(2), {"decoder": nn.Sequential(nn.Linear(2, 16), nn.Tanh())}, "log-odds"),
        (VAE(2, likelihood="gaussian"), {"decoder": draws(2, nn.Sigmoid())}, "drop"),
        (HelmholtzMachine(2), {"decoder": draws(2, nn.Sigmoid())}, "log-odds"),
        (NVIL(2), {"encoder": sees(2, nn.Sigmoid())}, "log-odds"),
        (GAN(2), {"generator": draws(2, nn.Tanh())}, "output='tanh'"),
        (GAN(2, output="tanh"), {"generator": draws(2, nn.Sigmoid())}, "'sigmoid'"),
        (GAN(2, output="linear"), {"generator": draws(2, nn.Tanh())}, "'tanh'"),
        (GAN(2), {"discriminator": sees(1, nn.Sigmoid())}, "logit"),
        (GAN(2), {"generator": draws(2)}, "end it in a sigmoid"),
        (GAN(2, output="tanh"), {"generator": draws(2)}, "end it in a tanh"),
        (VAE(2), {"decoder": draws(2, nn.ReLU())}, "ends in a ReLU"),
        (VAE(2), {"decoder": draws(2, nn.LogSigmoid())}, "ends in a LogSigmoid"),
        (VAE(2, likelihood="gaussian"), {"decoder": draws(2, Times255())}, "bounds"),
        (Autoencoder(2), {"decoder": draws(2, nn.Tanh())}, "sigmoid"),
        (Ladder(), {"decoder": draws(16, nn.Sigmoid())}, "drop"),
        (Flow(), {"network": nn.Linear(16, 16)}, "inverse"),
        (Flow(), {"network": Scaled(-1.0)}, "its own slopes say"),
        (VAE(2), {"encoder": "conv"}, "pass a torch module"),
        (VAE(2), {"encoder": nn.Linear(16, 5)}, r"should make \(2, 4\)"),
    ],
)
def test_what_a_network_ends_in_is_looked_at(model, mine, cure):
    with pytest.raises(ValueError, match=cure):
        clone(model).set_params(epochs=1, **mine).fit(pixels(40))


class Squashed(nn.Module):
    """A sigmoid that no layer shows."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(2, 16)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.body(z))


class Gated(nn.Module):
    """A gate of sigmoids over numbers without bounds, and a tanh that is added last."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.gate = nn.Linear(2, 16), nn.Linear(2, 16)
        self.sigmoid, self.tanh = nn.Sigmoid(), nn.Tanh()

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        gated = self.body(z) * self.sigmoid(self.gate(z))
        return gated + self.tanh(self.gate(z))


def test_a_hidden_sigmoid_is_found_and_an_honest_network_is_not_suspected():
    with pytest.raises(ValueError, match="ends in a sigmoid"):
        VAE(2, decoder=Squashed(), **SMALL).fit(pixels(40))
    flat = [nn.Linear(2, 9), nn.Tanh(), nn.Linear(9, 16), nn.Sigmoid(), nn.Flatten()]
    with pytest.raises(ValueError, match="ends in a Sigmoid"):
        VAE(2, decoder=nn.Sequential(*flat), **SMALL).fit(pixels(40))
    honest = [
        nn.Linear(2, 16),
        Gated(),
        nn.Sequential(nn.Linear(2, 9), nn.LayerNorm(9), nn.ReLU(), nn.Linear(9, 16)),
        nn.Sequential(nn.Linear(2, 9), nn.Sigmoid(), nn.Linear(9, 16)),
        nn.Sequential(nn.Linear(2, 9), nn.Tanh(), nn.Linear(9, 16)),
    ]
    with torch.no_grad():
        honest.append(nn.Sequential(nn.Linear(2, 16)))
        honest[-1][0].weight.zero_()  # it begins by saying nothing
    for network in honest:
        VAE(2, decoder=network, **SMALL).fit(pixels(40))


@pytest.mark.parametrize(
    "other",
    [{"n_components": 3}, {"hidden": (9,)}, {"likelihood": "gaussian"}],
)
def test_a_warm_start_goes_on_with_the_network_that_is_there(other):
    model = VAE(2, hidden=(8,), warm_start=True, **SMALL).fit(pixels(40))
    before = weights(model)
    with pytest.raises(ValueError, match="set them back, or fit anew"):
        clone(model).set_params(**other).fit(pixels(40)).set_params(
            **{key: getattr(model, key) for key in other}
        ).fit(pixels(40))
    model.set_params(beta=2.0, lr=1e-4).fit(pixels(40))  # what trains may change
    assert not torch.equal(weights(model), before)


@pytest.mark.parametrize("name", ALL)
def test_a_callback_sees_the_model_of_the_moment(name):
    X, seen = pixels(60, (6,)), []

    def watch(run) -> bool:
        told = said(run.estimator, X, (*ROWS_TO_ROWS, *ROWS_TO_CODES))
        if isinstance(run.estimator, GAN):
            told["sample"] = run.estimator.sample(3, 0)
        seen.append(np.concatenate([part.ravel() for part in told.values()]))
        return np.bool_(run.epoch == 2)

    plain = clone(ALL[name]).set_params(epochs=2).fit(X)
    model = clone(ALL[name]).set_params(callbacks=[watch]).fit(X)
    assert epochs(model) == len(seen) == 2
    if name != "diffusion":  # whose code is noise alone
        assert not np.array_equal(*seen)
    assert weights(plain).shape == weights(model).shape


@pytest.mark.parametrize(
    ("settings", "cure"),
    [
        ({"optimizer": partial(torch.optim.AdamW, lr=1e-5)}, "leaves its step length"),
        ({"optimizer": "adamw"}, "as torch.optim.AdamW"),
        ({"callbacks": print}, "a list of functions"),
        ({"callbacks": ["print"]}, "a list of functions"),
    ],
)
def test_what_steers_the_training_is_looked_at(settings, cure):
    with pytest.raises(ValueError, match=cure):
        VAE(2, **SMALL, **settings).fit(pixels(40))


def test_loaders_and_pictures_of_another_order_are_told_where_to_go():
    loader = torch.utils.data.DataLoader(torch.zeros(4, 16))
    with pytest.raises(TypeError, match=r"training\.train"):
        VAE(2, **SMALL).fit(loader)
    with pytest.raises(ValueError, match=r"X\.transpose\(0, 3, 1, 2\)"):
        VAE(2, **SMALL).fit(pixels(20, (8, 8, 3)))
    model = VAE(2, **SMALL).fit(pixels(20))
    with pytest.raises(ValueError, match=r"X\[None\]"):
        model.encode(pixels(20)[0])


def test_a_flow_that_has_the_rows_by_heart_is_told_of():
    X = table(40)
    with pytest.warns(UserWarning, match="by heart"):
        Flow(layers=2, **SMALL).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Flow(layers=2, validation_fraction=0.2, **SMALL).fit(X)


@pytest.mark.parametrize("verb", ["encode", "decode"])
def test_an_own_network_is_exported_for_any_number_of_pictures(verb):
    own = {"encoder": sees(4), "decoder": draws(2)}
    model = VAE(2, **own, **SMALL).fit(pixels(40))
    module = model.to_torch(verb)
    shape = (4, 4) if verb == "encode" else (2,)
    program = torch.export.export(
        module, (torch.zeros(3, *shape),), dynamic_shapes=({0: torch.export.Dim("n")},)
    )
    asked = pixels(7).astype("f4") if verb == "encode" else np.ones((7, 2), "f4")
    answer = program.module()(torch.from_numpy(asked)).detach().numpy()
    np.testing.assert_allclose(answer, getattr(model, verb)(asked), atol=1e-5)


def test_convolutions_over_rows_are_told_to_ask_for_pictures():
    with pytest.raises(ValueError, match=r"fit to X of shape \(N, height, width\)"):
        VAE(2, encoder=sees(4), **SMALL).fit(pixels(40, (16,)))


def test_names_and_shapes_survive_a_file(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(table(), columns=list("abcdef"))
    model = Flow(layers=2, hidden=(4,), **SMALL).fit(frame)
    save(model, tmp_path / "flow")
    back = load(Flow, tmp_path / "flow")
    assert list(back.feature_names_in_) == list("abcdef")
    with pytest.raises(ValueError, match="feature names"):
        back.log_prob(frame[list("fedcba")])


def test_all_nine_are_here():
    kinds = {type(model) for model in ALL.values()}
    assert len(kinds) == 9
    assert {type(m) for m in REAL.values()} == {
        kind for kind in kinds if issubclass(kind, RealEstimator)
    }


# --- against the exact answer


@pytest.mark.parametrize("name", ["linnerud"])  # iris and wine do as well
def test_a_linear_vae_is_probabilistic_pca_on_raw_tables(name):
    """In their own units, each column its own: within 0.05 nats a row after a long
    training, where probabilistic PCA is the exact answer.
    """
    X = getattr(datasets, f"load_{name}")().data.astype(np.float64)
    settings = {"hidden": (), "likelihood": "gaussian", "units": "columns"}
    pace = {"batch_size": len(X), "epochs": 3000, "lr": 1e-2, "device": "cpu"}
    model = VAE(1, **settings, **pace).fit(X)
    spread = X.std(axis=0)
    exact = ProbabilisticPCA(1).fit(X / spread)
    wanted = exact.score(X / spread) - np.log(spread).sum()
    assert model.iwae(X, 500).mean() == pytest.approx(wanted, abs=0.05)
    said, told = model.encode(X)[:, 0], exact.encode(X / spread)[:, 0]
    assert abs(np.corrcoef(said, told)[0, 1]) > 0.999
