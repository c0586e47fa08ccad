"""Readers' copies: what MyST says, said in plain Markdown; solutions that are closed;
files of readers that nothing writes over.
"""

import json
import re

import nbformat
import pytest
import reader_copies
from any_site import AnySite
from conftest import ROOT, notebooks
from plain_markdown import SOLVED, NotBuilt, Page, Site, Solution, read_site
from reader_copies import Origin, copy_of, write

PAGE = """<p>A page.</p>
<aside class="footnote-list brackets">
<aside class="footnote brackets" id="footcite-neal1998" role="doc-footnote">
<span class="label"><span class="fn-bracket">[</span>1<span class="fn-bracket">]</span></span>
<p>Radford Neal &amp; others. A view. <em>Learning</em>, 1998.
<a class="reference external" href="https://doi.org/10/x">doi:10/x</a>.</p>
</aside>
<aside class="footnote brackets" id="footcite-wu1983" role="doc-footnote">
<span class="label"><span class="fn-bracket">[</span><a role="doc-backlink" href="#id2">2</a><span class="fn-bracket">]</span></span>
<p>C. F. Jeff Wu. On EM. 1983.</p>
</aside>
</aside>
"""


@pytest.fixture
def page(tmp_path):
    """The page `start/here` of a site with a label of each kind."""
    site = Site(
        numbers={
            ("eq", "eq-em-bound"): "2.1",
            ("fig", "fig-em-walk"): "2.3",
            ("thm", "thm-em-up"): "4",
            ("ex", "ex-em-slow"): "2.5",
            ("ex", "ex-em-one"): "2.6",
            ("sec", "sec-em"): "7.1",
        },
        titles={"em": "EM", "start/here": "Here", "start/using": "Using it"},
        values={"price": 1.2345, "count": 10013, "word": "three"},
        copied=frozenset({"em", "start/here"}),
        html=tmp_path,
    )
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "here.html").write_text(PAGE, encoding="utf-8")
    return Page(site, "start/here")


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        ("By {eq}`eq-em-bound`.", "By (2.1)."),
        ("{prf:ref}`thm-em-up` says", "Theorem 4 says"),
        ("{numref}`fig-em-walk` shows", "Fig. 2.3 shows"),
        ("in {ref}`ex-em-slow`", "in Exercise 2.5"),
        ("in {ref}`the slow one <ex-em-slow>`", "in the slow one"),
        ("see {doc}`../em`", "see [EM](../em.ipynb)"),
        ("see {doc}`/em`", "see [EM](../em.ipynb)"),
        ("see {doc}`the chapter <../em>`", "see [the chapter](../em.ipynb)"),
        ("see {doc}`using`", "see Using it"),  # it has no copy
        ("[there](../em.ipynb#e-step)", "[there](../em.ipynb)"),
        ("[out](https://example.org/a.md)", "[out](https://example.org/a.md)"),
        ("as {footcite}`neal1998` found", "as [1] found"),
        ("{footcite}`neal1998,wu1983`", "[1, 2]"),
        ("{glue:text}`price:.1f` nats", "1.2 nats"),
        ("{glue:text}`count:,d` rows, {glue:text}`word`", "10,013 rows, three"),
        (
            "| a | b |\n|---|---|\n| {eq}`eq-em-bound` | {glue:text}`price:.2f` |",
            "| a | b |\n|---|---|\n| (2.1) | 1.23 |",
        ),
        ("(sec-em)=\n## The step", "## The step"),
        ("$$\nx = 1\n$$ (eq-em-bound)", "$$\nx = 1\n\\tag{2.1}\n$$"),
        ("$$\nx = 1\n$$", "$$\nx = 1\n$$"),
        ("```python\nx = {1}\n```", "```python\nx = {1}\n```"),
        (
            "```{exercise} Slowly\n:label: ex-em-slow\nHow slow is {eq}`eq-em-bound`?\n```",
            "### Exercise 2.5. Slowly\n\nHow slow is (2.1)?",
        ),
        (
            "````{prf:theorem} Up\n:label: thm-em-up\nIt climbs.\n````",
            "**Theorem 4 (Up).** It climbs.",
        ),
        (
            "```{prf:theorem}\n:label: thm-em-up\nIt climbs.\n```",
            "**Theorem 4.** It climbs.",
        ),
        ("```{prf:proof}\nBy Jensen.\n```", "*Proof.* By Jensen. ∎"),
        (
            "```{dropdown} Why {eq}`eq-em-bound`?\nSo.\n```",
            "<details><summary>Why (2.1)?</summary>\n\nSo.\n\n</details>",
        ),
        (
            "```{admonition} Details\n:class: dropdown\nA $b$.\n```",
            "<details><summary>Details</summary>\n\nA $b$.\n\n</details>",
        ),
        (
            "```{glossary}\nnat\n    The unit,\n    see {doc}`/em`.\n```",
            "- **nat**: The unit, see [EM](../em.ipynb).",
        ),
        (
            "```{footbibliography}\n```",
            "[1] Radford Neal & others. A view. *Learning*, 1998. "
            "[doi:10/x](https://doi.org/10/x).  \n[2] C. F. Jeff Wu. On EM. 1983.  ",
        ),
    ],
)
def test_what_myst_says_is_said_in_plain_markdown(page, said, plain):
    assert page.text(said).strip("\n") == plain


@pytest.mark.parametrize(
    "said",
    [
        "{eq}`eq-nowhere`",
        "{doc}`nowhere`",
        "{glue:text}`nothing`",
        "{footcite}`nobody`",
        "{unheard-of}`x`",
        "```{unheard-of}\nx\n```",
        "$$\nx\n$$ (eq-nowhere)",
    ],
)
def test_what_has_no_rule_or_leads_nowhere_is_an_error(page, said):
    with pytest.raises(KeyError):
        page.text(said)


def test_a_text_is_cut_where_a_solution_begins_and_behind_it(page):
    pieces = page.pieces(
        "```{exercise} A\n:label: ex-em-slow\nHow?\n```\n\n"
        "```{solution-start} ex-em-slow\n:class: dropdown\n```\nSo.\n```{solution-end}\n```\n"
        "```{exercise} B\n:label: ex-em-one\nWhy?\n```"
    )
    assert [p.strip() if isinstance(p, str) else p for p in pieces] == [
        "### Exercise 2.5. A\n\nHow?",
        Solution("#### Solution to Exercise 2.5"),
        "So.",
        SOLVED,
        "### Exercise 2.6. B\n\nWhy?",
    ]


def test_a_sentence_is_kept_with_the_numbers_that_it_quotes(page):
    text = (
        "No number here. It costs {glue:text}`price:.1f` nats, by {eq}`eq-em-bound`.\n\n"
        "- Of {glue:text}`count:,d`, see [there](../em.ipynb).\n- None."
    )
    assert list(page.sentences(text)) == [
        "It costs {{price:.1f|1.2}} nats, by (2.1).",
        "- Of {{count:,d|10,013}}, see there.",
    ]


def test_without_a_built_site_it_says_what_to_do(tmp_path):
    with pytest.raises(NotBuilt, match="make book"):
        read_site(tmp_path)


# --- the copies of the book


@pytest.fixture(scope="module")
def copies():
    """A copy of each page, by its path; its numbers and links mean nothing."""
    site, origin = AnySite(), Origin(ROOT)
    pages = [*notebooks(), *(ROOT / "nbs" / name for name in reader_copies.PAGES)]
    return {path: copy_of(path, site, origin) for path in pages}


MYST = re.compile(
    r"^#\||\{[a-z:]+\}`|\(eq-[\w-]+\)|^:\w+:|^`{3,}\{|^\([\w-]+\)=|(?:from|import) myst_nb",
    re.M,
)


def test_a_copy_has_nothing_that_only_the_site_understands(copies):
    left = [
        f"{path.stem} {cell['id']}: {found[0]}"
        for path, copy in copies.items()
        for cell in copy["cells"]
        if (found := MYST.search("".join(cell["source"])))
    ]
    assert left == []
    for path, copy in copies.items():
        code = "".join("".join(cell["source"]) for cell in copy["cells"])
        assert "import _needs\n\n_needs" not in code, (
            f"{path.stem}: that is the module's"
        )


def test_a_copy_is_a_notebook_whose_cells_have_names_of_their_own(copies):
    for path, copy in copies.items():
        nbformat.validate(nbformat.from_dict(copy))
        names = [cell["id"] for cell in copy["cells"]]
        assert len(names) == len(set(names)), path


def begins(cell):
    """The level of the heading that a cell begins with, 0 if it begins without."""
    hashes = re.match(r"#+(?= )", "".join(cell["source"]))
    prose = cell["cell_type"] == "markdown"
    return len(hashes[0]) if prose and hashes else 0


def test_a_copy_begins_with_its_title_and_the_cell_that_prepares_it(copies):
    for path, copy in copies.items():
        names = [cell["id"] for cell in copy["cells"]]
        assert begins(copy["cells"][0]) == 1, path
        has_code = any(cell["cell_type"] == "code" for cell in copy["cells"])
        assert ("launch" in names[1:2]) == has_code, path


def test_hidden_and_folded_cells_are_closed_and_captions_stand_below(copies):
    em = copies[ROOT / "nbs" / "em.ipynb"]
    cells = {cell["id"]: cell for cell in em["cells"]}
    source = json.loads((ROOT / "nbs" / "em.ipynb").read_text(encoding="utf-8"))
    directives = {
        cell["id"]: reader_copies.plain("".join(cell["source"]))[0]
        for cell in source["cells"]
        if cell["cell_type"] == "code"
    }
    closed = [n for n, d in directives.items() if d.keys() & reader_copies.CLOSED]
    told = [n for n, d in directives.items() if "fig-cap" in d]
    assert len(closed) > 5
    assert len(told) > 3
    for name in closed:
        if name in cells:  # one that only had directives is gone
            assert cells[name]["metadata"]["jupyter"]["source_hidden"], name
            assert cells[name]["metadata"]["cellView"] == "form"
            assert cells[name]["source"][0].startswith("# @title "), name
    order = list(cells)
    for name in told:
        below = cells[order[order.index(name) + 1]]
        assert below["id"] == f"{name}-caption"
        assert "".join(below["source"]).startswith("**Fig. 1.2.** ")


def test_a_heading_ends_every_solution(copies):
    """Else what follows a solution would be folded away with it."""
    solutions = 0
    for path, copy in copies.items():
        if path.suffix == ".md":
            continue
        page = Page(AnySite(), path.stem)
        behind = ""  # of which solution
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            text = "".join(cell["source"])
            if cell["cell_type"] == "code":
                hidden = reader_copies.plain(text)[0].keys() & {"hide", "default_exp"}
                assert not behind or hidden, f"{path.stem} {cell['id']} after {behind}"
                continue
            for piece in page.pieces(text):
                if piece is SOLVED:
                    behind = cell["id"]
                elif behind and str(piece).strip():
                    assert re.match(r"#{1,4} ", str(piece).strip()), (
                        f"{path.stem} {cell['id']}: prose after {behind}"
                    )
                    behind = ""
        closed = [c for c in copy["cells"] if "heading_collapsed" in c["metadata"]]
        assert all(begins(cell) == 4 for cell in closed)
        named = [cell["id"] for cell in closed]
        assert copy["metadata"]["colab"]["collapsed_sections"] == named
        solutions += len(closed)
    assert solutions > 50


# --- the reader's own files


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A project of one chapter and one page; `book(text)` gives the chapter a text and
    writes the copies; it returns what is told.
    """
    nbs, lab = tmp_path / "nbs", tmp_path / "_build" / "lab"
    (nbs / "appendix").mkdir(parents=True)
    (tmp_path / "settings.ini").write_text("[DEFAULT]\nversion = 2.1.0\n")
    (nbs / "appendix" / "page.md").write_text("# A page\n\n## A part\n\nWords.\n")
    monkeypatch.setattr(reader_copies, "NOTEBOOKS", nbs)
    site = AnySite()
    site.copied = frozenset({"one", "appendix/page"})

    def written(text):
        cells = [
            reader_copies.text_cell("title", "# One\n\n> Of two"),
            reader_copies.code_cell("claim", "#| hide\nassert 1 < 2, 'one is less'"),
            reader_copies.text_cell("told", text),
        ]
        notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (nbs / "one.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        return write(lab, site, Origin(tmp_path))

    written.copy = lab / "one.ipynb"
    written.folder = lab
    assert written("First.") == []
    return written


def state(folder):
    """All files of a folder, and when they were written."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def edit(path, change):
    """Let a reader change a notebook."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    change(notebook["cells"])
    path.write_text(json.dumps(notebook), encoding="utf-8")


def add_cell(cells):
    """What a reader adds."""
    cells.append(reader_copies.code_cell("mine", "1 + 1"))


def add_output(cells):
    """What a run leaves."""
    shown = {"output_type": "stream", "name": "stdout", "text": ["2\n"]}
    cells[1]["outputs"], cells[1]["execution_count"] = [shown], 1


def test_a_second_run_writes_nothing(book):
    before = state(book.folder)
    assert {p.name for p in before} == {"one.ipynb", "page.ipynb", ".written.json"}
    assert book("First.") == []
    assert state(book.folder) == before


def test_an_unchanged_copy_is_renewed(book):
    assert book("Second.") == []
    assert "Second." in book.copy.read_text()
    assert len(state(book.folder)) == 3


def test_outputs_of_an_unchanged_copy_are_kept(book):
    edit(book.copy, add_output)
    before = state(book.folder)
    assert book("First.") == []
    assert state(book.folder) == before


def test_a_changed_copy_stays_while_the_book_has_nothing_new(book):
    edit(book.copy, add_cell)
    before = state(book.folder)
    assert book("First.") == []
    assert state(book.folder) == before


def test_a_changed_copy_is_set_aside_and_told(book):
    for number in (1, 2):
        edit(book.copy, add_cell)
        changed = book.copy.read_bytes()
        (told,) = book(f"Second, {number}.")
        aside = book.copy.with_name(f"one.yours-{number}.ipynb")
        assert "one.ipynb" in told
        assert aside.name in told
        assert aside.read_bytes() == changed
        assert "Second," in book.copy.read_text()
        assert "1 + 1" not in book.copy.read_text()
    assert book("Second, 2.") == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": 3}', '{"cells": [{}]}'])
def test_a_damaged_copy_is_set_aside(book, content):
    book.copy.write_text(content)
    (told,) = book("First.")
    assert "one.yours-1.ipynb" in told
    assert book.copy.with_name("one.yours-1.ipynb").read_text() == content
    assert "First." in book.copy.read_text()


def test_a_copy_that_nothing_is_known_of_is_the_readers(book):
    (book.folder / ".written.json").write_text("{")
    assert book("First.") == []
    (told,) = book("Second.")
    assert "one.yours-1.ipynb" in told


# --- experiments, and JupyterLab


def test_an_experiment_changes_the_assignment_that_it_names():
    notebook = {
        "cells": [
            reader_copies.code_cell("launch", "N = 0"),
            reader_copies.code_cell(
                "data", "%time 1\nN, D = 3, 4\nX = (\n  1\n)\nN = 5"
            ),
            reader_copies.text_cell(
                "experiments",
                "## Change it\n\n1. `N = 50` and `X = 2`: more.\n2. `D = 1`: flat.",
            ),
        ]
    }
    assert reader_copies.experiments(notebook) == [["N = 50", "X = 2"], ["D = 1"]]
    for statement in ("X = 2", "N = 50"):
        reader_copies.change(notebook, statement)
    changed = "".join(notebook["cells"][1]["source"])
    assert changed == "%time 1\nN, D = 3, 4\nX = 2\nN = 50\n"
    for statement in ("D = 1", "D += 1"):
        with pytest.raises(LookupError):
            reader_copies.change(notebook, statement)


PLUGIN = "@jupyter-widgets/jupyterlab-manager:plugin"


@pytest.mark.parametrize(
    ("there", "then"),
    [
        (None, {PLUGIN: {"saveState": True}}),
        ({"a": {"b": 1}}, {"a": {"b": 1}, PLUGIN: {"saveState": True}}),
        ({PLUGIN: {"saveState": False}}, {PLUGIN: {"saveState": False}}),
    ],
)
def test_jupyterlab_is_told_to_keep_figures_and_nothing_else(tmp_path, there, then):
    lab = tmp_path / "share" / "jupyter" / "lab"
    path = lab / "settings" / "overrides.json"
    (lab / "settings").mkdir(parents=True)
    if there is not None:
        path.write_text(json.dumps(there))
    reader_copies.keep_figures(tmp_path)
    assert json.loads(path.read_text()) == then
    before = state(lab)
    reader_copies.keep_figures(tmp_path)
    assert state(lab) == before


def test_settings_that_cannot_be_read_and_a_missing_jupyterlab_are_left_alone(tmp_path):
    reader_copies.keep_figures(tmp_path)
    assert list(tmp_path.iterdir()) == []
    settings = tmp_path / "share" / "jupyter" / "lab" / "settings"
    settings.mkdir(parents=True)
    (settings / "overrides.json").write_text("{ // mine\n}")
    reader_copies.keep_figures(tmp_path)
    assert (settings / "overrides.json").read_text() == "{ // mine\n}"
