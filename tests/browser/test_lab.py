"""One live figure in a real JupyterLab, with a real kernel on the other side; and as it
was saved, without.
"""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from browsing import ROOT, until
from jupyterlab.commands import get_app_dir
from playwright.sync_api import Browser, Page
from reader_copies import keep_figures

SHOW = """\
from latent_book.plots import COLOR
from latent_book.figures.kit import Frames

def line(fig, slope):
    fig.add_subplot().plot([0, 1], [0, slope], color=COLOR["data"])

figure = Frames(line, {"slope": [0.0, 1.0, 2.0]}, alt="A line through the origin.", size=(3, 2))
figure"""
ASK = """\
from PIL import Image
import io, json
sent = Image.open(io.BytesIO(figure.exact[0])) if figure.exact else None
print(json.dumps({"at": figure.at[0], "sent": len(figure.exact), "size": sent.size if sent else None}))"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the notebook `{}` in a JupyterLab of its own, with its own settings
    and nobody else's.
    """
    home: Path = tmp_path_factory.mktemp("lab")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(SHOW), nbformat.v4.new_code_cell(ASK)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    (home / "notes").mkdir()
    (home / "CONFIG" / "labconfig").mkdir(parents=True)
    (home / "CONFIG" / "labconfig" / "page_config.json").write_text(
        json.dumps(
            {
                "disabledExtensions": {
                    "@jupyterlab/apputils-extension:announcements": True
                }
            }
        ),
        encoding="utf-8",
    )
    for name in ("figure", "kept"):
        nbformat.write(notebook, home / "notes" / f"{name}.ipynb")
    application = home / "share" / "jupyter" / "lab"
    application.mkdir(parents=True)
    for folder in ("schemas", "static", "themes"):
        (application / folder).symlink_to(Path(get_app_dir()) / folder)
    keep_figures(home)
    port, token = _free_port(), secrets.token_hex(16)
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}",
        f"--notebook-dir={home / 'notes'}",
        "--LabApp.extension_manager=readonly",
        "--allow-root",
    ]
    folders = {
        f"JUPYTER_{kind}_DIR": str(home / kind)
        for kind in ("CONFIG", "DATA", "RUNTIME")
    }
    python_path = os.pathsep.join(
        filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    )
    environment = {
        **os.environ,
        **folders,
        "JUPYTERLAB_DIR": str(application),
        "IPYTHONDIR": str(home / "ipython"),
        "PYTHONPATH": python_path,
    }
    log = (home / "log").open("w", encoding="utf-8")
    process = subprocess.Popen(
        command, cwd=home, env=environment, stdout=log, stderr=subprocess.STDOUT
    )
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(
                    f"{address}/api/status?token={token}", timeout=5
                ).close()
                break
            except OSError:
                assert process.poll() is None, (home / "log").read_text(
                    encoding="utf-8"
                )
                time.sleep(0.1)
        else:
            pytest.fail(
                "JupyterLab did not start:\n"
                + (home / "log").read_text(encoding="utf-8")
            )
        yield f"{address}/lab/tree/{{}}.ipynb?reset&token={token}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def run_cell(page: Page, number: int) -> None:
    """Choose a cell, press the toolbar's button, and wait for the prompt of a cell that
    has run: `[3]:`.

    While JupyterLab still connects to the kernel, it forgets what it was told to run:
    then tell it again.
    """
    prompt = (
        page.locator(".jp-Notebook .jp-CodeCell").nth(number).locator(".jp-InputPrompt")
    )
    before, end = prompt.inner_text(), time.monotonic() + 120
    while time.monotonic() < end:
        prompt.click()
        page.locator("[data-command='notebook:run-cell-and-select-next']").first.click()
        forgotten = time.monotonic() + 4
        while time.monotonic() < min(forgotten, end):
            page.wait_for_timeout(50)
            now = prompt.inner_text()
            if now != before and re.fullmatch(r"\[\d+\]:", now):
                return
            if now == "[*]:":
                forgotten = time.monotonic() + 4
    pytest.fail(f"cell {number} did not run")


def answer(page: Page) -> dict:
    """What the kernel says now."""
    run_cell(page, 1)
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(1)
    return json.loads(cell.locator(".jp-OutputArea-output pre").inner_text())


def ask(lab: str, what: str, method: str = "GET") -> bytes:
    """Put a question to JupyterLab's server."""
    token = {"Authorization": "token " + lab.rpartition("token=")[2]}
    address = f"{lab.partition('/lab/')[0]}/api/{what}"
    asked = urllib.request.Request(address, headers=token, method=method)
    with urllib.request.urlopen(asked, timeout=60) as answered:
        return answered.read()


class Visit:
    """A notebook, opened by a browser that knows nothing of the visits before; its
    errors, and requests to others than the server.
    """

    def __init__(self, lab: str, name: str, browser: Browser) -> None:
        self.context = browser.new_context(viewport={"width": 1200, "height": 900})
        self.context.set_default_timeout(90_000)
        self.foreign: list[str] = []
        self.errors: list[str] = []
        own = (lab.split("/lab/")[0], "data:", "blob:")
        self.context.on(
            "request",
            lambda r: None if r.url.startswith(own) else self.foreign.append(r.url),
        )
        page = self.page = self.context.new_page()
        # on a busy machine: a kernel that is slow, a file on disk
        question = page.locator("dialog.jp-Dialog")
        page.add_locator_handler(
            question,
            lambda: question.locator(".jp-mod-accept").last.click(timeout=5_000),
        )
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(lab.format(name))
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        until(
            page,
            "document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status === 'idle'",
            seconds=90,
        )

    def close(self) -> None:
        """Leave; nothing must have gone wrong."""
        assert not self.foreign
        assert not self.errors
        self.context.close()


def test_a_slider_moves_the_kernel_and_the_kernel_draws(lab: str, browser: Browser):
    visit = Visit(lab, "figure", browser)
    page = visit.page
    run_cell(page, 0)
    figure = page.locator(".jp-OutputArea .lb-figure")
    figure.wait_for()
    slider = figure.locator("input[type=range]")
    assert answer(page) == {"at": 1.0, "sent": 0, "size": None}

    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    picture = figure.locator("canvas").evaluate("(c) => c.toDataURL()")
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.64 * box["width"], y, steps=4)
    page.mouse.up()
    shown = slider.evaluate("(s) => +s.value")
    # the nearest stored frame is the one that was there already ...
    assert 1.1 < shown < 1.45
    until(  # ... so that what comes now is the kernel's own
        page,
        f"document.querySelector('.lb-figure canvas').toDataURL() !== {json.dumps(picture)}",
        seconds=60,
    )
    told = answer(page)
    assert told["at"] == pytest.approx(shown)
    assert told["sent"] == 2  # light and dark
    assert told["size"] == [330, 220]
    visit.close()


def test_a_saved_figure_is_there_without_its_kernel(lab: str, browser: Browser):
    visit = Visit(lab, "kept", browser)
    run_cell(visit.page, 0)
    visit.page.locator(".jp-OutputArea .lb-figure").wait_for()
    visit.page.keyboard.press("Control+s")
    until(visit.page, "!document.querySelector('.jp-mod-dirty')", seconds=60)
    visit.close()
    for one in json.loads(ask(lab, "sessions")):
        ask(lab, f"sessions/{one['id']}", "DELETE")
    assert json.loads(ask(lab, "kernels")) == []

    visit = Visit(lab, "kept", browser)
    figure = visit.page.locator(".jp-OutputArea .lb-figure")
    figure.locator("canvas").wait_for()
    assert figure.locator("input[type=range]").input_value() == "1"
    visit.close()
