"""The book to take along, from the pages of the site: one PDF, one EPUB, one ZIP.
`build_book.py --format` calls these.

Nothing is executed or rendered a second time. The pages are well-formed XML inside
their `<article>`, so they are read as such; what needs a hand or a script is replaced
by what stands still: live figures by their posters, folds by what they hold. Numbers
and titles are those of the site, and references between pages become references inside
the book.
"""

import html
import os
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote, unquote
from xml.etree.ElementTree import Element, ParseError, fromstring, tostring

HERE = Path(__file__).parent
ARTICLE = re.compile(r'<article class="bd-article">.*</article>', re.S)
NAMESPACES = {
    "http://www.w3.org/2000/svg": "svg",
    "http://www.w3.org/1998/Math/MathML": "math",
    "http://www.w3.org/1999/xlink": "xlink:",
}
Reference = Callable[[str, str], str]  # of a page and an id on it


class Chapter(NamedTuple):
    """One page of the book."""

    name: str  # "workshop/data"
    part: str  # the caption of its part; none for the first page
    title: str  # "3. Principal components"
    body: Element

    @property
    def key(self) -> str:
        """A name without slashes."""
        return self.name.replace("/", "-")


# --- reading
# ------------------------------------------------------------------------------------------------------------


def order(toc: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Part and name of each page that a table of contents lists, in its order."""
    yield "", toc["root"]
    for part in toc["parts"]:
        todo = part["chapters"][::-1]
        while todo:
            chapter = todo.pop()
            yield part["caption"], chapter["file"]
            todo += chapter.get("sections", [])[::-1]


def read_article(page: str) -> Element:
    """The article of a page, its names without namespaces: `math`, `svg`, `xlink:href`."""
    match = ARTICLE.search(page)
    if match is None:
        raise ValueError("no article on this page")
    source = re.sub(
        r"&(?!amp;|lt;|gt;|quot;|apos;|#)\w+;", lambda m: html.unescape(m[0]), match[0]
    )
    body = fromstring(source)
    for node in body.iter():
        node.tag = re.sub(r"^\{.*\}", "", node.tag)
        for name in [n for n in node.attrib if n.startswith("{")]:
            space, local = name[1:].split("}")
            node.attrib[NAMESPACES.get(space, "") + local] = node.attrib.pop(name)
    for space, name in NAMESPACES.items():
        for node in body.iter(name):
            node.set("xmlns", space)
            if name == "svg":
                node.set("xmlns:xlink", "http://www.w3.org/1999/xlink")
    return body


def read(site: Path, toc: dict[str, Any]) -> list[Chapter]:
    """The pages of a built site, in the order of its contents, ready to be taken along."""
    chapters = []
    for part, name in order(toc):
        page = (site / f"{name}.html").read_text(encoding="utf-8")
        try:
            body = still(read_article(page))
        except (ParseError, ValueError) as error:
            raise ValueError(f"{name}.html cannot be read: {error}") from error
        title = next(body.iter("h1"), None)
        chapters.append(
            Chapter(name, part, name if title is None else words(title), body)
        )
    return chapters


def words(node: Element) -> str:
    """The text of an element, with each formula once."""
    skip = {"annotation"}
    found = (
        [node.text or ""]
        if node.tag not in skip and not has(node, "katex-html")
        else []
    )
    for child in node:
        if node.tag not in skip and not has(node, "katex-html"):
            found += [words(child), child.tail or ""]
    return re.sub(r"\s+", " ", "".join(found))


def has(node: Element, name: str) -> bool:
    """Whether an element is of a class."""
    return name in node.get("class", "").split()


# --- what is common to all
# ----------------------------------------------------------------------------------------------


def replace(body: Element, change: Callable[[Element], list[Element] | None]) -> None:
    """Put other elements in the place of some, from the top down: `change` returns
    them, or None to keep one. What followed an element follows what replaced it.
    """
    todo = [body]
    while todo:
        parent, kept = todo.pop(), []
        for child in list(parent):
            new = change(child)
            if new is None:
                kept.append(child)
                continue
            tail, child.tail = child.tail or "", None
            kept += new
            if kept:
                kept[-1].tail = (kept[-1].tail or "") + tail
            else:
                parent.text = (parent.text or "") + tail
        parent[:] = kept
        todo += kept


def still(body: Element) -> Element:
    """A page without what only a screen can use: permalinks, folds, links around
    posters.
    """

    def change(node: Element) -> list[Element] | None:
        if has(node, "headerlink") or has(node, "toctree-wrapper"):
            return []
        if node.tag == "details":
            return [unfold(node)]
        if node.tag == "a" and has(node, "image-reference"):
            return list(node)
        return None

    replace(body, change)
    for block in body.iter("pre"):
        merge(block)
    return body


def merge(block: Element) -> None:
    """Code without the marks of names, commas and spaces, which have no colour of their
    own: two marks of three.
    """
    kept: list[Element] = []
    for child in list(block):
        plain = child.get("class") in {None, "n", "p", "w"} and not len(child)
        text = (child.text or "") + (child.tail or "") if plain else ""
        if not plain:
            kept.append(child)
        elif kept:
            kept[-1].tail = (kept[-1].tail or "") + text
        else:
            block.text = (block.text or "") + text
    block[:] = kept


def unfold(fold: Element) -> Element:
    """An open box in place of a fold; folded code needs no title, a folded answer has
    one.
    """
    box = Element("div", {"class": "fold"})
    for node in list(fold):
        if node.tag != "summary":
            box.append(node)
        elif not any(has(n, "collapsed") for n in node):  # "Show code cell source"
            node.tag, node.attrib = "p", {"class": "admonition-title"}
            replace(node, lambda n: [] if has(n, "sd-summary-state-marker") else None)
            box.append(node)
    return box


def relink(chapter: Chapter, names: set[str], refer: Reference) -> None:
    """Turn references between pages into `refer(page, id)`; one to a page that is not
    taken along is text.
    """
    folder = PurePosixPath(chapter.name).parent
    for node in chapter.body.iter():
        address = node.get("href")
        if node.tag == "use" or address is None or re.match(r"\w+:", address):
            continue
        path, _, fragment = unquote(address).partition("#")
        page = chapter.name
        if path:
            page = os.path.normpath(folder / path).removesuffix(".html")
        if page in names:
            node.set("href", refer(page, fragment))
        else:
            node.tag = "span"
            del node.attrib["href"]


def headings(chapter: Chapter) -> Iterator[tuple[str, str]]:
    """Id and title of each section right below the chapter's own."""
    for section in chapter.body.iter("section"):
        for child in section[:3]:
            if child.tag == "h2" and section.get("id"):
                yield section.attrib["id"], words(child)


def source_of(chapter: Chapter, image: Element, site: Path) -> Path:
    """The file that an image on a page shows."""
    return Path(
        os.path.normpath(
            site / PurePosixPath(chapter.name).parent / unquote(image.attrib["src"])
        )
    )


def pack(path: Path, files: dict[str, bytes], stored: tuple[str, ...] = ()) -> None:
    """A ZIP whose bytes depend on nothing but its files, in the order given."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            plain = name in stored or name.endswith((".png", ".woff2"))
            info.compress_type = zipfile.ZIP_STORED if plain else zipfile.ZIP_DEFLATED
            archive.writestr(info, content, compresslevel=9)


def light(css: str) -> str:
    """The half of the theme's colours of code that is meant for light paper."""
    lines = [
        line
        for line in css.splitlines()
        if line.startswith('html[data-theme="light"] .highlight .')
    ]
    return (
        "\n".join(line.removeprefix('html[data-theme="light"] ') for line in lines)
        + "\n"
    )


# --- PDF
# ----------------------------------------------------------------------------------------------------------------

COLUMN = 170  # of text, in mm: A4 with margins of 20


def paper(
    chapters: list[Chapter], site: Path, about: dict[str, str], pages: dict[str, int]
) -> str:
    """The whole book as one page of HTML, to be printed. `pages` has the page numbers
    for the contents, once known.
    """
    names = {c.name: c for c in chapters}

    def refer(page: str, fragment: str) -> str:
        return f"#{names[page].key}--{fragment}" if fragment else f"#{names[page].key}"

    def line(kind: str, target: str, title: str) -> str:
        number = pages.get(target, "")
        return (
            f'<p class="toc-{kind}"><a href="#{target}"><span class="toc-title">{html.escape(title)}</span>'
            f'<span class="toc-dots"></span><span class="toc-page">{number}</span></a></p>'
        )

    contents, running, articles, part = [], [], [], ""
    for chapter in chapters:
        relink(chapter, set(names), refer)
        if chapter.part != part:
            part = chapter.part
            contents.append(f'<p class="toc-part">{html.escape(part)}</p>')
        contents.append(line("chapter", chapter.key, chapter.title))
        contents += [
            line("section", f"{chapter.key}--{i}", t) for i, t in headings(chapter)
        ]
        title = chapter.title.replace("\\", "").replace('"', "")
        running.append(
            f'@page {chapter.key} {{ @top-right {{ content: "{title}" }} @top-left {{ content: "{part}" }} }}\n'
            f'[id="{chapter.key}"] {{ page: {chapter.key} }}'
        )
        articles.append(print_article(chapter, site))
    files = [
        (site / "_static" / name).as_uri()
        for name in ("palette.css", "katex/katex.min.css")
    ]
    styles = "".join(f'<link rel="stylesheet" href="{name}">' for name in files)
    code = light((site / "_static" / "pygments.css").read_text(encoding="utf-8"))
    looks = "".join(
        (HERE / name).read_text(encoding="utf-8") for name in ("paper.css", "print.css")
    )
    running_heads = "\n".join(running)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(about["title"])}</title>{styles}'
        f"<style>{code}{looks}{running_heads}</style></head><body>{title_page(about)}"
        f'<nav class="toc"><h1>Contents</h1>{"".join(contents)}</nav>{"".join(articles)}</body></html>'
    )


def title_page(about: dict[str, str]) -> str:
    """The first page."""
    said = {key: html.escape(value) for key, value in about.items()}
    return (
        f'<div class="title-page"><img src="{(HERE / "cover.png").as_uri()}" alt="{said["title"]}: {said["description"]}">'
        f'<p class="by">{said["author"]}</p><p class="edition">Version {said["version"]}</p>'
        '<p class="edition">Text and figures: CC BY 4.0. Code: Apache 2.0. The figures that stand still here move under your '
        "hand on the site and in JupyterLab.</p></div>"
    )


def print_article(chapter: Chapter, site: Path) -> str:
    """A chapter in HTML, its ids made unique in the book."""
    for node in list(chapter.body.iter()):
        if node.tag == "svg":
            # their ids are named after the figure's content already
            for inner in node.iter():
                if "id" in inner.attrib:
                    inner.set("data-id", inner.attrib.pop("id"))
        elif "id" in node.attrib:
            node.set("id", f"{chapter.key}--{node.attrib['id']}")
        if node.tag == "img":
            node.set("src", source_of(chapter, node, site).as_uri())
    for node in chapter.body.iter():
        if "data-id" in node.attrib:
            node.set("id", node.attrib.pop("data-id"))
        # its pieces mean nothing to a reader of tags, its source does
        if has(node, "katex"):
            node.set("role", "img")
            node.set("aria-label", next(node.iter("annotation")).text or "")
    replace(chapter.body, lambda n: [] if has(n, "katex-mathml") else None)
    chapter.body.set("id", chapter.key)
    if chapter.part:
        above = Element("p", {"class": "part"})
        above.text = chapter.part
        chapter.body.insert(0, above)
    return tostring(chapter.body, encoding="unicode", method="html")


FIT = """() => {
  const edge = document.body.getBoundingClientRect().right + 1;
  for (const box of document.querySelectorAll(".katex-display, table")) {
    const wide = box.matches("table") ? box : box.querySelector(".katex-html");
    const room = box.parentElement.getBoundingClientRect().width - (box.previousElementSibling?.matches(".eqno") ? box.previousElementSibling.offsetWidth + 12 : 0);
    for (let size = 100; size > 50 && [...(box.matches("table") ? [wide] : wide.querySelectorAll(".base"))].reduce((sum, b) => sum + b.getBoundingClientRect().width, 0) > room; size -= 3)
      box.style.fontSize = `${size - 3}%`;
  }
  const cut = new Set();
  for (const node of document.querySelectorAll("body *")) {
    const box = node.getBoundingClientRect();
    if (box.width && box.right > edge && !node.closest("svg *, .vlist-s")) cut.add(`${node.closest("article")?.id}: ${node.tagName} ${node.getAttribute("class") ?? ""} ${Math.round(box.right - edge)} px: ${node.textContent.slice(0, 60)}`);
  }
  return [...cut];
}"""


def make_pdf(
    site: Path, toc: dict[str, Any], path: Path, about: dict[str, str], chromium: str
) -> list[str]:
    """Print the book twice: once to learn on which pages its sections stand, once with
    these in the contents. Returns what is cut off at the right edge, which should be
    nothing.
    """
    from playwright.sync_api import sync_playwright

    page_of: dict[str, int] = {}
    draft = path.with_suffix(".html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for last in (False, True):
            draft.write_text(
                paper(read(site, toc), site, about, page_of), encoding="utf-8"
            )
            width = round(COLUMN * 96 / 25.4)
            tab = browser.new_page(viewport={"width": width, "height": 1000})
            tab.emulate_media(media="print")
            tab.goto(draft.as_uri(), wait_until="load", timeout=120_000)
            tab.evaluate("() => document.fonts.ready.then(() => 0)")
            cut = tab.evaluate(FIT)
            printed = tab.pdf(
                prefer_css_page_size=True,
                print_background=True,
                outline=last,
                tagged=last,
            )
            tab.close()
            known, page_of = page_of, pages_of(printed)
        browser.close()
    path.write_bytes(printed)
    draft.unlink()
    if known != page_of:
        raise RuntimeError("the page numbers in the contents have moved the pages")
    return cut


def pages_of(pdf: bytes) -> dict[str, int]:
    """On which page each named place of Chromium's PDF is, counted from 1."""
    objects = {
        int(m[1]): m[2]
        for m in re.finditer(rb"(?<=\n)(\d+) 0 obj\n(.*?)\nendobj", pdf, re.S)
    }
    root = next(v for v in objects.values() if b"/Type /Catalog" in v)
    leaves, todo = [], [int(re.search(rb"/Pages (\d+) 0 R", root)[1])]  # type: ignore[index]
    while todo:
        number = todo.pop(0)
        kids = re.search(rb"/Kids \[(.*?)\]", objects[number], re.S)
        if kids:
            todo = [int(n) for n in re.findall(rb"(\d+) 0 R", kids[1])] + todo
        else:
            leaves.append(number)
    at = {number: n for n, number in enumerate(leaves, 1)}
    places = re.findall(rb"/([^\s/\[\]()<>]+) \[(\d+) 0 R /XYZ", pdf)
    return {
        unquote(re.sub(rb"#(..)", rb"%\1", name).decode()): at[int(page)]
        for name, page in places
        if name != b"Dest"
    }


# --- EPUB
# ---------------------------------------------------------------------------------------------------------------

KINDS = {
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".css": "text/css",
    ".xhtml": "application/xhtml+xml",
}
CONTAINER = """<?xml version="1.0" encoding="utf-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="book/content.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>
"""


def xhtml(title: str, body: str) -> bytes:
    """A page of an EPUB."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="en" xml:lang="en">\n'
        f"<head><title>{html.escape(title)}</title>"
        '<link rel="stylesheet" type="text/css" href="code.css"/><link rel="stylesheet" type="text/css" href="paper.css"/>'
        f"</head>\n<body>{body}</body>\n</html>\n"
    ).encode()


def ebook_article(chapter: Chapter, site: Path, files: dict[str, bytes]) -> str:
    """A chapter in XHTML, its formulas in MathML; its images are added to `files`."""

    def change(node: Element) -> list[Element] | None:
        if has(node, "katex-display"):
            return [in_pieces(formula(next(node.iter("math"))))]
        if has(node, "katex"):
            return [formula(next(node.iter("math")))]
        if has(node, "lb-svg"):
            return [picture(node, files)]
        return None

    for node in chapter.body.iter("img"):
        file = source_of(chapter, node, site)
        files[f"images/{file.name}"] = file.read_bytes()
        node.set("src", f"images/{file.name}")
    replace(chapter.body, change)
    chapter.body.tag = "section"
    return tostring(chapter.body, encoding="unicode")


def formula(math: Element) -> Element:
    """MathML alone, its source as its alternative text: readers that know no
    annotations would show both.
    """
    math.set("alttext", next(math.iter("annotation")).text or "")
    math[:] = [n for n in math[0] if n.tag != "annotation"]
    math.tail = None
    for row in math.iter():
        for node, after in pairwise(row):
            if node.text == "\N{FUNCTION APPLICATION}" and after.text != "(":
                node.set("rspace", "0.1667em")  # log p, and not logp
    for node in math.iter():
        style = node.get("mathvariant", "normal")
        if (
            style != "normal"
        ):  # readers of today know letters of each style, and no longer the attribute
            node.text = "".join(styled(c, style) for c in node.text or "")
            del node.attrib["mathvariant"]
    return math


RELATIONS = set("=≤≥<>≈≠∼∝→⟶⇒⟺≡")


def in_pieces(math: Element) -> Element:
    """A displayed formula as pieces that stand side by side where there is room, and
    else continue on the next line: the page of a reader cannot be scrolled sideways. It
    may break before a relation, a plus or a minus, outside of brackets.
    """
    row = math[0] if len(math) == 1 and math[0].tag == "mrow" else math
    groups: list[list[Element]] = [[]]
    depth, bars, before = 0, 0, ""
    for node in row:
        sign = (node.text or "") if node.tag == "mo" else ""
        text = "".join(node.itertext())  # a bracket may carry a power
        depth += sum(text.count(c) for c in "([{⟨") - sum(text.count(c) for c in ")]}⟩")
        bars += text.count("∥")
        breaks = sign in RELATIONS or (
            sign in {"+", "−"} and before not in RELATIONS | {"("}
        )
        if breaks and depth == 0 and bars % 2 == 0 and groups[-1]:
            node.set("form", "infix")
            groups.append([])
        groups[-1].append(node)
        before = sign
    if len(groups) == 1 or next(math.iter("mtable"), None) is not None:
        return math
    whole = Element(
        "span",
        {"class": "formula", "role": "math", "aria-label": math.get("alttext", "")},
    )
    for group in groups:
        piece = Element(
            "math", {"xmlns": math.get("xmlns", ""), "displaystyle": "true"}
        )
        piece.append(Element("mrow"))
        piece[0].extend(group)
        piece.tail = "\N{ZERO WIDTH SPACE}"  # here a line may end
        whole.append(piece)
    return whole


def styled(character: str, style: str) -> str:
    """Unicode's letter for a letter in a style of MathML's: ℝ for R in double-struck."""
    name = unicodedata.name(character, "").replace("LATIN ", "").replace("GREEK ", "")
    name = f"{style.upper()} {name.replace('LETTER ', '')}".replace("BOLD-", "BOLD ")
    for candidate in (f"MATHEMATICAL {name}", name.replace("FRAKTUR", "BLACK-LETTER")):
        with suppress(KeyError):
            return unicodedata.lookup(candidate)
    return character


def picture(box: Element, files: dict[str, bytes]) -> Element:
    """An SVG drawn into the page, as a file of its own in the colours of light paper."""
    from latent_book.plots import COLOR
    from sphinxext.live import digest

    svg = next(box.iter("svg"))
    width, height = re.search(
        r"aspect-ratio:(\d+)/(\d+)", svg.attrib.pop("style")
    ).groups()  # type: ignore[union-attr]
    svg.attrib |= {"width": width, "height": height}
    svg.attrib.pop("aria-hidden", None)
    svg.tail = None
    source = tostring(svg, encoding="unicode")
    for name, value in COLOR.items():
        source = source.replace(f"var(--lb-{name})", value)
    name = f"images/{digest(source.encode())}.svg"
    files[name] = source.encode()
    return Element(
        "img",
        {"src": name, "alt": box.get("aria-label", ""), "style": f"width:{width}px"},
    )


def make_epub(
    site: Path, toc: dict[str, Any], path: Path, about: dict[str, str]
) -> None:
    """An EPUB 3: a page for each chapter, formulas in MathML, figures as they stand
    still.
    """
    chapters = read(site, toc)
    names = {c.name: c for c in chapters}
    images: dict[str, bytes] = {}
    pages: dict[str, bytes] = {}
    contents, part = [], ""

    def refer(page: str, fragment: str) -> str:
        return f"{quote(names[page].key)}.xhtml" + (f"#{fragment}" if fragment else "")

    for chapter in chapters:
        relink(chapter, set(names), refer)
        sections = [
            f'<li><a href="{refer(chapter.name, i)}">{html.escape(title)}</a></li>'
            for i, title in headings(chapter)
        ]
        if chapter.part != part:
            contents += ["</ol></li>"] * bool(part) + [
                f"<li><span>{html.escape(chapter.part)}</span><ol>"
            ]
            part = chapter.part
        inner = f"<ol>{''.join(sections)}</ol>" if sections else ""
        contents.append(
            f'<li><a href="{refer(chapter.name, "")}">{html.escape(chapter.title)}</a>{inner}</li>'
        )
        above = f'<p class="part">{html.escape(part)}</p>' if part else ""
        body = ebook_article(chapter, site, images)
        pages[f"{chapter.key}.xhtml"] = xhtml(chapter.title, above + body)
    contents += ["</ol></li>"] * bool(part)
    nav = f'<nav epub:type="toc" id="toc"><h1>Contents</h1><ol>{"".join(contents)}</ol></nav>'
    title = (
        '<div class="cover"><img src="images/cover.png" alt="Cover"/></div>',
        f'<div class="title"><h1>{html.escape(about["title"])}</h1><p>{html.escape(about["description"])}</p>'
        f"<p>{html.escape(about['author'])}. Version {about['version']}.</p>"
        "<p>Text and figures: CC BY 4.0. Code: Apache 2.0. The figures that stand still here move under your hand on the site "
        "and in JupyterLab.</p></div>",
    )
    images["images/cover.png"] = (HERE / "cover.png").read_bytes()
    book = {
        "cover.xhtml": xhtml("Cover", title[0]),
        "title.xhtml": xhtml(about["title"], title[1]),
        "nav.xhtml": xhtml("Contents", nav),
        **pages,
        "code.css": light(
            (site / "_static" / "pygments.css").read_text(encoding="utf-8")
        ).encode(),
        "paper.css": (HERE / "paper.css").read_bytes(),
        **dict(sorted(images.items())),
    }
    files = {
        "mimetype": b"application/epub+zip",
        "META-INF/container.xml": CONTAINER.encode(),
        "book/content.opf": package(book, about).encode(),
        **{f"book/{name}": content for name, content in book.items()},
    }
    pack(path, files, stored=("mimetype",))


def package(book: dict[str, bytes], about: dict[str, str]) -> str:
    """The list of an EPUB's files, and the order of its pages."""
    items, spine = [], []
    for name, content in book.items():
        key = "f-" + re.sub(r"[^\w-]", "-", name)
        marks = {"nav.xhtml": "nav", "images/cover.png": "cover-image"}.get(name, "")
        if name.endswith(".xhtml"):
            spine.append(f'<itemref idref="{key}"/>')
            marks += " mathml" * (b"<math" in content) + " svg" * (b"<svg" in content)
        properties = f' properties="{marks.strip()}"' if marks else ""
        kind = KINDS[PurePosixPath(name).suffix]
        items.append(
            f'<item id="{key}" href="{name}" media-type="{kind}"{properties}/>'
        )
    said = {key: html.escape(value) for key, value in about.items()}
    return f"""<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id" xml:lang="en">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">{said["address"] or "urn:latent_book"}#{said["version"]}</dc:identifier>
<dc:title>{said["title"]}</dc:title><dc:language>en</dc:language><dc:creator>{said["author"]}</dc:creator>
<dc:description>{said["description"]}</dc:description>
<dc:rights>Text and figures: CC BY 4.0. Code: Apache 2.0.</dc:rights>
<meta property="dcterms:modified">{said["date"]}</meta>
<meta property="schema:accessMode">textual</meta><meta property="schema:accessMode">visual</meta>
<meta property="schema:accessibilityFeature">alternativeText</meta><meta property="schema:accessibilityFeature">MathML</meta>
<meta property="schema:accessibilityHazard">none</meta>
</metadata>
<manifest>
{chr(10).join(items)}
</manifest>
<spine>{"".join(spine)}</spine>
</package>
"""


def epub_faults(path: Path) -> list[str]:
    """What is wrong with an EPUB: its form, its list of files, its pages, the
    references between them.
    """
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
    faults += [
        f"listed or there, but not both: {n}" for n in listed ^ (set(names) - others)
    ]
    faults += [
        f"spine: {i}"
        for r in package.iter(f"{opf}itemref")
        if (i := str(r.get("idref"))) not in items
    ]
    pages = {
        n: fromstring(c) for n, c in contents.items() if n.endswith((".xhtml", ".svg"))
    }
    ids = {
        name: [e.attrib["id"] for e in page.iter() if "id" in e.attrib]
        for name, page in pages.items()
    }
    for name, page in pages.items():
        if len(ids[name]) != len(set(ids[name])):
            faults.append(f"{name}: an id twice")
        for node in page.iter():
            address = (
                node.get("href")
                or node.get("src")
                or node.get("{http://www.w3.org/1999/xlink}href")
            )
            if not address or re.match(r"\w+:", address):
                continue
            file, _, fragment = unquote(address).partition("#")
            target = str(PurePosixPath(name).parent / file) if file else name
            if target not in contents or (fragment and fragment not in ids[target]):
                faults.append(f"{name}: {address} leads nowhere")
    return faults


# --- ZIP
# ----------------------------------------------------------------------------------------------------------------


def make_zip(site: Path, path: Path) -> None:
    """The site as it stands; unpacked, it opens from disk."""
    files = sorted(p for p in site.rglob("*") if p.is_file() and p.name != ".buildinfo")
    pack(
        path,
        {
            f"{path.stem}/{p.relative_to(site).as_posix()}": p.read_bytes()
            for p in files
        },
    )
