"""Make the MNIST subset that the library ships: 6,000 digits to train on, 1,000 held
out, balanced, no chance involved.

    python scripts/make_mnist_subset.py FOLDER [--out latent_book/assets]

FOLDER holds the four official files (train-images-idx3-ubyte.gz ..., packed or not);
their contents are checked against the SHA-256 that `latent_book.data` knows. Written
are `mnist_subset.npz` and `mnist_subset.txt` (provenance, licence, hashes). Afterwards
copy the printed SHA-256 into nbs/workshop/data.ipynb, which checks it at each load.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np

from latent_book.data import _SPLIT_FILES, MNIST, _on_disk, read_idx

PER_CLASS = {"train": 600, "test": 100}
NAME = "mnist_subset"

NOTE = """\
MNIST SUBSET: PROVENANCE AND LICENCE

{name}.npz holds 6,000 training and 1,000 test images of handwritten digits, 28 x 28 pixels, unsigned bytes, 0 black,
255 white: the arrays train_images, train_labels, test_images, test_labels.

Source:   the MNIST database of handwritten digits, by Yann LeCun, Corinna Cortes and Christopher J.C. Burges,
          http://yann.lecun.com/exdb/mnist/, a derivative work from original NIST datasets.
Licence:  Yann LeCun (Courant Institute, NYU) and Corinna Cortes (Google Labs, New York) hold the copyright of the MNIST
          dataset. It is made available under the terms of the Creative Commons Attribution-Share Alike 3.0 license,
          https://creativecommons.org/licenses/by-sa/3.0/, and so is this subset.
Changes:  images were selected and put in another order; no pixel and no label was changed.
Rule:     train_* come from the official training set, test_* from the official test set. Of the n images of a class, in
          the official order, those at the places floor(i n / m), i = 0 ... m-1, were taken, m = 600 (train) or 100
          (test). The classes are dealt in turn: 0, 1, ..., 9, 0, 1, ...
Made by:  scripts/make_mnist_subset.py

SHA-256 of {name}.npz
{digest}

SHA-256 of the pixels and of the labels in it (the bytes of each array, in C order)
{arrays}

SHA-256 of the four source files, unpacked
{sources}
"""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def equal_steps(labels: np.ndarray, per_class: int) -> np.ndarray:
    """Places of `per_class` images of each class, at equal steps in the given order;
    classes dealt in turn.
    """
    places = [np.flatnonzero(labels == k) for k in range(10)]
    if any(len(p) < per_class for p in places):
        raise ValueError(f"a class has fewer than {per_class} images")
    return np.stack(
        [p[np.arange(per_class) * len(p) // per_class] for p in places], axis=1
    ).ravel()


def genuine(folder: Path, name: str) -> np.ndarray:
    """The array in an official file, packed or not; ends the script if the file is not
    the official one.
    """
    content = _on_disk(folder, name, MNIST.sha256[name][1])
    if content is None:
        raise SystemExit(f"{folder} lacks a genuine copy of {name} (.gz or unpacked)")
    return read_idx(content)


def subset(folder: Path) -> dict[str, np.ndarray]:
    """The four arrays of the subset, from a folder with the official files."""
    arrays = {}
    for split, per_class in PER_CLASS.items():
        images, labels = (genuine(folder, name) for name in _SPLIT_FILES[split])
        chosen = equal_steps(labels, per_class)
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = (
            images[chosen],
            labels[chosen],
        )
    return arrays


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the four official files lie")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parents[1] / "latent_book" / "assets"
    )
    options = parser.parse_args()

    arrays = subset(options.folder)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / f"{NAME}.npz"
    np.savez_compressed(file, allow_pickle=False, **arrays)
    digest = sha256(file.read_bytes())
    note = NOTE.format(
        name=NAME,
        digest=digest,
        arrays="\n".join(
            f"{sha256(a.tobytes())}  {name}" for name, a in arrays.items()
        ),
        sources="\n".join(
            f"{inside}  {name}" for name, (_, inside) in MNIST.sha256.items()
        ),
    )
    (options.out / f"{NAME}.txt").write_text(note, encoding="utf-8")
    print(f"{file}: {file.stat().st_size:,} bytes, SHA-256 {digest}")


if __name__ == "__main__":
    main()
