"""Read a chapter for the site.

Two things happen between the notebook and the page. nbdev's directives (`#| hide`, `#|
fig-cap: ...`) become what myst-nb understands. And the first code cell gets a comment
with a fingerprint of the library's files that the chapter imports: the execution cache
compares code cells only, so this is how it learns that the library has changed.
"""

import ast
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "latent_book"
MEASURED = ROOT / "benchmarks" / "results.json"
DIRECTIVE = re.compile(r"^\s*#\s*\|\s*([\w-]+)\s*:?\s*(.*?)\s*$")
# a directive, or a directive with this value
TAGS: dict[str | tuple[str, str], str] = {
    "hide": "remove-cell",
    "default_exp": "remove-cell",
    "hide_input": "remove-input",
    ("echo", "false"): "remove-input",
    ("output", "false"): "remove-output",
    ("code-fold", "true"): "hide-input",
    ("eval", "false"): "skip-execution",
    "slow": "skip-execution",
}


def split_directives(source: str) -> tuple[dict[str, str], str]:
    """The `#|` lines at the head of a cell, and the code that follows them."""
    lines, found = source.splitlines(), {}
    while lines and (not lines[0].strip() or DIRECTIVE.match(lines[0])):
        if match := DIRECTIVE.match(lines.pop(0)):
            found[match[1]] = match[2]
    return found, "\n".join(lines)


def read(text: str) -> nbformat.NotebookNode:
    """A notebook as myst-nb should see it."""
    nb = nbformat.reads(text, as_version=4)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    mark = fingerprint(imported_files(cell.source for cell in code))
    for cell in code:
        directives, cell.source = split_directives(cell.source)
        tags = {TAGS[d] for d in directives.items() if d in TAGS} | {
            TAGS[k] for k in directives if k in TAGS
        }
        if not cell.source.strip():
            tags.add("remove-cell")
        if tags:
            cell.metadata["tags"] = sorted(tags)
        figure = {"caption": directives.get("fig-cap"), "name": directives.get("label")}
        options = {"figure": {k: v for k, v in figure.items() if v}, "image": {}}
        if alt := directives.get("fig-alt"):
            options["image"]["alt"] = alt
        if any(options.values()):
            cell.metadata["mystnb"] = {k: v for k, v in options.items() if v}
    if code:
        code[0].source += f"\n# library {mark}"
    return nb


def imported_files(sources: Iterable[str]) -> list[Path]:
    """The library's files that some code imports, also at second hand; with the data,
    for whoever imports `data`, and with the figures' scripts and styles, for whoever
    reads their folder, and with what the benchmarks found, for whoever shows it.
    """
    todo, files = [], set()
    for source in sources:
        todo += _imports(source)
        if "latent_book/static" in source:
            files.update(_static())
        if MEASURED.name in source:
            files.add(MEASURED)
    while todo:
        name = todo.pop()
        path = LIBRARY / f"{name}.py"
        if path in files or not path.exists():
            continue
        files.add(path)
        todo += _imports(path.read_text(encoding="utf-8"))
        if name == "data":
            files.update(p for p in (LIBRARY / "assets").glob("*") if p.is_file())
    return sorted(files)


def shown_files(sources: Iterable[str]) -> list[Path]:
    """The imported files; with the figures' scripts and styles, for whoever imports
    `widgets`. A change of those needs the page rendered again, but not executed.
    """
    files = imported_files(sources)
    return sorted({*files, *_static()}) if LIBRARY / "widgets.py" in files else files


def _static() -> list[Path]:
    return [path for path in (LIBRARY / "static").glob("*") if path.is_file()]


def _imports(source: str) -> list[str]:
    """Names of the modules of the library that a piece of code imports; code with
    magics is read line by line.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return re.findall(r"^\s*(?:from|import)\s+latent_book\.(\w+)", source, re.M)
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(
            node, ast.ImportFrom
        ):  # nbdev writes `from .training import` into the library
            package = "latent_book" if node.level else ""
            module = ".".join(filter(None, [package, node.module]))
            names += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return [name.split(".")[1] for name in names if name.startswith("latent_book.")]


def fingerprint(files: Iterable[Path]) -> str:
    """A short hash of the contents of some files, in their order, and of the pinned
    versions.
    """
    digest = hashlib.sha256((ROOT / "constraints.txt").read_bytes())
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _note_dependencies(app: Sphinx, doctree: nodes.document) -> None:
    """Tell Sphinx that a page is out of date when a file of the library that it imports
    has changed.
    """
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        for file in shown_files(
            cell.source for cell in cells if cell.cell_type == "code"
        ):
            app.env.note_dependency(str(file))


INSIDE = r"[^()]*"
for _ in range(6):  # parentheses in parentheses
    INSIDE = rf"(?:[^()]|\({INSIDE}\))*"
GLUE = re.compile(rf"^glue\({INSIDE}\)[ ;]*\n?", re.M)


def _hide_bookkeeping(app: Sphinx, doctree: nodes.document) -> None:
    """Leave out the lines that hand a number to the prose: `glue("name", value)` says
    nothing to a reader.
    """
    for block in list(doctree.findall(nodes.literal_block)):
        code = block.astext()
        if "cell_input" in block.parent.get("classes", []) and GLUE.search(code):
            shown = GLUE.sub("", code).rstrip("\n")
            if shown:
                block.rawsource, block.children = shown, [nodes.Text(shown)]
            else:
                block.parent.parent.remove(block.parent)


def setup(app: Sphinx) -> None:
    """Register with Sphinx; the reader itself is named in _config.yml
    (`nb_custom_formats`).
    """
    app.connect("doctree-read", _note_dependencies)
    app.connect("doctree-read", _hide_bookkeeping)
