"""The chapter on manifolds, by independent routes: differences, quadrature,
enumeration, spheres, SciPy and scikit-learn.
"""

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.spatial.distance
import sklearn.manifold
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from latent_book import manifold as m
from latent_book.vision import causes, render

# torch's forward-mode differentiation loads a part of torch that uses what torch itself
# calls deprecated
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
)
DOUBLE = torch.float64


def places(N: int, seed: int = 0) -> torch.Tensor:
    """Where balls may lie."""
    return torch.from_numpy(np.random.default_rng(seed).uniform(-0.3, 0.3, (N, 2)))


def grid(n: int = 13) -> torch.Tensor:
    """Candidates all over the chart."""
    side = torch.linspace(-0.3, 0.3, n, dtype=DOUBLE)
    return torch.cartesian_prod(side, side)


def sphere(Z: torch.Tensor) -> torch.Tensor:
    """The unit sphere by longitude and latitude, a surface whose every length is known."""
    longitude, latitude = Z[:, 0], Z[:, 1]
    return torch.stack(
        [
            longitude.cos() * latitude.cos(),
            longitude.sin() * latitude.cos(),
            latitude.sin(),
        ],
        dim=1,
    )


# --- the surface
# ---------------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-manifold-jacobian")
def test_the_jacobian_holds_the_difference_quotients_and_the_rest_is_of_second_order():
    Z = 0.9 * places(4)
    J = m.jacobian(m.ball, Z)
    for j, axis in enumerate(torch.eye(2, dtype=DOUBLE)):
        quotient = (m.ball(Z + 1e-6 * axis) - m.ball(Z - 1e-6 * axis)) / 2e-6
        assert torch.allclose(J[:, :, j], quotient, atol=1e-6)
    dz = torch.tensor([0.6, 0.8], dtype=DOUBLE)
    rest = [
        (m.ball(Z + h * dz) - m.ball(Z) - h * J @ dz).norm() for h in (0.004, 0.002)
    ]
    assert math.isclose(rest[0] / rest[1], 4, rel_tol=0.02)


def test_the_jacobian_of_a_map_with_other_numbers_of_pixels_and_causes():
    J = m.jacobian(
        lambda Z: torch.cat([Z**2, Z.sum(dim=1, keepdim=True)], dim=1), torch.ones(2, 3)
    )
    assert torch.equal(J[0], torch.cat([2 * torch.eye(3), torch.ones(1, 3)]))


@pytest.mark.equation("eq-manifold-scaling")
@given(st.integers(0, 2**31), st.floats(1e-3, 0.3))
@settings(max_examples=40, deadline=None)
def test_spread_along_a_surface_and_off_it_keep_to_the_bounds(seed, r):
    rng = np.random.default_rng(seed)
    J, bend = rng.normal(size=(9, 2)), rng.normal(size=(9, 2, 2))
    delta = rng.normal(size=(30, 2))
    delta *= r / np.linalg.norm(delta, axis=1).max()
    rest = np.einsum("dij,ni,nj->nd", bend, delta, delta)
    C = np.linalg.norm(bend)  # ||R|| <= C ||delta||^2, by Cauchy and Schwarz
    spread = np.linalg.eigvalsh(np.cov(delta.T, bias=True))[0] ** 0.5  # c r
    s = m.local_spectrum(3.0 + delta @ J.T + rest)
    assert s[1] >= spread * np.linalg.svd(J)[1][-1] - 2 * C * r**2 - 1e-12
    assert s[2] <= 2 * C * r**2 + 1e-12


@pytest.mark.equation("eq-manifold-floor")
def test_the_floor_of_noise():
    rng, k, D, sigma = np.random.default_rng(0), 8, 30, 0.3
    squares = [
        np.mean(m.local_spectrum(sigma * rng.normal(size=(k, D)))[: k - 1] ** 2)
        for _ in range(2000)
    ]
    assert math.isclose(np.mean(squares), D * sigma**2 / k, rel_tol=0.01)


def test_a_spectrum_holds_the_roots_of_the_eigenvalues_of_the_covariance():
    X = np.random.default_rng(1).normal(size=(50, 6)) + 7
    by_eigenvalues = np.linalg.eigvalsh(np.cov(X.T, bias=True))[::-1] ** 0.5
    assert np.allclose(m.local_spectrum(X), by_eigenvalues)


@pytest.mark.parametrize("L", [1, 2, 3])
def test_a_flat_sheet_has_its_dimension_everywhere(L):
    rng = np.random.default_rng(L)
    X = rng.uniform(size=(400, L)) @ rng.normal(size=(L, 20))
    assert np.all(m.local_dimension(X, 4 * L, share=0.999999) == L)


def test_two_causes_make_two_dimensions_wherever_the_balls_were_drawn():  # S3.1
    for seed in (1, 2, 3):
        assert np.all(
            m.local_dimension(m.ball(places(1500, seed)).numpy(), 10, at=range(100))
            == 2
        )


def test_three_causes_make_three_dimensions():
    chance = torch.Generator().manual_seed(3)
    x, y, brightness = torch.rand(3, 4000, generator=chance)
    three = causes(
        x=0.6 * x - 0.3, y=0.6 * y - 0.3, brightness=0.5 + 0.5 * brightness,
        size=0.5, distance=2.0,
    ).double()  # fmt: skip
    X = render(three, "disc", softness=m.SOFT).numpy()
    assert np.median(m.local_dimension(X, 12, at=range(200))) == 3


# --- distances to the surface
# --------------------------------------------------------------------------------------


@pytest.mark.equation("eq-manifold-newton")
def test_the_step_is_that_of_least_squares():
    z, x = (
        torch.tensor([[0.05, 0.1]], dtype=DOUBLE),
        m.ball(torch.tensor([[0.09, 0.07]], dtype=DOUBLE)),
    )
    J, off = m.jacobian(m.ball, z)[0], (x - m.ball(z))[0]
    by_equation = torch.linalg.solve(J.T @ J, J.T @ off)
    by_lstsq = np.linalg.lstsq(J.numpy(), off.numpy(), rcond=None)[0]
    assert np.allclose(by_equation, by_lstsq)
    assert (m.ball(z + by_equation) - x).norm() < 0.3 * off.norm()


def test_the_nearest_point_of_a_sphere_lies_on_the_ray():
    X = torch.tensor([[2.0, 0.5, 0.3], [0.2, 0.1, -0.1]], dtype=DOUBLE)
    candidates = torch.cartesian_prod(*[torch.linspace(-1, 1, 9, dtype=DOUBLE)] * 2)
    Z, off = m.nearest_on_manifold(X, sphere, candidates, steps=150)
    assert torch.allclose(sphere(Z), X / X.norm(dim=1, keepdim=True), atol=1e-6)
    assert torch.allclose(off, (X.norm(dim=1) - 1).abs())


def test_the_nearest_ball_is_that_of_another_optimiser():
    noise = torch.randn(
        5, 784, generator=torch.Generator().manual_seed(0), dtype=DOUBLE
    )
    X = 0.5 * (m.ball(places(5)) + m.ball(places(5, 1))) + 0.1 * noise
    _, off = m.nearest_on_manifold(X, m.ball, grid())
    starts = 0.99 * grid(5)
    for x, found in zip(X, off, strict=True):
        near = (m.ball(starts) - x).norm(dim=1).argsort()[:5]
        tries = [
            scipy.optimize.least_squares(
                lambda z, x=x: (m.ball(torch.from_numpy(z)[None])[0] - x).numpy(),
                start, bounds=([-0.3, -0.3], [0.3, 0.3]),
            )
            for start in starts[near].numpy()
        ]  # fmt: skip
        assert math.isclose(
            (2 * min(t.cost for t in tries)) ** 0.5, found, rel_tol=1e-4
        )


def test_causes_stay_within_the_range_of_the_candidates():
    x = m.ball(torch.tensor([[0.3, 0.0]], dtype=DOUBLE))
    Z, off = m.nearest_on_manifold(x, m.ball, 0.5 * grid())
    assert Z.abs().max() <= 0.15
    assert off > 1


def test_redundant_causes_do_no_harm():
    def both(Z: torch.Tensor) -> torch.Tensor:
        return render(causes(size=Z[:, 0], distance=Z[:, 1]), "disc", softness=m.SOFT)

    x = both(torch.tensor([[0.62, 1.37]], dtype=DOUBLE))
    sizes, distances = torch.linspace(0.5, 0.8, 5), torch.linspace(1, 2, 5)
    _, off = m.nearest_on_manifold(
        x, both, torch.cartesian_prod(sizes, distances).double()
    )
    assert off < 1e-5


@pytest.mark.equation("eq-manifold-sagitta")
@pytest.mark.parametrize("radius", [0.5, 3.0])
def test_the_middle_of_a_chord_of_a_circle(radius):
    chord = 0.05
    exact = radius - math.sqrt(radius**2 - chord**2 / 4)
    assert math.isclose(exact, chord**2 / (8 * radius), rel_tol=1e-2)

    def circle(
        Z: torch.Tensor,
    ) -> torch.Tensor:  # at uneven speed: c'' has a part along the tangent
        angle = Z[:, 0] + Z[:, 0] ** 2
        return radius * torch.stack([angle.cos(), angle.sin()], dim=1)

    u = torch.ones(1, 1, dtype=DOUBLE)

    def velocity(z: torch.Tensor) -> torch.Tensor:
        return torch.func.jvp(circle, (z,), (u,))[1]

    c1, c2 = velocity(0.2 * u)[0], torch.func.jvp(velocity, (0.2 * u,), (u,))[1][0]
    across = c2 - c1 * (c1 @ c2) / (c1 @ c1)
    assert math.isclose(across.norm() / (c1 @ c1), 1 / radius, rel_tol=1e-9)


# --- distances along the surface
# -----------------------------------------------------------------------------------


@pytest.mark.equation("eq-manifold-saturation")
def test_two_balls_that_share_no_pixel_are_as_far_as_any_other_two():
    here, there = (
        render(causes(x=x, y=y, size=0.5, distance=2.0).double(), "disc", softness=0.01)
        for x, y in ((-0.3, -0.3), (0.3, 0.3))
    )
    product = sum(float(a) * float(b) for a, b in zip(here[0], there[0], strict=True))
    assert product < 1e-6
    assert math.isclose(
        (here - there).norm(), math.hypot(here.norm(), there.norm()), rel_tol=1e-6
    )
    assert math.isclose((here - there).norm(), 2**0.5 * here.norm(), rel_tol=0.02)


@pytest.mark.equation("eq-manifold-metric")
def test_the_metric_is_that_of_small_steps_and_of_the_sphere():
    Z = 0.9 * places(3, 4)
    dz = 1e-4 * torch.tensor([0.8, -0.6], dtype=DOUBLE)
    squared = (m.ball(Z + dz) - m.ball(Z)).square().sum(dim=1)
    assert torch.allclose(
        torch.einsum("i,bij,j->b", dz, m.metric(m.ball, Z), dz), squared, rtol=1e-2
    )
    by_hand = torch.diag(torch.tensor([math.cos(0.7) ** 2, 1.0], dtype=DOUBLE))
    assert torch.allclose(
        m.metric(sphere, torch.tensor([[0.4, 0.7]], dtype=DOUBLE))[0], by_hand
    )


@pytest.mark.equation("eq-manifold-length")
def test_the_length_of_a_path_on_a_sphere_by_quadrature():
    t = torch.linspace(0, 1, 2001, dtype=DOUBLE)
    path = torch.stack([2 * t, t**2], dim=1)
    exact = integrate.quad(lambda t: math.hypot(2 * math.cos(t * t), 2 * t), 0, 1)[0]
    assert math.isclose(m.path_length(sphere, path), exact, rel_tol=1e-6)
    chords = sphere(path).diff(dim=0).norm(dim=1).sum()
    assert math.isclose(m.path_length(sphere, path), chords, rel_tol=1e-6)


def test_graph_distances_are_those_of_all_paths():
    X = np.random.default_rng(0).normal(size=(30, 3))
    d = scipy.spatial.distance.cdist(X, X)
    ways = np.full_like(d, np.inf)
    for i, row in enumerate(d):
        near = np.argsort(row)[:7]  # itself and six
        ways[i, near] = ways[near, i] = row[near]
    for j in range(30):  # Floyd and Warshall
        ways = np.minimum(ways, ways[:, [j]] + ways[[j], :])
    found = m.geodesic_distances(X, 6)
    assert np.allclose(found, ways)
    assert np.all(found >= d - 1e-12)  # no way is shorter than the straight line


@pytest.mark.equation("eq-manifold-mds")
@given(st.integers(0, 2**31), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_points_come_back_from_their_distances(seed, L):
    Y = np.random.default_rng(seed).normal(size=(12, L)) + 5
    d = scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(Y))
    again, values = m.classical_scaling(d, L)
    assert np.allclose(scipy.spatial.distance.cdist(again, again), d, atol=1e-6)
    assert np.allclose(again.mean(axis=0), 0, atol=1e-8)
    centred = Y - Y.mean(axis=0)
    # the Gram matrix's eigenvalues
    assert np.allclose(values[:L], np.linalg.svd(centred)[1] ** 2)
    H = np.eye(12) - 1 / 12
    assert np.allclose(-0.5 * H @ d**2 @ H, centred @ centred.T, atol=1e-8)


def test_unfolding_is_isomap():
    X = m.ball(places(300)).numpy()
    ours = m.classical_scaling(m.geodesic_distances(X, 8), 2)[0]
    theirs = sklearn.manifold.Isomap(n_neighbors=8, n_components=2).fit_transform(X)
    assert np.allclose(np.abs(ours), np.abs(theirs), atol=1e-6)  # up to a mirror


def test_unfolding_finds_the_causes_wherever_the_balls_were_drawn():  # S3.2
    for seed in (1, 2, 3):
        Z = places(800, seed).numpy()
        Y = m.classical_scaling(
            m.geodesic_distances(m.ball(places(800, seed)).numpy(), 10), 2
        )[0]
        design = np.column_stack([Y, np.ones(800)])
        rest = Z - design @ np.linalg.lstsq(design, Z, rcond=None)[0]
        assert np.all(rest.var(axis=0) < 0.01 * Z.var(axis=0))


# --- estimators
# ----------------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-manifold-exponential")
@pytest.mark.parametrize("L", [1, 3, 8])
def test_log_ratios_in_an_even_ball_are_exponential_with_the_dimension_as_rate(L):
    rng, omega = np.random.default_rng(L), []
    for _ in range(300):
        direction = rng.normal(size=(20, L))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        points = direction * rng.uniform(size=(20, 1)) ** (1 / L)  # even in the ball
        rho = np.sort(np.linalg.norm(points, axis=1))
        omega.extend(np.log(rho[5] / rho[:5]))
    assert stats.kstest(omega, stats.expon(scale=1 / L).cdf).pvalue > 0.001


@pytest.mark.equation("eq-manifold-mle")
def test_the_estimate_is_at_the_top_of_the_likelihood():
    X = np.random.default_rng(2).normal(size=(60, 5))
    T = m.neighbor_distances(X, 6)
    omega = np.array([math.log(row[-1] / t) for row in T for t in row[:-1]])

    def minus_log_likelihood(L: float) -> float:
        return -stats.expon.logpdf(omega, scale=1 / L).sum()

    best = scipy.optimize.minimize_scalar(
        minus_log_likelihood, bounds=(0.1, 50), method="bounded"
    )
    assert math.isclose(m.mle_dimension(T), best.x, rel_tol=1e-4)


def test_distances_to_neighbours_are_those_of_the_whole_table():
    X = np.random.default_rng(3).normal(size=(40, 4))
    table = np.sort(scipy.spatial.distance.cdist(X, X), axis=1)[:, 1:6]
    assert np.allclose(m.neighbor_distances(X, 5), table)


@pytest.mark.parametrize("L", [1, 2, 4])
def test_the_estimator_finds_low_dimensions_on_a_torus(L):
    angles = np.random.default_rng(L).uniform(0, 2 * np.pi, (3000, L))
    # no edge, and flat from within
    X = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    assert abs(m.mle_dimension(m.neighbor_distances(X, 10)) / L - 1) < 0.08


def test_the_estimate_does_not_change_with_units():
    X = np.random.default_rng(4).normal(size=(100, 3))
    one, other = (
        m.mle_dimension(m.neighbor_distances(a * X, 5)) for a in (1.0, 1000.0)
    )
    assert math.isclose(one, other, rel_tol=1e-9)


# --- edges
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-manifold-sharp")
@pytest.mark.parametrize("tau", [0.08, 0.02])
def test_the_slope_of_an_edge_by_quadrature(tau):
    a, b = 0.4, 0.9

    # of b / sqrt(2) * S((a - rho) / tau), along the radius
    def slope_squared(rho: float) -> float:
        inside = 1 / (1 + math.exp((rho - a) / tau))
        return (b / math.sqrt(2) * inside * (1 - inside) / tau) ** 2 * math.pi * rho

    exact = 196 * integrate.quad(slope_squared, 0, 1.0, points=[a])[0]
    assert math.isclose(exact, 196 * b**2 / 2 * math.pi * a / (6 * tau), rel_tol=1e-3)


# --- bad input
# -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "cure"),
    [
        (lambda: m.ball(torch.zeros(3, 3)), ValueError, r"pass \(B, 2\)"),
        (lambda: m.jacobian(m.ball, torch.zeros(2)), ValueError, "one row a picture"),
        (lambda: m.jacobian(m.ball, torch.zeros(1, 2).int()), TypeError, r"pass Z\.double\(\)"),
        (lambda: m.metric(m.ball, torch.full((1, 2), math.nan)), ValueError, "drop such rows"),
        (lambda: m.path_length(m.ball, torch.zeros(1, 2)), ValueError, "at least two points"),
        (lambda: m.nearest_on_manifold(torch.zeros(1, 9), m.ball, grid()), ValueError, "rows of 784"),
        (lambda: m.nearest_on_manifold(torch.zeros(1, 784), m.ball, grid()[:0]), ValueError, "at least one"),
        (lambda: m.nearest_on_manifold(torch.full((1, 784), math.nan), m.ball, grid()), ValueError, "NaN"),
        (lambda: m.local_spectrum(np.arange(5)), TypeError, r"data\.X, not data\.y"),
        (lambda: m.local_spectrum(np.zeros((2, 28, 28))), ValueError, r"\(N, height, width\): data\.X"),
        (lambda: m.local_spectrum(np.zeros((0, 5))), ValueError, "at least one"),
        (lambda: m.local_dimension(np.full((5, 2), np.inf), 2), ValueError, "drop such rows"),
        (lambda: m.local_dimension(np.eye(5), 5), ValueError, "choose k from 2 to 4"),
        (lambda: m.local_dimension(np.eye(5), 3, 1.0), ValueError, "strictly between"),
        (lambda: m.neighbor_distances(np.eye(5), 1), ValueError, "choose k from 2 to 4"),
        (lambda: m.mle_dimension(np.ones((4, 1))), ValueError, "at least two neighbours"),
        (lambda: m.mle_dimension(np.array([[0.0, 1.0]])), ValueError, r"np\.unique"),
        (lambda: m.mle_dimension(np.array([[np.nan, 1.0]])), ValueError, "finite"),
        (lambda: m.mle_dimension(np.array([[2.0, 1.0]])), ValueError, "rise along each row"),
        (lambda: m.mle_dimension(np.ones((3, 2))), ValueError, "equally far"),
        (lambda: m.geodesic_distances(np.arange(9)), TypeError, "labels"),
        (lambda: m.geodesic_distances(np.eye(3), 3), ValueError, "from 1 to 2"),
        (lambda: m.classical_scaling(np.zeros((2, 3)), 1), ValueError, "N by N"),
        (lambda: m.classical_scaling(-np.ones((3, 3)), 1), ValueError, "not negative"),
        (lambda: m.classical_scaling(np.triu(np.ones((3, 3)), 1), 1), ValueError, "symmetric"),
        (lambda: m.classical_scaling(np.full((3, 3), np.inf), 1), ValueError, "link all pieces"),
        (lambda: m.classical_scaling(np.zeros((3, 3)), 0), ValueError, "from 1 to 2"),
    ],
)  # fmt: skip
def test_bad_input_is_told_the_cure(call, error, cure):
    with pytest.raises(error, match=cure):
        call()


def test_a_graph_in_pieces_is_said_to_be():
    X = np.concatenate([np.eye(5), 50 + np.eye(5), 100 + np.eye(5)])
    with pytest.raises(ValueError, match=r"3 pieces .* raise n_neighbors above 3"):
        m.geodesic_distances(X, 3)
    assert np.isfinite(m.geodesic_distances(X, 14)).all()
