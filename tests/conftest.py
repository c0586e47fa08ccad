"""Shapes in signatures are enforced while the tests run; the browser tests and the
book's checks share what is here.
"""

import json
import tomllib
from collections import defaultdict
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import install_import_hook
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from plain_markdown import Site

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


def brought_by(*extras: str) -> set[str]:
    """The names of all distributions that pip would bring for the library with these
    extras.
    """
    project = declared()
    todo = [Requirement(line) for line in project[""]]
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


class AnySite(Site):
    """A built site that knows every label and every value, and none of them right."""

    def __init__(self) -> None:
        super().__init__(defaultdict(lambda: "1.2"), defaultdict(lambda: "A title"))
        self.values = defaultdict(lambda: Unknown())

    def references(self, page: str) -> dict[str, tuple[str, str]]:
        """Every work, and its description."""
        return defaultdict(lambda: ("1", "Someone. Something. 2000."))


class Unknown:
    """A measured value, whose form is everybody's."""

    def __format__(self, spec: str) -> str:
        return "0.5"


def cloud(N: int, D: int, seed: int = 0, mean: float = 3.0) -> np.ndarray:
    """Points with a spectrum that falls, in directions that no axis shares."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(D, D)))[0]
    return rng.normal(size=(N, D)) * np.arange(1, D + 1) ** -0.7 @ turn + mean
