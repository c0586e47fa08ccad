"""What has changed since it was last found right: for `make check`.

A test has a key: what it says, with the helpers, fixtures and constants that it names,
and what those need of the project (sphinxext/needs.py). A chapter's key is its code.
_build/green.json notes the keys with which all was well.
"""

import ast
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from run_chapters import ROOT, notebooks

from sphinxext import needs

GREEN = ROOT / "_build" / "green.json"
EVERYWHERE = ("constraints.txt", "pyproject.toml")  # what every test depends on
STATIC = {  # what the checkers read that run nothing
    "types": ("latent_book/**/*.py", "sphinxext/*.py", "scripts/*.py", *EVERYWHERE),
    "scripts": ("latent_book/**/*.js", "sphinxext/**/*.js", "*.json"),
}


class Green:
    """The keys with which tests, chapters and types were found right."""

    def __init__(self, path: Path = GREEN) -> None:
        self.path = path
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.keys: dict[str, str] = kept.get("keys", {})
        self.seconds: dict[str, float] = kept.get("seconds", {})

    def changed(self, today: dict[str, str]) -> list[str]:
        """What has another key today, or has none yet."""
        return [name for name, key in today.items() if self.keys.get(name) != key]

    def note(
        self,
        today: dict[str, str],
        right: Iterable[str],
        seconds: Mapping[str, float] | None = None,
    ) -> None:
        """Keep the keys of what was found right, and the time that it took."""
        self.keys |= {name: today[name] for name in right if name in today}
        self.seconds |= seconds or {}
        self.path.parent.mkdir(exist_ok=True)
        kept = {"keys": self.keys, "seconds": self.seconds}
        self.path.write_text(json.dumps(kept, indent=1), encoding="utf-8")


def keys_of_static() -> dict[str, str]:
    """The key of what each checker reads: comments count."""
    return {
        name: needs.digest((p for g in globs for p in ROOT.glob(g)), whole=True)
        for name, globs in STATIC.items()
    }


def keys_of_chapters() -> dict[str, str]:
    """Each chapter with the key of its own code."""
    found = {}
    for path in notebooks():
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        own = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
        found[path.relative_to(ROOT).as_posix()] = _hash(own)
    return found


def keys_of_tests(folder: Path = ROOT / "tests") -> dict[str, str]:
    """Each test that needs no browser, as `tests/test_em.py::test_it`, with its key."""
    common = _statements(folder / "conftest.py")
    base = needs.digest(ROOT / name for name in EVERYWHERE) + sys.version
    found: dict[str, str] = {}

    @cache  # many tests need the same
    def files_key(
        imported: frozenset[Path], named: frozenset[Path], whole: bool
    ) -> str:
        files = needs.shown(needs.behind(imported)) | named
        return needs.digest(files, whole=whole)

    for path in sorted(folder.glob("test_*.py")):
        own = _statements(path)
        file = _File([*common, *own])
        for one in own:
            if isinstance(one, ast.FunctionDef) and one.name.startswith("test"):
                name = f"{path.relative_to(ROOT).as_posix()}::{one.name}"
                texts, *needed = file.told(one)
                found[name] = _hash([base, *texts, files_key(*needed)])
    return found


def _hash(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _statements(path: Path) -> list[ast.stmt]:
    """A module's statements, with one import in each line."""
    ((_, nodes),) = needs.parse([(path.name, path.read_text(encoding="utf-8"))])
    assert isinstance(nodes[0], ast.Module)
    found: list[ast.stmt] = []
    for one in nodes[0].body:
        if isinstance(one, ast.Import):
            found += [ast.Import([alias]) for alias in one.names]
        elif isinstance(one, ast.ImportFrom) and one.module != "conftest":
            found += [ast.ImportFrom(one.module, [a], one.level) for a in one.names]
        elif not isinstance(one, ast.ImportFrom):  # what conftest.py has is here
            found.append(one)
    return found


class _File:
    """The statements that tests of a file, and of its conftest.py, are made of."""

    def __init__(self, statements: list[ast.stmt]) -> None:
        self.givers = defaultdict(list)  # a name -> the statements that give it
        self.always = []  # and those that act without being named
        self.known: dict[int, _About] = {}
        for one in statements:
            names = needs.given(one)
            for name in names:
                self.givers[name].append(one)
            marks = map(ast.unparse, getattr(one, "decorator_list", []))
            if not names or "pytestmark" in names or "autouse=True" in "".join(marks):
                self.always.append(one)

    def told(
        self, test: ast.stmt
    ) -> tuple[list[str], frozenset[Path], frozenset[Path], bool]:
        """What a test says, also by what it names; the modules that this imports
        itself; the project's files that it names; and whether it reads docstrings.
        """
        todo, whole = [test, *self.always], False
        texts: set[str] = set()
        imported: set[Path] = set()
        named: set[Path] = set()
        done = {id(one) for one in todo}
        while todo:
            about = self._about(todo.pop())
            texts.add(about.text)
            imported |= about.imported
            named |= about.named
            whole |= about.whole
            for word in about.words:
                for one in self.givers.get(word, []):
                    if id(one) not in done:
                        done.add(id(one))
                        todo.append(one)
        return sorted(texts), frozenset(imported), frozenset(named), whole

    def _about(self, one: ast.stmt) -> "_About":
        """The same of a statement by itself, and its words."""
        if id(one) not in self.known:
            nodes = list(ast.walk(one))
            words = set(filter(None, map(_word, nodes)))
            for giver in [one for word in words for one in self.givers.get(word, [])]:
                if isinstance(giver, ast.Import | ast.ImportFrom):
                    nodes += [giver, *giver.names]
            cells: needs.Cells = [("", nodes)]
            imported = needs.direct(cells, strict=False)
            named = needs.named(cells, base=r"\b(ROOT|HERE)\b")
            for path in [p for p in imported if p.parent.name == "sphinxext"]:
                # the site's own code reads the project
                named |= needs.named(needs.read(path), base=r"^ROOT$")
            self.known[id(one)] = _About(
                words, ast.dump(one), imported, named, needs.reads_docstrings(cells)
            )
        return self.known[id(one)]


class _About(NamedTuple):
    words: set[str]
    text: str
    imported: set[Path]
    named: set[Path]
    whole: bool


def _word(node: ast.AST) -> str | None:
    """What a part of a statement names: a variable, a fixture, or one in a string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.arg):
        return node.arg
    text = node.value if isinstance(node, ast.Constant) else None
    return text if isinstance(text, str) and text.isidentifier() else None
