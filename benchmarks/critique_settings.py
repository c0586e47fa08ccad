"""The settings of the contest in the chapter "What is wrong with unsupervised
learning?": six a kind, tried where nothing is reported.

Three worlds (seeds 5 to 7) that the chapter does not use. All codes are learned from
training images and judged on training images held out; no test image is loaded. Run
`python benchmarks/critique_settings.py`; it prints mean accuracies of the probe in per
cent: the mean of all four, then few and many labels without clutter and with all of it.
A few minutes on one core.
"""

import numpy as np
import torch

from latent_book.critique import (
    Coders,
    bound_loss,
    cause_loss,
    class_loss,
    contrastive_loss,
    copy_loss,
    fit_many,
    lay_over,
    linear_probe,
    shifted,
)
from latent_book.data import mnist, patches
from latent_book.denoising import halve

SEEDS, LEVELS, L, KEPT = (5, 6, 7), (0.0, 1.0), 16, 2400
torch.set_num_threads(1)
digits = mnist("train", np.float32)
M, y = halve(digits.X), digits.y


def collect(known, what):
    """Images, digits, photographs or labels of the known or the new classes, one row of
    the result a run.
    """
    sets = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        classes = rng.permutation(10)[:5]
        chosen = np.isin(y, classes) == known
        m, b = M[chosen], halve(patches(len(M), 28, rng, np.float32).X)[chosen]
        labels = np.unique(y[chosen], return_inverse=True)[1]
        for c in LEVELS:
            sets.append({"m": m, "b": c * b, "x": lay_over(m, b, c), "y": labels}[what])
    return torch.tensor(np.stack(sets))


X_known, m_known, y_known = (collect(True, what) for what in "xmy")
X, m, b, labels = (collect(False, what) for what in "xmby")
X_fit, X_held = X[:, :KEPT], X[:, KEPT:]
mean, mean_known = X_fit.mean(1, keepdim=True), X_known.mean(1, keepdim=True)
clean = m_known - m_known.mean(1, keepdim=True)
clean = clean @ torch.linalg.eigh(clean.mT @ clean).eigenvectors[..., -L:]


def judge(model):
    """Mean accuracy at each strength, with few labels (five draws of ten a class) and
    many.
    """
    with torch.no_grad():
        Z, Z_held = model.encode(X_fit).numpy(), model.encode(X_held).numpy()
    scores = []
    for z, z_held, t in zip(Z, Z_held, labels.numpy(), strict=True):
        rng, train_t = np.random.default_rng(0), t[:KEPT]
        few = []
        for _ in range(5):
            rows = [
                rng.choice(np.flatnonzero(train_t == k), 10, replace=False)
                for k in range(5)
            ]
            few.append(
                linear_probe(
                    z[np.concatenate(rows)],
                    train_t[np.concatenate(rows)],
                    z_held,
                    t[KEPT:],
                )
            )
        scores.append([np.mean(few), linear_probe(z, train_t, z_held, t[KEPT:])])
    return np.array(scores).reshape(len(SEEDS), len(LEVELS), 2).mean(0)


def noisy(loss, sigma):
    def with_noise(model, x, *rest):
        noise = torch.randn(x.shape, generator=rest[-1]) if sigma else torch.zeros(())
        return loss(model, x + sigma * noise, *rest)

    return with_noise


def denoise(sigma):
    return lambda model, x, generator: copy_loss(model, x, generator, sigma=sigma)


def two_views(tau, noise):
    """The contrastive loss of one picture seen twice, or of one digit over two
    photographs.
    """

    def loss(model, *parts):
        *rows, generator = parts
        if len(rows) == 1:
            pictures = [rows[0], rows[0]]
        else:
            other = torch.randperm(rows[0].shape[1], generator=generator)
            pictures = [
                rows[0] + (1 - rows[0]) * behind
                for behind in (rows[1], rows[1][:, other])
            ]
        views = [
            shifted(x, generator) + noise * torch.randn(x.shape, generator=generator)
            for x in pictures
        ]
        return contrastive_loss(*[model.head(model.encode(v)) for v in views], tau)

    return loss


def tried():
    """Each kind with each of its settings: a name, the untrained model, and what
    `fit_many` takes.
    """
    for epochs in (8, 15):
        for lr in (2e-3, 4e-3, 8e-3):
            yield (
                "autoencoder",
                {"epochs": epochs, "lr": lr},
                Coders(mean, L, 196),
                copy_loss,
                (X_fit,),
            )
        for sigma in (0.1, 0.3, 0.6):
            yield (
                f"denoising, noise {sigma}",
                {"epochs": epochs},
                Coders(mean, L, 196),
                denoise(sigma),
                (X_fit,),
            )
    for epochs in (15, 25):
        for lr in (4e-3, 8e-3, 16e-3):
            yield (
                "VAE",
                {"epochs": epochs, "lr": lr},
                Coders(mean, L, 196, uncertain=True),
                bound_loss,
                (X_fit,),
            )
    for epochs, sigma in ((e, s) for e in (4, 15) for s in (0, 0.3, 0.6)):
        loss = noisy(class_loss, sigma)
        yield (
            f"transfer: class, noise {sigma}",
            {"epochs": epochs},
            Coders(mean_known, L, 5),
            loss,
            (X_known, y_known),
        )
    for epochs, sigma in ((e, s) for e in (8, 15) for s in (0, 0.3, 0.6)):
        loss = noisy(cause_loss, sigma)
        yield (
            f"transfer: clean, noise {sigma}",
            {"epochs": epochs},
            Coders(mean_known, L, L),
            loss,
            (X_known, clean),
        )
    for kind, rows in (
        ("honest views", (X_fit,)),
        ("told views", (m[:, :KEPT], b[:, :KEPT])),
    ):
        for tau, noise in ((t, s) for t in (0.1, 0.2, 0.5) for s in (0.1, 0.3)):
            yield (
                f"{kind}, tau {tau}, noise {noise}",
                {},
                Coders(mean, L, 32),
                two_views(tau, noise),
                rows,
            )


if __name__ == "__main__":
    for name, settings, model, loss, rows in tried():
        score = 100 * judge(fit_many(model, loss, *rows, **settings))
        print(
            f"{name:32s} {settings!s:30s} {score.mean():5.1f} ",
            score.round(1).tolist(),
            flush=True,
        )
