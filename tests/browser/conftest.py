"""One browser and one server for each worker; the tests of a page stand together, so
that they share its visits.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import CHROMIUM_FLAGS, SITE, Server, Way, pages
from ensure_chromium import find
from playwright.sync_api import Browser, sync_playwright

BROWSER = Path(__file__).parent


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `name` runs for every page that was built."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", pages())


def page_of(nodeid: str) -> str:
    """The page that a test is about, or its own name."""
    return max((p for p in pages() if p in nodeid), key=len, default=nodeid)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Page by page, those with most tests first; JupyterLab, which takes its time,
    before all. Of one page what comes by the server, then what comes from the disk;
    figures as they are meant to be used before what they should bear.
    """
    here = [item for item in items if item.path.parent == BROWSER]
    of = {item: page_of(item.nodeid) for item in here}
    tests = Counter(of.values())
    modules = ["test_lab", "test_live", "test_endurance"]

    def rank(item: pytest.Item) -> tuple[Any, ...]:
        module = item.path.stem
        place = modules.index(module) if module in modules else len(modules)
        disk = "from_disk" in item.fixturenames
        return place > 0, -tests[of[item]], of[item], disk, place

    ordered = iter(sorted(here, key=rank))
    items[:] = [next(ordered) if item in of else item for item in items]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """All tests of a page go to one worker."""
    from xdist.scheduler import LoadScopeScheduling

    class ByPage(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return page_of(nodeid)

    config.option.loadscopereorder = False
    return ByPage(config, log)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium with a fresh profile."""
    path = find()
    if path is None:
        pytest.fail("no Chromium; python scripts/ensure_chromium.py installs one")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield chromium
        Way.leave()
        chromium.close()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The site on a loopback address."""
    server = Server(SITE)
    yield server
    server.close()


@pytest.fixture
def served(browser: Browser, server: Server) -> Way:
    """`with served(viewport=...) as v: v.go("index.html")`: a visit by way of the
    server.
    """
    return Way(browser, server.address, server.refused)


@pytest.fixture
def from_disk(browser: Browser) -> Way:
    """The same, straight from the disk."""
    return Way(browser, SITE.as_uri() + "/", [])


@pytest.fixture(params=["served", "from_disk"])
def either(request: pytest.FixtureRequest) -> Way:
    """Both ways to visit, one after the other."""
    return request.getfixturevalue(request.param)
