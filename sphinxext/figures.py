"""Matplotlib's figures, set into the page as SVG that follows its light and dark.

An SVG behind `<img>` can't see the page's colours. Inlined, and with the palette's
colours exchanged for CSS variables, it can. Names inside it get a prefix, since a page
holds many figures.
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

from latent_book.plots import COLOR, palette_css
from sphinxext.live import digest

logger = logging.getLogger(__name__)


def inline_svg(source: str, alt: str) -> str:
    """An SVG file's content as HTML: scaled to the column, described by `alt`, in the
    palette's variables.
    """
    svg = source[source.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(
        r"<style type=\"text/css\">(.*?)</style>", "", svg, count=1, flags=re.S
    )  # matplotlib's, global in a page
    prefix = f"f{digest(source.encode())[:8]}-"
    svg = re.sub(r'\sid="([^"]+)"', rf' id="{prefix}\1"', svg)
    svg = re.sub(r'(xlink:href="|url\()#', rf"\1#{prefix}", svg)
    for name, value in COLOR.items():
        svg = re.sub(value, f"var(--lb-{name})", svg, flags=re.I)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if box is None:
        raise ValueError("an SVG without a viewBox cannot be scaled to the page")
    width, height = (float(v) * 4 / 3 for v in box.groups())  # points to CSS pixels
    svg = re.sub(r'\s(width|height)="[\d.]+pt"', "", svg, count=2)
    # words stay legible on a phone: no smaller than 0.88 CSS pixels for a point; what
    # is wider scrolls
    least = f"min-width:{width * 0.66:.0f}px;" if 'id="text_' in source else ""
    svg = svg.replace(
        "<svg",
        f'<svg style="{least}max-width:{width:.0f}px;aspect-ratio:{width:.0f}/{height:.0f}" aria-hidden="true"',
        1,
    )
    label = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return f'<div class="lb-svg" role="img" aria-label="{label}">{svg}</div>'


class InlineSvg(SphinxPostTransform):
    """Replace the images that matplotlib made with their content."""

    default_priority = 20  # after myst-nb has selected a form of the output
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Replace the SVG images of one page."""
        for image in list(self.document.findall(nodes.image)):
            path = Path(self.env.srcdir) / image["uri"].lstrip("/")
            if path.suffix != ".svg" or not path.exists():
                continue
            if not image.get("alt"):
                logger.warning("a figure needs '#| fig-alt'", location=self.env.docname)
            html = inline_svg(path.read_text(encoding="utf-8"), image.get("alt", ""))
            image.replace_self(nodes.raw("", html, format="html"))


def _write_palette(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        (Path(app.outdir) / "_static" / "palette.css").write_text(
            palette_css(), encoding="utf-8"
        )


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.add_post_transform(InlineSvg)
    app.add_css_file("palette.css")
    app.connect("build-finished", _write_palette, priority=100)
