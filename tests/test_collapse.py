"""The chapter on posterior collapse, by independent routes: sampling,
torch.distributions, automatic differentiation, enumeration.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import distributions as td

from latent_book import collapse as c
from latent_book.training import seeded, train
from latent_book.vae import VAENetwork, elbo, neg_elbo

SEEDS = st.integers(0, 10_000)


def problem(seed: int = 0, D: int = 6, L: int = 3) -> tuple[torch.Tensor, ...]:
    """Decoder, encoder, log variances and a covariance."""
    chance = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=chance, dtype=torch.float64)  # noqa: E731
    root = draw(D, D)
    return draw(D, L), draw(L, D), draw(L), root @ root.T / D


@pytest.mark.equation("eq-collapse-bound")
def test_the_closed_form_is_the_bound_by_draws():
    W, V, log_d, _ = problem()
    X = torch.randn(
        200, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    X = X - X.mean(dim=0)
    C = X.T @ X / len(X)
    network = VAENetwork(6, 3, (), "gaussian", sigma2=0.5).double()
    with torch.no_grad():
        network.decoder[0].weight.copy_(W)
        network.decoder[0].bias.zero_()
        network.encoder[0].weight.copy_(torch.cat([V, torch.zeros_like(V)]))
        network.encoder[0].bias.copy_(torch.cat([torch.zeros(3), log_d]))
        eps = torch.randn(
            4000,
            200,
            3,
            generator=torch.Generator().manual_seed(2),
            dtype=torch.float64,
        )
        draws = elbo(network, X, eps).mean(dim=1)
    error = draws.std() / len(draws) ** 0.5
    assert abs(draws.mean() - c.linear_bound(W, V, log_d, C, 0.5)) < 4 * error


@pytest.mark.equation("eq-collapse-encoder")
@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_no_encoder_does_better_than_the_best(seed):
    W, V, log_d, C = problem(seed)
    best = [part.requires_grad_() for part in c.best_linear_encoder(W, 0.4)]
    value = c.linear_bound(W, *best, C, 0.4)
    for slope in torch.autograd.grad(value, best):
        assert slope.abs().max() < 1e-9
    assert c.linear_bound(W, V, log_d, C, 0.4) < value


@pytest.mark.equation("eq-collapse-one", "eq-collapse-length")
@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 10), st.floats(0.01, 10))
def test_one_dimension_is_as_long_as_the_noise_leaves_room_for(lam, sigma2):
    lengths = torch.linspace(0, 4, 4001, dtype=torch.float64)
    v = lengths**2 + sigma2
    log_p = td.Normal(torch.zeros(()).double(), v.sqrt()).log_prob(
        torch.tensor(lam).sqrt().double()
    )
    assert abs(lengths[log_p.argmax()] ** 2 - max(0.0, lam - sigma2)) < 0.01
    assert c.predicted_dead(np.array([lam]), sigma2)[0] == (lam <= sigma2)


@pytest.mark.equation("eq-collapse-kl")
def test_what_a_living_dimension_says_is_the_mean_price_of_its_posterior():
    lam, sigma2 = np.array([4.0, 1.5, 0.9, 0.2]), 0.5
    for value, predicted in zip(lam, c.predicted_kl(lam, sigma2), strict=True):
        s2 = max(0.0, value - sigma2)
        gain, d = s2**0.5 / (s2 + sigma2), sigma2 / (s2 + sigma2)
        y = np.random.default_rng(0).normal(size=100_000) * value**0.5
        y *= value**0.5 / y.std()
        q = td.Normal(torch.from_numpy(gain * y), math.sqrt(d))
        by_torch = td.kl_divergence(q, td.Normal(0.0, 1.0)).mean().item()
        assert by_torch == pytest.approx(predicted, abs=1e-4)


@pytest.mark.equation("eq-collapse-escape")
@pytest.mark.parametrize("lam", [0.3, 0.8, 2.0])
def test_a_kicked_silent_column_gains_what_the_formula_says(lam):
    sigma2 = 0.7
    C = torch.diag(torch.tensor([3.0, lam, 0.1], dtype=torch.float64))

    def bound(eps: float) -> torch.Tensor:
        W = torch.zeros(3, 2, dtype=torch.float64)
        W[0, 0], W[1, 1] = (3.0 - sigma2) ** 0.5, eps
        return c.linear_bound(W, *c.best_linear_encoder(W, sigma2), C, sigma2)

    eps = 1e-2
    gained = (bound(eps) - bound(0.0)) / eps**2
    assert gained == pytest.approx((lam - sigma2) / (2 * sigma2**2), abs=1e-3)


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.floats(0.2, 2.0))
def test_silence_below_the_noise_is_a_summit_in_all_directions(seed, sigma2):
    """The theorem's harder half, with kicks of everything: decoder, encoder and
    variances.
    """
    lam = torch.tensor([3.0, 2.5, 0.15, 0.1], dtype=torch.float64)
    C = torch.diag(lam)
    W = torch.zeros(4, 3, dtype=torch.float64)
    W[0, 0], W[1, 1] = (3.0 - sigma2) ** 0.5, (2.5 - sigma2) ** 0.5
    best = (W, *c.best_linear_encoder(W, sigma2))
    top = c.linear_bound(*best, C, sigma2)
    chance = torch.Generator().manual_seed(seed)
    for size in (1e-3, 1e-2, 1e-1):
        for _ in range(30):
            kicked = [
                p + size * torch.randn(p.shape, generator=chance).double() for p in best
            ]
            assert c.linear_bound(*kicked, C, sigma2) <= top + 1e-12


@pytest.mark.equation("eq-collapse-active")
def test_active_units_are_those_whose_mean_moves():
    mu = torch.tensor([[0.0, 0.0, 5.0], [0.0, 0.3, 5.0], [0.0, -0.3, 5.01]])
    by_hand = [bool(np.var(mu[:, k].numpy(), ddof=1) > 0.01) for k in range(3)]
    assert c.active_units(mu).tolist() == by_hand == [False, True, False]


def test_one_row_has_no_variance():
    with pytest.raises(ValueError, match="several images"):
        c.active_units(torch.zeros(1, 3))


def test_an_eigenvalue_at_the_noise_itself_is_dead():
    assert c.predicted_dead(np.array([2.0, 1.0, 0.5]), 1.0).tolist() == [
        False,
        True,
        True,
    ]


def test_the_context_decoder_is_a_distribution_over_all_images():
    """Its probabilities of all images of six pixels sum to 1, whatever the code."""
    torch.manual_seed(0)
    network = c.ContextNetwork(6, 2, (4,)).double()
    with torch.no_grad():
        network.context.normal_()
        every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 6)
        total = (
            network.log_lik(every, torch.randn(1, 2).double().expand(64, 2)).exp().sum()
        )
    assert total.item() == pytest.approx(1.0)


def test_images_drawn_from_the_context_decoder_are_as_frequent_as_it_says():
    torch.manual_seed(1)
    network = c.ContextNetwork(3, 2, (4,))
    with torch.no_grad():
        network.context.normal_(std=2.0)
        every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
        z = torch.randn(1, 2)
        told = network.log_lik(every, z.expand(8, 2)).exp().double().numpy()
    n, told = 40_000, told / told.sum()
    x = network.draw(z.expand(n, 2), torch.Generator().manual_seed(0))
    counts = np.bincount(
        (x @ torch.tensor([4.0, 2.0, 1.0])).long().numpy(), minlength=8
    )
    assert stats.chisquare(counts, n * told).pvalue > 1e-3


def test_the_context_decoder_has_no_mean_to_show():
    network = c.ContextNetwork(6, 2, (4,))
    for ask in (
        lambda: network.decode(torch.zeros(1, 2)),
        lambda: network(torch.zeros(1, 6)),
    ):
        with pytest.raises(TypeError, match=r"draw\(z, generator\)"):
            ask()


@pytest.mark.parametrize("predicted", [c.predicted_kl, c.predicted_dead])
@pytest.mark.parametrize("sigma2", [0.0, -1.0, math.inf, math.nan])
def test_a_noise_that_is_none_is_refused(predicted, sigma2):
    with pytest.raises(ValueError, match="positive number"):
        predicted(np.ones(2), sigma2)


def test_a_variance_below_zero_is_refused():
    with pytest.raises(ValueError, match="0 or above"):
        c.predicted_kl(np.array([1.0, -0.1]), 1.0)


@pytest.mark.equation("eq-collapse-spectrum")
@settings(max_examples=40, deadline=None)
@given(SEEDS, st.floats(0.05, 2.0))
def test_no_decoder_has_more_likelihood_than_its_spectrum_allows(seed, sigma2):
    """By SciPy's density of a sample, for decoders in any directions; then the highest
    value by the noise's floor.
    """
    chance = np.random.default_rng(seed)
    X = chance.normal(size=(30, 5)) @ chance.normal(size=(5, 5))
    X -= X.mean(axis=0)
    lam = np.linalg.eigvalsh(X.T @ X / 30)[::-1]
    W = chance.normal(size=(5, 2))
    Sigma = W @ W.T + sigma2 * np.eye(5)
    v = np.linalg.eigvalsh(Sigma)[::-1]
    log_p = stats.multivariate_normal(np.zeros(5), Sigma).logpdf(X).mean()
    terms = [
        stats.norm(0, np.sqrt(u)).logpdf(np.sqrt(k))
        for u, k in zip(v, lam, strict=True)
    ]
    assert log_p <= sum(terms) + 1e-9
    assert v.min() > sigma2 - 1e-9
    best = [
        stats.norm(0, math.sqrt(max(k, sigma2) if i < 2 else sigma2)).logpdf(
            math.sqrt(k)
        )
        for i, k in enumerate(lam)
    ]
    assert log_p <= sum(best) + 1e-9


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_a_silence_at_the_noise_itself_is_no_worse_than_anything(seed):
    """The theorem's edge: the unused eigenvalue equals the noise, and kicks may be
    large.
    """
    C = torch.diag(torch.tensor([3.0, 0.5, 0.5, 0.1], dtype=torch.float64))
    W = torch.zeros(4, 2, dtype=torch.float64)
    W[0, 0] = 2.5**0.5
    best = (W, *c.best_linear_encoder(W, 0.5))
    top = c.linear_bound(*best, C, 0.5)
    chance = torch.Generator().manual_seed(seed)
    for size in (1e-2, 0.3, 2.0):
        for _ in range(20):
            kicked = [
                p + size * torch.randn(p.shape, generator=chance).double() for p in best
            ]
            assert c.linear_bound(*kicked, C, 0.5) <= top + 1e-12


@pytest.mark.equation("eq-collapse-noise")
@pytest.mark.parametrize("K", [1, 2, 3])
def test_the_noise_that_is_stationary_is_the_mean_of_what_is_left_out(K):
    lam = torch.tensor([4.0, 2.5, 1.2, 0.5, 0.3, 0.1], dtype=torch.float64)
    sigma2 = lam[K:].mean().clone().requires_grad_()
    W = torch.zeros(6, 4, dtype=torch.float64)
    for k in range(K):
        W[k, k] = (lam[k] - sigma2.detach()).sqrt()
    V, log_d = c.best_linear_encoder(W, sigma2.item())
    W.requires_grad_()
    (by_noise, by_W) = torch.autograd.grad(
        c.linear_bound(W, V, log_d, torch.diag(lam), sigma2), (sigma2, W)
    )
    assert by_noise.abs() < 1e-9
    assert by_W.abs().max() < 1e-9
    assert lam[K] > sigma2  # so by the theorem a silent column is on a saddle


@pytest.mark.equation("eq-collapse-ceiling")
@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_no_model_has_more_likelihood_than_the_frequencies(seed):
    """By enumeration of all images of three pixels, with the code added up on a fine
    grid.
    """
    chance = torch.Generator().manual_seed(seed)
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 3)
    p_hat = torch.from_numpy(np.random.default_rng(seed).dirichlet(np.ones(8)))
    network = VAENetwork(3, 1, (4,)).double()
    with torch.no_grad():
        for part in network.parameters():
            part.copy_(torch.randn(part.shape, generator=chance))
        z = torch.linspace(-8, 8, 801).double()[:, None, None].expand(801, 8, 1)
        prior = td.Normal(0.0, 1.0).log_prob(z[..., 0])
        log_p = torch.logsumexp(network.log_lik(every, z) + prior, dim=0) + math.log(
            16 / 800
        )
        eps = torch.randn(2000, 8, 1, generator=chance).double()
        mean_bound = (p_hat * elbo(network, every, eps).mean(dim=0)).sum()
    assert log_p.exp().sum().item() == pytest.approx(1.0, abs=1e-6)
    assert mean_bound <= (p_hat * log_p).sum() + 0.1  # the bound is by draws
    assert (p_hat * log_p).sum() <= -td.Categorical(p_hat).entropy() + 1e-9


def test_the_price_of_each_dimension_is_that_of_torch_distributions():
    network = VAENetwork(6, 3, (4,))
    x = torch.rand(20, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mu, log_var = network.encode(x)
        q = td.Normal(mu, (0.5 * log_var).exp())
        by_torch = td.kl_divergence(q, td.Normal(0.0, 1.0)).mean(dim=0)
    found = c.kl_per_dimension(network, x)
    assert torch.allclose(found, by_torch, atol=1e-6)
    assert not found.requires_grad
    with pytest.raises(ValueError, match="at least one image"):
        c.kl_per_dimension(network, x[:0])


def test_a_monitor_watches_and_changes_nothing():
    x = torch.rand(40, 6, generator=torch.Generator().manual_seed(0)).round()
    losses = []
    for watch in (False, True):
        with seeded(0):
            network = VAENetwork(6, 2, (4,))
        loss = c.KLMonitor(neg_elbo, x[:7], every=3) if watch else neg_elbo
        history = train(
            network, loss, x, epochs=4, batch_size=20, progress=False, device="cpu"
        )
        losses.append(history.steps)
    assert losses[0] == losses[1]
    assert len(loss.kl) == 3
    assert loss.kl[0].shape == (2,)


@pytest.mark.parametrize("every", [0, -1, True])
def test_a_monitor_that_never_looks_is_refused(every):
    with pytest.raises(ValueError, match="every"):
        c.KLMonitor(neg_elbo, torch.zeros(2, 6), every)
