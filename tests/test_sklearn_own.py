"""scikit-learn's own test files, run with our class in the place of theirs.

A suite is a line in `SUITES`. What may fail is listed with its reason; what is listed
and passes fails here, so that the list stays true.
"""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import NamedTuple

import pytest
from conftest import ROOT


class Suite(NamedTuple):
    """Which names are replaced, by what; how many cases pass at least; and the
    tests that fail, each for a reason.
    """

    swaps: dict[str, str]
    least: int
    differs: dict[str, str]


SAYS = "another wording: what was given, and the cure"
MIXTURE = {
    "sklearn.mixture.GaussianMixture": "latent_book.mixture_models.GaussianMixture"
}
SUITES = {
    "sklearn.mixture.tests.test_mixture": Suite(MIXTURE, 1, {}),
    "sklearn.mixture.tests.test_gaussian_mixture": Suite(
        MIXTURE,
        50,
        {
            "test_check_weights": SAYS,
            "test_check_means": SAYS,
            "test_check_precisions": SAYS,
            "test_regularisation": SAYS,
            "test_sample": SAYS,
            "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters": (
                "counts the calls of a function of scikit-learn's own loop"
            ),
        },
    ),
    "sklearn.decomposition.tests.test_pca": Suite(
        {"sklearn.decomposition.PCA": "latent_book.pca.PCA"},
        375,
        {
            "test_pca_score": "asserts that whitening changes the density of the data",
        },
    ),
}

PLUGIN = """\
import importlib
before = []
for theirs, ours in {swaps!r}.items():
    (to, name), (source, found) = theirs.rsplit(".", 1), ours.rsplit(".", 1)
    to, ours = importlib.import_module(to), getattr(importlib.import_module(source), found)
    before.append((to, name, getattr(to, name)))
    setattr(to, name, ours)
tests = importlib.import_module({module!r})
for to, name, theirs in before:  # which ours may ask
    assert getattr(tests, name, None) is not theirs
    setattr(to, name, theirs)
"""


@pytest.mark.parametrize("module", SUITES)
def test_the_tests_of_the_peer_pass(module, tmp_path):
    suite = SUITES[module]
    plugin = PLUGIN.format(swaps=suite.swaps, module=module)
    (tmp_path / "ours_for_theirs.py").write_text(plugin, encoding="utf-8")
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "--pyargs", module]
    command += ["-p", "ours_for_theirs", "-p", "no:cacheprovider"]
    command += ["-c", os.devnull, f"--junitxml={report}", "-W", "ignore"]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **threads, "PYTHONPATH": path},
    )
    assert report.exists(), ran.stdout + ran.stderr
    cases = list(ET.parse(report).iter("testcase"))
    wrong = [c for c in cases if c.find("failure") is not None]
    wrong += [c for c in cases if c.find("error") is not None]
    failed = {c.attrib["name"].split("[")[0] for c in wrong}
    assert failed == set(suite.differs), ran.stdout
    skipped = [c for c in cases if c.find("skipped") is not None]
    assert len(cases) - len(wrong) - len(skipped) >= suite.least
