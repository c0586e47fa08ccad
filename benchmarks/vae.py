"""The variational autoencoder side by side with the usual PyTorch loop and with pythae's trainer.

    python benchmarks/vae.py [--rounds 5] [--epochs 3] [--threads 2]   seconds a step, at equal updates
    python benchmarks/vae.py --budget 60 [--rounds 3]                  held-out bound after equal seconds
    python benchmarks/vae.py --burda FOLDER [--epochs 30]              the table of Burda, Grosse and Salakhutdinov (2016)

The network is 784-400-20-400-784 with Bernoulli pixels, its data the shipped digits. In the first table all take the same number of
updates on batches of 128, and every round runs all loops, so that a slow moment of the machine hits all alike; a ratio above 1 means
that ours is quicker. In the second each takes its own defaults: pythae's batches of 64 at a step of 1e-4, and `VAE`'s. pythae takes
part where it is installed. The third wants the folder with the four packed files of the full MNIST, and takes hours for good numbers.
"""

import argparse
import contextlib
import gzip
import importlib.util
import io
import itertools
import logging
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from timing import report
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from latent_book.data import mnist, read_idx
from latent_book.training import seeded, train
from latent_book.vae import VAE, VAENetwork, iwae_bound, log_weights, neg_elbo, neg_iwae

HIDDEN, CODE = 400, 20
PEERS = {"usual": "the usual loop", "pythae": "pythae"}
Encode = Callable[[Tensor], tuple[Tensor, Tensor]]
Decode = Callable[[Tensor], Tensor]


class Usual(nn.Module):
    """The VAE of most tutorials: two heads, a sigmoid at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Linear(784, HIDDEN)
        self.mu, self.log_var = nn.Linear(HIDDEN, CODE), nn.Linear(HIDDEN, CODE)
        self.up, self.out = nn.Linear(CODE, HIDDEN), nn.Linear(HIDDEN, 784)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = F.relu(self.trunk(x))
        return self.mu(h), self.log_var(h)

    def decode(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.out(F.relu(self.up(z))))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        z = mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)
        return self.decode(z), mu, log_var


def usual(X: Tensor, epochs: int, seed: int, **_: object) -> tuple[Encode, Decode]:
    """DataLoader, Adam as it comes, `loss.item()` at each step."""
    torch.manual_seed(seed)
    net = Usual()
    loader = DataLoader(TensorDataset(X), batch_size=128, shuffle=True)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(epochs):
        total = 0.0
        for (x,) in loader:
            y, mu, log_var = net(x)
            distance = F.binary_cross_entropy(y, x, reduction="sum")
            kl = -0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp())
            loss = (distance + kl) / len(x)
            adam.zero_grad()
            loss.backward()
            adam.step()
            total += loss.item()
    return net.encode, net.decode


def pythae(
    X: Tensor, epochs: int, seed: int, batch_size: int = 128, lr: float = 1e-3
) -> tuple[Encode, Decode]:
    """pythae's model and trainer, on a network of the same widths."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE as Model
    from pythae.models import VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = nn.Linear(784, HIDDEN)
            self.mu, self.log_var = nn.Linear(HIDDEN, CODE), nn.Linear(HIDDEN, CODE)

        def forward(self, x: Tensor) -> ModelOutput:
            h = F.relu(self.trunk(x))
            return ModelOutput(embedding=self.mu(h), log_covariance=self.log_var(h))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Linear(CODE, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 784), nn.Sigmoid()
            )

        def forward(self, z: Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.layers(z))

    logging.disable(logging.WARNING)
    torch.manual_seed(seed)
    config = VAEConfig(input_dim=(784,), latent_dim=CODE, reconstruction_loss="bce")
    model = Model(config, encoder=Encoder(), decoder=Decoder())
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        settings = BaseTrainerConfig(
            output_dir=folder, num_epochs=epochs, learning_rate=lr, seed=seed,
            per_device_train_batch_size=batch_size, no_cuda=True, keep_best_on_train=True,
        )  # fmt: skip
        BaseTrainer(model, BaseDataset(X, torch.zeros(len(X))), training_config=settings).train()

    def encode(x: Tensor) -> tuple[Tensor, Tensor]:
        out = model.encoder(x)
        return out.embedding, out.log_covariance

    return encode, lambda z: model.decoder(z).reconstruction


def ours(X: Tensor, epochs: int, seed: int, bfloat16: bool = False) -> tuple[Encode, Decode]:
    with seeded(seed):
        net = VAENetwork(784, CODE, (HIDDEN,))
    train(
        net, neg_elbo, X, epochs=epochs, schedule="constant", random_state=seed, bfloat16=bfloat16,
        device="cpu", progress=False,
    )  # fmt: skip
    return net.encode, net.decode


@torch.no_grad()
def held_out_bound(model: tuple[Encode, Decode], X: Tensor, draws: int = 10) -> float:
    """Nats an image: the same noise for all contenders."""
    (encode, decode), chance, total = model, torch.Generator().manual_seed(0), 0.0
    for x in X.split(500):
        mu, log_var = encode(x)
        kl = 0.5 * (mu.square() + log_var.exp() - 1 - log_var).sum()
        for _ in range(draws):
            z = mu + (0.5 * log_var).exp() * torch.randn(mu.shape, generator=chance)
            fit = F.binary_cross_entropy(decode(z), x, reduction="sum")
            total -= float(fit + kl) / draws
    return total / len(X)


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def speed(X: Tensor, X_test: Tensor, rounds: int, epochs: int) -> None:
    loops: dict[str, Callable] = {"usual": usual}
    if installed("pythae"):
        loops["pythae"] = pythae
    loops |= {"ours": ours, "ours, bfloat16": partial(ours, bfloat16=True)}
    times, bounds = np.zeros((2, rounds + 1, len(loops)))
    for seed in range(rounds + 1):  # the first round pays for pages and threads
        for k, loop in enumerate(loops.values()):
            time.sleep(0.3)
            start = time.perf_counter()
            model = loop(X, epochs=epochs, seed=seed)
            times[seed, k] = time.perf_counter() - start
            bounds[seed, k] = held_out_bound(model, X_test)
    times, updates = times[1:], epochs * -(-len(X) // 128)
    took, reached = 1e3 * times / updates, dict(zip(loops, bounds.mean(axis=0), strict=True))
    names = list(loops)
    for name in (n for n in names if n.startswith("ours")):
        for peer in (n for n in names if not n.startswith("ours")):
            report(
                "VAE" + name.removeprefix("ours"), "a step, 784-400-20, batches of 128", PEERS[peer], took[:, names.index(name)],
                took[:, names.index(peer)], quality=f"held-out bound {reached[name]:.2f}, theirs {reached[peer]:.2f}",
            )  # fmt: skip


def budget(X: Tensor, X_test: Tensor, rounds: int, seconds: float) -> None:
    """What each reaches with its defaults, when all have the same time."""

    def default(X: Tensor, epochs: int, seed: int) -> tuple[Encode, Decode]:
        model = VAE(CODE, hidden=(HIDDEN,), epochs=epochs, random_state=seed, device="cpu")
        network = model.fit(X.numpy()).network_
        return network.encode, network.decode

    loops: dict[str, Callable] = {"ours": default}
    if installed("pythae"):
        loops["pythae"] = partial(pythae, batch_size=64, lr=1e-4)
    for seed in range(rounds):
        for name, loop in loops.items():
            start = time.perf_counter()
            loop(X, epochs=12, seed=seed)
            epochs = max(1, int(12 * seconds / (time.perf_counter() - start)))
            start = time.perf_counter()
            model = loop(X, epochs=epochs, seed=seed)
            took = time.perf_counter() - start
            print(
                f"{name:8} seed {seed}: {epochs} epochs, {took:.0f} s, "
                f"held-out bound {held_out_bound(model, X_test):.2f}"
            )


def chain(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def images(packed: Path) -> Tensor:
    return torch.from_numpy(read_idx(gzip.decompress(packed.read_bytes()))).reshape(-1, 784) / 255


def burda(folder: Path, epochs: int) -> None:
    """One stochastic layer of 50, two of 200 tanh units a side, digits binarised anew at each step; log p(x) by 5,000 draws."""
    X, X_test = (images(folder / f"{part}-images-idx3-ubyte.gz") for part in ("train", "t10k"))
    X_test = torch.bernoulli(X_test, generator=torch.Generator().manual_seed(0))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    theirs = {("VAE", 1): -86.76, ("VAE", 5): -86.47, ("VAE", 50): -86.35, ("IWAE", 5): -85.54, ("IWAE", 50): -84.78}  # fmt: skip

    for (name, k), reported in theirs.items():

        def loss(
            net: VAENetwork, x: Tensor, chance: torch.Generator, name: str = name, k: int = k
        ) -> Tensor:
            x = torch.bernoulli(x, generator=chance)
            if name == "IWAE":
                return neg_iwae(net, x, chance, k)
            return neg_elbo(net, x.repeat(k, 1), chance)

        with seeded(0):
            net = VAENetwork(
                784, 50, encoder=chain((784, 200, 200, 100)), decoder=chain((50, 200, 200, 784))
            )
        start = time.perf_counter()
        train(
            net.start_at(X), loss, X, epochs=epochs, batch_size=100, lr=1e-3, device=device,
            progress=False,
        )  # fmt: skip
        took = time.perf_counter() - start
        net, chance, log_p = net.to(device), torch.Generator(device).manual_seed(0), []
        with torch.no_grad():
            for x in X_test.to(device).split(50 if device == "cpu" else 500):
                parts = [
                    log_weights(net, x, torch.randn(100, len(x), 50, generator=chance, device=device))
                    for _ in range(50)
                ]  # fmt: skip
                log_p.append(iwae_bound(torch.cat(parts)))
        value = torch.cat(log_p).mean().item()
        print(
            f"{name:5} k={k:3}: {value:.2f} nats after {epochs} epochs ({took:.0f} s); "
            f"they report {reported} after 3,280",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--budget", type=float, metavar="SECONDS")
    parser.add_argument("--burda", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.burda:
        return burda(options.burda, options.epochs)
    X, X_test = (torch.from_numpy(mnist(part, np.float32).X) for part in ("train", "test"))
    print(f"{len(X)} digits, {options.threads} threads, {torch.get_num_threads()} in use\n")
    if options.budget:
        return budget(X, X_test, options.rounds, options.budget)
    speed(X, X_test, options.rounds, options.epochs)


if __name__ == "__main__":
    main()
