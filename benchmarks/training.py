"""The training loop side by side with the usual one: torch's DataLoader, its Adam as it
comes, `loss.item()` at each step.

    python benchmarks/training.py [--rounds 5] [--epochs 4] [--threads 2]

The same networks from the same weights, the same number of updates of the same size;
every round runs all loops, so that a slow moment of the machine hits all alike. Printed
for each network: the ratio of the usual loop's time to ours with its range over the
rounds, and the loss of each on held-out digits with its spread over seeds. A ratio
above 1 means that ours is quicker.
"""

import argparse
import itertools
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from timing import has_bfloat16, report
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from latent_book.data import mnist
from latent_book.training import held_out_loss, seeded, train


def network(widths: Sequence[int]) -> nn.Sequential:
    """An autoencoder with these widths, always from the same weights."""
    layers: list[nn.Module] = []
    with seeded(0):
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Sigmoid())


def squared_error(model: nn.Module, x: Tensor, generator: object = None) -> Tensor:
    return (model(x) - x).square().sum(1).mean()


def usual(X: Tensor, net: nn.Module, epochs: int, seed: int) -> None:
    """What one finds in most tutorials."""
    torch.manual_seed(seed)
    loader = DataLoader(TensorDataset(X), batch_size=128, shuffle=True)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(epochs):
        total = 0.0
        for (x,) in loader:
            loss = squared_error(net, x)
            adam.zero_grad()
            loss.backward()
            adam.step()
            total += loss.item()


def ours(
    X: Tensor, net: nn.Module, epochs: int, seed: int, bfloat16: bool = False
) -> None:
    train(
        net,
        squared_error,
        X,
        epochs=epochs,
        schedule="constant",
        random_state=seed,
        bfloat16=bfloat16,
        device="cpu",
        progress=False,
    )


LOOPS: dict[str, Callable[[Tensor, nn.Module, int, int], None]] = {
    "usual": usual,
    "ours": ours,
    "ours, bfloat16": lambda X, net, epochs, seed: ours(
        X, net, epochs, seed, bfloat16=True
    ),
}
NETWORKS = {
    "small": [784, 128, 16, 128, 784],
    "deep": [784, 256, 64, 16, 64, 256, 784],
    "wide": [784, 1024, 256, 32, 256, 1024, 784],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    X, X_val = (
        torch.from_numpy(mnist(part, np.float32).X) for part in ("train", "test")
    )
    print(
        f"{len(X)} digits, batches of 128, {options.epochs} epochs, {options.threads} threads\n"
    )
    if not has_bfloat16():
        del LOOPS["ours, bfloat16"]
    for widths in NETWORKS.values():
        times = np.zeros((options.rounds + 1, len(LOOPS)))
        losses = times.copy()
        for seed in range(len(times)):  # the first round pays for pages and threads
            for k, loop in enumerate(LOOPS.values()):
                net = network(widths)
                start = time.perf_counter()
                loop(X, net, options.epochs, seed)
                times[seed, k] = time.perf_counter() - start
                losses[seed, k] = held_out_loss(net, squared_error, X_val)
        times = times[1:]
        updates = options.epochs * -(-len(X) // 128)
        took, ends = 1e3 * times / updates, losses.mean(axis=0)
        for k, label in list(enumerate(LOOPS))[1:]:
            report(
                "training loop" + label.removeprefix("ours"),
                f"a step, {' - '.join(map(str, widths))}",
                "DataLoader loop",
                took[:, k],
                took[:, 0],
                quality=f"held-out loss {ends[k]:.2f}, theirs {ends[0]:.2f}, spread {losses[:, 0].std(ddof=1):.2f}",
            )


if __name__ == "__main__":
    main()
