"""Every labelled equation of the book is verified by a test that names it:
`@pytest.mark.equation("eq-pca-variance")`.

The tests themselves stand in tests/test_<module>.py, beside the others of their
chapter; here is the check that none is missing.
"""

import re

from conftest import cells, notebooks

from sphinxext.equations import verifiers

LABEL = re.compile(r"^\$\$\s*\((eq-[\w-]+)\)|:label:\s*(eq-[\w-]+)", re.M)


def labels() -> dict[str, str]:
    """Each labelled equation and the chapter that holds it."""
    found = {}
    for path in notebooks():
        for _, text in cells(path, "markdown"):
            for match in LABEL.finditer(text):
                found[match[1] or match[2]] = path.stem
    return found


def test_each_labelled_equation_is_tested_and_each_tested_one_exists():
    assert labels(), "no labelled equation: the pattern no longer finds them"
    assert labels().keys() - verifiers().keys() == set(), (
        "these equations have no test that names them"
    )
    assert verifiers().keys() - labels().keys() == set(), (
        "these tests name an equation that no chapter has"
    )


def test_an_equation_is_labelled_after_its_chapter():
    assert [
        label for label, chapter in labels().items() if label.split("-")[1] != chapter
    ] == []
