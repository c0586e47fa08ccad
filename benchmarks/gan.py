"""GANs on digits side by side with the loop that people write: a DataLoader, BCELoss on a sigmoid, two passes of the discriminator.

    python benchmarks/gan.py [--rounds 5] [--epochs 2] [--threads 2]

The same networks from the same weights, the same number of updates of both players, batches of 64. Two pairs: multilayer
perceptrons (the usual loop against the library's rounds in single precision and in bfloat16), and small convolutional networks
(the library's bfloat16 with channels last). Every round runs all loops, so that a slow moment
of the machine hits all alike. Printed: milliseconds an update of both players, and the ratio of the usual loop's time to each with
its range over the rounds; above 1 means quicker than the usual. The last column is the discriminator's mean loss in the last epoch: the
games are games. (They differ: the library's steps shrink as a cosine.)
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from timing import interleaved, report
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from latent_book.autoencoder import mlp
from latent_book.data import mnist
from latent_book.gan import GAN
from latent_book.training import seeded

BATCH, CAUSES = 64, 64


class Convolutional(nn.Module):
    """Layers that see images, between rows of numbers."""

    def __init__(self, shape: tuple[int, ...], *layers: nn.Module, channels_last: bool) -> None:
        super().__init__()
        self.shape, self.layers, self.channels_last = shape, nn.Sequential(*layers), channels_last
        if channels_last:
            self.layers.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(-1, *self.shape)
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        return self.layers(x).flatten(1)


def perceptrons() -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator, always from the same weights."""
    with seeded(0):
        return mlp([CAUSES, 256, 256, 784], nn.Sigmoid()), mlp([784, 256, 256, 1])


def convolutions(channels_last: bool = False) -> tuple[nn.Module, nn.Module]:
    with seeded(0):
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


def usual(X: Tensor, players: tuple[nn.Module, nn.Module], epochs: int) -> float:
    """What one finds in most tutorials; returns the discriminator's mean loss in the last epoch."""
    torch.manual_seed(0)
    generator, discriminator = players
    judge = nn.Sequential(discriminator, nn.Sigmoid())
    loader = DataLoader(TensorDataset(X), batch_size=BATCH, shuffle=True, drop_last=True)
    adam_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    adam_d = torch.optim.Adam(judge.parameters(), lr=2e-4, betas=(0.5, 0.999))
    entropy = nn.BCELoss()
    ones, zeros = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
    for _ in range(epochs):
        lost = 0.0
        for (real,) in loader:
            made = generator(torch.randn(BATCH, CAUSES))
            adam_d.zero_grad()
            loss_d = entropy(judge(real), ones) + entropy(judge(made.detach()), zeros)
            loss_d.backward()
            adam_d.step()
            adam_g.zero_grad()
            loss_g = entropy(judge(made), ones)  # this leaves slopes in the discriminator, too
            loss_g.backward()
            adam_g.step()
            lost += loss_d.item()
    return lost / len(loader)


def ours(
    X: Tensor, players: tuple[nn.Module, nn.Module], epochs: int, bfloat16: bool = False
) -> float:
    """The library's estimator, on the same networks and for as many updates."""
    generator, discriminator = players
    model = GAN(
        CAUSES, generator=generator, discriminator=discriminator, penalty=0.0, epochs=epochs, lr=2e-4,
        batch_size=BATCH, bfloat16=bfloat16, device="cpu",
    )  # fmt: skip
    return model.fit(X).history_.discriminator[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
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
    pairs: dict[str, dict[str, Callable[[], float]]] = {
        "perceptrons": {
            "usual": lambda: usual(X, perceptrons(), options.epochs),
            "ours": lambda: ours(X, perceptrons(), options.epochs),
            "ours, bfloat16": lambda: ours(X, perceptrons(), options.epochs, True),
        },
        "convolutions": {
            "usual": lambda: usual(X, convolutions(), options.epochs),
            "ours": lambda: ours(X, convolutions(), options.epochs),
            "ours, bfloat16, channels last": lambda: ours(
                X, convolutions(True), options.epochs, True
            ),
        },
    }
    for name, loops in pairs.items():
        lost: dict[str, float] = {}

        def noting(
            label: str, loop: Callable[[], float], lost: dict[str, float] = lost
        ) -> Callable[[], None]:
            def run() -> None:
                lost[label] = loop()

            return run

        times = interleaved({k: noting(k, loop) for k, loop in loops.items()}, options.rounds, 1)
        for label in list(loops)[1:]:
            report(
                "GAN" + label.removeprefix("ours"), f"an update of both, {name}", "the usual loop", 1e3 * times[label] / updates,
                1e3 * times["usual"] / updates, quality=f"discriminator's loss {lost[label]:.2f}, theirs {lost['usual']:.2f}",
            )  # fmt: skip


if __name__ == "__main__":
    main()
