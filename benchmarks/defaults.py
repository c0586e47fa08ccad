"""How long the four generative networks take with their defaults, on all shipped digits
at their full size, 28 x 28.

    python benchmarks/defaults.py [--threads 2]

The digits are black and white where the model wants them so. Each should end within a
minute on two cores.
"""

import argparse

import numpy as np
import torch
from timing import note, seconds

from latent_book.data import mnist
from latent_book.gan import GAN
from latent_book.vae import VAE
from latent_book.variational import NVIL, HelmholtzMachine


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=6000)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    grey = mnist("train", np.float32).X[: options.rows].reshape(-1, 784)
    inked = (grey > 0.5).astype(np.float32)
    for model, X in (
        (VAE(), inked),
        (GAN(), grey),
        (HelmholtzMachine(), inked),
        (NVIL(), inked),
    ):
        took, name = (
            seconds(lambda model=model, X=X: model.fit(X)),
            type(model).__name__,
        )
        task = f"fit with its defaults, {len(X):,} digits of 28 x 28"
        print(f"{name}, {task}: {took:.1f} s", flush=True)
        note({"what": name, "task": task, "fit_seconds": took, "limit": 60})


if __name__ == "__main__":
    main()
