"""Write readers' copies of the chapters: notebooks in plain Jupyter Markdown, in which
a failed assertion is a note (latent_book.reader), made with the numbers of the built
site.

    python scripts/reader_copies.py                  # into _build/lab, for make lab
    python scripts/reader_copies.py --launch FOLDER  # over the notebooks of a checkout
                                                     # that is to become the branch
                                                     # `launch`; see publish.yml
    python scripts/reader_copies.py --experiment nbs/em.ipynb 2
                                                     # run a copy with the change that
                                                     # the chapter's item 2 proposes

A copy that its reader has changed is never written over: it is set aside, and told.
With the copies, this environment's JupyterLab learns to keep live figures in them.
"""

import argparse
import ast
import collections
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

from plain_markdown import SOLVED, NotBuilt, Page, Site, Solution, read_site
from run_chapters import CACHE, NOTEBOOKS, ROOT, notebooks

BUILD = ROOT / "_build"
CLOSED = {  # directives whose cells a reader opens on request
    "hide": "bookkeeping",
    "hide_input": "the figure",
    "code-fold": "details",
    "echo": "details",
}
MODULES_OWN = re.compile(r'from latent_book import _needs\s+(_needs\("\w+"\)\s*)+')
YOURS = {  # what the site says of copies, and what a copy says of itself
    "`make lab` opens a copy of this chapter that is yours.": "This copy is yours."
}
PAGES = ["notation.md", "appendix/glossary.md", "workshop/made.md"]  # beside notebooks
# where pip finds what a page imports: an extra of the library, or a package of its own
EXTRAS = {
    "torch": "networks",
    **dict.fromkeys(["anywidget", "cycler", "matplotlib", "PIL"], "figures"),
    **dict.fromkeys(["pooch", "requests"], "data"),
    "dask": "dask",
    "accelerate": "scale",
}
PACKAGES = {
    "mpmath": "mpmath",
    "pybtex": "pybtex",
    "pytest": "pytest",
    "yaml": "pyyaml",
}
# what the library brings, and what every notebook has
THERE = {"jaxtyping", "joblib", "numpy", "safetensors", "scipy", "sklearn"}
THERE |= {"threadpoolctl", "tqdm", "IPython", "matplotlib_inline", "traitlets"}
FIRST = """\
# @title Run this first. Your copy of this page, made from latent_book {version}
import importlib.util, sys
modules = "{modules}"
if any(importlib.util.find_spec(name) is None for name in modules.split()):
    %pip install --quiet {wanted}
if "google.colab" in sys.modules:
    from google.colab import output
    output.enable_custom_widget_manager(){files}
%load_ext latent_book.reader"""
# on the branch `launch`, which has the folder `binder`, the notebooks are copies
FILES = """
from pathlib import Path  # this page reads the files that the book is made from
if not any((home / "settings.ini").exists() and not (home / "binder").exists() for home in Path.cwd().parents):
    !git clone --quiet {address} latent_book_files && git -C latent_book_files checkout --quiet {commit}
    %cd -q latent_book_files/{folder}"""
BINDER = """\
# What Binder installs: see scripts/reader_copies.py.
channels: [conda-forge]
dependencies:
  - python=3.11
  - pip
  - pip:
      - --extra-index-url https://download.pytorch.org/whl/cpu
      - "{wanted}"
"""


def measured(names: Iterable[Path], *, draft: bool = False) -> dict[str, Any]:
    """What the chapters' last runs have handed to the prose by `glue`. In a draft, what
    has not run since its code changed is a dot.

    Raises
    ------
    NotBuilt
        If a chapter has not run since its code changed, and it is no draft.
    """
    from jupyter_cache import get_cache

    from sphinxext.notebook import read

    cache: Any = get_cache(str(CACHE))
    found: dict[str, Any] = collections.defaultdict(Dot) if draft else {}
    for path in names:
        text = path.read_text(encoding="utf-8")
        if "glue(" not in text:
            continue
        notebook = read(text)
        try:
            record = cache.match_cache_notebook(notebook)
        except KeyError:
            if draft:
                continue
            raise NotBuilt(
                f"{path.relative_to(ROOT)} has changed since the last build; make book"
            ) from None
        for cell in cache.get_cache_bundle(record.pk).nb.cells:
            for output in cell.get("outputs", []):
                glued = output.get("metadata", {}).get("scrapbook", {})
                kind = glued.get("mime_prefix", "") + "text/plain"
                if glued and (said := output["data"].get(kind)) is not None:
                    name = glued["name"]
                    try:
                        found[name] = ast.literal_eval(said)
                    except (SyntaxError, ValueError):
                        found[name] = said
    return found


class Dot:
    """A number that is not known yet."""

    def __format__(self, spec: str) -> str:
        return "."


def site(*, draft: bool = False) -> Site:
    """All that copies take from the last build."""
    built = read_site(BUILD)
    built.values = measured(notebooks(), draft=draft)
    paths = [*notebooks(), *(NOTEBOOKS / name for name in PAGES)]
    names = {p.relative_to(NOTEBOOKS).with_suffix("").as_posix() for p in paths}
    built.copied = frozenset(names & set(built.titles))
    return built


class Origin:
    """Which version the copies are made from, and where pip gets it."""

    def __init__(self, folder: Path, commit: str = "") -> None:
        settings = ConfigParser(delimiters=["="])
        settings.read(folder / "settings.ini", encoding="utf-8")
        self.folder, self.commit = folder, commit
        self.version = settings["DEFAULT"]["version"]
        self.address = settings["DEFAULT"].get("git_url", "")

    def wanted(self, *extras: str) -> str:
        """The library of the same commit with some of its extras, as pip is asked."""
        name = f"latent_book[{','.join(extras)}]" if extras else "latent_book"
        if self.address and self.commit:
            return f"{name} @ git+{self.address}@{self.commit}"
        return f"{name}=={self.version}"

    def first_cell(self, path: Path, cells: list[str]) -> str:
        """The text of a copy's first code cell."""
        files, needed = "", sorted(imports(cells))
        if self.address and any("Path.cwd().parents" in code for code in cells):
            home = path.parent.relative_to(self.folder).as_posix()
            files = FILES.format(address=self.address, commit=self.commit, folder=home)
        extras = sorted({EXTRAS[one] for one in needed if one in EXTRAS})
        beside = [PACKAGES[one] for one in needed if one not in EXTRAS]
        return FIRST.format(
            version=f"{self.version} ({self.commit[:9]})"
            if self.commit
            else self.version,
            modules=" ".join(["latent_book", *needed]),
            wanted=" ".join([f'"{self.wanted(*extras)}"', *beside]),
            files=files,
        )


def imports(cells: Iterable[str]) -> set[str]:
    """The packages that a page imports, itself or by the library's modules, beside
    those that every notebook and the library bring. What a function of the library
    loads when it is called is not among them: its error tells the cure.
    """
    from sphinxext import needs

    speaking = [("", code) for code in cells if "import" in code]
    parsed = needs.parse(speaking)
    nodes = [node for _, cell in parsed for node in _surely(cell)]
    for path in needs.behind(needs.direct(parsed, strict=False)):
        if path.suffix == ".py":
            ((_, (module, *_)),) = needs.read(path)
            nodes += getattr(module, "body", [])
    names = {
        name.partition(".")[0]
        for node in nodes
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }
    return names - THERE - {"latent_book"} - set(sys.stdlib_module_names)


def _surely(nodes: list[ast.AST]) -> Iterator[ast.AST]:
    """Nodes, without what stands where a failed import is caught."""
    caught = {
        id(inner)
        for node in nodes
        if isinstance(node, ast.Try)
        and any("NotFound" in ast.unparse(h.type) for h in node.handlers if h.type)
        for inner in ast.walk(node)
    }
    return (node for node in nodes if id(node) not in caught)


def code_cell(name: str, source: str, **metadata: Any) -> dict[str, Any]:
    """A cell of code, as notebooks keep it."""
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": name,
        "metadata": metadata,
        "outputs": [],
        "source": source.splitlines(keepends=True),
    }


def text_cell(name: str, source: str, **metadata: Any) -> dict[str, Any]:
    """A cell of Markdown."""
    lines = source.strip("\n").splitlines(keepends=True)
    return {"cell_type": "markdown", "id": name, "metadata": metadata, "source": lines}


def closed(name: str, source: str, why: str) -> dict[str, Any]:
    """A cell of code whose reader sees what comes of it: in JupyterLab and on Colab."""
    return code_cell(
        name,
        f"# @title {why}\n{source}",
        jupyter={"source_hidden": True},
        cellView="form",
    )


def copy_of(path: Path, built: Site, origin: Origin) -> dict[str, Any]:
    """The reader's copy of a notebook, or of a page of Markdown."""
    name = path.relative_to(origin.folder / NOTEBOOKS.name)
    page = Page(built, name.with_suffix("").as_posix())
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        parts = re.split(r"^(?=## )", text, flags=re.M)
        cells = [text_cell(f"part-{n}", page.text(p)) for n, p in enumerate(parts)]
        return _notebook(cells, origin)
    source = json.loads(text)["cells"]
    code = [
        plain("".join(cell["source"]))[1]
        for cell in source
        if cell["cell_type"] == "code"
    ]
    cells, folded = [], []
    sentences: list[str] = []
    for cell in source:
        said, key = "".join(cell["source"]), cell["id"]
        if cell["cell_type"] == "markdown":
            for site, own in YOURS.items():
                said = said.replace(site, own)
            # seconds differ from run to run, and no change is needed for that
            quoting = page.sentences(said)
            sentences += [one for one in quoting if "-seconds" not in one]
            for one in _prose(key, page.pieces(said)):
                cells.append(one)
                if "heading_collapsed" in one["metadata"]:
                    folded.append(one["id"])
        else:
            cells += _code(key, said, page)
    if len(cells) > 1 and any(c["cell_type"] == "code" for c in cells):
        begin = [code_cell("launch", origin.first_cell(path, code))]
        if sentences:
            told = json.dumps(sentences, ensure_ascii=False, indent=0)
            begin.append(
                code_cell(
                    "book",
                    f"%%book\n{told}",
                    jupyter={"source_hidden": True},
                    cellView="form",
                )
            )
        cells[1:1] = begin
    return _notebook(cells, origin, folded)


def _notebook(
    cells: list[dict[str, Any]], origin: Origin, folded: list[str] | None = None
) -> dict[str, Any]:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    colab = {"collapsed_sections": folded or [], "provenance": []}
    return {
        "cells": cells,
        "metadata": {
            "kernelspec": kernel,
            "colab": colab,
            "latent_book": {"version": origin.version, "commit": origin.commit},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _prose(key: str, pieces: list[str | Solution]) -> Iterator[dict[str, Any]]:
    """A cell's text, with each solution below a closed heading of its own."""
    for number, piece in enumerate(pieces, 1):
        name = key if number == 1 else f"{key}-{number}"
        if isinstance(piece, Solution):
            yield text_cell(
                name,
                piece.heading,
                heading_collapsed=True,
                id=name,
                **{"jp-MarkdownHeadingCollapsed": True},
            )
        elif piece is not SOLVED and piece.strip():
            yield text_cell(name, piece)


def plain(source: str) -> tuple[dict[str, str], str]:
    """A cell's directives, and its code as the copy has it."""
    from sphinxext.notebook import split_directives

    directives, code = split_directives(source)
    theirs, ours = "from myst_nb import glue", "from latent_book.reader import glue"
    return directives, re.sub(f"^{theirs}$", ours, code, flags=re.M)


def _code(key: str, source: str, page: Page) -> Iterator[dict[str, Any]]:
    """A cell of code without its directives, and its caption below."""
    directives, code = plain(source)
    # a cell for the library's modules: the copy's first cell brings what it asks for
    if not code.strip() or MODULES_OWN.fullmatch(code):
        return
    if "slow" in directives or directives.get("eval") == "false":
        yield code_cell(key, f"%%slow {directives.get('slow') or 'a while'}\n{code}")
        return
    why = next((CLOSED[name] for name in directives if name in CLOSED), None)
    if "fig-cap" in directives and why:
        why = "the figure"
    made = closed(key, code, why) if why else code_cell(key, code)
    if directives.get("output") == "false":
        made["metadata"].setdefault("jupyter", {})["outputs_hidden"] = True
    yield made
    if caption := directives.get("fig-cap"):
        number = page.site.numbers["fig", directives["label"]]
        yield text_cell(f"{key}-caption", f"**Fig. {number}.** {page.line(caption)}")


def digest(notebook: dict[str, Any]) -> str:
    """A fingerprint of what a reader may have changed: the cells, without outputs."""
    said = [[c["cell_type"], "".join(c["source"])] for c in notebook["cells"]]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def write(folder: Path, built: Site, origin: Origin) -> list[str]:
    """Write all copies into a folder. Where the book has nothing new, what is there
    stays. Copies that their readers have changed are set aside beside the new ones;
    returns a line for each.
    """
    record = folder / ".written.json"
    try:
        written = json.loads(record.read_text())
    except (OSError, ValueError):
        written = {}
    told = []
    for page in sorted(built.copied):
        (source,) = (
            path
            for suffix in (".ipynb", ".md")
            if (path := NOTEBOOKS / f"{page}{suffix}").exists()
        )
        made, path = copy_of(source, built, origin), folder / f"{page}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            try:
                there = digest(json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, KeyError, TypeError):  # it cannot be read
                there = ""
            if there and digest(made) in (there, written.get(page)):
                continue  # with what its reader has written, and the outputs of a run
            if there != written.get(page):
                aside = set_aside(path).name
                told.append(f"{path} was changed: it is {aside} now, beside a new copy")
        path.write_text(dump(made), encoding="utf-8")
        written[page] = digest(made)
        record.write_text(json.dumps(written))
    return told


def set_aside(path: Path) -> Path:
    """Move a file to a free name beside it."""
    number = 1
    while (aside := path.with_name(f"{path.stem}.yours-{number}.ipynb")).exists():
        number += 1
    return path.rename(aside)


def keep_figures(environment: Path) -> None:
    """Let an environment's JupyterLab save live figures with their notebook, so that
    they are there when it is opened again, without a kernel. A reader's own setting
    goes before.
    """
    lab = environment / "share" / "jupyter" / "lab"
    path = lab / "settings" / "overrides.json"
    try:
        there = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError:
        return  # somebody's own, and broken
    ours = there.setdefault("@jupyter-widgets/jupyterlab-manager:plugin", {})
    if lab.is_dir() and "saveState" not in ours:
        ours["saveState"] = True
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(there, indent=2) + "\n", encoding="utf-8")


def dump(notebook: dict[str, Any]) -> str:
    """A notebook as text."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def prepare(folder: Path, built: Site, commit: str) -> None:
    """Put copies in the place of a checkout's notebooks, and write what Binder reads.
    Raises SystemExit where no address is set.
    """
    origin = Origin(folder, commit)
    if not origin.address:
        raise SystemExit(
            "settings.ini has no git_url: write the address of the repository there"
        )
    for path in sorted((folder / NOTEBOOKS.name).rglob("*.ipynb")):
        path.write_text(dump(copy_of(path, built, origin)), encoding="utf-8")
    for name in PAGES:
        path = folder / NOTEBOOKS.name / name
        copy = dump(copy_of(path, built, origin))
        path.with_suffix(".ipynb").write_text(copy, encoding="utf-8")
    (folder / "binder").mkdir(exist_ok=True)
    (folder / "binder" / "environment.yml").write_text(
        BINDER.format(wanted=origin.wanted("notebook")), encoding="utf-8"
    )


def experiments(notebook: dict[str, Any]) -> list[list[str]]:
    """What a chapter proposes to change: for each item of its cell `experiments`, the
    assignments that the item begins with.
    """
    for cell in notebook["cells"]:
        if cell["id"] == "experiments":
            text = "".join(cell["source"])
            items = re.findall(r"^\d+\. ((?:`[^`]+`(?:,? and |, )?)+)", text, re.M)
            return [re.findall(r"`([^`]+)`", item) for item in items]
    return []


def change(notebook: dict[str, Any], statement: str) -> None:
    """Replace the first statement of a notebook that assigns what this one assigns.

    Raises
    ------
    LookupError
        If there is none.
    """
    (wanted,) = ast.parse(statement).body
    if not isinstance(wanted, ast.Assign):
        raise LookupError(f"`{statement}` is no assignment")
    target = ast.unparse(wanted.targets[0])
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code" or cell["id"] in ("launch", "book"):
            continue
        plain = re.sub(r"^[%!].*$", "pass", source, flags=re.M)
        for node in ast.parse(plain).body:
            if isinstance(node, ast.Assign) and target == ast.unparse(node.targets[0]):
                lines = source.splitlines(keepends=True)
                lines[node.lineno - 1 : node.end_lineno] = [statement + "\n"]
                cell["source"] = lines
                return
    raise LookupError(f"no cell assigns {target} on a line of its own")


def run(notebook: dict[str, Any], folder: Path) -> tuple[list[str], str]:
    """Run a copy; returns the notes that its cells showed, and where it stopped, empty
    if it came to its end.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    nb = nbformat.reads(dump(notebook), as_version=4)
    client = NotebookClient(
        nb,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        timeout=600,
        resources={"metadata": {"path": str(folder)}},
    )
    stopped = ""
    try:
        client.execute()
    except CellExecutionError as error:
        stopped = f"{error.ename}: {error.evalue}\n{error.traceback[-1500:]}"
    notes = [
        f"[{cell['id']}] {output['data']['text/plain']}"
        for cell in nb.cells
        for output in cell.get("outputs", [])
        if "lb-told" in output.get("data", {}).get("text/html", "")
    ]
    return notes, stopped


def experiment(path: Path, built: Site, number: int) -> int:
    """Run a chapter's copy with one of its experiments, or with none (0); prints the
    notes. Returns 0 if it came to its end.
    """
    copy = copy_of(path, built, Origin(ROOT))
    if number:
        proposed = experiments(copy)
        if not 0 < number <= len(proposed):
            sys.exit(
                f"{path} has {len(proposed)} experiments in its cell `experiments`"
            )
        for statement in proposed[number - 1]:
            print(statement)
            change(copy, statement)
    notes, stopped = run(copy, path.parent)
    print("\n".join([*notes, stopped or "it came to its end"]))
    return int(bool(stopped))


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--launch", type=Path, metavar="FOLDER")
    parser.add_argument("--experiment", nargs=2, metavar=("CHAPTER", "NUMBER"))
    given = parser.parse_args()
    try:
        built = site(draft=bool(given.experiment))
    except NotBuilt as error:
        sys.exit(str(error))
    if given.experiment:
        chapter, number = given.experiment
        return experiment((ROOT / chapter).resolve(), built, int(number))
    if given.launch:
        head = ["git", "-C", str(given.launch), "rev-parse", "HEAD"]
        commit = subprocess.run(head, capture_output=True, text=True, check=True)
        prepare(given.launch, built, commit.stdout.strip())
        return 0
    for line in write(BUILD / "lab", built, Origin(ROOT)):
        print(line)
    keep_figures(Path(sys.prefix))
    print(f"readers' copies in {BUILD / 'lab'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
