"""Every live figure survives what a reader should not do: extreme values, wild
dragging, a window that changes under the hand, two tabs, files that are lost or
damaged, an error in a later drawing. Where a figure cannot go on, its poster is there.

Extreme values are tried on every page; the rest on pages that together hold every
figure's script, and on the longest page. `BOOK_DRAG_SECONDS=30 pytest -s
tests/browser/test_endurance.py -k wildly` drags every figure of the book for half a
minute.
"""

import json
import os
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browsing import (
    SITE,
    WINDOW,
    each_live_page,
    live,
    live_pages,
    mount,
    slowness,
    until,
)
from playwright.sync_api import Browser, Locator, Page, Route

SECONDS = float(os.environ.get("BOOK_DRAG_SECONDS", "1"))
TASK = 50
LONG = SECONDS >= 10
# bytes that may stay after a drag: code that the browser compiled on the way
HEAP = 500_000
HELD = ":is(input[type=range]:enabled, [role=slider], canvas[style*='touch-action'], svg[style*='cursor: grab'])"


def stored(name: str) -> dict[str, Any]:
    """The figures of a page, as they stand in it."""
    text = (SITE / name).read_text(encoding="utf-8")
    found = re.search(
        r'<script[^>]*id="lb-figures-state"[^>]*>(.*?)</script>', text, re.S
    )
    assert found, f"{name} has figures, but no state"
    return json.loads(found[1])


def telling_pages() -> list[str]:
    """Few pages that together hold every figure's script, and the longest page."""
    known = {
        name: {f["script"] for f in stored(name).values()} for name in live_pages()
    }
    chosen = (
        [max(known, key=lambda name: (SITE / name).stat().st_size)] if known else []
    )
    left = set().union(*known.values())
    while left:
        chosen.append(
            max(known, key=lambda name: (len(left & known[name]), -len(known[name])))
        )
        left -= known[chosen[-1]]
    return list(dict.fromkeys(chosen))


each_telling_page = pytest.mark.parametrize("page_name", telling_pages())
each_dragged_page = pytest.mark.parametrize(
    "page_name", live_pages() if LONG else telling_pages()
)

# What is wrong with a figure as it is drawn now: numbers that are none, in words and in
# shapes, and canvases left blank.
WRONG = """(figure) => {
  const faults = [], bad = /NaN|Infinity|undefined|null|\\[object/;
  for (const node of figure.querySelectorAll("*")) {
    for (const { name, value } of node.attributes) if (bad.test(value)) faults.push(`${node.tagName} ${name}="${value.slice(0, 60)}"`);
    for (const part of node.childNodes) if (part.nodeType === 3 && bad.test(part.data)) faults.push(`"${part.data.slice(0, 60)}"`);
  }
  if (!figure.isConnected) faults.push("the figure has gone");
  return faults.slice(0, 3);
}"""
# Every control at its lowest, at its highest, and in mixed corners; in each corner
# every button is pressed, too.
EXTREMES = """async (figure) => {
  const faults = [], wrong = WRONG, settle = async () => { for (let k = 0; k < 5; k++) await null; };
  const all = (selector) => [...figure.querySelectorAll(selector)];
  let state = 7;
  const coin = () => (state = (state * 48271) % 2147483647) / 2147483647 < 0.5;
  const corners = [() => false, () => true, ...Array.from({ length: 6 }, () => coin)];
  const check = (doing) => { for (const fault of wrong(figure)) faults.push(`${doing}: ${fault}`); };
  for (const [k, high] of corners.entries()) {
    for (const range of all("input[type=range]:enabled")) {
      range.value = high() ? range.max : range.min;
      range.dispatchEvent(new Event("input", { bubbles: true }));
    }
    for (const choice of all("fieldset")) {
      const radios = choice.querySelectorAll("input[type=radio]");
      (high() ? radios[radios.length - 1] : radios[0])?.click();
    }
    for (const handle of all("[role=slider]"))
      for (const key of [high() ? "ArrowRight" : "ArrowLeft", high() ? "ArrowUp" : "ArrowDown"])
        for (let i = 0; i < 14; i++) handle.dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey: true, bubbles: true }));
    await settle();
    check(`corner ${k}`);
    for (const button of all("button")) {
      button.click();
      await settle();
      check(`corner ${k}, ${button.textContent}`);
    }
  }
  return faults.slice(0, 5);
}""".replace("WRONG", WRONG)


def figures(page: Page) -> list[Locator]:
    """The live figures of a page."""
    return page.locator(".lb-figure").all()


def title(figure: Locator) -> str:
    """What a figure is called in a report."""
    return (figure.get_attribute("aria-label") or "")[:40]


def wrong(page: Page) -> list[str]:
    """What is wrong with the figures of a page as they are drawn now."""
    return [
        f"{title(f)}: {fault}" for f in figures(page) for fault in f.evaluate(WRONG)
    ]


# --- values, and the window
# ----------------------------------------------------------------------------------------


@each_live_page
def test_extreme_values_are_drawn(page_name, served):
    with live(served, page_name) as page:
        faults = [
            f"{title(f)}: {fault}"
            for f in figures(page)
            for fault in f.evaluate(EXTREMES)
        ]
        assert not faults


def take_hold(page: Page, held: Locator) -> tuple[float, float, float, float]:
    """Press the button on a control; returns the place of its figure's part on the
    screen.
    """
    held.evaluate("(c) => c.scrollIntoView({ block: 'center', behavior: 'instant' })")
    x, y, *frame = held.evaluate(
        """(c) => { const r = c.getBoundingClientRect(), f = (c.ownerSVGElement ?? c).getBoundingClientRect();
          const at = c.type === "range" ? (8 + ((c.value - c.min) / (c.max - c.min || 1)) * (r.width - 16)) / r.width : 0.5;
          return [r.x + at * r.width, r.y + r.height / 2, f.x, f.y, f.width, f.height]; }"""
    )
    page.mouse.move(x, y)
    page.mouse.down()
    return tuple(frame)


def drag_wildly(
    page: Page, held: Locator, seconds: float, chance: random.Random
) -> int:
    """Move a control about, across its figure and beyond; returns how many moves that
    were.
    """
    x, y, width, height = take_hold(page, held)
    moves, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        page.mouse.move(
            x + chance.uniform(-0.2, 1.2) * width,
            y + chance.uniform(-0.2, 1.2) * height,
        )
        moves += 1
    page.mouse.up()
    return moves


DRAWS = "(f) => +f.dataset.draws"
FITS = "(f) => { const r = f.getBoundingClientRect(); return r.left >= 0 && r.right <= innerWidth + 1; }"


@each_telling_page
def test_a_window_may_change_under_the_hand(page_name, served):
    """It grows narrow in the middle of a drag; the tab is put to sleep in the middle of
    another, and wakes up.
    """
    with live(served, page_name) as page:
        tab = page.context.new_cdp_session(page)
        for figure in figures(page):
            held = figure.locator(HELD).first
            if not held.count():
                continue
            before = figure.evaluate(DRAWS)
            x, y, width, height = take_hold(page, held)
            page.mouse.move(x + 0.3 * width, y + 0.4 * height)
            page.set_viewport_size({"width": 420, "height": 700})
            page.mouse.move(x + 0.6 * width, y + 0.7 * height)
            page.mouse.move(40, 300)
            assert figure.evaluate(FITS), (
                f"{title(figure)} does not fit into a narrow window"
            )
            page.mouse.up()
            page.set_viewport_size({"width": 1100, "height": 900})
            take_hold(page, held)
            for state in ("frozen", "active"):
                tab.send("Page.setWebLifecycleState", {"state": state})
            page.mouse.move(x + 0.2 * width, y + 0.3 * height)
            page.mouse.move(x + 0.8 * width, y + 0.6 * height)
            page.mouse.up()
            assert figure.evaluate(DRAWS) > before, (
                f"{title(figure)} has stopped drawing"
            )
        assert not wrong(page)


def test_two_tabs_know_nothing_of_each_other(served):
    name = telling_pages()[-1]
    picture = "() => [...document.querySelectorAll('.lb-figure')].map((f) => f.dataset.draws + f.querySelector('svg')?.outerHTML).join()"
    with live(served, name) as first:
        second = first.context.new_page()
        heard: list[str] = []
        second.on("pageerror", lambda error: heard.append(str(error)))
        second.goto(first.url)
        mount(second)
        before = second.evaluate(picture)
        held = first.locator(".lb-figure").first.locator(HELD).first
        x, y, width, height = take_hold(first, held)
        second.bring_to_front()  # away with the button down
        first.bring_to_front()
        start = first.evaluate(picture)
        first.mouse.move(x + 0.3 * width, y + 0.4 * height)
        first.mouse.move(x + 0.8 * width, y + 0.6 * height)
        first.mouse.up()
        until(first, f"({picture})() !== {json.dumps(start)}")
        assert second.evaluate(picture) == before
        second.evaluate(
            "document.querySelector('.lb-figure input[type=range]').focus()"
        )
        second.keyboard.press("End")
        second.close()
        assert not heard
        assert not wrong(first)


# --- dragging
# ------------------------------------------------------------------------------------------------------


class Gauge:
    """What a page holds in memory once its garbage is collected, and how long its tasks
    take.
    """

    def __init__(self, browser: Browser, page: Page, trace: Path) -> None:
        self.browser, self.page, self.trace = browser, page, trace
        self.tools = page.context.new_cdp_session(page)
        self.tools.send("Performance.enable")
        self.tools.send("HeapProfiler.enable")
        page.evaluate(
            """() => { window.longTasks = [];
              new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((e) => e.duration))).observe({ type: "longtask" }); }"""
        )

    def held(self) -> dict[str, float]:
        """Bytes of the heap, listeners, nodes."""
        for _ in range(2):
            self.tools.send("HeapProfiler.collectGarbage")
        known = {
            m["name"]: m["value"]
            for m in self.tools.send("Performance.getMetrics")["metrics"]
        }
        return {k: known[k] for k in ("JSHeapUsedSize", "JSEventListeners", "Nodes")}

    def during(self, act: Callable[[], None]) -> tuple[list[float], list[float]]:
        """What an act costs the page's own thread: milliseconds of its tasks, and of
        those that the reader waited for more than 50 ms, with what else the machine did
        meanwhile.
        """
        self.page.evaluate(
            "new Promise((done) => setTimeout(done, 60)).then(() => { longTasks.length = 0; })"
        )
        self.browser.start_tracing(
            page=self.page, path=self.trace, categories=["toplevel"]
        )
        act()
        self.browser.stop_tracing()
        waited = self.page.evaluate(
            "new Promise((done) => setTimeout(() => done([...longTasks]), 60))"
        )
        events = json.loads(self.trace.read_text(encoding="utf-8"))["traceEvents"]
        main = {
            (e["pid"], e["tid"])
            for e in events
            if e["name"] == "thread_name" and e["args"]["name"] == "CrRendererMain"
        }
        tasks = [
            e["tdur"] / 1000
            for e in events
            if e["name"] == "ThreadControllerImpl::RunTask"
            and (e["pid"], e["tid"]) in main
            and "tdur" in e
        ]
        assert tasks, "the trace has no tasks: Chromium names them otherwise now"
        return sorted(tasks), sorted(waited)


@each_dragged_page
def test_wildly_dragged_it_leaks_nothing_and_never_holds_up_the_page(
    page_name, served, browser, tmp_path, capsys
):
    """A task is held to 50 ms of its own thread's time (of an idle machine's), which
    other programs can't take from it; in the best of three drags, for a browser
    compiles and collects at times of its own.
    """
    chance, faults, report = random.Random(0), [], []
    with live(served, page_name) as page:
        gauge = Gauge(browser, page, tmp_path / "trace.json")
        for figure in figures(page):
            some = figure.locator(HELD).all()[: None if LONG else 3]
            if not some:
                continue
            for held in some:
                # what a figure keeps for good, it has now
                drag_wildly(page, held, max(0.15, SECONDS / 10), chance)
            before, moves = gauge.held(), 0

            def drag(some: list[Locator] = some) -> None:
                nonlocal moves
                moves = sum(
                    drag_wildly(page, held, SECONDS / len(some), chance)
                    for held in some
                )

            for _ in range(1 if LONG else 3):
                start, slow = figure.evaluate(DRAWS), slowness(page)
                tasks, waited = gauge.during(drag)
                draws = figure.evaluate(DRAWS) - start
                if tasks[-1] <= TASK * slow and draws >= 3:
                    break  # else a busy machine had no frame to spare: once more
            for _ in range(2):
                after = gauge.held()
                heap, listeners, nodes = (after[k] - before[k] for k in after)
                if heap <= HEAP:
                    break
                before = after  # what is kept once is no leak: a leak grows again
                drag()
            busy = [t for t in tasks if t > 2] or tasks
            line = (
                f"{page_name}, {title(figure)!r}: {moves} moves, {draws} drawings; tasks over 2 ms: {len(busy)}, median "
                f"{busy[len(busy) // 2]:.0f}, 99% {busy[int(0.99 * len(busy))]:.0f}, longest {tasks[-1]:.0f} ms of its thread; "
                f"waited over 50 ms: {len(waited)}, longest {max(waited, default=0):.0f}; "
                f"heap {heap / 1e3:+.0f} kB, listeners {listeners:+.0f}, nodes {nodes:+.0f}"
            )
            report.append(line)
            if draws < 3:
                faults.append(f"hardly draws: {line}")
            if tasks[-1] > TASK * slow:
                faults.append(f"holds up the page: {line}")
            if heap > HEAP or listeners > 0 or nodes > 40:
                faults.append(f"leaks: {line}")
        faults += wrong(page)
    with capsys.disabled():
        print("", *report, sep="\n")
    assert report
    assert not faults


# --- what is lost
# --------------------------------------------------------------------------------------------------


POSTERS = """async () => {
  const faults = [];
  for (const place of document.querySelectorAll(".lb-live:not([data-mounted])")) {
    const poster = place.querySelector("img.lb-poster");
    if (place.querySelector(".lb-figure")) faults.push("half a figure stands beside its poster");
    if (!poster?.checkVisibility()) { faults.push("no poster"); continue; }
    poster.loading = "eager";
    await poster.decode();
    if (poster.naturalWidth < 100) faults.push(`an empty poster: ${poster.src}`);
  }
  return faults;
}"""


def bring_all_near(page: Page) -> int:
    """Scroll to every place of a figure; returns how many there are."""
    places = page.locator(".lb-live").all()
    for place in places:
        place.evaluate(
            "(p) => p.scrollIntoView({ block: 'center', behavior: 'instant' })"
        )
        page.evaluate("new Promise(requestAnimationFrame)")
    return len(places)


def uncaught(heard: list[str]) -> list[str]:
    """Of what a page said, the errors that nobody caught."""
    return [said for said in heard if said.startswith("error:")]


# the runtime meets them, whichever figure it is
DAMAGES = ["cut short", "another", "runtime lost"]


@pytest.mark.parametrize(
    ("damage", "page_name"),
    [("lost", name) for name in telling_pages()]
    + [(d, telling_pages()[-1]) for d in DAMAGES],
)
def test_a_lost_or_damaged_file_leaves_the_poster(damage, page_name, served):
    def answer(route: Route) -> None:
        name = urlsplit(route.request.url).path.rpartition("/")[2]
        if name == "live.js" or name.endswith(".css"):
            route.abort() if damage == "runtime lost" and name == "live.js" else route.continue_()
        elif damage == "lost":
            route.abort()
        elif damage == "cut short":
            text = (SITE / "_static" / "live" / name).read_text(encoding="utf-8")
            route.fulfill(body=text[: len(text) // 2], content_type="text/javascript")
        else:
            route.fulfill(
                body="throw new Error('not what was meant');",
                content_type="text/javascript",
            )

    with served() as visit:
        visit.page.route("**/_static/live/*", answer)
        page = visit.go(page_name)
        expected = bring_all_near(page)
        if damage != "runtime lost":
            until(page, f"LatentBook.failures.length >= {expected}", seconds=60)
        assert page.locator(".lb-live img.lb-poster").count() == expected > 0
        assert not page.evaluate(POSTERS)
        assert not uncaught(visit.heard)


def own_arrays(page_name: str) -> list[tuple[int, str]]:
    """Numbers of the figures of a page that have an array which no other has, and it."""
    known = stored(page_name)
    text = (SITE / page_name).read_text(encoding="utf-8")
    models = re.findall(r"lb-model-(\w+)", text)
    used = [{name for _, name in known[m]["arrays"]} for m in models]
    return [
        (k, min(own))
        for k, arrays in enumerate(used)
        if (own := arrays - set().union(*used[:k], *used[k + 1 :]))
    ]


def test_some_figures_have_arrays_of_their_own():
    assert sum(bool(own_arrays(name)) for name in telling_pages()) >= 3


@pytest.mark.parametrize("page_name", list(filter(own_arrays, telling_pages())))
def test_a_lost_array_costs_one_figure_and_no_other(page_name, served):
    number, own = own_arrays(page_name)[0]
    with served() as visit:
        visit.page.route(f"**/_static/live/{own}.js", lambda route: route.abort())
        page = visit.go(page_name)
        expected = bring_all_near(page)
        until(
            page,
            f"document.querySelectorAll('.lb-live[data-mounted]').length === {expected - 1}",
            seconds=60,
        )
        until(page, "LatentBook.failures.length === 1")
        assert (
            page.locator(".lb-live").nth(number).locator("img.lb-poster").count() == 1
        )
        assert not page.evaluate(POSTERS)
        assert not uncaught(visit.heard)


# From now on no figure can be drawn on, as if a script had a fault that shows late. The
# theme, which marks in the contents where the reader is, goes on.
BREAK = """() => {
  const refuse = () => { throw new Error("a late fault"); };
  const mark = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (...given) {
    return this.isConnected && !this.closest(".lb-live") ? mark.apply(this, given) : refuse();
  };
  for (const name of ["putImageData", "drawImage"]) CanvasRenderingContext2D.prototype[name] = refuse;
}"""
NUDGE = """() => { for (const figure of document.querySelectorAll(".lb-figure")) {
  for (const range of figure.querySelectorAll("input[type=range]")) {
    range.value = +range.value > (+range.min + +range.max) / 2 ? range.min : range.max;
    range.dispatchEvent(new Event("input", { bubbles: true }));
  }
  for (const handle of figure.querySelectorAll("[role=slider]"))
    for (const key of ["ArrowLeft", "ArrowRight"]) handle.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  for (const button of figure.querySelectorAll("button, input[type=radio]")) button.click();
} }"""


@each_telling_page
def test_an_error_in_a_later_drawing_brings_the_poster_back(page_name, served):
    with served.kept(page_name, viewport=WINDOW) as visit:
        page, visit.spent = visit.page, True
        expected = visit.mount()
        said = len(visit.heard)
        page.evaluate(BREAK)
        page.evaluate(NUDGE)
        until(page, "!document.querySelector('.lb-figure')")
        assert page.locator(".lb-live img.lb-poster").count() == expected
        assert not page.evaluate(POSTERS)
        assert page.evaluate(
            "LatentBook.failures.every((said) => said === 'Error: a late fault')"
        )
        assert page.evaluate("LatentBook.failures.length") == expected, (
            "each failed once"
        )
        assert not uncaught(visit.heard)
        del visit.heard[said:]  # each fault is told, as it should be
