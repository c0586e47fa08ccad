"""The notebooks of the branch `launch`, which run anywhere: their first cell installs
what is missing, and what it installs is enough.
"""

import importlib.util
import json
import sys
import tomllib
from importlib import metadata

import build_book
import pytest
import reader_copies
import yaml
from any_site import AnySite
from conftest import ROOT, brought_by, cells, notebooks
from IPython.core.interactiveshell import InteractiveShell
from packaging.utils import canonicalize_name

ADDRESS = "https://github.com/someone/latent_book"
SETTINGS = f"[DEFAULT]\ngit_url = {ADDRESS}\nversion = 2.1.0\n"
FROM = f" @ git+{ADDRESS}@abc123"
PAGES = [*notebooks(), *(ROOT / "nbs" / name for name in reader_copies.PAGES)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The notebooks and their settings, prepared."""
    folder = tmp_path_factory.mktemp("launch")
    (folder / "settings.ini").write_text(SETTINGS)
    for path in PAGES:
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    reader_copies.prepare(folder, AnySite(), "abc123")
    return folder


def launch_cell(path):
    """The text of a prepared notebook's second cell."""
    cell = json.loads(path.read_text(encoding="utf-8"))["cells"][1]
    assert cell["id"] == "launch"
    return "".join(cell["source"])


def run(cell, monkeypatch, missing):
    """The magics and commands that a cell runs where these modules cannot be found."""
    ran = []
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name in missing else there(name),
    )
    shell = InteractiveShell()
    monkeypatch.setattr(
        shell, "run_line_magic", lambda name, line, **_: ran.append(f"%{name} {line}")
    )
    monkeypatch.setattr(shell, "system", lambda line: ran.append(f"!{line}"))
    monkeypatch.setattr(
        shell, "showtraceback", lambda *_, **__: ran.append(f"failed: {sys.exc_info()}")
    )
    shell.run_cell(cell)
    assert ran.pop() == "%load_ext latent_book.reader"
    return ran


@pytest.mark.parametrize(
    ("page", "missing", "wanted"),
    [
        ("collapse", ["latent_book"], "[figures,networks]"),
        ("collapse", ["torch"], "[figures,networks]"),
        ("collapse", ["anywidget", "torch"], "[figures,networks]"),
        ("bound", ["matplotlib"], "[figures]"),
        ("appendix/bibliography", ["yaml"], ""),
        ("start/preface", ["latent_book"], "[figures]"),
    ],
)
def test_the_cell_installs_where_anything_is_missing(
    checkout, monkeypatch, tmp_path, page, missing, wanted
):
    monkeypatch.chdir(tmp_path)
    cell = launch_cell(checkout / "nbs" / f"{page}.ipynb")
    line = run(cell, monkeypatch, missing)[0]
    assert line.startswith(f'%pip install --quiet "latent_book{wanted}{FROM}"')
    assert ("pybtex pyyaml" in line) == (page == "appendix/bibliography")


@pytest.mark.parametrize(
    ("page", "missing"), [("bound", ["torch", "yaml"]), ("collapse", ["pybtex"])]
)
def test_what_a_page_does_not_import_it_does_not_install(
    checkout, monkeypatch, tmp_path, page, missing
):
    monkeypatch.chdir(tmp_path)
    cell = launch_cell(checkout / "nbs" / f"{page}.ipynb")
    assert run(cell, monkeypatch, missing) == []


def test_the_cell_does_nothing_where_all_is_there(checkout, monkeypatch):
    monkeypatch.chdir(ROOT / "nbs" / "workshop")
    for name in ("nbs/collapse.ipynb", "nbs/workshop/speed.ipynb"):
        assert run(launch_cell(checkout / name), monkeypatch, []) == []


def test_a_notebook_that_reads_the_projects_files_fetches_them(
    checkout, monkeypatch, tmp_path
):
    readers = [
        p for p in notebooks() if "Path.cwd().parents" in p.read_text(encoding="utf-8")
    ]
    assert len(readers) > 2
    # on Colab, and on Binder, where the notebooks around are copies
    for place in (tmp_path, checkout / "nbs" / "workshop"):
        monkeypatch.chdir(place)
        for path in readers:
            cell = launch_cell(checkout / path.relative_to(ROOT))
            clone, go = run(cell, monkeypatch, [])
            assert clone.startswith(
                f"!git clone --quiet {ADDRESS} latent_book_files && "
            )
            home = path.parent.relative_to(ROOT).as_posix()
            assert go.split() == ["%cd", "-q", f"latent_book_files/{home}"]


def test_each_notebook_has_its_copy_and_says_its_version(checkout):
    copies = {
        p.relative_to(checkout).with_suffix("") for p in checkout.rglob("*.ipynb")
    }
    assert copies == {path.relative_to(ROOT).with_suffix("") for path in PAGES}
    first = launch_cell(checkout / "nbs" / "em.ipynb").splitlines()[0]
    assert "latent_book 2.1.0 (abc123)" in first


def test_without_an_address_it_says_what_to_do(tmp_path):
    (tmp_path / "settings.ini").write_text("[DEFAULT]\ngit_url =\nversion = 2.1.0\n")
    with pytest.raises(SystemExit, match="write the address"):
        reader_copies.prepare(tmp_path, AnySite(), "abc123")


def test_binder_is_told_which_python_and_what_to_install(checkout):
    told = yaml.safe_load((checkout / "binder" / "environment.yml").read_text())
    (python,) = [d for d in told["dependencies"] if str(d).startswith("python=")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert python.removeprefix("python=") in project["requires-python"]
    assert told["dependencies"][-1]["pip"][-1] == f"latent_book[notebook]{FROM}"


WHOSE = metadata.packages_distributions()


def homes(module):
    """The distributions that bring a module."""
    found = WHOSE.get(module, [module])
    return {canonicalize_name(name) for name in found}


def test_what_the_notebooks_import_is_installed():
    brought = brought_by("notebook")
    for unwanted in ("jupyter-book", "myst-nb"):
        assert unwanted not in brought, "the extra is not to install the workshop"
    lacking = {}
    for path in notebooks():
        sources = [reader_copies.plain(text)[1] for _, text in cells(path, "code")]
        for name in reader_copies.imports(sources):
            assert name in reader_copies.EXTRAS or name in reader_copies.PACKAGES, (
                f"{path.stem} imports {name}: say in reader_copies.py who brings it"
            )
            if not homes(name) & brought:
                lacking[name] = path.stem
    assert lacking == {}


def test_what_is_said_to_bring_a_module_does():
    for name, extra in reader_copies.EXTRAS.items():
        if importlib.util.find_spec(name):
            assert homes(name) & brought_by(extra), name
    for name, package in reader_copies.PACKAGES.items():
        assert homes(name) == {package}
    everywhere = brought_by() | {"ipython", "matplotlib-inline", "traitlets"}
    for name in reader_copies.THERE:
        assert homes(name) & everywhere, name


def test_pages_lead_to_the_notebooks_once_there_is_an_address():
    assert build_book.buttons("") == {}
    shown = build_book.buttons(ADDRESS)
    assert shown["repository_branch"] == "launch"
    assert {"binderhub_url", "colab_url"} <= set(shown["launch_buttons"])
