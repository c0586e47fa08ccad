"""What the browser tests share: the built site, its server, and a page that remembers
what went wrong on it.
"""

import functools
import http.server
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Page, Request

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("BOOK_SITE", ROOT / "_build" / "html")).resolve()
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # nobody else can be reached
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
WINDOW = {"width": 1100, "height": 900}
LOOKS = {  # width and colour scheme
    "wide-light": (1300, "light"),
    "wide-dark": (1300, "dark"),
    "narrow-light": (390, "light"),
    "narrow-dark": (390, "dark"),
}


@functools.cache
def pages() -> list[str]:
    """Every page of the built site; the theme's own templates under `_static` are none."""
    found = sorted(str(path.relative_to(SITE)) for path in SITE.rglob("*.html"))
    return [name for name in found if not name.startswith("_static/")]


LIVE = re.compile(r'class="[^"]*\blb-live\b')


@functools.cache
def live_pages() -> list[str]:
    """The pages that have a live figure."""
    return [
        name
        for name in pages()
        if LIVE.search((SITE / name).read_text(encoding="utf-8"))
    ]


each_live_page = pytest.mark.parametrize("page_name", live_pages())


def chapters() -> list[str]:
    """The pages that the table of contents promises."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    names, todo = [toc["root"]], [toc]
    while todo:
        part = todo.pop()
        if "file" in part:
            names.append(part["file"])
        for key in ("parts", "chapters", "sections"):
            todo += part.get(key, [])
    return [f"{name}.html" for name in names]


class Server:
    """The site at a loopback address; `refused` lists what it could not serve."""

    def __init__(self, folder: Path) -> None:
        refused = self.refused = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def send_error(self, code: int, *args: object, **kwargs: object) -> None:
                refused.append(f"{code} {self.path}")
                super().send_error(code, *args, **kwargs)

        handler = functools.partial(Handler, directory=str(folder))
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}/"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self.http.shutdown()
        self.http.server_close()


class Visit:
    """A page of the site in a context of its own, and all that went wrong on it so far."""

    def __init__(self, page: Page, address: str, refused: list[str]) -> None:
        self.page, self.address, self.refused = page, address, refused
        self.heard: list[str] = []
        self.under_way: set[Request] = set()
        self.sent: set[str] = set()
        self.figures: int | None = None
        self.spent = False  # by what no later test can bear
        refused.clear()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.heard.append(f"error: {error}"))
        page.on("requestfailed", self._failed)
        page.on("request", self._request)
        page.on("requestfinished", lambda request: self.under_way.discard(request))
        page.on("response", lambda answer: self.sent.add(answer.url))

    def _failed(self, request) -> None:
        self.under_way.discard(request)
        # what was still loading when the page was left
        if request.failure != "net::ERR_ABORTED":
            self.heard.append(f"failed request: {request.url} ({request.failure})")

    def _console(self, message) -> None:
        if message.type in ("error", "warning", "assert"):
            self.heard.append(f"console {message.type}: {message.text}")

    def _request(self, request) -> None:
        self.under_way.add(request)
        if not request.url.startswith(
            (self.address, "data:", f"blob:{self.address}", "blob:null")
        ):
            self.heard.append(f"foreign request: {request.url}")

    @property
    def faults(self) -> list[str]:
        """Everything that should not have happened."""
        return self.heard + [f"not served: {what}" for what in self.refused]

    def go(self, name: str) -> Page:
        """Open a page of the site."""
        self.page.goto(self.address + name, wait_until="load")
        return self.page

    def mount(self) -> int:
        """Mount the page's figures, once; how many there are."""
        if self.figures is None:
            self.figures = mount(self.page)
        return self.figures

    def settle(self) -> None:
        """Wait until nothing is under way and the page has nothing to do."""
        end = time.monotonic() + 20
        while True:
            self.page.evaluate(IDLE)
            if not self.under_way:
                return
            assert time.monotonic() < end, f"still under way: {self.under_way}"


IDLE = """() => new Promise((done) =>
  requestIdleCallback(() => requestAnimationFrame(() => setTimeout(done)), { timeout: 2000 }))"""


class Way:
    """A way to the site, by its server or from the disk.

    `with way(viewport=...) as visit` is a visit with nothing cached and nothing stored.
    `with way.kept(name) as visit` is a visit that the tests of a page share: the first
    of them opens it. One that went wrong is closed, and the next test has a new one.
    """

    # one for all ways, so that nothing else is at work where times are measured
    _open: ExitStack | None = None
    _visit: Visit
    _key: tuple[object, ...] = ()

    def __init__(self, browser: Browser, address: str, refused: list[str]) -> None:
        self.browser, self.address, self.refused = browser, address, refused

    @contextmanager
    def __call__(self, **options: object) -> Iterator[Visit]:
        context = self.browser.new_context(**options)
        context.set_default_timeout(20_000)
        try:
            yield Visit(context.new_page(), self.address, self.refused)
        finally:
            context.close()

    @contextmanager
    def kept(
        self, name: str, *, fresh: bool = False, **options: object
    ) -> Iterator[Visit]:
        """The shared visit of a page; nothing may go wrong while a test has it."""
        key = (self.address, name, repr(options))
        if fresh or Way._key != key:
            Way.leave()
            Way._open = ExitStack()
            Way._visit = Way._open.enter_context(self(**options))
            Way._visit.go(name)
            Way._key = key
        visit = Way._visit
        try:
            yield visit
            assert not visit.faults
        except BaseException:
            visit.spent = True
            raise
        finally:
            if visit.spent:
                Way.leave()

    @staticmethod
    def leave() -> None:
        """Close the visit that is kept."""
        if Way._open is not None:
            Way._open.close()
        Way._open, Way._key = None, ()


def until(page: Page, script: str, *, seconds: float = 20) -> None:
    """Wait for a script to give true. (Playwright's own way evaluates strings, which
    the page's policy forbids.)
    """
    end = time.monotonic() + seconds
    while not page.evaluate(script):
        assert time.monotonic() < end, f"this never came true: {script}"
        page.wait_for_timeout(30)


DRAWN = """() => [...document.querySelectorAll('.lb-live')].every((place) => 'mounted' in place.dataset
  && place.querySelector('.lb-figure[data-draws]')
  && [...place.querySelectorAll('canvas')].every((canvas) => {
    const blank = Object.assign(document.createElement('canvas'), { width: canvas.width, height: canvas.height });
    return canvas.toDataURL() !== blank.toDataURL(); }))"""


def mount(page: Page) -> int:
    """Scroll to each live figure and wait until all have drawn; returns how many there
    are.
    """
    places = page.locator(".lb-live").all()
    for place in places:
        place.scroll_into_view_if_needed()
    until(page, DRAWN)
    return len(places)


@contextmanager
def live(way: Way, name: str, *, fresh: bool = False) -> Iterator[Page]:
    """A page with its figures mounted, as the last test left them if not a fresh one;
    nothing may go wrong while a test has it.
    """
    with way.kept(name, fresh=fresh, viewport=WINDOW) as visit:
        visit.page.set_viewport_size(WINDOW)
        assert visit.mount() > 0
        yield visit.page
        assert visit.page.evaluate("LatentBook.failures") == []


def unfold(page: Page) -> None:
    """Open all that is folded, lay out what is out of sight as if the reader had
    scrolled there, and wait until all has faded in.
    """
    page.evaluate(
        """async () => {
          for (const part of document.querySelectorAll("main section > *")) part.style.contentVisibility = "visible";
          for (const d of document.querySelectorAll("details")) d.open = true;
          for (const b of document.querySelectorAll(".toggle-button[aria-expanded=false]")) b.click();
          for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
          await Promise.allSettled(document.getAnimations().map((motion) => motion.finished));
        }"""
    )


# Words of a figure that lie on each other. Boxes of letters are taller than the
# letters: hence the margins. What is clipped to the axes is data, and data may overlap.
OVERLAPS = """(figure) => {
  const faults = [];
  for (const svg of figure.querySelectorAll("svg")) {
    const words = [...svg.querySelectorAll("text")].filter((t) => t.textContent.trim() && !t.closest("[clip-path]")
      && t.checkVisibility({ opacityProperty: true, visibilityProperty: true }));
    const boxes = words.map((t) => {
      const r = t.getBoundingClientRect(), dx = 1, dy = Math.min(r.height, r.width) * 0.18;
      return { t: t.textContent, left: r.left + dx, right: r.right - dx, top: r.top + dy, bottom: r.bottom - dy };
    });
    boxes.forEach((a, i) => { for (const b of boxes.slice(i + 1))
      if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) faults.push(`"${a.t}" lies on "${b.t}"`); });
  }
  return faults;
}"""


WORK = """() => { let best = Infinity;
  for (let round = 0; round < 5; round++) { const start = performance.now(); let sum = 0;
    for (let i = 0; i < 1e6; i++) sum += Math.sqrt(i) * (i % 7);
    best = Math.min(best, performance.now() - start + 0 * sum); }
  return best; }"""


def slowness(page: Page) -> float:
    """How many times as long this machine now takes for a fixed piece of work as an
    idle one does; at least 1.
    """
    return max(1.0, page.evaluate(WORK) / 1.6)  # milliseconds
