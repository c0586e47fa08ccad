"""One browser and one server for each worker."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest
from browsing import CHROMIUM_FLAGS, SITE, Server, Visit, pages, visit
from ensure_chromium import find
from playwright.sync_api import Browser, sync_playwright


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `name` runs for every page that was built."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", pages())


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium with a fresh profile."""
    path = find()
    if path is None:
        pytest.fail("no Chromium; python scripts/ensure_chromium.py installs one")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The site on a loopback address."""
    server = Server(SITE)
    yield server
    server.close()


@pytest.fixture
def served(
    browser: Browser, server: Server
) -> Callable[..., AbstractContextManager[Visit]]:
    """`with served(viewport=...) as v: v.go("index.html")`: a visit by way of the
    server.
    """
    return partial(visit, browser, server.address, server.refused)


@pytest.fixture
def from_disk(browser: Browser) -> Callable[..., AbstractContextManager[Visit]]:
    """The same, straight from the disk."""
    return partial(visit, browser, SITE.as_uri() + "/", [])


@pytest.fixture(params=["served", "from_disk"])
def either(
    request: pytest.FixtureRequest,
) -> Callable[..., AbstractContextManager[Visit]]:
    """Both ways to visit, one after the other."""
    return request.getfixturevalue(request.param)
