"""Run the chapters whose outputs are not in the cache, hidden cells included: what the
site shows, and the test of the notebooks, in one.

    python scripts/run_chapters.py                       # all of them
    python scripts/run_chapters.py nbs/em.ipynb          # this one
    python scripts/run_chapters.py --slow nbs/vae.ipynb  # this, with cells of hours

An assertion that fails stops its chapter, and so does a cell that writes to stderr: a
warning that a reader would see. The others go on. Cells behind `#| slow` run only when
they are asked for; what they print is printed, and nothing of it is kept.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS, CACHE = ROOT / "nbs", ROOT / "_build" / "execution"
if str(ROOT) not in sys.path:  # for sphinxext
    sys.path.insert(0, str(ROOT))
# jsonschema would compile 38 grammars for a format check that no notebook needs: two
# seconds of each build
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
LONGEST = 300  # seconds for one cell
SURROUNDINGS = {  # of the kernels: one thread for each of the parallel chapters
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "TQDM_DISABLE": "1",  # a page shows no progress bar
}


@dataclass
class Run:
    """What came of a chapter: its seconds, or where it stopped and why."""

    path: Path
    seconds: float = 0.0
    fault: str = ""

    def __str__(self) -> str:
        name = self.path.relative_to(ROOT)
        return (
            f"{name}, {self.fault}" if self.fault else f"{self.seconds:6.1f} s {name}"
        )


def notebooks() -> list[Path]:
    """All chapters."""
    found = NOTEBOOKS.rglob("*.ipynb")
    return sorted(p for p in found if ".ipynb_checkpoints" not in p.parts)


def execute(paths: Iterable[Path] | None = None, jobs: int = 2) -> Iterator[Run]:
    """Run those of the chapters (all, if none are named) that are not in the cache, and
    yield each when it is done. Those that took longest the last time begin.
    """
    from jupyter_cache import get_cache
    from jupyter_cache.base import CacheBundleIn

    cache, todo = get_cache(str(CACHE)), []
    for path in notebooks() if paths is None else paths:
        try:
            cache.match_cache_notebook(_read(path))
        except KeyError:
            todo.append(path)
        except (LookupError, SyntaxError) as error:
            yield Run(path, fault=str(error.args[0]))
    seconds = {
        str(record.uri): record.data.get("execution_seconds", 0.0)
        for record in sorted(cache.list_cache_records(), key=lambda r: r.created)
    }
    # a chapter that never ran is judged by its size
    todo.sort(key=lambda p: (-seconds.get(str(p), float("inf")), -p.stat().st_size))
    with ProcessPoolExecutor(jobs) as pool:
        for future in as_completed([pool.submit(run, path) for path in todo]):
            done, notebook = future.result()
            if not done.fault:
                data = {"execution_seconds": done.seconds}
                bundle = CacheBundleIn(notebook, str(done.path), data=data)
                cache.cache_notebook_bundle(
                    bundle, check_validity=False, overwrite=True
                )
            yield done


def _read(path: Path, *, slow: bool = False) -> Any:
    from sphinxext.notebook import read

    return read(path.read_text(encoding="utf-8"), slow=slow)


def run(path: Path, *, slow: bool = False) -> tuple[Run, Any]:
    """Run one chapter; returns what came of it, and the notebook with its outputs."""
    import time

    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    for name, value in SURROUNDINGS.items():
        os.environ.setdefault(name, value)
    notebook, done, at = _read(path, slow=slow), Run(path), {"id": "the first"}
    client = NotebookClient(
        notebook,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        timeout=None if slow else LONGEST,
        record_timing=False,  # the cache's key would have it
        on_cell_start=lambda cell, cell_index: at.update(id=cell["id"]),
        resources={"metadata": {"path": str(path.parent)}},
    )
    begun = time.monotonic()
    try:
        client.execute()
    except CellExecutionError as error:
        done.fault = f'cell "{at["id"]}": {error.ename}: {error.evalue}\n'
        done.fault += _nearest(notebook, at["id"])
    except Exception as error:  # it took too long, or the kernel died
        done.fault = f'cell "{at["id"]}": {type(error).__name__}: {error}'
    else:
        done.fault = "\n".join(_warnings(notebook))
    done.seconds = time.monotonic() - begun
    return done, notebook


def _nearest(notebook: Any, name: str) -> str:
    """The end of the traceback that a cell left, without colours."""
    (cell,) = (cell for cell in notebook.cells if cell["id"] == name)
    for output in cell.outputs:
        if output.output_type == "error":
            lines = "\n".join(output.traceback).splitlines()[2:-1]
            plain = [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in lines]
            return "\n".join(f"    {line}" for line in plain if line)[-1200:]
    return ""


def _warnings(notebook: Any) -> Iterator[str]:
    """What cells wrote to stderr."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                yield f'cell "{cell["id"]}" wrote to stderr:\n{output.text[:1200]}'


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chapters", nargs="*", help="notebooks; all, if none is named")
    parser.add_argument("--slow", action="store_true", help="with what takes hours")
    parser.add_argument("--jobs", type=int, default=2, help="chapters at a time (2)")
    given = parser.parse_args()
    paths = [Path(name).resolve() for name in given.chapters] or None
    if given.slow:
        if paths is None:
            parser.error("name the chapter whose slow cells should run")
        done = [run(path, slow=True) for path in paths]
        for _, notebook in done:
            for cell in notebook.cells:
                if "slow" in cell.metadata.get("tags", []):
                    print("".join(o.get("text", "") for o in cell.get("outputs", [])))
        runs = [one for one, _ in done]
    else:
        runs = list(execute(paths, given.jobs))
    for one in runs:
        print(one, file=sys.stderr if one.fault else sys.stdout)
    return int(any(one.fault for one in runs))


if __name__ == "__main__":
    sys.exit(main())
