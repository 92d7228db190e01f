"""What was done in another window meanwhile, and what is pressed twice."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from pat_tokens.models import PersonalAccessToken
from tests.browser.conftest import assert_sound

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NO_TOKEN = "There is no such token"
NO_SCOPE = "There is no such scope"


@pytest.fixture
def window(open_browser: Any) -> Page:
    """A window in which what was deleted in another one is asked for."""
    page: Page = open_browser(gone=True, viewport={"width": 1280, "height": 900})
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("has_script", [True, False], ids=["with a script", "without"])
def test_the_page_of_a_token_that_is_gone_leads_back(open_browser, token, scheme, has_script):
    page = open_browser(
        gone=True, viewport={"width": 360, "height": 740}, color_scheme=scheme, java_script_enabled=has_script
    )
    page.goto("/pats/")
    PersonalAccessToken.objects.all().delete()
    page.get_by_role("link", name="deploy").click()
    expect(page.get_by_role("heading", name=NO_TOKEN)).to_be_visible()
    if has_script:
        assert_sound(page)
    page.get_by_role("link", name="Go to your tokens").click()
    expect(page.get_by_text("You have no tokens yet")).to_be_visible()


def test_a_dialog_of_the_list_tells_that_its_token_is_gone(window, make_token):
    one, other = make_token(name="one"), make_token(name="other")
    window.goto("/pats/")
    one.delete()
    window.get_by_label("Actions for one").click()
    window.get_by_role("button", name="Revoke").click()
    dialog = window.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name=NO_TOKEN)).to_be_focused()
    assert_sound(window)
    window.keyboard.press("Escape")
    expect(window.get_by_role("link", name="one")).to_have_count(0)
    expect(window.get_by_role("heading", name="Personal Access Tokens")).to_be_focused()

    window.get_by_label("Actions for other").click()
    window.get_by_role("button", name="Delete", exact=True).click()
    expect(dialog.get_by_role("heading", name="Delete “other”?")).to_be_visible()
    other.delete()
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(dialog.get_by_role("heading", name=NO_TOKEN)).to_be_focused()
    dialog.get_by_role("link", name="Go to your tokens").click()
    expect(window.get_by_text("You have no tokens yet")).to_be_visible()


@pytest.mark.parametrize("step", ["Revoke", "Regenerate", "Add Scope", "Edit name", "Save"])
def test_what_is_pressed_on_the_page_of_a_token_that_is_gone(window, token, step):
    window.goto(f"/pats/{token.pk}/")
    if step == "Save":
        window.get_by_role("button", name="Edit name").click()
        window.get_by_role("textbox", name="Name").fill("renamed")
    token.delete()
    window.get_by_role("button", name=step).click()
    expect(window.get_by_role("heading", name=NO_TOKEN)).to_be_visible()
    if window.get_by_role("dialog").count():
        window.get_by_role("button", name="Close").click()
        expect(window.get_by_role("dialog")).to_have_count(0)
    expect(window.get_by_role("heading", name=NO_TOKEN)).to_be_visible()
    window.get_by_role("link", name="Go to your tokens").click()
    expect(window.get_by_text("You have no tokens yet")).to_be_visible()


def test_a_scope_that_is_gone_is_told_and_its_row_goes_too(window, make_token):
    token = make_token("channels:*:read", "channels:*:list", name="deploy")
    window.goto(f"/pats/{token.pk}/")
    token.scope_set.get(operation="read").delete()
    window.get_by_role("button", name="Delete scope Read").click()
    dialog = window.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name=NO_SCOPE)).to_be_focused()
    expect(dialog).to_contain_text("“deploy” has no such scope.")
    window.keyboard.press("Escape")
    expect(window.get_by_role("button", name="Delete scope Read")).to_have_count(0)
    expect(window.get_by_role("button", name="Delete scope List")).to_be_visible()
