"""The copy of the notebooks that runs anywhere: its first cell installs what is
missing, and what it installs is enough.
"""

import ast
import importlib.util
import json
import re
import sys
import tomllib
from importlib import metadata

import add_launch_cell
import build_book
import pytest
import yaml
from conftest import ROOT, brought_by, notebooks
from IPython.core.interactiveshell import InteractiveShell
from packaging.utils import canonicalize_name

ADDRESS = "https://github.com/someone/latent_book"
SETTINGS = f"[DEFAULT]\ngit_url = {ADDRESS}\n"
WANTED = f"latent_book[notebook] @ git+{ADDRESS}@abc123"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The notebooks and their settings, prepared."""
    folder = tmp_path_factory.mktemp("launch")
    (folder / "settings.ini").write_text(SETTINGS)
    for path in notebooks():
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    add_launch_cell.prepare(folder, "abc123")
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
    return ran


@pytest.mark.parametrize(
    "missing", [["latent_book"], ["torch"], ["myst_nb"], ["pybtex", "yaml"]]
)
def test_the_cell_installs_where_anything_is_missing(
    checkout, monkeypatch, tmp_path, missing
):
    monkeypatch.chdir(tmp_path)
    ran = run(launch_cell(checkout / "nbs" / "collapse.ipynb"), monkeypatch, missing)
    assert ran == [f'%pip install --quiet "{WANTED}"']


def test_the_cell_does_nothing_where_all_is_there(checkout, monkeypatch):
    monkeypatch.chdir(checkout / "nbs" / "workshop")
    for name in ("nbs/collapse.ipynb", "nbs/workshop/speed.ipynb"):
        assert run(launch_cell(checkout / name), monkeypatch, []) == []


def test_a_notebook_that_reads_the_projects_files_fetches_them(
    checkout, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    readers = [
        p for p in notebooks() if "Path.cwd().parents" in p.read_text(encoding="utf-8")
    ]
    assert len(readers) > 2
    for path in readers:
        clone, go = run(launch_cell(checkout / path.relative_to(ROOT)), monkeypatch, [])
        assert clone.startswith(f"!git clone --quiet {ADDRESS} latent_book_files && ")
        home = path.parent.relative_to(ROOT).as_posix()
        assert go.split() == ["%cd", "-q", f"latent_book_files/{home}"]


def test_preparing_twice_is_preparing_once(checkout):
    before = {p: p.read_bytes() for p in checkout.rglob("*.ipynb")}
    add_launch_cell.prepare(checkout, "abc123")
    assert before == {p: p.read_bytes() for p in checkout.rglob("*.ipynb")}
    assert len(before) == len(notebooks())


def test_without_an_address_it_says_what_to_do(tmp_path):
    (tmp_path / "settings.ini").write_text("[DEFAULT]\ngit_url =\n")
    with pytest.raises(SystemExit, match="write the address"):
        add_launch_cell.prepare(tmp_path, "abc123")


def test_binder_is_told_which_python_and_what_to_install(checkout):
    told = yaml.safe_load((checkout / "binder" / "environment.yml").read_text())
    (python,) = [d for d in told["dependencies"] if str(d).startswith("python=")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert python.removeprefix("python=") in project["requires-python"]
    assert told["dependencies"][-1]["pip"][-1] == WANTED


def test_what_the_notebooks_import_is_installed():
    whose = metadata.packages_distributions()
    brought = brought_by("notebook")
    assert "jupyter-book" not in brought, (
        "the extra is not to install the whole workshop"
    )
    lacking = {}
    for path in notebooks():
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = re.sub(r"^\s*[%!].*$", "", "".join(cell["source"]), flags=re.M)
            if cell["cell_type"] != "code":
                continue
            tree = ast.parse(source)
            optional = {  # what a cell can do without
                id(part)
                for node in ast.walk(tree)
                if isinstance(node, ast.Try)
                and any(
                    "ImportError" in ast.dump(h.type) for h in node.handlers if h.type
                )
                for part in ast.walk(node)
            }
            for node in ast.walk(tree):
                if id(node) in optional:
                    continue
                names = (
                    [a.name for a in node.names] if isinstance(node, ast.Import) else []
                )
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                for name in {n.split(".")[0] for n in names} - set(
                    sys.stdlib_module_names
                ):
                    homes = {canonicalize_name(d) for d in whose.get(name, [name])}
                    if not homes & brought:
                        lacking.setdefault(name, path.stem)
    assert lacking == {}


def test_pages_lead_to_the_notebooks_once_there_is_an_address():
    assert build_book.buttons("") == {}
    shown = build_book.buttons(ADDRESS)
    assert shown["repository_branch"] == "launch"
    assert {"binderhub_url", "colab_url"} <= set(shown["launch_buttons"])
