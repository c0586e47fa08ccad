"""The library as its reference shows it: the examples in the docstrings run, and what they print is what they say."""

import ast
import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

from sphinxext import reference

HERE = Path(__file__).parent
EXAMPLES = [
    (path.stem, node.name)
    for path in reference.modules()
    for node in reference.public(ast.parse(path.read_text(encoding="utf-8")).body)
    if ">>>" in (ast.get_docstring(node) or "")
]
MODELS = [  # what has a `fit` is what a user begins with
    (path.stem, node.name)
    for path in reference.modules()
    for node in reference.public(ast.parse(path.read_text(encoding="utf-8")).body)
    if isinstance(node, ast.ClassDef)
    and "fit" in {method.name for method in reference.public(node.body)}
]


def test_no_public_name_comes_or_goes_unsaid():
    """tests/public_names.txt lists them; `+ name` and `- name` below the list are those that changed since a release."""
    listed: set[str] = set()
    changed: set[str] = set()
    for line in (HERE / "public_names.txt").read_text(encoding="utf-8").splitlines():
        mark, _, name = line.rpartition(" ")
        changed |= {name} if mark else set()
        (listed.remove if mark == "-" else listed.add)(name)
    now = set()
    for path in reference.modules():
        for node in reference.public(ast.parse(path.read_text(encoding="utf-8")).body):
            now.add(f"{path.stem}.{node.name}")
            if isinstance(node, ast.ClassDef):
                now |= {f"{path.stem}.{node.name}.{method.name}" for method in reference.public(node.body)}  # fmt: skip
    assert len(now) > 200
    assert now - listed == set(), "new: add `+ name` to tests/public_names.txt, and say so in CHANGELOG.md"  # fmt: skip
    assert listed - now == set(), "gone: add `- name` to tests/public_names.txt, and say so in CHANGELOG.md"  # fmt: skip
    newest = (HERE.parent / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]
    assert [name for name in sorted(changed) if not said(name.split(".", 1)[1], newest)] == []


def said(name: str, text: str) -> bool:
    """Does the text name it, as a word of its own?"""
    return re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text) is not None


def test_the_changelog_must_name_it_by_a_word_of_its_own():
    assert said("fit", "`fit` takes weights")
    assert said("PCA.fit", "`PCA.fit`, anew")
    assert not said("fit", "a fitted model, `PCA.fit`, and what does not befit")


def test_each_model_has_an_example():
    assert len(MODELS) > 9
    assert set(MODELS) - set(EXAMPLES) == set()


@pytest.mark.parametrize(("module", "name"), EXAMPLES, ids=lambda part: part)
def test_an_example_prints_what_it_says(module, name):
    # a name of the module itself needs no import
    home = importlib.import_module(f"latent_book.{module}")
    told = getattr(home, name)
    found = doctest.DocTestFinder(recurse=False).find(told, name, globs=vars(home))
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    assert [test for test in found if test.examples], "the example was not found"
    for test in found:
        runner.run(test)
    assert runner.failures == 0


def test_each_public_name_says_what_it_is():
    silent = []
    for path in reference.modules():
        for node in reference.public(ast.parse(path.read_text(encoding="utf-8")).body):
            if not ast.get_docstring(node):
                silent.append(f"{path.stem}.{node.name}")
    assert silent == []


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("def f(a, *, b: int = 1) -> None: ...", "f(a, *, b: int = 1) -> None"),
        ("def f(*args, **kwargs): ...", "f(*args, **kwargs)"),
        ("class A:\n    def __init__(self, n, k=2): ...", "class A(n, k=2)"),
        ("class A(NamedTuple):\n    x: int\n    y: str = ''", "class A(x: int, y: str = '')"),
    ],
)
def test_a_signature_is_shown_as_it_was_written(source, shown):
    assert reference.signature(ast.parse(source).body[0]) == shown


def test_a_docstring_keeps_its_signs_and_finds_its_equations():
    text = inspect.cleandoc("""
        z_ | x, of `q_*`; see eq-pca-variance.

        Parameters
        ----------
        a, b : numbers
            of two lines.

        Examples
        --------
        >>> 1 + 1
        2
        """)
    assert reference.markdown(text) == (
        "z\\_ \\| x, of `q_*`; see {eq}`eq-pca-variance`.\n\n**Parameters**\n\n`a`, `b`\n: numbers of two lines.\n\n"
        "**Examples**\n\n```pycon\n>>> 1 + 1\n2\n```"
    )
