"""The book in one file: ```` ```{take-along} ```` says where it is to be had.

Where the site is published (`site_address`), the files stand beside it, as publish.yml
puts them there; elsewhere there is nothing to link to, and the page says how to make
them.
"""

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FILES = {
    "pdf": (
        "PDF",
        "to print, or to read page by page; figures that move stand still in it",
    ),
    "epub": ("EPUB", "for an e-reader; the formulas are MathML"),
    "zip": (
        "ZIP",
        "of the site, live figures included: unpack it and open index.html, no network needed",
    ),
}


def told(address: str, name: str = "latent-book") -> str:
    """The list, in MyST."""
    lines = []
    for ending, (title, use) in FILES.items():
        where = (
            f"[{title}]({address.rstrip('/')}/{name}.{ending})"
            if address
            else f"{title}, `make {ending}`"
        )
        lines.append(f"- {where}: {use}.")
    if not address:
        lines.insert(
            0,
            "This copy of the site is not published. In a checkout of the book, make them:\n",
        )
    return "\n".join(lines)


class TakeAlong(SphinxDirective):
    """```` ```{take-along} ````"""

    def run(self) -> list[nodes.Node]:
        """A list of three."""
        box = nodes.Element()
        lines = told(self.config.site_address).splitlines()
        self.state.nested_parse(StringList(lines, "take-along"), 0, box)
        return list(box.children)


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.add_directive("take-along", TakeAlong)
