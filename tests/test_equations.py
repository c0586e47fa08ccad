"""Every labelled equation of the book is verified by a test that names it: `@pytest.mark.equation("eq-pca-variance")`.

The tests themselves stand in tests/test_<module>.py, beside the others of their chapter; here is the check that none is missing.
"""

import ast
import re

from conftest import ROOT, cells, notebooks

LABEL = re.compile(r"^\$\$\s*\((eq-[\w-]+)\)|:label:\s*(eq-[\w-]+)", re.M)


def labels() -> dict[str, str]:
    """Each labelled equation and the chapter that holds it."""
    found = {}
    for path in notebooks():
        for _, text in cells(path, "markdown"):
            for match in LABEL.finditer(text):
                found[match[1] or match[2]] = path.stem
    return found


def labels_in_tests() -> set[str]:
    """The labels that the markers of all tests name."""
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for mark in node.decorator_list:
                    if (
                        isinstance(mark, ast.Call)
                        and ast.unparse(mark.func) == "pytest.mark.equation"
                    ):
                        found |= {ast.literal_eval(argument) for argument in mark.args}
    return found


def test_each_labelled_equation_is_tested_and_each_tested_one_exists():
    assert labels(), "no labelled equation: the pattern no longer finds them"
    assert labels().keys() - labels_in_tests() == set(), (
        "these equations have no test that names them"
    )
    assert labels_in_tests() - labels().keys() == set(), (
        "these tests name an equation that no chapter has"
    )


def test_an_equation_is_labelled_after_its_chapter():
    assert [label for label, chapter in labels().items() if label.split("-")[1] != chapter] == []
