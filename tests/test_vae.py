"""The chapter on the variational autoencoder, by independent routes: quadrature,
torch.distributions, enumeration, linear-Gaussian algebra.
"""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from torch import distributions as td

from latent_book import vae as v
from latent_book.files import load, save
from latent_book.pca import ProbabilisticPCA
from latent_book.training import seeded, train
from latent_book.vae import VAE, VAENetwork
from latent_book.variational import binarise


def toys(N: int = 80, D: int = 12, seed: int = 0) -> np.ndarray:
    """Pixels, 0 or 1, that two causes made."""
    rng = np.random.default_rng(seed)
    turn = np.random.default_rng(1).normal(size=(2, D))
    ink = 1 / (1 + np.exp(-3 * rng.normal(size=(N, 2)) @ turn))
    return (rng.random((N, D)) < ink).astype(np.float32)


def small(likelihood: str = "bernoulli", D: int = 12, L: int = 2) -> VAENetwork:
    torch.manual_seed(0)
    return VAENetwork(D, L, (9,), likelihood).double().eval()


@pytest.mark.equation("eq-vae-kl")
def test_the_kl_is_that_of_torchs_distributions():
    torch.manual_seed(0)
    mu, log_var = torch.randn(50, 3).double(), torch.randn(50, 3).double()
    by_torch = td.kl_divergence(
        td.Normal(mu, (0.5 * log_var).exp()), td.Normal(0.0, 1.0)
    )
    assert torch.allclose(v.kl_to_prior(mu, log_var), by_torch)


def test_a_dimension_that_says_nothing_is_free_and_a_huge_variance_costs_no_nan():
    zeros = torch.zeros(2, 1, 3)
    assert torch.equal(v.kl_to_prior(zeros, zeros), zeros)
    assert v.kl_to_prior(torch.zeros(1), torch.full((1,), 200.0)).isinf()


@pytest.mark.equation(
    "eq-vae-elbo",
    "eq-vae-bernoulli",
    "eq-vae-gaussian",
    "eq-vae-weights",
    "eq-vae-iwae",
)
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_bound_and_weights_are_those_of_torchs_distributions(likelihood):
    network, x = small(likelihood), torch.from_numpy(toys(7)).double()
    eps = torch.randn(4, 7, 2, dtype=torch.float64)
    with torch.no_grad():
        mu, log_var = network.encode(x)
        q, prior = td.Normal(mu, (0.5 * log_var).exp()), td.Normal(0.0, 1.0)
        z = mu + (0.5 * log_var).exp() * eps
        out = network.decoder(z)
        p = (
            td.Bernoulli(logits=out)
            if likelihood == "bernoulli"
            else td.Normal(out, 1.0)
        )
        log_lik = p.log_prob(x).sum(-1)
        log_w = log_lik + (prior.log_prob(z) - q.log_prob(z)).sum(-1)
        kl = td.kl_divergence(q, prior).sum(-1)
        assert torch.allclose(v.log_weights(network, x, eps), log_w)
        assert torch.allclose(v.elbo(network, x, eps), log_lik - kl)
        assert torch.allclose(v.iwae_bound(log_w), log_w.exp().mean(0).log())


def test_the_estimator_speaks_its_verbs_and_scikit_learns():
    X = toys()
    model = clone(VAE(2, hidden=(8,), epochs=2)).fit(X)
    mu, variance = model.posterior(X)
    assert mu.shape == variance.shape == (80, 2)
    assert (variance > 0).all()
    assert np.array_equal(model.transform(X), mu)
    assert np.array_equal(model.encode(X), mu)
    assert model.decode(mu).shape == model.reconstruct(X).shape == X.shape
    assert set(np.unique(model.sample(5, 0))) <= {0.0, 1.0}
    assert np.mean(model.elbo(X, draws=50)) < np.mean(model.iwae(X, 50)) + 0.1
    assert len(model.history_.loss) == 2
    assert model.score(X) < 0


def test_a_saved_vae_comes_back(tmp_path):
    X = toys()
    model = VAE(2, hidden=(8,), epochs=1).fit(X)
    save(model, tmp_path / "vae.safetensors")
    again = load(VAE, tmp_path / "vae.safetensors")
    assert np.array_equal(again.elbo(X), model.elbo(X))


@pytest.mark.parametrize(
    ("settings", "X", "cure"),
    [
        ({}, 255 * toys(), "divide by 255"),
        ({}, toys() - 0.5, "likelihood='gaussian'"),
        (
            {},
            0.3 * toys(),
            r"binarise\(X, np.random.default_rng\(0\)\) or take likelihood='gaussian'",
        ),
        ({"k": 0}, toys(), "at least 1"),
        ({"k": 5, "beta": 2.0}, toys(), "leave beta=1"),
        ({"likelihood": "poisson"}, toys(), "use 'bernoulli' or 'gaussian'"),
        ({"decoder": torch.nn.Linear(2, 5)}, toys(), "should make"),
        ({"encoder": torch.nn.Linear(9, 4)}, toys(), "does not take"),
    ],
)
def test_bad_input_is_told_the_cure(settings, X, cure):
    with pytest.raises(ValueError, match=cure):
        VAE(2, hidden=(8,), epochs=1, **settings).fit(X)


def test_grey_pixels_are_refused_everywhere_and_the_cure_works():
    X = toys()
    model = VAE(2, hidden=(8,), epochs=1).fit(X)
    for verb in (
        model.encode,
        model.reconstruct,
        model.elbo,
        model.log_prob,
        model.score,
    ):
        with pytest.raises(
            ValueError, match=r"value 0\.5 in row 3, but Bernoulli pixels are 0 or 1"
        ):
            verb(np.where(np.arange(80)[:, None] == 3, 0.5, X))
    grey = np.random.default_rng(0).random((80, 12)).astype(np.float32)
    model.fit(binarise(grey, np.random.default_rng(0)))
    VAE(2, hidden=(8,), epochs=1, likelihood="gaussian").fit(grey).log_prob(grey)
    assert model.log_prob_kind == "estimate"
    assert "ESTIMATE" in VAE.log_prob.__doc__


@pytest.mark.equation("eq-vae-elbo")
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_log_p_is_the_bound_and_the_divergence_to_the_posterior_by_quadrature(
    likelihood,
):
    network, x = small(likelihood, L=1), torch.from_numpy(toys(5)).double()
    side = torch.linspace(-60, 60, 24001, dtype=torch.float64)
    cell = side[1] - side[0]
    with torch.no_grad():
        mu, log_var = network.encode(x)
        q = td.Normal(mu, (0.5 * log_var).exp())
        log_q = q.log_prob(side)  # (5, 4001)
        out = network.decoder(side[:, None])[:, None]
        p = (
            td.Bernoulli(logits=out)
            if likelihood == "bernoulli"
            else td.Normal(out, 1.0)
        )
        joint = p.log_prob(x).sum(-1).T + td.Normal(0.0, 1.0).log_prob(side)
        log_p = (joint + cell.log()).logsumexp(dim=1)
        gap = cell * (log_q.exp() * (log_q - (joint - log_p[:, None]))).sum(dim=1)
        noise = torch.linspace(-9, 9, 6001, dtype=torch.float64)
        weights = td.Normal(0.0, 1.0).log_prob(noise).exp() * (noise[1] - noise[0])
        bound = weights @ v.elbo(network, x, noise[:, None, None].expand(-1, 5, 1))
    assert torch.allclose(bound + gap, log_p, atol=1e-5)
    assert torch.all(gap > 1e-3)


def test_training_on_k_draws_climbs_the_bound_of_k_draws():
    """Value and slope of `neg_iwae`, on average over its noise, are those of minus L_2
    by quadrature.
    """
    network, x = small(L=1), torch.from_numpy(toys(1)).double()
    bias = network.decoder[-1].bias
    nodes = torch.linspace(-6, 6, 161, dtype=torch.float64)
    weights = td.Normal(0.0, 1.0).log_prob(nodes).exp() * (nodes[1] - nodes[0])
    pairs, chance = torch.cartesian_prod(nodes, nodes), weights[:, None] * weights
    log_w = v.log_weights(network, x.expand(len(pairs), -1), pairs.T[..., None])
    exact = -chance.flatten() @ v.iwae_bound(log_w)
    (slope,) = torch.autograd.grad(exact, bias)
    noise, values, slopes = torch.Generator().manual_seed(0), [], []
    for _ in range(40):
        loss = v.neg_iwae(network, x.expand(1000, -1), noise, k=2)
        values.append(loss.detach())
        slopes.append(torch.autograd.grad(loss, bias)[0])
    for found, told in (
        (torch.stack(values)[:, None], exact[None]),
        (torch.stack(slopes), slope),
    ):
        off = (found.mean(dim=0) - told) / (found.std(dim=0) / 40**0.5)
        assert off.abs().max() < 4.5
    single = weights @ v.elbo(network, x.expand(161, -1), nodes[:, None])
    assert -exact > single + 0.01  # two draws are worth more than one


def test_the_weight_of_the_kl_rises_over_the_warm_up_and_then_stays(monkeypatch):
    seen = []

    def noted(network, x, generator, beta, free_bits):
        seen.append((network.training, beta, free_bits))
        return network(x).mean()

    monkeypatch.setattr(v, "neg_elbo", noted)
    VAE(
        2, hidden=(8,), epochs=4, batch_size=40, warm_up=2, beta=0.8, free_bits=0.1
    ).fit(toys())
    weights = [beta for _, beta, _ in seen]
    assert weights == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8])
    assert all(training and free == 0.1 for training, _, free in seen)
    x, noise = torch.from_numpy(toys(4)).double(), torch.Generator()
    # held-out rows have the full weight
    VAE(2, warm_up=4, beta=0.8).get_loss(small().eval(), x, noise)
    assert seen[-1][1] == 0.8


def test_a_warm_up_that_was_interrupted_goes_on_where_it_was(tmp_path):
    """The weight of the KL follows from the run's step, not from a count of calls."""
    model, rows = VAE(2, hidden=(8,), warm_up=3), torch.from_numpy(toys()).float()
    settings = {"epochs": 4, "batch_size": 20, "progress": False, "device": "cpu"}

    def run(epochs_told, place):
        with seeded(0):
            network = model.make_network(rows.shape[1])
        dies = iter([False] * epochs_told + [True])

        def on_epoch_end(run):
            if next(dies):
                raise RuntimeError("the machine dies")

        try:
            told = {"on_epoch_end": on_epoch_end, "checkpoint": place}
            return train(network, model.get_loss, rows, **settings, **told)
        except RuntimeError:
            return None

    straight = run(4, None)
    assert run(2, tmp_path / "run") is None
    assert run(4, tmp_path / "run") == straight


@pytest.mark.parametrize("free_bits", [0.0, 0.05, 0.3, 2.0])
def test_free_bits_are_not_charged(free_bits):
    network, x = small(L=3), torch.from_numpy(toys(30)).double()

    def loss(free: float) -> torch.Tensor:
        return v.neg_elbo(network, x, torch.Generator().manual_seed(0), 1.5, free)

    price = v.kl_to_prior(*network.encode(x)).mean(dim=0)
    charged = 1.5 * sum(max(p, free_bits) - p for p in price.tolist())
    assert (loss(free_bits) - loss(0.0)).item() == pytest.approx(charged)
    below = price < free_bits
    (slope,) = torch.autograd.grad(loss(free_bits), network.encoder[-1].bias)
    (fit,) = torch.autograd.grad(
        v.neg_elbo(network, x, torch.Generator().manual_seed(0), 0.0),
        network.encoder[-1].bias,
    )
    free = below.repeat(
        2
        # mu and log sigma^2 of a dimension within its allowance are moved by the fit
        # alone
    )
    assert torch.allclose(slope[free], fit[free])
    assert not torch.isclose(slope[~free], fit[~free]).any()


@pytest.mark.equation("eq-vae-grid")
def test_the_grid_is_the_integral_of_a_linear_gaussian_model():
    network = VAENetwork(5, 2, (), "gaussian", sigma2=0.3).double()
    x = torch.randn(6, 5).double()
    W, b = network.decoder[0].weight, network.decoder[0].bias
    exact = td.MultivariateNormal(b, W @ W.T + 0.3 * torch.eye(5).double()).log_prob(x)
    assert torch.allclose(v.log_prob_on_grid(network, x, 7.0, 201), exact, atol=1e-4)
    assert math.isfinite(exact.sum().item())
    assert torch.allclose(v.log_prob_on_grid(network, x, 7.0, 203), exact, atol=1e-4)
    for cells in (200, 202, 3):
        with pytest.raises(ValueError, match="odd number from 5 on"):
            v.log_prob_on_grid(network, x, 7.0, cells)


@pytest.mark.equation("eq-vae-reparameterise")
def test_the_draws_have_the_distribution_that_they_should():
    mu, log_var = torch.tensor([[0.3, -2.0]]), torch.tensor([[-1.0, 0.5]])
    z = v.reparameterise(
        mu,
        log_var,
        torch.randn(20_000, 1, 2, generator=torch.Generator().manual_seed(0)),
    )
    for k in range(2):
        law = stats.norm(mu[0, k].item(), math.exp(log_var[0, k].item() / 2))
        assert stats.kstest(z[:, 0, k].numpy(), law.cdf).pvalue > 0.01


@pytest.mark.equation("eq-vae-pathwise")
@pytest.mark.parametrize("f", [torch.sin, torch.exp, lambda z: z**3 - z])
def test_the_slope_through_the_noise_is_the_slope_of_the_average(f):
    # exact for the average over eps
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    eps, weights = torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())
    at, step = (0.4, 0.6), 1e-5

    def average(mu: float, sigma: float) -> float:
        return float(weights @ f(mu + sigma * eps))

    mu, sigma = (
        torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in at
    )
    z = (mu + sigma * eps).detach().requires_grad_()
    (slope,) = torch.autograd.grad(f(z).sum(), z)
    by_formula = [float(weights @ slope), float(weights @ (eps * slope))]
    by_differences = [
        (average(at[0] + step, at[1]) - average(at[0] - step, at[1])) / (2 * step),
        (average(at[0], at[1] + step) - average(at[0], at[1] - step)) / (2 * step),
    ]
    assert np.allclose(by_formula, by_differences, atol=1e-8)
    through = v.reparameterise(mu[None], 2 * sigma.log()[None], eps[:, None])[:, 0]
    assert np.allclose(
        torch.autograd.grad(weights @ f(through), (mu, sigma)), by_formula
    )


def test_more_weights_give_more_on_average_over_all_choices():
    """The theorem, enumerated: for a q over four causes every tuple of draws can be
    listed.
    """
    rng = np.random.default_rng(0)
    joint, q = rng.random(4), rng.dirichlet(np.ones(4))
    log_w = torch.from_numpy(np.log(joint / q))
    bounds = []
    for k in (1, 2, 3, 4):
        choices = torch.cartesian_prod(*[torch.arange(4)] * k).reshape(-1, k)
        chance = torch.from_numpy(q)[choices].prod(dim=1)
        bounds.append(float(chance @ v.iwae_bound(log_w[choices].T)))
    assert np.all(np.diff(bounds) > 0)
    assert bounds[-1] < np.log(joint.sum())


class Unfolded(torch.nn.Module):
    """A decoder by convolution, which knows one leading axis."""

    def __init__(self, L):
        super().__init__()
        self.wide, self.fold = (
            torch.nn.Linear(L, 64),
            torch.nn.Conv2d(4, 1, 3, padding=1),
        )

    def forward(self, z):
        return self.fold(self.wide(z).relu().view(-1, 4, 4, 4)).flatten(1)


def test_a_decoder_that_knows_one_leading_axis_gets_one():
    X = (np.random.default_rng(0).random((60, 16)) < 0.3).astype(np.float32)
    for k in (1, 3):
        model = VAE(2, decoder=Unfolded(2), k=k, epochs=2).fit(X)
        together = model.elbo(X[:5], draws=4000)
        alone = np.concatenate([model.elbo(X[i : i + 1], draws=4000) for i in range(5)])
        assert np.allclose(together, alone, atol=0.2)
        assert (model.log_prob(X[:5]) > together).mean() > 0.5
    normed = torch.nn.Sequential(
        torch.nn.Linear(2, 60), torch.nn.BatchNorm1d(60), torch.nn.Linear(60, 16)
    )
    model = VAE(2, decoder=normed, epochs=2).fit(X)
    assert np.allclose(
        model.elbo(X, draws=2000),
        [model.elbo(x[None], draws=2000)[0] for x in X],
        atol=0.3,
    )


def test_whatever_torch_takes_for_a_float_the_networks_are_single():
    X = (np.random.default_rng(0).random((60, 16)) < 0.3).astype(np.float32)
    torch.set_default_dtype(torch.float64)
    try:
        model = VAE(2, epochs=1).fit(X)
        assert model.sample(3, 0).dtype == np.float32
        assert np.isfinite(model.log_prob(X[:2])).all()
    finally:
        torch.set_default_dtype(torch.float32)


def test_threads_do_not_share_chance():
    X = (np.random.default_rng(0).random((60, 16)) < 0.3).astype(np.float32)
    before = torch.random.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(
                lambda seed: VAE(2, epochs=3, random_state=seed).fit(X).history_.loss,
                [0, 1, 0, 1],
            )
        )
    assert torch.equal(before, torch.random.get_rng_state())
    assert found[0] == found[2] != found[1] == found[3]


@pytest.mark.parametrize("turned", [lambda X: X[::-1], lambda X: X[:, ::-1]])
def test_rows_that_run_backwards(turned):
    X = (np.random.default_rng(0).random((60, 16)) < 0.3).astype(np.float32)
    model = VAE(2, epochs=1).fit(turned(X))
    assert np.array_equal(model.transform(turned(X)), model.transform(turned(X).copy()))


def test_settings_of_numpy_are_saved(tmp_path):
    X = (np.random.default_rng(0).random((60, 16)) < 0.3).astype(np.float32)
    model = VAE(np.int64(2), device=torch.device("cpu"), epochs=1).fit(X)
    save(model, tmp_path / "model.safetensors")
    assert np.array_equal(
        load(VAE, tmp_path / "model.safetensors").transform(X), model.transform(X)
    )


# --- the noise
# ------------------------------------------------------------------------------------------------------


def noisy(N: int = 300, D: int = 6, seed: int = 0) -> torch.Tensor:
    """Rows that two causes made, with noise of variance 0.09."""
    rng = np.random.default_rng(seed)
    W = np.random.default_rng(1).normal(size=(2, D))
    return torch.from_numpy(rng.normal(size=(N, 2)) @ W + 0.3 * rng.normal(size=(N, D)))


@pytest.mark.equation("eq-vae-noise")
@pytest.mark.parametrize("k", [1, 6])
def test_the_best_noise_is_where_the_slope_of_the_bound_is_zero(k):
    """A learned variance is found again as a parameter, by Newton's steps on the slope
    that autograd finds; for several draws that of the importance-weighted bound.
    """
    network, x = small("gaussian", D=6), noisy()
    eps = torch.randn(
        k, 300, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        mu, log_var = network.encode(x)
        z = mu + (0.5 * log_var).exp() * eps
        mean, log_q = (
            network.decoder(z),
            td.Normal(mu, (0.5 * log_var).exp()).log_prob(z).sum(-1),
        )
        log_prior = td.Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_sigma2 = torch.zeros((), dtype=torch.float64, requires_grad=True)
    for _ in range(30):
        log_lik = td.Normal(mean, (0.5 * log_sigma2).exp()).log_prob(x).sum(-1)
        bound = (log_lik + log_prior - log_q).logsumexp(0).mean()
        (slope,) = torch.autograd.grad(bound, log_sigma2, create_graph=True)
        (bend,) = torch.autograd.grad(slope, log_sigma2)
        log_sigma2.data -= (slope / bend.abs()).detach().neg().clamp(-0.5, 0.5)
    assert abs(slope.item()) < 1e-9
    assert bend.item() < 0  # a maximum
    network.train()
    for _ in range(500):  # the variance from before counts, less and less
        if k == 1:
            v.elbo(network, x, eps)
        else:
            v.log_weights(network, x, eps)
    assert network.log_sigma2.item() == pytest.approx(log_sigma2.item(), abs=1e-6)


def test_a_learned_noise_is_a_buffer_that_only_training_moves():
    network, x = small("gaussian", D=6), noisy()
    assert "log_sigma2" in network.state_dict()
    assert "log_sigma2" not in dict(network.named_parameters())
    v.neg_elbo(network, x)
    v.neg_iwae(network, x, k=3)
    assert network.log_sigma2 == 0
    network.train()
    loss = v.neg_elbo(network, x, torch.Generator().manual_seed(0))
    assert not network.log_sigma2.requires_grad
    assert network.log_sigma2 != 0
    loss.backward()
    for fixed in (
        VAENetwork(6, 2, (9,), "gaussian", sigma2=0.5),
        VAENetwork(6, 2, (9,), "bernoulli"),
    ):
        before = fixed.log_sigma2.clone()
        fixed.start_at(x.float())
        v.neg_elbo(fixed, x.float().sigmoid())
        fixed.settle(x.float())
        assert fixed.log_sigma2 == before


def test_a_batch_of_one_short_row_moves_the_noise_little():
    network = small("gaussian", D=6).train()
    before = network.log_sigma2.clone()
    x = network.decode(torch.zeros(1, 2).double()).detach()  # an error of nearly 0
    v.elbo(network, x, torch.zeros(1, 2).double())
    assert -0.07 < network.log_sigma2 - before < 0


@pytest.mark.parametrize("k", [1, 4])
def test_settling_finds_the_mean_error_over_all_draws(k):
    network, x = small("gaussian", D=6), noisy(30)
    network.start_at(x)
    network.settle(x, torch.Generator().manual_seed(0), k)
    found = network.log_sigma2.exp().item()
    eps = torch.randn(2000, k, 30, 2, dtype=torch.float64)
    with torch.no_grad():
        mu, log_var = network.encode(x)
        z = mu + (0.5 * log_var).exp() * eps
        out, q = network.decoder(z), td.Normal(mu, (0.5 * log_var).exp())
        log_w = td.Normal(out, found**0.5).log_prob(x).sum(-1)
        log_w += (td.Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)).sum(-1)
        w = log_w.softmax(dim=1)
        error = (w * (x - out).square().mean(-1)).sum(1).mean()
    assert found == pytest.approx(error.item(), rel=0.03)
    assert not network.training
    again = small("gaussian", D=6).start_at(x)
    again.train().settle(x, torch.Generator().manual_seed(0), k)
    assert again.training
    assert again.log_sigma2.exp().item() == pytest.approx(found, rel=1e-9)


def test_settling_is_done_without_dropout():
    network, x, found = small("gaussian", D=6), noisy(30), []
    network.decoder.append(torch.nn.Dropout(0.5))
    for mode in (True, False):
        network.train(mode).settle(x, torch.Generator().manual_seed(0))
        found.append(network.log_sigma2.item())
    assert found[0] == found[1]


def test_a_noise_that_runs_to_nothing_stops_and_says_so():
    network = VAENetwork(3, 1, (), "gaussian", decoder=torch.nn.Linear(1, 3))
    torch.nn.init.zeros_(network.decoder.weight)
    torch.nn.init.ones_(network.decoder.bias)
    x = torch.ones(50, 3)
    for _ in range(2000):
        assert v.neg_elbo(network, x).isfinite()
    assert network.log_sigma2.exp().item() == pytest.approx(1e-6)
    with pytest.warns(UserWarning, match="may copy the 150 numbers"):
        network.settle(x)
    assert network.log_sigma2.exp().item() == pytest.approx(1e-6)


def test_rows_that_a_wide_network_has_by_heart_are_told_of():
    x = noisy(16, 3)  # which fill the blocks
    network = VAENetwork(3, 2, (50,), "gaussian").double()
    torch.nn.init.zeros_(network.encoder[-1].weight)
    torch.nn.init.constant_(network.encoder[-1].bias, -20.0)

    def by_heart(z):
        return (x + 1e-2).repeat(z.shape[1] // 16, 1)[None]

    network.logits = by_heart
    with pytest.warns(UserWarning, match=r"707 weights, may copy the 48 numbers"):
        network.settle(x)


def test_a_linear_vae_comes_to_the_exact_answer():
    """Probabilistic PCA has it."""
    X = noisy().numpy()
    model = VAE(2, hidden=(), likelihood="gaussian", epochs=1000, lr=1e-2).fit(X)
    exact = ProbabilisticPCA(2).fit(X)
    noise = model.network_.log_sigma2.exp().item() * float(model.scale_) ** 2
    assert noise == pytest.approx(exact.sigma2_, rel=0.02)
    assert model.iwae(X, 100).mean() == pytest.approx(exact.score(X), abs=0.01)
