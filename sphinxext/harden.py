"""After the build: each page gets a content security policy, no page may ask a third party for anything, and faults of
accessibility that the theme leaves are mended."""

import base64
import hashlib
import html
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)
SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)([^>]*)>(.*?)</script>", re.S)
THIRD_PARTY = re.compile(
    r"<(?:script|link|img|iframe|source|video|audio)\b[^>]*\b(?:src|href)=[\"'](?:https?:)?//[^\"']+",
    re.I,
)
CHARSET = '<meta charset="utf-8" />'


def policy(page: str) -> str:
    """A policy that allows the page's own files, and its inline scripts by their hashes."""
    inline = [body for attributes, body in SCRIPT.findall(page) if "application/" not in attributes]
    inline += [html.unescape(body) for body in re.findall(r'\son\w+="([^"]*)"', page)]
    hashes = sorted(
        {
            "'sha256-" + base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() + "'"
            for s in inline
        }
    )
    scripts = " ".join(["'self'", "'unsafe-hashes'", *hashes] if hashes else ["'self'"])
    return (
        f"default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'"
    )


# What the theme leaves undone, each with what takes its place.
FAULTS = [
    # 1.5 MB of icon script that its font makes needless
    (r"\s*<(script|link)[^>]*scripts/fontawesome\.js[^>]*(></script>|/>)", ""),
    # a header that is never shown: the theme's scripts ask for its height, but listen to its buttons in place of those
    # that are shown, so that a phone could not open the contents
    (r'(<header id="pst-header"[^>]*>).*?</header>', r"\1</header>"),
    # a place for advertisements
    (r'<div id="ethical-ad-placement".*?</div>', ""),
    # landmarks and dialogs by their names
    (
        r'<div id="pst-primary-sidebar"',
        r'\g<0> role="complementary" aria-label="Contents of the book"',
    ),
    (r'<dialog id="pst-primary-sidebar-modal"', r'\g<0> aria-label="Contents of the book"'),
    (r'<dialog id="pst-secondary-sidebar-modal"', r'\g<0> aria-label="On this page"'),
    (r'<dialog id="pst-search-dialog"', r'\g<0> aria-label="Search"'),
    # a role that has gone out of use; the list around it says the same
    (r'role="doc-biblioentry"', 'role="listitem"'),
    # the same id on every exercise, solution and proof
    (r' id="(exercise|solution|proof)-content"', ""),
    (r'<div class="proof admonition" id="proof">', '<div class="proof admonition">'),
    # a header without words, over a column of headers
    (r'<th class="head">(<p></p>)?</th>', "<td></td>"),
    # the words that are there say what a fold does
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
]


def mend(page: str) -> str:
    """A page of the theme's, with its faults mended: see `FAULTS`."""
    for fault, cure in FAULTS:
        page = re.sub(fault, cure, page, flags=re.S)
    return page


def harden(page: str) -> str:
    """A finished page, hardened."""
    page = mend(page)
    return page.replace(
        CHARSET,
        f'{CHARSET}\n<meta http-equiv="Content-Security-Policy" content="{policy(page)}" />',
        1,
    )


def _harden_pages(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    for path in sorted(Path(app.outdir).rglob("*.html")):
        page = path.read_text(encoding="utf-8")
        if "Content-Security-Policy" in page or CHARSET not in page:
            continue  # not written by this run, or not a page
        page = harden(page)
        for found in THIRD_PARTY.findall(page):
            logger.warning(
                "a page asks a third party: %s", found, location=str(path.relative_to(app.outdir))
            )
        path.write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.add_js_file("book.js", defer="defer")
    app.connect("build-finished", _harden_pages, priority=900)
