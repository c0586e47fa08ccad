"""The verdict's functions by independent routes: enumeration, loops, autograd, other
libraries; and the live figure under node.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from latent_book import critique as cr
from latent_book.training import seeded


@pytest.mark.equation("eq-critique-cover")
def test_ink_covers_and_paper_lets_through():
    m, b = np.array([0.0, 1.0, 0.5]), np.array([0.8, 0.8, 0.8])
    assert np.allclose(cr.lay_over(m, b, 0.5), [0.4, 1.0, 0.7])


@pytest.mark.equation("eq-critique-covariance")
@pytest.mark.parametrize("c", [0.0, 0.3, 1.0])
def test_the_covariance_splits_as_enumeration_says(c):
    rng = np.random.default_rng(0)
    m, b = rng.random((7, 5)), rng.random((6, 5))
    pairs = np.array([x + (1 - x) * c * y for x, y in itertools.product(m, b)])
    means = np.array([np.mean([x + (1 - x) * c * y for y in b], axis=0) for x in m])
    digit, background = cr.variance_parts(m, b, c)
    assert np.allclose(digit, np.cov(means.T, bias=True))
    assert np.allclose(digit + background, np.cov(pairs.T, bias=True))


@pytest.mark.equation("eq-critique-split")
def test_the_three_effects_are_those_of_a_two_way_table():
    Z = np.random.default_rng(0).normal(size=(4, 3, 2))
    whole = Z.mean((0, 1))
    digit, background, both = cr.split_effects(Z)
    for i, j in itertools.product(range(4), range(3)):
        of_digit, of_background = Z[i].mean(0) - whole, Z[:, j].mean(0) - whole
        assert np.allclose(digit[i, 0], of_digit)
        assert np.allclose(background[0, j], of_background)
        assert np.allclose(both[i, j], Z[i, j] - whole - of_digit - of_background)
    assert np.isclose(cr.effect_sizes(Z).sum(), Z.var(axis=(0, 1)).sum())
    with pytest.raises(ValueError, match="NaN"):
        cr.effect_sizes(Z * np.nan)


@pytest.mark.equation("eq-critique-unexplained")
def test_the_unexplained_share_is_a_ratio_of_sums_over_digits():
    rng = np.random.default_rng(0)
    X, X_hat = rng.random((5, 4, 3)), rng.random((5, 4, 3))
    of_error = (X - X_hat).mean(1) - (X - X_hat).mean((0, 1))
    of_picture = X.mean(1) - X.mean((0, 1))
    digit, background, _ = cr.unexplained(X, X_hat)
    assert np.isclose(digit, np.sum(of_error**2) / np.sum(of_picture**2))
    assert np.isclose(
        background, cr.unexplained(X.swapaxes(0, 1), X_hat.swapaxes(0, 1))[0]
    )
    assert np.allclose(cr.unexplained(X, 0 * X), 1)  # no code, all is lost
    assert np.allclose(
        cr.unexplained(X, X + 0.3), 0
    )  # a fault that all pictures share is no effect
    alone = np.broadcast_to(X[:, :1], X.shape)  # the background does nothing
    assert np.isnan(cr.unexplained(alone, X_hat)[1:]).all()


def test_for_pca_the_unexplained_share_follows_from_the_covariance():
    rng = np.random.default_rng(0)
    m, b = rng.random((7, 5)), rng.random((6, 5))
    X = cr.lay_over(m[:, None], b[None], 0.8)
    W = np.linalg.qr(rng.normal(size=(5, 2)))[0]
    digit, _ = cr.variance_parts(m, b, 0.8)
    lost = cr.unexplained(X, X.mean((0, 1)) + (X - X.mean((0, 1))) @ W @ W.T)
    assert np.isclose(lost[0], 1 - np.trace(W.T @ digit @ W) / np.trace(digit))


@pytest.mark.parametrize(("rows", "width"), [(50, 16), (30, 60), (400, 16), (400, 60)])
def test_the_probe_is_that_of_scikit_learn(rows, width):
    rng = np.random.default_rng(rows + width)
    centres = rng.normal(size=(5, width))
    y, y_test = rng.integers(0, 5, rows), rng.integers(0, 5, 300)
    Z, Z_test = (
        0.5 * centres[t] + rng.normal(size=(len(t), width)) for t in (y, y_test)
    )
    Z[:, 0], Z_test[:, 0] = 3.0, 3.0  # a number that never changes
    other = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-2, 4, 7)))
    expected = other.fit(Z, y + 3).score(Z_test, y_test + 3)
    assert cr.linear_probe(Z, y + 3, Z_test, y_test + 3) == pytest.approx(expected)
    assert 0.2 < expected < 1


@pytest.mark.equation("eq-critique-share")
def test_the_shares_add_up_and_do_not_mind_a_mixing():
    rng = np.random.default_rng(0)
    Z = (
        rng.normal(size=(9, 8, 3))
        + 2 * rng.normal(size=(9, 1, 3))
        + rng.normal(size=(1, 8, 3))
    )
    shares = cr.code_shares(Z)
    assert np.isclose(shares.sum(), 1)
    assert np.all(shares > 0)
    assert np.allclose(cr.code_shares(Z @ rng.normal(size=(3, 3)) + 5), shares)
    # with white codes, the digit's share is the mean R^2 of predicting each number by
    # the digit
    flat = Z.reshape(-1, 3) - Z.mean((0, 1))
    white = flat @ np.linalg.inv(np.linalg.cholesky(flat.T @ flat / len(flat))).T
    by_digit = white.reshape(9, 8, 3).mean(1)
    assert np.isclose(np.mean(by_digit**2), shares[0])
    with pytest.raises(ValueError, match="never changes"):
        cr.code_shares(np.concatenate([Z, np.zeros((9, 8, 1))], axis=-1))
    with pytest.raises(ValueError, match="NaN"):
        cr.code_shares(Z * np.nan)


@pytest.mark.equation("eq-critique-swirl", "eq-critique-same")
def test_a_swirl_keeps_areas_lengths_and_every_evidence():
    z = torch.randn(
        50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    slopes = torch.func.vmap(torch.func.jacrev(lambda p: cr.swirl(p, 2.5)))(z)
    assert torch.allclose(torch.linalg.det(slopes), torch.ones(50, dtype=torch.float64))
    turned = cr.swirl(z, 2.5)
    assert torch.allclose(turned.norm(dim=1), z.norm(dim=1))
    assert torch.allclose(cr.swirl(turned, -2.5), z)

    def evidence(
        undo,
    ):  # of x = 0.7 under N(x; tanh(z_1) + z_2 / 2, 0.5^2), by quadrature in the plane
        def joint(b, a):
            u = undo(torch.tensor([a, b], dtype=torch.float64)).numpy()
            lik = stats.norm.pdf(0.7, np.tanh(u[0]) + u[1] / 2, 0.5)
            return lik * math.exp(-(a * a + b * b) / 2) / (2 * math.pi)

        grid = np.linspace(-6, 6, 81)
        table = [[joint(b, a) for b in grid] for a in grid]
        return integrate.simpson(integrate.simpson(table, x=grid), x=grid)

    assert math.isclose(
        evidence(lambda u: u), evidence(lambda u: cr.swirl(u, -1.0)), rel_tol=1e-3
    )
    with pytest.raises(ValueError, match="finite"):
        cr.swirl(z, math.inf)


@pytest.mark.equation("eq-critique-contrastive")
def test_the_contrastive_loss_is_cross_entropy_both_ways():
    torch.manual_seed(0)
    u, v = (
        torch.randn(2, 6, 4, dtype=torch.float64),
        torch.randn(2, 6, 4, dtype=torch.float64),
    )
    said = cr.contrastive_loss(u, v, 0.2)
    for r in range(2):
        alike = torch.stack([F.cosine_similarity(a[None], v[r]) for a in u[r]]) / 0.2
        own = torch.arange(6)
        both = (F.cross_entropy(alike, own) + F.cross_entropy(alike.T, own)) / 2
        assert torch.isclose(said[r], both)
    with pytest.raises(ValueError, match="temperature"):
        cr.contrastive_loss(u, v, 0.0)


def test_many_networks_train_as_each_would_alone():
    x = torch.rand(3, 40, 9, generator=torch.Generator().manual_seed(0))
    together = cr.Coders(x.mean(1, keepdim=True), 2, 9, hidden=5)
    alone = cr.Coders(x[1:2].mean(1, keepdim=True), 2, 9, hidden=5)
    with torch.no_grad():
        for p, q in zip(alone.parameters(), together.parameters(), strict=True):
            p.copy_(q[1:2])
    for model, rows in ((together, x), (alone, x[1:2])):
        cr.fit_many(model, cr.copy_loss, rows, epochs=3, batch_size=16)
    assert torch.allclose(together.encode(x)[1], alone.encode(x[1:2])[0], atol=1e-5)


def test_a_swirl_of_guess_and_decoder_keeps_the_bound():
    """The second half of the theorem by quadrature over the swirled guess, whose
    density the chain rule does not enter.
    """
    grid = torch.linspace(-6, 6, 241, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(grid, grid, indexing="ij"), dim=-1).reshape(
        -1, 2
    )
    guess = torch.distributions.Normal(
        torch.tensor([0.5, -0.3]).double(), torch.tensor([0.6, 0.8])
    )
    prior = torch.distributions.Normal(0.0, 1.0)

    def bound(undo):
        z = undo(points)  # areas are kept, so a density moves with its points
        log_lik = torch.distributions.Normal(
            z[:, 0].tanh() + z[:, 1] / 2, 0.5
        ).log_prob(torch.tensor(0.7))
        log_q = guess.log_prob(z).sum(-1)
        log_ratio = log_lik + prior.log_prob(points).sum(-1) - log_q
        mass = (grid[1] - grid[0]) ** 2 * log_q.exp()
        return mass.sum(), (mass * log_ratio).sum()

    (mass, before), (mass_after, after) = (
        bound(lambda z: z),
        bound(lambda z: cr.swirl(z, -1.5)),
    )
    # still a density
    assert torch.isclose(mass_after, torch.ones_like(mass), atol=1e-4)
    assert torch.isclose(before, after, atol=1e-4)


def test_the_loss_of_a_cause_is_a_squared_error():
    x = torch.rand(2, 5, 9, generator=torch.Generator().manual_seed(0))
    model, cause = cr.Coders(x.mean(1, keepdim=True), 3, 4, hidden=5), x[..., :4]
    said = cr.cause_loss(model, x, cause, torch.Generator())
    for r in range(2):
        guesses = model.head(model.encode(x))[r].detach()
        error = (
            sum(float(((guesses[i] - cause[r, i]) ** 2).sum()) for i in range(5)) / 5
        )
        assert math.isclose(float(said[r].detach()), error, rel_tol=1e-5)


def test_the_bound_is_that_of_torchs_distributions():
    x = torch.rand(1, 5, 9, generator=torch.Generator().manual_seed(0))
    model = cr.Coders(x.mean(1, keepdim=True), 2, 9, hidden=5, uncertain=True)
    said = cr.bound_loss(model, x, torch.Generator().manual_seed(1))
    mu, log_var = model.encoder(x - model.mean).chunk(2, -1)
    q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    z = mu + q.scale * torch.randn(mu.shape, generator=torch.Generator().manual_seed(1))
    noise = torch.distributions.Normal(
        model.decode(z), (0.5 * model.log_sigma2).exp()[..., None]
    )
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0))
    assert torch.allclose(
        said, (kl.sum(-1) - noise.log_prob(x).sum(-1)).mean(-1), rtol=1e-4
    )


def test_a_shift_moves_by_at_most_so_much():
    x = torch.zeros(2, 30, 49)
    x[:, :, 24] = 1.0  # the middle of 7 x 7
    moved = cr.shifted(x, torch.Generator().manual_seed(0)).reshape(2, 30, 7, 7)
    assert torch.equal(moved[0], moved[1])
    assert moved.sum() == 60
    assert moved[:, :, 2:5, 2:5].sum() == 60
    assert (moved[0].sum(0) > 0).sum() > 4
    with pytest.raises(ValueError, match="square"):
        cr.shifted(torch.zeros(1, 2, 5), torch.Generator())


def test_bad_input_is_told_its_cure():
    m = np.zeros((2, 4))
    with pytest.raises(ValueError, match="clutter runs"):
        cr.lay_over(m, m, 2.0)
    with pytest.raises(ValueError, match="divide by"):
        cr.variance_parts(m, m + 200.0, 1.0)
    with pytest.raises(ValueError, match="missing values"):
        cr.lay_over(m * np.nan, m, 1.0)
    with pytest.raises(ValueError, match="a code has"):
        cr.Coders(torch.zeros(1, 1, 4), 4, 4)
    with pytest.raises(ValueError, match="at least 1"), seeded(0):
        cr.ManyLinear(0, 2, 2)
    with pytest.raises(ValueError, match="one class"):
        cr.linear_probe(m, np.zeros(2, int), m, np.zeros(2, int))
    with pytest.raises(ValueError, match="leave such rows out"):
        cr.linear_probe(m * np.nan, np.arange(2), m, np.arange(2))
    with pytest.raises(ValueError, match="should be"):
        cr.fit_many(
            torch.nn.Identity(), cr.copy_loss, torch.zeros(2, 3, 4), torch.zeros(2, 5)
        )
