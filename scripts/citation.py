"""The citation file, from settings.ini and the changelog: `make export` writes it,
tests/test_book.py compares.

A release has a date in its heading of the changelog, `## 0.1.0 (2027-03-01)`; what is
not yet released has none.
"""

import re
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def citation(root: Path = ROOT) -> str:
    """The text of CITATION.cff."""
    settings = ConfigParser(delimiters=["="])
    settings.read(root / "settings.ini", encoding="utf-8")
    said = settings["DEFAULT"]
    history = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    day = re.search(
        rf"^## {re.escape(said['version'])} \((\d{{4}}-\d\d-\d\d)\)", history, re.M
    )
    lines = [
        "# Made by scripts/citation.py from settings.ini and CHANGELOG.md: run make export.",
        "cff-version: 1.2.0",
        "message: If this book or its library helps your work, please cite it.",
        'title: "latent_book: latent variables and generative models for vision"',
        "type: software",
        "authors:",
        f"  - name: {said['author']}",
        f"version: {said['version']}",
    ]
    if day:
        lines.append(f"date-released: {day[1]}")
    if address := said.get("git_url", ""):
        lines += [f"repository-code: {address}", f"url: {address}"]
    return "\n".join([*lines, "license: Apache-2.0", ""])


def cite() -> None:
    """Write it."""
    (ROOT / "CITATION.cff").write_text(citation(), encoding="utf-8")


if __name__ == "__main__":
    cite()
