"""Give each notebook of a checkout the cell that installs the library where there is none, as on Colab.

    python scripts/add_launch_cell.py FOLDER    # a checkout that is to become the branch `launch`; see publish.yml

The chapters themselves have no such cell: in the book, and here, the library is always installed.
"""

import argparse
import json
from configparser import ConfigParser
from pathlib import Path
from typing import Any

CELL = """\
# This copy runs anywhere: it installs the library where there is none, and lets live figures run on Colab.
import importlib.util, sys
if importlib.util.find_spec("latent_book") is None:
    %pip install --quiet "latent_book @ git+{address}"
if "google.colab" in sys.modules:
    from google.colab import output
    output.enable_custom_widget_manager()"""


def add(path: Path, address: str) -> None:
    """Put the cell under the notebook's title; a notebook that has it gets the one of today."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": "launch",
        "metadata": {},
        "outputs": [],
        "source": CELL.format(address=address).splitlines(keepends=True),
    }
    cells = [c for c in notebook["cells"] if c.get("id") != "launch"]
    notebook["cells"] = [*cells[:1], cell, *cells[1:]]
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="the checkout; its notebooks are changed")
    folder = parser.parse_args().folder
    settings = ConfigParser(delimiters=["="])
    settings.read(folder / "settings.ini", encoding="utf-8")
    address = settings["DEFAULT"].get("git_url", "")
    if not address:
        raise SystemExit("settings.ini has no git_url: there is nothing to install from")
    for path in sorted((folder / "nbs").rglob("*.ipynb")):
        add(path, address)


if __name__ == "__main__":
    main()
