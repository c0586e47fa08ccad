"""Shapes in signatures are enforced while the tests run; the browser tests and the
book's checks share what is here.
"""

import json
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

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
