"""The main tasks in a browser, against the running demo."""

from collections.abc import Iterator

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from demo_project.devices.models import Channel
from pat_tokens.services import create_token
from tests.browser.steps import open_form_of_new_token
from tests.demo.factories import ChannelFactory
from tests.demo.servers import Server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


def test_published_messages_appear(page: Page, server: Server, alice: User) -> None:
    channel = ChannelFactory(owner=alice, name="Pump")
    _, secret = create_token(alice, name="publisher", scopes=[("channels", str(channel.pk), "publish")])
    session = Client()
    session.force_login(alice)
    name = settings.SESSION_COOKIE_NAME
    page.context.add_cookies([{"name": name, "value": session.cookies[name].value, "url": server.address}])
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    page.goto(f"{server.address}/channels/{channel.pk}/")
    expect(page.get_by_text("Listening")).to_be_visible()
    page.get_by_label("Message", exact=True).fill("<b>by hand</b>")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("listitem").first).to_contain_text('"<b>by hand</b>"')
    assert publish(server, secret, channel) == 202
    expect(page.get_by_role("listitem").first).to_contain_text("1")

    assert complaints == []


@pytest.fixture
def visitor(browser: Browser, server: Server) -> Iterator[Page]:
    context = browser.new_context(base_url=server.address, java_script_enabled=False)
    yield context.new_page()
    context.close()


def publish(server: Server, secret: str, channel: Channel) -> int:
    url = f"{server.address}/api/channels/{channel.pk}/publish/"
    return httpx.post(url, json={"payload": 1}, headers={"Authorization": f"Bearer {secret}"}).status_code


def test_create_use_revoke_and_regenerate_token(server: Server, visitor: Page, alice: User) -> None:
    """Without JavaScript."""
    alice.set_password("alice-demo")
    alice.save()
    channel, other = ChannelFactory(owner=alice, name="Pump"), ChannelFactory(owner=alice, name="Lamp")
    secret_shown = visitor.locator("#token-secret")

    visitor.goto("/")
    visitor.get_by_label("Username").fill("alice")
    visitor.get_by_label("Password").fill("alice-demo")
    visitor.get_by_role("button", name="Log in").click()
    visitor.get_by_label("Account of alice").click()
    visitor.locator("header").get_by_role("link", name="Personal Access Tokens").click()

    open_form_of_new_token(visitor)
    visitor.get_by_label("Name").fill("publisher")
    visitor.get_by_label("Entity Type").select_option("Channels")
    visitor.get_by_role("button", name="Choose").click()
    visitor.get_by_role("combobox", name="Entity", exact=False).last.select_option(str(channel.pk))
    visitor.get_by_label("Publish").check()
    visitor.get_by_role("button", name="Create", exact=True).click()

    secret = secret_shown.inner_text()
    assert publish(server, secret, channel) == 202
    assert publish(server, secret, other) == 403
    visitor.reload()
    expect(visitor.get_by_role("heading", name="publisher")).to_be_visible()
    expect(secret_shown).to_have_count(0)
    assert secret not in visitor.content()

    visitor.get_by_text("Revoke", exact=True).first.click()
    visitor.locator("main").get_by_role("button", name="Revoke").click()
    assert publish(server, secret, channel) == 401

    visitor.get_by_text("Regenerate", exact=True).first.click()
    visitor.locator("main").get_by_role("button", name="Regenerate").click()
    renewed = secret_shown.inner_text()
    assert publish(server, secret, channel) == 401
    assert publish(server, renewed, channel) == 202
    assert publish(server, renewed, other) == 403
