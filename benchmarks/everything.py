"""All benchmarks, one after the other, into benchmarks/results.json, from which the
book's page on speed is made.

    python benchmarks/everything.py [pca.py em.py ...]        or `make bench`, which
    installs the peers first

Takes about an hour. Let the machine rest from other work: the ratios are interleaved,
but a busy machine widens their ranges.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUNS = [
    "pca.py",
    "em.py",
    "em.py --fits",
    "em.py --pomegranate --rounds 3",
    "em.py --disk",
    "training.py",
    "vae.py",
    "gan.py",
    "growth.py",
    "defaults.py",
    "vae.py --budget 60",
    "vae.py --burda --minutes 2 --test 1000",
]
# which list of the results a row goes to: by what it has
KINDS = {
    "compared": "ratio",
    "growth": "exponent",
    "disk": "held",
    "defaults": "fit_seconds",
    "budget": "budget",
    "published": "k",
}
NAMES = ["numpy", "scipy", "torch", "scikit-learn", "pomegranate", "pythae"]


def processor() -> str:
    """The model of the processor, as the system calls it."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    models = [
        line.split(":", 1)[1].strip()
        for line in told.splitlines()
        if line.startswith("model name")
    ]
    return models[0] if models else platform.machine()


def rows_of(run: str) -> list[dict]:
    """What one script notes."""
    script, *options = run.split()
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "rows.jsonl"
        subprocess.run(
            [sys.executable, str(HERE / script), *options],
            check=True,
            env={**os.environ, "RECORD": str(record)},
        )
        return [
            {"run": run, **json.loads(line)}
            for line in record.read_text(encoding="utf-8").splitlines()
        ]


def with_missing(rows: list[dict], before: list[dict], machine: dict) -> list[dict]:
    """The rows of a run, and those in 16 bits from before, where this processor has no
    products for them: with its machine's name.
    """
    if any("bfloat16" in row["what"] for row in rows):
        return rows
    missing = [row for row in before if "bfloat16" in row["what"]]
    return rows + [
        {"processor": machine["processor"] + ", an earlier run", **row}
        for row in missing
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "run",
        nargs="*",
        help=f"only these, the rest stays as it was found: {'; '.join(RUNS)}",
    )
    chosen = parser.parse_args().run or RUNS
    if unknown := set(chosen) - set(RUNS):
        parser.error(f"{', '.join(unknown)}: choose among {'; '.join(RUNS)}")
    target = HERE / "results.json"
    kept = json.loads(target.read_text(encoding="utf-8")) if target.exists() else {}
    rows = {
        run: [row for kind in KINDS for row in kept.get(kind, []) if row["run"] == run]
        for run in RUNS
    }
    machine = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in NAMES},
    }
    for run in chosen:
        print(f"\n== {run}", flush=True)
        rows[run] = with_missing(rows_of(run), rows[run], kept.get("machine", machine))
        found = [row for run in RUNS for row in rows[run]]
        results = {
            "machine": machine,
            **{
                kind: [row for row in found if mark in row]
                for kind, mark in KINDS.items()
            },
        }
        target.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
