"""Every page that was built: nothing goes wrong on it, nobody else is asked, and
everybody can read it.
"""

import functools
import gzip
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import axe_playwright_python
import pytest
from browsing import LOOKS, OVERLAPS, SITE, WINDOW, chapters, pages, unfold

from sphinxext import harden

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(
    encoding="utf-8"
)


def test_the_site_holds_every_chapter():
    """Without this, the other tests could pass over a site that is not there."""
    assert pages(), f"no site at {SITE}: run 'make book' first"
    assert set(chapters()) <= set(pages())
    assert {"search.html", "index.html"} <= set(pages())


def reading(look: str) -> dict[str, object]:
    """How a page is opened to be looked at."""
    width, scheme = LOOKS[look]
    size = {"width": width, "height": 900}
    return {"viewport": size, "color_scheme": scheme, "reduced_motion": "reduce"}


def test_nothing_goes_wrong_and_nobody_else_is_asked(name, from_disk):
    """From the disk; from a server, `test_everybody_can_read_it` sees to that."""
    with from_disk.kept(name, viewport=WINDOW) as visit:
        visit.mount()
        unfold(visit.page)
        visit.settle()
        assert not visit.page.evaluate("globalThis.LatentBook?.failures ?? []")


@functools.cache
def weight(path: Path) -> int:
    """Bytes of a file on its way from a server that packs what it can."""
    return min(path.stat().st_size, len(gzip.compress(path.read_bytes())))


def test_a_page_is_light_before_its_live_figures_are_reached(name, served):
    """What a server that packs its files sends for the top of a page, without the data
    of a live figure that stands there.
    """
    with served.kept(name, fresh=True, **reading("wide-light")) as visit:
        visit.settle()
        sent = {urlsplit(address).path.lstrip("/") for address in visit.sent}
    files = [SITE / path for path in sent if not path.startswith("_static/live/")]
    weights = {str(f): weight(f) for f in files}
    assert len(weights) > 5
    assert sum(weights.values()) < 1_000_000, sorted(
        weights.items(), key=lambda w: -w[1]
    )[:5]


def test_only_the_pages_own_scripts_may_run(name):
    text = (SITE / name).read_text(encoding="utf-8")
    policies = re.findall(
        r'http-equiv="Content-Security-Policy" content="([^"]+)"', text
    )
    assert len(policies) == 1, "a page has one policy"
    assert text.index(policies[0]) < text.index("<script"), (
        "it comes before the first script"
    )
    rules = dict(rule.split(" ", 1) for rule in policies[0].split("; "))
    assert rules["default-src"] == "'self'"
    assert rules["object-src"] == "'none'"
    allowed = rules["script-src"].split()
    assert allowed[0] == "'self'"
    for source in allowed[1:]:
        assert re.fullmatch(r"'sha256-[\w+/=]+'", source), source
    assert rules["script-src-attr"] == "'none'"
    assert "'unsafe-inline'" not in rules["style-src-elem"]
    for rule in ("connect-src", "frame-src", "worker-src", "base-uri"):
        assert rules[rule] == "'none'"
    assert not harden.handlers(text), "code in an attribute"
    assert not harden.THIRD_PARTY.findall(text)


def test_the_policy_stops_a_strangers_script(served):
    """The policy is not only written there: the browser enforces it."""
    ways = {
        "a script": "const s = document.createElement('script'); s.textContent = 'window.stranger = 1'; document.body.append(s);",
        "a handler": "const b = document.createElement('button'); b.setAttribute('onclick', 'window.stranger = 2'); document.body.append(b); b.click();",
        "an address": "const a = document.createElement('a'); a.href = 'javascript:window.stranger = 3'; document.body.append(a); a.click();",
        "a style": "const s = document.createElement('style'); s.textContent = 'body { --stranger: 4 }'; document.body.append(s);"
        " window.stranger = getComputedStyle(document.body).getPropertyValue('--stranger') || undefined;",
    }
    with served() as visit:
        page = visit.go("index.html")
        for name, way in ways.items():
            page.evaluate(f"() => {{ {way} }}")
            visit.settle()
            assert page.evaluate("window.stranger ?? 0") == 0, name
    assert any("Content Security Policy" in fault for fault in visit.faults)


# What a reader sees too small, overlapping or out of reach.
LAYOUT = """() => {
  const overlaps = OVERLAPS;
  const faults = [], shown = (node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const html = document.documentElement;
  if (html.scrollWidth > html.clientWidth) {
    const wide = [...document.querySelectorAll("main *")].filter((n) => n.getBoundingClientRect().right > html.clientWidth + 1);
    faults.push(`the page scrolls sideways: ${html.scrollWidth} > ${html.clientWidth}, first ${wide[0]?.outerHTML.slice(0, 120)}`);
  }
  for (const figure of document.querySelectorAll(".lb-figure")) {
    const name = figure.getAttribute("aria-label").slice(0, 40);
    for (const node of figure.querySelectorAll("*")) {
      const words = [...node.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join("").trim();
      if (!words || !shown(node)) continue;
      const m = node.getScreenCTM?.(), scale = m ? Math.sqrt(Math.abs(m.a * m.d - m.b * m.c)) : 1;
      const size = parseFloat(getComputedStyle(node).fontSize) * scale;
      if (size < 9) faults.push(`${name}: "${words}" is ${size.toFixed(1)} px`);
      if (!m && node.scrollWidth > node.clientWidth + 1 && node.clientWidth && !node.closest(".lb-spoken, .lb-scroll"))
        faults.push(`${name}: "${words}" does not fit into its place`);
    }
    for (const pair of overlaps(figure)) faults.push(`${name}: ${pair}`);
    const frame = figure.getBoundingClientRect();
    for (const node of figure.querySelectorAll("canvas, svg, input, button, .lb-value")) {
      const r = node.getBoundingClientRect();
      if (shown(node) && (r.left < frame.left - 1 || r.right > frame.right + 1)) faults.push(`${name}: ${node.outerHTML.slice(0, 80)} leaves the figure`);
    }
  }
  for (const holder of document.querySelectorAll(".lb-svg")) {
    const svg = holder.querySelector("svg"), scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    if (shown(svg) && svg.querySelector('[id*="text_"]') && scale < 0.87) faults.push(`${holder.getAttribute("aria-label").slice(0, 40)}: drawn at ${scale.toFixed(2)} px for a point`);
  }
  return faults;
}""".replace("OVERLAPS", OVERLAPS)
# Axe takes a second for a thousand elements, and a page has tens of thousands. What
# repeats itself is thinned out first: of each kind of word in code one is kept, the
# first formulas whole and the others as their letters, and no strokes of drawings.
THIN = """() => {
  for (const svg of document.querySelectorAll(".lb-svg svg")) svg.replaceChildren();
  for (const stroke of document.querySelectorAll("svg.icon :is(path, rect)")) stroke.remove();
  const kept = new Set();
  for (const token of document.querySelectorAll("pre span[class]"))
    if (kept.has(token.className)) token.replaceWith(...token.childNodes); else kept.add(token.className);
  for (const inline of [true, false])
    for (const formula of [...document.querySelectorAll(".katex")].filter((k) => inline === !k.closest("div.math")).slice(5)) {
      const box = formula.closest("div.math"), letters = formula.querySelector(".katex-html");
      if (box && box.scrollWidth > box.clientWidth) continue;
      letters.textContent = letters.textContent;
      letters.style.display = "inline-block";
      letters.style.maxWidth = "100%";
      letters.style.overflow = "hidden";
      formula.querySelector(".katex-mathml").replaceChildren();
    }
}"""
# Contrast is looked at where words differ in colour, in size, in what lies behind them,
# or in the kind of their place: of those that are alike in all this, at the first three.
SAMPLE = """() => {
  const behind = new Map([[null, ""]]), seen = {};
  const ground = (node) => {
    if (!behind.has(node)) {
      const { backgroundColor, backgroundImage, opacity, filter } = getComputedStyle(node);
      const own = [backgroundColor, backgroundImage, opacity, filter].join();
      behind.set(node, ground(node.parentElement) + (own === "rgba(0, 0, 0, 0),none,1,none" ? "" : `|${own}`));
    }
    return behind.get(node);
  };
  const kind = (node) => `${node?.tagName}.${node?.getAttribute("class")}`;
  for (const node of document.body.querySelectorAll("*")) {
    const words = [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!words && !node.matches("input, select, textarea")) continue;
    const { color, fontSize, fontWeight, textShadow } = getComputedStyle(node);
    const like = [ground(node), color, fontSize, fontWeight, textShadow, kind(node), kind(node.parentElement)].join();
    seen[like] = (seen[like] ?? 0) + 1;
    if (seen[like] <= 3 || node.closest(".lb-figure")) node.dataset.sample = "";
  }
  axe.configure({ rules: [{ id: "color-contrast", selector: "[data-sample]" }] });
}"""
VIOLATIONS = """async () => {
  (SAMPLE)();
  const { violations, passes } = await axe.run(document, { resultTypes: ["violations"], preload: false });
  if (!passes.some((rule) => rule.id === "color-contrast")) return ["no contrast was looked at"];
  return violations.flatMap((v) => v.nodes.map((n) => `${v.id} (${v.help}): ${n.target}: ${n.html.slice(0, 160)}: ${n.failureSummary}`));
}""".replace("SAMPLE", SAMPLE)


# Two of the four show each width and each scheme. BOOK_ALL_LOOKS=1 tries all.
@pytest.mark.parametrize(
    "look", LOOKS if "BOOK_ALL_LOOKS" in os.environ else ["wide-light", "narrow-dark"]
)
def test_everybody_can_read_it(name, look, served):
    """Layout, and axe-core without a rule switched off; folds open, figures mounted."""
    with served.kept(name, **reading(look)) as visit:
        page = visit.page
        visit.mount()
        unfold(page)
        assert page.evaluate("document.documentElement.dataset.theme") == LOOKS[look][1]
        faults = page.evaluate(LAYOUT)
        visit.spent = True
        page.evaluate(THIN)
        page.evaluate(AXE)
        faults += page.evaluate(VIOLATIONS)
        assert not faults


@pytest.mark.parametrize("look", ["narrow-light", "narrow-dark"])
@pytest.mark.parametrize(
    "button", [".primary-toggle", ".secondary-toggle", ".search-button"]
)
def test_everybody_can_read_what_opens_over_the_page(button, look, served):
    with served(**reading(look)) as visit:
        page = visit.go("workshop/figures/kit.html")
        page.locator(f"button{button}:visible").first.click()
        page.locator("dialog[open]").wait_for()
        page.evaluate(AXE)
        assert not page.evaluate(VIOLATIONS)
    assert not visit.faults


WITHOUT_JAVASCRIPT = """async () => {
  const faults = [], shown = (node) => node?.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  for (const place of document.querySelectorAll(".lb-live")) {
    const poster = place.querySelector("img.lb-poster");
    if (!shown(poster) || !poster.alt.trim()) faults.push(`no poster: ${place.outerHTML.slice(0, 200)}`);
    poster.loading = "eager";
    await poster.decode();
    if (poster.naturalWidth < 100) faults.push(`an empty poster: ${poster.src}`);
  }
  for (const formula of document.querySelectorAll(".math"))
    if (!formula.querySelector(".katex-html") || !formula.querySelector(".katex-mathml math")) faults.push(`not typeset: ${formula.textContent}`);
  return faults;
}"""


def test_it_can_be_read_without_javascript(name, from_disk):
    with from_disk(java_script_enabled=False) as visit:
        page = visit.go(name)
        assert not page.evaluate(WITHOUT_JAVASCRIPT)
        words = page.locator("main").inner_text()
    assert len(words) > 100
    # scripts, refused
    assert not [fault for fault in visit.faults if not fault.endswith("(csp)")]
