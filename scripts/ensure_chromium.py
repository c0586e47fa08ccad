"""Find a Chromium for the browser tests and print its path; install one where there is
none.

`CHROMIUM` names one outright. Otherwise the usual names on the PATH, then Playwright's
own, then Debian's package where we may install it, then Playwright's download.
"""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """The path of a Chromium on this machine, if there is one."""
    if path := os.environ.get("CHROMIUM"):
        return path
    if path := next(filter(None, map(shutil.which, NAMES)), None):
        return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if os.path.exists(own) else None


def install() -> None:
    """Debian's package, where apt and the right to use it are there; else Playwright's
    download.
    """
    if shutil.which("apt-get") and os.geteuid() == 0:
        quiet = {
            "stdout": subprocess.DEVNULL,
            "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        }
        subprocess.run(["apt-get", "update", "-qq"], check=False, **quiet)  # type: ignore[call-overload]
        command = [
            "apt-get",
            "install",
            "-y",
            "-qq",
            "--no-install-recommends",
            "chromium",
            "fonts-liberation",
        ]
        if subprocess.run(command, check=False, **quiet).returncode == 0:  # type: ignore[call-overload]
            return
    subprocess.run(
        [sys.executable, "-m", "playwright", "install", "chromium"], check=True
    )


def main() -> int:
    """Run from the command line."""
    if find() is None:
        install()
    path = find()
    print(
        path
        or "no Chromium: install one and put it on the PATH, or name it in CHROMIUM"
    )
    return int(path is None)


if __name__ == "__main__":
    sys.exit(main())
