"""A seed is nobody else's stream: what a verb draws with seed 0 has nothing in common with
what a reader draws with seed 0, nor with what another verb does.
"""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest
import torch

import latent_book
from latent_book import rows
from latent_book.autoencoder import Autoencoder
from latent_book.data import patches
from latent_book.gan import GAN, play_many
from latent_book.onwards import Diffusion, Flow, Ladder
from latent_book.pca import ProbabilisticPCA
from latent_book.training import held_out_loss, torch_generator, train
from latent_book.vae import VAE
from latent_book.variational import HelmholtzMachine, binarise
from latent_book.vision import Analyser, render, sample_causes

torch.set_num_threads(1)
SMALL = {"epochs": 1, "batch_size": 50, "device": "cpu"}
POINTS = np.random.default_rng(5).normal(size=(200, 4))
BITS = (POINTS > 0).astype(float)
N = 2000  # numbers that are compared


@pytest.fixture(scope="module")
def models() -> dict:
    return {
        "ProbabilisticPCA": ProbabilisticPCA(2).fit(POINTS),
        "Diffusion": Diffusion(hidden=(4,), T=5, **SMALL).fit(POINTS),
        "Flow": Flow(layers=2, hidden=(4,), **SMALL).fit(POINTS),
        "Ladder": Ladder(n_components=(2, 1), hidden=(4,), **SMALL).fit(POINTS),
        "VAE": VAE(2, hidden=(4,), likelihood="gaussian", **SMALL).fit(POINTS),
        "GAN": GAN(2, hidden=(4,), output="linear", **SMALL).fit(POINTS),
        "HelmholtzMachine": HelmholtzMachine(11, **SMALL).fit(BITS),
    }


# every verb that takes a seed, by what it is called with beside
VERBS = {
    "ProbabilisticPCA.sample": lambda m, rng: m.sample(9, rng),
    "Diffusion.sample": lambda m, rng: m.sample(9, rng),
    "Diffusion.encode": lambda m, rng: m.encode(POINTS, rng=rng),
    "Diffusion.decode": lambda m, rng: m.decode(POINTS, rng=rng),
    "Diffusion.elbo": lambda m, rng: m.elbo(POINTS, rng=rng),
    "Flow.sample": lambda m, rng: m.sample(9, rng),
    "Ladder.sample": lambda m, rng: m.sample(9, rng),
    "Ladder.elbo": lambda m, rng: m.elbo(POINTS, rng=rng),
    "Ladder.iwae": lambda m, rng: m.iwae(POINTS, 3, rng=rng),
    "Ladder.prices": lambda m, rng: m.prices(POINTS, rng=rng).recon,
    "VAE.sample": lambda m, rng: m.sample(9, rng),
    "VAE.elbo": lambda m, rng: m.elbo(POINTS, rng=rng),
    "VAE.iwae": lambda m, rng: m.iwae(POINTS, 3, rng=rng),
    "VAE.log_prob": lambda m, rng: m.log_prob(POINTS, 3, rng=rng),
    "GAN.sample": lambda m, rng: m.sample(9, rng),
    "HelmholtzMachine.sample": lambda m, rng: m.sample(9, rng),
    "HelmholtzMachine.elbo": lambda m, rng: m.elbo(BITS, rng=rng),
    "HelmholtzMachine.log_prob": lambda m, rng: m.log_prob(BITS, 3, rng=rng),
}
FUNCTIONS = {
    "patches": lambda rng: patches(9, 5, rng).X,
    "binarise": lambda rng: binarise(np.full((20, 9), 0.5), rng),
    "torch_generator": lambda rng: torch.rand(9, generator=torch_generator(rng)),
}


def test_no_verb_that_takes_a_seed_is_forgotten():
    """Those with an `rng` that may be a whole number, or anything; the functions of the
    chapters want a generator.
    """
    found = set()
    for module in pkgutil.iter_modules(latent_book.__path__):
        home = importlib.import_module(f"latent_book.{module.name}")
        for name, value in vars(home).items():
            if (
                name.startswith("_")
                or getattr(value, "__module__", "") != home.__name__
            ):
                continue
            parts = vars(value).items() if inspect.isclass(value) else [("", value)]
            for verb, made in parts:
                if not inspect.isfunction(made) or verb.startswith("_"):
                    continue
                asked = inspect.signature(made).parameters.get("rng")
                told = str(asked.annotation) if asked is not None else ""
                if "Any" in told or "int" in told:
                    found.add(f"{name}.{verb}".rstrip("."))
    kept = {"as_generator"}  # the mechanism itself
    inherited = {name for name in found if name.startswith("NVIL.")}
    theirs = {"GaussianMixture.sample", "BernoulliMixture.sample"}  # scikit-learn's way
    assert found - kept - inherited - theirs == {*VERBS, *FUNCTIONS}


def streams(monkeypatch, ask) -> dict[str, np.ndarray]:
    """The first normals of each stream that is opened by a seed, by its purpose."""
    told = {}
    plain = rows.as_generator

    def listened(rng, purpose):
        made = plain(rng, purpose)
        if isinstance(rng, int):
            copy = plain(rng, purpose)
            told[purpose] = copy.normal(size=N)
            seed = int(plain(rng, purpose).integers(2**62))
            chance = torch.Generator().manual_seed(seed)
            told[f"{purpose}, torch"] = torch.randn(N, generator=chance).numpy()
        return made

    for module in pkgutil.iter_modules(latent_book.__path__):
        home = importlib.import_module(f"latent_book.{module.name}")
        if hasattr(home, "as_generator"):
            monkeypatch.setattr(home, "as_generator", listened)
    ask()
    return told


def readers() -> list[np.ndarray]:
    """What a reader draws with seed 0, by each of three ways."""
    return [
        np.random.default_rng(0).normal(size=N),
        np.random.RandomState(0).normal(size=N),
        torch.randn(N, generator=torch.Generator().manual_seed(0)).numpy(),
        np.random.default_rng(0).random(N) - 0.5,
        np.random.RandomState(0).random(N) - 0.5,
        torch.rand(N, generator=torch.Generator().manual_seed(0)).numpy() - 0.5,
    ]


@pytest.mark.parametrize("name", [*VERBS, *FUNCTIONS])
def test_the_noise_of_a_seed_is_nobody_elses(name, models, monkeypatch):
    """Correlations of two thousand numbers: five standard deviations are 0.11. And a
    verb that opened a stream of its own would not be heard here.
    """
    model = models.get(name.split(".")[0])
    ask = FUNCTIONS.get(name) or (lambda rng: VERBS[name](model, rng))
    drawn = streams(monkeypatch, lambda: ask(0))
    assert drawn, "its chance comes from `as_generator`"
    table = np.corrcoef([*readers(), *drawn.values()])[:6, 6:]
    assert np.abs(table).max() < 5 / np.sqrt(N)


@pytest.mark.parametrize("name", [*VERBS, *FUNCTIONS])
def test_a_seed_repeats_itself_and_a_generator_moves_on(name, models):
    model = models.get(name.split(".")[0])
    ask = FUNCTIONS.get(name) or (lambda rng: VERBS[name](model, rng))
    first = np.asarray(ask(0))
    assert np.array_equal(first, np.asarray(ask(np.int64(0))))
    assert not np.array_equal(first, np.asarray(ask(1)))
    assert not np.array_equal(np.asarray(ask(None)), np.asarray(ask(None)))
    for make in (np.random.default_rng, np.random.RandomState, torch_generator):
        one, other = make(3), make(3)
        before = np.asarray(ask(one))
        assert np.array_equal(before, np.asarray(ask(other)))
        assert name == "torch_generator" or not np.array_equal(
            before, np.asarray(ask(one))
        )
    for wrong in (-1, 0.5, "0"):
        with pytest.raises(ValueError, match=r"pass a whole number, at least 0, a"):
            ask(wrong)


def test_verbs_of_different_purpose_draw_different_noise(models, monkeypatch):
    """A VAE's own samples, and the bound on them, with one seed."""
    drawn = {}
    for name in ("VAE.sample", "VAE.elbo", "Diffusion.encode", "Diffusion.decode"):
        model = models[name.split(".")[0]]
        drawn |= streams(monkeypatch, lambda n=name, m=model: VERBS[n](m, 0))
    assert len(drawn) >= 8
    table = np.corrcoef(list(drawn.values())) - np.eye(len(drawn))
    assert np.abs(table).max() < 5 / np.sqrt(N)


def test_a_bound_on_data_of_seed_0_is_as_good_as_with_any_seed():
    """Standard normal data, and a chain that was hardly trained: before, the noise of
    seed 0 was the data themselves.
    """
    X = np.random.default_rng(0).normal(size=(2000, 2))
    model = Diffusion(hidden=(4,), T=20, epochs=1, device="cpu").fit(X)
    means = [model.elbo(X, rng=seed).mean() for seed in range(12)]
    others = np.array(means[1:])
    assert abs(means[0] - others.mean()) < 5 * others.std(ddof=1)


def test_fits_and_losses_take_generators_and_share_no_stream():
    """The weights, and what is drawn with the same seed in a game or for the rows."""
    net = torch.nn.Linear(3, 3)

    def loss(net, x, chance):
        return (net(x) - torch.randn(x.shape, generator=chance)).square().mean()

    X = torch.ones(8, 3)
    assert held_out_loss(net, loss, X, 0) == held_out_loss(net, loss, X, 0)
    first, second = (
        train(
            torch.nn.Linear(3, 3, bias=False).requires_grad_(True),
            lambda net, x, chance: (
                (0 * net(x)).sum() + torch.randn(1, generator=chance)[0]
            ),
            X,
            epochs=1,
            random_state=np.random.default_rng(seed),
            device="cpu",
            progress=False,
        ).loss
        for seed in (1, 1)
    )
    assert first == second
    centres = torch.zeros(1, 2)
    played = [
        play_many(centres, 0.1, n_games=1, steps=1, random_state=chance)
        for chance in (0, 0, np.random.default_rng(1), np.random.default_rng(1))
    ]
    assert torch.equal(played[0], played[1])
    assert torch.equal(played[2], played[3])
    assert not torch.equal(played[0], played[2])
    auto = Autoencoder(1, hidden=(3,), output="linear", **SMALL)
    fits = [
        auto.set_params(random_state=np.random.default_rng(1))
        .fit(POINTS)
        .encode(POINTS)
        for _ in range(2)
    ]
    assert np.array_equal(*fits)


def test_the_weights_of_an_analyser_are_not_the_readers():
    Z = sample_causes(4, torch.Generator().manual_seed(0))
    made = Analyser(steps=1, rate=1e-9).fit(render(Z), Z)
    torch.manual_seed(0)
    mine = torch.nn.Conv2d(1, 16, 5)
    assert (made.net_[1].weight - mine.weight).abs().mean() > 0.01
