"""What a reader does on the site besides reading: follow links, search, change the
light, open the contents.
"""

import functools
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from browsing import SITE, until


class Links(HTMLParser):
    """All addresses, anchors and images of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.to: list[str] = []
        self.ids: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(
        self, tag: str, attributes: list[tuple[str, str | None]]
    ) -> None:
        values = dict(attributes)
        self.to += [values[k] or "" for k in ("href", "src") if k in values]
        self.ids += [
            values[k] or "" for k in ("id", "name") if k in values and tag != "meta"
        ]
        if tag == "img":
            self.images.append(values)


@functools.cache
def links(name: str) -> Links:
    """The links of a page."""
    return Links((SITE / name).read_text(encoding="utf-8"))


def test_every_link_of_the_site_leads_somewhere(name):
    assert links(name).to
    for address in links(name).to:
        parts = urlsplit(urljoin(f"https://site/{name}", address))
        assert parts.scheme in ("https", "mailto", "data"), (
            f"{address}: http is not safe"
        )
        if parts.scheme != "https" or parts.netloc != "site":
            continue
        target = unquote(parts.path).lstrip("/")
        assert (SITE / target).is_file(), f"{address} is not there"
        if parts.fragment and target.endswith(".html"):
            assert unquote(parts.fragment) in links(target).ids, (
                f"{address}: no such place there"
            )


def test_every_image_says_what_it_shows(name):
    for image in links(name).images:
        assert "alt" in image, image["src"]
        if "lb-poster" in (image.get("class") or "").split():
            assert (image["alt"] or "").strip(), image["src"]


def test_no_two_things_have_one_name(name):
    seen = [i for i in links(name).ids if i and i != "q" and i != "viewport"]
    assert sorted(set(seen)) == sorted(seen)


def test_search_finds_a_page(either):
    with either() as visit:
        page = visit.go("search.html?q=palette")
        result = page.locator("#search-results li a").first
        result.wait_for()
        result.click()
        page.wait_for_load_state()
        assert "palette" in page.locator("main").inner_text().lower()
    assert not visit.faults


@pytest.mark.parametrize("width", [1300, 390])
def test_search_opens_over_the_page(width, either):
    with either(viewport={"width": width, "height": 900}) as visit:
        page = visit.go("index.html")
        page.locator("button.search-button__button:visible").first.click()
        field = page.locator("dialog[open] input[name=q]")
        field.fill("notation")
        field.press("Enter")
        page.locator("#search-results li a").first.wait_for()
    assert not visit.faults


def test_a_phone_can_open_the_contents(either):
    with either(viewport={"width": 390, "height": 800}) as visit:
        page = visit.go("index.html")
        page.locator("button.primary-toggle:visible").click()
        page.locator("dialog[open] a", has_text="Notation").click()
        page.wait_for_url("**/notation.html")
        page.locator("button.secondary-toggle:visible").click()
        assert page.locator("dialog[open] a").count()
        page.keyboard.press("Escape")
        until(page, "!document.querySelector('dialog[open]')")
    assert not visit.faults


def test_a_wide_screen_can_hide_the_contents(served):
    with served(viewport={"width": 1300, "height": 800}) as visit:
        page = visit.go("index.html")
        contents = page.locator("#pst-primary-sidebar")
        assert contents.is_visible()
        page.locator("button.primary-toggle:visible").click()
        until(
            page,
            "!document.querySelector('#pst-primary-sidebar').checkVisibility({ visibilityProperty: true })",
        )
    assert not visit.faults


def test_the_choice_of_light_lasts(served):
    with served(color_scheme="light") as visit:
        page = visit.go("index.html")
        while page.evaluate("document.documentElement.dataset.mode") != "dark":
            page.locator(".theme-switch-button:visible").click()
        visit.go("notation.html")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert not visit.faults
