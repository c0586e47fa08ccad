"""The reference of the library: each public name with its signature and its docstring,
read from the modules as they are.

The page that shows it says ```` ```{library-reference} ````. In a docstring, a label
such as eq-pca-variance becomes a link
to that equation, `name : text` under a heading an entry of a list, and a line that
    begins with `>>>` code. Names whose
docstring has no example have one in nbs/appendix/examples.md; tests/test_library.py
runs them all.
"""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parent.parent
PAGE = "appendix/library"  # the page with the directive
EXAMPLES = ROOT / "nbs" / "appendix" / "examples.md"
ROLES = {"eq": "eq", "thm": "prf:ref"}
LABEL = r"\b(eq|thm)-[a-z]+-[\w-]*\w"  # of an equation or a theorem
HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.M)
ENTRY = re.compile(r"^(\w[\w, ()]*?) : (.*)$")


def modules() -> dict[str, Path]:
    """The library's modules by their names (`vae`, `figures.vae`), in alphabetical
    order.
    """
    home = ROOT / "latent_book"
    found = {
        ".".join(path.relative_to(home).with_suffix("").parts): path
        for path in home.rglob("*.py")
        if not path.name.startswith("_")
    }
    return dict(sorted(found.items()))


def module_of(page: str) -> str:
    """The module that a page would export: `vae`, and `figures.vae` for
    `workshop/figures/vae`.
    """
    return page.removeprefix("workshop/").replace("/", ".")


def public(body: list[ast.stmt]) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    """The classes and functions that do not begin with an underscore."""
    for node in body:
        if isinstance(
            node, ast.ClassDef | ast.FunctionDef
        ) and not node.name.startswith("_"):
            yield node


def examples(text: str | None = None) -> dict[str, tuple[list[str], str]]:
    """For each `module.name` of the examples' file the names that its example is about,
    and the example's lines.
    """
    found: dict[str, tuple[list[str], str]] = {}
    for part in re.split(
        r"^# ", text or EXAMPLES.read_text(encoding="utf-8"), flags=re.M
    )[1:]:
        module, *blocks = re.split(r"^## ", part, flags=re.M)
        for block in blocks:
            title, _, lines = block.partition("\n")
            names = [name.strip() for name in title.split(",")]
            for name in names:
                key = f"{module.strip()}.{name}"
                if key in found:
                    raise ValueError(f"{EXAMPLES.name} has two examples for {key}")
                found[key] = names, lines.strip() + "\n"
    return found


def signature(node: ast.ClassDef | ast.FunctionDef, owner: str = "") -> str:
    """How it is called, without `self`, in lines of at most 88 characters."""
    marks = {ast.unparse(mark) for mark in node.decorator_list}
    returns = None
    if isinstance(node, ast.ClassDef):
        begin = [
            f
            for f in node.body
            if isinstance(f, ast.FunctionDef) and f.name == "__init__"
        ]
        if not begin:
            fields = [
                ast.unparse(f)
                for f in node.body
                if isinstance(f, ast.AnnAssign) and ast.unparse(f.target)[0] != "_"
            ]
            bases = {ast.unparse(base).split(".")[-1] for base in node.bases}
            made = "NamedTuple" in bases or any("dataclass" in mark for mark in marks)
            return _wrap(f"class {node.name}", fields if made else [])
        function, head = begin[0], f"class {node.name}"
    else:
        function, head, returns = node, owner + node.name, node.returns
    if {"property", "functools.cached_property", "cached_property"} & marks:
        return head
    given = function.args
    if owner or isinstance(node, ast.ClassDef):
        bound = (given.posonlyargs or given.args)[:1]
        if bound and bound[0].arg in ("self", "cls"):
            (given.posonlyargs or given.args).pop(0)
    return _wrap(
        head, _arguments(given), f" -> {ast.unparse(returns)}" if returns else ""
    )


def _arguments(given: ast.arguments) -> list[str]:
    """Each argument with its type and its default, as it was written."""
    usual = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(usual) - len(given.defaults)) + list(given.defaults)
    shown = [_one(a, d) for a, d in zip(usual, defaults, strict=True)]
    if given.vararg:
        shown.append("*" + ast.unparse(given.vararg))
    elif given.kwonlyargs:
        shown.append("*")
    shown += [
        _one(a, d) for a, d in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    ]
    return shown + (["**" + ast.unparse(given.kwarg)] if given.kwarg else [])


def _one(argument: ast.arg, default: ast.expr | None) -> str:
    if default is None:
        return ast.unparse(argument)
    return (
        ast.unparse(argument)
        + (" = " if argument.annotation else "=")
        + ast.unparse(default)
    )


def _wrap(head: str, arguments: list[str], tail: str = "") -> str:
    line = f"{head}({', '.join(arguments)}){tail}"
    if len(line) <= 88:
        return line
    return f"{head}(\n" + "".join(f"    {a},\n" for a in arguments) + f"){tail}"


def markdown(docstring: str) -> str:
    """A docstring as MyST: headings, lists of names, examples, and links to the
    equations that it names.
    """
    text = HEADING.sub(r"\n:::\1\n", docstring)
    out: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        if block.startswith(":::"):
            title, _, block = block[3:].partition("\n")
            out.append(f"**{title}**")
        if block.lstrip().startswith(">>>"):
            out.append(f"```pycon\n{textwrap.dedent(block)}\n```")
        elif entries := _entries(block):
            out += [
                f"{_told(name, code=True)}\n: {_told(words)}" for name, words in entries
            ]
        elif block.strip():
            out.append(_told(" ".join(block.split())))
    return "\n\n".join(out)


def _entries(block: str) -> list[tuple[str, str]]:
    """`name : text` with its indented further lines; nothing unless the block begins
    with one.
    """
    found: list[tuple[str, str]] = []
    for line in block.splitlines():
        if match := ENTRY.match(line):
            found.append((match[1], match[2]))
        elif found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        else:
            return []
    return found


def _told(words: str, *, code: bool = False) -> str:
    """Prose without Markdown's signs, but for `code`; labels of equations become links."""
    if code:
        return ", ".join(f"`{name.strip()}`" for name in words.split(","))
    parts = re.split(r"(`+[^`]+`+)", re.sub(f"`({LABEL})`", r"\1", words))
    for n, part in enumerate(parts):
        if not part.startswith("`"):
            plain = re.sub(r"([\\*_$<>\[\]{}|~#@^])", r"\\\1", part)
            parts[n] = re.sub(LABEL, lambda m: f"{{{ROLES[m[1]]}}}`{m[0]}`", plain)
    return "".join(parts)


class LibraryReference(SphinxDirective):
    """```` ```{library-reference} ````"""

    def run(self) -> list[nodes.Node]:
        """One section for each module."""
        sections: list[nodes.Node] = []
        self.env.note_dependency(str(EXAMPLES))
        self.examples = examples()
        for module, path in modules().items():
            self.env.note_dependency(str(path))
            section = nodes.section(ids=[_anchor(module)])
            name = f"latent_book.{module}"
            section += nodes.title("", "", nodes.literal("", module))
            page = f"/{module.replace('.', '/')}"
            if not (ROOT / "nbs" / f"{page[1:]}.ipynb").exists():
                page = f"/workshop{page}"
            section += self._parsed(f"`{name}`, made by the chapter {{doc}}`{page}`.")
            for node in public(ast.parse(path.read_text(encoding="utf-8")).body):
                section += self._entry(node, name)
            sections.append(section)
        return sections

    def _entry(
        self, node: ast.ClassDef | ast.FunctionDef, module: str, owner: str = ""
    ) -> nodes.Element:
        """A name, how it is called, what it means, and for a class the same of its
        methods.
        """
        told = ast.get_docstring(node)
        block = nodes.container(
            ids=[f"{module}.{owner}{node.name}"], classes=["lb-reference"]
        )
        code = signature(node, owner and f"{owner.split('.')[0]}.")
        block += nodes.literal_block(code, code, language="python")
        if told:
            block += self._parsed(markdown(told))
        if not owner:
            block += self._example(module, node.name)
        if isinstance(node, ast.ClassDef):
            for method in public(node.body):
                if ast.get_docstring(method):
                    block += self._entry(method, module, f"{node.name}.")
        return block

    def _example(self, module: str, name: str) -> list[nodes.Node]:
        """The example of a name; for a further name of the same example, the way to it."""
        names, lines = self.examples.get(
            f"{module.removeprefix('latent_book.')}.{name}", ([], "")
        )
        if not names:
            return []
        if name == names[0]:
            return self._parsed(f"**Example**\n\n```pycon\n{lines}```")
        told = nodes.paragraph(
            "", "", nodes.strong("", "Example"), nodes.Text(": with ")
        )
        link = nodes.reference("", "", nodes.literal("", names[0]), internal=True)
        link["refid"] = f"{module}.{names[0]}"
        told += link
        return [told]

    def _parsed(self, text: str) -> list[nodes.Node]:
        box = nodes.Element()
        self.state.nested_parse(StringList(text.splitlines(), "docstring"), 0, box)
        return list(box.children)


def point_here(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """At the end of a chapter that makes a module, above its references: where the
    module's names are listed.
    """
    module = module_of(docname)
    if module not in modules():
        return
    address = f"{app.builder.get_relative_uri(docname, PAGE)}#{_anchor(module)}"
    link = nodes.reference(
        "", "", nodes.literal("", f"latent_book.{module}"), refuri=address
    )
    told = nodes.paragraph(
        "", "", nodes.Text("All names of this chapter, for looking up: "), link
    )
    chapter = next(doctree.findall(nodes.section))
    last = [part for part in chapter if isinstance(part, nodes.section)][-1:]
    if last and last[0].next_node(nodes.title).astext() == "References":
        chapter.insert(chapter.index(last[0]), told)
    else:
        (last[0] if last else chapter).append(told)


def _anchor(module: str) -> str:
    return f"module-{re.sub('[._]', '-', module)}"


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.add_directive("library-reference", LibraryReference)
    app.connect("doctree-resolved", point_here)
