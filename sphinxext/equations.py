"""The index of equations: each labelled equation of the book, where it stands, and the
tests that hold it.

Nothing in it is written by hand. The formulas are read from the pages as they are
built, the tests from the markers `@pytest.mark.equation("eq-pca-variance")` in tests/.
The page that shows it says ```` ```{equation-index} ````.
"""

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

TESTS = Path(__file__).resolve().parent.parent / "tests"


class Held(NamedTuple):
    """A test that verifies an equation."""

    file: str
    line: int
    name: str


def verifiers(folder: Path = TESTS) -> dict[str, list[Held]]:
    """For each label that a marker names, the tests that carry it."""
    found: dict[str, list[Held]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith(
                "test_"
            ):
                continue
            for mark in node.decorator_list:
                if (
                    isinstance(mark, ast.Call)
                    and ast.unparse(mark.func) == "pytest.mark.equation"
                ):
                    held = Held(
                        path.relative_to(folder).as_posix(), node.lineno, node.name
                    )
                    for argument in mark.args:
                        found.setdefault(ast.literal_eval(argument), []).append(held)
    return found


class Place(nodes.General, nodes.Element):
    """Where the index will stand, once all pages have been read."""


class EquationIndex(SphinxDirective):
    """```` ```{equation-index} ````"""

    def run(self) -> list[nodes.Node]:
        """Leave a place."""
        self.env.note_dependency(str(TESTS))
        return [Place()]


def _collected(env: BuildEnvironment) -> dict[str, list[tuple[str, str]]]:
    """For each page, the labels and formulas on it, in their order; kept with what
    Sphinx keeps of the pages.
    """
    return vars(env).setdefault("latent_book_equations", {})


def _collect(app: Sphinx, doctree: nodes.document) -> None:
    blocks = [b for b in doctree.findall(nodes.math_block) if b.get("label")]
    _collected(app.env)[app.env.docname] = [
        (str(b["label"]), b.astext()) for b in blocks
    ]


def _forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    _collected(env).pop(docname, None)


def _merge(
    app: Sphinx, env: BuildEnvironment, docnames: Iterable[str], other: BuildEnvironment
) -> None:
    for name in docnames:
        _collected(env)[name] = _collected(other).get(name, [])


def _with_index(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The pages to be written anew whenever any page was read."""
    return [
        name for name in env.found_docs if any(env.get_doctree(name).findall(Place))
    ]


def _entry(
    app: Sphinx, page: str, label: str, formula: str, held: list[Held]
) -> nodes.Element:
    """One equation: its number with a link, the formula, and its tests with theirs."""
    math = app.env.domains["math"]
    contents = nodes.inline("", label)
    number = math.resolve_xref(
        app.env,
        page,
        app.builder,
        "eq",
        label,
        nodes.Element(),
        contents,  # type: ignore[arg-type]
    )
    line = nodes.paragraph("", "", number or contents, nodes.Text(" held by "))
    source = app.config.html_theme_options.get("repository_url", "")
    for n, test in enumerate(held):
        if n:
            line += nodes.Text(", ")
        words = test.name.removeprefix("test_").replace("_", " ")
        address = f"{source}/blob/main/tests/{test.file}#L{test.line}"
        line += (
            nodes.reference("", words, refuri=address)
            if source
            else nodes.emphasis("", words)
        )
    if not held:
        line += nodes.Text("no test")
    formula_node = nodes.math_block(
        formula, formula, label=None, number=None, nowrap=False
    )
    return nodes.container("", line, formula_node, classes=["lb-equation"])


def _fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    places = list(doctree.findall(Place))
    if not places:
        return
    tests, pages = verifiers(), _collected(app.env)
    order = [
        app.config.root_doc,
        *app.env.toctree_includes.get(app.config.root_doc, []),
    ]
    sections = []
    for page in sorted(
        pages, key=lambda p: order.index(p) if p in order else len(order)
    ):
        if not pages[page]:
            continue
        title = app.env.titles[page].astext()
        section = nodes.section(ids=[f"equations-{nodes.make_id(page)}"])
        section += nodes.title("", title)
        section += [
            _entry(app, docname, label, f, tests.get(label, []))
            for label, f in pages[page]
        ]
        sections.append(section)
    for place in places:
        place.replace_self(sections)


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.add_node(Place)
    app.add_directive("equation-index", EquationIndex)
    app.connect("doctree-read", _collect)
    app.connect("env-purge-doc", _forget)
    app.connect("env-merge-info", _merge)
    app.connect("env-updated", _with_index)
    app.connect("doctree-resolved", _fill)
