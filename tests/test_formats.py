"""The book to take along: what the pages of a site become in a PDF, an EPUB and a ZIP.
The site here has two pages.
"""

import re
import zipfile
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import build_book
import ensure_chromium
import formats
import pytest

TOC = {
    "root": "index",
    "parts": [
        {"caption": "Causes", "chapters": [{"file": "pca"}, {"file": "workshop/plots"}]}
    ],
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
        (site / name).write_bytes(
            b'html[data-theme="light"] .highlight .k { color: #6730C5 }\n'
        )
    return site


def test_an_article_keeps_its_names_and_loses_what_only_a_screen_can_use(site):
    index, pca, _ = formats.read(site, TOC)
    assert [index.title, index.part, pca.part] == ["A book", "", "Causes"]
    assert pca.title == "3. Principal components x<1"
    assert not list(pca.body.iter("details"))
    assert not [n for n in index.body.iter() if formats.has(n, "headerlink")]
    text = formats.words(pca.body)
    assert "Show" not in text
    assert "A questionAn answer and on." in text
    (code,) = pca.body.iter("pre")
    assert "".join(code.itertext()) == "import math\na,"
    assert len(code) == 2  # the keyword and the module's name; the rest has no colour


def test_a_page_that_is_not_well_formed_is_named(site):
    (site / "pca.html").write_text('<article class="bd-article"><p>open</article>')
    with pytest.raises(ValueError, match=r"pca\.html cannot be read"):
        formats.read(site, TOC)


def test_what_replaces_an_element_stands_where_it_stood():
    body = fromstring("<a>one<b>two</b>three<c/>four<b><c>five</c></b></a>")
    formats.replace(
        body, lambda n: {"b": [Element("x"), Element("y")], "c": []}.get(n.tag)
    )
    assert formats.tostring(body) == b"<a>one<x /><y />threefour<x /><y /></a>"


def test_paper_holds_each_page_once_and_its_references_inside(site):
    page = formats.paper(
        formats.read(site, TOC), site, ABOUT, {"pca": 5, "pca--summary": 7}
    )
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert {
        "pca",
        "pca--summary",
        "workshop-plots--summary",
        "pca--eq-one",
        "f1-p",
    } <= set(ids)
    inside = re.findall(r'href="#([^"]+)"', page)
    assert {"pca", "pca--eq-one", "pca--summary", "f1-p"} <= set(inside) <= set(ids)
    assert "https://example.org" in page
    assert "genindex" not in page
    assert (site / "_images/a.png").as_uri() in page
    assert 'role="img" aria-label="x < 1"' in page
    assert "katex-mathml" not in page
    assert re.search(r'#pca--summary">.*?toc-page">7<', page)


def test_the_pages_of_places_are_read_from_a_pdf():
    pdf = b"""%PDF
1 0 obj
<</Type /Catalog /Pages 2 0 R>>
endobj
2 0 obj
<</Type /Pages /Kids [3 0 R 4 0 R]>>
endobj
3 0 obj
<</Type /Pages /Kids [6 0 R 5 0 R]>>
endobj
4 0 obj
<</Type /Page>>
endobj
5 0 obj
<</Type /Page>>
endobj
6 0 obj
<</Type /Page>>
endobj
7 0 obj
<</pca--eq#2Ddone [4 0 R /XYZ 0 1 0]
/start [5 0 R /XYZ 0 1 0] /last [6 0 R /XYZ 0 1 0]>>
endobj
8 0 obj
<</Dest [4 0 R /XYZ 0 0 0]>>
endobj
"""
    assert formats.pages_of(pdf) == {"pca--eq-done": 3, "start": 2, "last": 1}


def test_an_epub_is_whole_and_the_same_each_time(site, tmp_path):
    first, second = tmp_path / "a.epub", tmp_path / "b.epub"
    for path in (first, second):
        formats.make_epub(site, TOC, path, ABOUT)
    assert first.read_bytes() == second.read_bytes()
    assert formats.epub_faults(first) == []
    with zipfile.ZipFile(first) as archive:
        (drawn,) = [n for n in archive.namelist() if n.endswith(".svg")]
        assert "var(" not in archive.read(drawn).decode()
        page = archive.read("book/pca.xhtml").decode()
        assert 'alttext="x &lt; 1"' in page
        assert "annotation" not in page
        assert (
            'alt="A line &amp; no more"'
            in archive.read("book/workshop-plots.xhtml").decode()
        )
        assert (
            'href="pca.xhtml#summary"'
            in archive.read("book/workshop-plots.xhtml").decode()
        )


@pytest.mark.parametrize(
    ("letter", "style", "expected"),
    [
        ("R", "double-struck", "ℝ"),
        ("E", "double-struck", "𝔼"),
        ("L", "script", "ℒ"),
        ("N", "script", "𝒩"),
        ("x", "bold", "𝐱"),
        ("1", "bold", "𝟏"),
        ("Σ", "bold", "𝚺"),
        ("x", "bold-italic", "𝒙"),
        ("C", "fraktur", "ℭ"),
        ("+", "bold", "+"),
    ],
)
def test_letters_get_their_style_from_unicode(letter, style, expected):
    assert formats.styled(letter, style) == expected


def test_a_zip_is_the_site_and_the_same_each_time(site, tmp_path):
    (site / ".buildinfo").write_text("of this machine")
    first, second = tmp_path / "one" / "book.zip", tmp_path / "two" / "book.zip"
    for path in (first, second):
        path.parent.mkdir()
        formats.make_zip(site, path)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert archive.testzip() is None
        files = {
            f"book/{p.relative_to(site).as_posix()}"
            for p in site.rglob("*")
            if p.is_file()
        }
        assert set(archive.namelist()) == files - {"book/.buildinfo"}
        assert archive.namelist() == sorted(archive.namelist())


@pytest.mark.parametrize("form", ["pdf", "epub"])
def test_a_file_with_faults_ends_the_build(form, monkeypatch, tmp_path):
    monkeypatch.setattr(build_book, "BUILD", tmp_path)
    monkeypatch.setattr(ensure_chromium, "find", lambda: "chromium")
    monkeypatch.setattr(formats, "make_pdf", lambda *_: ["pca: TABLE, 9 px"])
    monkeypatch.setattr(formats, "make_epub", lambda *_: None)
    monkeypatch.setattr(
        formats, "epub_faults", lambda _: ["pca.xhtml: #x leads nowhere"]
    )
    with pytest.raises(SystemExit) as ended:
        build_book.take_along(form)
    assert "pca" in str(ended.value.code)
    assert "1 such fault" in str(ended.value.code)
    monkeypatch.setattr(formats, "make_pdf", lambda *_: [])
    monkeypatch.setattr(formats, "epub_faults", lambda _: [])
    assert build_book.take_along(form).suffix == f".{form}"


def test_what_is_wrong_with_an_epub_is_found(site, tmp_path):
    whole, broken = tmp_path / "a.epub", tmp_path / "b.epub"
    formats.make_epub(site, TOC, whole, ABOUT)
    with zipfile.ZipFile(whole) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["book/pca.xhtml"] = files["book/pca.xhtml"].replace(
        b'id="summary"', b'id="lost"'
    )
    formats.pack(broken, files, stored=("mimetype",))
    assert formats.epub_faults(whole) == []
    assert any(
        "pca.xhtml#summary leads nowhere" in fault
        for fault in formats.epub_faults(broken)
    )


def test_a_function_keeps_its_distance_from_a_letter_and_not_from_a_parenthesis():
    apply = "<mo>\N{FUNCTION APPLICATION}</mo>"
    row = f"<mrow><mi>log</mi>{apply}<mi>p</mi><mi>log</mi>{apply}<mo>(</mo></mrow>"
    math = formats.formula(
        formats.fromstring(
            f"<math><semantics>{row}<annotation>x</annotation></semantics></math>"
        )
    )
    first, second = (n for n in math.iter("mo") if n.text == "\N{FUNCTION APPLICATION}")
    assert first.get("rspace") == "0.1667em"
    assert second.get("rspace") is None


def test_a_wide_formula_may_break_before_a_relation_and_nowhere_inside_brackets():
    sign = "<mo>{}</mo>".format
    x = "<mi>x</mi>"
    inside = f"{sign('(')}{x}{sign('+')}{x}{sign(')')}{sign('∥')}{x}{sign('−')}{x}<msup>{sign('∥')}<mn>2</mn></msup>"
    row = f"{x}{sign('=')}{sign('−')}{inside}{sign('+')}{x}"
    made = formats.in_pieces(
        fromstring(f'<math alttext="x = 1"><mrow>{row}</mrow></math>')
    )
    assert made.get("aria-label") == "x = 1"
    assert ["".join(piece.itertext()) for piece in made] == ["x", "=−(x+x)∥x−x∥2", "+x"]
    assert [piece[0][0].get("form") for piece in made] == [None, "infix", "infix"]
    table = f"<math><mrow>{x}{sign('=')}<mtable/></mrow></math>"
    assert formats.in_pieces(fromstring(table)).tag == "math"
