"""After the build: each page gets a content security policy, no page may ask a third
party for anything, and faults of accessibility and of the search that the theme leaves
are mended.
"""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)
SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)([^>]*)>(.*?)</script>", re.S)
STYLE = re.compile(r"<style[^>]*>(.*?)</style>", re.S)
THIRD_PARTY = re.compile(
    r"<(?:script|link|img|iframe|source|video|audio)\b[^>]*\b(?:src|href)=[\"'](?:https?:)?//[^\"']+",
    re.I,
)
CHARSET = '<meta charset="utf-8" />'


def _hashes(bodies: list[str]) -> list[str]:
    """What is allowed by its content."""
    digests = (hashlib.sha256(body.encode()).digest() for body in bodies)
    return sorted(
        {f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests}
    )


def policy(page: str) -> str:
    """A policy that allows the page's own files, and its inline scripts and style
    sheets by their hashes.

    No handler in an attribute runs, for 'unsafe-hashes' is not said. Of styles only the
    attribute is left open: KaTeX places each part of a formula by one, and matplotlib's
    strokes carry theirs, tens of thousands in the book. An attribute styles one
    element; it selects nothing, loads nothing from elsewhere (img-src and font-src
    forbid it) and runs nothing. A browser that does not know `style-src-elem` and
    `style-src-attr` takes `style-src`.
    """
    inline = [
        body
        for attributes, body in SCRIPT.findall(page)
        if "application/" not in attributes
    ]
    scripts = " ".join(["'self'", *_hashes(inline)])
    sheets = " ".join(["'self'", *_hashes(STYLE.findall(page))])
    return (
        f"default-src 'self'; script-src {scripts}; script-src-attr 'none'; style-src 'self' 'unsafe-inline'; "
        f"style-src-elem {sheets}; style-src-attr 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'none'; frame-src 'none'; worker-src 'none'; object-src 'none'; base-uri 'none'; form-action 'self'"
    )


class _Inline(HTMLParser):
    """Collects the handlers and script addresses that stand in a page's attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            address = re.sub(r"[\x00-\x20]", "", value or "").lower()
            if name.startswith("on") or address.startswith(
                ("javascript:", "vbscript:")
            ):
                self.found.append(f'<{tag} {name}="{value}">')


def handlers(page: str) -> list[str]:
    """Attributes that are code: `onclick="..."`, `href="javascript:..."`. The policy
    would stop them; the book has none.
    """
    return _Inline(page).found


# What the theme leaves undone, each with what takes its place.
FAULTS = [
    # 1.5 MB of icon script that its font makes needless
    (r"\s*<(script|link)[^>]*scripts/fontawesome\.js[^>]*(></script>|/>)", ""),
    # a header that is never shown: the theme's scripts ask for its height, but listen
    # to its buttons in place of those that are shown, so that a phone could not open
    # the contents
    (r'(<header id="pst-header"[^>]*>).*?</header>', r"\1</header>"),
    # a place for advertisements
    (r'<div id="ethical-ad-placement".*?</div>', ""),
    # landmarks and dialogs by their names
    (
        r'<div id="pst-primary-sidebar"',
        r'\g<0> role="complementary" aria-label="Contents of the book"',
    ),
    (
        r'<dialog id="pst-primary-sidebar-modal"',
        r'\g<0> aria-label="Contents of the book"',
    ),
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
    # no words at all: the fold of a page's sections in the contents
    (
        r'<summary>(?=<span class="toctree-toggle")',
        '<summary aria-label="Pages that belong to it">',
    ),
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


# Sphinx's search looks a word up as `terms[word]`, which finds `constructor` in every
# object and stops with an error, and it sets the titles of the pages as HTML. Each with
# what takes its place.
SEARCH = [
    (
        "files: terms[word],",
        "files: Object.hasOwn(terms, word) ? terms[word] : undefined,",
    ),
    (
        "files: titleTerms[word],",
        "files: Object.hasOwn(titleTerms, word) ? titleTerms[word] : undefined,",
    ),
    (
        "if (!scoreMap.has(file)) scoreMap.set(file, {});",
        "if (!scoreMap.has(file)) scoreMap.set(file, Object.create(null));",
    ),
    (
        "linkEl.innerHTML = title;",
        'linkEl.textContent = new DOMParser().parseFromString(title, "text/html").body.textContent;',
    ),
    (
        'listItem.appendChild(document.createElement("span")).innerHTML =',
        'listItem.appendChild(document.createElement("span")).textContent =',
    ),
    # a query of ten thousand words would keep the page busy for minutes
    (
        'const query = new URLSearchParams(window.location.search).get("q");',
        'const query = (new URLSearchParams(window.location.search).get("q") ?? "").slice(0, 200);',
    ),
]


def mend_search(script: str) -> str:
    """Sphinx's script for the search, with its faults mended: see `SEARCH`.

    Raises
    ------
    ValueError
        When a fault is not where it was; another version of Sphinx may have mended it.
    """
    for fault, cure in SEARCH:
        if fault not in script and cure not in script:
            raise ValueError(
                f"searchtools.js has no {fault!r} to mend: look again at SEARCH in harden.py"
            )
        script = script.replace(fault, cure)
    return script


def _harden_pages(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    search = Path(app.outdir) / "_static" / "searchtools.js"
    search.write_text(mend_search(search.read_text(encoding="utf-8")), encoding="utf-8")
    for path in sorted(Path(app.outdir).rglob("*.html")):
        page = path.read_text(encoding="utf-8")
        if "Content-Security-Policy" in page or CHARSET not in page:
            continue  # not written by this run, or not a page
        page, place = harden(page), str(path.relative_to(app.outdir))
        for found in THIRD_PARTY.findall(page):
            logger.warning("a page asks a third party: %s", found, location=place)
        for found in handlers(page):
            logger.warning(
                "code in an attribute, which the policy stops: %s",
                found,
                location=place,
            )
        path.write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.add_js_file("book.js", defer="defer")
    app.connect("build-finished", _harden_pages, priority=900)
