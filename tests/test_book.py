"""The book keeps its own rules: one name everywhere, every claim asserted, every
exercise solved, every figure described.
"""

import ast
import json
import re
import subprocess
import sys
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from citation import citation
from conftest import ROOT, cells, notebooks
from formats import order

import latent_book
from sphinxext.reference import module_of, modules

CHAPTERS = [p for p in notebooks() if p.parent.name == "nbs" and p.stem != "index"]
CLAIMS = {  # what each chapter settles, by the number of the slide
    "vision": ["S1.1", "S1.2", "S1.3", "S2.1", "S2.2", "S2.3"],
    "manifold": ["S3.1", "S3.2"],
    "pca": ["S4.1", "S4.2"],
    "autoencoder": ["S5.1", "S5.2", "S5.3"],
    "denoising": ["S6.1", "S6.2"],
    "mixture": ["S2.3", "S7.1", "S7.2"],
    "bound": ["S8.2", "S8.4", "S8.5", "S8.6"],
    "em": ["S8.1", "S8.3", "S8.6", "S8.7", "S9.1", "S9.2", "S9.3"],
    "variational": ["S10.1", "S10.2", "S10.3"],
    "vae": ["S11.1"],
    "collapse": ["S11.2"],
    "gan": ["S11.3"],
    "critique": ["S12.1", "S12.2", "S12.3"],
    "onwards": [],  # beyond the slides
}
each_notebook = pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)


def directives(source: str) -> dict[str, str]:
    """The `#|` lines of a cell."""
    return dict(
        re.findall(r"^#\|[ \t]*([\w-]+)[ \t]*:?[ \t]*(.*?)[ \t]*$", source, re.M)
    )


def test_the_table_of_contents_names_every_notebook_once():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = [name for _, name in order(toc)]
    assert len(listed) == len(set(listed))
    nbs = ROOT / "nbs"
    assert {str(p.relative_to(nbs).with_suffix("")) for p in notebooks()} <= set(listed)


@each_notebook
def test_one_notebook_exports_one_module_of_its_name(path):
    exports = [
        d["default_exp"]
        for _, s in cells(path, "code")
        if "default_exp" in (d := directives(s))
    ]
    if path.stem in ("index", "speed", "exact", "your_chapter") or path.parent.name in (
        "start",
        "appendix",
    ):
        assert exports == []
    else:
        page = path.relative_to(ROOT / "nbs").with_suffix("").as_posix()
        assert exports == [module_of(page)]
        assert module_of(page) in modules()


@each_notebook
def test_a_notebook_opens_with_a_title_and_a_subtitle(path):
    first = cells(path, "markdown")[0][1]
    assert re.match(r"# [^\n]+\n\n> [^\n$]+$", first.strip()), (
        "the first cell is '# Title', a blank line, '> Subtitle.'"
    )


@each_notebook
def test_code_fits_the_column_of_a_page(path):
    """Docstrings and strings too, which the formatter leaves alone."""
    for name, code in cells(path, "code"):
        lines = [line for line in code.splitlines() if not line.startswith("#|")]
        assert max(map(len, lines), default=0) <= 88, name


@each_notebook
def test_every_figure_has_a_caption_and_an_alternative_text(path):
    for name, source in cells(path, "code"):
        found = directives(source)
        if "label" in found or "fig-cap" in found or "fig-alt" in found:
            missing = {"label", "fig-cap", "fig-alt"} - {
                k for k, v in found.items() if v
            }
            assert not missing, f"cell {name} lacks {missing}"
            assert found["label"].startswith("fig-"), name


@each_notebook
def test_every_number_in_the_prose_that_the_run_should_give_is_given(path):
    used = set(
        re.findall(
            r"\{glue:\w+\}`([\w-]+)", "\n".join(t for _, t in cells(path, "markdown"))
        )
    )
    given = set()
    sources = [text for _, text in cells(path, "code")]
    if not any("from myst_nb import glue" in text for text in sources):
        sources = []  # its `glue` is not the site's
    for source in sources:
        given |= set(re.findall(r"glue\(\s*f?[\"']([\w-]+)", source))
    assert used - given == set(), (
        "the prose uses numbers that no cell glues under a literal name"
    )
    assert given - used == set(), "these numbers are glued and never used"


@each_chapter
def test_every_claim_of_the_chapter_is_asserted_where_it_is_named(path):
    settled = [
        s
        for _, s in cells(path, "code")
        if re.search(r"^\s*assert ", s, re.M) and "hide" not in directives(s)
    ]
    for claim in CLAIMS[path.stem]:
        assert any(re.search(rf"#.*\b{re.escape(claim)}\b", s) for s in settled), (
            f"no visible cell asserts {claim}"
        )


@pytest.mark.parametrize(
    "path",
    [p for p in notebooks() if "workshop" not in p.parts],
    ids=lambda p: p.stem,
)
def test_every_assertion_says_its_claim(path):
    """A reader whose change makes it false is told its words. What the library exports
    asserts for its own sake.
    """
    silent = [
        f"{name}: {ast.unparse(node)}"
        for name, text in cells(path, "code")
        if not {"export", "exporti"} & directives(text).keys()
        for node in ast.walk(ast.parse(re.sub(r"^[%!].*$", "pass", text, flags=re.M)))
        if isinstance(node, ast.Assert) and node.msg is None
    ]
    assert silent == [], "say them: `assert a < b, 'a is cheaper'`"


@each_chapter
def test_every_exercise_has_a_solution_that_asserts(path):
    text = "\n".join(t for _, t in cells(path, "markdown"))
    exercises = re.findall(
        r"^[`:]{3,}\{exercise\}.*\n(?::.*\n)*?:label: ([\w-]+)", text, re.M
    )
    solved, open_solution, asserts = {}, None, 0
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if start := re.search(r"\{solution-start\} ([\w-]+)", source):
            open_solution, asserts = start[1], 0
        elif open_solution and cell["cell_type"] == "code":
            asserts += len(re.findall(r"^\s*assert ", source, re.M))
        if "{solution-end}" in source and open_solution:
            solved[open_solution], open_solution = asserts, None
    assert len(exercises) >= 5
    assert sorted(exercises) == sorted(solved)
    assert min(solved.values()) >= 1, (
        f"solutions without an assertion: {[k for k, v in solved.items() if not v]}"
    )


def imports(module: str) -> set[str]:
    """The modules of the library that a module imports."""
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    home, names = ["latent_book", *module.split(".")], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):  # nbdev writes `from ..em import x`
            within = home[: -node.level] if node.level else []
            source = ".".join([*within, *filter(None, [node.module])])
            names |= {source, *(f"{source}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.removeprefix("latent_book.") for name in names} & modules().keys()


MODELS = {
    "vision",
    "manifold",
    "pca",
    "autoencoder",
    "denoising",
    "mixture",
    "bound",
    "expfam",
    "mixture_models",
    "em",
    "vae",
    "variational",
    "collapse",
    "gan",
    "critique",
    "onwards",
}
LAYERS = [
    {"rows"},
    {"files", "data", "plots", "reader", "vision", "mixture", "bound"},
    {"training", "linalg", "manifold", "figures.kit"},
    {"estimators", "expfam", "pca"},
    {"autoencoder", "denoising", "mixture_models"},
    {"em"},
    {"vae", "variational", "gan"},
    {"collapse", "critique", "onwards"},
    {
        "figures.vision",
        "figures.manifold",
        "figures.pca",
        "figures.autoencoder",
        "figures.denoising",
        "figures.mixture",
        "figures.bound",
        "figures.em",
        "figures.variational",
        "figures.vae",
        "figures.collapse",
        "figures.gan",
        "figures.critique",
        "figures.onwards",
    },
]  # a module imports from layers below its own


def test_modules_depend_in_one_direction():
    assert set().union(*LAYERS) == set(modules()), "put the new module into its layer"
    for height, layer in enumerate(LAYERS):
        below = set().union(*LAYERS[:height])
        for module in layer:
            assert imports(module) <= below, (
                f"{module} imports {imports(module) - below}"
            )
    for model in MODELS:
        assert "plots" not in imports(model), "plots takes arrays; a model never draws"


def test_no_module_uses_what_scikit_learn_keeps_to_itself():
    """Names that begin with an underscore may change with any release of it."""
    private = re.compile(r"sklearn(?:\.\w+)*\._\w")
    for name, path in modules().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        used = [ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                used += [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                used += [alias.name for alias in node.names]
        assert [u for u in used if private.match(u)] == [], name


def run(code: str) -> str:
    """What a fresh Python prints."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_importing_the_package_loads_nothing_but_itself():
    assert (
        run(
            "import sys; a = set(sys.modules); import latent_book; print(sorted(set(sys.modules) - a))"
        )
        == "['latent_book']\n"
    )


def test_importing_the_package_is_quick():
    timed = "import time; t = time.process_time(); import latent_book; "
    assert float(run(timed + "print(time.process_time() - t)")) < 0.2


def test_every_estimator_is_a_name_of_the_package():
    """Beside `save` and `load`; each from the module that makes it."""
    from sklearn.base import BaseEstimator  # a second, which other tests can do without

    for name in latent_book.__all__:
        made = getattr(latent_book, name)
        assert made.__module__ == f"latent_book.{latent_book._NAMES[name]}", name
        assert made.__name__ == name
    estimators = {
        name
        for module in MODELS
        for name, value in vars(import_module(f"latent_book.{module}")).items()
        if isinstance(value, type)
        and issubclass(value, BaseEstimator)
        and value.__module__ == f"latent_book.{module}"
        and not name.startswith("_")
    }
    assert len(estimators) > 12
    assert {*estimators, "load", "save"} == set(latent_book.__all__)
    assert set(latent_book.__all__) <= set(dir(latent_book))


def test_a_type_checker_is_shown_the_same_names():
    """Those that are looked up when they are asked for stand there as imports too;
    tests/typed.py uses them.
    """
    tree = ast.parse(Path(latent_book.__file__).read_text(encoding="utf-8"))
    (shown,) = (
        node.body
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    assert {
        alias.asname: node.module
        for node in shown
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    } == latent_book._NAMES


def test_a_name_that_the_package_has_not_is_the_usual_error():
    with pytest.raises(AttributeError, match=r"^module 'latent_book' has no attribute"):
        latent_book.VEA  # noqa: B018
    with pytest.raises(ImportError, match=r"^cannot import name 'VEA' from"):
        from latent_book import VEA  # noqa: F401


def test_the_address_and_the_version_stand_in_one_place():
    settings = ConfigParser(delimiters=["="])
    settings.read(ROOT / "settings.ini")
    address, version = settings["DEFAULT"]["git_url"], settings["DEFAULT"]["version"]
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    texts = [
        p
        for p in tracked
        if p.endswith(
            (
                ".py",
                ".md",
                ".ipynb",
                ".yml",
                ".toml",
                ".ini",
                ".cff",
                ".bib",
                "Makefile",
            )
        )
    ]
    assert "settings.ini" in texts
    made = {
        "latent_book/_modidx.py",
        "latent_book/__init__.py",
        "CITATION.cff",
    }  # from settings.ini
    # where no address is set yet, none of ours may stand anywhere
    ours = (
        re.escape(address) if address else r"github\.com/[\w-]+/latent_book\b(?!\.git)"
    )
    holders = [
        p
        for p in texts
        if p not in made
        and (ROOT / p).exists()
        and re.search(ours, (ROOT / p).read_text(encoding="utf-8"))
    ]
    examples = {"tests/test_book.py", "tests/test_launch.py"} if not address else set()
    assert set(holders) - examples == {"settings.ini"}
    assert (
        f'__version__ = "{version}"'
        in (ROOT / "latent_book" / "__init__.py").read_text()
    )
    assert (ROOT / "CITATION.cff").read_text(encoding="utf-8") == citation(ROOT), (
        "make export"
    )


@pytest.mark.parametrize(
    ("heading", "said"), [("2027-03-01", True), ("not yet released", False)]
)
def test_the_citation_has_what_a_release_has(heading, said, tmp_path):
    address = "https://example.org/someone/book"
    lines = [
        "[DEFAULT]",
        "title = t",
        "author = The authors",
        f"git_url = {address if said else ''}",
        "version = 2.1.0",
    ]
    (tmp_path / "settings.ini").write_text("\n".join(lines))
    (tmp_path / "CHANGELOG.md").write_text(
        f"# Changelog\n\n## 2.1.0 ({heading})\n\n## 2.0.0 (2026-01-01)\n"
    )
    told = yaml.safe_load(citation(tmp_path))
    assert told["version"] == "2.1.0"
    assert str(told.get("date-released")) == (heading if said else "None")
    assert told.get("repository-code") == (address if said else None)


def test_the_example_of_the_readme_runs_and_is_short():
    (example,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S
    )
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    lines = run(example).splitlines()
    assert [line.rsplit(" ", 1)[0] for line in lines] == [
        "error per image",
        "nats per image",
    ]
