"""How the benchmarks take their times (interleaved, with a rest before each run), and
how they tell them.
"""

import ctypes
import gc
import json
import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def gemm_peak(rng: np.random.Generator) -> float:
    """Floating-point operations a second in a large matrix product, the best of five."""
    A = rng.normal(size=(3000, 3000))
    return 2 * 3000**3 / min(seconds(lambda: A @ A) for _ in range(5))


def exponentials(rng: np.random.Generator) -> float:
    """NumPy's exponentials a second, on all cores, for numbers in the cache; the best
    of twenty.
    """
    x = -rng.exponential(size=(8, 2048))
    out = np.empty_like(x)
    return (
        (os.cpu_count() or 1)
        * x.size
        / min(seconds(lambda: np.exp(x, out=out)) for _ in range(20))
    )


def peak_memory(run: Callable[[], object]) -> float:
    """Megabytes of NumPy's that a run holds at most, beyond what was there before."""
    tracemalloc.start()
    run()
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return held / 1e6


def peak_resident(run: Callable[[], object]) -> float | None:
    """Megabytes that the process comes to hold at most during a run, beyond what it
    held before; for what torch takes, which tracemalloc does not see. Linux tells it;
    elsewhere None.
    """

    def told(field: str) -> int:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(
            next(
                line for line in status.splitlines() if line.startswith(field)
            ).split()[1]
        )

    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        # sets the mark of the most so far down to what is held now
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = told("VmRSS")
    except (OSError, AttributeError):
        return None
    run()
    return (told("VmHWM") - before) * 1024 / 1e6


def has_bfloat16() -> bool:
    """Does this processor multiply 16-bit numbers quicker than 32-bit ones? Without the
    instructions it is many times slower.
    """
    exact = torch.ones(512, 512)
    short = exact.bfloat16()
    times = [min(seconds(lambda A=A: A @ A) for _ in range(5)) for A in (exact, short)]
    if times[1] < times[0]:
        return True
    print(
        f"bfloat16 is left out: on this processor its products take {times[1] / times[0]:.1f} times as long as single precision's\n"
    )
    return False


def interleaved(
    runs: dict[str, Callable], rounds: int, repeat: int
) -> dict[str, np.ndarray]:
    """Seconds of each run in each round; every round runs all.

    Before each run the machine rests: the threads of a matrix library spin on for a
    while after their work, and would charge one run with the other's.
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


def report(
    what: str,
    task: str,
    peer: str,
    ours: ArrayLike,
    theirs: ArrayLike,
    *,
    quality: str,
    memory: tuple[float | None, float | None] | None = None,
    limit: float | None = None,
) -> None:
    """Print one comparison, and `note` it.

    `ours` and `theirs`: milliseconds of each round. `quality`: how the results differ.
    `memory`: megabytes held beyond the data by ours and theirs. `limit`: the share of
    the machine's matrix-product peak that ours reaches.
    """
    ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    ratio = theirs / ours
    if memory is not None and None in memory:
        memory = None
    row = {
        "what": what,
        "task": task,
        "peer": peer,
        "ours": float(np.median(ours)),
        "theirs": float(np.median(theirs)),
        "ratio": float(np.median(ratio)),
        "low": float(ratio.min()),
        "high": float(ratio.max()),
        "rounds": len(ratio),
        "quality": quality,
        "memory": memory,
        "limit": limit,
    }
    held = (
        "" if memory is None else f"  memory {memory[0]:.0f} against {memory[1]:.0f} MB"
    )
    share = "" if limit is None else f"  {limit:.0%} of the limit"
    print(
        f"{what}, {task}: {row['ours']:.2f} ms against {row['theirs']:.2f} of {peer}, ratio {row['ratio']:.2f} "
        f"({row['low']:.2f} to {row['high']:.2f});  {quality}{held}{share}",
        flush=True,
    )
    note(row)


def note(row: dict) -> None:
    """Add a row to the file that RECORD names, if it names one, as one line of JSON."""
    if "RECORD" in os.environ:
        with Path(os.environ["RECORD"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
