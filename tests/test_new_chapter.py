"""A new chapter, begun by the script in a copy of the project, keeps all of the book's
rules from its first minute.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
from new_chapter import begin

BIN = Path(sys.executable).parent


@pytest.fixture
def copy(tmp_path):
    """The project's own files."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_it_exports_runs_and_keeps_the_rules(copy):
    assert len(begin("mine", "gan", copy)) == 5
    surroundings = os.environ | {"PYTHONPATH": str(copy)}
    rules = "mine or contents or one_direction or tested or labelled"
    rules += " or unsaid or says_what or has_an_example"
    for command in (
        ["nbdev_export"],
        ["python", "scripts/run_chapters.py", "nbs/mine.ipynb"],
        ["ruff", "check", "nbs/mine.ipynb", "tests/test_mine.py"],
        ["ruff", "format", "--check", "nbs/mine.ipynb", "tests/test_mine.py"],
        [
            "pytest",
            "-p",
            "no:cacheprovider",
            "tests/test_mine.py",
            "tests/test_library.py",
            "tests/test_book.py",
            "tests/test_equations.py",
            "tests/test_experiments.py",
            "-k",
            rules,
        ],
    ):
        done = subprocess.run(
            [BIN / command[0], *command[1:]],
            cwd=copy,
            env=surroundings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (
            f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        )
    assert (copy / "latent_book" / "mine.py").exists()


@pytest.mark.parametrize(
    ("name", "after", "cure"),
    [
        ("pca", "gan", "take another name"),
        ("My chapter", "gan", "lower-case letters"),
        ("mine", "nowhere", "has no chapter 'nowhere'"),
    ],
)
def test_what_will_not_do_is_refused_and_changes_nothing(copy, name, after, cure):
    before = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match=cure):
        begin(name, after, copy)
    assert before == {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}
