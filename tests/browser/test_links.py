"""From a refusal to the right token: how many clicks it takes, by the links that are given."""

import json
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect

from pat_tokens.models import PersonalAccessToken
from tests.browser.conftest import assert_sound
from tests.factories import ChannelFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


class Clicker:
    """Clicks, and counts."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.count = 0

    def follow(self, url: str) -> None:
        """Click a link that is shown elsewhere, as in a terminal."""
        self.page.goto(url)
        self.count += 1

    def __call__(self, role: Any, name: str) -> None:
        self.page.get_by_role(role, name=name, exact=True).click()
        self.count += 1


@pytest.fixture(params=[True, False], ids=["with a script", "without"])
def click(request: pytest.FixtureRequest, open_browser: Callable[..., Page]) -> Clicker:
    return Clicker(open_browser(java_script_enabled=request.param, viewport={"width": 1280, "height": 900}))


@pytest.fixture
def send(live_server: Any, token: Any) -> Callable[..., tuple[int, dict[str, Any]]]:
    """What a program sees that uses the token."""

    def send(method: str, path: str) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token.secret}"}
        try:
            with urlopen(Request(live_server.url + path, method=method, headers=headers)) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except HTTPError as error:
            return error.code, json.loads(error.read())

    return send


def test_missing_scope_is_added_in_two_clicks(click, send, token, channel):
    status, body = send("GET", f"/api/channels/{channel.pk}/")
    assert status == 403
    click.follow(body["fix_url"])
    click("button", "Add")
    expect(click.page.get_by_text("1 scope was added.")).to_be_visible()
    assert click.count == 2
    assert send("GET", f"/api/channels/{channel.pk}/")[0] == 200


def test_dangerous_scope_is_added_in_three_clicks(click, send, token, user):
    channel = ChannelFactory(owner=user, name="Pump")
    click.follow(send("DELETE", f"/api/channels/{channel.pk}/")[1]["fix_url"])
    expect(click.page.get_by_text("Delete – Pump")).to_be_visible()
    box = click.page.locator("input[value=delete]:visible")
    expect(box).not_to_be_checked()
    click.page.get_by_role("button", name="Add", exact=True).click()  # without a tick, it adds nothing
    assert not token.scope_set.exists()
    click.page.goto(send("DELETE", f"/api/channels/{channel.pk}/")[1]["fix_url"])
    box.check()
    click.count += 1
    click("button", "Add")
    expect(click.page.get_by_text("1 scope was added.")).to_be_visible()
    assert click.count == 3
    assert send("DELETE", f"/api/channels/{channel.pk}/")[0] == 204


def test_token_is_copied_in_two_clicks(click, make_token, channel):
    scopes = {f"channels:{channel.pk}:read", f"channels:{channel.pk}:publish", "devices:*:list"}
    token = make_token(*scopes, name="deploy", description="for CI", duration="7d")
    click.page.goto(f"/pats/{token.pk}/")
    click("link", "Duplicate")
    click("button", "Create")
    expect(click.page.locator("#token-secret")).to_be_visible()
    assert click.count == 2
    copy = PersonalAccessToken.objects.get(name="deploy 2")
    assert {str(scope) for scope in copy.scope_set.all()} == scopes
    assert copy.description == "for CI"
    assert abs((copy.expires_at - copy.issued_at) - (token.expires_at - token.issued_at)).total_seconds() < 1


def test_duplicate_from_the_row_menu(screen, make_token):
    make_token("channels:*:list", name="deploy")
    screen.goto("/pats/")
    screen.get_by_label("Actions for deploy").click()
    screen.get_by_role("link", name="Duplicate").click()
    expect(screen.get_by_text("This form was filled in from “deploy”.")).to_be_visible()
    expect(screen.get_by_label("Name")).to_have_value("deploy 2")
    assert_sound(screen)


def test_link_with_all_parameters(screen, user):
    channel = ChannelFactory(owner=user, name="Pump")
    query = f"name=Backup&duration=12h&preset=devices-read-only&scope=channels:{channel.pk}:read"
    screen.goto(f"/pats/create/?{query}&scope=channels:{channel.pk}:delete&scope=channels:?:publish&scope=nonsense")
    expect(screen.get_by_text("This form was filled in by a link.")).to_be_visible()
    assert_sound(screen)
    summary = screen.locator("[data-pat-summary]")
    expect(summary).to_contain_text("Read – Pump")
    expect(summary).to_contain_text("Read, List – All Devices, now and in future")
    expect(summary).not_to_contain_text("Delete")
    expect(screen.get_by_label("Duration")).to_have_value("12h")
    row = screen.locator("[data-pat-row]").nth(2)
    expect(row.get_by_label("Publish")).to_be_checked()
    row.get_by_role("combobox", name="Entity", exact=True).or_(row.locator("[data-pat-picker] [role=combobox]")).fill(
        "pum"
    )
    screen.get_by_role("option", name="Pump").click()
    screen.get_by_role("button", name="Create", exact=True).click()
    expect(screen.locator("#token-secret")).to_be_visible()
    token = PersonalAccessToken.objects.get()
    scopes = {"devices:*:list", "devices:*:read", f"channels:{channel.pk}:read", f"channels:{channel.pk}:publish"}
    assert {str(scope) for scope in token.scope_set.all()} == scopes


@pytest.mark.parametrize("has_script", [True, False], ids=["with a script", "without"])
def test_preset_is_chosen_on_page(open_browser, has_script):
    page = open_browser(java_script_enabled=has_script, viewport={"width": 360, "height": 740})
    page.goto("/pats/create/")
    page.get_by_label("Name").fill("reader")
    page.get_by_label("Start from a preset").select_option("channels-read-only")
    page.get_by_role("button", name="Use", exact=True).click()
    expect(page.locator("[data-pat-summary]")).to_contain_text("All Channels, now and in future")
    expect(page.get_by_role("textbox", name="Name", exact=False)).to_have_value("reader")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.locator("#token-secret")).to_be_visible()
    token = PersonalAccessToken.objects.get(name="reader")
    assert {str(scope) for scope in token.scope_set.all()} == {"channels:*:list", "channels:*:read"}
