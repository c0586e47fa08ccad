"""One live figure in a real JupyterLab, with a real kernel on the other side."""

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
from playwright.sync_api import Browser, Page

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
    """The address of a notebook in a JupyterLab of its own, with its own settings and
    nobody else's.
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
    nbformat.write(notebook, home / "notes" / "figure.ipynb")
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
        yield f"{address}/lab/tree/figure.ipynb?token={token}"
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


def test_a_slider_moves_the_kernel_and_the_kernel_draws(lab: str, browser: Browser):
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(90_000)
    foreign: list[str] = []
    own = lab.split("/lab/")[0]
    context.on(
        "request",
        lambda r: (
            None if r.url.startswith((own, "data:", "blob:")) else foreign.append(r.url)
        ),
    )
    page = context.new_page()
    question = page.locator(
        "dialog.jp-Dialog"
    )  # on a busy machine: a kernel that is slow, a file on disk
    page.add_locator_handler(
        question, lambda: question.locator(".jp-mod-accept").last.click(timeout=5_000)
    )
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(lab)
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    until(
        page,
        "document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status === 'idle'",
        seconds=90,
    )
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
    assert not foreign
    assert not errors
    context.close()
