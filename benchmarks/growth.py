"""How the cost of a fit grows with the number of points, of features and of parts.

    python benchmarks/growth.py [--rounds 3] [--only VAE]

One EM step of each kind of mixture (a fit of many steps less a fit of one), one fit of
PCA, and one epoch of a VAE and of a GAN (a fit of three epochs less a fit of one, over
two), along one size at a time while the others stand still. Printed: the times in
milliseconds, and the exponent b of a power law, time = a size^b, fitted by least
squares on both logarithms to the larger half of the sizes, where the constant costs are
small.
"""

import argparse
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from em import KINDS, start
from sklearn.exceptions import ConvergenceWarning
from timing import interleaved, note

from latent_book.em import BernoulliMixture, GaussianMixture
from latent_book.gan import GAN
from latent_book.pca import PCA
from latent_book.vae import VAE

SIZES = {
    "N": [1000, 4000, 16_000, 64_000, 256_000, 1_000_000],
    "D": [2, 4, 8, 16, 32, 64, 128],
    "K": [1, 4, 16, 64, 256, 1000],
}
STANDING = {"N": 20_000, "D": 16, "K": 8}
PCA_SIZES = {"N": SIZES["N"], "D": [4, 16, 64, 256, 1024, 4096]}
NETWORK_SIZES = {"N": [256, 1024, 4096, 16_384, 65_536], "D": [16, 64, 256, 1024, 4096]}


def em_step(kind: str, N: int, D: int, K: int, rounds: int) -> float:
    """Milliseconds of one step, the least of a few rounds."""
    rng = np.random.default_rng(0)
    steps = 5 if N * D * K > 10**7 and kind != "Bernoulli" else 40
    if kind == "Bernoulli":
        # independent bits would be fitted at once
        kinds = rng.uniform(0.2, 0.8, size=(8, D))
        X = (rng.random((N, D)) < kinds[rng.integers(8, size=N)]).astype(float)
        means = 0.25 + 0.5 * X[rng.choice(N, K, replace=False)]
        arguments = {
            "n_components": K,
            "tol": 0.0,
            "weights_init": np.full(K, 1 / K),
            "means_init": means,
            "binarize": None,
        }
    else:
        X = rng.normal(size=(N, D))
        arguments = start(kind, X, K, rng)
    model = BernoulliMixture if kind == "Bernoulli" else GaussianMixture

    def run(steps: int) -> Callable[[], None]:
        def fit() -> None:
            assert model(**arguments, max_iter=steps).fit(X).n_iter_ == steps

        return fit

    times = interleaved({"more": run(steps + 1), "one": run(1)}, rounds, 1)
    return 1e3 * (times["more"].min() - times["one"].min()) / steps


def epoch(model: type[VAE | GAN], N: int, D: int, rounds: int) -> float:
    """Milliseconds of one epoch with the defaults, the least of a few rounds."""
    X = np.random.default_rng(0).integers(0, 2, size=(N, D)).astype(np.float32)

    def run(epochs: int) -> Callable[[], object]:
        return lambda: model(epochs=epochs, random_state=0, device="cpu").fit(X)

    times = interleaved({"more": run(3), "one": run(1)}, rounds, 1)
    return 1e3 * (times["more"].min() - times["one"].min()) / 2


def pca_fit(N: int, D: int, rounds: int) -> float:
    """Milliseconds of one fit of ten components."""
    X = np.random.default_rng(0).normal(size=(N, D))
    times = interleaved(
        {"fit": lambda: PCA(min(10, D), random_state=0).fit(X)}, rounds, 1
    )
    return 1e3 * times["fit"].min()


def told(what: str, over: str, sizes: list[int], times: list[float]) -> None:
    """Print and note one curve."""
    half = len(sizes) // 2
    exponent = np.polyfit(np.log(sizes[half:]), np.log(times[half:]), 1)[0]
    line = ", ".join(f"{n:,}: {t:.3g}" for n, t in zip(sizes, times, strict=True))
    print(f"{what} over {over}: {line} ms; exponent {exponent:.2f}", flush=True)
    note(
        {
            "what": what,
            "over": over,
            "sizes": sizes,
            "ms": times,
            "exponent": float(exponent),
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="what is named so")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    runs = {
        f"mixture, {kind}": (partial(em_step, kind), STANDING, SIZES)
        for kind in (*KINDS, "Bernoulli")
    }
    runs["PCA"] = (pca_fit, {"N": 5000, "D": 64}, PCA_SIZES)
    for model in (VAE, GAN):
        runs[model.__name__] = (
            partial(epoch, model),
            {"N": 2048, "D": 64},
            NETWORK_SIZES,
        )
    for what, (measure, standing, along) in runs.items():
        for over, sizes in along.items():
            if options.only in what:
                times = [
                    measure(**standing | {over: n}, rounds=options.rounds)
                    for n in sizes
                ]
                told(what, over, sizes, times)


if __name__ == "__main__":
    main()
