"""Every step on the pages: with the mouse, with the keyboard only, and without a script."""

import re
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from pat_tokens.crypto import make_secret
from pat_tokens.models import PersonalAccessToken
from tests.browser.conftest import assert_sound
from tests.browser.steps import open_form_of_new_token
from tests.factories import ChannelFactory, DeviceFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}


def entity(row: Any) -> Any:
    return row.get_by_role("combobox", name="Entity", exact=True).or_(row.locator("[data-pat-picker] [role=combobox]"))


def chips(row: Any) -> Any:
    return row.locator("[data-pat-chosen] > *")


def row_menu(page: Page, name: str) -> Any:
    page.get_by_label(f"Actions for {name}").click()
    return page.locator("details[open] .pat-menu-items")


def scopes_of(token: PersonalAccessToken) -> set[str]:
    return {str(scope) for scope in token.scope_set.all()}


def test_content_security_policy_is_strict(screen):
    """Browsers report violations in the console, which fails the test."""
    answer = screen.goto("/pats/")
    assert answer.headers["content-security-policy"] == "default-src 'self', frame-ancestors 'none'"


def test_create_with_two_scopes_and_copy_secret(screen, user):
    pump, lamp = ChannelFactory(owner=user, name="Pump"), DeviceFactory(owner=user, name="Lamp")
    screen.goto("/pats/")
    expect(screen.get_by_text("You have no tokens yet")).to_be_visible()
    open_form_of_new_token(screen)
    screen.get_by_label("Name").fill("publisher")
    screen.get_by_label("Duration").select_option("24h")
    expect(screen.get_by_text("The token will expire on")).to_be_visible()

    first = screen.locator("[data-pat-row]").first
    first.get_by_label("Entity Type").select_option("channels")
    entity(first).fill("pum")
    screen.get_by_role("option", name="Pump").click()
    expect(first.get_by_label("Create")).to_be_disabled()
    first.get_by_label("Publish").check()
    first.get_by_label("Delete").check()
    screen.get_by_role("button", name="Add Scope").click()
    second = screen.locator("[data-pat-row]").nth(1)
    second.get_by_label("Entity Type").select_option("devices")
    entity(second).click()
    screen.get_by_role("option", name="All Devices, now and in future").click()
    second.get_by_label("List").check()
    capabilities = screen.locator("[data-pat-summary]")
    expect(capabilities).to_contain_text("Delete Dangerous, Publish – Pump")
    expect(capabilities).to_contain_text("List – All Devices, now and in future")
    expect(capabilities.locator(".pat-danger")).to_have_text("Delete")
    assert_sound(screen)
    screen.get_by_role("button", name="Create", exact=True).click()

    secret = screen.locator("#token-secret").inner_text()
    assert secret.startswith("pat_")
    expect(screen.locator("#token-curl")).to_contain_text("Bearer $PAT")
    assert_sound(screen)
    screen.get_by_role("button", name="Copy secret").click()
    expect(screen.get_by_text("Copied")).to_be_visible()
    assert screen.evaluate("navigator.clipboard.readText()") == secret
    token = PersonalAccessToken.objects.get()
    assert scopes_of(token) == {f"channels:{pump.pk}:publish", f"channels:{pump.pk}:delete", "devices:*:list"}
    expect(screen.get_by_role("row", name="Lamp")).to_have_count(0)
    assert lamp.pk

    screen.reload()
    expect(screen.get_by_role("heading", name="publisher")).to_be_visible()
    assert secret not in screen.content()
    screen.get_by_role("button", name="Copy ID").click()
    expect(screen.get_by_text("Copied")).to_be_visible()
    assert screen.evaluate("navigator.clipboard.readText()") == str(token.pk)


def test_add_and_delete_scopes_in_dialogs(screen, user, make_token):
    channel = ChannelFactory(owner=user, name="Pump")
    token = make_token("channels:*:list", name="deploy")
    screen.goto(f"/pats/{token.pk}/")
    screen.get_by_role("button", name="Add Scope").click()
    dialog = screen.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert_sound(screen)
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_role("alert")).to_be_focused()
    assert_sound(screen)
    dialog.get_by_label("Entity Type").select_option("channels")
    entity(dialog).fill("pump")
    expect(dialog.get_by_role("option", name="Pump")).to_be_visible()
    entity(dialog).press("Escape")  # closes only the list
    expect(dialog.get_by_role("option", name="Pump")).to_be_hidden()
    expect(dialog).to_be_visible()
    entity(dialog).fill("pump")
    dialog.get_by_role("option", name="Pump").click()
    dialog.get_by_label("Publish").check()
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog).to_have_count(0)
    expect(screen.get_by_role("row", name="Pump")).to_be_visible()
    expect(screen.get_by_role("button", name="Add Scope")).to_be_focused()
    assert scopes_of(token) == {"channels:*:list", f"channels:{channel.pk}:publish"}

    screen.get_by_role("button", name="Delete scope Publish: Pump").click()
    expect(dialog).to_contain_text("deploy")
    assert_sound(screen)
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(screen.get_by_role("row", name="Pump")).to_have_count(0)
    assert scopes_of(token) == {"channels:*:list"}
    screen.get_by_role("button", name="Delete All").click()
    dialog.get_by_role("button", name="Delete All").click()
    expect(screen.get_by_text("This token can't do anything yet.")).to_be_visible()
    assert scopes_of(token) == set()
    assert_sound(screen)


def test_revoke_then_regenerate(screen, make_token):
    token = make_token("channels:*:list", name="deploy")
    screen.goto(f"/pats/{token.pk}/")
    screen.get_by_role("button", name="Revoke").click()
    dialog = screen.get_by_role("dialog")
    expect(dialog).to_contain_text("Revoke “deploy”?")
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    assert_sound(screen)
    dialog.get_by_role("button", name="Revoke").click()
    expect(screen.get_by_text("was revoked.")).to_be_visible()
    assert PersonalAccessToken.objects.get().is_revoked
    assert_sound(screen)
    screen.get_by_role("button", name="Regenerate").click()
    dialog.get_by_label("Duration").select_option("7d")
    expect(dialog.get_by_text("The token will expire on")).to_be_visible()
    assert_sound(screen)
    dialog.get_by_role("button", name="Regenerate").click()
    secret = screen.locator("#token-secret").inner_text()
    assert secret != token.secret
    assert PersonalAccessToken.objects.get().is_active
    # The page with the secret sends no referrer, but its forms aren't refused.
    screen.get_by_role("button", name="Revoke").click()
    dialog.get_by_role("button", name="Revoke").click()
    expect(screen.locator("#token-secret")).to_have_count(0)
    assert PersonalAccessToken.objects.get().is_revoked


def test_find_and_regenerate_expired_token(screen, make_token):
    token = make_token(name="old")
    make_token(name="new")
    long_ago = timezone.now() - timedelta(days=9)
    PersonalAccessToken.objects.filter(pk=token.pk).update(issued_at=long_ago, expires_at=timezone.now())
    screen.goto("/pats/")
    expect(screen.get_by_role("row", name="new")).to_be_visible()
    screen.get_by_label("Status").get_by_role("link", name="Expired").click()
    expect(screen.get_by_role("row", name="new")).to_have_count(0)
    assert_sound(screen)
    screen.get_by_role("row", name="old").get_by_text("9 d ago").click()
    screen.get_by_role("button", name="Regenerate").click()
    screen.get_by_role("dialog").get_by_role("button", name="Regenerate").click()
    expect(screen.locator("#token-secret")).to_be_visible()
    token.refresh_from_db()
    assert token.is_active


def test_delete_from_row_menu_and_delete_all(screen, make_token):
    for name in ("one", "two", "three"):
        make_token(name=name)
    screen.goto("/pats/")
    menu = row_menu(screen, "two")
    assert_sound(screen)
    menu.get_by_role("button", name="Copy ID").click()
    copied = screen.evaluate("navigator.clipboard.readText()")
    assert copied == str(PersonalAccessToken.objects.get(name="two").pk)
    row_menu(screen, "two").get_by_role("button", name="Delete").click()
    dialog = screen.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete “two”?")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(screen.get_by_role("row", name="two")).to_have_count(0)
    expect(screen.get_by_text("“two” was deleted.")).to_be_visible()
    screen.get_by_role("button", name="Delete All").click()
    expect(dialog.get_by_role("listitem")).to_have_text([re.compile("one\\s+Active"), re.compile("three\\s+Active")])
    number = dialog.get_by_label("To confirm, enter the number of tokens: 2")
    expect(number).to_be_focused()
    number.fill("3")
    dialog.get_by_role("button", name="Delete All").click()
    expect(dialog).to_contain_text("This is not the number of tokens.")
    assert_sound(screen)
    number.fill("2")
    dialog.get_by_role("button", name="Delete All").click()
    expect(screen.get_by_text("You have no tokens yet")).to_be_visible()
    assert not PersonalAccessToken.objects.exists()
    assert_sound(screen)


def test_revoke_and_delete_selected_rows(screen, make_token):
    for name in ("one", "two", "three", "four"):
        make_token(name=name)
    screen.goto("/pats/")
    dialog = screen.get_by_role("dialog")
    revoke, delete = (screen.get_by_role("button", name=f"{verb} selected") for verb in ("Revoke", "Delete"))
    expect(revoke).to_be_disabled()
    screen.get_by_label("Select one").check()
    screen.get_by_label("Select two").check()
    expect(screen.get_by_text("Selected: 2")).to_be_visible()
    assert_sound(screen)
    revoke.click()
    expect(dialog).to_contain_text("Revoke 2 tokens?")
    assert_sound(screen)
    dialog.get_by_role("button", name="Revoke", exact=True).click()
    expect(screen.get_by_text("2 tokens were revoked.")).to_be_visible()
    assert set(PersonalAccessToken.objects.revoked().values_list("name", flat=True)) == {"one", "two"}
    screen.get_by_label("Status").get_by_role("link", name="All").click()
    expect(screen.get_by_role("row", name="two")).to_be_visible()
    screen.get_by_label("Select all").check()
    expect(screen.get_by_text("Selected: 4")).to_be_visible()
    screen.get_by_label("Select one").uncheck()
    expect(screen.get_by_label("Select all")).to_be_checked(indeterminate=True)
    delete.click()
    expect(dialog).to_contain_text("Delete 3 of your 4 tokens?")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(screen.get_by_text("3 tokens were deleted.")).to_be_visible()
    expect(screen.get_by_role("row", name="one")).to_be_visible()
    assert list(PersonalAccessToken.objects.values_list("name", flat=True)) == ["one"]


def test_delete_all_follows_filter(screen, make_token):
    for name in ("printer", "probe", "other"):
        make_token(name=name)
    screen.goto("/pats/")
    screen.get_by_role("searchbox").fill("pr")
    expect(screen.get_by_role("row", name="other")).to_have_count(0)
    screen.get_by_role("button", name="Delete All").click()
    dialog = screen.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete 2 of your 3 tokens?")
    dialog.get_by_label("To confirm").fill("2")
    dialog.get_by_role("button", name="Delete All").click()
    expect(screen.get_by_text("2 tokens were deleted.")).to_be_visible()
    assert list(PersonalAccessToken.objects.values_list("name", flat=True)) == ["other"]


def test_select_rows_without_script(open_browser, make_token):
    page = open_browser(java_script_enabled=False, viewport=PHONE)
    for name in ("one", "two"):
        make_token(name=name)
    page.goto("/pats/")
    page.get_by_label("Select two").check()
    page.get_by_role("button", name="Delete selected").click()
    expect(page.get_by_text("Delete 1 of your 2 tokens?")).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("1 token was deleted.")).to_be_visible()
    assert list(PersonalAccessToken.objects.values_list("name", flat=True)) == ["one"]


def test_edit_name_in_place(screen, make_token):
    token = make_token(name="deploy")
    make_token(name="taken")
    screen.goto(f"/pats/{token.pk}/")
    screen.get_by_role("button", name="Edit name").click()
    field = screen.get_by_role("textbox", name="Name")
    expect(field).to_be_focused()
    field.fill("taken")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    assert_sound(screen)
    field.fill("renamed")
    field.press("Enter")
    expect(screen.get_by_role("heading", name="renamed")).to_be_visible()
    expect(screen.get_by_role("button", name="Edit name")).to_be_focused()
    assert screen.url.endswith(f"/{token.pk}/")


def test_pasted_secret_is_never_in_url(screen, make_token):
    """By paste, by typing, and in the entity picker. The page says which token it belongs to."""
    token = make_token(name="deploy")
    make_token(name="other")
    urls = []
    screen.on("request", lambda request: urls.append(request.url))
    screen.goto("/pats/")
    box = screen.get_by_role("searchbox")
    for search in (box.fill, box.press_sequentially):
        box.fill("")
        search(f"Bearer {token.secret}")
        expect(screen.get_by_text("This is the secret of “deploy”. Status: Active.")).to_be_visible()
        expect(screen.get_by_role("link", name="deploy")).to_be_visible()
        expect(screen.get_by_role("row", name="other")).to_have_count(0)
        expect(box).to_have_value(str(token.pk))
    box.fill(make_secret("pat"))
    expect(screen.get_by_text("None of your tokens has this secret.")).to_be_visible()
    screen.goto("/pats/create/")
    screen.get_by_label("Entity Type").select_option("channels")
    screen.get_by_role("combobox", name="Entity", exact=True).fill(token.secret)
    expect(screen.get_by_text("Nothing found").first).to_be_visible()
    assert len(urls) > 5
    assert not any(token.secret[:20] in url for url in urls)


def test_search_sort_and_columns_without_reload(screen, make_token):
    for name in ("alpha", "beta"):
        make_token(name=name)
    screen.goto("/pats/")
    screen.evaluate("window.stays = true")
    screen.get_by_role("searchbox").press_sequentially("alp")
    expect(screen.get_by_role("row", name="beta")).to_have_count(0)
    expect(screen.get_by_role("searchbox")).to_be_focused()
    screen.get_by_role("searchbox").fill("")
    expect(screen.get_by_role("row", name="beta")).to_be_visible()
    screen.get_by_role("columnheader", name="Name").get_by_role("link").click()
    expect(screen.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")
    screen.get_by_text("View", exact=True).first.click()
    screen.get_by_label("Description").uncheck()
    expect(screen.get_by_role("columnheader", name="Description")).to_have_count(0)
    assert screen.evaluate("window.stays")
    screen.reload()
    expect(screen.get_by_role("columnheader", name="Description")).to_have_count(0)
    screen.go_back()
    expect(screen.get_by_role("columnheader", name="Name")).not_to_have_attribute("aria-sort", "ascending")


def test_create_with_keyboard_only(screen, user):
    pump = ChannelFactory(owner=user, name="Pump")
    screen.goto("/pats/create/")
    key = screen.keyboard.press

    def tab_to(locator: Any) -> None:
        for _step in range(60):
            if locator.evaluate("element => element === document.activeElement"):
                return
            key("Tab")
        raise AssertionError(f"the keyboard does not reach {locator}")

    tab_to(screen.get_by_label("Name"))
    screen.keyboard.type("typed")
    tab_to(screen.get_by_label("Entity Type"))
    screen.keyboard.type("Chan")
    tab_to(entity(screen.locator("[data-pat-row]")))
    screen.keyboard.type("pu")
    expect(screen.get_by_role("option", name="Pump")).to_be_visible()
    key("ArrowDown")
    key("Enter")
    expect(chips(screen.locator("[data-pat-row]"))).to_have_text(["Pump"])
    tab_to(screen.get_by_label("Publish"))
    key("Space")
    tab_to(screen.get_by_role("button", name="Add Scope"))
    key("Enter")
    second = screen.locator("[data-pat-row]").nth(1)
    tab_to(second.get_by_label("Entity Type"))
    screen.keyboard.type("Dev")
    tab_to(entity(second))
    key("ArrowDown")
    expect(screen.get_by_role("option", name="All Devices, now and in future")).to_be_visible()
    key("ArrowDown")
    key("Enter")
    tab_to(second.get_by_label("List"))
    key("Space")
    tab_to(screen.get_by_role("button", name="Create", exact=True))
    key("Enter")
    expect(screen.locator("#token-secret")).to_be_visible()
    tab_to(screen.get_by_role("button", name="Copy secret"))
    key("Enter")
    secret = screen.evaluate("navigator.clipboard.readText()")
    assert secret.startswith("pat_")
    assert scopes_of(PersonalAccessToken.objects.get()) == {f"channels:{pump.pk}:publish", "devices:*:list"}
    screen.reload()
    expect(screen.get_by_role("heading", name="typed")).to_be_visible()
    assert secret not in screen.content()
    tab_to(screen.get_by_role("button", name="Revoke"))
    key("Enter")
    tab_to(screen.get_by_role("dialog").get_by_role("button", name="Revoke"))
    key("Enter")
    expect(screen.get_by_role("dialog")).to_have_count(0)
    expect(screen.get_by_role("button", name="Regenerate")).to_be_focused()
    key("Enter")
    tab_to(screen.get_by_role("dialog").get_by_role("button", name="Regenerate"))
    key("Enter")
    expect(screen.locator("#token-secret")).not_to_have_text(secret)
    assert PersonalAccessToken.objects.get().is_active
    screen.goto("/pats/?status=all")
    tab_to(screen.get_by_label("Actions for typed"))
    key("Enter")
    key("ArrowUp")
    expect(screen.get_by_role("button", name="Delete", exact=True)).to_be_focused()
    key("Escape")
    expect(screen.get_by_label("Actions for typed")).to_be_focused()
    key("Enter")
    key("ArrowUp")
    key("Enter")
    tab_to(screen.get_by_role("dialog").get_by_role("button", name="Delete", exact=True))
    key("Enter")
    expect(screen.get_by_text("You have no tokens yet")).to_be_visible()


def test_create_without_script(open_browser, user):
    page = open_browser(java_script_enabled=False, viewport=DESKTOP)
    channel = ChannelFactory(owner=user, name="Pump")
    page.goto("/pats/create/")
    page.get_by_label("Name").fill("plain")
    page.get_by_label("Entity Type").select_option("channels")
    page.get_by_role("button", name="Choose").click()
    page.get_by_label("Entity", exact=False).locator("option", has_text="Pump").first.wait_for(state="attached")
    page.locator("#id_scopes-0-entity_id").select_option(str(channel.pk))
    page.get_by_label("Publish").check()
    page.get_by_role("button", name="Add Scope").click()
    page.locator("#id_scopes-1-entity_type").select_option("devices")
    page.get_by_role("button", name="Choose").nth(1).click()
    page.locator("#id_scopes-1-entity_id").select_option("*")
    page.locator("[data-pat-row]").nth(1).get_by_label("List").check()
    page.get_by_role("button", name="Create", exact=True).click()
    secret = page.locator("#token-secret").inner_text()
    # This page sends no referrer, but forms on it, such as the site's logout form, must pass the CSRF check.
    page.get_by_text("View", exact=True).first.click()
    page.get_by_role("button", name="Apply").first.click()
    expect(page.get_by_role("heading", name="plain")).to_be_visible()
    assert secret not in page.content()
    token = PersonalAccessToken.objects.get()
    assert scopes_of(token) == {f"channels:{channel.pk}:publish", "devices:*:list"}

    page.get_by_role("button", name="Delete scope Publish: Pump").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    assert scopes_of(token) == {"devices:*:list"}
    for _ask in range(2):
        page.get_by_role("button", name="Revoke").click()
    page.get_by_role("button", name="Regenerate").click()
    page.get_by_role("button", name="Regenerate").click()
    assert page.locator("#token-secret").inner_text() != secret
    page.get_by_role("button", name="Edit name").click()
    page.get_by_role("textbox", name="Name").fill("renamed")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="renamed")).to_be_visible()
    page.get_by_role("link", name="Personal Access Tokens").first.click()
    row_menu(page, "renamed").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("You have no tokens yet")).to_be_visible()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible_in_all_sizes_and_schemes(open_browser, user, make_token, size, scheme):
    page = open_browser(viewport=size, color_scheme=scheme)
    channel = ChannelFactory(owner=user, name="Pump" * 12)
    token = make_token(
        f"channels:{channel.pk}:delete", "channels:*:list", "pages:*:read", name="long" * 30, description="x" * 300
    )
    gone = ChannelFactory(owner=user)
    dead = make_token(f"channels:{gone.pk}:read", name="dead")
    PersonalAccessToken.objects.filter(pk=dead.pk).update(revoked_at=timezone.now())
    gone.delete()
    own = f"/pats/{token.pk}"
    for path in ("/pats/", "/pats/?status=all", "/pats/?q=none", "/pats/create/", f"{own}/", f"/pats/{dead.pk}/"):
        page.goto(path)
        assert_sound(page)
    for path in (
        "edit/name/",
        "revoke/",
        "regenerate/",
        "scopes/add/",
    ):  # the other confirmations use the same template
        page.goto(f"{own}/{path}")
        assert_sound(page)
    page.goto(f"{own}/")
    page.get_by_text("View", exact=True).first.click()
    assert_sound(page)
    dialog = page.get_by_role("dialog")
    for name in ("Revoke", "Regenerate", "Delete this token"):
        page.get_by_role("button", name=name).click()
        expect(dialog).to_be_visible()
        assert_sound(page)
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Add Scope").click()
    dialog.get_by_label("Entity Type").select_option("channels")
    entity(dialog).click()
    expect(dialog.get_by_role("option", name="All Channels")).to_be_visible()
    assert_sound(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible_without_script(open_browser, user, make_token, scheme):
    """Our script is replaced with an empty one, because axe itself needs scripts."""
    page = open_browser(viewport=PHONE, color_scheme=scheme)
    page.route("**/pat_tokens.js", lambda route: route.fulfill(content_type="text/javascript", body=""))
    channel = ChannelFactory(owner=user, name="Pump" * 12)
    token = make_token(f"channels:{channel.pk}:delete", "channels:*:list", name="long" * 30, description="x" * 300)
    own = f"/pats/{token.pk}"
    scope = token.scope_set.first()
    paths = ["/pats/", "/pats/?status=all", "/pats/?q=none", "/pats/create/", "/pats/delete/", "/pats/reauthenticate/"]
    paths += [f"{own}/{path}" for path in ("", "edit/name/", "edit/description/", "revoke/", "regenerate/", "delete/")]
    paths += [f"{own}/{path}" for path in ("scopes/add/", "scopes/delete/", f"scopes/{scope.pk}/delete/")]
    for path in paths:
        page.goto(path)
        assert page.locator("[data-pat-ready]").count() == 0
        assert_sound(page)
        if path in ("/pats/", f"{own}/"):
            page.locator(".pat-columns summary").click()
            assert_sound(page)
    page.goto("/pats/")
    page.locator("summary[aria-label]").click()
    assert_sound(page)

    page.goto("/pats/create/")
    page.get_by_label("Entity Type").select_option("channels")
    page.get_by_role("button", name="Choose").click()
    assert_sound(page)
    page.get_by_role("button", name="Add Scope").click()
    page.get_by_label("Name").first.fill("long" * 30)
    page.locator("#id_duration").select_option("date")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert_sound(page)
    page.goto(f"{own}/regenerate/")
    page.get_by_role("button", name="Regenerate").click()
    expect(page.locator("#token-secret")).to_be_visible()
    assert_sound(page)


def test_pages_work_right_to_left(open_browser, make_token, settings):
    settings.LANGUAGE_CODE = "ar"
    token = make_token("channels:*:list", name="deploy")
    page = open_browser(viewport=PHONE)
    for path in ("/pats/", "/pats/create/", f"/pats/{token.pk}/"):
        page.goto(path)
        assert page.evaluate("document.documentElement.dir") == "rtl"
        assert_sound(page)
    page.locator('form[action$="/regenerate/"] [data-pat-dialog]').click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert_sound(page)


def test_copy_curl_command_and_go_back_to_list(screen, make_token):
    for number in range(7):
        make_token("channels:*:list", name=f"deploy {number}")
    screen.goto("/pats/?sort=name&rows=5&q=deploy")
    screen.get_by_role("searchbox").fill("deploy")
    screen.get_by_label("Search in").select_option("Description")
    expect(screen.get_by_text("No matching tokens")).to_be_visible()
    screen.get_by_role("link", name="Clear the search").click()
    expect(screen.get_by_role("searchbox")).to_have_value("")
    screen.get_by_role("link", name="Next page").click()
    expect(screen.get_by_text("Page 2 of 2")).to_be_visible()
    address = screen.url
    screen.get_by_role("row", name="deploy 5").get_by_role("link").first.click()
    screen.get_by_role("button", name="Regenerate").click()
    screen.get_by_role("dialog").get_by_role("button", name="Regenerate").click()
    screen.get_by_role("button", name="Copy command").click()
    expect(screen.get_by_text("Copied")).to_be_visible()
    secret = screen.locator("#token-secret").inner_text()
    line = screen.evaluate("navigator.clipboard.readText()")
    assert line.startswith('read -rs PAT && curl -H "Authorization: Bearer $PAT" http://')
    assert secret not in line
    assert line == screen.locator("#token-curl").inner_text()

    screen.goto(address)
    screen.get_by_role("row", name="deploy 5").get_by_role("link").first.click()
    screen.get_by_role("link", name="Go back").click()
    expect(screen.get_by_text("Page 2 of 2")).to_be_visible()
    assert screen.url == address


def test_other_steps_with_keyboard_only(screen, user, make_token):
    """Add a scope, delete one and all, find and regenerate an expired token, and delete all tokens."""
    ChannelFactory(owner=user, name="Pump")
    token = make_token("channels:*:list", "pages:*:read", name="deploy")
    old = make_token(name="old")
    PersonalAccessToken.objects.filter(pk=old.pk).update(
        issued_at=timezone.now() - timedelta(days=9), expires_at=timezone.now() - timedelta(days=1)
    )
    key, dialog = screen.keyboard.press, screen.get_by_role("dialog")

    def press(locator: Any, what: str = "Enter") -> None:
        for _step in range(60):
            if locator.evaluate("element => element === document.activeElement"):
                return key(what)
            key("Tab")
        raise AssertionError(f"the keyboard does not reach {locator}")

    screen.goto("/pats/?status=all")
    press(screen.get_by_role("link", name="deploy", exact=True))
    press(screen.get_by_role("button", name="Add Scope"))
    expect(dialog.get_by_label("Entity Type")).to_be_focused()
    screen.keyboard.type("Chan")
    press(entity(dialog), "ArrowDown")
    expect(dialog.get_by_role("option", name="Pump")).to_be_visible()
    screen.keyboard.type("pum")
    expect(dialog.get_by_role("option", name="All Channels")).to_have_count(0)
    key("Enter")
    press(dialog.get_by_label("Publish"), "Space")
    press(dialog.get_by_role("button", name="Add", exact=True))
    expect(dialog).to_have_count(0)
    expect(screen.get_by_role("button", name="Add Scope")).to_be_focused()
    press(screen.get_by_role("button", name="Delete scope Publish: Pump"))
    press(dialog.get_by_role("button", name="Delete", exact=True))
    expect(screen.get_by_role("row", name="Pump")).to_have_count(0)
    expect(dialog).to_have_count(0)
    assert screen.evaluate(
        "document.activeElement.matches('[data-pat-root] *')"
    )  # the focus isn't lost with the button
    press(screen.get_by_role("button", name="Delete All"))
    press(dialog.get_by_role("button", name="Delete All"))
    expect(screen.get_by_text("This token can't do anything yet.")).to_be_visible()
    assert scopes_of(token) == set()

    screen.goto("/pats/")
    press(screen.get_by_label("Status").get_by_role("link", name="Expired"))
    expect(screen.get_by_role("row", name="deploy")).to_have_count(0)
    press(screen.get_by_role("link", name="old", exact=True))
    press(screen.get_by_role("button", name="Regenerate"))
    expect(dialog.get_by_label("Duration")).to_be_focused()
    press(dialog.get_by_role("button", name="Regenerate"))
    expect(screen.locator("#token-secret")).to_be_visible()
    press(screen.get_by_role("link", name="Go back"))
    press(screen.get_by_label("Status").get_by_role("link", name="All"))
    press(screen.get_by_role("button", name="Delete All"))
    expect(dialog.get_by_label("To confirm")).to_be_focused()
    screen.keyboard.type("2")
    press(dialog.get_by_role("button", name="Delete All"))
    expect(screen.get_by_text("You have no tokens yet")).to_be_visible()


def test_other_steps_without_script(open_browser, user, make_token):
    """Add scopes and delete all of them, find and regenerate an expired token, and delete all tokens."""
    page = open_browser(java_script_enabled=False, viewport=PHONE)
    token = make_token("channels:*:list", name="deploy")
    old = make_token(name="old")
    PersonalAccessToken.objects.filter(pk=old.pk).update(
        issued_at=timezone.now() - timedelta(days=9), expires_at=timezone.now() - timedelta(days=1)
    )
    page.goto("/pats/")
    page.get_by_role("link", name="deploy").click()
    page.get_by_role("button", name="Add Scope").click()
    page.locator("#id_scopes-0-entity_type").select_option("channels")
    page.get_by_role("button", name="Choose").click()
    page.locator("#id_scopes-0-entity_id").select_option("*")
    page.get_by_label("Delete").check()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("1 scope was added.")).to_be_visible()
    assert scopes_of(token) == {"channels:*:list", "channels:*:delete"}
    for _ask in range(2):
        page.get_by_role("button", name="Delete All").click()
    expect(page.get_by_text("This token can't do anything yet.")).to_be_visible()
    page.get_by_role("link", name="Go back").click()
    page.get_by_label("Search in").select_option("ID")
    page.get_by_role("searchbox").fill(str(token.pk))
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("link", name="deploy")).to_be_visible()
    page.get_by_label("Status").get_by_role("link", name="Expired").click()
    page.get_by_role("link", name="Clear the search").click()
    page.get_by_role("link", name="old").click()
    for _ask in range(2):
        page.get_by_role("button", name="Regenerate").click()
    expect(page.locator("#token-secret")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.get_by_role("link", name="Go back").click()
    page.get_by_role("button", name="Delete All").click()
    page.get_by_label("To confirm").fill("2")
    page.get_by_role("button", name="Delete All").click()
    expect(page.get_by_text("You have no tokens yet")).to_be_visible()


def test_reduced_motion_disables_animations(screen, token):
    screen.goto(f"/pats/{token.pk}/")
    screen.get_by_role("button", name="Revoke").click()
    dialog = screen.get_by_role("dialog")
    moves = "dialog => getComputedStyle(dialog).animationName"
    assert dialog.evaluate(moves) == "none"
    screen.emulate_media(reduced_motion="no-preference")
    assert dialog.evaluate(moves) == "pat-rise"


def test_columns_and_sorting_work_on_phone(open_browser, make_token):
    token = make_token("channels:*:list", name="deploy")
    page = open_browser(viewport=PHONE, has_touch=True)
    for path in ("/pats/", f"/pats/{token.pk}/"):
        page.goto(path)
        page.locator(".pat-columns summary").tap()
        box = page.locator(".pat-columns .pat-menu-items").bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        assert_sound(page)
    page.goto("/pats/")
    sorting = page.get_by_role("columnheader", name="Name").get_by_role("link")
    assert sorting.bounding_box()["height"] >= 44  # type: ignore[index]
    sorting.tap()
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")


def test_picker_supports_combobox_keys(screen, user):
    for number in range(25):
        ChannelFactory(owner=user, name=f"Pump {number:02}")
    screen.goto("/pats/create/")
    row = screen.locator("[data-pat-row]")
    row.get_by_label("Entity Type").select_option("channels")
    picker = entity(row)
    options = row.get_by_role("listbox").get_by_role("option")
    picker.press("ArrowDown")
    expect(options).to_have_count(21)  # "All", and the first 20 entities
    expect(picker).to_have_attribute("aria-expanded", "true")
    expect(row.get_by_role("status")).to_have_text("Number of suggestions: 21")
    assert_sound(screen)  # a list that scrolls
    picker.press("ArrowUp")
    last = options.last.get_attribute("id")
    expect(picker).to_have_attribute("aria-activedescendant", str(last))
    expect(options.last).to_be_in_viewport()
    picker.press("ArrowDown")
    expect(picker).to_have_attribute("aria-activedescendant", str(options.first.get_attribute("id")))
    picker.press("Home")
    assert picker.get_attribute("aria-activedescendant") is None
    expect(row.locator("[data-pat-active]")).to_have_count(0)
    picker.press_sequentially("pump 07")
    expect(options).to_have_count(1)
    picker.press("Enter")
    expect(chips(row)).to_have_text(["Pump 07"])
    expect(row.get_by_role("status")).to_have_text("Pump 07 was added")
    expect(picker).to_have_value("")
    expect(picker).to_have_attribute("aria-expanded", "false")
    expect(picker).to_be_focused()


def test_picker_adds_and_removes_entities(screen, user):
    for name in ("Fan", "Lamp", "Pump"):
        ChannelFactory(owner=user, name=name)
    screen.goto("/pats/create/")
    row = screen.locator("[data-pat-row]")
    row.get_by_label("Entity Type").select_option("channels")
    picker, status = entity(row), row.get_by_role("status")
    for name in ("Fan", "Lamp", "Pump"):
        picker.press_sequentially(name)
        expect(row.get_by_role("option", name=name)).to_be_visible()
        picker.press("Enter")
    expect(chips(row)).to_have_text(["Fan", "Lamp", "Pump"])
    expect(row.get_by_label("Create")).to_be_disabled()
    row.get_by_label("Publish").check()
    summary = screen.locator("[data-pat-summary]")
    expect(summary).to_contain_text("Publish – Fan, Lamp, Pump (Channels)")
    assert_sound(screen)
    screen.get_by_role("button", name="Remove Lamp").press("Enter")
    expect(status).to_have_text("Lamp was removed")
    expect(screen.get_by_role("button", name="Remove Pump")).to_be_focused()
    expect(summary).to_contain_text("Publish – Fan, Pump (Channels)")
    picker.press("Backspace")
    expect(status).to_have_text("Pump was removed")
    picker.click()
    chosen = row.get_by_role("listbox").get_by_role("option", selected=True)
    expect(chosen).to_have_text(re.compile("Fan"))
    chosen.click()  # once more removes it
    expect(chips(row)).to_have_count(0)
    for name in ("Fan", "Pump", "All Channels, now and in future"):
        picker.click()
        row.get_by_role("option", name=name).click()
    expect(status).to_contain_text("It includes the others, which were removed.")
    expect(chips(row)).to_have_text(["All Channels, now and in future"])
    expect(row.get_by_label("Create")).to_be_enabled()
    picker.click()
    row.get_by_role("option", name="Fan").click()
    expect(chips(row)).to_have_text(["Fan"])
    row.get_by_label("Entity Type").select_option("devices")
    expect(chips(row)).to_have_count(0)


def test_lifetime_is_whole_right_after_creation(screen):
    for duration, left in (("30d", "30 d"), ("24h", "1 d")):
        screen.goto("/pats/create/")
        screen.get_by_label("Name").fill(f"for {duration}")
        screen.get_by_label("Duration").select_option(duration)
        screen.get_by_role("button", name="Create", exact=True).click()
        expires = screen.locator('[data-pat-region="token"] time[data-pat-time=expires]')
        expect(expires).to_have_text(f"Expires in {left}")


def test_publish_on_three_channels_takes_few_actions(screen, user):
    for name in ("Fan", "Lamp", "Pump"):
        ChannelFactory(owner=user, name=name)
    screen.goto("/pats/")
    open_form_of_new_token(screen)
    screen.get_by_label("Name").fill("publisher")
    row = screen.locator("[data-pat-row]")
    row.get_by_label("Entity Type").select_option("channels")
    for name in ("Fan", "Lamp", "Pump"):
        entity(row).click()
        row.get_by_role("option", name=name).click()
    row.get_by_label("Publish").check()
    screen.get_by_role("button", name="Create", exact=True).click()  # the 11th
    expect(screen.locator("#token-secret")).to_be_visible()
    assert PersonalAccessToken.objects.get().scope_set.count() == 3


def test_all_errors_are_shown_and_disappear(screen, user, make_token):
    """The browser's own validation would show one error at a time."""
    ChannelFactory(owner=user, name="Pump")
    make_token(name="taken")
    screen.goto("/pats/create/")
    name, day = screen.get_by_label("Name"), screen.get_by_label("Last day")
    row = screen.locator("[data-pat-row]")
    create = screen.get_by_role("button", name="Create", exact=True)
    create.click()
    expect(screen.get_by_text("Enter a name.")).to_be_visible()
    expect(name).to_be_focused()
    name.fill("taken")
    expect(screen.get_by_text("Enter a name.")).to_have_count(0)
    expect(screen.get_by_role("alert")).to_have_count(0)
    screen.get_by_label("Duration").select_option("date")
    day.fill("2020-01-01")
    expect(screen.locator("[data-pat-expiry]")).to_contain_text("The token would have expired on Jan 1, 2020")
    row.get_by_label("Entity Type").select_option("channels")
    create.click()
    errors = screen.locator(".pat-field-errors")
    expect(errors).to_have_count(4)  # name, date, entity, operation
    expect(name).to_be_focused()
    assert_sound(screen)
    name.fill("taken 2")
    expect(errors).to_have_count(3)
    expect(screen.get_by_role("link", name="Go to “taken”")).to_have_count(0)
    day.fill(f"{timezone.now() + timedelta(days=3):%Y-%m-%d}")
    expect(screen.locator("[data-pat-expiry]")).to_contain_text("The token will expire on")
    expect(errors).to_have_count(2)
    picker = entity(row)
    picker.press_sequentially("pu")
    expect(errors).to_have_count(2)  # a search is no choice
    screen.get_by_role("option", name="Pump").click()
    expect(picker).not_to_have_attribute("aria-invalid", "true")
    expect(screen.get_by_role("alert")).to_be_visible()
    row.get_by_label("Publish").check()
    expect(errors).to_have_count(0)
    expect(screen.get_by_role("alert")).to_have_count(0)
    create.click()
    expect(screen.locator("#token-secret")).to_be_visible()


def test_summary_stays_in_view(open_browser, user):
    for viewport in (DESKTOP, PHONE):
        page = open_browser(viewport=viewport)
        page.goto("/pats/create/?" + "&".join(f"scope={name}:*:list" for name in ("channels", "devices", "pages")))
        summary = page.locator("[data-pat-summary]")
        page.locator("[data-pat-row]").nth(1).scroll_into_view_if_needed()
        jump = page.get_by_role("link", name="Summary", exact=True)
        if viewport is PHONE:
            expect(summary).not_to_be_in_viewport()
            jump.click()
        else:
            expect(jump).to_be_hidden()
        expect(summary).to_be_in_viewport()
        assert_sound(page)


def test_link_to_summary_does_not_cover_focus(open_browser, user):
    page = open_browser(viewport=PHONE)
    page.goto("/pats/create/")
    page.locator("[data-pat-ready]").wait_for()
    bar, button = page.locator(".pat-jump"), page.get_by_role("button", name="Use", exact=True)
    page.get_by_label("Entity Type").focus()
    page.evaluate("y => scrollBy(0, y)", button.bounding_box()["y"] - bar.bounding_box()["y"] - 4)
    page.keyboard.press("Shift+Tab")
    expect(button).to_be_focused()
    assert button.bounding_box()["y"] + button.bounding_box()["height"] <= bar.bounding_box()["y"]


def test_several_entities_without_script(open_browser, user):
    fan, lamp = (ChannelFactory(owner=user, name=name) for name in ("Fan", "Lamp"))
    page = open_browser(java_script_enabled=False, viewport=PHONE)
    page.goto("/pats/create/")
    page.get_by_label("Name").fill("plain")
    page.get_by_label("Entity Type").select_option("channels")
    page.get_by_role("button", name="Choose").click()
    select = page.locator("#id_scopes-0-entity_id")
    select.select_option(str(fan.pk))
    page.get_by_role("button", name="Add entity").click()
    expect(page.get_by_label("Fan")).to_be_checked()
    page.get_by_label("Search by name or ID").fill("lam")
    page.get_by_role("button", name="Find").click()
    select.select_option(str(lamp.pk))
    page.get_by_label("Publish").check()
    page.get_by_role("button", name="Update summary").click()
    expect(page.locator("[data-pat-summary]")).to_contain_text("Publish – Fan, Lamp (Channels)")
    page.get_by_label("Fan").uncheck()
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.locator("#token-secret")).to_be_visible()
    assert scopes_of(PersonalAccessToken.objects.get()) == {f"channels:{lamp.pk}:publish"}


def test_input_survives_network_and_session_errors(screen, user, make_token):
    """A dialog shows errors inside of itself, a picker shows them in its list."""
    ChannelFactory(owner=user, name="Pump")
    token = make_token("channels:*:list", name="deploy")
    screen.goto(f"/pats/{token.pk}/")
    screen.get_by_role("button", name="Add Scope").click()
    dialog = screen.get_by_role("dialog")
    dialog.get_by_label("Entity Type").select_option("channels")
    screen.route("**/entities/**", lambda route: route.fulfill(status=200, content_type="text/html", body="no JSON"))
    entity(dialog).fill("pum")
    expect(dialog.locator("[data-pat-note]")).to_have_text("The server could not be reached. Try again.")
    expect(entity(dialog)).to_have_value("pum")
    screen.unroute("**/entities/**")
    entity(dialog).press("ArrowDown")
    dialog.get_by_role("option", name="Pump").click()
    dialog.get_by_label("Publish").check()
    expect(dialog.locator("[data-pat-summary]")).to_contain_text("Publish")  # it is requested after a short delay
    session = screen.context.cookies()
    screen.context.clear_cookies(name="sessionid")
    screen.route("**/scopes/add/", answer_quietly)
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_text("You are no longer logged in. Log in again.")).to_be_visible()
    expect(chips(dialog)).to_have_text(["Pump"])
    screen.unroute("**/scopes/add/")
    screen.context.add_cookies(session)  # type: ignore[arg-type]
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(screen.get_by_role("row", name="Pump")).to_be_visible()
    expect(screen.get_by_text("1 scope was added.")).to_be_visible()


def answer_quietly(route: Any) -> None:
    """Respond like a site whose middleware redirects anonymous users to its own page."""
    if route.request.method == "POST":
        route.fulfill(status=302, headers={"Location": "/static/pat_tokens/icon.svg"})
    else:
        route.continue_()


def test_fragment_link_keeps_input(screen, make_token):
    token = make_token(name="deploy")
    screen.goto(f"/pats/{token.pk}/")
    screen.get_by_role("button", name="Edit name").click()
    screen.get_by_role("textbox", name="Name").fill("half")
    with screen.expect_event("framenavigated"):
        screen.evaluate("location.hash = 'content'")
    screen.wait_for_load_state("networkidle")
    expect(screen.get_by_role("textbox", name="Name")).to_have_value("half")


def test_relative_times_update_and_show_date(screen, make_token):
    token = make_token(name="deploy")
    now = timezone.now().replace(microsecond=0)
    PersonalAccessToken.objects.filter(pk=token.pk).update(
        issued_at=now - timedelta(minutes=5), last_used_at=now, expires_at=now + timedelta(hours=2, seconds=20)
    )
    screen.clock.install(time=now + timedelta(seconds=2))
    screen.goto(f"/pats/{token.pk}/")
    card = screen.locator('[data-pat-region="token"]')
    expires = card.locator("time[data-pat-time=expires]")
    expect(expires).to_have_text("Expires in 2 h")
    assert expires.text_content() == "Expires in 2\u00a0h"
    expect(card.locator("time[data-pat-time=used]")).to_have_text("just now")
    exact = expires.get_attribute("title")
    end = (now + timedelta(hours=2, seconds=20)).astimezone(ZoneInfo("Europe/Berlin"))
    assert exact == f"{end:%b %-d, %Y, %H:%M} GMT+{end.utcoffset().total_seconds() // 3600:.0f}"
    expect(card.locator("time[data-pat-time=at]")).to_have_text(exact)
    screen.clock.run_for(timedelta(hours=1).total_seconds() * 1000)
    expect(expires).to_have_text("Expires in 1 h")
    expect(card.locator("time[data-pat-time=ago]")).to_have_text("1 h 5 min ago")
    expect(card.locator("time[data-pat-time=used]")).to_have_text("1 h ago")
    assert expires.get_attribute("title") == exact
    screen.clock.fast_forward(timedelta(hours=2).total_seconds() * 1000)
    screen.clock.run_for(1000)
    expect(expires).to_contain_text("Expired")


def test_expired_tokens_are_deleted_in_three_clicks(screen, make_token):
    for name in ("alpha", "old", "older"):
        make_token(name=name)
    past = timezone.now() - timedelta(days=1)
    PersonalAccessToken.objects.exclude(name="alpha").update(issued_at=past - timedelta(days=1), expires_at=past)
    screen.goto("/pats/")
    screen.get_by_role("link", name="Expired").click()
    screen.get_by_role("row", name="older").wait_for()
    screen.get_by_role("button", name="Delete All").click()
    screen.get_by_role("dialog").get_by_role("button", name="Delete All").click()
    expect(screen.get_by_text("2 tokens were deleted.")).to_be_visible()
    assert list(PersonalAccessToken.objects.values_list("name", flat=True)) == ["alpha"]


def test_list_shows_which_tokens_can_delete(screen, make_token):
    deletes = make_token("channels:*:delete", "channels:*:read", name="cleaner")
    make_token("channels:*:read", name="reader")
    PersonalAccessToken.objects.filter(pk=deletes.pk).update(last_used_at=timezone.now() - timedelta(days=2))
    screen.goto("/pats/")
    row = screen.get_by_role("row", name="cleaner")
    expect(row).to_contain_text("Channels: Delete Read")
    expect(row).to_contain_text("2 d ago")
    screen.get_by_label("Operation").select_option("delete")
    expect(screen.get_by_role("row", name="reader")).not_to_be_visible()
    expect(row).to_be_visible()
    assert "operation=delete" in screen.url


def test_empty_region_takes_no_space(screen):
    screen.goto("/pats/")
    header, button = (
        screen.locator(".pat-header").bounding_box(),
        screen.get_by_role("link", name="+ Create PAT").bounding_box(),
    )
    assert button["x"] + button["width"] == header["x"] + header["width"]


# Controls that a toast covers.
COVERED = """() => {
  const cover = document.querySelector("[data-pat-toasts] > *").getBoundingClientRect();
  return [...document.querySelectorAll("a, button, input, select, summary")].filter((control) => {
    if (control.closest("[data-pat-toasts]") || !control.offsetParent) return false;
    const { top, bottom, left, right } = control.getBoundingClientRect();
    return top < cover.bottom && bottom > cover.top && left < cover.right && right > cover.left;
  }).map((control) => control.outerHTML);
}"""


def test_message_has_space_below(open_browser, token):
    page = open_browser(java_script_enabled=False)
    page.goto(f"/pats/{token.pk}/revoke/")
    page.get_by_role("button", name="Revoke").click()
    page.wait_for_load_state()  # the stylesheet can still be loading
    message = page.get_by_role("status").first.bounding_box()
    back = page.get_by_role("link", name="Go back").bounding_box()
    assert back["y"] - message["y"] - message["height"] == pytest.approx(16, abs=1)


def test_toast_covers_nothing_and_can_be_closed(screen, make_token):
    for number in range(30):
        make_token(name=f"token {number}")
    screen.goto("/pats/?rows=50")

    def revoke(name):
        screen.get_by_label(f"Actions for {name}", exact=True).click()
        screen.get_by_role("row", name=name).get_by_role("button", name="Revoke").click()
        screen.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        return screen.locator("[data-pat-toasts] > *")

    toast = revoke("token 29")
    expect(toast).to_contain_text("“token 29” was revoked")
    expect(toast).to_be_in_viewport()
    assert screen.evaluate(COVERED) == []
    assert_sound(screen)
    toast.get_by_role("button", name="Close").press("Enter")
    expect(toast).to_have_count(0)
    expect(screen.get_by_role("heading", name="Personal Access Tokens")).to_be_focused()
    expect(revoke("token 28")).to_be_visible()
    screen.get_by_role("link", name="Revoked").click()
    screen.get_by_role("row", name="token 28").wait_for()
    expect(toast).to_have_count(0)


def test_toast_covers_nothing_that_was_in_view(screen, make_token):
    """On a page that is scrolled, it moves everything down instead."""
    for number in range(30):
        make_token(name=f"token {number}")
    screen.goto("/pats/?rows=50")
    screen.get_by_label("Actions for token 9", exact=True).scroll_into_view_if_needed()
    screen.get_by_label("Actions for token 9", exact=True).click()
    first = screen.evaluate_handle(
        "[...document.querySelectorAll('tbody tr')].find((row) => row.getBoundingClientRect().top >= 0)"
    ).as_element()
    screen.get_by_role("row", name="token 9").get_by_role("button", name="Copy ID").click()
    toast = screen.locator("[data-pat-toasts] > *")
    expect(toast).to_be_in_viewport()
    screen.wait_for_function("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    box, row = toast.bounding_box(), first.bounding_box()
    assert screen.evaluate("scrollY") > 0
    assert row["y"] >= box["y"] + box["height"]


def test_place_of_past_toast_stays_until_next_step(screen, make_token):
    """What is below must not move while somebody is about to click it."""
    screen.clock.install()
    make_token(name="deploy")
    screen.goto("/pats/")
    row_menu(screen, "deploy").get_by_role("button", name="Copy ID").click()
    toast, row = screen.locator("[data-pat-toasts] > *"), screen.get_by_role("row", name="deploy")
    expect(toast).to_be_visible()
    screen.mouse.move(0, 0)
    place = row.bounding_box()
    screen.clock.run_for(9_000)
    expect(toast).to_be_hidden()
    assert row.bounding_box() == place
    screen.get_by_role("link", name="Revoked").click()
    expect(screen.get_by_text("No revoked tokens")).to_be_visible()
    expect(toast).to_have_count(0)


def test_toast_does_not_cover_what_keyboard_reaches(open_browser, make_token):
    for number in range(12):
        make_token(name=f"token {number}")
    page = open_browser(viewport=PHONE)
    page.goto("/pats/?rows=50")
    row_menu(page, "token 11").get_by_role("button", name="Copy ID").click()
    toast, menu = page.locator("[data-pat-toasts] > *"), page.get_by_label("Actions for token 5")
    expect(toast).to_be_visible()
    page.get_by_role("link", name="token 5").focus()
    page.evaluate("y => scrollBy(0, y)", menu.bounding_box()["y"] - toast.bounding_box()["y"])
    assert abs(menu.bounding_box()["y"] - toast.bounding_box()["y"]) < 1
    page.keyboard.press("Tab")
    expect(menu).to_be_focused()
    box, above = menu.bounding_box(), toast.bounding_box()
    assert box["y"] + box["height"] <= above["y"] or box["y"] >= above["y"] + above["height"]
