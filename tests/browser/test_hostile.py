"""What a stranger can put into an address or a field of the site does nothing but be
looked for.
"""

import time
from urllib.parse import quote

import pytest
from browsing import Visit, slowness, until

MARK = "window.stranger=1"
QUERIES = {
    "script": f"<script>{MARK}</script>",
    "handler": f"<img src=x onerror={MARK}>",
    "svg": f'"><svg/onload="{MARK}">',
    "closing": f"</title></textarea></script><script>{MARK}</script>",
    "address": f"javascript:{MARK}//",
    "data": f"data:text/html,<script>{MARK}</script>",
    "entities": f"&lt;script&gt;{MARK}&lt;/script&gt; &#x3c;img src=x onerror={MARK}&#x3e;",
    "template": "${" + MARK + "} {{constructor.constructor('" + MARK + "')()}}",
    "quotes": "'\"`'\"`\\",
    "regex": "(.*)+[a-z]{1,99}$ ^(a+)+b \\d [ ( * + ?",
    "one bracket": "[",
    "percent": "%00 %3Cscript%3E %",
    "control": "\x00\x01\x1b[31m\u2028\u2029\ufeff",
    "other scripts": "变分 自编码 вариация שלום \u202egnidaer 𝓛 İSTANBUL ß",
    "emoji": "🧠👩‍👩‍👧‍👦" * 20,
    "every object": "constructor __proto__ toString hasOwnProperty valueOf",
    "constructor": "constructor",
    "proto": "__proto__",
    "length": "length",
    "minus": "-palette --- -",
    "blank": "   ",
    "long word": "a" * 20_000,
    "long": "variance latent " * 2_000,
    "many words": " ".join(f"w{k}ord" for k in range(3_000)),
}
# Was anything run, and does anything stand on the page that could run: in an attribute,
# an address, a frame?
INERT = """() => {
  const faults = [];
  if (window.stranger !== undefined) faults.push("it ran");
  for (const node of document.querySelectorAll("*")) {
    for (const { name, value } of node.attributes) {
      if (name.startsWith("on")) faults.push(`a handler: ${node.outerHTML.slice(0, 100)}`);
      if (/^\\s*(javascript|vbscript|data:text)/i.test(value) && node.tagName !== "INPUT") faults.push(`an address: ${node.outerHTML.slice(0, 100)}`);
    }
    if (node.matches("iframe, object, embed, base, img[src='x']")) faults.push(`a stranger: ${node.outerHTML.slice(0, 100)}`);
    if (node.matches("script") && node.textContent.includes("stranger")) faults.push("a stranger's script");
  }
  return faults;
}"""
SEARCHED = (
    "document.querySelector('#search-results h2')?.textContent === 'Search Results'"
)


def answered(visit: Visit, query: str, *, seconds: float) -> None:
    """Wait for the end of a search, and see that nothing but a search has happened."""
    page, start = visit.page, time.monotonic()
    if query.strip("\x00"):
        until(page, SEARCHED)
    took = time.monotonic() - start
    assert took < seconds * slowness(page), "the search kept the page busy"
    assert not page.evaluate(INERT)
    assert not visit.faults


def test_what_is_looked_for_in_an_address_is_inert(served):
    with served() as visit:
        dialogs: list[str] = []
        visit.page.on(
            "dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss())
        )
        for query in QUERIES.values():
            visit.go(f"search.html?q={quote(query)}&highlight={quote(query[:500])}")
            answered(visit, query, seconds=10)
            asked = visit.page.evaluate(
                "(new URLSearchParams(location.search).get('q') ?? '').slice(0, 200).replace(/[\\r\\n]/g, '')"
            )
            assert visit.page.locator("input[name=q]").first.input_value() == asked
        assert not dialogs


@pytest.mark.parametrize("kind", ["handler", "every object", "regex"])
def test_what_is_looked_for_from_a_field_is_inert(kind, either):
    with either() as visit:
        page = visit.go("notation.html")
        page.locator("button.search-button__button:visible").first.click()
        field = page.locator("dialog[open] input[name=q]")
        field.fill(QUERIES[kind])
        field.press("Enter")
        page.wait_for_url("**/search.html?q=*")
        answered(visit, QUERIES[kind], seconds=10)


def test_a_search_for_a_word_of_every_object_finds_its_page(served):
    """Sphinx would stop with an error: it finds `constructor` in the table of titles,
    too, where it is a function.
    """
    with served() as visit:
        visit.go("search.html?q=constructor")
        visit.page.locator("#search-results li a").first.wait_for()
        answered(visit, "constructor", seconds=10)


def test_words_to_be_marked_in_a_page_are_inert(served):
    """By the address, and by what the last search left in the browser's store."""
    with served() as visit:
        for kind in (
            "handler",
            "svg",
            "address",
            "regex",
            "other scripts",
            "many words",
        ):
            query = QUERIES[kind][:2_000]
            page = visit.go(
                f"prf-prf.html?highlight={quote(query)}&theme={quote(query)}"
            )
            visit.settle()
            assert not page.evaluate(INERT), kind
            page.evaluate(
                "(q) => ['sphinx_highlight_terms', 'mode', 'theme'].forEach((key) => localStorage.setItem(key, q))",
                query,
            )
            page.reload()
            visit.settle()
            assert not page.evaluate(INERT), kind
            assert page.locator("main").inner_text().strip()
            page.evaluate("localStorage.clear()")
    assert not [said for said in visit.faults if "invalid theme mode" not in said]


def test_a_place_in_a_page_that_is_none_is_inert(served):
    with served() as visit:
        page = visit.go("prf-prf.html")
        for kind in (
            "handler",
            "svg",
            "address",
            "quotes",
            "one bracket",
            "percent",
            "other scripts",
        ):
            page.evaluate("(h) => { location.hash = h; }", QUERIES[kind])
            page.reload()
            visit.settle()
            assert not page.evaluate(INERT), kind
    assert not visit.faults
