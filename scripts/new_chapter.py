"""Begin a chapter: a small one that keeps all of the book's rules, to be replaced cell
by cell.

    python scripts/new_chapter.py flows --after gan

It writes nbs/flows.ipynb and tests/test_flows.py, and puts the chapter into _toc.yml,
the lists of tests/test_book.py, and what it exports into tests/public_names.txt.
"""

import argparse
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def begin(name: str, after: str, root: Path = ROOT) -> list[Path]:
    """Write the files of a new chapter; returns those that are new or changed. Raises
    ValueError, and changes nothing, if the name will not do.
    """
    notebook, test = root / "nbs" / f"{name}.ipynb", root / "tests" / f"test_{name}.py"
    if not re.fullmatch(r"[a-z][a-z0-9]*", name):
        raise ValueError(
            f"{name!r} cannot name a module: take lower-case letters and digits only"
        )
    if taken := [
        p for p in (notebook, test, root / "latent_book" / f"{name}.py") if p.exists()
    ]:
        raise ValueError(
            f"{taken[0].relative_to(root)} exists already: take another name"
        )
    toc, rules = root / "_toc.yml", root / "tests" / "test_book.py"
    order = toc.read_text(encoding="utf-8")
    if f"      - file: {after}\n" not in order:
        raise ValueError(f"_toc.yml has no chapter {after!r} to put the new one after")
    order = order.replace(
        f"      - file: {after}\n", f"      - file: {after}\n      - file: {name}\n"
    )
    lists = rules.read_text(encoding="utf-8")
    lists, claims = re.subn(
        r"(?ms)(^CLAIMS = \{.*?)(^\})", rf'\1    "{name}": [],\n\2', lists, count=1
    )
    lists, layers = re.subn(
        r"(?m)(^LAYERS = \[\n.*\n    \{)", rf'\1"{name}", ', lists, count=1
    )
    if not claims or not layers:
        raise ValueError("tests/test_book.py has no CLAIMS or no LAYERS any more")
    folder = root / "scripts" / "chapter"
    changed = {
        notebook: (folder / "chapter.ipynb").read_text(encoding="utf-8"),
        test: (folder / "test_chapter.txt").read_text(encoding="utf-8"),
    }
    changed = {
        path: text.replace("yourchapter", name) for path, text in changed.items()
    }
    names = root / "tests" / "public_names.txt"
    # what the notebook exports
    listed = names.read_text(encoding="utf-8") + f"{name}.mean_error\n"
    changed |= {toc: order, rules: lists, names: listed}
    for path, text in changed.items():
        path.write_text(text, encoding="utf-8")
    return list(changed)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="of the notebook and of the module")
    parser.add_argument(
        "--after", default="onwards", help="the chapter that it follows"
    )
    given = parser.parse_args()
    try:
        for path in begin(given.name, given.after):
            print(path.relative_to(ROOT))
    except ValueError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
