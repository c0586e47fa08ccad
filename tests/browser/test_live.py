"""Every live figure: it mounts, and each of its controls moves it by mouse, by keyboard
and by touch, within a frame.

Which figures there are, and which controls they have, is read from the built site.
"""

from collections.abc import Callable
from typing import Any

from browsing import (
    OVERLAPS,
    chapters,
    each_live_page,
    live,
    live_pages,
    slowness,
    until,
)
from playwright.sync_api import CDPSession, ElementHandle, Page

# The control that a tester has hold of, and what can be seen of its figure. A handle
# itself does not count: that it follows the pointer says nothing about the figure.
SEE = """(control) => {
  const root = control.closest(".lb-figure");
  const shapes = [...root.querySelectorAll("svg")].map((svg) => {
    const copy = svg.cloneNode(true);
    copy.querySelectorAll(".lb-handle").forEach((n) => n.remove());
    for (const n of [copy, ...copy.querySelectorAll("*")]) for (const a of [...n.attributes]) if (a.name.startsWith("aria-")) n.removeAttribute(a.name);
    return copy.outerHTML;
  });
  const picture = [...root.querySelectorAll("canvas")].map((c) => c.toDataURL()).concat(shapes).join();
  let hash = 0;
  for (let i = 0; i < picture.length; i++) hash = (hash * 31 + picture.charCodeAt(i)) | 0;
  return { picture: `${picture.length}:${hash}`, draws: +root.dataset.draws, said: control.getAttribute("aria-valuetext") };
}"""
CONTROLS = (
    "input[type=range], input[type=radio], input[type=checkbox], button, [role=slider]"
)
# Twenty-one moves, each timed from the event to the picture laid out anew.
TIMES = """async (control) => {
  const root = control.closest(".lb-figure"), times = [], range = control.matches("input[type=range]");
  for (let i = 0; i < 21; i++) {
    const before = root.dataset.draws, start = performance.now();
    if (range) {
      const low = +control.min, high = +control.max;
      control.value = low + (high - low) * (0.15 + 0.7 * ((i * 0.37) % 1));
      control.dispatchEvent(new Event("input", { bubbles: true }));
    } else control.dispatchEvent(new KeyboardEvent("keydown", { key: ["ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown"][i % 4], bubbles: true }));
    for (let k = 0; k < 3; k++) await null; // the drawing is a microtask
    root.getBoundingClientRect();
    if (root.dataset.draws !== before) times.push(performance.now() - start);
    await new Promise(i % 7 ? setTimeout : requestAnimationFrame);
  }
  return times;
}"""


def median(times: list[float]) -> float:
    """The middle one."""
    return sorted(times)[len(times) // 2]


class Hand:
    """What a control is moved with: `drag` from a point to a point, `tap` on a point."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        raise NotImplementedError

    def tap(self, at: tuple[float, float]) -> None:
        raise NotImplementedError


class Mouse(Hand):
    """The pointer, button down between the points."""

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move(*end, steps=6)
        self.page.mouse.up()

    def tap(self, at: tuple[float, float]) -> None:
        self.page.mouse.click(*at)


class Finger(Hand):
    """Touches as the browser gets them from the screen."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.screen: CDPSession = page.context.new_cdp_session(page)
        self.screen.send("Emulation.setTouchEmulationEnabled", {"enabled": True})

    def _touch(self, kind: str, *points: tuple[float, float]) -> None:
        self.screen.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]},
        )

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self._touch("touchStart", start)
        for k in range(1, 7):
            part = k / 6
            self._touch(
                "touchMove",
                tuple(a + part * (b - a) for a, b in zip(start, end, strict=True)),
            )
        self._touch("touchEnd")

    def tap(self, at: tuple[float, float]) -> None:
        self._touch("touchStart", at)
        self._touch("touchEnd")

    def leave(self) -> None:
        """The screen feels no fingers any more."""
        self.screen.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
        self.screen.detach()


# What kind of control it is and what a screen reader calls it; then also how far along
# its range it stands, where it and the middle of its plot are on the screen, and what is
# seen.
KNOWN = """(c) => ({ kind: c.getAttribute("role") ?? (c.type || c.tagName.toLowerCase()),
  name: (c.getAttribute("aria-label") ?? [...(c.labels ?? [])].map((l) => l.textContent).join(" ")).trim() || c.textContent.trim() })"""
READY = """(c) => {
  c.scrollIntoView({ block: "nearest", behavior: "instant" });
  const middle = (node) => { const r = node.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; };
  return { ...(KNOWN)(c), share: (c.value - c.min) / (c.max - c.min), at: middle(c), width: c.getBoundingClientRect().width,
    plot: middle(c.ownerSVGElement ?? c), chosen: c.checked ?? false, tab: c.tabIndex, seen: (SEE)(c) };
}""".replace("KNOWN", KNOWN).replace("SEE", SEE)
# What is seen once the picture is another, or after a second.
CHANGED = """async (control, before) => {
  const see = SEE, end = performance.now() + 1000;
  for (;;) {
    const seen = see(control);
    if (seen.picture !== before || performance.now() > end) return seen;
    await new Promise((done) => setTimeout(done, 25));
  }
}""".replace("SEE", SEE)


def by_hand(control: ElementHandle, ready: dict[str, Any], hand: Hand) -> None:
    """Move a control to another place, or press it."""
    assert ready["width"] > 0, "cannot be seen"
    x, y = ready["at"]
    if ready["kind"] == "range":
        # the knob stays in the track
        left, inner = x - ready["width"] / 2 + 8, ready["width"] - 16
        aim = 0.2 if ready["share"] > 0.5 else 0.8
        hand.drag((left + ready["share"] * inner, y), (left + aim * inner, y))
    elif ready["kind"] == "slider":  # towards the middle of the plot
        toward = [
            1 if p > q else -1 for p, q in zip(ready["plot"], (x, y), strict=True)
        ]
        hand.drag((x, y), (x + 45 * toward[0], y + 35 * toward[1]))
    else:
        hand.tap((x, y))


def by_keys(control: ElementHandle, ready: dict[str, Any], page: Page) -> None:
    """Move a control with the keys that its kind answers to."""
    assert ready["tab"] == 0, "is out of Tab's reach"
    control.focus()
    if ready["kind"] == "range":
        for _ in range(5):
            page.keyboard.press("ArrowLeft" if ready["share"] > 0.5 else "ArrowRight")
    elif ready["kind"] == "slider":
        for key in ("ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown"):
            for _ in range(3):
                page.keyboard.press(key)
            if control.evaluate(SEE)["picture"] != ready["seen"]["picture"]:
                break
    else:
        page.keyboard.press("Space")


def try_controls(page: Page, move: Callable[..., None], hand: Hand | Page) -> list[str]:
    """Move every control of every figure, and say which had no effect."""
    faults, tried = [], 0
    for figure in page.query_selector_all(".lb-figure"):
        title = figure.evaluate(
            """(f) => { f.scrollIntoView({ block: "center", behavior: "instant" });
              return (f.getAttribute("aria-label") ?? "").slice(0, 50); }"""
        )
        controls = [
            (c, c.evaluate(KNOWN))
            for c in figure.query_selector_all(
                f":is({CONTROLS}):enabled, [role=slider]"
            )
        ]
        if not controls:
            faults.append(f"{title}: no controls")
        # buttons come last: then there is something to reset
        controls.sort(key=lambda known: known[1]["kind"] == "button")
        for control, known in controls:
            kind, what = known["kind"], f"{title}: {known['kind']} '{known['name']}'"
            if not known["name"]:
                faults.append(f"{what} has no name")
            # on a busy machine the page may still shift under the first touch
            for _ in range(3):
                ready = control.evaluate(READY)
                before = after = ready["seen"]
                if kind == "radio" and ready["chosen"]:
                    break
                try:
                    move(control, ready, hand)
                except AssertionError as error:
                    faults.append(f"{what} {error}")
                after = control.evaluate(CHANGED, before["picture"])
                if after["picture"] != before["picture"]:
                    break
            if kind == "radio" and ready["chosen"]:
                continue
            tried += 1
            if after["picture"] == before["picture"]:
                faults.append(f"{what} does not change the picture")
            if after["draws"] <= before["draws"]:
                faults.append(f"{what} does not draw")
            if kind in ("range", "slider"):
                if not after["said"]:
                    faults.append(f"{what} does not say its value")
                elif after["said"] == before["said"]:
                    faults.append(f"{what} still says '{after['said']}'")
        if overlapping := figure.evaluate(OVERLAPS):
            faults.append(f"{title}: once moved, {overlapping}")
    assert tried, "no control was tried"
    return faults


def test_there_are_live_figures():
    """The tests below would pass over a book without any."""
    assert len(live_pages()) >= 2
    for chapter in {"vision.html", "pca.html", "index.html"} & set(chapters()):
        assert chapter in live_pages()


@each_live_page
def test_each_control_moves_its_figure_by_mouse(page_name, served):
    with live(served, page_name, fresh=True) as page:
        assert not try_controls(page, by_hand, Mouse(page))


@each_live_page
def test_each_control_moves_its_figure_by_keyboard_from_disk(page_name, from_disk):
    with live(from_disk, page_name, fresh=True) as page:
        assert not try_controls(page, by_keys, page)


@each_live_page
def test_each_control_moves_its_figure_by_touch(page_name, served):
    with live(served, page_name, fresh=True) as page:
        finger = Finger(page)
        faults = try_controls(page, by_hand, finger)
        finger.leave()
        assert not faults


@each_live_page
def test_each_figure_answers_within_a_frame(page_name, served):
    """By the clock; where other programs hold the clock up, by the time that the page's
    own thread takes, with all that it does meanwhile.
    """
    with live(served, page_name) as page:
        slow, measured = [], 0
        tools = page.context.new_cdp_session(page)
        tools.send("Performance.enable", {"timeDomain": "threadTicks"})

        def taken() -> float:
            metrics = tools.send("Performance.getMetrics")["metrics"]
            return next(
                1e3 * m["value"] for m in metrics if m["name"] == "TaskDuration"
            )

        for control in page.query_selector_all(
            ".lb-figure :is(input[type=range], [role=slider])"
        ):
            if not control.is_enabled():
                continue
            name, best = control.evaluate(READY)["name"], float("inf")
            # the quietest round counts
            for _ in range(4):
                frame, before = 16 * slowness(page), taken()
                times = control.evaluate(TIMES)
                assert len(times) >= 8, f"{name} hardly ever draws"
                best = min(best, median(times), (taken() - before) / len(times))
                if best < frame:
                    break
            measured += 1
            if best >= frame:
                slow.append(f"{name}: {best:.1f} ms")
        tools.detach()
        assert measured
        assert not slow


@each_live_page
def test_each_figure_follows_light_and_dark(page_name, served):
    looks = """() => [...document.querySelectorAll(".lb-figure")].map((f) => {
      const style = getComputedStyle(f); return [style.backgroundColor, style.color]; })"""
    with live(served, page_name) as page:
        frames = page.locator(".lb-figure canvas.lb-frame").all()
        pictures = [frame.evaluate(SEE)["picture"] for frame in frames]
        light = page.evaluate(looks)
        choose_light(page, "dark")
        until(
            page,
            f"""!({looks})().flat().some((look, k) => look === {light}.flat()[k])""",
        )
        # drawn twice by Python
        for frame, before in zip(frames, pictures, strict=True):
            assert frame.evaluate(SEE)["picture"] != before
        choose_light(page, "light")
        until(page, f"JSON.stringify(({looks})()) === JSON.stringify({light})")


def choose_light(page: Page, theme: str) -> None:
    """Press the page's switch until it has a theme."""
    for _ in range(3):
        if page.evaluate("document.documentElement.dataset.theme") != theme:
            page.locator(".theme-switch-button:visible").first.click()
    until(page, f"document.documentElement.dataset.theme === '{theme}'")


HOSTS = {  # how each says that it is dark
    "JupyterLab, Notebook 7": "document.body.dataset.jpThemeLight = 'false'",
    "Colab": "document.documentElement.setAttribute('theme', 'dark')",
    "VS Code": "document.body.classList.add('vscode-dark')",
    "VS Code, high contrast": "document.body.classList.add('vscode-high-contrast')",
    "marimo": "document.body.classList.add('dark')",
}


def test_a_figure_is_dark_where_its_host_is(served):
    paper = "getComputedStyle(document.querySelector('.lb-figure')).backgroundColor"
    for host, says in HOSTS.items():
        with live(served, "bound.html", fresh=True) as page:
            choose_light(page, "light")
            assert page.evaluate(paper) == "rgb(255, 255, 255)"
            page.evaluate(f"() => {{ {says}; }}")
            until(page, f"{paper} === 'rgb(19, 23, 28)' /* {host} */", seconds=5)
            until(
                page,
                "document.querySelectorAll('.lb-figure:not(.lb-dark)').length === 0",
            )
