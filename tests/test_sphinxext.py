"""The site's own code: what it reads from a notebook, what it takes out of a page, and
what it puts in.
"""

import base64
import hashlib
import re

import nbformat
import pytest

from latent_book.figures.kit import Frames
from latent_book.plots import COLOR
from sphinxext import along, equations, figures, harden, live, notebook


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


def test_only_lines_at_the_head_are_directives():
    (cell,) = as_read("x = 1\n#| hide")
    assert "tags" not in cell.metadata
    assert "#| hide" in cell.source


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
        (
            '<summary><span class="toctree-toggle">',
            '<summary aria-label="Pages that belong to it"><span class="toctree-toggle">',
        ),
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
