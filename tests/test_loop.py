"""The loop: what code needs, which chapters and tests run again, and what is told of
those that stop.
"""

import re
import subprocess
import sys
from pathlib import Path

import changed
import check
import nbformat
import pytest
import run_chapters

from sphinxext import needs, notebook


def as_read(*sources: str) -> list[nbformat.NotebookNode]:
    """Code cells, as the site sees them."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return notebook.read(nbformat.writes(nbformat.v4.new_notebook(cells=cells))).cells


# --- what code needs


def needed(*sources: str) -> set[str]:
    """The names of what some cells need."""
    cells = needs.parse((str(k), source) for k, source in enumerate(sources))
    files = needs.shown(needs.executed(cells))
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
        assert needs.ROOT / read in needs.executed(cells), name
    assert needed('open("benchmarks/results.json")') == {"benchmarks/results.json"}
    assert needed("x = 1") == set()


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
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "em.ipynb").write_text("{}", encoding="utf-8")
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
        ('(root / "pages" / f"{name}.ipynb").read_text()', "../pages/em.ipynb", True),
        ('root / "pages" / "em.ipynb"', "../pages/em.ipynb", True),
        ('(root / "pages").is_dir()', "../pages/em.ipynb", False),
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
        needs.direct(needs.parse([("right", WEIGH), ("wrong", code)]))
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


# --- chapters


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty book with a cache of its own."""
    (tmp_path / "nbs").mkdir()
    (tmp_path / "constraints.txt").write_text("", encoding="utf-8")
    (tmp_path / "latent_book").mkdir()
    (tmp_path / "latent_book" / "__init__.py").write_text("", encoding="utf-8")
    for module in (run_chapters, needs):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(run_chapters, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(run_chapters, "NOTEBOOKS", tmp_path / "nbs")
    return tmp_path


def write(path: Path, **cells: str) -> Path:
    """A notebook of named code cells."""
    made = [nbformat.v4.new_code_cell(text, id=name) for name, text in cells.items()]
    python = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": python}
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata=metadata), path)
    return path


def test_every_chapter_that_stops_is_told_and_the_others_are_kept(book):
    right = write(book / "nbs" / "right.ipynb", one="x = 1", slow="#| slow\nx = 1 / 0")
    moved = 'def step(x):\n    assert x == 2, "mu moved"\n\n\nstep(x)'
    write(book / "nbs" / "wrong.ipynb", one="x = 1", hidden=f"#| hide\n{moved}")
    warn = "import warnings\n\nwarnings.warn('old', stacklevel=1)"
    write(book / "nbs" / "warned.ipynb", loud=warn)
    write(book / "nbs" / "stale.ipynb", lost="from latent_book import Nobody")
    runs = {run.path.stem: run for run in run_chapters.execute()}
    assert runs["right"].fault == ""
    told = str(runs["wrong"])
    assert told.startswith('nbs/wrong.ipynb, cell "hidden": AssertionError: mu moved\n')
    assert '----> 2     assert x == 2, "mu moved"' in told
    assert "\x1b" not in told
    assert 'cell "loud" wrote to stderr:' in str(runs["warned"])
    assert "UserWarning: old" in str(runs["warned"])
    said = 'nbs/stale.ipynb, cell "lost" imports latent_book.Nobody, which'
    assert str(runs["stale"]).startswith(said)
    assert list(run_chapters.execute([right])) == []  # its outputs are in the cache
    again = {run.path.stem for run in run_chapters.execute()}
    assert again == {"wrong", "warned", "stale"}


def test_a_cell_that_takes_too_long_is_named(book, monkeypatch):
    monkeypatch.setattr(run_chapters, "LONGEST", 1)
    path = write(book / "nbs" / "long.ipynb", nap="import time\n\ntime.sleep(60)")
    done, _ = run_chapters.run(path)
    assert done.fault.startswith('cell "nap": CellTimeoutError')


def test_slow_cells_run_when_they_are_asked_for(book, monkeypatch, capsys):
    cell = "#| slow\nprint('an hour later')"
    path = write(book / "nbs" / "slow.ipynb", one="x = 1", two=cell)
    monkeypatch.setattr(sys, "argv", ["run_chapters.py", "--slow", str(path)])
    assert run_chapters.main() == 0
    assert "an hour later" in capsys.readouterr().out
    assert not run_chapters.CACHE.exists()


# --- what has changed

TESTS = {
    "conftest": """
        import pytest
        from pathlib import Path
        ROOT = Path(".")
        @pytest.fixture
        def shared():
            return 1
    """,
    "test_em": """
        import numpy as np
        import pytest
        from conftest import ROOT
        from helper import again
        from latent_book import EM
        from latent_book.alone import f
        LIMIT = 1
        def below(x):
            return x < LIMIT
        def test_em():
            assert EM()
        def test_alone(shared):
            assert below(f())
        def test_numpy():
            with pytest.raises(ImportError):
                from latent_book import nothing
        def test_helped():
            assert again()
        def test_page():
            assert (ROOT / "pages" / "em.ipynb").read_text()
        @pytest.mark.parametrize("k", [1, 2])
        def test_each(k):
            assert k
    """,
    "helper": "def again():\n    return 1\n",
}


@pytest.fixture
def with_tests(library: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The library with tests."""
    root = library.parent
    monkeypatch.setattr(changed, "ROOT", root)
    (root / "tests").mkdir()
    for name in ("pyproject.toml", "tests/.keep"):
        (root / name).write_text("", encoding="utf-8")
    for name, text in TESTS.items():
        lines = [line[8:] if line[:8] == " " * 8 else line for line in text.split("\n")]
        (root / "tests" / f"{name}.py").write_text("\n".join(lines), encoding="utf-8")
    return root


ALL = {"em", "alone", "numpy", "helped", "page", "each"}


@pytest.mark.parametrize(
    ("file", "old", "new", "run_again"),
    [
        ("latent_book/mixture.py", "k=1", "k=2", {"em"}),
        ("latent_book/alone.py", "return 1", "return 2", {"alone"}),
        ("latent_book/alone.py", "def f", "# what\ndef f", set()),
        ("latent_book/__init__.py", '"em"', '"mixture"', {"em"}),
        ("tests/test_em.py", "LIMIT = 1", "LIMIT = 2", {"alone"}),
        ("tests/test_em.py", "x < LIMIT", "x > LIMIT", {"alone"}),
        ("tests/test_em.py", "assert EM()", "assert not EM()", {"em"}),
        ("tests/test_em.py", "[1, 2]", "[1]", {"each"}),
        ("tests/test_em.py", "LIMIT = 1", "LIMIT = 1\nprint(2)", ALL),
        ("tests/conftest.py", "return 1", "return 2", {"alone"}),
        ("tests/helper.py", "return 1", "return 2", {"helped"}),
        ("pages/em.ipynb", "{}", "{ }", {"page"}),
        ("constraints.txt", "2", "3", ALL),
    ],
)
def test_the_tests_that_name_what_has_changed_run_again(
    with_tests, file, old, new, run_again
):
    before = changed.keys_of_tests(with_tests / "tests")
    assert {name.removeprefix("tests/test_em.py::test_") for name in before} == ALL
    assert changed.keys_of_tests(with_tests / "tests") == before
    text = (with_tests / file).read_text(encoding="utf-8")
    assert old in text
    (with_tests / file).write_text(text.replace(old, new), encoding="utf-8")
    after = changed.keys_of_tests(with_tests / "tests")
    found = {name for name in after if after[name] != before[name]}
    assert found == {f"tests/test_em.py::test_{name}" for name in run_again}


def test_each_test_has_a_key():
    """As pytest finds them."""
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "tests/test_loop.py"],
        cwd=check.ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    listed = {line.split("[")[0] for line in found if "::" in line}
    keys = {name for name in changed.keys_of_tests() if "test_loop.py" in name}
    assert keys == listed


def test_what_was_right_is_remembered(tmp_path):
    green = changed.Green(tmp_path / "green.json")
    today = {"a": "1", "b": "2"}
    assert green.changed(today) == ["a", "b"]
    green.note(today, ["a"], {"a": 3.0})
    again = changed.Green(tmp_path / "green.json")
    assert again.changed(today) == ["b"]
    assert again.changed({"a": "2"}) == ["a"]
    assert again.seconds == {"a": 3.0}


# --- stages


def test_a_test_is_well_if_it_is_with_all_its_parameters(tmp_path):
    (tmp_path / "test_some.py").write_text(
        "import pytest\n\n\n@pytest.mark.parametrize('k', [1, 2])\n"
        "def test_one(k):\n    assert k == 1\n\n\ndef test_two():\n    pass\n\n\n"
        "def test_three(nothing):\n    pass\n\n\n@pytest.mark.skip\n"
        "def test_four():\n    pass\n"
    )
    command = ["pytest", "-p", "no:cacheprovider", "--junitxml=r.xml", "test_some.py"]
    subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, check=False)
    well, seconds = check.outcomes(tmp_path / "r.xml")
    assert well == {
        "test_some.py::test_one": False,
        "test_some.py::test_two": True,
        "test_some.py::test_three": False,
        "test_some.py::test_four": True,
    }
    assert seconds.keys() == well.keys()
    assert check.outcomes(tmp_path / "no.xml") == ({}, {})


def test_whole_files_are_named_shortly():
    tests = dict.fromkeys(["a.py::x", "a.py::y", "b.py::x", "b.py::y"], "")
    assert check.shortly(["a.py::x", "a.py::y", "b.py::y"], tests) == [
        "a.py",
        "b.py::y",
    ]


def test_a_fault_ends_the_stages_and_the_table_is_told_anyhow(capfd, monkeypatch):
    def stages(log: check.Log) -> None:
        log.run("fine", [sys.executable, "-c", "print('went well')"])
        beside = check.Beside(
            log, "beside", [sys.executable, "-c", "print('so did I')"]
        )
        log.run("not fine", [sys.executable, "-c", "raise SystemExit('a fault')"])
        assert beside.join()
        log.tests = {"tests/test_em.py::test_it": 3.0}
        log.chapters = {"nbs/some.ipynb": 2.0}
        log.stop_at_a_fault()
        raise AssertionError("the next stage began")

    monkeypatch.setattr(check, "what_has_changed", stages)
    monkeypatch.setattr(sys, "argv", ["check.py"])
    monkeypatch.chdir(check.ROOT)
    assert check.main() == 1
    said = capfd.readouterr().out
    for text in (
        "went well", "so did I", "Where the time went, in seconds", "3.0  tests/test_em",
        "2.0  nbs/some.ipynb", "Not well: not fine",
    ):  # fmt: skip
        assert text in said
