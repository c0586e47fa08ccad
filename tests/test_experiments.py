"""What the chapters propose to change.

That each proposal can be made is looked at here. JupyterLab runs the first of every
chapter to its last cell (browser/test_lab.py); all of them take half an hour, so they
run on request, and want a built site:

    BOOK_EXPERIMENTS=1 pytest -n2 tests/test_experiments.py
"""

import copy
import json
import os

import pytest
import reader_copies
from conftest import ROOT

CHAPTERS = sorted(
    p for p in (ROOT / "nbs").glob("*.ipynb") if p.name not in ("index.ipynb",)
)
PROPOSED = [
    (path, number)
    for path in CHAPTERS
    for number in range(
        len(reader_copies.experiments(json.loads(path.read_text(encoding="utf-8"))))
    )
]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapter_proposes_three_to_five_changes_that_can_be_made(path):
    chapter = json.loads(path.read_text(encoding="utf-8"))
    (said,) = (
        "".join(c["source"]) for c in chapter["cells"] if c["id"] == "experiments"
    )
    assert all(words in said for words in reader_copies.YOURS), (
        "a copy says it otherwise"
    )
    proposed = reader_copies.experiments(chapter)
    assert 3 <= len(proposed) <= 5
    for statements in proposed:
        changed = copy.deepcopy(chapter)
        for statement in statements:
            reader_copies.change(changed, statement)
        assert changed != chapter, f"{statements} is what the chapter has"


@pytest.mark.skipif("BOOK_EXPERIMENTS" not in os.environ, reason="takes half an hour")
@pytest.mark.parametrize(
    ("path", "number"), PROPOSED, ids=lambda v: getattr(v, "stem", v)
)
def test_an_experiment_runs_to_the_last_cell(path, number):
    site = reader_copies.site(draft=True)
    chapter = reader_copies.copy_of(path, site, reader_copies.Origin(ROOT))
    for statement in reader_copies.experiments(chapter)[number]:
        reader_copies.change(chapter, statement)
    notes, stopped = reader_copies.run(chapter, path.parent)
    assert not stopped
    assert notes, "the change is felt nowhere"
    print("\n".join(notes))
