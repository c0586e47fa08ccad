"""The site's own code: what it reads from a notebook, what it takes out of a page, and
what it puts in.
"""

import base64
import hashlib
import re
from pathlib import Path

import nbformat
import pytest

from latent_book.figures.kit import Frames
from latent_book.plots import COLOR
from sphinxext import along, equations, figures, harden, live, needs, notebook


def as_read(*sources: str) -> list[nbformat.NotebookNode]:
    """Code cells, as the site sees them."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return notebook.read(nbformat.writes(nbformat.v4.new_notebook(cells=cells))).cells


# --- notebook.py
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("directives", "tags"),
    [
        ("#| hide", ["remove-cell"]),
        ("#| default_exp pca", ["remove-cell"]),
        ("#| hide_input", ["remove-input"]),
        ("#| echo: false", ["remove-input"]),
        ("#| output: false", ["remove-output"]),
        ("#| code-fold: true", ["hide-input"]),
        ("#| slow", ["skip-execution"]),
        ("#| eval: false", ["skip-execution"]),
        ("#| export\n#| code-fold: true", ["hide-input"]),
        ("#| echo: true", None),
        ("#| export", None),
    ],
)
def test_directives_become_tags(directives, tags):
    (cell,) = as_read(f"{directives}\nx = 1")
    assert cell.metadata.get("tags") == tags
    assert cell.source.startswith("x = 1")
    assert "#|" not in cell.source


def test_a_cell_of_directives_alone_vanishes():
    first, second = as_read("x = 1", "#| export\n")
    assert second.metadata["tags"] == ["remove-cell"]
    assert "tags" not in first.metadata


def test_lines_that_hand_a_number_to_the_prose_are_hidden():
    code = 'x = 1\nglue("a", float(100 * np.mean(np.array(f(x)))), display=False)\nglue(\n    "b",\n    2,\n)\ny = 2'
    assert notebook.GLUE.sub("", code) == "x = 1\ny = 2"


def test_a_figure_gets_its_caption_name_and_words():
    (cell,) = as_read(
        "#| label: fig-a\n#| fig-cap: See: the $x$.\n#| fig-alt: A line.\nplot()"
    )
    assert cell.metadata["mystnb"] == {
        "figure": {"caption": "See: the $x$.", "name": "fig-a"},
        "image": {"alt": "A line."},
    }


def needed(*sources: str) -> set[str]:
    """The names of what some cells need."""
    cells = needs.parse((str(k), source) for k, source in enumerate(sources))
    files = notebook.shown_files(cells)
    return {path.relative_to(needs.ROOT).as_posix() for path in files}


def test_what_a_module_of_the_library_imports_counts_too():
    for name in ("kit", "autoencoder"):
        files = needed(f"from latent_book.figures.{name} import x")
        assert {f"latent_book/figures/{name}.py", "latent_book/plots.py"} <= files
        assert "latent_book/figures/static" in files
    deep = needed("import latent_book.denoising")
    assert {"latent_book/denoising.py", "latent_book/training.py"} <= deep
    assert "latent_book/figures/static" not in deep


def test_a_page_depends_on_the_files_that_it_reads():
    for name, read in [
        ("workshop/speed", "benchmarks/results.json"),
        ("vae", "benchmarks/results.json"),
        ("appendix/bibliography", "references.bib"),
        ("appendix/bibliography", "nbs"),
        ("workshop/your_chapter", "scripts/chapter/chapter.ipynb"),
        ("workshop/data", "latent_book/assets/mnist_subset.npz"),
        ("workshop/figures/kit", "latent_book/figures/static"),
    ]:
        path = needs.ROOT / "nbs" / f"{name}.ipynb"
        cells = notebook.code(nbformat.read(path, as_version=4))
        assert needs.ROOT / read in notebook.imported_files(cells), name
    assert needed('open("benchmarks/results.json")') == {"benchmarks/results.json"}
    assert needed("x = 1") == set()


def test_only_lines_at_the_head_are_directives():
    (cell,) = as_read("x = 1\n#| hide")
    assert "tags" not in cell.metadata
    assert "#| hide" in cell.source


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library: `em` builds on `mixture`, `figures.em` on `em` and on `figures.kit`;
    `data` has an asset; `alone` is by itself. The package lends `EM`, of `em`.
    """
    home = tmp_path / "latent_book"
    files = {
        "__init__": '_NAMES: dict[str, str] = {"EM": "em"}\n__version__ = "1"\n',
        "mixture": "import numpy\n\n\ndef weigh(x, k=1):\n    return x / k\n",
        "em": "from .mixture import x",
        "data": "",
        "alone": "def f():\n    return 1\n",
        "figures/__init__": "",
        "figures/kit": "LiveFigure = 1",
        "figures/em": "from ..em import EM\nfrom . import kit",
    }
    for name, text in files.items():
        path = home / f"{name}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text, encoding="utf-8")
    for name in ("assets/digits.npz", "figures/static/kit.js"):
        (home / name).parent.mkdir()
        (home / name).write_bytes(b"content")
    (tmp_path / "constraints.txt").write_text("numpy==2\n", encoding="utf-8")
    (tmp_path / "nbs").mkdir()
    (tmp_path / "nbs" / "em.ipynb").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(needs, "ROOT", tmp_path)
    return home


def key(*sources: str) -> str:
    """The comment that tells the execution cache about the library."""
    found = re.search(r"\n# library (\w{16})$", as_read(*sources)[0].source)
    assert found, "the first cell carries the fingerprint"
    return found[1]


@pytest.mark.parametrize(
    ("code", "changed", "matters"),
    [
        ("import latent_book.em", "em.py", True),
        ("from latent_book.em import y", "mixture.py", True),
        ("from latent_book import em", "mixture.py", True),
        ("from latent_book import em", "alone.py", False),
        ("%time 1\nfrom latent_book.em import y", "em.py", True),
        ("from latent_book import EM", "mixture.py", True),
        ("from latent_book import EM", "alone.py", False),
        ("import latent_book as lb\nlb.EM()", "mixture.py", True),
        ("import latent_book as lb\nlb.EM()", "alone.py", False),
        ("import latent_book\nlatent_book.figures.em.F", "mixture.py", True),
        ("import latent_book\nlatent_book.figures.em.F", "alone.py", False),
        ("import latent_book\nshow(latent_book)", "alone.py", True),
        ("from latent_book import *", "alone.py", True),
        ("from latent_book.figures.em import F", "mixture.py", True),
        ("from latent_book.figures.em import F", "figures/kit.py", True),
        ("from latent_book.figures import em", "mixture.py", True),
        ("from latent_book import figures\nfigures.em.F", "mixture.py", True),
        ("import latent_book.figures.kit as kit", "em.py", False),
        ('import_module(f"latent_book.{name}")', "alone.py", True),
        ('run("import latent_book.em")', "mixture.py", True),
        ('run("from latent_book import EM, y")', "mixture.py", True),
        ("import latent_book.data", "assets/digits.npz", True),
        ("import latent_book.em", "assets/digits.npz", False),
        ("from latent_book.figures.em import F", "figures/static/kit.js", False),
        ('Path("../latent_book/figures/static")', "figures/static/kit.js", True),
        ('(root / "nbs" / f"{name}.ipynb").read_text()', "../nbs/em.ipynb", True),
        ('root / "nbs" / "em.ipynb"', "../nbs/em.ipynb", True),
        ('(root / "nbs").is_dir()', "../nbs/em.ipynb", False),
        ("import numpy", "em.py", False),
        ("import numpy", "../constraints.txt", True),
    ],
)
def test_a_change_is_seen_by_who_needs_what_has_changed(
    library, code, changed, matters
):
    before = key("x = 1", code)
    assert key("x = 1", code) == before
    path = library / changed
    path.write_bytes(path.read_bytes() + b"\nchanged = 1")
    assert (key("x = 1", code) != before) == matters


WEIGH = "from latent_book.em import y"


@pytest.mark.parametrize(
    ("text", "matters"),
    [
        ("import numpy\n# why\n\n\ndef weigh(x, k=1):\n\n    return x / k  # so\n", False),
        ('"""New."""\nimport numpy\ndef weigh(x, k=1):\n    return x / k\n', False),
        ("import numpy\n\n\ndef weigh(x, k=2):\n    return x / k\n", True),
        ("import numpy\n\n\ndef weigh(x, k=1):\n    return k / x\n", True),
    ],
)  # fmt: skip
def test_a_module_counts_by_its_code(library, text, matters):
    before = key(WEIGH)
    (library / "mixture.py").write_text(text, encoding="utf-8")
    assert (key(WEIGH) != before) == matters


@pytest.mark.parametrize(
    "reader", ["help(y)", "print(y.__doc__)", "inspect.getsource(y)", "import doctest"]
)
def test_to_who_reads_docstrings_they_are_content(library, reader):
    before = key(WEIGH, reader)
    (library / "mixture.py").write_text(
        '"""New."""\n' + (library / "mixture.py").read_text(), encoding="utf-8"
    )
    assert key(WEIGH, reader) != before


def test_a_name_that_a_package_lends_anew_is_of_no_concern_to_others(library):
    before = key(WEIGH), key("from latent_book import EM")
    (library / "__init__.py").write_text(
        '_NAMES: dict[str, str] = {"EM": "em", "A": "alone"}\n__version__ = "2"\n'
    )
    assert (key(WEIGH), key("from latent_book import EM")) == before
    assert "latent_book/alone.py" in needed("from latent_book import A")
    assert "latent_book/alone.py" not in needed("from latent_book import __version__")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("from latent_book import VAE", "latent_book.VAE"),
        ("import latent_book.vae", "latent_book.vae"),
        ("from latent_book.vae import VAE", "latent_book.vae.VAE"),
        ("from latent_book.figures.vae import F", "latent_book.figures.vae.F"),
        ("import latent_book as lb\nlb.VAE()", "latent_book.VAE"),
    ],
)
def test_a_name_that_nobody_has_stops_the_build(library, code, name):
    with pytest.raises(LookupError, match=f'cell "wrong" imports {re.escape(name)}, '):
        needs.modules(needs.parse([("right", WEIGH), ("wrong", code)]))
    with pytest.raises(LookupError, match=re.escape(name)):
        as_read(WEIGH, code)


def test_a_module_with_such_a_name_is_told(library):
    (library / "em.py").write_text("from .nowhere import x", encoding="utf-8")
    told = "latent_book/em.py imports latent_book.nowhere.x"
    with pytest.raises(LookupError, match=re.escape(told)):
        key(WEIGH)


def test_what_only_a_type_checker_imports_is_not_needed(library):
    text = "if TYPE_CHECKING:\n    from latent_book.alone import f\n"
    (library / "em.py").write_text(text, encoding="utf-8")
    assert "latent_book/alone.py" not in needed(WEIGH)


def test_a_change_of_a_figures_script_renders_the_page_again_but_does_not_execute_it(
    library,
):
    assert needed("from latent_book.figures.em import F") == {
        f"latent_book/{name}"
        for name in [
            "__init__.py", "em.py", "mixture.py",
            "figures/__init__.py", "figures/em.py", "figures/kit.py", "figures/static",
        ]
    }  # fmt: skip
    assert "latent_book/figures/static" not in needed("import latent_book.em")


def test_a_cell_that_is_not_python_is_named():
    with pytest.raises(SyntaxError, match='cell "broken"'):
        needs.parse([("broken", "x = ")])
    assert needs.parse([("asked", "x?"), ("shell", "!ls"), ("line", "%time x")])


# --- live.py
# -------------------------------------------------------------------------------------------------------


def stored(**state: object) -> dict:
    """A model as an executed notebook holds it."""
    return {"model_name": "AnyModel", "state": state}


def test_a_figure_is_taken_out_of_the_page(tmp_path):
    module = "function render() {}\nexport default { render };"
    models = {
        "a1": {
            **stored(_esm=module, _css="p {}", k=3, alt="What.", layout="IPY_MODEL_l1"),
            "buffers": [{"path": ["W"], "data": "AACAPw==", "encoding": "base64"}],
        },
        "l1": {"model_name": "LayoutModel", "state": {}},
    }
    found, dead = live.extract(models, live.Store(tmp_path / "live"))
    assert dead == []
    assert list(found) == ["a1"]
    assert found["a1"]["values"] == {"k": 3, "alt": "What.", "kernel": False}
    ((path, array),) = found["a1"]["arrays"]
    assert path == ["W"]
    assert "AACAPw==" in (tmp_path / "live" / f"{array}.js").read_text()
    assert (tmp_path / "live" / f"{found['a1']['style']}.css").read_text() == "p {}"
    script = (tmp_path / "live" / f"{found['a1']['script']}.js").read_text()
    assert script.startswith(f'LatentBook.define("{found["a1"]["script"]}"')
    assert "return { render };" in script
    assert "export" not in script


def test_a_widget_that_needs_a_kernel_is_named(tmp_path):
    models = {
        k: {"model_name": k, "state": {}} for k in ("OutputModel", "IntSliderModel")
    }
    assert live.extract(models, live.Store(tmp_path)) == (
        {},
        ["IntSliderModel", "OutputModel"],
    )


def test_equal_contents_are_stored_once(tmp_path):
    store = live.Store(tmp_path)
    assert store.array("AAAA") == store.array("AAAA")
    assert store.array("AAAA") != store.array("AAAB")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "module",
    [
        'import x from "./x.js";\nexport default { render };',
        "function render() {}",
        "export const a = 1;\nexport default { render };",
    ],
)
def test_a_script_that_could_not_stand_alone_is_refused(module):
    with pytest.raises(ValueError, match="imports nothing"):
        live.classic_script(module)


def test_todays_script_goes_into_the_page_not_the_stored_one():
    state = {
        "_anywidget_id": "latent_book.figures.kit.Frames",
        "_esm": "old",
        "_css": "old",
    }
    assert live.current_sources(state) == (str(Frames._esm), str(Frames._css))
    state["_anywidget_id"] = "__main__.Frames"  # on the page that defines it
    assert live.current_sources(state, "workshop/figures/kit") == (
        str(Frames._esm),
        str(Frames._css),
    )
    assert live.current_sources(state, "workshop/no_such_page") == ("old", "old")
    state["_anywidget_id"] = "somewhere.else.Frames"
    assert live.current_sources(state) == ("old", "old")


# --- figures.py
# ----------------------------------------------------------------------------------------------------


def drawing(inner: str) -> str:
    """An SVG as matplotlib writes it."""
    return (
        '<?xml version="1.0"?>\n<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="360pt" height="180pt" '
        'viewBox="0 0 360 180"><metadata>who, when</metadata><style type="text/css">*{}</style>'
        f"{inner}</svg>"
    )


def test_the_palette_becomes_variables():
    hexes = "".join(
        f'<path style="stroke: {c}"/><path fill="{c.upper()}"/>' for c in COLOR.values()
    )
    html = figures.inline_svg(drawing(hexes), "What.")
    for name, value in COLOR.items():
        assert html.count(f"var(--lb-{name})") == 2
        assert value.lower() not in html.lower()


def test_no_two_figures_share_a_name():
    def names(mark: str) -> set[str]:
        inner = f'<g id="a"/><g id="b"/><use xlink:href="#a"/><path clip-path="url(#b)"/><!--{mark}-->'
        html = figures.inline_svg(drawing(inner), "What.")
        ids = set(re.findall(r'\sid="([^"]+)"', html))
        assert set(re.findall(r'(?:href="|url\()#([\w-]+)', html)) == ids
        return ids

    assert len(names("one")) == 2
    assert not names("one") & names("two")


def test_an_svg_is_described_and_scaled():
    html = figures.inline_svg(drawing("<g/>"), 'x < 1 & "y"')
    assert 'role="img" aria-label="x &lt; 1 &amp; &quot;y&quot;"' in html
    assert "max-width:480px" in html  # 360 points
    assert "pt" not in re.findall(r"<svg[^>]*>", html)[0]
    for gone in ("metadata", "<style", "<?xml"):
        assert gone not in html


def test_words_keep_their_size_on_a_phone():
    assert "min-width:317px" in figures.inline_svg(drawing('<g id="text_1"/>'), "What.")
    assert "min-width" not in figures.inline_svg(drawing("<g/>"), "What.")


def test_an_svg_without_a_size_is_refused():
    with pytest.raises(ValueError, match="viewBox"):
        figures.inline_svg("<svg></svg>", "What.")


# --- harden.py
# -----------------------------------------------------------------------------------------------------


def hash_of(script: str) -> str:
    """A script's hash, as a policy writes it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def script_rule(page: str) -> list[str]:
    """The sources of scripts that a page's policy allows."""
    rules = dict(rule.split(" ", 1) for rule in harden.policy(page).split("; "))
    return rules["script-src"].split()


def test_a_page_without_inline_scripts_runs_files_only():
    page = (
        '<script src="a.js"></script><script type="application/json">{"a": 1}</script>'
    )
    assert script_rule(page) == ["'self'"]


def test_inline_scripts_run_by_their_hashes_and_handlers_do_not():
    page = '<script>let a = 1;</script><script data-x>\nlet b = 2;</script><a onclick="go(&quot;x&quot;)">'
    rule = script_rule(page)
    assert set(rule) == {"'self'", hash_of("let a = 1;"), hash_of("\nlet b = 2;")}
    assert "script-src-attr 'none'" in harden.policy(page)


def test_of_styles_only_the_attribute_is_open():
    rules = dict(
        rule.split(" ", 1)
        for rule in harden.policy('<style>p {}</style><p style="top:1em">').split("; ")
    )
    assert rules["style-src-elem"].split() == ["'self'", hash_of("p {}")]
    assert rules["style-src-attr"] == "'unsafe-inline'"


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ('<a onclick="go()">', True),
        ("<img src=x ONERROR=go()>", True),
        ("<svg/onload='go()'>", True),
        ('<a href="javascript:go()">', True),
        ('<a href=" java&#10;script:go()">', True),
        ('<form action="JavaScript:go()">', True),
        ('<a href="once.html" class="on" data-on="x">on</a>', False),
        ('<p>onclick="go()"</p>', False),
        ("<script>const text = '<a onclick=\"go()\">';</script>", False),
    ],
)
def test_code_in_an_attribute_is_found(tag, code):
    assert bool(harden.handlers(tag)) == code


def test_a_build_with_code_in_an_attribute_fails(tmp_path, monkeypatch):
    """The warning is an error where warnings are: in CI."""

    class App:
        outdir = tmp_path
        builder = type("Builder", (), {"format": "html"})

    (tmp_path / "_static").mkdir()
    faults = "\n".join(fault for fault, _ in harden.SEARCH)
    (tmp_path / "_static" / "searchtools.js").write_text(faults)
    said: list[str] = []
    monkeypatch.setattr(
        harden.logger,
        "warning",
        lambda text, *values, **place: said.append(text % values),
    )
    for body, expected in [("<p>x</p>", 0), ('<p onclick="go()">x</p>', 1)]:
        (tmp_path / "page.html").write_text(f"<head>{harden.CHARSET}</head>{body}")
        harden._harden_pages(App(), None)
        assert len(said) == expected
    assert 'onclick="go()"' in said[0]


def test_the_search_is_mended_and_a_search_that_cannot_be_is_told():
    faults = "\n".join(fault for fault, _ in harden.SEARCH)
    mended = harden.mend_search(faults)
    assert "innerHTML" not in mended
    assert harden.mend_search(mended) == mended
    with pytest.raises(ValueError, match=r"searchtools\.js has no"):
        harden.mend_search("const Search = {};")


def test_the_policy_is_that_of_the_finished_page():
    """Mending comes first, so that no hash is left over for what has been taken away."""
    page = f"<head>{harden.CHARSET}</head><script>let a = 1;</script>"
    hardened = harden.harden(page)
    assert hardened.count("Content-Security-Policy") == 1
    assert harden.policy(hardened) in hardened


@pytest.mark.parametrize(
    ("fault", "mended"),
    [
        ('<script defer src="_static/scripts/fontawesome.js?d=1"></script>', ""),
        ('<link rel="preload" as="script" href="_static/scripts/fontawesome.js?d=1" />', ""),
        (
            '<header id="pst-header" class="h"><button class="primary-toggle"></button></header><header></header>',
            '<header id="pst-header" class="h"></header><header></header>',
        ),
        ('<div id="ethical-ad-placement"\n class="flat"></div><p>', "<p>"),
        ('<summary aria-label="Toggle hidden content">', "<summary>"),
        ('<div class="citation" role="doc-biblioentry">', '<div class="citation" role="listitem">'),
        ('<section id="exercise-content">', "<section>"),
        ('<section class="theorem-content" id="proof-content">', '<section class="theorem-content">'),
        ('<th class="head"><p></p></th><th class="head"><p>k</p></th>', '<td></td><th class="head"><p>k</p></th>'),
        ('<p id="main-content">', '<p id="main-content">'),
    ],
)  # fmt: skip
def test_the_themes_faults_are_mended(fault, mended):
    assert harden.mend(fault) == mended


@pytest.mark.parametrize(
    "name", ["primary-sidebar-modal", "secondary-sidebar-modal", "search-dialog"]
)
def test_dialogs_have_names(name):
    assert re.search(
        r'aria-label="\w', harden.mend(f'<dialog id="pst-{name}"></dialog>')
    )


@pytest.mark.parametrize(
    ("tag", "third"),
    [
        ('<script src="https://cdn.example/x.js">', True),
        ('<link rel="stylesheet" href="//cdn.example/x.css">', True),
        ("<img src='http://example/x.png'>", True),
        ('<a href="https://example.org">', False),
        ('<script src="_static/x.js">', False),
    ],
)
def test_third_parties_are_found(tag, third):
    assert bool(harden.THIRD_PARTY.search(tag)) == third


# --- equations.py
# --------------------------------------------------------------------------------------------------


def test_the_index_knows_the_tests_of_an_equation(tmp_path):
    (tmp_path / "test_a.py").write_text(
        '@pytest.mark.equation("eq-a", "eq-b")\ndef test_one():\n    pass\n\n'
        '@slow\n@pytest.mark.equation("eq-b")\ndef test_two():\n    pass\n\n'
        '@pytest.mark.equation("eq-c")\ndef no_test():\n    pass\n'
    )
    one, two = (
        equations.Held("test_a.py", 2, "test_one"),
        equations.Held("test_a.py", 7, "test_two"),
    )
    assert equations.verifiers(tmp_path) == {"eq-a": [one], "eq-b": [one, two]}


# --- along.py
# ------------------------------------------------------------------------------------------------------


def test_the_files_are_linked_where_they_are_published_and_only_there():
    published = along.told("https://example.org/book/")
    assert re.findall(r"\]\((.*?)\)", published) == [
        f"https://example.org/book/latent-book.{form}"
        for form in ("pdf", "epub", "zip")
    ]
    here = along.told("")
    assert "](" not in here
    assert all(f"`make {form}`" in here for form in ("pdf", "epub", "zip"))
