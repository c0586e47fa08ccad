"""Moments, spectra and threads, by independent routes: sums without rounding, singular
values, scikit-learn.
"""

import math
import threading

import numpy as np
import pytest
import scipy.sparse
import scipy.special
import sklearn.decomposition
from conftest import cloud
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from latent_book import linalg as la
from latent_book.pca import PCA


@pytest.mark.equation("eq-linalg-pilot")
@pytest.mark.parametrize("offset", [0.0, 5.0, 1e6])
@pytest.mark.parametrize("block_rows", [7, 64, 5000])
def test_the_scatter_is_that_of_the_definition_wherever_the_data_lie(
    offset, block_rows
):
    X = cloud(1000, 8, mean=0.0) + offset
    rows = [[float(v) for v in row] for row in X]
    # sums without rounding
    mean = [math.fsum(column) / 1000 for column in zip(*rows, strict=True)]
    S = [
        [math.fsum((r[i] - mean[i]) * (r[j] - mean[j]) for r in rows) for j in range(8)]
        for i in range(8)
    ]
    found = la.moments(X, block_rows)
    assert found.N == 1000
    assert np.allclose(found.mean, mean, rtol=1e-14)
    assert np.allclose(
        found.S, S, rtol=1e-7 if offset > 1e3 else 1e-11, atol=1e-9 * S[0][0]
    )


@pytest.mark.equation("eq-linalg-merge")
@given(st.integers(0, 2**31), st.integers(1, 39), st.floats(-1e3, 1e3))
@settings(max_examples=40, deadline=None)
def test_moments_of_two_sets_are_those_of_all_rows(seed, cut, shift):
    X = cloud(40, 4, seed)
    X[cut:] += shift
    merged = la.merge_moments(la.moments(X[:cut]), la.moments(X[cut:]))
    assert merged.N == 40
    assert np.allclose(merged.mean, X.mean(axis=0))
    assert np.allclose(
        merged.S, 40 * np.cov(X.T, bias=True), atol=1e-9 * (1 + shift**2)
    )


def test_components_do_not_depend_on_the_sign_that_a_solver_happens_to_give():
    W = np.array([[0.6, -0.1], [-0.8, 0.3]])
    assert np.array_equal(la.fix_signs(W), [[-0.6, -0.1], [0.8, 0.3]])
    assert np.array_equal(la.fix_signs(-W), la.fix_signs(W))


@pytest.mark.equation("eq-linalg-gram")
@pytest.mark.parametrize("shape", [(40, 12), (12, 40)])
def test_singular_values_and_both_eigenproblems_agree(shape):
    X = cloud(*shape)
    Y = X - X.mean(axis=0)
    _, s, Vt = np.linalg.svd(Y, full_matrices=False)
    for road in ("scatter", "gram", "svd"):
        found = la.spectrum(X, 5, road)
        assert np.allclose(found.lam, s[:5] ** 2), road
        assert np.allclose(np.abs(np.sum(found.W * Vt[:5].T, axis=0)), 1), road
        assert math.isclose(found.total, np.sum(Y**2)), road


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_the_krylov_road_meets_data_of_low_rank_and_far_from_zero(offset):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 4)) @ rng.normal(size=(4, 1200)) + offset
    Y = X - X.mean(axis=0)
    found = la.spectrum(X, 8, "krylov")
    assert np.allclose(
        found.lam[:4], np.linalg.svd(Y, compute_uv=False)[:4] ** 2, rtol=1e-6
    )
    assert np.all(found.lam[4:] < 1e-8 * found.lam[0])
    assert math.isclose(found.total, np.sum(Y * Y), rel_tol=1e-6)
    assert np.allclose(found.W.T @ found.W, np.eye(8), atol=1e-6)


@pytest.mark.parametrize("scale", [1e-100, 1e-25, 1e18, 1e100])
def test_the_krylov_road_does_not_mind_the_unit(scale):
    X = cloud(1400, 1100)
    lam = la.spectrum(X, 5, "krylov").lam
    assert np.allclose(
        la.spectrum(X * scale, 5, "krylov").lam / scale**2, lam, rtol=1e-6
    )


def test_minkas_estimate_is_scikit_learns():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 8)) + 0.3 * rng.normal(
            size=(200, 8)
        )
        theirs = sklearn.decomposition.PCA("mle", svd_solver="full").fit(X)
        lam = np.linalg.eigvalsh(np.cov(X.T))[::-1]
        assert (
            la.minka_dimension(lam, 200)
            == theirs.n_components_
            == PCA("mle").fit(X).n_components_
        )


def threads() -> list[int]:
    return [library.get_num_threads() for library in la._BLAS]


def test_the_threads_of_the_matrix_library_are_given_back():
    before = threads()
    X = cloud(9000, 30)

    def fit_some():
        for _ in range(5):
            PCA(3).fit(X)

    together = [threading.Thread(target=fit_some) for _ in range(3)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert threads() == before
    with la.one_thread_blas(), la.one_thread_blas():
        assert set(threads()) == {1}
    with pytest.raises(ZeroDivisionError), la.one_thread_blas():
        _ = 1 / 0
    assert threads() == before


WRONG = [
    (lambda X: la.moments(X[:0]), "at least one row"),
    (lambda X: la.moments(X + 1j), "complex"),
    (lambda X: la.as_matrix(scipy.sparse.csr_array(X)), "toarray"),
    (lambda X: la.spectrum(X, 2, "foo"), "'gram', 'krylov' or 'svd'"),
    (lambda X: la.spectrum(X, 0), "between 1 and"),
    (lambda X: la.spectrum(scipy.sparse.csr_array(X), 2, "svd"), "toarray"),
    (lambda X: la.moments(scipy.sparse.csr_array((0, 3))), "at least one row"),
    (lambda X: la.moments(scipy.sparse.csr_array(X + 1j)), "complex"),
    (lambda X: la.spectrum(X, 2, "krylov", weights=np.ones(30)), "no weights"),
]


@pytest.mark.parametrize(("call", "cure"), WRONG)
def test_bad_calls_are_refused_with_a_cure(call, cure):
    with pytest.raises((ValueError, TypeError), match=cure):
        call(cloud(30, 6))


def test_products_in_double_precision_keep_the_digits_of_single_precision_rows():
    X = (cloud(5000, 6) + 100).astype(np.float32)
    exact = la.moments(X.astype(np.float64))
    fine = la.moments(X, dtype=np.float64)
    assert np.allclose(fine.S, exact.S, rtol=1e-12)
    assert np.allclose(la.moments(X).S, exact.S, rtol=1e-4)


def test_every_row_is_dealt_once():
    hands = la.in_blocks(list, 10_001, 3000)
    seen = np.sort(np.concatenate([np.arange(10_001)[p] for h in hands for p in h]))
    assert np.array_equal(seen, np.arange(10_001))


def test_equal_eigenvalues_are_one_noise():
    assert la.minka_dimension(np.array([10.0, 9, 8, 7, 1, 1, 1, 1]), 1000) == 4
    assert la.minka_dimension(np.array([5.0, 5, 5, 1, 1, 1]), 500) == 3
    for unit in (1e-12, 1e-9, 1e9):
        assert la.minka_dimension(unit * np.array([9.0, 8, 1.1, 1, 0.9]), 300) == 2


def test_the_evidence_integrates_each_angle_exactly():
    """Two columns, one of them kept: the integral over the angle by quadrature, and
    Laplace's where the eigenvalues are well apart.
    """
    N = 50
    for lam in ([2.0, 1.0], [1.001, 1.0], [1.0, 1.0]):
        lam = np.array(lam)
        A = N * (lam[0] - lam[1]) * (1 / lam[1] - 1 / lam[0])
        angle = integrate.quad(
            lambda t, A=A: math.exp(-A / 2 * math.sin(t) ** 2),
            -math.pi / 2,
            math.pi / 2,
        )[0]
        prior = -math.log(2) + math.lgamma(1.0) - math.log(math.pi)
        fit = -N / 2 * np.log(lam).sum() + 0.5 * math.log(2 * math.pi / N)
        assert np.isclose(
            la._log_evidence(lam, 1, N), prior + fit + math.log(angle), rtol=1e-12
        )
    laplace = math.sqrt(2 * math.pi / 1e4)
    assert np.isclose(math.pi * scipy.special.ive(0, 1e4 / 4), laplace, rtol=1e-4)


@pytest.mark.equation("eq-linalg-sparse")
@pytest.mark.parametrize("shape", [(40, 15), (15, 40)])
@pytest.mark.parametrize("weighted", [False, True])
def test_sparse_products_are_those_of_the_centred_rows(shape, weighted):
    rng = np.random.default_rng(0)
    X = rng.normal(size=shape) * (rng.random(shape) < 0.2)
    X[:, 2], X[:, 4] = 1e6 + rng.normal(size=len(X)), 1 / 3
    w = rng.integers(1, 4, len(X)).astype(float) if weighted else None
    ours = la._Centred(scipy.sparse.csc_array(X), w)
    Y = X - np.average(X, axis=0, weights=w)
    Y *= 1 if w is None else np.sqrt(w)[:, None]
    V, U = rng.normal(size=(shape[1], 3)), rng.normal(size=(shape[0], 3))
    assert np.allclose(ours.times(V), Y @ V, atol=1e-8)
    assert np.allclose(ours.back(U), Y.T @ U, atol=1e-8)
    assert np.allclose(ours.scatter(), Y.T @ Y, atol=1e-8)
    assert np.allclose(ours.gram(), Y @ Y.T, atol=1e-8)
    assert ours.spread[4] == 0, "a constant column has no spread at all"
    m = la.moments(scipy.sparse.csr_array(X), weights=w)
    assert np.allclose(m.S, la.moments(X, weights=w).S, atol=1e-8)
    for solver in ("auto", "gram", "scatter", "krylov"):
        found = la.spectrum(scipy.sparse.csr_array(X), 4, solver, weights=w)
        exact = la.spectrum(X, 4, "svd", weights=w)
        assert np.allclose(found.lam, exact.lam, rtol=1e-10)


def test_columns_that_are_nearly_full_and_far_from_zero_lose_few_digits():
    rng = np.random.default_rng(0)
    X = 1e3 + rng.normal(size=(400, 3))
    X[7, 1] = 0
    right = PCA(svd_solver="full").fit(X).explained_variance_
    found = PCA(svd_solver="covariance_eigh").fit(scipy.sparse.csr_array(X))
    assert np.allclose(found.explained_variance_, right, rtol=1e-10)
