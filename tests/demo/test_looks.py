"""The demo with its second design, which has its own base template and elements."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, expect
from pytest_django import DjangoDbBlocker

from tests.browser.conftest import assert_sound
from tests.browser.steps import create_token_for_pump, open_dialogs_of_token
from tests.demo.factories import ChannelFactory
from tests.demo.servers import ROOT, Server, serve

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


def test_unknown_look_is_an_error() -> None:
    command = [sys.executable, "manage.py", "check"]
    environment = {**os.environ, "DEMO_LOOK": "nonsense"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "There is no look 'nonsense'. Set DEMO_LOOK to one of workshop" in run.stderr


@pytest.fixture(scope="module")
def workshop(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Server]:
    with django_db_blocker.unblock(), serve(DEMO_LOOK="workshop") as server:
        yield server


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)])
def test_pages_work_with_second_look(browser: Browser, workshop: Server, alice: User, scheme: str, width: int) -> None:
    ChannelFactory(owner=alice, name="Pump")
    session = Client()
    session.force_login(alice)
    context = browser.new_context(
        base_url=workshop.address,
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": 800},
        reduced_motion="reduce",
    )
    cookie = {"name": "sessionid", "value": session.cookies["sessionid"].value, "url": workshop.address}
    context.add_cookies([cookie])  # type: ignore[list-item]
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    page.goto("/")
    page.get_by_label("Account of alice").click()
    page.get_by_role("link", name="Personal Access Tokens").last.click()
    expect(page.get_by_role("heading", name="Personal Access Tokens")).to_be_visible()
    assert_sound(page)
    create_token_for_pump(page, f"shown in {scheme}")
    expect(page.locator(".wk-badge-active").first).to_be_visible()
    assert page.locator(".wk-button").count() > 5
    open_dialogs_of_token(page)
    page.get_by_role("button", name="Edit name").click()
    page.get_by_role("textbox", name="Name").fill(f"renamed in {scheme}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"renamed in {scheme}")).to_be_visible()
    page.get_by_role("button", name="Delete this token").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text(f"“renamed in {scheme}” was deleted.")).to_be_visible()
    context.close()
    assert complaints == []
