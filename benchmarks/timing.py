"""How the benchmarks take their times: interleaved, with a rest before each run."""

import time
from collections.abc import Callable

import numpy as np


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def gemm_peak(rng: np.random.Generator) -> float:
    """Floating-point operations a second in a large matrix product, the best of five."""
    A = rng.normal(size=(3000, 3000))
    return 2 * 3000**3 / min(seconds(lambda: A @ A) for _ in range(5))


def interleaved(runs: dict[str, Callable], rounds: int, repeat: int) -> dict[str, np.ndarray]:
    """Seconds of each run in each round; every round runs all.

    Before each run the machine rests: the threads of a matrix library spin on for a while after their work, and would
    charge one run with the other's.
    """
    for run in runs.values():
        run()  # the first one pays for pages and threads
    times: list[dict[str, float]] = []
    for _ in range(rounds):
        times.append({})
        for name, run in runs.items():
            time.sleep(0.3)
            times[-1][name] = min(seconds(run) for _ in range(repeat))
    return {name: np.array([t[name] for t in times]) for name in runs}
