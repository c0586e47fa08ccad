"""The book to take along: what the pages of a site become in a PDF, an EPUB and a ZIP. The site here has two pages."""

import re
import zipfile
from pathlib import Path, PurePosixPath
from urllib.parse import unquote
from xml.etree.ElementTree import Element, fromstring

import formats
import pytest

TOC = {
    "root": "index",
    "parts": [{"caption": "Causes", "chapters": [{"file": "pca"}, {"file": "workshop/plots"}]}],
}
ABOUT = {
    "title": "A book",
    "description": "On little",
    "author": "Nobody",
    "version": "1.0",
    "address": "",
    "date": "2026-01-01T00:00:00Z",
}
FORMULA = (
    '<span class="math"><span class="katex"><span class="katex-mathml"><math xmlns="http://www.w3.org/1998/Math/MathML">'
    "<semantics><mrow><mi>x</mi><mo>&lt;</mo><mn>1</mn></mrow>"
    '<annotation encoding="application/x-tex">x &lt; 1</annotation></semantics></math></span>'
    '<span class="katex-html" aria-hidden="true"><span class="base">x&lt;1</span></span></span></span>'
)
SVG = (
    '<div class="lb-svg" role="img" aria-label="A line &amp; no more"><svg style="min-width:75px;max-width:100px;'
    'aspect-ratio:100/50" aria-hidden="true" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    ' viewBox="0 0 75 37.5"><defs><path id="f1-p" d="M0 0L9 9"/></defs>'
    '<use xlink:href="#f1-p" style="stroke: var(--lb-data)"/></svg></div>'
)
PAGES = {
    "index": '<section id="start"><h1>A book<a class="headerlink" href="#start">#</a></h1><p>Read <a href="pca.html">PCA</a>, '
    '<a href="pca.html#eq-one">(3.1)</a>, <a href="genindex.html">the index</a>, <a href="https://example.org">more</a>.</p>'
    '<div class="toctree-wrapper compound"></div></section>',
    "pca": f'<section id="pca"><h1>3. Principal&nbsp;components {FORMULA}</h1><section id="summary"><h2>Summary</h2>'
    f'<div class="math" id="eq-one"><span class="eqno">(3.1)</span><span class="katex-display">{FORMULA}</span></div>'
    '<details class="hide"><summary><p class="collapsed">Show</p></summary><pre><span class="kn">import</span>'
    '<span class="w"> </span><span class="nn">math</span>\n<span class="n">a</span><span class="p">,</span></pre></details>'
    '<details class="sd-dropdown"><summary>A question<span class="sd-summary-state-marker">v</span></summary>'
    "<p>An answer</p></details> and on.</section></section>",
    "workshop/plots": f'<section id="plots"><h1>Plots</h1><section id="summary"><h2>Summary</h2><figure id="fig-a">{SVG}'
    '<figcaption>Drawn</figcaption></figure><div class="lb-live"><a class="image-reference" href="../_images/a.png">'
    '<img alt="Live" src="../_images/a.png" style="width: 9px;"/></a></div><p><a href="../pca.html#summary">back</a>'
    "</p></section></section>",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site of three pages, with an image and the styles that formats.py looks for."""
    site = tmp_path / "html"
    for name, body in PAGES.items():
        path = site / f"{name}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f'<html><body><p>menu<br></p><article class="bd-article">{body}</article></body></html>'
        )
    for name in ("_images/a.png", "_static/pygments.css"):
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_bytes(b'html[data-theme="light"] .highlight .k { color: #6730C5 }\n')
    return site


def epub_faults(path: Path) -> list[str]:
    """What is wrong with an EPUB: its form, its list of files, its pages, the references between them."""
    faults: list[str] = []
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        first = archive.infolist()[0]
        if first.filename != "mimetype" or first.compress_type != zipfile.ZIP_STORED:
            faults.append("the first file is not the mimetype, stored as it is")
        contents = {name: archive.read(name) for name in names}
    if contents["mimetype"] != b"application/epub+zip" or len(names) != len(set(names)):
        faults.append("mimetype, or a file twice")
    package = fromstring(contents["book/content.opf"])
    opf = "{http://www.idpf.org/2007/opf}"
    items = {str(i.get("id")): str(i.get("href")) for i in package.iter(f"{opf}item")}
    listed = {f"book/{name}" for name in items.values()}
    others = {"mimetype", "META-INF/container.xml", "book/content.opf"}
    faults += [f"listed or there, but not both: {n}" for n in listed ^ (set(names) - others)]
    faults += [f"spine: {i}" for r in package.iter(f"{opf}itemref") if (i := str(r.get("idref"))) not in items]  # fmt: skip
    pages = {n: fromstring(c) for n, c in contents.items() if n.endswith((".xhtml", ".svg"))}
    ids = {name: [e.attrib["id"] for e in page.iter() if "id" in e.attrib] for name, page in pages.items()}  # fmt: skip
    for name, page in pages.items():
        if len(ids[name]) != len(set(ids[name])):
            faults.append(f"{name}: an id twice")
        for node in page.iter():
            address = node.get("href") or node.get("src") or node.get("{http://www.w3.org/1999/xlink}href")
            if not address or re.match(r"\w+:", address):
                continue
            file, _, fragment = unquote(address).partition("#")
            target = str(PurePosixPath(name).parent / file) if file else name
            if target not in contents or (fragment and fragment not in ids[target]):
                faults.append(f"{name}: {address} leads nowhere")
    return faults
