"""The chapter on the variational autoencoder, by independent routes: quadrature, torch.distributions, enumeration, linear-Gaussian algebra."""

import math

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import distributions as td

from latent_book import vae as v
from latent_book.training import load, save
from latent_book.vae import VAE, VAENetwork


def toys(N: int = 80, D: int = 12, seed: int = 0) -> np.ndarray:
    """Pixels, 0 or 1, that two causes made."""
    rng = np.random.default_rng(seed)
    turn = np.random.default_rng(1).normal(size=(2, D))
    ink = 1 / (1 + np.exp(-3 * rng.normal(size=(N, 2)) @ turn))
    return (rng.random((N, D)) < ink).astype(np.float32)


def small(likelihood: str = "bernoulli", D: int = 12, L: int = 2) -> VAENetwork:
    torch.manual_seed(0)
    return VAENetwork(D, L, (9,), likelihood).double()


@pytest.mark.equation("eq-vae-kl")
def test_the_kl_is_that_of_torchs_distributions():
    torch.manual_seed(0)
    mu, log_var = torch.randn(50, 3).double(), torch.randn(50, 3).double()
    by_torch = td.kl_divergence(td.Normal(mu, (0.5 * log_var).exp()), td.Normal(0.0, 1.0))
    assert torch.allclose(v.kl_to_prior(mu, log_var), by_torch)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_bound_and_weights_are_those_of_torchs_distributions(likelihood):
    network, x = small(likelihood), torch.from_numpy(toys(7)).double()
    eps = torch.randn(4, 7, 2, dtype=torch.float64)
    with torch.no_grad():
        mu, log_var = network.encode(x)
        q, prior = td.Normal(mu, (0.5 * log_var).exp()), td.Normal(0.0, 1.0)
        z = mu + (0.5 * log_var).exp() * eps
        out = network.decoder(z)
        p = td.Bernoulli(logits=out) if likelihood == "bernoulli" else td.Normal(out, 1.0)
        log_lik = p.log_prob(x).sum(-1)
        log_w = log_lik + (prior.log_prob(z) - q.log_prob(z)).sum(-1)
        kl = td.kl_divergence(q, prior).sum(-1)
        assert torch.allclose(v.log_weights(network, x, eps), log_w)
        assert torch.allclose(v.elbo(network, x, eps), log_lik - kl)
        assert torch.allclose(v.iwae_bound(log_w), log_w.exp().mean(0).log())


def test_the_estimator_speaks_its_verbs_and_scikit_learns():
    X = toys()
    model = clone(VAE(2, hidden=(8,), epochs=2)).fit(X)
    mu, log_var = model.encode(X)
    assert mu.shape == log_var.shape == (80, 2)
    assert np.array_equal(model.transform(X), mu)
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
        ({"k": 0}, toys(), "at least 1"),
        ({"k": 5, "beta": 2.0}, toys(), "leave beta=1"),
        ({"likelihood": "poisson"}, toys(), "use 'bernoulli' or 'gaussian'"),
        ({"decoder": torch.nn.Linear(2, 5)}, toys(), "it should make"),
        ({"encoder": torch.nn.Linear(9, 4)}, toys(), "does not take"),
    ],
)
def test_bad_input_is_told_the_cure(settings, X, cure):
    with pytest.raises(ValueError, match=cure):
        VAE(2, hidden=(8,), epochs=1, **settings).fit(X)


def test_the_grid_is_the_integral_of_a_linear_gaussian_model():
    network = VAENetwork(5, 2, (), "gaussian", sigma2=0.3).double()
    x = torch.randn(6, 5).double()
    W, b = network.decoder[0].weight, network.decoder[0].bias
    exact = td.MultivariateNormal(b, W @ W.T + 0.3 * torch.eye(5).double()).log_prob(x)
    assert torch.allclose(v.log_prob_on_grid(network, x, 7.0, 201), exact, atol=1e-4)
    assert math.isfinite(exact.sum().item())
