"""Browser fixtures: a logged-in user, a strict Content-Security-Policy, and checks of the console."""

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from django.test.utils import override_settings
from PIL import Image, ImageChops
from playwright.sync_api import Browser, Locator, Page
from pytest_django.live_server_helper import LiveServer

AXE = Axe()
NOT_FOUND = "the server responded with a status of 404"
# A test typed in a field before the browser focused one. Which field gets the focus is tested where it matters.
TYPED_FIRST = "Autofocus processing was blocked because a document already has a focused element."


@pytest.fixture(scope="session", autouse=True)
def database_first(django_db_setup: None) -> None:
    """Set up the database before the live server, which decides at its start whether threads share a connection."""


@pytest.fixture(scope="session")
def live_server(database_first: None) -> Iterator[LiveServer]:
    """The server with the strict policy, because it loads its middleware once, at its start."""
    with override_settings(MIDDLEWARE=[*settings.MIDDLEWARE, "tests.browser.csp.middleware"]):
        server = LiveServer("localhost")
    yield server
    server.stop()


@pytest.fixture
def open_browser(
    browser: Browser, live_server: LiveServer, transactional_db: None, user: Any
) -> Iterator[Callable[..., Page]]:
    """Open a page in the user's browser. Messages in the console fail the test.

    `gone` is for tests of deleted objects: browsers report each 404 response in the console.
    """
    said: list[str] = []
    contexts = []

    def note(text: str) -> None:
        if not text.startswith(TYPED_FIRST):
            said.append(text)

    def make(*, gone: bool = False, **options: Any) -> Page:
        client = Client()
        client.force_login(user)
        context = browser.new_context(base_url=live_server.url, reduced_motion="reduce", **options)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        session = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
        context.add_cookies([session])  # type: ignore[list-item]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: (gone and NOT_FOUND in message.text) or note(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    assert said == []


@pytest.fixture
def screen(open_browser: Callable[..., Page]) -> Page:
    return open_browser(viewport={"width": 1280, "height": 900}, timezone_id="Europe/Berlin")


def picture_of(locator: Locator) -> Image.Image:
    return Image.open(BytesIO(locator.screenshot())).convert("RGB")


def look_alike(one: Image.Image, other: Image.Image) -> bool:
    """Return whether two pictures look the same; smoothed edges vary a little."""
    if one.size != other.size:
        return False
    return all(highest <= 8 for _lowest, highest in ImageChops.difference(one, other).getextrema())


# The controls that are too small to hit, except links in sentences and what is only for screen readers.
SMALL = """() => [...document.querySelectorAll(".pat-tokens :is(a, button, input, select, textarea, summary)")]
  .filter((control) => control.checkVisibility({ visibilityProperty: true }) && !control.closest("p, li, .pat-hidden"))
  .map((control) => [control.outerHTML.slice(0, 200), (control.closest("label") ?? control).getBoundingClientRect()])
  .filter(([, box]) => box.width < 24 || box.height < 24)
  .map(([html, box]) => `${html}: ${box.width} x ${box.height}`)"""


def assert_sound(page: Page) -> None:
    """Assert that axe reports nothing, that the page doesn't scroll horizontally, and that targets are large enough."""
    page.wait_for_load_state()  # the stylesheet can still be loading
    found = AXE.run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # type: ignore[index]
    assert page.evaluate(SMALL) == []
