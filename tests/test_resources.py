"""What the models take: memory beyond their input, memory over many fits, and the same
numbers on one thread and on two.

Stated, and held here (`pytest tests/test_resources.py`): the peak of numpy's memory
beyond X, in units of X, and the tolerances between one thread and two. With the same
number of threads a seed gives the same numbers to the last bit.
"""

import gc
import tracemalloc
import warnings

import numpy as np
import psutil
import pytest
import torch
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from latent_book.autoencoder import Autoencoder
from latent_book.em import BernoulliMixture, GaussianMixture
from latent_book.onwards import Flow
from latent_book.pca import PCA, ProbabilisticPCA
from latent_book.vae import VAE

SMALL = {"epochs": 1, "device": "cpu"}
SHARED = {**SMALL, "batch_size": 3000}  # rows that torch gives to several threads
TALL, WIDE, SQUARE = (30_000, 40), (60, 20_000), (1200, 1100)
LONG = (250_000, 20)  # a mixture takes copies of 20,000 rows, to find a start


def peak(act, X: np.ndarray) -> float:
    """The most memory that numpy holds meanwhile, beyond what it held before, in units
    of X.
    """
    act(X[:50])  # what is imported late is no memory of a fit
    gc.collect()
    tracemalloc.start()
    try:
        act(X)
        return tracemalloc.get_traced_memory()[1] / X.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("model", "shape", "dtype", "most"),
    [
        (PCA(5), TALL, "f8", 0.3),
        (PCA(5), TALL, "f4", 0.3),
        (PCA(5), WIDE, "f8", 2.3),
        (PCA(5, svd_solver="randomized"), SQUARE, "f8", 4.0),
        (PCA(5, svd_solver="full"), TALL, "f8", 4.0),
        (ProbabilisticPCA(5), TALL, "f8", 0.9),
        (ProbabilisticPCA(5), TALL, "f4", 0.9),
        (ProbabilisticPCA(5, solver="em", max_iter=3), TALL, "f8", 4.0),
        (GaussianMixture(3, max_iter=2, random_state=0), LONG, "f8", 1.3),
        (BernoulliMixture(3, max_iter=2, random_state=0), LONG, "f8", 1.3),
        (Flow(layers=2, hidden=(4,), batch_size=5000, **SMALL), TALL, "f8", 1.3),
        (
            Autoencoder(2, hidden=(), output="linear", batch_size=5000, **SMALL),
            TALL,
            "f8",
            1.3,
        ),
    ],
    ids=lambda part: type(part).__name__ if hasattr(part, "fit") else None,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fitting_takes_no_more_memory_than_is_stated(model, shape, dtype, most):
    X = np.random.default_rng(0).uniform(size=shape).astype(dtype)
    assert peak(clone(model).fit, X) < most


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize(
    ("model", "verbs"),
    [
        (PCA(5), ["transform", "score"]),
        (ProbabilisticPCA(5), ["transform", "score", "log_prob"]),
    ],
    ids=["pca", "ppca"],
)
def test_scoring_takes_blocks_and_no_copy(model, verbs, dtype):
    X = np.random.default_rng(0).normal(size=TALL).astype(dtype)
    fitted = clone(model).fit(X)
    for verb in verbs:
        assert peak(getattr(fitted, verb), X) < 1.0, verb


@pytest.mark.parametrize(
    "model",
    [PCA(2), ProbabilisticPCA(2), GaussianMixture(2, random_state=0), Autoencoder(1, hidden=(3,), **SMALL)],
    ids=lambda model: type(model).__name__,
)  # fmt: skip
def test_two_hundred_fits_do_not_grow(model):
    X = np.random.default_rng(0).uniform(size=(60, 4))
    process = psutil.Process()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(50):
            clone(model).fit(X)
        gc.collect()
        before = process.memory_info().rss
        for _ in range(200):
            clone(model).fit(X)
        gc.collect()
    assert process.memory_info().rss - before < 6e6


@pytest.mark.parametrize(
    ("model", "verb", "tolerance"),
    [
        (PCA(3, random_state=0), "transform", 1e-9),
        (PCA(3, svd_solver="randomized", random_state=0), "transform", 1e-9),
        (ProbabilisticPCA(3), "score_samples", 1e-9),
        (GaussianMixture(3, random_state=0), "score_samples", 1e-9),
        (BernoulliMixture(3, random_state=0), "score_samples", 1e-9),
        (Autoencoder(2, hidden=(8,), **SHARED), "transform", 1e-4),
        (VAE(2, hidden=(8,), likelihood="gaussian", **SHARED), "elbo", 1e-4),
        (Flow(layers=2, hidden=(8,), **SHARED), "log_prob", 1e-4),
    ],
    ids=lambda part: type(part).__name__ if hasattr(part, "fit") else None,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_seed_gives_the_same_numbers_on_one_thread_and_on_two(model, verb, tolerance):
    rng = np.random.default_rng(0)
    X = (rng.uniform(size=(6000, 12)) > rng.uniform(size=12)).astype(float)
    X[:, 1:4] = X[:, :1] * rng.uniform(0.3, 1, size=(6000, 3))
    said = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 1, 2, 2):
            torch.set_num_threads(threads)
            with threadpool_limits(threads):
                said.append(np.asarray(getattr(clone(model).fit(X), verb)(X)))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(said[0], said[1])
    np.testing.assert_array_equal(said[2], said[3])
    np.testing.assert_allclose(
        said[2], said[0], rtol=0, atol=tolerance * np.abs(said[0]).max()
    )
