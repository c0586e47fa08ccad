"""Shapes in signatures are enforced while the tests run; the browser tests and the
book's checks share what is here.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import install_import_hook
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
install_import_hook("latent_book", "beartype.beartype")


def notebooks() -> list[Path]:
    """Every notebook of the book; there is always one."""
    found = sorted(
        p
        for p in (ROOT / "nbs").rglob("*.ipynb")
        if ".ipynb_checkpoints" not in p.parts
    )
    assert found, "no notebook in nbs/: the checks would check nothing"
    return found


def cells(path: Path, kind: str) -> list[tuple[str, str]]:
    """Names and texts of a notebook's cells of one kind, `code` or `markdown`."""
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [(c["id"], "".join(c["source"])) for c in found if c["cell_type"] == kind]


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


def declared() -> dict[str, list[str]]:
    """The requirements that pyproject.toml declares: of each extra, and under the empty
    name those of the library itself.
    """
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


def brought_by(*extras: str, also: Iterable[str] = ()) -> set[str]:
    """The names of all distributions that pip would bring for the library with these
    extras, and for these packages beside it.
    """
    project = declared()
    todo = [Requirement(line) for line in [*project[""], *also]]
    todo += [Requirement(f"latent_book[{','.join(extras)}]")]
    found, seen = set(), set()
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        if (name, *sorted(wanted.extras)) in seen:
            continue
        seen.add((name, *sorted(wanted.extras)))
        found.add(name)
        if name == "latent-book":
            lines = [line for extra in wanted.extras for line in project[extra]]
        else:
            lines = metadata.requires(wanted.name) or []
        kinds = [{"extra": extra} for extra in ("", *wanted.extras)]
        todo += [
            further
            for further in map(Requirement, lines)
            if not further.marker or any(map(further.marker.evaluate, kinds))
        ]
    return found


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
def unpacked(dist, tmp_path_factory) -> Path:
    """The folder with what pip makes of the wheel."""
    place = tmp_path_factory.mktemp("unpacked")
    (wheel,) = dist.glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    run([*install, "--no-index", "--target", str(place), str(wheel)])
    return place


@pytest.fixture(scope="session")
def install(unpacked, tmp_path_factory):
    """A function: the Python of a new environment with the library, with what these
    extras (and packages `also`) bring, and with nothing else.
    """

    @cache
    def installed(*extras: str, without: str = "", also: tuple[str, ...] = ()) -> Path:
        place = tmp_path_factory.mktemp("home") / "venv"
        venv.create(place, with_pip=False, symlinks=True)
        inside = place / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
        sources = {part.name: part for part in unpacked.iterdir()}
        for name in brought_by(*extras, also=also) - {"latent-book", without}:
            found = metadata.distribution(name)
            for top in {file.parts[0] for file in found.files or ()}:
                # a folder that several share is there as a whole
                sources[top] = Path(str(found.locate_file(top)))
        for top, source in sources.items():
            if top not in ("..", "__pycache__") and source.exists():
                (inside / top).symlink_to(source)
        return place / "bin" / "python"

    return installed


def cloud(N: int, D: int, seed: int = 0, mean: float = 3.0) -> np.ndarray:
    """Points with a spectrum that falls, in directions that no axis shares."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(D, D)))[0]
    return rng.normal(size=(N, D)) * np.arange(1, D + 1) ** -0.7 @ turn + mean
