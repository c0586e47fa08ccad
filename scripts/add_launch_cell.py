"""Make a checkout one whose notebooks run anywhere: on Colab, which has nothing of
ours, and on Binder, which is told here what to have.

    python scripts/add_launch_cell.py FOLDER    # a checkout that is to become the
    branch `launch`; see publish.yml

Each notebook gets a cell that installs the library, and what else the notebooks import,
where it is missing; one that reads the project's files fetches them. The chapters
themselves have no such cell: in the book, and here, all that is at hand.
"""

import argparse
import json
import subprocess
from configparser import ConfigParser
from pathlib import Path
from typing import Any

# one of each that must be there
MODULES = "latent_book anywidget pooch torch dask myst_nb pytest yaml pybtex"
CELL = """\
# This copy runs anywhere: it installs what is missing, and lets live figures run on Colab.
import importlib.util, sys
modules = "{modules}"
if any(importlib.util.find_spec(name) is None for name in modules.split()):
    %pip install --quiet "{wanted}"
if "google.colab" in sys.modules:
    from google.colab import output
    output.enable_custom_widget_manager()"""
FILES = """
from pathlib import Path
if not any((folder / "settings.ini").exists() for folder in Path.cwd().parents):  # it reads the book's files
    !git clone --quiet {address} latent_book_files && git -C latent_book_files checkout --quiet {commit}
    %cd -q latent_book_files/{folder}"""
BINDER = """\
# What Binder installs: see scripts/add_launch_cell.py.
channels: [conda-forge]
dependencies:
  - python=3.11
  - pip
  - pip:
      - --extra-index-url https://download.pytorch.org/whl/cpu
      - "{wanted}"
"""


def cell_for(path: Path, folder: Path, address: str, commit: str) -> str:
    """The text of a notebook's cell."""
    text = CELL.format(modules=MODULES, wanted=requirement(address, commit))
    if "Path.cwd().parents" in path.read_text(encoding="utf-8"):
        home = path.parent.relative_to(folder).as_posix()
        text += FILES.format(address=address, commit=commit, folder=home)
    return text


def requirement(address: str, commit: str) -> str:
    """What pip is asked for: the library of the same commit, with what the notebooks
    import beside it.
    """
    return f"latent_book[notebook] @ git+{address}@{commit}"


def add(path: Path, text: str) -> None:
    """Put the cell under the notebook's title; a notebook that has it gets the one of
    today.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": "launch",
        "metadata": {},
        "outputs": [],
        "source": text.splitlines(keepends=True),
    }
    cells = [c for c in notebook["cells"] if c.get("id") != "launch"]
    notebook["cells"] = [*cells[:1], cell, *cells[1:]]
    path.write_text(
        json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def prepare(folder: Path, commit: str) -> None:
    """Change all notebooks of a checkout, and write what Binder reads. Raises
    SystemExit where no address is set.
    """
    settings = ConfigParser(delimiters=["="])
    settings.read(folder / "settings.ini", encoding="utf-8")
    address = settings["DEFAULT"].get("git_url", "")
    if not address:
        raise SystemExit(
            "settings.ini has no git_url: write the address of the repository there"
        )
    for path in sorted((folder / "nbs").rglob("*.ipynb")):
        add(path, cell_for(path, folder, address, commit))
    (folder / "binder").mkdir(exist_ok=True)
    wanted = requirement(address, commit)
    (folder / "binder" / "environment.yml").write_text(
        BINDER.format(wanted=wanted), encoding="utf-8"
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", type=Path, help="the checkout; its notebooks are changed"
    )
    folder = parser.parse_args().folder
    head = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    prepare(
        folder,
        subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip(),
    )


if __name__ == "__main__":
    main()
