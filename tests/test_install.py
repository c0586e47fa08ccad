"""The library as somebody gets it who never sees this repository: built from a clean
copy, installed, imported with what it asks for.

Nothing is downloaded. The wheel goes into environments of its own, which see of the
packages of this one those alone that the wheel and some of its extras bring: the rest
is missing there as it would be on an empty machine.

    OTHER_PYTHONS="/path/to/python3.12 /path/to/python3.13" pytest tests/test_install.py

also runs the modules of the base, with their tests, on those interpreters; they must
have the base's requirements, and what the tests ask for: beartype, hypothesis, mpmath,
psutil, pytest.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from conftest import ROOT, declared, run, tracked
from mypy.fscache import FileSystemCache
from mypy.modulefinder import FindModuleCache, ModuleNotFoundReason, SearchPaths
from mypy.options import Options
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import latent_book
from sphinxext.reference import modules

# what the base is for; and which extras bring the rest
BASE = [
    "bound",
    "data",
    "em",
    "expfam",
    "files",
    "linalg",
    "mixture",
    "mixture_models",
    "pca",
    "rows",
]
EXTRAS = ["networks", "figures", "data", "dask", "scale"]
# the others compare with torch
TORCH_FREE_TESTS = ["test_linalg", "test_pca", "test_mixture", "test_expfam"]


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
    for extra in (*EXTRAS, "all", "notebook", "bench", "book", "dev"):
        assert f"Provides-Extra: {extra}\n" in about
    assert {n for n in names if "/licenses/" in n and n.endswith(".txt")}, (
        "the licences travel too"
    )


VISIT = """
import importlib, json, pkgutil, sys
import latent_book

assert latent_book.__file__.startswith(sys.prefix), latent_book.__file__
found = {}
for module in pkgutil.walk_packages(latent_book.__path__, "latent_book."):
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        found[module.name[12:]] = str(error)
    else:
        found[module.name[12:]] = "there"
kit = sys.modules.get("latent_book.figures.kit")
assert kit is None or len(kit.style()) > 100, "the figures find their files"
heavy = {"torch", "matplotlib", "anywidget", "pooch", "dask", "accelerate", "pandas"}
print(json.dumps([found, sorted(heavy & set(sys.modules))]))
"""


def visit(python: Path) -> tuple[dict[str, str], list[str]]:
    """Which of the library's modules can be imported, or why not; and which heavy
    packages are loaded then.
    """
    found, loaded = json.loads(run([str(python), "-c", VISIT], cwd=python.parent))
    return found, loaded


def there(found: dict[str, str]) -> set[str]:
    return {name for name, state in found.items() if state == "there"}


def wanted(found: dict[str, str]) -> dict[str, str]:
    """The extra that the error of a missing module names, for each module."""
    cure = r"No module named '\w+': pip install 'latent_book\[(\w+)\]'"
    return {
        name: match[1] if (match := re.fullmatch(cure, state)) else state
        for name, state in found.items()
        if state != "there"
    }


def test_every_module_imports_with_only_what_is_declared(install):
    found, _ = visit(install("all"))
    assert set(found) == {*modules(), "figures", "_modidx"}
    assert set(found.values()) == {"there"}
    assert len(found) > 20


def test_the_base_is_light_and_an_error_names_the_extra(install):
    """Without torch, matplotlib and the downloader: PCA and mixtures are fitted."""
    python = install()
    found, loaded = visit(python)
    assert set(BASE) <= there(found)
    assert loaded == []
    lacking = wanted(found)
    drawn = {m for m in lacking if m == "plots" or m.startswith("figures.")}
    assert {m for m, extra in lacking.items() if extra == "figures"} == drawn
    assert {m for m, extra in lacking.items() if extra == "networks"} == {
        *lacking
    } - drawn
    assert {"training", "vae"} <= {*lacking} - drawn
    home = {name: latent_book._NAMES[name] for name in latent_book.__all__}
    needed = {name: lacking[m] for name, m in home.items() if m in lacking}
    assert {"VAE", "GAN", "Flow"} <= set(needed)
    code = f"""
from latent_book import PCA, BernoulliMixture, GaussianMixture, ProbabilisticPCA
from latent_book.data import MNIST, fetch, mnist
import json, sys
import latent_book
X = mnist("test").X
print(json.dumps(PCA(2).fit(X).encode(X).shape))
codes = PCA(2).fit_transform(X)
print(json.dumps(bool(GaussianMixture(2, random_state=0).fit(codes).score(codes) < 0)))
said = {{}}
for name in {sorted(needed)}:
    try:
        getattr(latent_book, name)
    except ImportError as error:
        said[name] = str(error)
print(json.dumps(said))
try:
    fetch(MNIST, folder=sys.argv[1])
except ImportError as error:
    print(json.dumps({{"fetch": str(error)}}))
"""
    told = run([str(python), "-c", code, str(python.parent)], cwd=python.parent)
    shape, scored, said, fetched = map(json.loads, told.splitlines())
    assert shape == [1000, 2]
    assert scored is True
    assert wanted(said) == needed
    assert wanted(fetched) == {"fetch": "data"}


def test_figures_need_no_networks_but_for_those_that_compute_with_them(install):
    found, loaded = visit(install("figures"))
    assert {*BASE, "plots", "figures.kit", "figures.vae"} <= there(found)
    assert set(wanted(found).values()) == {"networks"}
    assert loaded == ["anywidget", "matplotlib"]


def test_a_requirement_that_is_missing_would_be_noticed(install):
    """The tests above can fail: scipy is asked for."""
    found, _ = visit(install(without="scipy"))
    assert found["pca"] == "No module named 'scipy'"


def imported(path: Path) -> list[tuple[str, int, bool]]:
    """The packages that a module imports, with the line of each, and whether at the
    module's own level; but for those that a type checker alone is shown.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found, unseen = [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            unseen |= {part for child in node.body for part in ast.walk(child)}
    for node in ast.walk(tree):
        names = []
        if node in unseen:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [node.module]
        found += [(n.split(".")[0], node.lineno, node in tree.body) for n in names]
    return [i for i in found if i[0] not in {*sys.stdlib_module_names, "latent_book"}]


def test_what_is_imported_is_declared_and_what_is_declared_is_imported():
    """Accelerate alone is not: whoever hands in an `Accelerator` has imported it."""
    owners = metadata.packages_distributions()
    brings = {  # what each requirement of the base, "", and of the extras names
        canonicalize_name(Requirement(line).name): extra
        for extra, lines in declared().items()
        if extra in ("", *EXTRAS)
        for line in lines
    }
    seen = set()
    for path in modules().values():
        asked = {  # by _needs: the extra, and where
            latent_book._EXTRAS[node.args[0].value]: node.lineno
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "_needs"
        }
        for package, line, _ in imported(path):
            homes = {canonicalize_name(d) for d in owners[package]} & set(brings)
            assert homes, f"{path.name} imports {package}: declare it in pyproject.toml"
            seen |= homes
            extra = brings[min(homes)]
            # no array of Dask's without Dask, and nobody reads a copy without IPython
            there = extra in ("", "dask") or path.stem == "reader"
            assert there or asked.get(extra, line) < line, (
                f"{path.name}, line {line}: {package} comes by the extra {extra}; "
                "call `_needs` first"
            )
    assert len(modules()) > 20
    assert set(brings) - seen == {"accelerate"}


def test_a_type_checker_reads_the_installed_library(unpacked):
    """By py.typed: without it, mypy would not look into an installed package, and all
    would be of type Any. tests/typed.py holds the types themselves.
    """
    paths = SearchPaths((), (), (str(unpacked),), ())

    def found() -> object:
        return FindModuleCache(paths, FileSystemCache(), Options()).find_module(
            "latent_book.pca"
        )

    assert found() == str(unpacked / "latent_book" / "pca.py")
    (unpacked / "latent_book" / "py.typed").rename(unpacked / "hidden")
    try:
        assert found() == ModuleNotFoundReason.FOUND_WITHOUT_TYPE_HINTS
    finally:
        (unpacked / "hidden").rename(unpacked / "latent_book" / "py.typed")


GOOD = """
from pathlib import Path

import numpy as np

from latent_book import PCA, VAE, GaussianMixture, load, save
from latent_book.data import mnist
from latent_book.em import em_gaussian
from latent_book.training import History, train
from latent_book.variational import binarise


def main(path: Path) -> History:
    X = binarise(mnist("test").X, np.random.default_rng(0))
    vae = VAE(8, epochs=1, random_state=0).fit(X)
    save(vae, path)
    mean, variance = load(VAE, path).posterior(X)
    print(mean.shape, variance.max(), vae.sample(3, rng=0).mean())
    codes = PCA(n_components=2).fit_transform(X)
    print(GaussianMixture(3).set_params(tol=1e-4).fit(codes).predict(codes).tolist())
    return vae.history_
"""
BAD = """
from latent_book import PCA, VAE
from latent_book.data import mnist

vae = VAE(8)
vae.sampel(3)
print(vae.histroy_)
print(vae.encode(mnist("test").X).shpae)
PCA(2).fit_tranform(mnist("test").X)
"""


def test_a_users_script_is_checked_strictly(install, tmp_path):
    """In a folder of its own, with what the wheel brings; with torch, and without."""
    (tmp_path / "good.py").write_text(GOOD, encoding="utf-8")
    (tmp_path / "bad.py").write_text(BAD, encoding="utf-8")
    plain = "from latent_book import PCA\n\nPCA(2).sampel(3)\nPCA(2).fit([[1.0]])\n"
    (tmp_path / "plain.py").write_text(plain, encoding="utf-8")

    def complaints(python: Path, *names: str) -> list[str]:
        command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"]
        command += ["--python-executable", str(python), "--hide-error-context", *names]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert not done.stderr
        return re.findall(r"^(\w+\.py:\d+): error: .*\[(.*)\]$", done.stdout, re.M)

    wrong = [(f"bad.py:{line}", "attr-defined") for line in (6, 7, 8, 9)]
    assert complaints(install("all"), "good.py", "bad.py") == wrong
    assert complaints(install(), "plain.py") == [("plain.py:3", "attr-defined")]


@pytest.mark.parametrize(
    "python", os.environ.get("OTHER_PYTHONS", "").split() or ["none"]
)
def test_other_versions_of_python_run_the_base(python, unpacked, tmp_path):
    if python == "none":
        pytest.skip(
            "name interpreters in OTHER_PYTHONS; the head of this file says what they need"
        )
    shutil.copytree(unpacked, tmp_path, dirs_exist_ok=True)
    shutil.copytree(
        ROOT / "tests",
        tmp_path / "tests",
        ignore=shutil.ignore_patterns("browser", "__pycache__"),
    )
    run(
        [python, "-c", " ".join(f"import latent_book.{name};" for name in BASE)],
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
