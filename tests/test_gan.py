"""The chapter on generative adversarial networks, by independent routes: quadrature,
enumeration, automatic differentiation, torch.distributions.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize
from scipy.spatial.distance import jensenshannon
from scipy.stats import norm
from sklearn.base import clone
from torch import distributions as td
from torch import nn

from latent_book import gan as g
from latent_book.autoencoder import mlp
from latent_book.files import load, save
from latent_book.gan import GAN
from latent_book.rows import as_generator
from latent_book.training import DivergedError, seeded

positive = st.floats(0.01, 5)


def toys(N: int = 96, D: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((N, D)).astype(np.float32)


# --- the game
# ------------------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-gan-value")
def test_the_score_is_the_log_probability_of_the_right_answers():
    real, fake = torch.randn(
        2, 3, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    right = td.Bernoulli(logits=real).log_prob(torch.ones(3, 50).double()).mean(1)
    right = right + td.Bernoulli(logits=fake).log_prob(
        torch.zeros(3, 50).double()
    ).mean(1)
    assert torch.allclose(g.game_value(real, fake), right)


def test_a_score_wrong_with_all_its_heart_is_finite_and_has_a_slope():
    far = torch.tensor([1e4], requires_grad=True)
    value = g.game_value(-far, far)
    value.sum().backward()
    assert value.item() == -2e4
    assert far.grad.item() == -2


@pytest.mark.equation("eq-gan-optimal")
@given(a=positive, b=positive)
@settings(max_examples=25, deadline=None)
def test_no_other_probability_scores_more(a, b):
    found = optimize.minimize_scalar(
        lambda t: -(a * math.log(t) + b * math.log1p(-t)),
        bounds=(1e-9, 1 - 1e-9),
        method="bounded",
        options={"xatol": 1e-10},
    )
    best = g.optimal_logits(
        torch.tensor(a).log().double(), torch.tensor(b).log().double()
    )
    assert found.x == pytest.approx(a / (a + b), abs=1e-5)
    assert found.x == pytest.approx(best.sigmoid().item(), abs=1e-5)


@pytest.mark.equation("eq-gan-logit")
def test_the_best_logit_is_bayes_rule_with_even_odds():
    x = torch.linspace(-4, 4, 41, dtype=torch.float64)
    real, made = td.Normal(-1.0, 0.5), td.Normal(1.0, 2.0)
    posterior = real.log_prob(x).exp() / (
        real.log_prob(x).exp() + made.log_prob(x).exp()
    )
    assert torch.allclose(
        g.optimal_logits(real.log_prob(x), made.log_prob(x)).sigmoid(), posterior
    )
    edge = g.optimal_logits(
        torch.tensor([-math.inf, 0.0, -math.inf]),
        torch.tensor([-math.inf, -math.inf, 0.0]),
    )
    assert edge.tolist() == [0.0, math.inf, -math.inf]


@pytest.mark.equation("eq-gan-js")
def test_the_value_of_the_game_is_twice_the_divergence_minus_log_4():
    def score(x):
        p, q = norm.pdf(x), norm.pdf(x, 1.5, 0.7)
        return p * math.log(p / (p + q)) + q * math.log(q / (p + q))

    best = integrate.quad(score, -8, 8, epsabs=1e-10, points=[0, 1.5])[0]
    line = np.linspace(-8, 8, 8001)
    cell = line[1] - line[0]
    js = g.jensen_shannon(norm.pdf(line) * cell, norm.pdf(line, 1.5, 0.7) * cell)
    assert best == pytest.approx(2 * js - math.log(4), abs=1e-6)


@given(
    p=st.lists(positive, min_size=5, max_size=5),
    q=st.lists(positive, min_size=5, max_size=5),
)
@settings(max_examples=25, deadline=None)
def test_the_divergence_is_that_of_scipy_and_keeps_its_bounds(p, q):
    p, q = np.array(p) / sum(p), np.array(q) / sum(q)
    js = g.jensen_shannon(p, q)
    assert js == pytest.approx(jensenshannon(p, q) ** 2, abs=1e-7)
    assert -1e-12 <= js <= math.log(2)


def test_the_divergence_of_strangers_is_log_2_and_bad_tables_are_refused():
    assert g.jensen_shannon(
        np.array([1.0, 0.0]), np.array([0.0, 1.0])
    ) == pytest.approx(math.log(2))
    with pytest.raises(ValueError, match="density times width"):
        g.jensen_shannon(np.array([1.0, 1.0]), np.array([0.5, 0.5]))


@pytest.mark.equation("eq-gan-slopes")
def test_the_slopes_of_both_losses_by_automatic_differentiation():
    logits = torch.linspace(-8, 8, 33, dtype=torch.float64, requires_grad=True)
    D = logits.detach().sigmoid()
    for name, plain, slope in (
        ("saturating", torch.log(1 - logits.sigmoid()), -D),
        ("non-saturating", -torch.log(logits.sigmoid()), D - 1),
    ):
        assert torch.allclose(g.generator_loss(logits, name), plain.mean())
        (by_autograd,) = torch.autograd.grad(plain.sum(), logits)
        assert torch.allclose(by_autograd, slope)
    with pytest.raises(ValueError, match="use 'non-saturating'"):
        g.generator_loss(logits, "hinge")


def shifted(theta: float) -> tuple[float, float, float]:
    """JS(p_d, p_theta), KL(p_theta || p_d) and the generator's part of the score
    against the best D at 1, by quadrature.
    """
    p, q, q0 = (
        norm.pdf,
        lambda x: norm.pdf(x, theta, 0.8),
        lambda x: norm.pdf(x, 1, 0.8),
    )
    js = integrate.quad(
        lambda x: (
            0.5
            * (
                p(x) * math.log(2 * p(x) / (p(x) + q(x)))
                + q(x) * math.log(2 * q(x) / (p(x) + q(x)))
            )
        ),
        -7,
        8,
        epsabs=1e-12,
    )[0]
    kl = integrate.quad(lambda x: q(x) * math.log(q(x) / p(x)), -7, 8, epsabs=1e-12)[0]
    held = integrate.quad(
        lambda x: q(x) * math.log(q0(x) / (p(x) + q0(x))), -7, 8, epsabs=1e-12
    )[0]
    return js, kl, held


def against(name: str) -> float:
    """The slope at theta = 1 of a loss of the generator theta + 0.8 z, with the best
    discriminator of theta = 1 held.
    """
    z = torch.linspace(-9, 9, 4001, dtype=torch.float64)
    weights = td.Normal(0.0, 1.0).log_prob(z).exp() * (z[1] - z[0])
    theta = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    x = theta + 0.8 * z
    logits = g.optimal_logits(
        td.Normal(0.0, 1.0).log_prob(x), td.Normal(1.0, 0.8).log_prob(x)
    )
    losses = torch.stack([g.generator_loss(one[None], name) for one in logits])
    return torch.autograd.grad((weights * losses).sum(), theta)[0].item()


@pytest.mark.equation("eq-gan-saturating")
def test_the_saturating_slope_is_that_of_twice_js():
    high, low = shifted(1.001), shifted(0.999)
    assert against("saturating") == pytest.approx(
        2 * (high[0] - low[0]) / 0.002, abs=1e-5
    )
    assert against("saturating") == pytest.approx((high[2] - low[2]) / 0.002, abs=1e-5)


@pytest.mark.equation("eq-gan-nonsaturating")
def test_the_non_saturating_slope_is_that_of_kl_minus_twice_js():
    high, low = shifted(1.001), shifted(0.999)
    expected = (high[1] - low[1] - 2 * (high[0] - low[0])) / 0.002
    assert against("non-saturating") == pytest.approx(expected, abs=1e-5)


@pytest.mark.equation("eq-gan-packed")
@given(a=st.floats(0.05, 1), m=st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_lost_modes_show_in_packs_as_the_equation_says(a, m):
    data, made = np.array([0.6 * a, 0.4 * a, 1 - a]), np.array([0.6, 0.4, 0.0])
    edge = 0.5 * sum(
        abs(np.prod(data[list(s)]) - np.prod(made[list(s)]))
        for s in itertools.product(range(3), repeat=m)
    )
    assert edge == pytest.approx(1 - a**m)


@pytest.mark.equation("eq-gan-penalty")
def test_the_penalty_is_half_the_squared_slope_by_finite_differences():
    with seeded(0):
        net = mlp([3, 16, 1]).double()
    x = torch.randn(
        5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    step = 1e-5 * torch.eye(3, dtype=torch.float64)
    with torch.no_grad():
        slopes = torch.stack(
            [(net(x + s) - net(x - s)).squeeze(1) / 2e-5 for s in step], 1
        )
    x.requires_grad_()
    found = g.gradient_penalty(net(x).squeeze(1), x)
    assert torch.allclose(found, 0.5 * slopes.square().sum(1).mean(), atol=1e-7)
    found.backward()
    assert net[0].weight.grad.abs().sum() > 0


@pytest.mark.equation("eq-gan-dirac")
@given(gamma=st.floats(0, 3))
@settings(max_examples=20, deadline=None)
def test_the_smallest_gan_turns_or_rests_as_its_eigenvalues_say(gamma):
    at = torch.zeros(2, dtype=torch.float64)  # psi, theta

    def field(s):
        psi, theta = s
        value = g.game_value(psi * torch.zeros(1).double(), (psi * theta)[None])
        slopes = torch.autograd.grad(
            value - gamma * 0.5 * psi**2, s, create_graph=True
        )[0]
        return torch.stack([slopes[0], -slopes[1]])

    rows = torch.autograd.functional.jacobian(lambda s: field(s), at.requires_grad_())
    assert torch.allclose(
        rows, torch.tensor([[-gamma, -0.5], [0.5, 0.0]], dtype=torch.float64)
    )
    found = np.sort_complex(np.linalg.eigvals(rows.numpy()))
    root = np.emath.sqrt(gamma**2 - 1)
    assert np.allclose(
        found, np.sort_complex(np.array([-gamma - root, -gamma + root]) / 2), atol=1e-6
    )


# --- rounds
# --------------------------------------------------------------------------------------------------------


def test_packing_keeps_every_number_and_refuses_a_rest():
    x = torch.arange(24.0).reshape(2, 6, 2)
    assert g.pack(x, 3).shape == (2, 2, 6)
    assert torch.equal(g.pack(x, 3).reshape(2, 6, 2), x)
    with pytest.raises(ValueError, match="pack divides"):
        g.pack(x, 4)


@pytest.mark.parametrize(
    "options", [{}, {"packed": 2}, {"penalty": 0.1}, {"loss": "saturating"}]
)
def test_a_round_of_many_games_is_a_round_of_each(options):
    """Ten at once, by batched matrices, take the steps that each takes alone, by plain
    layers.
    """
    m = options.get("packed", 1)
    with seeded(0):
        G, D = g.ManyMLPs(3, (2, 8, 2)), g.ManyMLPs(3, (2 * m, 8, 1))
    alone = [(G.one(k), D.one(k)) for k in range(3)]
    chance = torch.Generator().manual_seed(0)
    real, z = (
        torch.randn(3, 12, 2, generator=chance),
        torch.randn(3, 12, 2, generator=chance),
    )

    def sgd(net):
        return torch.optim.SGD(net.parameters(), lr=0.1)

    together = g.play_round(G, D, sgd(G), sgd(D), real, z, **options)
    for k, (one_g, one_d) in enumerate(alone):
        single = g.play_round(
            one_g, one_d, sgd(one_g), sgd(one_d), real[k], z[k], **options
        )
        assert torch.allclose(
            torch.stack(together)[:, k], torch.stack(single), atol=1e-6
        )
        for trained, mine in ((G.one(k), one_g), (D.one(k), one_d)):
            for a, b in zip(trained.parameters(), mine.parameters(), strict=True):
                assert torch.allclose(a, b, atol=1e-6)
    assert all(p.requires_grad for p in D.parameters())


def test_many_deep_networks_answer_as_each_alone():
    with seeded(0):
        few = g.ManyMLPs(3, (2, 7, 5, 1))
    rows = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))
    alone = torch.stack([few.one(k)(rows[k]) for k in range(3)])
    assert torch.allclose(few(rows), alone, atol=1e-6)


def test_the_generators_step_leaves_the_discriminator_alone():
    with seeded(0):
        G, D = mlp([2, 8, 2]), mlp([2, 8, 1])
    calls = []
    D.register_forward_hook(
        lambda *_: calls.append([p.requires_grad for p in D.parameters()])
    )
    adams = [torch.optim.Adam(net.parameters()) for net in (G, D)]
    g.play_round(G, D, *adams, torch.randn(6, 2), torch.randn(6, 2))
    # one pass for both kinds, one frozen
    assert [all(c) for c in calls] == [True, False]


def test_modes_and_good_points_are_counted():
    centres = torch.tensor([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]])
    x = torch.tensor([[[0.1, 0.0], [1.0, 0.2], [0.5, 0.0], [1.0, 0.0]]])
    modes, good = g.count_modes(x, centres, 0.1)
    assert modes.tolist() == [2.0]
    assert good.tolist() == [0.75]
    drawn = g.heaps((4, 5000), centres, 0.1, torch.Generator().manual_seed(0))
    assert g.count_modes(drawn, centres, 0.1)[0].tolist() == [3.0] * 4
    assert g.count_modes(drawn, centres, 0.1)[1].numpy() == pytest.approx(
        1 - math.exp(-4.5), abs=0.01
    )


# --- the estimator
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"pack": 2}, {"penalty": 0.0, "loss": "saturating"}]
)
def test_the_estimator_speaks_its_verbs_and_has_no_others(options):
    X = toys()
    model = clone(GAN(3, hidden=(8,), epochs=2, batch_size=20, **options)).fit(X)
    assert len(model.history_.discriminator) == len(model.history_.generator) == 2
    made = model.sample(5, 0)
    assert made.shape == (5, 6)
    assert 0 <= made.min() <= made.max() <= 1
    assert np.array_equal(made, model.sample(5, as_generator(0, "sample")))
    Z = torch.randn(4, 3, dtype=torch.float64)
    assert isinstance(model.decode(Z), torch.Tensor)
    assert model.decode(Z).dtype == torch.float64
    assert np.allclose(model.decode(Z.numpy()), model.decode(Z))
    for verb in ("encode", "log_prob", "transform", "score"):
        assert not hasattr(model, verb)
    again = clone(model).fit(torch.from_numpy(X))
    assert np.array_equal(again.sample(5, 0), made)


def test_any_modules_will_do_and_stay_as_they_were():
    G = nn.Sequential(nn.Linear(2, 6), nn.Tanh())
    D = nn.Sequential(
        nn.Linear(12, 8), nn.LeakyReLU(0.2), nn.Dropout(0.1), nn.Linear(8, 1)
    )
    before = G[0].weight.clone()
    model = GAN(
        2, output="tanh", generator=G, discriminator=D, pack=2, epochs=1, batch_size=8
    )
    model.fit(toys(), None)
    assert torch.equal(before, G[0].weight)
    assert not torch.equal(before, model.network_.generator.module[0].weight)


def test_a_saved_gan_comes_back(tmp_path):
    model = GAN(3, hidden=(8,), epochs=1).fit(toys())
    save(model, tmp_path / "gan.safetensors")
    assert np.array_equal(
        load(GAN, tmp_path / "gan.safetensors").sample(4, 1), model.sample(4, 1)
    )


@pytest.mark.parametrize(
    ("settings", "X", "cure"),
    [
        ({}, 255 * toys(), "divide by 255"),
        ({}, np.arange(20), "labels"),
        ({}, toys()[:12].reshape(2, 1, 2, 3, 6), "flatten"),
        ({}, np.full((9, 3), np.nan, dtype=np.float32), "NaN"),
        ({"n_components": 0}, toys(), "at least 1"),
        ({"pack": 3, "batch_size": 64}, toys(), "take a multiple"),
        ({"hidden": 8}, toys(), "tuple of widths"),
        ({"lr": 0.0}, toys(), "such as 1e-3"),
        ({"penalty": -1e-3}, toys(), "0 or above"),
        ({"loss": "wasserstein"}, toys(), "use 'non-saturating'"),
        ({"output": "relu"}, toys(), "use 'sigmoid'"),
        ({"output": "tanh"}, 3 * toys(), "2 \\* X - 1"),
        ({"patience": 3}, toys(), "a game has no loss"),
        ({"generator": nn.Linear(2, 5)}, toys(), "should make"),
        ({"discriminator": nn.Linear(5, 1)}, toys(), "does not take"),
    ],
)
def test_bad_input_is_told_the_cure(settings, X, cure):
    with pytest.raises(ValueError, match=cure):
        GAN(**{"n_components": 2, "hidden": (8,), "epochs": 1, **settings}).fit(X)


def test_a_wrong_code_is_told_that_there_is_no_encoder():
    model = GAN(3, hidden=(8,), epochs=1).fit(toys())
    with pytest.raises(ValueError, match="no encode"):
        model.decode(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="at least 1"):
        model.sample(0, 0)


def test_the_referee_names_the_cure_for_a_win_and_for_a_nan():
    X = np.full((64, 6), 0.9, dtype=np.float32)
    with pytest.warns(UserWarning, match="raise penalty, lower lr_discriminator"):
        GAN(
            2,
            hidden=(16,),
            penalty=0.0,
            epochs=60,
            batch_size=8,
            lr=1e-9,
            lr_discriminator=3e-2,
        ).fit(X)
    with pytest.raises(DivergedError, match="lower lr"):
        GAN(
            2, hidden=(8,), output="linear", epochs=3, lr=1e30, lr_discriminator=1e30
        ).fit(1e3 * toys())


def test_bfloat16_trains_too():
    model = GAN(3, hidden=(16,), epochs=1, bfloat16=True, device="cpu").fit(toys())
    assert np.isfinite(model.sample(4, 0)).all()
