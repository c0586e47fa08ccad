"""All benchmarks, one after the other, into benchmarks/results.json, from which the book's page on speed is made.

    python benchmarks/everything.py        or `make bench`, which installs the peers first

Takes about half an hour. Let the machine rest from other work: the ratios are interleaved, but a busy machine widens their ranges.
"""

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
    "pca.py", "em.py", "em.py --fits", "em.py --pomegranate --rounds 3", "training.py", "vae.py", "gan.py", "growth.py",
]  # fmt: skip
NAMES = ["numpy", "scipy", "torch", "scikit-learn", "pomegranate", "pythae"]


def processor() -> str:
    """The model of the processor, as the system calls it."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    models = [
        line.split(":", 1)[1].strip() for line in told.splitlines() if line.startswith("model name")
    ]
    return models[0] if models else platform.machine()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "rows.jsonl"
        for run in RUNS:
            print(f"\n== {run}", flush=True)
            script, *options = run.split()
            subprocess.run(
                [sys.executable, str(HERE / script), *options],
                check=True,
                env={**os.environ, "RECORD": str(record)},
            )
        rows = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    found = {
        "machine": {
            "processor": processor(), "cores": os.cpu_count(), "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in NAMES},
        },
        "compared": [row for row in rows if "ratio" in row],
        "growth": [row for row in rows if "exponent" in row],
    }  # fmt: skip
    target = HERE / "results.json"
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"\n{len(found['compared'])} comparisons in {target.name}")


if __name__ == "__main__":
    main()
