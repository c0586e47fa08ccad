"""What a reader's copy has beside Python, in an IPython of its own."""

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from latent_book import reader


@pytest.fixture
def shell():
    shell = InteractiveShell()
    reader.load_ipython_extension(shell)
    yield shell
    reader.unload_ipython_extension(shell)


def told(shell, code: str) -> list[str]:
    """The notes of a cell, which has come to its end."""
    with capture_output() as shown:
        assert shell.run_cell(code).success
    lines = shown.stdout.splitlines()
    lines += [one.data["text/plain"] for one in shown.outputs]
    return [line for line in lines if line.startswith(("With your", "In your", "This"))]


FALLEN = "With your change this no longer holds: "
LOST = "With your change this can no longer be checked: "


@pytest.mark.parametrize(
    ("code", "notes"),
    [
        ("assert 1 < 2, 'less'", []),
        ("assert 1 > 2, 'more'", [FALLEN + "more"]),
        ("assert 1 > 2", [FALLEN + "1 > 2"]),
        ("n = 3\nassert n == 2, f'{n} are two'", [FALLEN + "3 are two"]),
        ("assert [][0], 'a first'", [LOST + "a first (IndexError: list index out of range)"]),
        ("k = 3\nassert [][k], f'case {k} is there'",
         [LOST + "case ... is there (IndexError: list index out of range)"]),
        ("def f():\n    assert False, 'inside'\n    return 1\nassert f() == 1, 'outside'",
         [FALLEN + "inside"]),
        ("assert (m := 5) > 9 or m == 5, 'bound'\nassert m == 5, 'kept'", []),
        ("for _ in range(1000):\n    assert False, 'again'", [FALLEN + "again"]),
        ("for k in range(9):\n    assert k > 9, f'case {k}'",
         [f"{FALLEN}case {k}" for k in range(4)]),
        ("import numpy as np\nnp.testing.assert_allclose(1, 2)",
         [FALLEN + "Not equal to tolerance rtol=1e-07, atol=0"]),
    ],
)  # fmt: skip
def test_a_claim_that_falls_is_told_and_the_cell_goes_on(shell, code, notes):
    assert told(shell, code) == notes


def test_an_error_that_is_no_claim_stops_the_cell_as_ever(shell):
    with capture_output():
        assert not shell.run_cell("1 / 0").success
        assert not shell.run_cell("raise AssertionError('mine')").success


def test_without_the_extension_an_assertion_stops_again(shell):
    reader.unload_ipython_extension(shell)
    with capture_output():
        assert not shell.run_cell("assert False, 'a claim'").success
    reader.load_ipython_extension(shell)
    reader.load_ipython_extension(shell)  # a second time changes nothing
    assert told(shell, "assert False, 'a claim'") == [FALLEN + "a claim"]


@pytest.mark.parametrize(
    ("value", "spec", "book", "said"),
    [
        (0.514, ".2f", "0.51", []),
        (0.73, ".2f", "0.51", ["In your run: It costs 0.73 (the book: 0.51) nats."]),
        (np.float32(2), ".1f", "2.0", []),
        ("two", "", "three", ["In your run: It costs two (the book: three) nats."]),
        (None, ".2f", "0.51", ["In your run: It costs None (the book: 0.51) nats."]),
    ],
)
def test_a_sentence_comes_with_your_number(shell, value, spec, book, said):
    mark = f"{{{{cost:{spec}|{book}}}}}" if spec else f"{{{{cost|{book}}}}}"
    assert told(shell, f'%%book\n["It costs {mark} nats."]') == []
    shell.user_ns |= {"glue": reader.glue, "value": value}
    assert told(shell, "glue('cost', value, display=False)") == said
    assert told(shell, "1 + 1") == [], "only the cell that made the number tells"


def test_a_cell_of_hours_waits(shell):
    (note,) = told(shell, "%%slow 3 hours\nraise SystemExit")
    assert note.startswith("This cell takes about 3 hours, and did not run.")


def test_words_of_a_note_are_words_and_no_markup():
    note = reader._Note("It no longer holds:", "a < b & <b>")
    assert "a &lt; b &amp; &lt;b&gt;" in note._repr_html_()
