"""The variational autoencoder side by side with the usual PyTorch loop and with
pythae's trainer.

    python benchmarks/vae.py [--rounds 5] [--epochs 10] [--threads 2]   seconds a step,
    from equal weights, at equal updates python benchmarks/vae.py --budget 60 [--rounds
    3] [--rows 60000]    held-out bound after equal seconds python benchmarks/vae.py
    --burda [--epochs 30 | --minutes 2] [--rows 60000] [--test 10000]

The network is 784-400-20-400-784 with Bernoulli pixels; its digits are black and white,
ink where the grey value is above a half. In the first table, on the shipped digits, all
start from the same weights and take the same number of updates on batches of 128, and
every round runs all loops, so that a slow moment of the machine hits all alike; a ratio
above 1 means that ours is quicker. Beside it stands the bound on held-out digits that
each reaches, with its standard deviation over the rounds. In the second, on the full
MNIST, each takes its own defaults: pythae's batches of 64 at a step of 1e-4, and
`VAE`'s. pythae takes part where it is installed.

The third trains the one-layer models of Burda, Grosse and Salakhutdinov (2016), for so
many epochs or for so many minutes each, and sets log p of held-out digits beside their
table. The full MNIST comes by `latent_book.data.fetch` (LATENT_BOOK_DATA names its
folder).
"""

import argparse
import contextlib
import importlib.util
import io
import itertools
import logging
import tempfile
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from timing import has_bfloat16, note, peak_resident, report
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from latent_book.data import MNIST, fetch, mnist
from latent_book.training import seeded, train
from latent_book.vae import VAE, VAENetwork, iwae_bound, log_weights, neg_elbo, neg_iwae

HIDDEN, CODE = 400, 20
DRAWS = 5000  # for an estimate of log p
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


def black_and_white(images: np.ndarray) -> Tensor:
    """Ink where the grey value is above a half: a Bernoulli's pixels are 0 or 1."""
    return torch.from_numpy(images.reshape(len(images), -1) > 0.5).float()


def first_weights(seed: int) -> Usual:
    """All loops of a round start here."""
    with seeded(seed):
        return Usual()


def usual(X: Tensor, epochs: int, seed: int) -> tuple[Encode, Decode]:
    """DataLoader, Adam as it comes, `loss.item()` at each step."""
    net = first_weights(seed)
    torch.manual_seed(seed)
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
    X: Tensor,
    epochs: int,
    seed: int,
    batch_size: int = 128,
    lr: float = 1e-3,
    own_start: bool = False,
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
    model, start = (
        Model(config, encoder=Encoder(), decoder=Decoder()),
        first_weights(seed),
    )
    if not own_start:
        for mine, first in (
            (model.encoder.trunk, start.trunk),
            (model.encoder.mu, start.mu),
            (model.encoder.log_var, start.log_var),
            (model.decoder.layers[0], start.up),
            (model.decoder.layers[2], start.out),
        ):
            mine.load_state_dict(first.state_dict())
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stderr(io.StringIO()),
    ):
        settings = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=epochs,
            learning_rate=lr,
            seed=seed,
            per_device_train_batch_size=batch_size,
            no_cuda=True,
            keep_best_on_train=True,
        )
        BaseTrainer(
            model, BaseDataset(X, torch.zeros(len(X))), training_config=settings
        ).train()

    def encode(x: Tensor) -> tuple[Tensor, Tensor]:
        out = model.encoder(x)
        return out.embedding, out.log_covariance

    return encode, lambda z: model.decoder(z).reconstruction


@torch.no_grad()
def same_weights(first: Usual) -> VAENetwork:
    """The library's network with these weights: the two heads are the halves of one
    layer.
    """
    net = VAENetwork(784, CODE, (HIDDEN,))
    heads = {
        name: torch.cat([getattr(first.mu, name), getattr(first.log_var, name)])
        for name in ("weight", "bias")
    }
    net.encoder[0].load_state_dict(first.trunk.state_dict())
    net.encoder[2].load_state_dict(heads)
    net.decoder[0].load_state_dict(first.up.state_dict())
    net.decoder[2].load_state_dict(first.out.state_dict())
    return net


def ours(
    X: Tensor, epochs: int, seed: int, bfloat16: bool = False
) -> tuple[Encode, Decode]:
    net = same_weights(first_weights(seed))
    train(
        net,
        neg_elbo,
        X,
        epochs=epochs,
        schedule="constant",
        random_state=seed,
        bfloat16=bfloat16,
        device="cpu",
        progress=False,
    )
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
    """Times of equal work from equal weights, and what came of it."""
    loops: dict[str, Callable] = {"usual": usual}
    if installed("pythae"):
        loops["pythae"] = pythae
    loops["ours"] = ours
    if has_bfloat16():
        loops["ours, bfloat16"] = partial(ours, bfloat16=True)
    times, bounds = np.zeros((2, rounds + 1, len(loops)))
    for seed in range(rounds + 1):  # the first round pays for pages and threads
        for k, loop in enumerate(loops.values()):
            time.sleep(0.3)
            start = time.perf_counter()
            model = loop(X, epochs=epochs, seed=seed)
            times[seed, k] = time.perf_counter() - start
            bounds[seed, k] = held_out_bound(model, X_test)
    times, updates = times[1:], epochs * -(-len(X) // 128)
    took = 1e3 * times / updates
    reached = {
        name: f"{bounds[:, k].mean():.2f} ± {bounds[:, k].std(ddof=1):.2f}"
        for k, name in enumerate(loops)
    }
    held = {
        name: peak_resident(lambda loop=loop: loop(X, epochs=1, seed=0))
        for name, loop in loops.items()
    }
    names = list(loops)
    for name in (n for n in names if n.startswith("ours")):
        for peer in (n for n in names if not n.startswith("ours")):
            report(
                "VAE" + name.removeprefix("ours"),
                "a step, 784-400-20, batches of 128",
                PEERS[peer],
                took[:, names.index(name)],
                took[:, names.index(peer)],
                quality=f"held-out bound {reached[name]}, theirs {reached[peer]}",
                memory=(held[name], held[peer]),
            )


def budget(X: Tensor, X_test: Tensor, rounds: int, seconds: float) -> None:
    """What each reaches with its defaults, when all have the same time."""

    def default(X: Tensor, epochs: int, seed: int) -> tuple[Encode, Decode]:
        model = VAE(
            CODE, hidden=(HIDDEN,), epochs=epochs, random_state=seed, device="cpu"
        )
        network = model.fit(X.numpy()).network_
        return network.encode, network.decode

    loops: dict[str, Callable] = {"ours": default}
    if installed("pythae"):
        loops["theirs"] = partial(pythae, batch_size=64, lr=1e-4, own_start=True)
    row: dict = {
        "what": "VAE",
        "task": f"784-400-20, {len(X):,} digits",
        "peer": "pythae",
        "budget": seconds,
        "test": len(X_test),
    }
    for name, loop in loops.items():
        part, found = X[: min(len(X), 12_000)], []
        loop(part[:1000], epochs=1, seed=0)
        for seed in range(rounds):
            start = time.perf_counter()
            loop(part, epochs=4, seed=seed)
            epoch = (time.perf_counter() - start) / 4 * len(X) / len(part)
            epochs = max(1, int(seconds / epoch))
            start = time.perf_counter()
            model = loop(X, epochs=epochs, seed=seed)
            took = time.perf_counter() - start
            found.append((held_out_bound(model, X_test), epochs, took))
            print(
                f"{name:8} seed {seed}: {epochs} epochs, {took:.0f} s, "
                f"held-out bound {found[-1][0]:.2f}",
                flush=True,
            )
        row[name], row[f"{name}_epochs"], row[f"{name}_seconds"] = map(
            list, zip(*found, strict=True)
        )
    if "theirs" in row:
        note(row)


def chain(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def burda(
    X: Tensor,
    X_test: Tensor,
    epochs: int,
    minutes: float | None,
    chosen: list[str] | None,
) -> None:
    """One stochastic layer of 50, two of 200 tanh units a side, digits drawn anew from
    their grey values at each step.
    """
    X_test = torch.bernoulli(X_test, generator=torch.Generator().manual_seed(0))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    theirs = {
        ("VAE", 1): -86.76,
        ("VAE", 5): -86.47,
        ("VAE", 50): -86.35,
        ("IWAE", 5): -85.54,
        ("IWAE", 50): -84.78,
    }

    for (name, k), reported in theirs.items():
        if chosen and f"{name}-{k}" not in chosen:
            continue

        def loss(
            net: VAENetwork,
            x: Tensor,
            chance: torch.Generator,
            name: str = name,
            k: int = k,
        ) -> Tensor:
            x = torch.bernoulli(x, generator=chance)
            if name == "IWAE":
                return neg_iwae(net, x, chance, k)
            return neg_elbo(net, x.repeat(k, 1), chance)

        def trained(
            X: Tensor, epochs: int, loss: Callable[..., Tensor] = loss
        ) -> VAENetwork:
            with seeded(0):
                net = VAENetwork(
                    784,
                    50,
                    encoder=chain((784, 200, 200, 100)),
                    decoder=chain((50, 200, 200, 784)),
                )
            train(
                net.start_at(X),
                loss,
                X,
                epochs=epochs,
                batch_size=100,
                lr=1e-3,
                device=device,
                progress=False,
            )
            return net

        if minutes is not None:
            part = X[:2000]
            trained(part[:200], 1)
            start = time.perf_counter()
            trained(part, 1)
            epoch = (time.perf_counter() - start) * len(X) / len(part)
            epochs = max(1, int(60 * minutes / epoch))
        start = time.perf_counter()
        net = trained(X, epochs).to(device)
        took = time.perf_counter() - start
        log_p = estimates(net, X_test.to(device))
        value, error = log_p.mean().item(), (log_p.std() / len(log_p) ** 0.5).item()
        print(
            f"{name:5} k={k:3}: {value:.2f} ± {error:.2f} nats on {len(X_test)} digits after {epochs} epochs of {len(X)} "
            f"({took:.0f} s); they report {reported} after 3,280 of 60,000",
            flush=True,
        )
        note(
            {
                "what": "Burda et al.",
                "task": f"{name}, k = {k}",
                "k": k,
                "ours": value,
                "error": error,
                "epochs": epochs,
                "rows": len(X),
                "seconds": took,
                "test": len(X_test),
                "draws": DRAWS,
                "theirs": reported,
            }
        )


@torch.no_grad()
def estimates(net: VAENetwork, X: Tensor) -> Tensor:
    """log p of each row, by the importance-weighted bound with 5,000 draws; from below."""
    chance, found = torch.Generator(X.device).manual_seed(0), []
    for x in X.split(20 if X.device.type == "cpu" else 500):
        parts = [
            log_weights(
                net, x, torch.randn(50, len(x), 50, generator=chance, device=X.device)
            )
            for _ in range(DRAWS // 50)
        ]
        found.append(iwae_bound(torch.cat(parts)))
    return torch.cat(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, help="5; with --budget 3")
    parser.add_argument("--epochs", type=int, help="10; with --burda 30")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--budget", type=float, metavar="SECONDS")
    parser.add_argument("--burda", action="store_true")
    parser.add_argument(
        "--minutes", type=float, help="of training for each model of --burda"
    )
    parser.add_argument("--rows", type=int, help="train on so many digits only")
    parser.add_argument(
        "--test", type=int, help="judge by so many held-out digits only"
    )
    parser.add_argument(
        "--models", nargs="+", help="of --burda: VAE-1 VAE-5 VAE-50 IWAE-5 IWAE-50"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.budget or options.burda:
        parts = [fetch(MNIST, split, dtype=np.float32).X for split in ("train", "test")]
    else:
        parts = [mnist(split, np.float32).X for split in ("train", "test")]
    grey, grey_test = (
        part[:n].reshape(-1, 784)
        for part, n in zip(parts, (options.rows, options.test), strict=True)
    )
    print(
        f"{len(grey)} digits, {options.threads} threads, {torch.get_num_threads()} in use\n",
        flush=True,
    )
    if options.burda:
        X, X_test = torch.from_numpy(grey), torch.from_numpy(grey_test)
        return burda(X, X_test, options.epochs or 30, options.minutes, options.models)
    X, X_test = black_and_white(grey), black_and_white(grey_test)
    if options.budget:
        return budget(X, X_test, options.rounds or 3, options.budget)
    return speed(X, X_test, options.rounds or 5, options.epochs or 10)


if __name__ == "__main__":
    main()
