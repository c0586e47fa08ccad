"""GANs on digits side by side with the loop that people write: a DataLoader, BCELoss on
a sigmoid, two passes of the discriminator.

    python benchmarks/gan.py [--rounds 5] [--epochs 4] [--threads 2]

The same networks from the same weights, the same number of updates of both players by
the same steps (they shrink as a cosine, in the usual loop, too), batches of 64. Two
pairs: multilayer perceptrons (the usual loop against the library's rounds in single
precision and in bfloat16), and small convolutional networks (the library's bfloat16
with channels last). Every round runs all loops, so that a slow moment of the machine
hits all alike. Printed: milliseconds an update of both players, and the ratio of the
usual loop's time to each with its range over the rounds; above 1 means quicker than the
usual. The last column is the discriminator's mean loss in the last epoch, with its
standard deviation over the rounds, each of which has other weights, another order and
other noise.
"""

import argparse
import math
from collections.abc import Callable

import numpy as np
import torch
from timing import has_bfloat16, interleaved, peak_resident, report
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from latent_book.autoencoder import mlp
from latent_book.data import mnist
from latent_book.gan import GAN
from latent_book.training import seeded

BATCH, CAUSES = 64, 64


class Convolutional(nn.Module):
    """Layers that see images, between rows of numbers."""

    def __init__(
        self, shape: tuple[int, ...], *layers: nn.Module, channels_last: bool
    ) -> None:
        super().__init__()
        self.shape, self.layers, self.channels_last = (
            shape,
            nn.Sequential(*layers),
            channels_last,
        )
        if channels_last:
            self.layers.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(-1, *self.shape)
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        return self.layers(x).flatten(1)


def perceptrons(seed: int) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator, from the same weights for the same seed."""
    with seeded(seed):
        return mlp([CAUSES, 256, 256, 784], nn.Sigmoid()), mlp([784, 256, 256, 1])


def convolutions(seed: int, channels_last: bool = False) -> tuple[nn.Module, nn.Module]:
    with seeded(seed):
        generator = Convolutional(
            (CAUSES, 1, 1),
            nn.ConvTranspose2d(CAUSES, 64, 7), nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Sigmoid(),
            channels_last=channels_last,
        )  # fmt: skip
        discriminator = Convolutional(
            (1, 28, 28),
            nn.Conv2d(1, 32, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(64, 1, 7),
            channels_last=channels_last,
        )  # fmt: skip
    return generator, discriminator


def usual(
    X: Tensor, players: tuple[nn.Module, nn.Module], epochs: int, seed: int
) -> float:
    """What one finds in most tutorials; returns the discriminator's mean loss in the
    last epoch.
    """
    torch.manual_seed(seed)
    generator, discriminator = players
    judge = nn.Sequential(discriminator, nn.Sigmoid())
    loader = DataLoader(
        TensorDataset(X), batch_size=BATCH, shuffle=True, drop_last=True
    )
    adam_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    adam_d = torch.optim.Adam(judge.parameters(), lr=2e-4, betas=(0.5, 0.999))
    entropy = nn.BCELoss()
    ones, zeros = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
    step, total = 0, epochs * len(loader)
    for _ in range(epochs):
        lost = 0.0
        for (real,) in loader:
            lr = 2e-4 * 0.5 * (1 + math.cos(math.pi * step / total))
            adam_g.param_groups[0]["lr"] = adam_d.param_groups[0]["lr"] = lr
            step += 1
            made = generator(torch.randn(BATCH, CAUSES))
            adam_d.zero_grad()
            loss_d = entropy(judge(real), ones) + entropy(judge(made.detach()), zeros)
            loss_d.backward()
            adam_d.step()
            adam_g.zero_grad()
            # this leaves slopes in the discriminator, too
            loss_g = entropy(judge(made), ones)
            loss_g.backward()
            adam_g.step()
            lost += loss_d.item()
    return lost / len(loader)


def ours(
    X: Tensor,
    players: tuple[nn.Module, nn.Module],
    epochs: int,
    seed: int,
    bfloat16: bool = False,
) -> float:
    """The library's estimator, on the same networks and for as many updates."""
    generator, discriminator = players
    model = GAN(
        CAUSES,
        generator=generator,
        discriminator=discriminator,
        penalty=0.0,
        epochs=epochs,
        lr=2e-4,
        batch_size=BATCH,
        bfloat16=bfloat16,
        device="cpu",
        random_state=seed,
    )
    return model.fit(X).history_.discriminator[-1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=6000)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    digits = mnist("train", np.float32).X[: options.rows]
    X = torch.from_numpy(digits.reshape(len(digits), -1))
    updates = options.epochs * (len(X) // BATCH)
    print(
        f"{len(X)} digits, batches of {BATCH}, {updates} updates of both players, {options.threads} threads\n"
    )
    short = has_bfloat16()
    pairs: dict[str, dict[str, Callable[[int], float]]] = {
        "perceptrons": {
            "usual": lambda seed: usual(X, perceptrons(seed), options.epochs, seed),
            "ours": lambda seed: ours(X, perceptrons(seed), options.epochs, seed),
            "ours, bfloat16": lambda seed: ours(
                X, perceptrons(seed), options.epochs, seed, True
            ),
        },
        "convolutions": {
            "usual": lambda seed: usual(X, convolutions(seed), options.epochs, seed),
            "ours": lambda seed: ours(X, convolutions(seed), options.epochs, seed),
            "ours, channels last": lambda seed: ours(
                X, convolutions(seed, True), options.epochs, seed
            ),
            "ours, bfloat16, channels last": lambda seed: ours(
                X, convolutions(seed, True), options.epochs, seed, True
            ),
        },
    }
    for name, loops in pairs.items():
        lost: dict[str, list[float]] = {}

        def noting(
            label: str,
            loop: Callable[[int], float],
            lost: dict[str, list[float]] = lost,
        ) -> Callable[[], None]:
            def run() -> None:
                seen = lost.setdefault(label, [])
                seen.append(loop(len(seen)))  # the seed of the round

            return run

        taking_part = {
            k: noting(k, loop)
            for k, loop in loops.items()
            if short or "bfloat16" not in k
        }
        times = interleaved(taking_part, options.rounds, 1)
        ends = {
            k: f"{np.mean(v):.2f} ± {np.std(v, ddof=1):.2f}" for k, v in lost.items()
        }
        held = {label: peak_resident(loop) for label, loop in taking_part.items()}
        for label in list(taking_part)[1:]:
            report(
                "GAN" + label.removeprefix("ours"),
                f"an update of both, {name}",
                "the usual loop",
                1e3 * times[label] / updates,
                1e3 * times["usual"] / updates,
                quality=f"discriminator's loss {ends[label]}, theirs {ends['usual']}",
                memory=(held[label], held["usual"]),
            )


if __name__ == "__main__":
    main()
