"""What the browser tests share: the built site, its server, and a page that remembers
what went wrong on it.
"""

import functools
import http.server
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Page

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
LOOKS = {  # width and colour scheme
    "wide-light": (1300, "light"),
    "wide-dark": (1300, "dark"),
    "narrow-light": (390, "light"),
    "narrow-dark": (390, "dark"),
}


def pages() -> list[str]:
    """Every page of the built site; the theme's own templates under `_static` are none."""
    found = sorted(str(path.relative_to(SITE)) for path in SITE.rglob("*.html"))
    return [name for name in found if not name.startswith("_static/")]


LIVE = re.compile(r'class="[^"]*\blb-live\b')


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
        refused.clear()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.heard.append(f"error: {error}"))
        page.on("requestfailed", self._failed)
        page.on("request", self._request)

    def _failed(self, request) -> None:
        # what was still loading when the page was left
        if request.failure != "net::ERR_ABORTED":
            self.heard.append(f"failed request: {request.url} ({request.failure})")

    def _console(self, message) -> None:
        if message.type in ("error", "warning", "assert"):
            self.heard.append(f"console {message.type}: {message.text}")

    def _request(self, request) -> None:
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


@contextmanager
def visit(
    browser: Browser, address: str, refused: list[str], **options: object
) -> Iterator[Visit]:
    """A fresh context (nothing cached, nothing stored) with one page in it."""
    context = browser.new_context(**options)
    context.set_default_timeout(20_000)
    try:
        yield Visit(context.new_page(), address, refused)
    finally:
        context.close()


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
def live(visiting: Callable, name: str, **options: object) -> Iterator[Page]:
    """A page with its figures mounted; nothing may go wrong while it is open."""
    with visiting(viewport={"width": 1100, "height": 900}, **options) as visit:
        page = visit.go(name)
        assert mount(page) > 0
        yield page
        assert page.evaluate("LatentBook.failures.length") == 0
    assert not visit.faults


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
