"""Check what has changed since it was last found right, or everything. At the end
stands where the time went.

    python scripts/check.py          # make check: what has changed, without a browser
    python scripts/check.py --all    # make test: everything, as CI does

A chapter is run when its own code has changed, and a test when what it says or needs
has (changed.py). Chapters that only build on what has changed run with the book, and
with everything.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from changed import Green, keys_of_chapters, keys_of_static, keys_of_tests
from run_chapters import execute

ROOT = Path(__file__).resolve().parent.parent
BUILD, VENV = ROOT / "_build", ROOT / ".venv"
PYTHON, BIN = sys.executable, Path(sys.executable).parent
STATIC: dict[str, list[str | Path]] = {  # the checkers that run nothing of the book
    "types": [BIN / "mypy"],
    "scripts": [PYTHON, "scripts/check_scripts.py"],
}
BEGUN = time.time()
TWO = ["-n2", "--dist=worksteal"]  # a file's tests stay together
LONG = 30  # seconds of tests that are worth a second process


class Stopped(Exception):
    """A stage found a fault."""


class Beside:
    """A command beside the others, silent to its end; with `gives_way`, it has the
    time that they leave.
    """

    def __init__(
        self,
        log: "Log",
        name: str,
        command: Sequence[str | Path],
        *,
        gives_way: bool = True,
    ) -> None:
        self.log, self.name, self.begun = log, name, time.monotonic()
        self.output: Any = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [*["nice"] * gives_way, *command],
            cwd=ROOT,
            stdout=self.output,
            stderr=self.output,
        )
        self.watch = threading.Thread(target=self._wait, daemon=True)
        self.watch.start()

    def _wait(self) -> None:
        self.well = self.process.wait() == 0
        self.log.end(f"{self.name} (beside)", self.begun, well=self.well)

    def join(self) -> bool:
        """Wait for it, and print what it said; returns whether all is well."""
        self.watch.join()
        with self.output:
            self.output.seek(0)
            said = self.output.read().decode(errors="replace")
        print(f"--- {self.name}\n{said}", flush=True)
        return self.well


class Log:
    """Runs stages one after the other, and knows where the time went."""

    def __init__(self) -> None:
        self.took: dict[str, float] = {}
        self.tests: dict[str, float] = {}
        self.chapters: dict[str, float] = {}
        self.faults: list[str] = []

    def run(self, name: str, command: Sequence[str | Path]) -> bool:
        """Run a command that prints as it goes; returns whether all is well."""
        begun = time.monotonic()
        print(f"--- {name}", flush=True)
        done = subprocess.run(command, cwd=ROOT, check=False)
        return self.end(name, begun, well=done.returncode == 0)

    def run_chapters(self, names: Iterable[str]) -> list[str]:
        """Run chapters that are not in the cache; returns which are well. Each that
        stopped is told.
        """
        begun, well = time.monotonic(), dict.fromkeys(names, True)
        print("--- chapters", flush=True)
        for one in execute([ROOT / name for name in well]):
            print(one, flush=True)
            name = one.path.relative_to(ROOT).as_posix()
            well[name], self.chapters[name] = not one.fault, one.seconds
        self.end("chapters", begun, well=all(well.values()))
        return [name for name, fine in well.items() if fine]

    def run_tests(self, name: str, options: list[str]) -> list[str]:
        """Run pytest; returns which tests are well."""
        results = BUILD / f"{name.replace(' ', '-')}.xml"
        results.parent.mkdir(exist_ok=True)
        results.unlink(missing_ok=True)
        self.run(name, [PYTHON, "-m", "pytest", f"--junitxml={results}", *options])
        well, seconds = outcomes(results)
        self.tests |= seconds
        return [test for test, fine in well.items() if fine]

    def end(self, name: str, begun: float, *, well: bool) -> bool:
        """Note that a stage has ended."""
        self.took[name] = time.monotonic() - begun
        if not well:
            self.faults.append(name)
        return well

    def stop_at_a_fault(self) -> None:
        """End here, if there was one."""
        if self.faults:
            raise Stopped

    def table(self) -> str:
        """Where the time went."""
        whole = time.time() - BEGUN + self.took.get("set-up", 0.0)
        tables: dict[str, list[tuple[str, float]]] = {
            "Where the time went, in seconds": [*self.took.items(), ("in all", whole)],
            "The slowest chapters": _slowest(self.chapters),
            "The slowest tests": _slowest(self.tests),
        }
        lines = []
        for title, rows in tables.items():
            if rows:
                lines += ["", title]
                lines += [f"{seconds:8.1f}  {name}" for name, seconds in rows]
        return "\n".join(lines)


def _slowest(seconds: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(seconds.items(), key=lambda one: -one[1])[:10]


def outcomes(results: Path) -> tuple[dict[str, bool], dict[str, float]]:
    """From pytest's results: which tests are well, with all their parameters, and the
    seconds that each took.
    """
    well: dict[str, bool] = {}
    seconds: dict[str, float] = {}
    if results.exists():
        for case in ElementTree.parse(results).iter("testcase"):
            file = case.get("classname", "").replace(".", "/") + ".py"
            name = f"{file}::{case.get('name', '').split('[')[0]}"
            fine = case.find("failure") is None and case.find("error") is None
            well[name] = fine and well.get(name, True)
            took = seconds.get(name, 0.0) + float(case.get("time", 0))
            seconds[name] = round(took, 3)
    return well, seconds


def set_up() -> float:
    """The seconds that `make` took to install, if it did so just now."""
    begun, ended = VENV / "pyvenv.cfg", VENV / "ready"
    if not ended.exists() or ended.stat().st_mtime < BEGUN - 5:
        return 0.0
    return ended.stat().st_mtime - begun.stat().st_mtime


def lint(log: Log) -> None:
    """Style, which takes a moment."""
    for name, options in {"lint": ["check"], "format": ["format", "--check"]}.items():
        log.run(name, [BIN / "ruff", *options, "."])
    log.stop_at_a_fault()


def everything(log: Log) -> None:
    """What CI asks. Two cores are kept at work: checkers and what they or the browser
    need to be installed go beside the chapters, the site beside the library's tests.
    """
    log.run("export, clean", [PYTHON, "scripts/check_notebooks.py"])
    log.stop_at_a_fault()
    lint(log)
    green, chapters, tests = Green(), keys_of_chapters(), keys_of_tests()
    static = keys_of_static()
    beside = [Beside(log, name, STATIC[name]) for name in static]
    chromium = Beside(log, "Chromium", [PYTHON, "scripts/ensure_chromium.py"])
    green.note(chapters, log.run_chapters(chapters))
    green.note(static, [one.name for one in beside if one.join()])
    chromium.join()
    log.stop_at_a_fault()
    render = [PYTHON, "scripts/build_book.py", "--strict", "--render-only"]
    book = Beside(log, "book", render, gives_way=False)  # the browser waits for it
    well = log.run_tests("library tests", [*TWO, "--ignore=tests/browser"])
    green.note(tests, well, log.tests)
    book.join()
    log.stop_at_a_fault()
    log.run_tests("browser", ["-n2", "tests/browser"])


def what_has_changed(log: Log) -> None:
    """The same, of what has changed, without the site and its browser."""
    from build_book import export
    from citation import cite
    from nbdev.clean import nbdev_clean

    begun = time.monotonic()
    for name in export():
        print("exported", name)
    nbdev_clean()
    cite()
    log.end("export, clean", begun, well=True)
    lint(log)
    green, chapters, tests = Green(), keys_of_chapters(), keys_of_tests()
    static = keys_of_static()
    beside = [Beside(log, name, STATIC[name]) for name in green.changed(static)]
    if changed := green.changed(chapters):
        green.note(chapters, log.run_chapters(changed))
    if changed := green.changed(tests):
        expected = sum(green.seconds.get(name, 1.0) for name in changed)
        processes = TWO if expected > LONG else []
        names = shortly(changed, tests)
        well = log.run_tests("library tests", [*processes, *names])
        green.note(tests, well, log.tests)
    green.note(static, [one.name for one in beside if one.join()])


def shortly(changed: list[str], tests: dict[str, str]) -> list[str]:
    """Names of tests; a file's own name for all of its tests."""
    files: dict[str, set[str]] = {}
    for name in tests:
        files.setdefault(name.split("::")[0], set()).add(name)
    whole = {file for file, names in files.items() if names <= set(changed)}
    return [*sorted(whole), *(n for n in changed if n.split("::")[0] not in whole)]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="everything, as CI does")
    given = parser.parse_args()
    # parallel chapters and tests would otherwise fight over the cores
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    os.chdir(ROOT)
    log = Log()
    if seconds := set_up():
        log.took["set-up"] = seconds
    try:
        (everything if given.all else what_has_changed)(log)
    except Stopped:
        print("stopped before what follows", flush=True)
    print(log.table(), flush=True)
    if log.faults:
        print(f"\nNot well: {', '.join(log.faults)}", flush=True)
    return int(bool(log.faults))


if __name__ == "__main__":
    sys.exit(main())
