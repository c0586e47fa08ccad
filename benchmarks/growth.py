"""How the cost of a fit grows with the number of points, of features and of parts.

    python benchmarks/growth.py [--rounds 3]

One EM step of each kind of mixture (a fit of many steps less a fit of one) and one fit of PCA, along one size at a time while
the others stand still. Printed: the times in milliseconds, and the exponent b of a power law, time = a size^b, fitted by least
squares on both logarithms to the larger half of the sizes, where the constant costs are small.
"""

import argparse
import warnings
from collections.abc import Callable

import numpy as np
from em import start
from sklearn.exceptions import ConvergenceWarning
from timing import interleaved, note

from latent_book.em import GaussianMixture
from latent_book.pca import PCA

SIZES = {"N": [1000, 4000, 16_000, 64_000, 256_000, 1_000_000], "D": [2, 4, 8, 16, 32, 64, 128], "K": [1, 4, 16, 64, 256, 1000]}  # fmt: skip
STANDING = {"N": 20_000, "D": 16, "K": 8}
PCA_SIZES = {"N": SIZES["N"], "D": [4, 16, 64, 256, 1024, 4096]}


def em_step(kind: str, N: int, D: int, K: int, rounds: int) -> float:
    """Milliseconds of one step, the least of a few rounds."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D))
    arguments, steps = start(kind, X, K, rng), 5 if N * D * K > 10**7 else 40

    def run(steps: int) -> Callable[[], object]:
        return lambda: GaussianMixture(**arguments, max_iter=steps).fit(X)

    times = interleaved({"more": run(steps + 1), "one": run(1)}, rounds, 1)
    return 1e3 * (times["more"].min() - times["one"].min()) / steps


def pca_fit(N: int, D: int, rounds: int) -> float:
    """Milliseconds of one fit of ten components."""
    X = np.random.default_rng(0).normal(size=(N, D))
    times = interleaved({"fit": lambda: PCA(min(10, D), random_state=0).fit(X)}, rounds, 1)
    return 1e3 * times["fit"].min()


def told(what: str, over: str, sizes: list[int], times: list[float]) -> None:
    """Print and note one curve."""
    half = len(sizes) // 2
    exponent = np.polyfit(np.log(sizes[half:]), np.log(times[half:]), 1)[0]
    line = ", ".join(f"{n:,}: {t:.3g}" for n, t in zip(sizes, times, strict=True))
    print(f"{what} over {over}: {line} ms; exponent {exponent:.2f}", flush=True)
    note({"what": what, "over": over, "sizes": sizes, "ms": times, "exponent": float(exponent)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    for kind in ("full", "diag"):
        for over, sizes in SIZES.items():
            times = [em_step(kind, **STANDING | {over: n}, rounds=options.rounds) for n in sizes]
            told(f"mixture, {kind}", over, sizes, times)
    for over, sizes in PCA_SIZES.items():
        standing = {"N": 5000, "D": 64}
        times = [pca_fit(**standing | {over: n}, rounds=options.rounds) for n in sizes]
        told("PCA", over, sizes, times)


if __name__ == "__main__":
    main()
