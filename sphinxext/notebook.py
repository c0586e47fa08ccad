"""Read a chapter for the site.

Two things happen between the notebook and the page. nbdev's directives (`#| hide`, `#|
fig-cap: ...`) become what myst-nb understands. And the first code cell gets a comment
with a fingerprint of what the chapter needs beside its cells (needs.py): the execution
cache compares code cells only, so this is how it learns that the library has changed.
"""

import re
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.application import Sphinx

from sphinxext import needs

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


def read(text: str, *, slow: bool = False) -> nbformat.NotebookNode:
    """A notebook as myst-nb should see it; with `slow`, its slow cells run as well."""
    nb = nbformat.reads(text, as_version=4)
    mark = needed(nb)
    found = [cell for cell in nb.cells if cell.cell_type == "code"]
    for cell in found:
        directives, cell.source = split_directives(cell.source)
        tags = {TAGS[d] for d in directives.items() if d in TAGS} | {
            TAGS[k] for k in directives if k in TAGS
        }
        if not cell.source.strip():
            tags.add("remove-cell")
        if slow and "slow" in directives:
            tags = (tags - {"skip-execution"}) | {"slow"}
        if tags:
            cell.metadata["tags"] = sorted(tags)
        figure = {"caption": directives.get("fig-cap"), "name": directives.get("label")}
        options = {"figure": {k: v for k, v in figure.items() if v}, "image": {}}
        if alt := directives.get("fig-alt"):
            options["image"]["alt"] = alt
        if any(options.values()):
            cell.metadata["mystnb"] = {k: v for k, v in options.items() if v}
    if found:
        found[0].source += f"\n# library {mark}"
    return nb


def needed(nb: nbformat.NotebookNode) -> str:
    """A short hash of all that a notebook's code needs beside itself: modules of the
    library, also at second hand; the data, for whoever imports `data`; the project's
    files that it names; and the pinned versions.

    Raises
    ------
    LookupError
        If a cell imports from the library what is not there. Nothing would tell then
        that its outputs are out of date.
    """
    cells = code(nb)
    return needs.digest(
        [needs.ROOT / "constraints.txt", *needs.executed(cells)],
        whole=needs.reads_docstrings(cells),
    )


def code(nb: nbformat.NotebookNode) -> needs.Cells:
    """A notebook's code cells, read."""
    found = [cell for cell in nb.cells if cell.cell_type == "code"]
    return needs.parse((cell.get("id", ""), cell.source) for cell in found)


def _note_dependencies(app: Sphinx, doctree: nodes.document) -> None:
    """Tell Sphinx that a page is out of date when a file of the library that it imports
    has changed.
    """
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix == ".ipynb":
        cells = code(nbformat.read(path, as_version=4))
        for file in needs.shown(needs.executed(cells)):
            for one in needs.below(file):
                app.env.note_dependency(str(one))


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
