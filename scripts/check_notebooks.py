"""Fail where the library is not what its notebooks export, or where a notebook was
committed with outputs.

The files are left as they should be, so that the cure is to look at the difference and
commit it.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def contents(pattern: str) -> dict[Path, bytes]:
    """All files of a kind, by path."""
    found = {
        p: p.read_bytes()
        for p in ROOT.glob(pattern)
        if ".ipynb_checkpoints" not in p.parts
    }
    if not found:
        sys.exit(f"nothing matches {pattern}: this check would check nothing")
    return found


def changed_by(command: str, pattern: str) -> list[str]:
    """The files that a command changes."""
    before = contents(pattern)
    subprocess.run([Path(sys.executable).parent / command], cwd=ROOT, check=True)
    after = contents(pattern)
    return sorted(
        str(p.relative_to(ROOT))
        for p in before.keys() | after.keys()
        if before.get(p) != after.get(p)
    )


def main() -> int:
    """Run both checks."""
    faults = {
        "these modules were not what their notebooks export": changed_by(
            "nbdev_export", "latent_book/**/*.py"
        ),
        "these notebooks were not clean": changed_by("nbdev_clean", "nbs/**/*.ipynb"),
    }
    for fault, names in faults.items():
        if names:
            print(f"{fault}; they are now, so commit them: {', '.join(names)}")
    return int(any(faults.values()))


if __name__ == "__main__":
    sys.exit(main())
