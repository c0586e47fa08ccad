"""The bridges to later models by independent routes: enumeration, conditioning of joint
Gaussians, quadrature, autograd, draws; and the live figure under node.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from sklearn.base import clone

from latent_book import onwards as o
from latent_book.files import load, save
from latent_book.rows import as_generator
from latent_book.training import seeded

PI, MU, SIGMA = (
    np.array([0.3, 0.7]),
    np.array([-1.2, 0.8]),
    np.array([0.4, 0.6]),
)  # a mixture on the line


def mixture(x, a=1.0, s=0.0):
    """Density of a x + s eps, for x from the mixture."""
    parts = stats.norm.pdf(np.asarray(x)[..., None], a * MU, np.hypot(a * SIGMA, s))
    return parts @ PI


def posterior_mean(z, a, s):
    """E[x | z] by quadrature on a grid of x; 0 where no such z is ever seen."""
    x = np.linspace(-6, 6, 1601)
    weight = mixture(x) * stats.norm.pdf(np.asarray(z)[..., None], a * x, s)
    total = weight.sum(axis=-1)
    return weight @ x / np.where(total > 0, total, 1)


def mmse(a, s):
    """E (x - E[x | z])^2 by quadrature."""
    z = np.linspace(-7, 7, 801)
    found = integrate.trapezoid(mixture(z, a, s) * posterior_mean(z, a, s) ** 2, z)
    return PI @ (MU**2 + SIGMA**2) - found


# --- the chain
# ------------------------------------------------------------------------------------------------------


def ladder(T, states, rng):
    """Random tables: p(z_T), p(z_{t-1} | z_t) for t = T ... 2, p(x | z_1); q(z_1 | x),
    q(z_t | z_{t-1}) for t = 2 ... T.
    """

    def table(*shape):
        return rng.dirichlet(np.ones(shape[-1]), size=shape[:-1])

    down, up = ([table(states, states) for _ in range(T - 1)] for _ in range(2))
    return table(states), down, rng.random(states), table(states), up


@pytest.mark.equation("eq-onwards-ladder", "eq-onwards-chain")
@pytest.mark.parametrize("T", [1, 2, 3, 4])
def test_the_bound_of_a_chain_is_the_sum_of_its_prices_by_enumeration(T):
    rng, states = np.random.default_rng(T), 3
    top, down, likelihood, q1, up = ladder(T, states, rng)
    p, q = np.zeros((2, *(states,) * T))
    for z in itertools.product(range(states), repeat=T):
        p[z] = top[z[-1]] * likelihood[z[0]]
        q[z] = q1[z[0]]
        for t in range(1, T):
            p[z] *= down[t - 1][z[t], z[t - 1]]
            q[z] *= up[t - 1][z[t - 1], z[t]]
    assert np.isclose(q.sum(), 1)
    assert np.isclose((p / likelihood.reshape(-1, *(1,) * (T - 1))).sum(), 1)
    whole = np.sum(q * np.log(p / q))

    def marginal(*kept):
        return q.sum(axis=tuple(i for i in range(T) if i not in kept))

    parts = marginal(0) @ np.log(likelihood) - marginal(T - 1) @ np.log(
        marginal(T - 1) / top
    )
    for t in range(1, T):
        pair = marginal(t - 1, t)  # q(z_{t-1}, z_t | x)
        parts -= np.sum(pair * np.log(pair / pair.sum(axis=0) / down[t - 1].T))
    assert np.isclose(parts, whole)
    assert np.isclose(whole + np.sum(q * np.log(q / (p / p.sum()))), np.log(p.sum()))


@pytest.mark.equation("eq-onwards-ladder", "eq-onwards-chain")
def test_the_prices_of_a_ladder_are_those_of_torchs_distributions():
    Normal, kl = torch.distributions.Normal, torch.distributions.kl_divergence
    with seeded(0):
        network = o.LadderNetwork(5, (3, 2), (7,)).double().eval()
    x = torch.randn(
        4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    eps = torch.randn(
        6, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )

    def normal(mu, log_var):
        return Normal(mu, (0.5 * log_var).exp())

    q_top = normal(*network.guess_top(x).chunk(2, -1))
    z_top = q_top.mean + q_top.stddev * eps[..., 3:]
    seen = torch.cat([x.expand(6, 4, 5), z_top], dim=-1)
    q_low, p_low = (
        normal(*net(rows).chunk(2, -1))
        for net, rows in ((network.guess_low, seen), (network.expect_low, z_top))
    )
    z = q_low.mean + q_low.stddev * eps[..., :3]
    p_x, prior = normal(network.decoder(z), network.log_sigma2), Normal(0.0, 1.0)
    said, log_weights = network(x, eps)
    assert torch.allclose(said.recon, p_x.log_prob(x).sum(-1))
    assert torch.allclose(said.lower, kl(q_low, p_low).sum(-1))
    assert torch.allclose(said.top, kl(q_top, prior).sum(-1))
    joint = (
        p_x.log_prob(x).sum(-1)
        + p_low.log_prob(z).sum(-1)
        + prior.log_prob(z_top).sum(-1)
    )
    guess = q_low.log_prob(z).sum(-1) + q_top.log_prob(z_top).sum(-1)
    assert torch.allclose(log_weights, joint - guess)


def test_the_noise_of_a_ladder_is_the_mean_squared_error():
    with seeded(0):
        network = o.LadderNetwork(5, (3, 2), (7,)).double()
    x = torch.randn(
        40, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    assert "log_sigma2" not in dict(network.named_parameters())
    for _ in range(300):
        o.ladder_loss(network, x, torch.Generator().manual_seed(1))
    eps = torch.randn(
        40, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    network.eval()
    with torch.no_grad():
        z = network._guess(x, eps)[0]
        error = (x - network.decoder(z)).square().mean()
        assert torch.isclose(network.log_sigma2.exp(), error)
        network.settle(x, torch.Generator().manual_seed(2))
        chance = torch.Generator().manual_seed(3)
        eps = torch.randn(4000, 40, 5, dtype=torch.float64, generator=chance)
        z = network._guess(x, eps)[0]
        error = (x - network.decoder(z)).square().mean()
    assert torch.isclose(network.log_sigma2.exp(), error, rtol=0.03)


def test_a_ladder_fits_saves_and_says_what_is_wrong(tmp_path):
    X = np.random.default_rng(0).normal(size=(300, 4)) @ np.random.default_rng(
        1
    ).normal(size=(4, 4))
    model = o.Ladder(n_components=(2, 1), hidden=(8,), epochs=3, device="cpu").fit(X)
    rng = np.random.default_rng
    # for rows in other units the bound changes by the logarithm of the volume, and by
    # nothing else
    other = o.Ladder(n_components=(2, 1), hidden=(8,), epochs=3, device="cpu").fit(
        10 * X
    )
    shift = model.elbo(X).mean() - other.elbo(10 * X).mean()
    assert np.isclose(shift, 4 * np.log(10), atol=1e-2)
    assert model.iwae(X, 50).mean() > model.elbo(X, k=50).mean()
    assert model.sample(7, rng(0)).shape == (7, 4)
    save(model, tmp_path / "ladder.safetensors")
    again = load(o.Ladder, tmp_path / "ladder.safetensors")
    assert np.allclose(again.elbo(X), model.elbo(X))
    with pytest.raises(ValueError, match="tuple of widths"):
        clone(model).set_params(n_components=(2, 0)).fit(X)
    with pytest.raises(ValueError, match="k=0 must be a whole number"):
        model.iwae(X, 0)
    with pytest.raises(ValueError, match="n=0 must be a whole number"):
        model.sample(0, rng(0))


# --- the frozen encoder
# ---------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-onwards-jump")
@given(st.integers(2, 40), st.floats(1, 12), st.floats(-12, 0))
def test_steps_add_up_to_the_jump(T, first, last):
    a, s = o.noise_levels(T, first, last)
    shrunk, variance, before = 1.0, 0.0, 1.0
    for t in range(T):
        rho = a[t] / before
        assert 0 < rho < 1
        shrunk, variance, before = shrunk * rho, rho**2 * variance + 1 - rho**2, a[t]
        assert np.isclose(shrunk, a[t])
        assert np.isclose(variance, s[t] ** 2)
    assert np.isclose(np.log((a[0] / s[0]) ** 2), first)
    assert np.isclose(np.log((a[-1] / s[-1]) ** 2), last)


@pytest.mark.equation("eq-onwards-back")
@given(st.floats(-3, 3), st.floats(0.3, 3), st.floats(-2, 2), st.floats(-2, 2))
def test_the_way_back_is_what_conditioning_a_joint_gaussian_gives(top, fall, x, z):
    (a0, a1), (s0, s1) = o.noise_levels(2, top, top - fall)
    rho = a1 / a0
    # of z_{t-1} and z_t, given x
    joint = np.array([[s0**2, rho * s0**2], [rho * s0**2, s1**2]])
    gain = joint[0, 1] / joint[1, 1]
    mean, var = o.step_back(np.array([z]), np.array([x]), (a1, s1), (a0, s0))
    assert np.isclose(mean[0], a0 * x + gain * (z - a1 * x))
    assert np.isclose(var, joint[0, 0] - gain * joint[0, 1])


@pytest.mark.equation("eq-onwards-price")
@pytest.mark.parametrize(("x", "guess", "z"), [(0.4, -0.3, 1.0), (-1.0, 2.0, 0.2)])
def test_the_price_is_the_kl_by_quadrature(x, guess, z):
    (a0, a1), (s0, s1) = o.noise_levels(2, 1.3, 0.1)
    (mine, v), (theirs, _) = (
        o.step_back(m, y, (a1, s1), (a0, s0)) for m, y in ((z, x), (z, guess))
    )
    q, p = stats.norm(mine, v**0.5), stats.norm(theirs, v**0.5)
    kl = integrate.quad(
        lambda t: q.pdf(t) * (q.logpdf(t) - p.logpdf(t)), mine - 9, mine + 9
    )[0]
    snr0, snr1 = (a0 / s0) ** 2, (a1 / s1) ** 2
    assert np.isclose(kl, 0.5 * (snr0 - snr1) * (x - guess) ** 2)
    noise = ((z - a1 * x) - (z - a1 * guess)) / s1
    assert np.isclose(kl, 0.5 * (snr0 / snr1 - 1) * noise**2)


@pytest.mark.equation("eq-onwards-score")
@pytest.mark.parametrize("z", [-1.5, 0.1, 0.9])
def test_the_best_guess_is_a_score(z):
    a, s, step = 0.8, 0.6, 1e-5
    score = (np.log(mixture(z + step, a, s)) - np.log(mixture(z - step, a, s))) / (
        2 * step
    )
    x_hat = posterior_mean(z, a, s)
    assert np.isclose(x_hat, (z + s**2 * score) / a, atol=1e-6)
    assert np.isclose((z - a * x_hat) / s, -s * score, atol=1e-6)


@pytest.mark.equation("eq-onwards-bound")
def test_the_bound_is_the_mean_of_log_p_less_log_q_over_the_walk():
    """Every density written out and drawn from, step by step; D = 2."""
    rng = np.random.default_rng(0)
    (a, s), N = o.noise_levels(4, 2.0, -2.0), 200_000
    x = np.array([0.7, -0.4])
    denoise = lambda z, a, s: np.tanh(z / (a + s))  # noqa: E731  # any guess will do

    def log_normal(value, mean, var):
        return np.sum(stats.norm.logpdf(value, mean, np.sqrt(var)), axis=-1)

    total, z, before = np.zeros(N), np.broadcast_to(x, (N, 2)), 1.0
    walk = []
    for t in range(4):
        rho = a[t] / before
        new = rho * z + np.sqrt(1 - rho**2) * rng.normal(size=(N, 2))
        total -= log_normal(new, rho * z, 1 - rho**2)
        walk.append(new)
        z, before = new, a[t]
    total += log_normal(walk[-1], 0, 1)
    for t in range(1, 4):
        guess = denoise(walk[t], a[t], s[t])
        mean, var = o.step_back(walk[t], guess, (a[t], s[t]), (a[t - 1], s[t - 1]))
        total += log_normal(walk[t - 1], mean, var)
    total += log_normal(x, denoise(walk[0], a[0], s[0]), (s[0] / a[0]) ** 2)
    recon, steps, prior = o.chain_bound(np.tile(x, (N, 1)), denoise, (a, s), rng)
    ours = recon - steps.sum(axis=0) - prior
    error = np.sqrt((total.var() + ours.var()) / N)
    assert abs(total.mean() - ours.mean()) < 4 * error < 0.05
    assert np.allclose(prior, prior[0])  # no chance in the price of the top


@pytest.mark.equation("eq-onwards-refine")
def test_one_more_level_takes_off_what_the_formula_says():
    a, s = o.noise_levels(3, 2.0, -1.0)
    snr, least = (a / s) ** 2, [mmse(*level) for level in zip(a, s, strict=True)]
    coarse = 0.5 * (snr[0] - snr[2]) * least[2]
    fine = 0.5 * (snr[0] - snr[1]) * least[1] + 0.5 * (snr[1] - snr[2]) * least[2]
    assert np.isclose(coarse - fine, 0.5 * (snr[0] - snr[1]) * (least[2] - least[1]))
    assert least[0] < least[1] < least[2]
    assert fine < coarse


@pytest.mark.equation("eq-onwards-continuous")
def test_many_steps_cost_the_area_under_the_error_of_guessing_noise():
    a, s = o.noise_levels(4001, 5.0, -5.0)
    snr, least = (
        (a / s) ** 2,
        np.array([mmse(*level) for level in zip(a[::50], s[::50], strict=True)]),
    )
    level = np.linspace(5, -5, 4001)
    every = np.interp(-level, -level[::50], least)
    prices = 0.5 * np.sum((snr[:-1] - snr[1:]) * every[1:])
    area = 0.5 * integrate.simpson(-(snr[::50] * least), level[::50])
    assert prices == pytest.approx(area, rel=3e-3)


@pytest.mark.equation("eq-onwards-continuous")
def test_the_loss_of_training_is_that_area():
    """For standard normal data and a net that says 0, the error is D a^2, whose
    integral is known.
    """
    network = o.NoiseNetwork(3, (4,))
    for weight in network.parameters():
        weight.data.zero_()
    chance = torch.Generator().manual_seed(0)
    losses = [
        o.noise_loss(network, torch.randn(512, 3, generator=chance), chance).item()
        for _ in range(300)
    ]
    area = 0.5 * 3 * (np.logaddexp(0, 8) - np.logaddexp(0, -8))
    assert np.mean(losses) == pytest.approx(
        area, abs=4 * np.std(losses) / math.sqrt(300)
    )
    assert np.std(losses) / math.sqrt(300) < 0.02 * area


def test_the_gap_of_the_best_guess_closes():
    """Average log p less average bound: above zero, halved by twice the steps, nothing
    in the end.
    """
    x = np.linspace(-6, 6, 4001)
    truth = integrate.trapezoid(mixture(x) * np.log(mixture(x)), x)
    gaps = []
    for T in (65, 129):
        a, s = o.noise_levels(T)
        snr, least = (
            (a / s) ** 2,
            np.array([mmse(*level) for level in zip(a, s, strict=True)]),
        )
        square = PI @ (MU**2 + SIGMA**2)
        way = snr[0] * least[0] + np.sum((snr[:-1] - snr[1:]) * least[1:])
        top = a[-1] ** 2 * square + s[-1] ** 2 - 1 - np.log(s[-1] ** 2)
        gaps.append(truth + 0.5 * (way + top) + 0.5 * np.log(2 * np.pi / snr[0]))
    assert gaps[0] > gaps[1] > 0
    assert gaps[0] / gaps[1] == pytest.approx(2, abs=0.1)
    assert abs(2 * gaps[1] - gaps[0]) < 0.03  # of order 1 / T^2


# --- flows
# ----------------------------------------------------------------------------------------------------------


def bent(D=3, layers=5, seed=0):
    """A flow whose layers are no identities, in double precision."""
    with seeded(seed):
        network = o.FlowNetwork(D, layers, (8,))
        for coupling in network.couplings:
            torch.nn.init.normal_(coupling.net[-1].weight, std=0.5)
    return network.double()


@pytest.mark.equation("eq-onwards-change", "eq-onwards-coupling")
@pytest.mark.parametrize("D", [2, 3, 6])
def test_the_density_is_that_of_a_change_of_variables_by_autograd(D):
    network = bent(D)
    x = torch.randn(7, D, generator=torch.Generator().manual_seed(1)).double()
    z, volume = network(x)
    for n in range(len(x)):
        J = torch.autograd.functional.jacobian(
            lambda row: network(row[None])[0][0], x[n]
        )
        assert torch.linalg.slogdet(J)[1].item() == pytest.approx(
            volume[n].item(), abs=1e-10
        )
        normal = stats.multivariate_normal(np.zeros(D)).logpdf(z[n].detach().numpy())
        assert network.log_prob(x)[n].item() == pytest.approx(
            normal + volume[n].item(), abs=1e-10
        )
    torch.testing.assert_close(network.inverse(z), x, rtol=0, atol=1e-9)


@pytest.mark.equation("eq-onwards-coupling")
def test_one_coupling_leaves_alone_what_stays():
    coupling = bent().couplings[0]
    x = torch.randn(5, 3).double()
    z, volume = coupling(x)
    assert torch.equal(z[:, coupling.stays.bool()], x[:, coupling.stays.bool()])
    J = torch.autograd.functional.jacobian(lambda row: coupling(row[None])[0][0], x[0])
    order = torch.argsort(coupling.stays, descending=True)
    triangular = J[order][:, order]
    assert torch.allclose(triangular.triu(1), torch.zeros_like(J))
    assert volume[0].item() == pytest.approx(triangular.diagonal().log().sum().item())


def test_a_flow_begins_as_no_more_than_a_shift():
    with seeded(0):
        network = o.FlowNetwork(4, 6, (8,)).double()
    x = torch.randn(50, 4).double()
    z, volume = network(x)
    assert torch.allclose(volume, volume[0].expand(50))
    slopes = torch.autograd.functional.jacobian(
        lambda row: network(row[None])[0][0], x[0]
    )
    assert torch.allclose(slopes, torch.diag(slopes.diagonal()))
    assert z.shape == x.shape


# --- the estimators
# -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def points():
    rng = np.random.default_rng(0)
    return 5 + 3 * np.concatenate(
        [rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) @ [[0.3, 0], [0.2, 0.1]]]
    )


@pytest.fixture(scope="module")
def fitted(points):
    diffusion = o.Diffusion(hidden=(16,), T=17, epochs=8, random_state=1).fit(points)
    return diffusion, o.Flow(layers=4, hidden=(16,), epochs=8, random_state=1).fit(
        points
    )


@pytest.mark.parametrize("which", [0, 1])
def test_same_seed_same_model_and_a_file_brings_it_back(
    fitted, points, which, tmp_path
):
    model = fitted[which]
    again = clone(model).fit(points)
    a, b = (m.sample(5, np.random.default_rng(3)) for m in (model, again))
    np.testing.assert_array_equal(a, b)
    save(model, tmp_path / "m.safetensors")
    back = load(type(model), tmp_path / "m.safetensors")
    np.testing.assert_allclose(back.sample(5, np.random.default_rng(3)), a, rtol=1e-6)
    assert back.get_params()["hidden"] == (16,)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e6])
def test_log_densities_know_the_units(points, scale):
    """Rows in other units: the same model, and log p lower by D log scale."""
    flows = [
        o.Flow(layers=2, hidden=(8,), epochs=2).fit(points * c) for c in (1.0, scale)
    ]
    one, other = (
        f.log_prob(points[:20] * c) for f, c in zip(flows, (1.0, scale), strict=True)
    )
    np.testing.assert_allclose(one - other, 2 * np.log(scale), atol=1e-3)
    chains = [
        o.Diffusion(hidden=(8,), T=9, epochs=2).fit(points * c) for c in (1.0, scale)
    ]
    one, other = (
        m.elbo(points[:20] * c) for m, c in zip(chains, (1.0, scale), strict=True)
    )
    np.testing.assert_allclose(one - other, 2 * np.log(scale), atol=2e-2)


def test_a_diffusion_encodes_decodes_and_tells_its_way(fitted, points):
    diffusion = fitted[0]
    rng = np.random.default_rng(0)
    near = diffusion.encode(points, rng=rng, t=1)
    a, s = o.noise_levels(17)
    x = (points - diffusion.mean_) / diffusion.scale_
    assert np.std(near - a[0] * x) == pytest.approx(s[0], rel=0.1)
    top = diffusion.encode(points, rng=rng)
    assert abs(np.corrcoef(top.ravel(), x.ravel())[0, 1]) < 0.1
    path = diffusion.decode(top, rng=2, path=True)
    assert path.shape == (18, 600, 2)
    np.testing.assert_array_equal(path[-1], diffusion.decode(top, rng=2))


def test_a_flow_undoes_itself(fitted, points):
    flow = fitted[1]
    np.testing.assert_allclose(flow.decode(flow.encode(points)), points, atol=1e-6)


@pytest.mark.parametrize("Model", [o.Diffusion, o.Flow])
@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        (np.zeros((5, 2)), ValueError, "all rows of X are equal"),
        (np.full((5, 2), np.nan), ValueError, "NaN|finite"),
        (np.zeros((0, 2)), ValueError, "0 sample"),
        (np.zeros(5), ValueError, "2D array"),
    ],
)
def test_bad_rows_are_named(Model, X, error, words):
    with pytest.raises(error, match=words):
        Model(epochs=1).fit(X)


def test_bad_settings_are_named(fitted, points):
    diffusion, flow = fitted
    with pytest.raises(ValueError, match="whole number, at least 2"):
        o.Diffusion(T=1).fit(points)
    with pytest.raises(ValueError, match="take first > last"):
        o.noise_levels(5, -1.0, 1.0)
    with pytest.raises(ValueError, match="from more noise to less"):
        o.step_back(np.zeros(1), np.zeros(1), (0.9, 0.4), (0.5, 0.9))
    with pytest.raises(ValueError, match="the levels of this chain are 1 to 17"):
        diffusion.encode(points, t=18)
    for model in fitted:
        with pytest.raises(ValueError, match="n=0 must be a whole number, at least 1"):
            model.sample(0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="3 features, but Flow is expecting 2"):
        flow.log_prob(np.zeros((4, 3)))


def test_a_flow_is_scored_and_a_ladder_takes_a_seed(points):
    flow = o.Flow(layers=2, hidden=(8,), epochs=2).fit(points)
    assert flow.score(points) == pytest.approx(flow.log_prob(points).mean())
    ladder = o.Ladder(n_components=(2, 1), hidden=(8,), epochs=1).fit(points)
    assert np.array_equal(
        ladder.sample(3, 0), ladder.sample(3, as_generator(0, "sample"))
    )
    assert np.array_equal(
        ladder.elbo(points[:5], rng=0),
        ladder.elbo(points[:5], rng=as_generator(0, "bound")),
    )


@pytest.mark.parametrize("D", [1, 2, 3])
def test_a_flow_of_few_columns_is_a_density_and_can_be_undone(D):
    """Two heaps a column. Plain sums over a grid say one; samples fall by the same shares
    into slices as the data do; and the height is near that of the truth, which is known.
    """
    chance = np.random.default_rng(2)
    X = 50 + 3 * (chance.choice([-2.0, 2.0], (3000, D)) + chance.normal(size=(3000, D)))
    more = {
        "layers": 8,
        "hidden": (32, 32),
        "epochs": 30,
        "batch_size": 256,
        "lr": 5e-3,
    }
    flow = o.Flow(**more, device="cpu").fit(X)
    Z = flow.encode(X)
    np.testing.assert_allclose(flow.decode(Z), X, rtol=1e-5)
    cells = {1: 4001, 2: 301, 3: 91}[D]
    axis, step = np.linspace(50 - 21, 50 + 21, cells, retstep=True)
    grid = np.stack(np.meshgrid(*[axis] * D), axis=-1).reshape(-1, D)
    assert np.exp(flow.log_prob(grid)).sum() * step**D == pytest.approx(1, abs=0.02)
    u = (X - 50) / 3
    truth = np.logaddexp(stats.norm.logpdf(u, 2), stats.norm.logpdf(u, -2))
    truth = (truth - math.log(2) - math.log(3)).sum(axis=1)
    assert -0.02 * D < truth.mean() - flow.score(X) < {1: 0.05, 2: 0.35, 3: 0.6}[D]
    drawn = flow.sample(3000, np.random.default_rng(3))
    assert drawn.shape == (3000, D)
    for column in range(D):
        assert stats.ks_2samp(drawn[:, column], X[:, column]).statistic < 0.08


def test_a_rising_curve_tells_its_slope_and_leads_back():
    """Automatic differentiation beside it, far from its middle, too."""
    with seeded(0):
        network = o.FlowNetwork(1, 5).double()
        for weight in network.parameters():
            torch.nn.init.normal_(weight)
    x = torch.linspace(-30, 30, 61, dtype=torch.float64)[:, None].requires_grad_()
    z, volume = network(x)
    (slope,) = torch.autograd.grad(z.sum(), x)
    assert (slope > 0).all()
    torch.testing.assert_close(volume, slope[:, 0].log())
    torch.testing.assert_close(network.inverse(z), x, rtol=1e-8, atol=1e-8)


def test_one_column_begins_as_the_identity_and_is_kept_in_a_file(tmp_path):
    x = torch.randn(9, 1)
    z, volume = o.FlowNetwork(1, 4)(x)
    torch.testing.assert_close(z, x)
    torch.testing.assert_close(volume, torch.zeros(9))
    X = np.random.default_rng(0).normal(size=(60, 1))
    flow = o.Flow(layers=3, epochs=1, device="cpu").fit(X)
    save(flow, tmp_path / "flow.safetensors")
    again = load(o.Flow, tmp_path / "flow.safetensors")
    np.testing.assert_array_equal(again.log_prob(X), flow.log_prob(X))


def test_every_model_of_this_chapter_takes_one_column():
    X = np.random.default_rng(0).normal(size=(300, 1))
    small = {"epochs": 2, "batch_size": 50, "device": "cpu"}
    for model in (
        o.Diffusion(hidden=(8,), T=9, **small),
        o.Ladder(n_components=(1, 1), hidden=(8,), **small),
        o.Flow(**small),
    ):
        made = model.fit(X).sample(3, 0)
        assert made.shape == (3, 1)
        assert np.isfinite(made).all()
        assert np.isfinite(model.score(X))
