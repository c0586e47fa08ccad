"""The chapter on variational EM, by independent routes: enumeration in plain Python,
quadrature, torch.distributions, search.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from sklearn.base import clone
from torch import distributions as td
from torch import nn

from latent_book import bound
from latent_book import variational as v
from latent_book.autoencoder import mlp
from latent_book.files import load, save
from latent_book.variational import NVIL, BeliefNetwork, HelmholtzMachine

seeds = st.integers(0, 2**31 - 1)
quick = settings(max_examples=30, deadline=None)
chance = torch.Generator


def network(D: int = 7, L: int = 3, seed: int = 0, **parts) -> BeliefNetwork:
    """A small net with weights that matter, in double precision."""
    torch.manual_seed(seed)
    net = BeliefNetwork(D, L, **parts).double()
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(torch.randn_like(weight))
    return net


def bits(N: int = 5, D: int = 7, seed: int = 0) -> torch.Tensor:
    return (torch.rand(N, D, generator=chance().manual_seed(seed)) < 0.5).double()


def toys(N: int = 200, D: int = 12, seed: int = 0) -> np.ndarray:
    """Images that three strokes make, with noise."""
    rng = np.random.default_rng(seed)
    stroke = np.kron(np.eye(3), np.ones(D // 3))
    ink = np.clip((rng.random((N, 3)) < 0.5) @ stroke, 0.05, 0.95)
    return (rng.random((N, D)) < ink).astype(np.float32)


def by_hand(net: BeliefNetwork, x: torch.Tensor, q: np.ndarray | None = None) -> float:
    """log p(x), or the bound for product probabilities q, with Python's own arithmetic."""
    prior = torch.sigmoid(net.prior).tolist()
    total, value = 0.0, 0.0
    for z in itertools.product((0.0, 1.0), repeat=net.n_components):
        ink = torch.sigmoid(net.decoder(torch.tensor(z).double())).tolist()
        joint = math.prod(b if k else 1 - b for b, k in zip(prior, z, strict=True))
        joint *= math.prod(
            m if k else 1 - m for m, k in zip(ink, x.tolist(), strict=True)
        )
        total += joint
        if q is not None:
            guess = math.prod(b if k else 1 - b for b, k in zip(q, z, strict=True))
            value += guess * (math.log(joint) - math.log(guess))
    return math.log(total) if q is None else value


@pytest.mark.equation("eq-variational-sbn", "eq-variational-guide")
def test_the_joint_and_the_guess_are_those_of_torchs_distributions():
    net, x, z = network(), bits(), bits(5, 3, seed=1)
    by_torch = td.Bernoulli(logits=net.prior).log_prob(z).sum(-1)
    by_torch += td.Bernoulli(logits=net.decoder(z)).log_prob(x).sum(-1)
    assert torch.allclose(net.log_joint(x, z), by_torch)
    assert torch.allclose(
        net.log_q(z, x), td.Bernoulli(logits=net.encoder(x)).log_prob(z).sum(-1)
    )


@pytest.mark.equation("eq-variational-couples")
def test_only_shared_pixels_couple_causes():
    """The interaction of two bits in log p(z | x), by enumeration, is that of the
    second sum alone.
    """
    net, x = network(), bits(1)
    table = v.log_joint_states(net, x).log_softmax(1).reshape(2, 2, 2).detach()
    layer = net.decoder[0]
    eta = (v.all_states(3).double() @ layer.weight.T + layer.bias).reshape(2, 2, 2, -1)
    coupling = -nn.functional.softplus(eta).sum(-1).detach()
    for t in (table, coupling):
        assert t.shape == (2, 2, 2)
    together = lambda t: t[1, 1, 0] - t[1, 0, 0] - t[0, 1, 0] + t[0, 0, 0]  # noqa: E731
    alone = net.prior + x @ layer.weight  # what each cause says for itself
    sorted_out = v.all_states(3).double() @ alone[0] + coupling.flatten()
    assert torch.allclose(sorted_out.log_softmax(0), table.flatten())
    assert torch.allclose(together(table), together(coupling))
    assert abs(together(table)) > 0.1


def test_enumeration_is_that_of_plain_python():
    net, x = network(), bits()
    rho = net.encode(x).detach().numpy()
    log_p, elbo = v.log_joint_states(net, x).logsumexp(1), v.exact_elbo(net, x)
    for n in range(5):
        assert log_p[n].item() == pytest.approx(by_hand(net, x[n]))
        assert elbo[n].item() == pytest.approx(by_hand(net, x[n], rho[n]))
    assert torch.all(elbo <= log_p)


@pytest.mark.equation("eq-variational-mean-field")
def test_mean_field_ends_where_no_bit_can_do_better():
    table = torch.randn(6, 16, generator=chance().manual_seed(3)).double() * 2
    start = torch.randn(6, 4, generator=chance().manual_seed(4)).double()
    end = v.mean_field(table, start, sweeps=200)

    def elbo(logits: np.ndarray, row: int) -> float:
        q = v.product_states(torch.tensor(logits)[None]).exp()[0].numpy()
        return float(bound.elbo(table[row : row + 1].numpy(), q[None])[0])

    for row in range(6):
        here = end[row].numpy()
        assert elbo(here, row) >= elbo(start[row].numpy(), row)
        for bit in range(4):  # a search over that bit alone

            def other(
                logit: float, bit: int = bit, row: int = row, here: np.ndarray = here
            ):
                return -elbo(np.where(np.arange(4) == bit, logit, here), row)

            found = optimize.minimize_scalar(other, bounds=(-15, 15), method="bounded")
            assert -found.fun <= elbo(here, row) + 1e-8


@pytest.mark.equation("eq-variational-amortised")
def test_an_encoder_that_climbs_the_bound_nears_the_posterior_by_as_much():
    table = torch.randn(9, 4, generator=chance().manual_seed(0)).double()
    x, torch_seeded = torch.randn(9, 2).double(), mlp([2, 5, 4]).double()
    R = table.softmax(1)
    change = []
    for _ in range(2):
        loss = v.encoder_loss(torch_seeded, x, table)
        by_torch = td.kl_divergence(
            td.Categorical(logits=torch_seeded(x)), td.Categorical(probs=R)
        ).mean()
        change.append((loss - by_torch).item())
        with torch.no_grad():
            for weight in torch_seeded.parameters():
                weight.add_(torch.randn_like(weight))
    assert change[0] == pytest.approx(change[1])  # their difference is free of phi
    assert change[0] == pytest.approx(-table.logsumexp(1).mean().item())


@pytest.mark.equation("eq-variational-gaps")
@quick
@given(seed=seeds, c=st.floats(0.0, 1.0))
def test_the_gaps_are_divergences_and_add_up(seed, c):
    rng = np.random.default_rng(seed)
    table = rng.normal(scale=3, size=(6, 4))
    R, q = bound.posterior(table), rng.dirichlet(np.ones(4), size=6)
    parts = v.gaps(table, v.restrict(q, c), v.restrict(R, c))
    assert np.allclose(parts.approximation, bound.kl(v.restrict(R, c), R), atol=1e-9)
    assert np.allclose(
        parts.elbo + parts.amortisation + parts.approximation, parts.log_p
    )
    assert parts.amortisation.min() > -1e-9


@pytest.mark.equation("eq-variational-restricted")
@quick
@given(seed=seeds, c=st.floats(0.05, 0.999))
def test_no_guess_that_is_as_sure_is_nearer(seed, c):
    rng = np.random.default_rng(seed)
    r = rng.dirichlet(np.ones(4), size=1) * 0.98 + 0.005
    best = bound.kl(v.restrict(r, c), r)[0]
    top = r.max()
    if top < c:
        assert best == pytest.approx(
            c * math.log(c / top) + (1 - c) * math.log((1 - c) / (1 - top)), abs=1e-9
        )
    rivals = rng.dirichlet(np.full(4, 0.4), size=4000)
    rivals = rivals[rivals.max(1) >= c]
    if len(rivals):
        assert bound.kl(rivals, np.repeat(r, len(rivals), 0)).min() >= best - 1e-9


@pytest.mark.parametrize(
    ("q", "c", "nearest"),
    [
        ([0.5, 0.3, 0.2], 0.8, [0.8, 0.12, 0.08]),  # the rest keeps its proportions
        ([0.95, 0.05, 0.0], 0.8, [0.95, 0.05, 0.0]),  # sure enough already
        ([1.0, 0.0, 0.0], 0.8, [1.0, 0.0, 0.0]),
        ([0.5, 0.3, 0.2], 1.0, [1.0, 0.0, 0.0]),
        ([1.0, 0.0, 0.0], 1.0, [1.0, 0.0, 0.0]),
    ],
)
def test_a_guess_is_made_as_sure_as_it_has_to_be(q, c, nearest):
    assert np.allclose(v.restrict(np.array([q]), c), [nearest])


@pytest.mark.equation("eq-variational-kl-bits", "eq-variational-terms")
def test_the_kl_of_bits_is_torchs_and_the_terms_make_the_bound():
    net, x = network(), bits()
    logits = net.encoder(x)
    by_torch = td.kl_divergence(
        td.Bernoulli(logits=logits), td.Bernoulli(logits=net.prior.expand_as(logits))
    )
    kl = v.kl_bits(logits, net.prior)
    assert torch.allclose(kl, by_torch)
    q = v.product_states(logits).exp()
    log_lik = torch.stack(
        [
            td.Bernoulli(logits=net.decoder(v.all_states(3).double()))
            .log_prob(row)
            .sum(-1)
            for row in x
        ]
    )
    assert torch.allclose((q * log_lik).sum(1) - kl.sum(1), v.exact_elbo(net, x))
    sampled = v.sampled_elbo(net, x, chance().manual_seed(0), draws=4000).detach()
    off = (sampled.mean(0) - v.exact_elbo(net, x)) / (sampled.std(0) / 4000**0.5)
    assert off.abs().max() < 4.5


def slopes(loss, net: BeliefNetwork, parts) -> torch.Tensor:
    found = torch.autograd.grad(loss, parts, allow_unused=True)
    flat = [
        torch.zeros_like(p) if g is None else g
        for g, p in zip(found, parts, strict=True)
    ]
    return torch.cat([g.flatten() for g in flat])


def near(estimates: torch.Tensor, exact: torch.Tensor) -> bool:
    """Are the means of these rows within chance of the truth, in all columns?"""
    error = estimates.std(0) / len(estimates) ** 0.5
    off = (estimates.mean(0) - exact)[error > 0] / error[error > 0]
    still = torch.allclose(estimates.mean(0)[error == 0], exact[error == 0])
    return bool(off.abs().max() < 4.5) and bool(off.square().mean() < 1.6) and still


def every_image(net: BeliefNetwork) -> torch.Tensor:
    return v.all_states(net.n_features).double()


@pytest.mark.equation("eq-variational-wake", "eq-variational-sleep")
def test_wake_and_sleep_have_the_slopes_they_should_have():
    net, x = network(D=5, L=2), bits(6, 5).repeat(20, 1)
    down, up = [*net.decoder.parameters(), net.prior], [*net.encoder.parameters()]
    noise = chance().manual_seed(0)
    drawn = torch.stack(
        [
            slopes(v.wake_sleep_loss(net, x, noise), net, [*down, *up])
            for _ in range(150)
        ]
    )
    wake = slopes(-v.exact_elbo(net, x).mean(), net, down)
    table = v.log_joint_states(net, every_image(net)).exp().detach()  # all dreams
    sleep = slopes(
        -(table * v.product_states(net.encoder(every_image(net)))).sum(), net, up
    )
    assert near(drawn, torch.cat([wake, sleep]))


@pytest.mark.equation("eq-variational-wake-kl", "eq-variational-sleep-kl")
def test_which_divergence_each_phase_lowers():
    net = network(D=5, L=2)
    x, table = (
        every_image(net),
        v.log_joint_states(network(D=5, L=2), every_image(net)).detach(),
    )
    log_q = v.product_states(net.encoder(x)).detach()
    data = torch.softmax(torch.randn(32, generator=chance().manual_seed(2)).double(), 0)
    pairs_q = (data.log()[:, None] + log_q).flatten()
    pairs_p = table.flatten()
    wake = (pairs_q.exp() * (pairs_q - pairs_p)).sum()
    assert torch.isclose(wake, (data * data.log()).sum() - data @ v.exact_elbo(net, x))
    log_p = table.logsumexp(1)
    other = (log_p[:, None] + log_q).flatten()
    sleep = (pairs_p.exp() * (pairs_p - other)).sum()
    each = bound.kl(table.softmax(1).numpy(), log_q.exp().numpy())
    assert sleep.item() == pytest.approx(log_p.exp().numpy() @ each)


@pytest.mark.equation("eq-variational-sleep-best")
def test_sleep_wants_the_marginals():
    R = np.random.default_rng(0).dirichlet(np.ones(8))
    z = v.all_states(3).double().numpy()

    def price(logits: np.ndarray) -> float:
        q = v.product_states(torch.tensor(logits)[None]).exp().numpy()
        return float(bound.kl(R[None], q / q.sum())[0])

    found = optimize.minimize(price, np.zeros(3)).x
    assert 1 / (1 + np.exp(-found)) == pytest.approx(R @ z, abs=1e-4)


@pytest.mark.equation("eq-variational-score", "eq-variational-baseline")
@pytest.mark.parametrize("c", [0.0, -7.3])
def test_the_score_function_has_the_slope_of_the_bound(c):
    net, x = network(), bits()
    logits = net.encoder(x).detach().requires_grad_()
    table, log_q = v.log_joint_states(net, x).detach(), v.product_states(logits)
    slope = torch.autograd.grad((log_q.exp() * (table - log_q)).sum(), logits)[0]
    f, q = (table - log_q).T.detach(), log_q.exp().T.detach()
    z = v.all_states(3).double()[:, None].expand(-1, 5, -1)
    estimates = v.score_gradient(f, z, logits.detach(), c)
    assert torch.allclose((q[..., None] * estimates).sum(0), slope)


@pytest.mark.equation("eq-variational-best-baseline")
def test_no_number_is_a_better_baseline():
    rng = np.random.default_rng(0)
    q, f = rng.dirichlet(np.ones(6)), rng.normal(-50, 3, size=6)
    s = rng.normal(size=6)
    s -= q @ s  # a score has mean zero
    best = (q @ (f * s**2)) / (q @ s**2)

    def variance(c: float) -> float:
        estimate = (f - c) * s
        return q @ (estimate - q @ estimate) ** 2

    assert optimize.minimize_scalar(variance).x == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("with_baseline", [True, False])
def test_nvil_is_unbiased_in_every_weight(with_baseline):
    net = network(D=5, L=2, baseline=mlp([5, 1]) if with_baseline else None)
    x, noise = bits(4, 5), chance().manual_seed(0)
    learned = {k: p for k, p in net.named_parameters() if "baseline" not in k}
    exact = slopes(-v.exact_elbo(net, x).mean(), net, list(learned.values()))
    # the net's own guesses for 4000 steps, and then all steps at once
    z = net.guess(x.repeat(4000, 1), noise).unflatten(0, (4000, 4)).detach()

    class Step(nn.Module):
        """One step's loss at these guesses."""

        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, z):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(net, "guess", lambda x, generator: z)
                return v.nvil_loss(net, x, noise)

    def loss(values, z):
        named = {f"net.{k}": p for k, p in values.items()}
        return torch.func.functional_call(Step(), named, (z,))

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(learned, z)
    drawn = torch.cat([found[k].flatten(1) for k in learned], dim=1)
    assert near(drawn, exact)


@pytest.mark.equation("eq-variational-importance")
def test_the_weights_have_the_mean_p_of_x():
    net, x = network(), bits()
    weights = v.log_weights(net, x, chance().manual_seed(0), 20000).exp().detach()
    error = weights.std(0) / 20000**0.5
    exact = v.log_joint_states(net, x).logsumexp(1).exp()
    assert torch.all((weights.mean(0) - exact).abs() < 4.5 * error)


@pytest.mark.equation("eq-variational-reparam", "eq-variational-two-variances")
@pytest.mark.parametrize(("L", "mu", "sigma"), [(1, 0.3, 0.4), (3, -0.5, 0.8)])
def test_both_gradients_by_quadrature(L, mu, sigma):
    """Means and variances of both estimators by Gauss-Hermite sums, which are exact for
    polynomials.
    """
    tau2, x = 0.5, 1.0
    kappa = 1 + 1 / tau2
    nodes, weight = np.polynomial.hermite_e.hermegauss(9)
    eps = torch.tensor(list(itertools.product(nodes, repeat=L)))
    w = np.prod(list(itertools.product(weight / weight.sum(), repeat=L)), axis=1)

    def story(z: torch.Tensor) -> torch.Tensor:
        return (
            td.Normal(0.0, 1.0).log_prob(z)
            + td.Normal(z, tau2**0.5).log_prob(torch.tensor(x))
        ).sum(1)

    def elbo(m: float) -> float:
        gap = 0.5 * math.log(2 * math.pi * math.e * sigma**2)  # the entropy, each
        z = torch.full_like(eps, m) + sigma * eps
        return float(w @ story(z).numpy()) + L * gap

    ones = torch.ones(L).double()
    by_score, by_path = (
        g[:, 0].numpy()
        for g in v.two_gradients(story, mu * ones, sigma * ones, eps, elbo(mu))
    )
    slope = (elbo(mu + 1e-4) - elbo(mu - 1e-4)) / 2e-4 / L
    assert w @ by_score == pytest.approx(slope, abs=1e-6)
    assert w @ by_path == pytest.approx(slope, abs=1e-6)
    b = 0.5 * (1 - sigma**2 * kappa)
    assert w @ by_score**2 - slope**2 == pytest.approx(
        (L + 1) * slope**2 + (2 * L + 8) * b**2 / sigma**2, rel=1e-5
    )
    assert w @ by_path**2 - slope**2 == pytest.approx(kappa**2 * sigma**2, rel=1e-5)


@pytest.mark.parametrize("Model", [HelmholtzMachine, NVIL])
def test_the_estimators_speak_their_verbs(Model, tmp_path):
    X = toys()
    model = clone(Model(4, epochs=25, lr=5e-2)).fit(X)
    assert model.encode(X).shape == (200, 4)
    assert model.decode(np.eye(4)).shape == (4, 12)
    assert set(np.unique(model.sample(9, 0))) <= {0.0, 1.0}
    assert model.sample(9, 0).shape == (9, 12)
    alone = stats.bernoulli.logpmf(X, X.mean(0)).sum(1).mean()
    assert model.log_prob(X).mean() > alone + 0.3  # better than pixels one by one
    assert model.elbo(X, draws=20).mean() < model.log_prob(X).mean()
    assert len(model.history_.loss) == 25
    assert model.get_params()["lr"] == 5e-2
    tensor = model.log_prob(torch.tensor(X))
    assert isinstance(tensor, torch.Tensor)
    assert np.allclose(tensor, model.log_prob(X))
    save(model, tmp_path / "model.safetensors")
    again = load(Model, tmp_path / "model.safetensors")
    assert np.array_equal(again.log_prob(X), model.log_prob(X))


def test_a_log_prob_by_sampling_nears_the_exact_one():
    X = toys()
    wide = HelmholtzMachine(11, epochs=3).fit(X)
    exact = (
        v.log_joint_states(wide.network_, torch.tensor(X[:20]))
        .logsumexp(1)
        .detach()
        .numpy()
    )
    estimate = wide.log_prob(X[:20], k=4000)
    assert np.abs(estimate - exact).max() < 0.3
    assert np.array_equal(
        wide.log_prob(X[:20], k=9, rng=3), wide.log_prob(X[:20], k=9, rng=3)
    )


@pytest.mark.parametrize("Model", [HelmholtzMachine, NVIL])
def test_log_prob_says_what_it_is_and_heeds_the_number_of_draws(Model):
    assert [Model(L).log_prob_kind for L in (1, 10, 11)] == [
        "exact",
        "exact",
        "estimate",
    ]
    X = toys()
    model = Model(4, epochs=3).fit(X)
    exact = model.log_prob(X[:20])
    assert np.array_equal(exact, model.log_prob(X[:20], rng=7))  # nothing is drawn
    by_hand = (
        v.log_joint_states(model.network_, torch.tensor(X[:20])).logsumexp(1).detach()
    )
    assert np.allclose(exact, by_hand)
    few, many = (
        np.mean([model.log_prob(X[:20], k=k, rng=r) - exact for r in range(40)])
        for k in (1, 100)
    )
    # a number of draws asks for the estimate, and is not ignored
    assert few < many < 0.02
    assert few < -0.05
    with pytest.raises(ValueError, match="whole number"):
        model.log_prob(X[:20], k=0)
    assert "EXACT" in Model.log_prob.__doc__
    assert "ESTIMATE" in Model.log_prob.__doc__


def test_any_modules_serve():
    class Twice(nn.Module):
        def __init__(self, D: int, L: int) -> None:
            super().__init__()
            self.layer = nn.Linear(D, L)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * self.layer(x)

    own = {"encoder": Twice(12, 3), "decoder": Twice(3, 12), "baseline": Twice(12, 1)}
    model = NVIL(3, epochs=2, **own).fit(toys())
    assert isinstance(model.network_.encoder.module, Twice)
    assert isinstance(model.network_.baseline.module, Twice)
    assert model.network_.encoder.module is not own["encoder"]  # a copy was trained


@pytest.mark.parametrize(
    ("settings", "X", "cure"),
    [
        ({}, 0.37 * toys(), r"binarise\(X"),
        ({}, 255 * toys(), "divide by 255"),
        ({}, toys() - 1, r"scale it to \[0, 1\]"),
        ({}, np.arange(5), "labels"),
        ({}, toys().reshape(-1, 1, 1, 4, 3), "flatten"),
        ({}, np.full((3, 12), np.nan), "NaN"),
        ({}, np.empty((0, 12)), "0 sample"),
        ({"n_components": 0}, toys(), "at least 1"),
        ({"n_components": True}, toys(), "whole number"),
        ({"epochs": 0}, toys(), "at least 1"),
        ({"decoder": mlp([3, 4])}, toys(), r"decoder .* makes \(2, 4\)"),
        ({"encoder": mlp([4, 3])}, toys(), "encoder .* does not take"),
        ({"encoder": mlp([12, 7])}, toys(), r"encoder .* makes \(2, 7\)"),
        ({"baseline": mlp([12, 2])}, toys(), "baseline .* makes"),
    ],
)
def test_bad_input_is_told_what_to_do(settings, X, cure):
    with pytest.raises((ValueError, TypeError), match=cure):
        NVIL(**{"n_components": 3, "epochs": 1, **settings}).fit(X)


def test_functions_refuse_what_makes_no_sense():
    with pytest.raises(ValueError, match="draw some states"):
        v.all_states(17)
    with pytest.raises(ValueError, match="one for each of the 4 rows"):
        v.mean_field(torch.zeros(1, 3), torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"from 0 \(any guess\)"):
        v.restrict(np.full((1, 2), 0.5), 1.5)
    with pytest.raises(ValueError, match="two columns"):
        v.restrict(np.ones((2, 1)), 0.5)
    q = np.array([[0.5, 0.3, 0.2]])
    with pytest.raises(ValueError, match="best member"):
        v.gaps(np.log(q), q, np.ones((1, 3)) / 3)
    with pytest.raises(ValueError, match="divide by 255"):
        v.binarise(np.full((2, 3), 200.0), np.random.default_rng(0))
    with pytest.raises(ValueError, match="whole number"):
        HelmholtzMachine(2, epochs=1).fit(toys()).sample(0, 0)
    with pytest.raises(ValueError, match="draws"):
        HelmholtzMachine(2, epochs=1).fit(toys()).elbo(toys(), draws=0)
    with pytest.raises(ValueError, match="binarise"):
        NVIL(2, epochs=1).fit(toys()).encode(0.37 * toys())
    with pytest.raises(ValueError, match="NaN"):
        v.amortised_responsibilities(mlp([2, 3]), np.full((2, 2), np.nan))


def test_binarised_pixels_have_the_grey_values_as_means():
    X = np.tile(np.linspace(0, 1, 11), (20000, 1))
    B = v.binarise(X, np.random.default_rng(0))
    assert set(np.unique(B)) == {0.0, 1.0}
    assert B.dtype == X.dtype
    assert np.abs(B.mean(0) - X[0]).max() < 0.02


def test_bits_are_of_the_kind_of_the_greys():
    grey = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    bits = v.binarise(grey, 0)
    assert isinstance(bits, torch.Tensor)
    assert np.array_equal(bits.numpy(), v.binarise(grey.numpy(), 0))


def test_bits_that_are_ruled_out_are_told_how_to_go_on():
    """With the cure the bound is the best one, by enumeration of what is left."""
    table = torch.tensor([[0.0, -1.0, -2.0, -3.0], [0.5, 0.1, -math.inf, -math.inf]])
    for bad in (-math.inf, math.inf, math.nan):
        table[1, 2] = bad
        with pytest.raises(
            ValueError, match=r"log_joint is not finite in row 1; .*clamp"
        ):
            v.mean_field(table, torch.zeros(2, 2))
    with pytest.raises(ValueError, match="logits is not finite in row 0"):
        v.mean_field(table[:1], torch.full((1, 2), math.inf))
    table[1, 2] = -math.inf
    logits = v.mean_field(table.clamp(-1e4, 1e4), torch.zeros(2, 2)).double()
    assert logits[1, 0] < -1e3  # the first bit is off
    assert logits[1, 1].item() == pytest.approx(0.1 - 0.5, abs=1e-5)


def test_gaps_without_a_bound_are_refused():
    table, sure = np.array([[0.0, -np.inf]]), np.array([[1.0, 0.0]])
    half = np.full((1, 2), 0.5)
    with pytest.raises(ValueError, match="in row 0 the bound of `best` is minus infin"):
        v.gaps(table, half, half)
    found = v.gaps(table, half, sure)
    assert found.elbo[0] == -np.inf
    assert found.approximation[0] == 0 == found.log_p[0]
