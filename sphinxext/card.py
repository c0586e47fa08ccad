"""What a page says of itself where somebody shares its link: title, subtitle, and the
card that scripts/draw_cover.py drew.

`site_address` is where the site is published, for an image must be named in full there;
unset, it is named from the page.
"""

from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

CARD = "_static/card.png"
ALT = "Handwritten digits, ordered by two latent variables."


def tags(title: str, description: str, page: str, address: str) -> str:
    """The tags in a page's head."""
    root = f"{address.rstrip('/')}/" if address else "../" * page.count("/")
    said = {
        "og:title": title,
        "og:type": "article",
        "og:description": description,
        "og:image": root + CARD,
        "og:image:width": "1200",
        "og:image:height": "630",
        "og:image:alt": ALT,
    }
    if address:
        said["og:url"] = f"{root}{page}.html"
    lines = [f'<meta name="description" content="{escape(description)}" />']
    lines += [
        f'<meta property="{key}" content="{escape(value)}" />'
        for key, value in said.items()
    ]
    lines.append('<meta name="twitter:card" content="summary_large_image" />')
    return "\n".join(["", *lines, ""])


def _describe(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Every chapter begins with a title and a subtitle in one sentence."""
    if doctree is None:
        return
    subtitle = next(doctree.findall(nodes.block_quote), None)
    description = subtitle.astext() if subtitle else app.config.site_description
    title = app.env.titles[pagename].astext()
    text = " ".join(description.split())
    context["metatags"] = context.get("metatags", "") + tags(
        title, text, pagename, app.config.site_address
    )


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.add_config_value("site_address", "", "env", [str])
    app.add_config_value("site_description", "", "html", [str])
    app.connect("html-page-context", _describe)
