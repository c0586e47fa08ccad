"""The library as its reference shows it: every public name has an example that runs and
prints what it says.
"""

import ast
import doctest
import importlib
import inspect
import re
import typing
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch

from latent_book.training import seeded
from sphinxext import reference

HERE = Path(__file__).parent
EXAMPLES = [
    (module, node.name)
    for module, path in reference.modules().items()
    for node in reference.public(ast.parse(path.read_text(encoding="utf-8")).body)
    if ">>>" in (ast.get_docstring(node) or "")
]
BESIDE = reference.examples()  # those of nbs/appendix/examples.md, by module.name
GROUPS = [
    pytest.param(key.rpartition(".")[0], names, lines, id=key)
    for key, (names, lines) in BESIDE.items()
    if key.endswith(f".{names[0]}")
]


def test_no_public_name_comes_or_goes_unsaid():
    """tests/public_names.txt lists them; `+ name` and `- name` below the list are those
    that changed since a release.
    """
    listed: set[str] = set()
    changed: set[str] = set()
    for line in (HERE / "public_names.txt").read_text(encoding="utf-8").splitlines():
        mark, _, name = line.rpartition(" ")
        changed |= {name} if mark else set()
        (listed.remove if mark == "-" else listed.add)(name)
    now = set()
    for module, path in reference.modules().items():
        for node in reference.public(ast.parse(path.read_text(encoding="utf-8")).body):
            now.add(f"{module}.{node.name}")
            if isinstance(node, ast.ClassDef):
                now |= {
                    f"{module}.{node.name}.{method.name}"
                    for method in reference.public(node.body)
                }
    assert len(now) > 200
    assert now - listed == set(), (
        "new: add `+ name` to tests/public_names.txt, and say so in CHANGELOG.md"
    )
    assert listed - now == set(), (
        "gone: add `- name` to tests/public_names.txt, and say so in CHANGELOG.md"
    )
    newest = (
        (HERE.parent / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]
    )
    assert [
        name
        for name in sorted(changed)
        if not said(name.removeprefix("figures.").split(".", 1)[1], newest)
    ] == []


def said(name: str, text: str) -> bool:
    """Does the text name it, as a word of its own?"""
    return re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text) is not None


def test_the_changelog_must_name_it_by_a_word_of_its_own():
    assert said("fit", "`fit` takes weights")
    assert said("PCA.fit", "`PCA.fit`, anew")
    assert not said("fit", "a fitted model, `PCA.fit`, and what does not befit")


def test_the_types_of_every_name_can_be_looked_up():
    """Also of what only a type checker knows more about, as `rows.Kind`."""
    looked_up = 0
    for module in reference.modules():
        home = importlib.import_module(f"latent_book.{module}")
        for value in list(vars(home).values()):
            if getattr(value, "__module__", "") != home.__name__:
                continue
            owned = vars(value).values() if inspect.isclass(value) else ()
            for one in (value, *owned):
                if inspect.isclass(one) or inspect.isfunction(one):
                    typing.get_type_hints(one)
                    looked_up += 1
    assert looked_up > 800


def test_every_public_name_has_an_example():
    """In its docstring, or in nbs/appendix/examples.md; not in both, and for no name
    that is gone.
    """
    public = {
        f"{module}.{node.name}"
        for module, path in reference.modules().items()
        for node in reference.public(ast.parse(path.read_text(encoding="utf-8")).body)
    }
    own = {".".join(pair) for pair in EXAMPLES}
    assert len(public) > 200
    assert public - own - set(BESIDE) == set(), "add one to nbs/appendix/examples.md"
    assert set(BESIDE) - public == set(), (
        "gone: take them out of nbs/appendix/examples.md"
    )
    assert set(BESIDE) & own == set(), "these have one in their docstring already"


# torch's own, at first use
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(("module", "names", "lines"), GROUPS)
def test_an_example_is_about_its_names_and_prints_what_it_says(module, names, lines):
    home = vars(importlib.import_module(f"latent_book.{module}"))
    chance = {
        "rng": np.random.default_rng(0),
        "generator": torch.Generator().manual_seed(0),
    }
    given = {**home, "np": np, "torch": torch, **chance}
    test = doctest.DocTestParser().get_doctest(lines, given, names[0], None, None)
    source = "".join(example.source for example in test.examples)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    with matplotlib.rc_context(), seeded(0):
        runner.run(test, clear_globs=False)
    assert runner.failures == 0
    for name in names:  # it is called, or something of its kind is made
        made = isinstance(home[name], type) and any(
            isinstance(v, home[name]) for v in test.globs.values()
        )
        assert made or re.search(rf"\b{name}\b", source), (
            f"the example does nothing with {name}"
        )


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
    for module, path in reference.modules().items():
        for node in reference.public(ast.parse(path.read_text(encoding="utf-8")).body):
            if not ast.get_docstring(node):
                silent.append(f"{module}.{node.name}")
    assert silent == []


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("def f(a, *, b: int = 1) -> None: ...", "f(a, *, b: int = 1) -> None"),
        ("def f(*args, **kwargs): ...", "f(*args, **kwargs)"),
        ("class A:\n    def __init__(self, n, k=2): ...", "class A(n, k=2)"),
        (
            "class A(NamedTuple):\n    x: int\n    y: str = ''",
            "class A(x: int, y: str = '')",
        ),
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


def test_the_examples_file_is_read_by_module_and_name():
    text = (
        "a note\n# one\n\n## f, g\n\n>>> f(g(1))\n2\n\n# two\n\n## f\n\n>>> f(1)\n3\n"
    )
    both = (["f", "g"], ">>> f(g(1))\n2\n")
    assert reference.examples(text) == {
        "one.f": both,
        "one.g": both,
        "two.f": (["f"], ">>> f(1)\n3\n"),
    }
    with pytest.raises(ValueError, match=r"two examples for two\.f"):
        reference.examples(text + "## f\n\n>>> f(2)\n4\n")
