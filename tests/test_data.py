"""The shipped data is what it says; bad input is refused with a cure; a failing network
leaves no trace but a message.
"""

import gzip
import hashlib
import importlib.util
import os
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fault_server import FAULTS, FaultServer

from latent_book import data
from latent_book.data import (
    FASHION_MNIST,
    MNIST,
    ImageSet,
    Source,
    data_folder,
    digits8,
    fetch,
    mnist,
    patches,
    photographs,
    read_idx,
)
from latent_book.rows import as_generator

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "latent_book" / "assets"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def idx(array: np.ndarray) -> bytes:
    """The array as an IDX file: written here independently of the reader."""
    code = {"|u1": 8, "|i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}[
        array.dtype.str
    ]
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.tobytes()


# ---------------------------------------------------------------- the shipped subset


@pytest.mark.parametrize(("split", "per_class"), [("train", 600), ("test", 100)])
def test_subset_is_balanced_and_in_turn(split, per_class):
    digits = mnist(split)
    assert digits.images.shape == (10 * per_class, 28, 28)
    assert digits.images.dtype == np.float64
    assert digits.y.dtype == np.int64
    assert np.array_equal(digits.y, np.tile(np.arange(10), per_class))
    assert digits.names == tuple("0123456789")
    assert digits.images.min() == 0
    assert digits.images.max() == 1


def test_subset_is_exactly_bytes_over_255():
    digits = mnist("test")
    with np.load(ASSETS / "mnist_subset.npz") as arrays:
        stored = arrays["test_images"]
    assert stored.dtype == np.uint8
    assert np.array_equal(np.rint(digits.images * 255).astype(np.uint8), stored)
    assert mnist("test", dtype=np.float32).images.dtype == np.float32
    assert np.allclose(mnist("test", dtype="float32").images, digits.images, atol=1e-7)


def test_subset_has_no_duplicates_and_no_overlap():
    everything = np.concatenate([mnist("train").X, mnist("test").X])
    assert len(np.unique(everything, axis=0)) == 7000


def test_subset_labels_are_true():
    """A nearest neighbour trained on the 6,000 reads the 1,000: images and labels
    belong together.
    """
    from sklearn.neighbors import KNeighborsClassifier

    train, test = mnist("train"), mnist("test")
    assert KNeighborsClassifier(1).fit(train.X, train.y).score(test.X, test.y) > 0.93


def test_subset_is_small_and_its_note_is_true():
    files = sorted(
        path.name for path in ASSETS.iterdir() if path.name.startswith("mnist_subset")
    )
    assert files == ["mnist_subset.npz", "mnist_subset.txt"]
    assert sum((ASSETS / name).stat().st_size for name in files) < 1_600_000
    note = (ASSETS / "mnist_subset.txt").read_text(encoding="utf-8")
    assert sha256((ASSETS / "mnist_subset.npz").read_bytes()) == data._SUBSET_SHA256
    assert data._SUBSET_SHA256 in note
    with np.load(ASSETS / "mnist_subset.npz") as arrays:
        assert set(arrays) == {
            "train_images",
            "train_labels",
            "test_images",
            "test_labels",
        }
        for name, array in arrays.items():
            assert f"{sha256(array.tobytes())}  {name}" in note
    for name, (_, inside) in MNIST.sha256.items():
        assert f"{inside}  {name}" in note
    for words in (
        "LeCun",
        "Cortes",
        "Burges",
        "Attribution-Share Alike 3.0",
        "licenses/by-sa/3.0",
    ):
        assert words in note


def test_damaged_or_missing_subset_is_refused_with_a_cure(tmp_path, monkeypatch):
    content = bytearray((ASSETS / "mnist_subset.npz").read_bytes())
    content[1000] ^= 1
    copy = tmp_path / "mnist_subset.npz"
    copy.write_bytes(content)
    monkeypatch.setattr(data, "_SUBSET", copy)
    with pytest.raises(
        OSError,
        match=r"mnist_subset\.npz is damaged \(wrong SHA-256\); reinstall: pip install",
    ):
        mnist()
    copy.unlink()
    with pytest.raises(OSError, match=r"mnist_subset\.npz is missing; reinstall"):
        mnist()


def test_loads_from_a_package_that_is_no_folder(tmp_path):
    """importlib.resources, not __file__: the data is found even inside a zip archive."""
    archive = tmp_path / "package.zip"
    with zipfile.ZipFile(archive, "w") as z:
        for path in ["__init__.py", "data.py", "assets/mnist_subset.npz"]:
            z.write(ROOT / "latent_book" / path, f"latent_book/{path}")
    code = "import latent_book.data as d; assert '.zip' in d.__file__; print(d.mnist('test').images.shape)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(archive)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.stdout.strip() == "(1000, 28, 28)", run.stderr


def test_import_is_light():
    """Nothing heavy is imported before it is needed, and nothing at all is downloaded."""
    heavy = ["torch", "sklearn", "pooch", "requests", "matplotlib", "scipy", "PIL"]
    code = (
        f"import sys, latent_book.data; print([m for m in {heavy} if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


# ---------------------------------------------------------------- the script that made
# it


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(
        "make_mnist_subset", ROOT / "scripts" / "make_mnist_subset.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_equal_steps_takes_each_class_evenly(script):
    labels = np.random.default_rng(0).integers(10, size=2000)
    chosen = script.equal_steps(labels, 50)
    assert np.array_equal(labels[chosen], np.tile(np.arange(10), 50))
    for k in range(10):
        places, taken = np.flatnonzero(labels == k), chosen[k::10]
        ranks = np.searchsorted(places, taken)
        assert ranks[0] == 0
        assert set(np.diff(ranks)) <= {len(places) // 50, len(places) // 50 + 1}
    with pytest.raises(ValueError, match="fewer than"):
        script.equal_steps(labels, 1000)


def test_script_makes_the_shipped_file_again(script, tmp_path, monkeypatch):
    """With the official files at hand (folder in LATENT_BOOK_DATA), the subset is
    reproduced array by array.
    """
    folder = data_folder() / MNIST.folder
    names = [name for split in data._SPLIT_FILES.values() for name in split]
    if any(
        data._on_disk(folder, name, MNIST.sha256[name][1]) is None for name in names
    ):
        pytest.skip(
            "the full MNIST is not on this machine; set LATENT_BOOK_DATA to test this"
        )
    monkeypatch.setattr(
        sys, "argv", ["make_mnist_subset.py", str(folder), "--out", str(tmp_path)]
    )
    script.main()
    with (
        np.load(tmp_path / "mnist_subset.npz") as made,
        np.load(ASSETS / "mnist_subset.npz") as shipped,
    ):
        assert set(made) == set(shipped)
        assert len(made) == 4
        for name in made:
            assert np.array_equal(made[name], shipped[name])


def test_script_refuses_a_folder_without_the_files(script, tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(
        idx(np.zeros((3, 28, 28), np.uint8))
    )  # not genuine
    with pytest.raises(SystemExit, match="lacks a genuine copy"):
        script.subset(tmp_path)


# ---------------------------------------------------------------- the container


def test_image_set_slices_masks_and_lists():
    digits = mnist("test")
    assert len(digits) == 1000
    assert len(digits[:30]) == 30
    threes = digits[digits.y == 3]
    assert len(threes) == 100
    assert set(threes.y) == {3}
    assert threes.names == digits.names
    assert np.array_equal(digits[[5, 1]].images, digits.images[[5, 1]])
    assert digits[digits.y == 11].X.shape == (0, 784)
    assert np.array_equal(digits.X[7], digits.images[7].ravel())
    assert np.shares_memory(digits.X, digits.images)


@pytest.mark.parametrize("index", [3, np.int64(3)])
def test_image_set_refuses_a_single_index(index):
    with pytest.raises(TypeError):
        mnist("test")[index]


@pytest.mark.parametrize("channels", [1, 3])
def test_image_set_takes_colour(channels):
    images = np.random.default_rng(0).random((6, channels, 4, 5))
    pictures = ImageSet(images, np.arange(6) % 2, ("even", "odd"))
    assert pictures.X.shape == (6, channels * 20)
    assert np.shares_memory(pictures.X, images)
    # an image is one channel after the other
    assert np.array_equal(pictures.X[2, -20:], images[2, -1].ravel())
    odd = pictures[pictures.y == 1]
    assert odd.images.shape == (3, channels, 4, 5)
    assert odd.X.shape == (3, channels * 20)
    assert pictures[pictures.y == 2].X.shape == (0, channels * 20)


@pytest.mark.parametrize(
    ("shape", "classes", "told"),
    [
        ((6, 64), (6,), r"\(6, 64\).*rows of pixels.*reshape"),
        ((64,), (64,), r"\(64,\).*\(N, height, width\)"),
        ((), (), r"\(\).*\(N, height, width\)"),
        ((2, 2, 3, 4, 5), (2,), r"\(2, 2, 3, 4, 5\).*\(N, channels, height, width\)"),
        ((6, 8, 8, 3), (6,), r"\(6, 8, 8, 3\).*moveaxis\(images, -1, 1\)"),
        ((6, 4, 8, 8), (6,), r"\(6, 4, 8, 8\).*drop the others"),
        ((6, 8, 8), (5,), r"\(5,\) and images \(6, 8, 8\).*one class"),
        ((6, 8, 8), (6, 1), r"\(6, 1\) and images \(6, 8, 8\)"),
        ((6, 3, 8, 8), (), r"\(\) and images \(6, 3, 8, 8\)"),
    ],
)
def test_image_set_refuses_other_shapes(shape, classes, told):
    with pytest.raises(ValueError, match=told):
        ImageSet(np.zeros(shape), np.zeros(classes, int), ("a",))


def test_the_cures_for_shapes_are_true():
    last = np.random.default_rng(0).random((6, 8, 9, 3))
    pictures = ImageSet(np.moveaxis(last, -1, 1), np.zeros(6, int), ("a",))
    assert np.array_equal(pictures.images[4, 2], last[4, :, :, 2])
    rows = last[..., 0].reshape(6, -1)
    assert np.array_equal(
        ImageSet(rows.reshape(len(rows), 8, 9), np.zeros(6, int), ("a",)).X, rows
    )


def test_image_set_is_frozen():
    with pytest.raises(AttributeError):
        mnist("test").y = np.arange(3)


# ---------------------------------------------------------------- small digits and
# natural patches


def test_digits8_equal_sklearn():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    small = digits8()
    assert np.array_equal(small.X * 16, X)
    assert np.array_equal(small.y, y)
    assert digits8(np.float32).images.dtype == np.float32


def test_photographs_are_grey_and_in_range():
    from sklearn.datasets import load_sample_image

    photos = photographs()
    assert photos.images.shape == (2, 427, 640)
    assert photos.names == ("china", "flower")
    assert 0 <= photos.images.min() < 0.05
    assert 0.95 < photos.images.max() <= 1
    rgb = load_sample_image("china.jpg")[100, 200] / 255
    assert np.isclose(
        photos.images[0, 100, 200], 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    )


def test_patches_are_pieces_of_the_photographs():
    photos = photographs()
    drawn = patches(20, 12, np.random.default_rng(1))
    assert drawn.images.shape == (20, 12, 12)
    assert set(drawn.y) == {0, 1}
    for image, k in zip(drawn.images, drawn.y, strict=True):
        corners = np.argwhere(photos.images[k][: 427 - 11, : 640 - 11] == image[0, 0])
        assert any(
            np.array_equal(photos.images[k][r : r + 12, c : c + 12], image)
            for r, c in corners
        )


def test_every_place_is_equally_likely(monkeypatch):
    """Two photographs of 5 x 7 pixels, each pixel of its own value: the first pixel
    tells where a patch begins.
    """
    pixels = np.arange(70, dtype=float).reshape(2, 5, 7)
    monkeypatch.setattr(
        data, "photographs", lambda dtype: ImageSet(pixels, np.arange(2), ("a", "b"))
    )
    drawn = patches(30_000, 3, np.random.default_rng(0))
    begin, count = np.unique(drawn.images[:, 0, 0], return_counts=True)
    # all 2 * 3 * 5 places, and no other
    assert set(begin) == set(pixels[:, :3, :5].ravel())
    assert np.all(np.abs(count - 1000) < 160)  # five standard deviations


def test_patches_depend_on_rng_only_and_are_copies():
    assert np.array_equal(
        patches(50, 8, 3).X, patches(50, 8, as_generator(3, "patches")).X
    )
    assert not np.array_equal(patches(50, 8, 3).X, patches(50, 8, 4).X)
    # as high as the photographs
    assert patches(3, 427, 0).images.shape == (3, 427, 427)
    single = patches(300_000, 1, 0)
    # uniform: moments agree
    assert abs(single.X.mean() - photographs().X.mean()) < 0.005
    assert abs(single.y.mean() - 0.5) < 0.01
    single.images[:] = 0  # a copy: the photographs are not touched
    assert photographs().images.mean() > 0.1


@pytest.mark.parametrize(
    ("n", "size", "cure"),
    [
        (0, 8, "at least one"),
        (-3, 8, "at least one"),
        (5, 0, "1 to 427"),
        (5, 428, "1 to 427"),
        (5, -1, "1 to 427"),
    ],
)
def test_patches_refuse_bad_numbers(n, size, cure):
    with pytest.raises(ValueError, match=cure):
        patches(n, size, np.random.default_rng(0))


def test_patches_refuse_fractions():
    with pytest.raises(TypeError):
        patches(2.5, 8, np.random.default_rng(0))
    with pytest.raises(TypeError):
        patches(2, 8.5, np.random.default_rng(0))


@pytest.mark.parametrize("split", ["Train", "valid", "", "t10k"])
def test_unknown_split_is_refused(split, tmp_path):
    for load in (mnist, lambda split: fetch(MNIST, split, tmp_path)):
        with pytest.raises(ValueError, match="use 'train' or 'test'"):
            load(split)


@pytest.mark.parametrize(
    "load", [lambda dtype: mnist("test", dtype), digits8, photographs]
)
@pytest.mark.parametrize("dtype", [np.uint8, "int64", bool])
def test_integer_dtypes_are_refused(load, dtype):
    with pytest.raises(ValueError, match="use float32 or float64"):
        load(dtype)


# ---------------------------------------------------------------- IDX


@pytest.mark.parametrize("dtype", ["u1", "i1", ">i2", ">i4", ">f4", ">f8"])
@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 5), (0, 28, 28)])
def test_idx_round_trip(dtype, shape):
    array = (
        (np.random.default_rng(0).normal(size=shape) * 50).astype("i1").astype(dtype)
    )
    read = read_idx(idx(array))
    assert read.shape == shape
    assert np.array_equal(read, array)
    assert read.dtype.isnative
    assert read.flags.writeable


GOOD = idx(np.arange(24, dtype="u1").reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("content", "cure"),
    [
        (b"", "no IDX"),
        (b"\0\0", "no IDX"),
        (b"\0\1" + GOOD[2:], "no IDX"),
        (GOOD[:2] + b"\7" + GOOD[3:], "no IDX"),
        (gzip.compress(GOOD, mtime=0), "gzip.decompress first"),
        (b"<html>not found</html>", "no IDX"),
        (GOOD[:-1], "get it again"),
        (GOOD + b"\0", "get it again"),
        (GOOD[:10], "get it again"),
    ],
)
def test_idx_refuses(content, cure):
    with pytest.raises(ValueError, match=cure):
        read_idx(content)


# ---------------------------------------------------------------- fetching, with every
# fault of a server

IMAGES = np.random.default_rng(0).integers(256, size=(40, 28, 28)).astype("u1")
LABELS = (np.arange(40) % 10).astype("u1")
CONTENTS = {
    "train-images-idx3-ubyte": idx(IMAGES),
    "train-labels-idx1-ubyte": idx(LABELS),
}
PACKED = {
    f"{name}.gz": gzip.compress(content, mtime=0) for name, content in CONTENTS.items()
}
TINY = Source(
    title="Tiny",
    folder="tiny",
    mirrors=(),
    sha256={
        name: (sha256(PACKED[f"{name}.gz"]), sha256(content))
        for name, content in CONTENTS.items()
    },
    names=tuple("0123456789"),
)
QUICK = {"timeout": 2.0, "rounds": 1, "progress": False}
# for faults that need no silence to end, beside any other work
PATIENT = {**QUICK, "timeout": 60.0}
SILENCES = ("stall", "silent")
BROKEN = [fault for fault in FAULTS if fault not in ("ok", "flaky", "encodes")]
WORDS = {
    "truncate": "broke off",
    "short": "wrong SHA-256",
    "corrupt": "wrong SHA-256",
    "login": "wrong SHA-256",
    "stall": "timed out",
    "silent": "timed out",
    "hangup": "no connection",
    "403": "HTTP 403",
    "404": "HTTP 404",
    "500": "HTTP 500",
}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FaultServer(PACKED) as server:
        yield server


def source_of(server: FaultServer, *faults: str) -> Source:
    return replace(TINY, mirrors=tuple(server.address(fault) for fault in faults))


def files_in(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    )


def check(loaded: ImageSet) -> None:
    assert np.array_equal(np.rint(loaded.images * 255), IMAGES)
    assert np.array_equal(loaded.y, LABELS)


def test_fetch_downloads_once(server, tmp_path):
    source = source_of(server, "ok")
    check(fetch(source, folder=tmp_path, **PATIENT))
    assert files_in(tmp_path) == sorted(f"tiny/{name}" for name in PACKED)
    assert len(server.log) == 2
    check(fetch(source, folder=tmp_path, **PATIENT))
    # no mirror at all: the folder is enough
    check(fetch(TINY, folder=tmp_path, **PATIENT))
    assert len(server.log) == 2
    assert (
        fetch(source, folder=tmp_path, dtype=np.float32, **PATIENT).images.dtype
        == np.float32
    )


@pytest.mark.parametrize("fault", BROKEN)
def test_every_fault_leads_to_the_next_mirror(server, tmp_path, fault):
    settings = QUICK if fault in SILENCES else PATIENT
    check(fetch(source_of(server, fault, "ok"), folder=tmp_path, **settings))
    assert [f for f, _ in server.log] == [fault, "ok", fault, "ok"]
    assert files_in(tmp_path) == sorted(f"tiny/{name}" for name in PACKED)


@pytest.mark.parametrize("fault", BROKEN)
def test_every_fault_alone_ends_in_one_line_and_no_half_file(server, tmp_path, fault):
    settings = {**PATIENT, "timeout": 0.5} if fault in SILENCES else PATIENT
    began = time.monotonic()
    with pytest.raises(ConnectionError) as caught:
        fetch(source_of(server, fault), folder=tmp_path, **settings)
    assert time.monotonic() - began < 4  # the timeout given is the one obeyed
    message = str(caught.value)
    assert "\n" not in message
    assert "Tiny could not be downloaded" in message
    assert WORDS[fault] in message
    assert str(tmp_path / "tiny") in message
    assert all(name in message for name in PACKED)  # both files are wanted
    assert files_in(tmp_path) == []
    assert (
        caught.value.__cause__ is caught.value.__context__ is None
    )  # one error, not a chain of four


def test_all_faults_one_after_the_other_then_success(server, tmp_path):
    check(fetch(source_of(server, *BROKEN, "ok"), folder=tmp_path, **QUICK))


def test_a_second_round_helps_a_flaky_server(server, tmp_path):
    with pytest.raises(ConnectionError, match="HTTP 500"):
        fetch(source_of(server, "flaky"), folder=tmp_path / "a", **PATIENT)
    server.log.clear()
    check(
        fetch(
            source_of(server, "flaky"),
            folder=tmp_path / "b",
            **{**PATIENT, "rounds": 2},
        )
    )


def test_a_server_that_would_unpack_on_the_way(server, tmp_path):
    check(fetch(source_of(server, "encodes"), folder=tmp_path, **PATIENT))


def test_nobody_answers(tmp_path, server):
    address = server.address("ok")
    server._server.socket.close()  # from here on the port is closed
    with pytest.raises(ConnectionError, match=r"no connection.*put .* into "):
        fetch(replace(TINY, mirrors=(address,)), folder=tmp_path, **PATIENT)
    assert files_in(tmp_path) == []


def test_progress_bar(server, tmp_path, capsys):
    fetch(
        source_of(server, "404", "ok"), folder=tmp_path, **{**PATIENT, "progress": True}
    )
    assert "100%" in capsys.readouterr().err


def test_a_download_goes_on_where_it_broke_off(server, tmp_path):
    images, labels = PACKED
    server.files = {images: PACKED[images]}
    with pytest.raises(ConnectionError) as caught:
        fetch(source_of(server, "ok"), folder=tmp_path, **PATIENT)
    assert labels in str(caught.value)
    assert images not in str(caught.value).split("put ")[1]
    server.files = PACKED
    server.log.clear()
    check(fetch(source_of(server, "ok"), folder=tmp_path, **PATIENT))
    assert server.log == [("ok", labels)]  # the images were kept


def test_any_sequence_of_faults_ends_in_the_files_or_in_one_line(server, tmp_path):
    """300 fetches: one to four mirrors, each with a fault or none, over a folder that
    may hold spoiled files.
    """
    rng, ends = np.random.default_rng(7), {True: 0, False: 0}
    swift = [fault for fault in BROKEN if fault not in SILENCES]
    for k in range(300):
        folder, faults = (
            tmp_path / str(k),
            list(rng.choice([*swift, "ok"], rng.integers(1, 5))),
        )
        for name, content in PACKED.items():
            if rng.random() < 0.3:
                (folder / "tiny").mkdir(parents=True, exist_ok=True)
                spoilt = bytearray(content[: rng.integers(1, len(content))])
                spoilt[rng.integers(len(spoilt))] ^= 1 << rng.integers(8)
                (folder / "tiny" / name).write_bytes(spoilt)
        delivered = "ok" in faults
        with (
            nullcontext()
            if delivered
            else pytest.raises(ConnectionError, match=r"^[^\n]+$")
        ):
            check(fetch(source_of(server, *faults), folder=folder, **PATIENT))
        assert set(files_in(folder)) <= {
            f"tiny/{name}" for name in PACKED
        }  # nothing half done beside them
        ends[delivered] += 1
    assert min(ends.values()) > 50, ends


def test_many_at_once_fetch_the_same_files(server, tmp_path):
    """Sixteen threads, each by its own order of mirrors, into one folder."""
    rng = np.random.default_rng(3)
    sources = [
        source_of(
            server, *rng.permutation(["corrupt", "truncate", "500", "hangup"]), "ok"
        )
        for _ in range(16)
    ]
    with ThreadPoolExecutor(16) as pool:
        for loaded in pool.map(
            lambda source: fetch(source, folder=tmp_path, **PATIENT), sources
        ):
            check(loaded)
    assert files_in(tmp_path) == sorted(f"tiny/{name}" for name in PACKED)


def test_one_killed_while_it_downloads_leaves_the_next_one_well(server, tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_data as t; from dataclasses import replace\n"
        "t.fetch(replace(t.TINY, mirrors=(sys.argv[2],)), folder=sys.argv[3], timeout=60, rounds=1, progress=False)"
    )
    here, address = str(Path(__file__).parent), server.address("stall")
    child = subprocess.Popen(
        [sys.executable, "-c", script, here, address, str(tmp_path)]
    )
    try:
        assert server.stalled.wait(120), "the download has begun"
    finally:
        child.kill()
        child.wait()
    assert child.returncode < 0
    check(fetch(source_of(server, "ok"), folder=tmp_path, **PATIENT))


def test_files_put_there_by_hand(tmp_path):
    place = tmp_path / "tiny"
    place.mkdir()
    images, labels = CONTENTS
    packed_anew = gzip.compress(CONTENTS[images], compresslevel=1, mtime=7)
    (place / f"{images}.gz").write_bytes(packed_anew)
    (place / labels).write_bytes(CONTENTS[labels])  # unpacked
    assert sha256(packed_anew) != TINY.sha256[images][0]
    check(fetch(TINY, folder=tmp_path, **PATIENT))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c[: len(c) // 2],
        lambda c: c[:-9] + bytes([c[-9] ^ 1]) + c[-8:],
        lambda c: b"",
        lambda c: c[:10] + b"\xff\xff" + c[12:],
        lambda c: gzip.compress(b"other"),
    ],
)
def test_a_bad_file_is_replaced_online_and_kept_offline(server, tmp_path, spoil):
    place = tmp_path / "tiny"
    place.mkdir()
    for name, content in PACKED.items():
        (place / name).write_bytes(spoil(content))
    before = {name: (place / name).read_bytes() for name in PACKED}
    with pytest.raises(ConnectionError, match="put "):
        fetch(source_of(server, "404"), folder=tmp_path, **PATIENT)
    # not ours to delete
    assert {name: (place / name).read_bytes() for name in PACKED} == before
    check(fetch(source_of(server, "ok"), folder=tmp_path, **PATIENT))


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="LATENT_BOOK_DATA") as caught:
        fetch(source_of(server, "ok"), folder=tmp_path / "file", **PATIENT)
    assert "cannot write in" in str(caught.value)
    assert caught.value.__suppress_context__  # one error, not a chain


def test_data_folder(monkeypatch, tmp_path):
    import pooch

    monkeypatch.setenv("LATENT_BOOK_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    assert data_folder("elsewhere") == Path("elsewhere")  # the argument comes first
    assert data_folder("~/x") == Path.home() / "x"
    for empty in (
        lambda: monkeypatch.delenv("LATENT_BOOK_DATA"),
        lambda: monkeypatch.setenv("LATENT_BOOK_DATA", ""),
    ):
        empty()
        assert data_folder() == Path(pooch.os_cache("latent_book"))


def test_environment_names_the_folder(server, tmp_path, monkeypatch):
    monkeypatch.setenv("LATENT_BOOK_DATA", str(tmp_path))
    check(fetch(source_of(server, "ok"), **PATIENT))
    assert len(files_in(tmp_path)) == 2


@pytest.mark.parametrize(("timeout", "rounds"), [(0.0, 1), (-1.0, 1), (1.0, 0)])
def test_no_time_or_no_rounds(timeout, rounds, tmp_path):
    with pytest.raises(ValueError, match="at least one round"):
        fetch(TINY, folder=tmp_path, timeout=timeout, rounds=rounds)


@pytest.mark.parametrize("source", [MNIST, FASHION_MNIST])
def test_sources_are_complete(source):
    assert set(source.sha256) == {
        name for split in data._SPLIT_FILES.values() for name in split
    }
    hashes = [h for pair in source.sha256.values() for h in pair]
    assert len(set(hashes)) == 8
    assert all(len(h) == 64 and int(h, 16) for h in hashes)
    assert len(source.mirrors) >= 2
    assert all(m.startswith("http") and m.endswith("/") for m in source.mirrors)
    assert len(source.names) == 10


def test_full_mnist_is_read_where_it_is_at_hand():
    """Only where the files already are: LATENT_BOOK_DATA names a folder with mnist/ in
    it.
    """
    try:
        full = fetch(replace(MNIST, mirrors=()), "test", rounds=1)
    except ConnectionError:
        pytest.skip(
            "the full MNIST is not on this machine; set LATENT_BOOK_DATA to test this"
        )
    assert full.images.shape == (10_000, 28, 28)
    rows = {row.tobytes() for row in full.X}
    assert all(
        row.tobytes() in rows for row in mnist("test").X
    )  # the thousand are official test images
