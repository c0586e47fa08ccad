"""The library as somebody gets it who never sees this repository: built from a clean
copy, installed, imported with what it asks for.

Nothing is downloaded. The wheel goes into an environment of its own, which sees the
packages of this one; an import of any that the library does not declare, or that comes
by none that it declares, fails there as it would on an empty machine.

    OTHER_PYTHONS="/path/to/python3.12 /path/to/python3.13" pytest tests/test_install.py

also runs the modules that need no torch, with their tests, on those interpreters; they
must have the declared requirements (torch may be absent), and what the tests ask for:
beartype, hypothesis, mpmath, psutil, pytest.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from conftest import ROOT
from mypy.fscache import FileSystemCache
from mypy.modulefinder import FindModuleCache, ModuleNotFoundReason, SearchPaths
from mypy.options import Options
from packaging.requirements import Requirement

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
FIGURES = [  # those of `onwards` alone run one of its functions
    "autoencoder",
    "bound",
    "collapse",
    "critique",
    "denoising",
    "em",
    "gan",
    "kit",
    "manifold",
    "mixture",
    "pca",
    "vae",
    "variational",
    "vision",
]
NO_TORCH = [
    "bound",
    "data",
    "em",
    "expfam",
    *(f"figures.{name}" for name in FIGURES),
    "mixture",
    "pca",
    "plots",
]
# the others compare with torch
TORCH_FREE_TESTS = ["test_pca", "test_mixture", "test_expfam"]


def tracked() -> set[str]:
    """The files of a clone."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}


def requirements(*left_out: str) -> set[str]:
    """The names of all packages that the declared requirements bring, but for those
    left out and what only they bring.
    """
    found: set[str] = set()
    waiting = [Requirement(line) for line in PROJECT["dependencies"]]
    while waiting:
        wanted = waiting.pop()
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        if (
            name in found
            or name in left_out
            or (wanted.marker and not wanted.marker.evaluate({"extra": ""}))
        ):
            continue
        found.add(name)
        waiting += [Requirement(line) for line in metadata.requires(name) or []]
    return found


def run(command: list[str], path: Path | None = None, **more) -> str:
    """What a command prints; its complaint, if it fails. `path`: where Python looks for
    modules before anywhere else.
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_"))}
    env |= {"OMP_NUM_THREADS": "1"} | ({"PYTHONPATH": str(path)} if path else {})
    done = subprocess.run(command, capture_output=True, text=True, env=env, **more)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


@pytest.fixture(scope="session")
def dist(tmp_path_factory) -> Path:
    """The folder with the sdist, and the wheel that was made from the sdist."""
    place = tmp_path_factory.mktemp("build")
    for name in tracked():
        (place / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place / "clone" / name)
    # --no-isolation: with the setuptools that is here, and without a network
    run(
        [
            sys.executable,
            "-m",
            "build",
            "--no-isolation",
            "--outdir",
            str(place / "dist"),
            str(place / "clone"),
        ]
    )
    return place / "dist"


@pytest.fixture(scope="session")
def home(dist, tmp_path_factory) -> Path:
    """An environment with the wheel, which sees the packages of this one."""
    place = tmp_path_factory.mktemp("home") / "venv"
    venv.create(place, with_pip=False)
    inside = place / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    (wheel,) = dist.glob("*.whl")
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--target",
            str(inside),
            str(wheel),
        ]
    )
    (inside / "neighbours.pth").write_text(
        sysconfig.get_path("purelib") + "\n", encoding="utf-8"
    )
    return place


def test_the_source_distribution_is_the_clone(dist):
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as file:
        names = {n.split("/", 1)[1] for n in file.getnames() if "/" in n}
        held = {m.name.split("/", 1)[1] for m in file.getmembers() if m.isfile()}
    assert tracked() - names == set(), "not in the sdist: see MANIFEST.in"
    made = {n for n in held - tracked() if not n.startswith("latent_book.egg-info/")}
    assert made == {"PKG-INFO", "setup.cfg"}


def test_the_wheel_holds_the_library_and_says_what_it_is(dist):
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        (told,) = (n for n in names if n.endswith(".dist-info/METADATA"))
        about = file.read(told).decode()
    library = {n for n in tracked() if n.startswith("latent_book/")}
    assert {n for n in names if ".dist-info/" not in n} == library
    assert {
        "latent_book/py.typed",
        "latent_book/figures/static/kit.js",
        "latent_book/assets/mnist_subset.npz",
    } <= library
    settings = (ROOT / "settings.ini").read_text(encoding="utf-8")
    version = re.search(r"^version = (.*)$", settings, re.M)
    assert version
    assert f"\nVersion: {version[1]}\n" in about
    for extra in ("book", "dask", "dev", "scale"):
        assert f"Provides-Extra: {extra}\n" in about
    assert {n for n in names if "/licenses/" in n and n.endswith(".txt")}, (
        "the licences travel too"
    )


VISIT = """
import importlib, pkgutil, sys
from importlib import metadata
from pathlib import Path

allowed, wanted = set(sys.argv[1].split()), sys.argv[2].split()
owners = metadata.packages_distributions()


class OnlyDeclared:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names:  # some packages are backports of such
            return None
        brings = {d.replace("_", "-").replace(".", "-").lower() for d in owners.get(top, [])}
        if brings and not brings & allowed | (brings & {"latent-book"}):
            raise ModuleNotFoundError(f"No module named {top!r}: none of the declared requirements brings it", name=top)
        return None


sys.meta_path.insert(0, OnlyDeclared())
import latent_book
home = Path(latent_book.__file__).parent
assert home.is_relative_to(sys.prefix), home
found = pkgutil.walk_packages([str(home)], "latent_book.")
names = wanted or [m.name.removeprefix("latent_book.") for m in found if not m.ispkg]
for name in names:
    importlib.import_module("latent_book." + name)
print(*names)
print(*sorted({m.partition(".")[0] for m in sys.modules} & {"torch", "dask", "accelerate", "pandas"}))
"""


def visit(home: Path, allowed: set[str], *modules: str) -> list[list[str]]:
    """Import the installed modules where only the packages allowed are there; which
    modules, and which others are loaded.
    """
    said = run(
        [
            str(home / "bin" / "python"),
            "-c",
            VISIT,
            " ".join(allowed),
            " ".join(modules),
        ],
        cwd=home,
    )
    return [line.split() for line in said.splitlines()]


def test_every_module_imports_with_only_what_is_declared(home):
    names, _ = visit(home, requirements())
    library = ROOT / "latent_book"
    written = {
        ".".join(p.relative_to(library).with_suffix("").parts)
        for p in library.rglob("*.py")
        if p.stem != "__init__"
    }
    assert set(names) == written
    assert len(written) > 20


def test_the_modules_without_torch_import_where_there_is_none(home):
    without = requirements("torch")
    assert "torch" not in without
    names, loaded = visit(home, without, *NO_TORCH)
    assert names == NO_TORCH
    assert loaded == []


def test_a_requirement_that_is_missing_would_be_noticed(home):
    """The tests above can fail: scipy is asked for."""
    with pytest.raises(AssertionError, match="No module named 'scipy'"):
        visit(home, requirements() - {"scipy"}, "pca")


def test_the_installed_library_works_and_finds_its_files(home):
    code = (
        "from latent_book.data import mnist; from latent_book.pca import PCA; from latent_book.figures.kit import style\n"
        "X = mnist('test').X; print(PCA(2).fit(X).encode(X).shape, len(style()) > 100)"
    )
    said = run([str(home / "bin" / "python"), "-c", code], cwd=home)
    assert said == "(1000, 2) True\n"


def test_a_type_checker_reads_the_installed_library(home):
    """By py.typed: without it, mypy would not look into an installed package, and all
    would be of type Any.
    """
    (site,) = home.glob("lib/python3*/site-packages")
    paths = SearchPaths((), (), (str(site),), ())

    def found() -> object:
        return FindModuleCache(paths, FileSystemCache(), Options()).find_module(
            "latent_book.pca"
        )

    assert found() == str(site / "latent_book" / "pca.py")
    (site / "latent_book" / "py.typed").rename(site / "hidden")
    try:
        assert found() == ModuleNotFoundReason.FOUND_WITHOUT_TYPE_HINTS
    finally:
        (site / "hidden").rename(site / "latent_book" / "py.typed")


@pytest.mark.parametrize(
    "python", os.environ.get("OTHER_PYTHONS", "").split() or ["none"]
)
def test_other_versions_of_python_run_what_needs_no_torch(python, dist, tmp_path):
    if python == "none":
        pytest.skip(
            "name interpreters in OTHER_PYTHONS; the head of this file says what they need"
        )
    (wheel,) = dist.glob("*.whl")
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--target",
            str(tmp_path),
            str(wheel),
        ]
    )
    shutil.copytree(
        ROOT / "tests",
        tmp_path / "tests",
        ignore=shutil.ignore_patterns("browser", "__pycache__"),
    )
    run(
        [python, "-c", " ".join(f"import latent_book.{name};" for name in NO_TORCH)],
        cwd=tmp_path,
    )
    tests = [str(tmp_path / "tests" / f"{name}.py") for name in TORCH_FREE_TESTS]
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\nmarkers = equation(label): as in pyproject.toml\n",
        encoding="utf-8",
    )
    said = run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        tmp_path,
        cwd=tmp_path,
    )
    print(python, said.splitlines()[-1])
    assert re.search(r"\d\d+ passed", said), said
