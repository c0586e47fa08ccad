"""The chapters and their figures in a real JupyterLab, with a real kernel."""

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
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import reader_copies
from browsing import ROOT, until
from jupyterlab.commands import get_app_dir
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
SETTINGS = {
    # all cells are on the page, not only those in sight
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false"},
}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Lab:
    """A JupyterLab with its own settings and nobody else's, whose kernels run on the
    given Python.
    """

    def __init__(self, home: Path, python: Path) -> None:
        self.notes, self.log = home / "notes", home / "log"
        self.notes.mkdir()
        for name, values in SETTINGS.items():
            path = home / "CONFIG/lab/user-settings" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values), encoding="utf-8")
        page = home / "CONFIG/labconfig/page_config.json"
        page.parent.mkdir(parents=True)
        news = "@jupyterlab/apputils-extension:announcements"
        page.write_text(json.dumps({"disabledExtensions": {news: True}}))
        kernel = home / "DATA/kernels/python3/kernel.json"
        kernel.parent.mkdir(parents=True)
        argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        alone = {"PYTHONPATH": "", "TQDM_DISABLE": "1"}
        kernel.write_text(
            json.dumps({"argv": argv, "display_name": "Python 3", "env": alone})
        )
        # the application as it is installed, with its own settings beside
        application = home / "share/jupyter/lab"
        application.mkdir(parents=True)
        for folder in ("schemas", "static", "themes"):
            (application / folder).symlink_to(Path(get_app_dir()) / folder)
        reader_copies.keep_figures(home)
        port, self.token = _free_port(), secrets.token_hex(16)
        self.address = f"http://127.0.0.1:{port}"
        command = [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--ip=127.0.0.1",
            f"--port={port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}",
            f"--notebook-dir={self.notes}",
            "--LabApp.extension_manager=readonly",
            "--expose-app-in-browser",
            "--allow-root",
        ]
        kinds = ("CONFIG", "DATA", "RUNTIME")
        environment = {
            **os.environ,
            **{f"JUPYTER_{kind}_DIR": str(home / kind) for kind in kinds},
            "JUPYTERLAB_DIR": str(application),
            "IPYTHONDIR": str(home / "ipython"),
        }
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                command, cwd=home, env=environment, stdout=log, stderr=log
            )
        end = time.monotonic() + 120
        while not self._answers():
            said = self.log.read_text(encoding="utf-8")
            assert self.process.poll() is None, said
            assert time.monotonic() < end, said
            time.sleep(0.1)

    def ask(self, what: str, method: str = "GET") -> Any:
        """Put a question to its server."""
        token = {"Authorization": f"token {self.token}"}
        address = f"{self.address}/api/{what}"
        asked = urllib.request.Request(address, headers=token, method=method)
        with urllib.request.urlopen(asked, timeout=60) as answered:
            return json.loads(answered.read() or "null")

    def _answers(self) -> bool:
        try:
            status = f"{self.address}/api/status?token={self.token}"
            urllib.request.urlopen(status, timeout=5).close()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Stop it."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @contextmanager
    def notebook(
        self, browser: Browser, name: str, notebook: dict[str, Any]
    ) -> Iterator[Page]:
        """A notebook, open and with its kernel idle; nobody else may be asked, and no
        error may reach the page.
        """
        path = self.notes / name
        if not path.exists():
            path.write_text(reader_copies.dump(notebook), encoding="utf-8")
        context = browser.new_context(viewport={"width": 1200, "height": 900})
        context.set_default_timeout(90_000)
        own, heard = (self.address, "data:", "blob:"), list[str]()
        context.on(
            "request", lambda r: None if r.url.startswith(own) else heard.append(r.url)
        )
        page = context.new_page()
        # on a busy machine: a kernel that is slow, a file on disk
        question = page.locator("dialog.jp-Dialog")
        page.add_locator_handler(
            question,
            lambda: question.locator(".jp-mod-accept").last.click(timeout=5_000),
        )
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        try:
            page.goto(f"{self.address}/lab/tree/{name}?reset&token={self.token}")
            until(page, READY.format(cells=len(notebook["cells"])), seconds=120)
            yield page
            assert not heard
        finally:
            context.close()
            for one in self.ask("sessions"):
                self.ask(f"sessions/{one['id']}", "DELETE")


READY = """(({{ content, sessionContext }}) => content?.widgets?.length === {cells} && sessionContext.isReady
  && document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status === 'idle')(globalThis.jupyterapp?.shell.currentWidget ?? {{}})"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, install: Any) -> Iterator[Lab]:
    """JupyterLab, with the library in its kernels as Colab has it: the wheel, what its
    extra brings, and nothing else.
    """
    python = install("notebook", also=("ipykernel",))
    lab = Lab(tmp_path_factory.mktemp("lab"), python)
    try:
        yield lab
    finally:
        lab.close()


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


def figure_notebook() -> dict[str, Any]:
    """A live figure, and a question to the kernel."""
    cells = [
        reader_copies.code_cell("show", SHOW),
        reader_copies.code_cell("ask", ASK),
    ]
    kernel = {"name": "python3", "display_name": "Python 3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def test_a_slider_moves_the_kernel_and_the_kernel_draws(lab: Lab, browser: Browser):
    with lab.notebook(browser, "figure.ipynb", figure_notebook()) as page:
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


def test_a_saved_figure_is_there_without_its_kernel(lab: Lab, browser: Browser):
    with lab.notebook(browser, "kept.ipynb", figure_notebook()) as page:
        run_cell(page, 0)
        page.locator(".jp-OutputArea .lb-figure").wait_for()
        page.keyboard.press("Control+s")
        until(page, "!document.querySelector('.jp-mod-dirty')", seconds=60)
    assert lab.ask("kernels") == []
    with lab.notebook(browser, "kept.ipynb", figure_notebook()) as page:
        figure = page.locator(".jp-OutputArea .lb-figure")
        figure.locator("canvas").wait_for()
        assert figure.locator("input[type=range]").input_value() == "1"


@cache
def site() -> Any:
    """What the built site says, for the copies."""
    return reader_copies.site()


CHAPTERS = sorted(path.name for path in (ROOT / "nbs").glob("*.ipynb"))
# where the run stands: the code cells that have not run, and the errors of those that have
STATE = """() => {
  const cells = jupyterapp.shell.currentWidget.content.widgets.filter(
    (cell) => cell.model.type === "code" && cell.model.sharedModel.source.trim());
  const errors = cells.flatMap((cell) => cell.model.outputs.toJSON().filter((o) => o.output_type === "error")
    .map((o) => `${cell.model.id}: ${o.ename}: ${o.evalue}`));
  const left = cells.filter((cell) => cell.model.executionCount === null || cell.model.executionState === "running");
  return { errors, left: left.map((cell) => cell.model.id) }; }"""
# what is for the site's reader only, and formulas that do not parse
RAW = r"""() => {
  const faults = [];
  for (const part of document.querySelectorAll(".jp-Notebook .jp-RenderedMarkdown, .jp-Notebook .lb-told")) {
    const found = part.textContent.match(/\{[a-z:-]+\}`|\(eq-[\w-]+\)|^:label:|```|\{\{/m);
    if (found) faults.push(`${found[0]} in: ${part.textContent.slice(0, 80)}`);
  }
  for (const wrong of document.querySelectorAll("mjx-merror, [data-mjx-error]")) faults.push(wrong.textContent);
  return faults; }"""
# solutions: how many, and how many of their cells can be seen
SOLUTIONS = """() => {
  const cells = jupyterapp.shell.currentWidget.content.widgets;
  const heads = cells.filter((c) => /^#### Solution/.test(c.model.sharedModel.source));
  const seen = heads.filter((head) => cells[cells.indexOf(head) + 1].node.checkVisibility());
  return [heads.length, seen.length]; }"""
# of each still figure, whether its ground is opaque and light
STILLS = """async () => {
  const grounds = [];
  for (const img of document.querySelectorAll(".jp-OutputArea img[src^='data:image/svg']")) {
    await img.decode();
    const { naturalWidth: width, naturalHeight: height } = img;
    const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
    context.drawImage(img, 0, 0);
    grounds.push([...context.getImageData(1, 1, 1, 1).data]); }
  return grounds; }"""
ACTIVE = """() => { const { activeCellIndex, widgets } = jupyterapp.shell.currentWidget.content;
  return [activeCellIndex, widgets.length]; }"""


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_with_an_experiment_runs_to_its_end(
    chapter: str, lab: Lab, browser: Browser
):
    origin = reader_copies.Origin(ROOT)
    copy = reader_copies.copy_of(ROOT / "nbs" / chapter, site(), origin)
    proposed = reader_copies.experiments(copy)
    for statement in proposed[0] if proposed else []:
        reader_copies.change(copy, statement)
    with lab.notebook(browser, chapter, copy) as page:
        page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
        end = time.monotonic() + 600
        while (state := page.evaluate(STATE))["left"] and not state["errors"]:
            assert time.monotonic() < end, state
            page.wait_for_timeout(200)
        assert not state["errors"]
        assert not page.evaluate(RAW)
        solutions, seen = page.evaluate(SOLUTIONS)
        if chapter != "index.ipynb":
            assert proposed, "the chapter proposes no experiment"
            assert page.locator(".lb-told").count(), "the experiment changes nothing"
            assert solutions >= 5
            assert seen == 0, "a solution is open"
        page.evaluate(
            "jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"
        )
        until(page, "document.body.dataset.jpThemeLight === 'false'")
        for ground in page.evaluate(STILLS):
            assert min(ground) > 250, f"a still figure stands on {ground}"
        keys_stay_with_the_figure(page)


def keys_stay_with_the_figure(page: Page) -> None:
    """Arrow keys move a slider of the first live figure, and no key reaches the
    notebook.
    """
    figure = page.locator(".lb-figure").first
    figure.evaluate("(f) => f.scrollIntoView({ block: 'center' })")
    dark = figure.evaluate("(f) => getComputedStyle(f).backgroundColor")
    assert dark == "rgb(19, 23, 28)", "it is dark where JupyterLab is"
    slider = figure.locator("input[type=range], [role=slider]").first
    slider.focus()
    where, said = page.evaluate(ACTIVE), slider.evaluate(VALUE)
    for key in (
        "ArrowRight",
        "ArrowLeft",
        "ArrowLeft",
        "ArrowDown",
        "x",
        "d",
        "d",
        "a",
    ):
        page.keyboard.press(key)
    assert page.evaluate(ACTIVE) == where, "the notebook took a key"
    assert slider.evaluate(VALUE) != said


VALUE = "(s) => s.value ?? s.getAttribute('aria-valuetext')"
