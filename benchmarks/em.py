"""Mixtures side by side with scikit-learn: same data, same start, same number of steps,
interleaved in one run.

    python benchmarks/em.py [--rounds 5] [--only full] [--fits | --disk | --pomegranate]

Printed for each kind of covariance and each size: the time of one EM step (a fit of six
steps less a fit of one, over five), as the ratio of theirs to ours with its range over
the rounds; how far the two bounds differ, in nats a point; and the most memory that
each holds beyond the data. With --fits, whole fits as they come, over ten seeds: the
ratio of the times, and the difference of the bounds that they reach. With --disk, ours
alone: ten million rows of 16 features in single precision in a file, and the most
memory that the process comes to hold while it fits them. With --pomegranate, that
library (which must be installed) beside ours, step against step: full and diagonal
covariances, and Bernoulli pixels. A ratio above 1 means that ours is quicker.

The share of the limit: the least time for the two products, at the speed of large ones,
and for the exponentials, at the speed of NumPy's, over the time of a step.
"""

import argparse
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import sklearn.mixture
from sklearn.exceptions import ConvergenceWarning
from timing import (
    exponentials,
    gemm_peak,
    interleaved,
    note,
    peak_memory,
    report,
    seconds,
)

from latent_book.expfam import statistic_size
from latent_book.mixture_models import BernoulliMixture, GaussianMixture

SIZES = [(100_000, 16, 16), (1_000_000, 8, 10), (50_000, 32, 8), (20_000, 64, 20)]
KINDS = ["full", "tied", "diag", "spherical"]


def clouds(N: int, D: int, K: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussians of different shapes that overlap a little."""
    centres = 2.5 * rng.normal(size=(K, D)) / np.sqrt(2)
    z = rng.choice(K, N, p=rng.dirichlet(np.full(K, 5.0)))
    X = np.empty((N, D))
    for k in range(K):
        turn = np.linalg.qr(rng.normal(size=(D, D)))[0] * np.sqrt(
            rng.uniform(0.2, 2, D)
        )
        X[z == k] = rng.normal(size=(np.sum(z == k), D)) @ turn.T + centres[k]
    return X


def start(kind: str, X: np.ndarray, K: int, rng: np.random.Generator) -> dict:
    """Arguments for both constructors."""
    precision = 1 / X[:5000].var(axis=0).mean()
    D = X.shape[1]
    precisions = {
        "full": np.tile(precision * np.eye(D), (K, 1, 1)),
        "tied": precision * np.eye(D),
        "diag": np.full((K, D), precision),
        "spherical": np.full(K, precision),
    }
    means = X[rng.choice(len(X), K, replace=False)]
    return {
        "n_components": K,
        "covariance_type": kind,
        "tol": 0.0,
        "weights_init": np.full(K, 1 / K),
        "means_init": means,
        "precisions_init": precisions[kind],
    }


def steps(
    N: int,
    D: int,
    K: int,
    kind: str,
    rounds: int,
    peaks: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    """One size and kind, step against step."""
    X = clouds(N, D, K, rng)
    arguments = start(kind, X, K, rng)

    def fit(model: type, max_iter: int):
        return model(**arguments, max_iter=max_iter).fit(X)

    models = {"ours": GaussianMixture, "theirs": sklearn.mixture.GaussianMixture}
    runs = {
        f"{name} {n}": lambda m=m, n=n: fit(m, n)
        for name, m in models.items()
        for n in (6, 1)
    }
    times = interleaved(
        runs, rounds, 3 if N <= 100_000 else 1
    )  # a short step drowns in a single time
    step = {name: (times[f"{name} 6"] - times[f"{name} 1"]) / 5 for name in models}
    bound = {name: fit(m, 6).lower_bound_ for name, m in models.items()}
    held = {name: peak_memory(lambda m=m: fit(m, 2)) for name, m in models.items()}
    least = 4 * N * statistic_size(kind, D) * K / peaks[0] + N * K / peaks[1]
    report(
        f"mixture, {kind}",
        f"a step, {N:,} x {D}, K = {K}",
        "scikit-learn",
        1e3 * step["ours"],
        1e3 * step["theirs"],
        quality=f"bounds {abs(bound['ours'] - bound['theirs']):.0e} apart",
        memory=(held["ours"], held["theirs"]),
        limit=least / np.median(step["ours"]),
    )


def whole_fits(kind: str, rng: np.random.Generator) -> None:
    """Fits as they come, over ten seeds."""
    X = clouds(*SIZES[0], rng)
    models = {"ours": GaussianMixture, "theirs": sklearn.mixture.GaussianMixture}
    times, better = {name: [] for name in models}, []
    for seed in range(10):
        bound = {}
        for name, model in models.items():
            fitted = model(SIZES[0][2], covariance_type=kind, random_state=seed)
            times[name].append(1e3 * seconds(lambda m=fitted: m.fit(X)))
            bound[name] = fitted.lower_bound_
        better.append(bound["ours"] - bound["theirs"])
    apart = f"{np.mean(better):+.3f} nats a point"
    report(
        f"mixture, {kind}",
        "whole fits of ten seeds, {:,} x {}, K = {}".format(*SIZES[0]),
        "scikit-learn",
        times["ours"],
        times["theirs"],
        quality=f"bound {apart} ({min(better):+.3f} to {max(better):+.3f})",
    )


ON_DISK = """
import resource, sys, time
import psutil
import numpy as np
from latent_book.mixture_models import GaussianMixture
import sklearn.cluster
X = np.memmap(sys.argv[1], dtype="float32", mode="r", shape=(10_000_000, 16))
GaussianMixture(2, max_iter=1, tol=0).fit(np.random.default_rng(0).normal(size=(500, 16)).astype("float32"))
before = psutil.Process().memory_info().rss / 2**20
begin = time.perf_counter()
m = GaussianMixture(8, max_iter=5, tol=0, random_state=0).fit(X)
held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
print(time.perf_counter() - begin, held)
"""


def on_disk(rng: np.random.Generator) -> None:
    """A file of 610 MiB, and a process that fits it."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "X.bin"
        with place.open("wb") as file:
            for _ in range(100):
                clouds(100_000, 16, 8, rng).astype(np.float32).tofile(file)
        run = [sys.executable, "-W", "ignore", "-c", ON_DISK, str(place)]
        took, held = map(
            float,
            subprocess.run(
                run, check=True, capture_output=True, text=True
            ).stdout.split(),
        )
        size = place.stat().st_size / 2**20
    print(
        f"10,000,000 x 16 in a file of {size:.0f} MiB, K = 8, five steps: {took:.1f} s, {held:.0f} MiB held beyond the interpreter"
    )
    assert held < 500
    note(
        {
            "what": "mixture, full",
            "task": "10,000,000 x 16 in a file, K = 8, five steps",
            "seconds": took,
            "held": held,
            "file": size,
        }
    )


def pomegranate_steps(rounds: int, only: str, rng: np.random.Generator) -> None:
    """Step against step with pomegranate, from the same means and equal covariances, in
    its single precision and ours.
    """
    import torch
    from pomegranate.distributions import Bernoulli, Normal
    from pomegranate.gmm import GeneralMixtureModel

    cases = [
        (kind, size) for kind in ("full", "diag") for size in SIZES[:1] + SIZES[2:]
    ]
    for kind, (N, D, K) in [*cases, ("bernoulli", (20_000, 784, 10))]:
        if not kind.startswith(only):
            continue
        X = clouds(N, D, K, rng).astype(np.float32)
        if kind == "bernoulli":
            # a twentieth of the pixels turned round: where a component never sees a
            # pixel lit, pomegranate's log p is not a number
            X = ((X > 0.5) ^ (rng.random(X.shape) < 0.05)).astype(np.float32)
            means = 0.25 + 0.5 * X[rng.choice(N, K, replace=False)]
            arguments = {
                "n_components": K,
                "tol": 0.0,
                "weights_init": np.full(K, 1 / K),
                "means_init": means,
                "binarize": None,
            }
        else:
            arguments = start(kind, X, K, rng)
            means = arguments["means_init"]
        spread = X[:5000].var(axis=0).mean()

        def ours(n: int, X=X, kind=kind, arguments=arguments):
            return (BernoulliMixture if kind == "bernoulli" else GaussianMixture)(
                **arguments, max_iter=n
            ).fit(X)

        def theirs(n: int, X=X, kind=kind, D=D, means=means, spread=spread):
            if kind == "bernoulli":
                parts = [Bernoulli(m) for m in means]
            else:
                covariance = (
                    spread * np.eye(D, dtype="float32")
                    if kind == "full"
                    else np.full(D, spread, "float32")
                )
                parts = [Normal(m, covariance, covariance_type=kind) for m in means]
            return GeneralMixtureModel(parts, max_iter=n, tol=-np.inf).fit(
                torch.from_numpy(X)
            )

        runs = {
            f"{f.__name__} {n}": lambda f=f, n=n: f(n)
            for f in (ours, theirs)
            for n in (6, 1)
        }
        times = interleaved(runs, rounds, 1)
        step = {
            name: (times[f"{name} 6"] - times[f"{name} 1"]) / 5
            for name in ("ours", "theirs")
        }
        apart = ours(6).score(X) - float(
            theirs(6).log_probability(torch.from_numpy(X)).mean()
        )
        report(
            f"mixture, {kind}",
            f"a step in single precision, {N:,} x {D}, K = {K}",
            "pomegranate",
            1e3 * step["ours"],
            1e3 * step["theirs"],
            quality=f"log p {apart:+.0e} nats a point",
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--only", default="", help="the kinds of covariance whose name starts so"
    )
    parser.add_argument(
        "--fits", action="store_true", help="whole fits instead of steps"
    )
    parser.add_argument(
        "--disk", action="store_true", help="ten million rows from a file"
    )
    parser.add_argument(
        "--pomegranate", action="store_true", help="against pomegranate"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(0)
    if options.disk:
        return on_disk(rng)
    if options.pomegranate:
        return pomegranate_steps(options.rounds, options.only, rng)
    peaks = gemm_peak(rng), exponentials(rng)
    print(
        f"this machine: {peaks[0] / 1e9:.0f} GFlop/s in large matrix products, {peaks[1] / 1e9:.2f} exponentials a nanosecond"
    )
    for kind in [k for k in KINDS if k.startswith(options.only)]:
        if options.fits:
            whole_fits(kind, rng)
        else:
            for size in SIZES:
                steps(*size, kind, options.rounds, peaks, rng)


if __name__ == "__main__":
    main()
