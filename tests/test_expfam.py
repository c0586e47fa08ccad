"""The engine of the mixtures: against scikit-learn, SciPy and extended precision, on
all kinds of mixtures and of data.
"""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import logsumexp

from latent_book import expfam as e

GAUSSIAN = e.KINDS[:-1]
MATRICES = ("full", "tied")
each_kind = pytest.mark.parametrize("kind", e.KINDS)
each_gaussian = pytest.mark.parametrize("kind", GAUSSIAN)
each_of_scikit_learn = pytest.mark.parametrize("kind", GAUSSIAN[:4])


def clouds(
    N: int = 400, D: int = 3, K: int = 3, seed: int = 0, apart: float = 3.0
) -> np.ndarray:
    """Points of several Gaussians."""
    rng = np.random.default_rng(seed)
    centres = apart * rng.normal(size=(K, D))
    return centres[rng.integers(K, size=N)] + rng.normal(size=(N, D)) @ rng.normal(
        size=(D, D)
    )


def pixels(N: int = 300, D: int = 12, K: int = 3, seed: int = 0) -> np.ndarray:
    """Zeros and ones from a mixture."""
    rng = np.random.default_rng(seed)
    return (
        rng.uniform(size=(N, D)) < rng.uniform(size=(K, D))[rng.integers(K, size=N)]
    ).astype(float)


def data(kind: str, seed: int = 0) -> np.ndarray:
    """Something that this kind of mixture can be fitted to."""
    return pixels(seed=seed) if kind == "bernoulli" else clouds(seed=seed)


def start(kind: str, X: np.ndarray, K: int = 3, seed: int = 0) -> e.Parameters:
    """Some parameters."""
    rng = np.random.default_rng(seed)
    D = X.shape[1]
    pi, mu = rng.dirichlet(np.full(K, 5.0)), X[rng.choice(len(X), K, replace=False)]
    if kind == "bernoulli":
        return e.Parameters(pi, np.clip(0.6 * mu + 0.2, 0.1, 0.9), None)
    A = rng.normal(size=(K, D, D))
    full = A @ A.swapaxes(1, 2) + np.eye(D)
    Sigma = {
        "full": full,
        "tied": full[0],
        "diag": rng.uniform(1, 4, (K, D)),
        "spherical": rng.uniform(1, 4, K),
        "tied_diag": rng.uniform(1, 4, D),
        "tied_spherical": np.array(rng.uniform(1, 4)),
    }
    return e.Parameters(pi, mu + 0.1, Sigma[kind])


def dense(kind: str, p: e.Parameters) -> list[np.ndarray]:
    """The covariances written out."""
    K, D = p.mu.shape
    assert p.Sigma is not None
    return [
        {
            "full": lambda k: p.Sigma[k],
            "tied": lambda k: p.Sigma,
            "diag": lambda k: np.diag(p.Sigma[k]),
            "spherical": lambda k: p.Sigma[k] * np.eye(D),
            "tied_diag": lambda k: np.diag(p.Sigma),
            "tied_spherical": lambda k: p.Sigma * np.eye(D),
        }[kind](k)
        for k in range(K)
    ]


def restricted(kind: str, each: np.ndarray, N_k: np.ndarray) -> np.ndarray:
    """What a kind keeps of the covariances of each component (K, D, D)."""
    each = np.asarray(each)
    shared = np.einsum("k,kij->ij", N_k / np.sum(N_k), each)
    found = shared if kind.startswith("tied") else each
    if kind in MATRICES:
        return found
    found = np.diagonal(found, axis1=-2, axis2=-1)
    return np.asarray(found.mean(axis=-1)) if kind.endswith("spherical") else found


def log_joint(kind: str, p: e.Parameters, X: np.ndarray) -> np.ndarray:
    """log p(x, z=k) by SciPy, (N, K)."""
    with np.errstate(divide="ignore"):
        log_pi = np.log(p.pi)
    if p.Sigma is None:
        return log_pi + np.stack(
            [stats.bernoulli(m).logpmf(X).sum(axis=1) for m in p.mu], axis=1
        )
    parts = zip(p.mu, dense(kind, p), strict=True)
    return log_pi + np.stack(
        [stats.multivariate_normal(m, C).logpdf(X) for m, C in parts], axis=1
    )


# --- one pass
# ----------------------------------------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_pass_gives_the_likelihood_and_the_moments(kind, dtype):
    X = data(kind).astype(dtype)
    p = start(kind, X.astype(float))
    engine = e.Engine(X, None, kind)
    totals = engine.e_step(p)
    G = log_joint(kind, p, X.astype(float))
    R = np.exp(G - logsumexp(G, axis=1, keepdims=True))
    rtol = 1e-10 if dtype == np.float64 else 1e-4
    assert totals.log_prob == pytest.approx(logsumexp(G, axis=1).sum(), rel=rtol)
    new = engine.m_step(totals, p)
    N_k = R.sum(axis=0)
    np.testing.assert_allclose(new.pi, N_k / len(X), rtol=rtol)
    np.testing.assert_allclose(new.mu, R.T @ X / N_k[:, None], rtol=rtol, atol=rtol)
    if new.Sigma is not None:
        C = [
            ((X - m).T * r) @ (X - m) / r.sum()
            for m, r in zip(new.mu, R.T, strict=True)
        ]
        wanted = restricted(kind, C, new.pi)
        unit = np.eye(3) if kind in MATRICES else 1.0
        floor = np.broadcast_to(unit, wanted.shape) * 1e-6
        np.testing.assert_allclose(
            new.Sigma, wanted + floor, rtol=100 * rtol, atol=100 * rtol
        )


@each_gaussian
def test_the_long_way_agrees_with_the_short_one(kind, monkeypatch):
    X = clouds()
    p = start(kind, X)
    w = np.random.default_rng(1).uniform(size=len(X))
    engine = e.Engine(X, w, kind)
    short = engine.e_step(p)
    monkeypatch.setattr(e, "_precise_enough", lambda *a: False)
    long = engine.e_step(p)
    assert long.about is not None
    assert short.about is None
    assert long.log_prob == pytest.approx(short.log_prob, rel=1e-12)
    b = engine.m_step(
        long, p
    )  # and, as nothing seems precise enough, a second pass about the new means
    assert engine.elbo(long, p, b) == pytest.approx(engine.elbo(short, p, b), rel=1e-11)
    monkeypatch.undo()
    a, c = engine.m_step(short, p), engine.m_step(long, p)
    for x, y, z in zip(a, b, c, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(x, z, rtol=1e-9, atol=1e-9)
    assert engine.elbo(long, p, c) == pytest.approx(engine.elbo(short, p, a), rel=1e-11)


@each_kind
def test_weights_count_as_repetitions_do(kind):
    X = data(kind)[:60]
    times = np.random.default_rng(0).integers(0, 4, len(X))
    p = start(kind, X)
    weighted, repeated = (
        e.Engine(X, times.astype(float), kind),
        e.Engine(np.repeat(X, times, axis=0), None, kind),
    )
    a, b = weighted.e_step(p), repeated.e_step(p)
    assert a.log_prob == pytest.approx(b.log_prob, rel=1e-12)
    for x, y in zip(weighted.m_step(a, p), repeated.m_step(b, p), strict=True):
        if x is not None:
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12)


@each_kind
def test_blocks_and_a_memory_map_give_what_the_array_gives(kind, tmp_path):
    X = np.concatenate([data(kind, seed) for seed in range(20)])
    p = start(kind, X)
    place = tmp_path / "X.npy"
    np.save(place, X)
    whole = e.Engine(X, None, kind)
    wanted = whole.e_step(p)
    for source in ([X[:700], X[700:701], X[701:]], np.load(place, mmap_mode="r")):
        other = e.Engine(source, None, kind)
        found = other.e_step(p)
        assert found.log_prob == pytest.approx(wanted.log_prob, rel=1e-12)
        for x, y in zip(other.m_step(found, p), whole.m_step(wanted, p), strict=True):
            if x is not None:
                np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12)


@given(kind=st.sampled_from(e.KINDS), K=st.integers(1, 5), seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_both_half_steps_raise_the_bound(kind, K, seed):
    """From any start: E to log p, M above it, the next E above that. Without a floor,
    which would change the M-step.
    """
    X = data(kind, seed % 7)
    engine = e.Engine(X, None, kind, 1e-12)
    p, bounds = start(kind, X, K, seed), []
    for _ in range(6):
        totals = engine.e_step(p)
        new = engine.m_step(totals, p)
        bounds += [totals.log_prob, engine.elbo(totals, p, new)]
        p = new
    assert np.all(np.diff(bounds) >= -1e-8 * abs(bounds[0]))


@each_kind
def test_the_bound_after_the_m_step_is_the_sum_written_out(kind):
    X = data(kind)
    engine = e.Engine(X, None, kind)
    p = start(kind, X)
    totals = engine.e_step(p)
    new = engine.m_step(totals, p)
    G, H = log_joint(kind, p, X), log_joint(kind, new, X)
    log_q = G - logsumexp(G, axis=1, keepdims=True)
    wanted = np.sum(np.exp(log_q) * (H - log_q))
    assert engine.elbo(totals, p, new) == pytest.approx(wanted, rel=1e-10)


# --- accuracy
# ----------------------------------------------------------------------------------------------------------


def test_a_thousand_deviations_out_and_with_nearly_singular_covariances():
    """Against fifty digits."""
    mpmath.mp.dps = 50
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    Sigma = np.array([turn @ np.diag([1.0, 1e-4, 1e-8]) @ turn.T, np.eye(3)])
    p = e.Parameters(
        np.array([0.4, 0.6]), np.array([[0.0, 0, 0], [1000.0, 0, 0]]), Sigma
    )
    X = np.array([[0.0, 0, 0], [1000.0, 1, 0], [500.0, 0, 0], [0.1, 0.1, 0.1]])
    found = e.log_joints(X, e.whitening("full", p))
    for k in range(2):
        S = mpmath.matrix(Sigma[k].tolist())
        P, log_det = S**-1, mpmath.log(mpmath.det(S))
        for n, x in enumerate(X):
            d = mpmath.matrix((x - p.mu[k]).tolist())
            exact = (
                mpmath.log(p.pi[k])
                - (log_det + 3 * mpmath.log(2 * mpmath.pi) + (d.T * P * d)[0]) / 2
            )
            assert found[n, k] == pytest.approx(float(exact), rel=1e-6)
    R = np.exp(found - logsumexp(found, axis=1, keepdims=True))
    assert np.isfinite(R).all()


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_components_on_single_points_take_the_short_way_and_lose_nothing(
    kind, monkeypatch
):
    """Held open by reg_covar alone, kappa above 10^5: nine digits of log p, and the
    same M-step.
    """
    rng = np.random.default_rng(0)
    X, K, narrow = rng.normal(size=(2000, 16)), 60, 1e-3
    mu, Sigma = (
        X[:K].copy(),
        {
            "full": np.tile(np.eye(16), (K, 1, 1)),
            "diag": np.ones((K, 16)),
            "spherical": np.ones(K),
        }[kind],
    )
    mu[:30] += narrow * rng.normal(size=(30, 16))
    Sigma[:30] *= narrow**2
    p = e.Parameters(np.full(K, 1 / K), mu, Sigma)
    engine = e.Engine(X, None, kind)
    assert 1e5 < e._natural(kind, p, engine.origin).cancels < 1e9
    short = engine.e_step(p)
    assert short.about is None
    a = engine.m_step(short, p)
    monkeypatch.setattr(e, "_precise_enough", lambda *a: False)
    long = engine.e_step(p)
    assert short.log_prob / len(X) == pytest.approx(long.log_prob / len(X), abs=1e-9)
    b = engine.m_step(long, p)
    np.testing.assert_allclose(a.pi, b.pi, atol=1e-12)
    np.testing.assert_allclose(a.mu, b.mu, atol=1e-9 * narrow * 1e2)
    np.testing.assert_allclose(a.Sigma, b.Sigma, rtol=1e-5, atol=1e-12)


@each_gaussian
def test_the_bound_of_a_second_pass_is_the_sum_written_out(kind):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(100, 2)), rng.normal(size=(100, 2)) + 1]) * [
        1,
        1e-3,
    ]
    engine, p = e.Engine(X, None, kind, 0.0), start(kind, X, 2)
    totals = engine.e_step(p)
    fine = engine._whitened(p, e._about(kind, p.mu + 0.3))
    new = engine.m_step(totals, p)
    G, H = log_joint(kind, p, X), log_joint(kind, new, X)
    log_q = G - logsumexp(G, axis=1, keepdims=True)
    wanted = np.sum(np.exp(log_q) * (H - log_q))
    found = e._whitened_elbo(kind, fine.S, fine.about, fine.entropy, new)
    assert found == pytest.approx(wanted, rel=1e-9)


@each_gaussian
@pytest.mark.parametrize(
    ("far", "squeeze"), [(0.0, 1.0), (1e6, 1.0), (1e6, 1e-3), (0.0, 1e-5)]
)
def test_a_step_of_em_against_fifty_digits(kind, far, squeeze):
    """Far from zero, or nearly flat: bound, means and covariances of one step, beside
    exact arithmetic.
    """
    rng, K, D = np.random.default_rng(4), 2, 2
    X = (
        far
        + rng.normal(size=(30, D)) * [1, squeeze]
        + 2 * rng.integers(2, size=(30, 1)) * [1, squeeze]
    )
    centre, spread = X.mean(axis=0), X.var(axis=0)
    mu = centre + np.array([[-1, -0.5], [1, 0.8]]) * np.sqrt(spread)
    Sigma = restricted(
        kind,
        np.array(
            [np.diag(spread), (1 if kind[:4] == "tied" else 0.5) * np.diag(spread)]
        ),
        np.ones(2),
    )
    p = e.Parameters(np.array([0.4, 0.6]), mu, Sigma)
    engine = e.Engine(X, None, kind, 0.0)
    totals = engine.e_step(p)
    new = engine.m_step(totals, p)

    mp = mpmath.MPContext()
    mp.dps = 50
    full = dense(kind, p)
    rows, log_p, R = [mp.matrix(x.tolist()) for x in X], mp.mpf(0), []
    for x in rows:
        joint = []
        for k in range(K):
            S = mp.matrix(full[k].tolist())
            d = x - mp.matrix(mu[k].tolist())
            quadratic = (d.T * mp.inverse(S) * d)[0]
            density = mp.exp(-quadratic / 2) / mp.sqrt((2 * mp.pi) ** D * mp.det(S))
            joint.append(mp.mpf(float(p.pi[k])) * density)
        log_p += mp.log(mp.fsum(joint))
        R.append([j / mp.fsum(joint) for j in joint])
    N_k = [mp.fsum(r[k] for r in R) for k in range(K)]
    means = [
        sum((r[k] * x for r, x in zip(R, rows, strict=True)), mp.zeros(D, 1)) / N_k[k]
        for k in range(K)
    ]
    outer = [
        sum(
            (
                r[k] * (x - means[k]) * (x - means[k]).T
                for r, x in zip(R, rows, strict=True)
            ),
            mp.zeros(D, D),
        )
        for k in range(K)
    ]
    one = [np.array((outer[k] / N_k[k]).tolist(), float) for k in range(K)]
    exact = restricted(kind, one, np.array([float(n) for n in N_k]))
    exact_means = np.array([[float(v) for v in m] for m in means])
    assert abs(totals.log_prob - float(log_p)) < 1e-8 * abs(float(log_p))
    assert (np.abs(new.mu - exact_means) < 1e-8 * np.sqrt(spread) + 4e-16 * far).all()
    unit = np.sqrt(np.outer(spread, spread)) if kind in MATRICES else spread
    unit = spread.mean() if kind.endswith("spherical") else unit
    assert (np.abs(new.Sigma - exact) < 1e-7 * unit).all()
