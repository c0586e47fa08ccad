"""What the site reads as MyST, as Markdown that every notebook shows: numbers, links,
headings and the last build's values in place of roles and directives.

All numbers and references are those of the built site: `Site` reads them there.
"""

import pickle
import posixpath
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # for sphinxext
    sys.path.insert(0, str(ROOT))

ROLE = re.compile(r"\{([a-z][\w:+-]*)\}`([^`]+)`")
FENCE = re.compile(r"^(`{3,})\{([\w:-]+)\}[ \t]*(.*)$")
LABELLED = re.compile(r"\$\$[ \t]*\((eq-[\w-]+)\)")
TARGET = re.compile(r"^\([\w-]+\)=\n", re.M)
LINK = re.compile(r"\]\(([\w./-]+)\.(?:ipynb|md)(#[\w-]*)?\)")
NOTES = re.compile(r'<aside class="footnote [^>]*id="footcite-.*?</aside>', re.S)
TERM = re.compile(r"^([^\s].*)\n((?:[ \t]+\S.*(?:\n|$))+)", re.M)


class NotBuilt(Exception):
    """The site is not there, or older than the chapters."""


@dataclass
class Site:
    """What the built site says of each label: its number, its page, its value."""

    numbers: dict[tuple[str, str], str] = field(default_factory=dict)  # kind, label
    titles: dict[str, str] = field(default_factory=dict)  # of pages
    values: dict[str, Any] = field(default_factory=dict)  # of glue
    copied: frozenset[str] = frozenset()  # the pages that have a copy
    html: Path = ROOT / "_build" / "html"

    @cache  # noqa: B019
    def references(self, page: str) -> dict[str, tuple[str, str]]:
        """The works that a page cites: their number there, and their description."""
        from bs4 import BeautifulSoup

        text = (self.html / f"{page}.html").read_text(encoding="utf-8")
        soup = BeautifulSoup("".join(NOTES.findall(text)), "html.parser")
        found = {}
        for note in soup.find_all("aside"):
            key = str(note["id"]).removeprefix("footcite-")
            number = note.select_one(".label").get_text().strip("[] ")  # type: ignore[union-attr]
            for link in note.select("p a"):
                link.replace_with(f"[{link.get_text()}]({link['href']})")
            for word in note.select("p em"):
                word.replace_with(f"*{word.get_text()}*")
            found[key] = number, " ".join(note.p.get_text().split())  # type: ignore[union-attr]
        return found

    __hash__ = object.__hash__


def read_site(build: Path) -> Site:
    """Read what the last build knows; NotBuilt if there is none."""
    try:
        with (build / "doctrees" / "environment.pickle").open("rb") as file:
            env = pickle.load(file)
    except OSError:
        raise NotBuilt("there is no built site; make book") from None
    site = Site(html=build / "html")
    kinds = {"displaymath": "eq", "figure": "fig", "theorem": "thm", "exercise": "ex"}
    for groups in env.toc_fignumbers.values():
        for group, numbers in groups.items():
            for label, number in numbers.items():
                name = str(label).removeprefix("equation-")
                said = ".".join(map(str, number))
                site.numbers[kinds.get(group, group), name] = said
    # pages without a number of their own count their equations from one
    for name, (_, number) in env.domaindata["math"].get("objects", {}).items():
        site.numbers.setdefault(("eq", name), str(number))
    site.titles = {page: title.astext() for page, title in env.titles.items()}
    return site


def _fenced(text: str) -> Iterator[tuple[str, str, str]]:
    """Pieces of a text: (name, argument, body) of each directive, with an empty name
    for what stands between.
    """
    lines, at = text.splitlines(), 0
    plain: list[str] = []
    while at < len(lines):
        if found := FENCE.match(lines[at]):
            if plain:
                yield "", "", "\n".join(plain)
                plain = []
            end = lines.index(found[1], at + 1)
            yield found[2], found[3], "\n".join(lines[at + 1 : end])
            at = end + 1
        elif lines[at].startswith("```"):  # code, which stays as it is
            end = lines.index("```", at + 1)
            plain += lines[at : end + 1]
            at = end + 1
        else:
            plain.append(lines[at])
            at += 1
    if plain:
        yield "", "", "\n".join(plain)


def _options(body: str) -> tuple[dict[str, str], str]:
    """A directive's options, and what follows them."""
    lines, found = body.splitlines(), {}
    while lines and (match := re.match(r"^:([\w-]+):\s*(.*)$", lines[0])):
        found[match[1]] = match[2]
        lines.pop(0)
    return found, "\n".join(lines).strip("\n")


@dataclass
class Solution:
    """Where a solution begins, between pieces of text: its heading."""

    heading: str


SOLVED = "solved"  # where it ends


class Page:
    """Turns the Markdown of one page into plain Markdown."""

    def __init__(self, site: Site, name: str) -> None:
        self.site, self.name = site, name

    def pieces(self, text: str) -> list[str | Solution]:
        """A cell's text, cut where a solution begins and behind it: text, `Solution` or
        `SOLVED`.
        """
        cut: list[str | Solution] = []
        for name, argument, body in _fenced(text):
            if name == "solution-start":
                number = self.site.numbers["ex", argument.strip()]
                cut.append(Solution(f"#### Solution to Exercise {number}"))
            elif name == "solution-end":
                cut.append(SOLVED)
            else:
                said = self.directive(name, argument, body) if name else self.line(body)
                if cut and isinstance(cut[-1], str) and cut[-1] is not SOLVED:
                    cut[-1] += "\n" + said
                else:
                    cut.append(said)
        return cut

    def text(self, text: str) -> str:
        """A text without solutions."""
        return "\n".join(str(piece) for piece in self.pieces(text))

    def directive(self, name: str, argument: str, body: str) -> str:
        """What a directive says.

        Raises
        ------
        KeyError
            If there is no rule for it here.
        """
        options, body = _options(body)
        label = options.get("label", "")
        title = self.line(argument)
        if name == "footbibliography":
            works = self.site.references(self.name).values()
            return "\n".join(f"[{number}] {said}  " for number, said in works)
        if name == "glossary":
            return self.line(TERM.sub(_term, body))
        rules: dict[str, Callable[[str], str]] = {
            "exercise": lambda said: (
                f"### Exercise {self.site.numbers['ex', label]}. {title}\n\n{said}"
            ),
            "prf:theorem": lambda said: (
                f"**Theorem {self.site.numbers['thm', label]}"
                f"{f' ({title})' if title else ''}.** {said}"
            ),
            "prf:proof": lambda said: f"*Proof.* {said.rstrip()} ∎",
            "dropdown": lambda said: _folded(title, said),
            "admonition": lambda said: _folded(title, said),
        }
        return rules[name](self.text(body))

    def line(self, text: str) -> str:
        """Text without directives: roles, labels and links."""
        text = TARGET.sub("", text)
        text = LABELLED.sub(
            lambda m: rf"\tag{{{self.site.numbers['eq', m[1]]}}}" + "\n$$", text
        )
        text = ROLE.sub(lambda m: self.role(m[1], m[2]), text)
        return LINK.sub(lambda m: "](" + self.address(m[1]) + ")", text)

    def role(self, name: str, content: str) -> str:
        """What a role says.

        Raises
        ------
        KeyError
            If there is no rule for it here, or nothing of this name.
        """
        words, _, target = content.rpartition("<")
        words, target = words.strip(), target.rstrip(">")
        if name == "glue:text":
            return self.value(content)
        if name == "eq":
            return f"({self.site.numbers['eq', target]})"
        if name == "footcite":
            known = self.site.references(self.name)
            return (
                "[" + ", ".join(known[k.strip()][0] for k in content.split(",")) + "]"
            )
        if name == "doc":
            page = self.page(target)
            said = words or self.site.titles[page]
            return (
                f"[{said}]({self.address(target)})"
                if page in self.site.copied
                else said
            )
        kind = {"fig": "Fig.", "thm": "Theorem", "ex": "Exercise", "sec": ""}
        short = target.partition("-")[0]
        if name in ("prf:ref", "numref", "ref") and short in kind:
            return words or f"{kind[short]} {self.site.numbers[short, target]}"
        if name == "ref" and words:
            return words
        raise KeyError(name)

    def value(self, content: str) -> str:
        """A measured number, as the last build has it and as the prose writes it."""
        name, _, spec = content.partition(":")
        return format(self.site.values[name], spec)

    def page(self, target: str) -> str:
        """The page that a relative name means."""
        if target.startswith("/"):
            return target[1:]
        return posixpath.normpath(posixpath.join(posixpath.dirname(self.name), target))

    def address(self, target: str) -> str:
        """Where a page's copy is, seen from this one's."""
        start = posixpath.dirname(self.name) or "."
        return posixpath.relpath(self.page(target), start) + ".ipynb"

    def sentences(self, text: str) -> Iterator[str]:
        """The sentences of a text that quote a number, each number as
        `{{name:spec|value}}`: see `latent_book.reader.Book`.
        """
        for _, _, body in _fenced(text):
            _, body = _options(body)
            quoted = ROLE.sub(
                lambda m: (
                    f"{{{{{m[2]}|{self.value(m[2])}}}}}"
                    if m[1] == "glue:text"
                    else self.role(m[1], m[2])
                ),
                LABELLED.sub("$$", body),
            )
            quoted = LINK.sub("]()", quoted)
            for paragraph in re.split(r"\n\s*\n|\n(?=[-|\d])", quoted):
                for one in re.split(r"(?<=[.!?:)])\s+(?=[A-Z*(\[$])", paragraph):
                    if "{{" in one and "|" in one:
                        yield _spoken(one)


def _spoken(sentence: str) -> str:
    """A sentence, or a row of a table, without what Markdown needs."""
    text = re.sub(r"\[([^\]]*)\]\(\)", r"\1", " ".join(sentence.split()))
    text = re.sub(r"(\*{1,2})([^*$]+)\1", r"\2", text)
    if text.startswith("|"):
        return re.sub(r" (?:\| )+", " · ", text.strip("| "))
    return text


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def _term(found: re.Match[str]) -> str:
    said = " ".join(line.strip() for line in found[2].splitlines())
    return f"- **{found[1]}**: {said}\n"
