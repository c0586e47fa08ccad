"""The chapter on vision, by independent routes: loops instead of tensors, quadrature
and enumeration instead of formulas.
"""

import math

import jaxtyping
import numpy as np
import pytest
import torch
from conftest import ROOT, cells
from hypothesis import given, settings
from hypothesis import strategies as st

from latent_book import vision as v


def scenes(n: int, seed: int = 0) -> torch.Tensor:
    """Scenes a little inside their ranges, so that they can be nudged."""
    middle = torch.tensor([(low + high) / 2 for low, high in v.CAUSES.values()])
    return (
        middle
        + 0.99 * (v.sample_causes(n, torch.Generator().manual_seed(seed)) - middle)
    ).double()


def named(z: torch.Tensor) -> dict[str, float]:
    return dict(zip(v.CAUSES, z.tolist(), strict=True))


# --- the forward equation
# ------------------------------------------------------------------------------------------


def pixel_centre(row: int, column: int) -> tuple[float, float]:
    """By the words of the chapter: the picture is the square from -1 to 1, y upwards,
    the first row on top.
    """
    return -1 + (column + 0.5) / 14, 1 - (row + 0.5) / 14


CORNERS = {
    "triangle": [(math.cos(t), math.sin(t)) for t in np.radians([90, 210, 330])],
    "square": [(math.cos(t), math.sin(t)) for t in np.radians([45, 135, 225, 315])],
    "dart": [(0.0, 1.0), (-0.6, -0.8), (0.6, -0.8)],
}


def distances_by_corners(
    z: dict[str, float], shape: str, p: tuple[float, float]
) -> list[float]:
    """Turn, scale and move the corners; then the distance to the line through each two,
    by a cross product.
    """
    a, cos, sin = z["size"] / z["distance"], math.cos(z["angle"]), math.sin(z["angle"])
    if shape == "disc":
        return [a - math.dist(p, (z["x"], z["y"]))]
    corners = [
        (z["x"] + a * (cos * u - sin * w), z["y"] + a * (sin * u + cos * w))
        for u, w in CORNERS[shape]
    ]
    out = []
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        out.append(
            ((bx - ax) * (p[1] - ay) - (by - ay) * (p[0] - ax))
            / math.dist((ax, ay), (bx, by))
        )
    return out


@pytest.mark.equation("eq-vision-side")
@pytest.mark.parametrize("shape", v.SHAPES)
def test_signed_distances_are_distances_to_the_sides(shape):
    Z = scenes(5)
    got = torch.stack(v.signed_distances(Z, shape))
    for i, z in enumerate(Z):
        for row, column in [(0, 0), (3, 20), (13, 14), (27, 5)]:
            expected = distances_by_corners(named(z), shape, pixel_centre(row, column))
            assert sorted(got[:, i, row, column].tolist()) == pytest.approx(
                sorted(expected), abs=1e-9
            )


@pytest.mark.equation("eq-vision-coverage")
@pytest.mark.parametrize("shape", v.SHAPES)
def test_coverage_is_the_area_inside_as_the_edge_gets_sharp(shape):
    (z,) = scenes(1, seed=3)
    covered = v.coverage(z[None], shape, softness=1e-9)[0]
    for row, column in np.ndindex(28, 28):
        nearest = min(distances_by_corners(named(z), shape, pixel_centre(row, column)))
        assert covered[row, column].item() == pytest.approx(
            float(nearest > 0), abs=1e-6
        )
    soft = v.coverage(z[None], shape)[0]
    for row, column in [(10, 10), (14, 17), (20, 12)]:
        ds = distances_by_corners(named(z), shape, pixel_centre(row, column))
        assert soft[row, column].item() == pytest.approx(
            math.prod(1 / (1 + math.exp(-d / 0.025)) for d in ds)
        )


@pytest.mark.equation("eq-vision-shade")
def test_shading_is_the_cosine_between_the_normal_of_the_dome_and_the_light():
    (z,) = scenes(1, seed=4)
    scene, a = named(z), (z[2] / z[3]).item()
    got = v.shading(z[None])[0]

    def height(u, w):  # the dome of the text
        return -0.5 * 0.75 * (u * u + w * w)

    light = np.array(
        [math.cos(scene["light"]), math.sin(scene["light"]), 1]
    ) / math.sqrt(2)
    for row, column in [(0, 0), (9, 21), (14, 14), (27, 27)]:
        px, py = pixel_centre(row, column)
        u, w, step = (px - scene["x"]) / a, (py - scene["y"]) / a, 1e-6
        along_u = np.array(
            [1, 0, (height(u + step, w) - height(u - step, w)) / (2 * step)]
        )
        along_w = np.array(
            [0, 1, (height(u, w + step) - height(u, w - step)) / (2 * step)]
        )
        normal = np.cross(along_u, along_w)
        cosine = normal @ light / np.linalg.norm(normal)
        assert got[row, column].item() == pytest.approx(max(0.0, cosine), abs=1e-8)


@pytest.mark.equation("eq-vision-forward")
@pytest.mark.parametrize("shape", v.SHAPES)
def test_a_picture_is_paint_times_coverage_times_light(shape):
    Z = scenes(3, seed=5)
    picture = v.render(Z, shape).reshape(3, 28, 28)
    assert torch.allclose(
        picture, Z[:, 5, None, None] * v.coverage(Z, shape) * v.shading(Z)
    )
    z, (row, column) = named(Z[0]), (13, 15)
    px, py = pixel_centre(row, column)
    a = z["size"] / z["distance"]
    u = ((px - z["x"]) / a, (py - z["y"]) / a)
    facing = (
        1 + 0.75 * (u[0] * math.cos(z["light"]) + u[1] * math.sin(z["light"]))
    ) / math.sqrt(2 + 2 * 0.75**2 * (u[0] ** 2 + u[1] ** 2))
    cover = math.prod(
        1 / (1 + math.exp(-d / 0.025)) for d in distances_by_corners(z, shape, (px, py))
    )
    assert picture[0, row, column].item() == pytest.approx(
        z["brightness"] * cover * max(0, facing)
    )
    assert picture.min() >= 0
    assert picture.max() <= 1


@pytest.mark.equation("eq-vision-apparent")
def test_size_over_distance_is_the_angle_of_similar_triangles():
    z = scenes(20)
    by_rays = z[:, 2] * (
        1.0 / z[:, 3]
        # where the ray from the object's top, through the pinhole, meets a screen at
        # distance 1
    )
    assert torch.allclose(v.apparent_size(z), by_rays)
    pictures = v.render(
        v.causes(
            size=torch.tensor([0.5, 0.6, 0.75]), distance=torch.tensor([1.0, 1.2, 1.5])
        )
    )
    assert torch.allclose(pictures[0], pictures[1], atol=1e-6)
    assert torch.allclose(pictures[0], pictures[2], atol=1e-6)
    lit = (
        v.coverage(v.causes(size=0.8, distance=1.0), "disc").sum()
        / v.coverage(v.causes(size=0.8, distance=2.0), "disc").sum()
    )
    # twice as far, a quarter of the area
    assert lit.item() == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize("shape", v.SHAPES)
def test_gradients_equal_difference_quotients_in_every_cause(shape):
    for z in scenes(4, seed=6):
        exact = torch.autograd.functional.jacobian(
            lambda t: v.render(t[None], shape)[0], z, vectorize=True
        )
        for j in range(7):
            step = torch.zeros(7).double()
            step[j] = 1e-6
            quotient = (
                v.render((z + step)[None], shape) - v.render((z - step)[None], shape)
            )[0] / 2e-6
            assert torch.allclose(exact[:, j], quotient, atol=1e-6)


@pytest.mark.parametrize("shape", v.SHAPES)
def test_gradients_are_finite_where_a_centre_falls_on_a_pixel(shape):
    z = v.causes(x=1 / 28, y=1 / 28).requires_grad_()
    (slope,) = torch.autograd.grad(v.render(z, shape).sum(), z)
    assert slope.isfinite().all()


def test_the_table_of_causes_in_the_prose_is_the_table_in_the_code():
    text = "\n".join(t for _, t in cells(ROOT / "nbs" / "vision.ipynb", "markdown"))
    read = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            names, limits, _ = (part.strip() for part in line.strip("|").split("|"))
            low, high = (
                float(
                    s.replace("−", "-")
                    .replace("π", str(math.pi))
                    .replace("-3.14", "-3.14")
                )
                for s in limits.split(" to ")
            )
            read |= {name.strip(" `"): (low, high) for name in names.split(",")}
    assert read == {name: pytest.approx(limits) for name, limits in v.CAUSES.items()}


def test_sampled_causes_fill_their_ranges_and_know_nothing_of_each_other():
    z = v.sample_causes(50_000, torch.Generator().manual_seed(0))
    for column, (low, high) in zip(z.T, v.CAUSES.values(), strict=True):
        assert low <= column.min()
        assert column.max() <= high
        assert column.mean().item() == pytest.approx(
            (low + high) / 2, abs=4 * (high - low) / math.sqrt(12 * 50_000)
        )
    off_diagonal = torch.corrcoef(z.T) - torch.eye(7)
    assert off_diagonal.abs().max() < 0.02
    assert torch.equal(z, v.sample_causes(50_000, torch.Generator().manual_seed(0)))


@given(st.lists(st.floats(-20, 20), min_size=7, max_size=7))
@settings(max_examples=50, deadline=None)
def test_causes_kept_in_range_can_be_drawn_and_stay(values):
    z = v.keep_in_range(torch.tensor([values], dtype=torch.float64))
    assert v.render(z).isfinite().all()
    # up to a turn
    assert torch.allclose(torch.cos(v.keep_in_range(z)), torch.cos(z), atol=1e-9)
    for j in (4, 6):
        assert math.cos(z[0, j]) == pytest.approx(math.cos(values[j]), abs=1e-9)


@pytest.mark.parametrize(
    ("z", "error", "cure"),
    [
        (torch.zeros(2, 6), ValueError, "7 columns: x, y, size"),
        (torch.zeros(7), ValueError, "one row a scene"),
        (torch.zeros(1, 7, dtype=torch.int64), TypeError, r"z\.float\(\)"),
        (torch.full((2, 7), math.nan), ValueError, "drop such rows"),
        (torch.full((2, 7), math.inf), ValueError, "drop such rows"),
        (
            torch.cat([v.causes(), math.nan * v.causes()]),
            ValueError,
            "row 1; drop such rows",
        ),
        (
            torch.zeros(1, 7),
            ValueError,
            r"size = 0 in row 0 lies outside \[0.5, 0.8\]; keep_in_range",
        ),
    ],
)
def test_bad_causes_get_an_error_that_names_the_cure(z, error, cure):
    with pytest.raises(error, match=cure):
        v.render(z)


def test_whole_numbers_make_scenes_as_real_numbers_do():
    expected = v.causes(distance=torch.tensor([1.0, 2.0]))
    for whole in ([1, 2], torch.tensor([1, 2])):
        assert torch.equal(v.causes(distance=whole), expected)
    assert v.causes(distance=1).dtype is torch.float32
    mixed = v.causes(
        distance=torch.tensor([1, 2]), size=torch.tensor([0.5, 0.8]).double()
    )
    assert mixed.dtype is torch.float64
    assert torch.allclose(mixed[:, 4:], v.causes()[:, 4:].double())


def test_no_other_shape_and_no_other_cause():
    with pytest.raises(ValueError, match="choose one of disc, triangle"):
        v.render(v.causes(), "cube")
    with pytest.raises(ValueError, match="no cause called 'colour'"):
        v.causes(colour=1.0)


def test_no_scene_makes_no_picture():
    assert v.render(torch.zeros(0, 7)).shape == (0, 784)


def test_kept_in_range_a_size_stops_and_an_angle_goes_round():
    kept = v.keep_in_range(v.causes(size=7.0, angle=7.0))
    assert torch.allclose(kept, v.causes(size=0.8, angle=7.0 - 2 * math.pi))


@pytest.mark.parametrize("relief", [math.nan, math.inf])
def test_a_dome_has_a_finite_height(relief):
    with pytest.raises(ValueError, match="finite height"):
        v.render(v.causes(), relief=relief)


@pytest.mark.parametrize("softness", [0.0, -1.0, math.nan, math.inf])
def test_an_edge_has_a_finite_width(softness):
    with pytest.raises(ValueError, match="make it positive"):
        v.render(v.causes(), softness=softness)


# --- the learned analysis
# ------------------------------------------------------------------------------------------


def test_targets_are_undone_and_have_variance_one():
    z = v.sample_causes(100_000, torch.Generator().manual_seed(1)).double()
    y = v.to_targets(z)
    assert torch.allclose(v.from_targets(y), z, atol=1e-9)
    assert torch.allclose(y.mean(dim=0), torch.zeros(9).double(), atol=0.02)
    assert torch.allclose(y.var(dim=0), torch.ones(9).double(), atol=0.02)


def test_an_oracle_leaves_nothing_unexplained_and_the_blind_leave_all():
    z = v.sample_causes(5000, torch.Generator().manual_seed(2))
    assert max(v.unexplained(v.to_targets(z), z).values()) < 1e-9
    blind = v.unexplained(v.to_targets(z).mean(dim=0).expand(5000, 9), z)
    assert list(blind) == list(v.CAUSES)
    assert list(blind.values()) == pytest.approx([1] * 7, abs=1e-3)


def test_training_repeats_itself_and_leaves_the_global_generator_alone():
    z = v.sample_causes(64, torch.Generator().manual_seed(3))
    x, state = v.render(z), torch.random.get_rng_state()
    first = v.Analyser(steps=5, random_state=1).fit(x, z).encode(x)
    assert torch.equal(first, v.Analyser(steps=5, random_state=1).fit(x, z).encode(x))
    known = [
        v.Analyser(steps=5, random_state=np.random.default_rng(seed)).fit(x, z)
        for seed in (1, 1, 2)
    ]
    one, same, other = (g.encode(x) for g in known)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not torch.equal(
        first, v.Analyser(steps=5, random_state=2).fit(x, z).encode(x)
    )
    assert torch.equal(state, torch.random.get_rng_state())


BAD_PICTURES = [
    (torch.zeros(2, 784, dtype=torch.int64), None, TypeError, r"pass x\.float\(\)"),
    (torch.zeros(2, 28, 28), None, ValueError, "one row of 784"),
    (torch.zeros(2, 1), None, ValueError, "one row of 784"),
    (torch.full((2, 784), math.nan), None, ValueError, "in row 0; drop such rows"),
    (torch.zeros(2, 784), 3, ValueError, "pass as many, or one picture"),
    (torch.zeros(3, 784), 1, ValueError, "pass as many, or one picture"),
]


@pytest.mark.parametrize(("x", "scenes", "error", "cure"), BAD_PICTURES)
def test_bad_pictures_get_an_error_that_names_the_cure(x, scenes, error, cure):
    with pytest.raises(error, match=cure):
        v._check_pictures(x, scenes)
    v._check_pictures(torch.zeros(1, 784), 3)
    v._check_pictures(torch.zeros(3, 784), 3)


def test_pictures_and_scenes_that_do_not_go_together_are_refused(monkeypatch):
    # outside the tests nobody looks at the shapes in the signatures
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    z = v.sample_causes(20, torch.Generator().manual_seed(4))
    x = v.render(z)
    with pytest.raises(ValueError, match="as many, or one picture"):
        v.energy(x[:2], z[:3])
    with pytest.raises(ValueError, match="as many, or one picture"):
        v.descend(x[:3], z[:1])
    with pytest.raises(ValueError, match="784 grey values"):
        v.log_likelihood(x[:1, :1], z, 0.3)
    with pytest.raises(ValueError, match="fit wants pairs"):
        v.Analyser().fit(x[:3], z[:2])
    with pytest.raises(ValueError, match="2 guesses for 20 scenes"):
        v.unexplained(v.to_targets(z[:2]), z)


def test_a_picture_with_a_hole_is_refused_wherever_it_is_used():
    z = v.causes()
    x = v.render(z)
    hole = x.clone()
    hole[0, 3] = math.nan
    g = v.Analyser(steps=1).fit(x, z)
    for use in (
        lambda: v.energy(hole, z),
        lambda: v.descend(hole, z, steps=1),
        lambda: v.log_likelihood(hole, z, 0.3),
        lambda: v.Analyser(steps=1).fit(hole, z),
        lambda: g.predict(hole),
        lambda: g.encode(hole),
    ):
        with pytest.raises(ValueError, match="drop such rows"):
            use()


def test_an_analyser_takes_both_precisions_and_says_what_it_lacks():
    z = v.sample_causes(8, torch.Generator().manual_seed(3))
    x = v.render(z)
    g = v.Analyser(steps=2).fit(x.double(), z.double())
    assert g.predict(x.double()).dtype is torch.float64
    assert torch.allclose(
        g.predict(x), v.Analyser(steps=2).fit(x, z).predict(x), atol=1e-5
    )
    with pytest.raises(ValueError, match=r"call fit\(X, Z\) first"):
        v.Analyser().predict(x)
    with pytest.raises(ValueError, match="at least one step"):
        v.Analyser(steps=0).fit(x, z)
    with pytest.raises(ValueError, match="outside"):
        v.Analyser(steps=1).fit(x, z + 10)


def test_one_scene_has_no_variance_to_explain():
    z = v.causes()
    with pytest.raises(ValueError, match="at least two"):
        v.unexplained(v.to_targets(z), z)


@pytest.mark.equation("eq-vision-split")
def test_squared_error_splits_at_the_conditional_mean():
    rng = np.random.default_rng(0)
    # p(x, z) for four pictures x and three causes
    p = rng.dirichlet(np.ones(12)).reshape(4, 3)
    z = rng.normal(size=(3, 2))
    m = p @ z / p.sum(axis=1, keepdims=True)  # E[z | x], by enumeration
    for _ in range(5):
        g = rng.normal(size=(4, 2))
        total = sum(
            p[x, k] * ((z[k] - g[x]) ** 2).sum() for x in range(4) for k in range(3)
        )
        spread = sum(
            p[x, k] * ((z[k] - m[x]) ** 2).sum() for x in range(4) for k in range(3)
        )
        assert total == pytest.approx(
            spread + (p.sum(axis=1) * ((m - g) ** 2).sum(axis=1)).sum()
        )


@pytest.mark.equation("eq-vision-mean-size")
@pytest.mark.parametrize("a", [0.3, 0.4, 0.45, 0.6, 0.75])
def test_the_mean_size_of_scenes_that_look_alike(a):
    z = v.sample_causes(4_000_000, torch.Generator().manual_seed(4))
    alike = z[(v.apparent_size(z) - a).abs() < 0.002, 2].double()
    low, high = max(0.5, a), min(0.8, 2 * a)
    by_formula = 2 / 3 * (high**3 - low**3) / (high**2 - low**2)
    assert len(alike) > 3000
    assert alike.mean().item() == pytest.approx(
        by_formula, abs=4 * alike.std().item() / len(alike) ** 0.5 + 1e-3
    )


# --- analysis by synthesis
# -----------------------------------------------------------------------------------------


@pytest.mark.equation("eq-vision-energy", "eq-vision-gradient")
def test_the_gradient_is_the_vote_of_the_pixels():
    x, z = v.render(scenes(1, seed=7)), scenes(1, seed=8)
    by_loop = 0.5 * sum(
        (a - b) ** 2
        for a, b in zip(x[0].tolist(), v.render(z)[0].tolist(), strict=True)
    )
    assert v.energy(x, z).item() == pytest.approx(by_loop)
    votes = torch.zeros(7).double()
    for j in range(7):
        step = torch.zeros(1, 7).double()
        step[0, j] = 1e-6
        could_do = (v.render(z + step) - v.render(z - step))[0] / 2e-6
        votes[j] = -((x - v.render(z))[0] * could_do).sum()
        quotient = (v.energy(x, z + step) - v.energy(x, z - step)).item() / 2e-6
        assert votes[j].item() == pytest.approx(quotient, abs=1e-5)
    z.requires_grad_()
    assert torch.allclose(
        torch.autograd.grad(v.energy(x, z).sum(), z)[0][0], votes, atol=1e-5
    )


@pytest.mark.equation("eq-vision-descent")
@pytest.mark.parametrize("at_the_edge", [False, True])
def test_descent_rolls_downhill_in_units_of_each_reach(at_the_edge):
    x, z = v.render(scenes(1, seed=9)), scenes(1, seed=10)
    z[0, 5] = 0.402 if at_the_edge else z[0, 5]
    x = x * 0.2 if at_the_edge else x
    walk = v.descend(x, z, steps=3, rate=1e-3)
    # it stops at the end of its range
    assert (walk[1:, 0, 5] == 0.4).any() == at_the_edge
    reach = [
        math.pi if n in v.CIRCULAR else high - low
        for n, (low, high) in v.CAUSES.items()
    ]
    at, speed = z[0].tolist(), [0.0] * 7
    for t in range(3):
        slope = torch.autograd.functional.jacobian(
            lambda q: v.energy(x, q[None])[0], torch.tensor(at, dtype=torch.float64)
        ).tolist()
        for j in range(7):
            speed[j] = 0.9 * speed[j] - 1e-3 * reach[j] ** 2 * slope[j]
            at[j] += speed[j]
        at = v.keep_in_range(torch.tensor([at], dtype=torch.float64))[0].tolist()
        assert walk[t + 1, 0].tolist() == pytest.approx(at, abs=1e-9)


@pytest.mark.equation("eq-vision-plateau")
def test_without_overlap_the_target_drops_out_of_the_gradient():
    target, guess = (
        v.causes(x=0.3, y=0.3, size=0.5, distance=2.0).double(),
        v.causes(x=-0.3, y=-0.3, size=0.5, distance=1.9).double(),
    )
    x = v.render(target, "disc")
    first, second = guess.clone().requires_grad_(), guess.clone().requires_grad_()
    (slope,) = torch.autograd.grad(v.energy(x, first, "disc").sum(), first)
    (alone,) = torch.autograd.grad(
        0.5 * v.render(second, "disc").square().sum(), second
    )
    assert torch.allclose(slope, alone, atol=1e-3)
    assert slope[0, 5] > 1  # it can be painted darker


def test_recovered_asks_for_what_the_picture_shows():
    z = v.causes(angle=3.1)
    assert v.recovered(
        v.causes(angle=3.1, size=0.56, distance=1.0, light=-1.0), z
    ).all()  # same look
    assert v.recovered(v.causes(angle=-3.14), z).all()  # nearly the same direction
    for wrong in (
        {"x": 0.05},
        {"y": 0.05},
        {"size": 0.6},
        {"angle": -2.9},
        {"brightness": 0.8},
    ):
        assert not v.recovered(v.causes(**{"angle": 3.1, **wrong}), z).any()


# --- probability
# ---------------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-vision-likelihood")
def test_the_likelihood_is_that_of_independent_gaussians():
    Z, x = scenes(3), v.render(scenes(1, seed=11)) + 0.2
    expected = torch.distributions.Normal(v.render(Z), 0.3).log_prob(x).sum(dim=1)
    assert torch.allclose(v.log_likelihood(x, Z, 0.3), expected)


def small_world(n: int = 30, sigma: float = 0.5):
    """A picture, a grid and both logarithms, with a prior that is not flat."""
    Z, cell = v.size_distance_grid(n)
    x = v.render(v.causes(size=0.6, distance=1.5).double(), "disc")
    x = x + sigma * torch.randn(
        x.shape, generator=torch.Generator().manual_seed(12), dtype=x.dtype
    )
    log_lik = v.log_likelihood(x, Z.flatten(0, 1), sigma, "disc").reshape(n, n)
    return x, Z, cell, log_lik, -0.5 * ((Z[..., 2] - 0.7) / 0.1) ** 2


@pytest.mark.equation("eq-vision-bayes", "eq-vision-grid", "eq-vision-evidence")
def test_bayes_on_a_grid_is_bayes_by_enumeration_and_its_evidence_an_integral():
    _, _, cell, log_lik, log_prior = small_world()
    log_prior = log_prior - torch.logsumexp(log_prior.flatten(), 0) - math.log(cell)
    posterior, log_evidence = v.bayes_on_grid(log_lik, log_prior, cell)
    # in plain numbers, cell by cell, with one common factor taken out
    top = log_lik.max().item()
    joint = [
        [math.exp(a - top) * math.exp(b) for a, b in zip(r, s, strict=True)]
        for r, s in zip(log_lik.tolist(), log_prior.tolist(), strict=True)
    ]
    evidence = sum(map(sum, joint)) * cell
    assert log_evidence.item() == pytest.approx(math.log(evidence) + top)
    assert torch.allclose(posterior, torch.tensor(joint).double() / evidence)
    fine, coarse = (
        v.bayes_on_grid(*[w[k] for k in (3, 4)], w[2])[1]
        for w in (small_world(80), small_world(40))
    )
    assert abs(fine - coarse) < 1e-3  # the sum has become the integral


@pytest.mark.equation("eq-vision-map")
def test_the_posterior_is_least_squares_plus_prior_up_to_a_constant():
    x, Z, cell, log_lik, log_prior = small_world()
    posterior, _ = v.bayes_on_grid(log_lik, log_prior, cell)
    squared = (
        (x - v.render(Z.flatten(0, 1), "disc"))
        .square()
        .sum(dim=1)
        .reshape(log_lik.shape)
    )
    constant = -posterior.log() - (squared / (2 * 0.5**2) - log_prior)
    assert constant.std() < 1e-8
    flat, _ = v.bayes_on_grid(log_lik, torch.zeros_like(log_lik), cell)
    assert flat.argmax() == squared.argmin()


@pytest.mark.equation("eq-vision-odds")
def test_along_the_ridge_the_posterior_odds_are_the_prior_odds():
    x, _, _, _, _ = small_world()
    ridge = v.causes(
        size=torch.tensor([0.5, 0.6, 0.7, 0.8]),
        distance=torch.tensor([0.5, 0.6, 0.7, 0.8]) / 0.42,
    ).double()
    log_prior = torch.tensor([0.1, -1.0, 2.0, 0.3]).double()
    posterior, _ = v.bayes_on_grid(
        v.log_likelihood(x, ridge, 0.5, "disc"), log_prior, 1.0
    )
    assert torch.allclose(
        posterior / posterior[0], (log_prior - log_prior[0]).exp(), rtol=1e-3
    )


@pytest.mark.equation("eq-vision-keep", "eq-vision-rejection")
def test_keeping_by_likelihood_gives_the_posterior_and_counts_the_evidence():
    rng, chance = np.random.default_rng(1), torch.Generator().manual_seed(13)
    prior, likelihood, n = rng.dirichlet(np.ones(5)), rng.uniform(0.05, 0.9, 5), 400_000
    bound = likelihood.max() * 1.1
    drawn = rng.choice(5, n, p=prior)
    kept = v.keep_by_likelihood(
        torch.from_numpy(np.log(likelihood[drawn])), math.log(bound), chance
    ).numpy()
    evidence = prior @ likelihood  # by enumeration
    p = evidence / bound
    assert kept.mean() == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / n))
    share, expected = (
        np.bincount(drawn[kept], minlength=5) / kept.sum(),
        prior * likelihood / evidence,
    )
    assert (
        abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / kept.sum())
    ).all()
    with pytest.raises(ValueError, match="raise log_bound"):
        v.keep_by_likelihood(torch.zeros(2), -0.1, chance)


def test_what_is_no_probability_is_refused():
    nothing, flat = torch.full((3, 3), -math.inf), torch.zeros(3, 3)
    for log_lik in (nothing, flat * math.nan, flat + math.inf):
        with pytest.raises(ValueError, match="finite values to at least one cell"):
            v.bayes_on_grid(log_lik, flat, 1.0)
    # some impossible cells are no harm
    half = torch.where(torch.eye(3) > 0, flat, nothing)
    assert v.bayes_on_grid(half, flat, 1.0)[0].sum().item() == pytest.approx(1)
    chance = torch.Generator().manual_seed(0)
    with pytest.raises(ValueError, match="drop such draws"):
        v.keep_by_likelihood(torch.tensor([0.0, math.nan]), 1.0, chance)
    assert not v.keep_by_likelihood(torch.tensor([-math.inf]), 0.0, chance).any()
    with pytest.raises(ValueError, match="at least one cell"):
        v.size_distance_grid(0)
    for sigma in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="sigma must be positive"):
            v.log_likelihood(v.render(v.causes()), v.causes(), sigma)
