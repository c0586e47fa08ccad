"""PCA side by side with scikit-learn: every shape, every solver of theirs that can
finish, interleaved in one run.

    python benchmarks/pca.py [--rounds 7] [--only wide]

Each round runs ours, then each of theirs, so that a slow moment of the machine hits all
alike. Printed for each shape: the ratio of the best of *their* solvers (by median) to
ours, with the range of that ratio over the rounds; how far each one's explained
variance falls short of the exact one; and, where the work is one product, what share of
the machine's matrix-product peak the moments reach. A ratio above 1 means that ours is
quicker.
"""

import argparse

import numpy as np
import scipy.linalg
from sklearn.decomposition import PCA as TheirPCA
from sklearn.decomposition import IncrementalPCA
from timing import gemm_peak, interleaved, peak_memory, report, seconds

from latent_book.linalg import moments
from latent_book.pca import PCA


def images(N: int, D: int, rng: np.random.Generator) -> np.ndarray:
    """Rows with the spectrum of natural images: variances that fall as a power law, a
    mean, a little white noise.
    """
    rank = min(N, D, 600)
    scale = np.arange(1, rank + 1) ** -0.5
    return (
        (rng.normal(size=(N, rank)) * scale) @ (rng.normal(size=(rank, D)) / np.sqrt(D))
        + 0.02 * rng.normal(size=(N, D))
        + 0.5
    )


def exact_variance(X: np.ndarray, L: int) -> float:
    """Variance of the L leading components, by the full spectrum in double precision."""
    Y = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
    S = Y @ Y.T if len(X) < X.shape[1] else Y.T @ Y
    top = scipy.linalg.eigh(
        S, eigvals_only=True, subset_by_index=[len(S) - L, len(S) - 1]
    )
    return top.sum() / (len(X) - 1)


SHAPES = {  # name: (N, D, L, dtype, their solvers, times to repeat within a round)
    "tall": (60_000, 784, 50, np.float64, ["covariance_eigh", "randomized"], 1),
    "tall, single precision": (
        60_000,
        784,
        50,
        np.float32,
        ["covariance_eigh", "randomized"],
        1,
    ),
    "long": (200_000, 128, 20, np.float64, ["covariance_eigh", "randomized"], 1),
    "wide": (400, 4096, 50, np.float64, ["full", "randomized", "arpack"], 3),
    "large": (5000, 4096, 50, np.float64, ["randomized", "arpack"], 1),
    "small": (500, 20, 5, np.float64, ["covariance_eigh", "full", "auto"], 50),
    "digits 8 x 8": (1797, 64, 16, np.float64, ["covariance_eigh", "full", "auto"], 20),
}


def compare(name: str, rounds: int, peak: float, rng: np.random.Generator) -> None:
    """One shape, ours against each of their solvers."""
    N, D, L, dtype, solvers, repeat = SHAPES[name]
    X = images(N, D, rng).astype(dtype)
    models = {"ours": PCA(L, random_state=0)} | {
        s: TheirPCA(L, svd_solver=s, random_state=0) for s in solvers
    }
    times = interleaved(
        {k: lambda m=m: m.fit(X) for k, m in models.items()}, rounds, repeat
    )
    best = min(solvers, key=lambda s: np.median(times[s]))
    exact = exact_variance(X, L)
    lost = {
        k: 1 - float(models[k].explained_variance_.sum()) / exact
        for k in ("ours", best)
    }
    held = tuple(peak_memory(lambda m=models[k]: m.fit(X)) for k in ("ours", best))
    limit = None
    if D <= 1000 < N and dtype is np.float64:  # the work is one product: the moments
        limit = N * D * D / min(seconds(lambda: moments(X)) for _ in range(3)) / peak
    report(
        "PCA",
        f"{name}: {N:,} x {D:,}, {L} components, {np.dtype(dtype).name}",
        f"scikit-learn, {best}",
        1e3 * times["ours"],
        1e3 * times[best],
        quality=f"variance short by {lost['ours']:.0e}, theirs by {lost[best]:.0e}",
        memory=held,
        limit=limit,
    )


def against_incremental(rounds: int, rng: np.random.Generator) -> None:
    """Blocks of rows, as they come."""
    X = images(20_000, 784, rng)
    blocks = [X[i : i + 4000] for i in range(0, len(X), 4000)]

    def stream(model):
        for block in blocks:
            model.partial_fit(block)
        return model.explained_variance_

    runs = {
        "ours": lambda: stream(PCA(50)),
        "theirs": lambda: stream(IncrementalPCA(50)),
    }
    times = interleaved(runs, min(rounds, 3), 1)
    exact = exact_variance(X, 50)
    lost = {k: 1 - run().sum() / exact for k, run in runs.items()}
    held = tuple(map(peak_memory, runs.values()))
    report(
        "PCA",
        "in 5 blocks: 20,000 x 784, 50 components",
        "scikit-learn, IncrementalPCA",
        1e3 * times["ours"],
        1e3 * times["theirs"],
        quality=f"variance short by {lost['ours']:.0e}, theirs by {lost['theirs']:.0e}",
        memory=held,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--only", default="", help="run the shapes whose name starts so"
    )
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    peak = gemm_peak(rng)
    print(
        f"matrix-product peak of this machine: {peak / 1e9:.0f} GFlop/s in double precision\n"
    )
    for name in SHAPES:
        if name.startswith(options.only):
            compare(name, options.rounds, peak, rng)
    if "in blocks".startswith(options.only):
        against_incremental(options.rounds, rng)


if __name__ == "__main__":
    main()
