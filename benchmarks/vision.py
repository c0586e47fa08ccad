"""What the vision chapter's pictures cost: drawing them, and analysing them by descent
or by the learned network.

    python benchmarks/vision.py [--rounds 5] [--threads 1]

Printed: the seconds that 10,000 pictures take, for each shape (the aim is less than
one); the same with the slopes along one cause; and for 200 pictures how many times as
long a descent of 200 steps takes as one pass of the network, as a ratio of the two in
each round, so that a slow moment of the machine hits both.
"""

import argparse
import functools
import statistics

import torch
from timing import seconds

from latent_book.vision import SHAPES, Analyser, descend, render, sample_causes


def told(times: list[float]) -> str:
    """The median, and the range it lies in."""
    return f"{statistics.median(times):7.3f} ({min(times):.3f} to {max(times):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    chance = torch.Generator().manual_seed(0)
    z, nudge = sample_causes(10_000, chance), torch.zeros(10_000, 7)
    nudge[:, 0] = 1.0
    render(z[:1000])  # the first one pays for pages and threads
    for shape in SHAPES:
        times = [
            seconds(functools.partial(render, z, shape)) for _ in range(options.rounds)
        ]
        print(f"10,000 pictures of the {shape:9s} {told(times)} s")
    slopes = [
        seconds(lambda: torch.func.jvp(render, (z,), (nudge,)))
        for _ in range(options.rounds)
    ]
    print(f"and of the dart, with slopes  {told(slopes)} s")

    x, start = render(z[:200]), z[200:400]
    # how well it has learned makes no odds to its cost
    g = Analyser(steps=1).fit(x, z[:200])
    ratios = []
    for _ in range(options.rounds):
        walked = seconds(lambda: descend(x, start))
        ratios.append(walked / min(seconds(lambda: g.encode(x)) for _ in range(5)))
    print(f"descent of 200 steps over one pass of the network {told(ratios)}")


if __name__ == "__main__":
    main()
