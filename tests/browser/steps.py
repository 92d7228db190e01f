"""Steps that are the same in every design of the pages."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import assert_sound


def open_form_of_new_token(page: Page) -> None:
    """From the list, open the form, and wait until its script has run and its name is focused."""
    page.get_by_role("link", name="+ Create PAT").click()
    page.wait_for_url("**/create/")
    expect(page.get_by_label("Name")).to_be_focused()


def create_token_for_pump(page: Page, name: str) -> None:
    """From the list, create a token that can delete the channel "Pump"."""
    open_form_of_new_token(page)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Entity Type").select_option("channels")
    page.locator("[data-pat-picker] [role=combobox]").fill("pump")
    page.get_by_role("option", name="Pump").first.click()
    page.get_by_label("Delete").check()
    assert_sound(page)
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.locator("#token-secret")).to_be_visible()
    assert_sound(page)


def open_dialogs_of_token(page: Page) -> None:
    for name in ("Add Scope", "Revoke"):
        page.get_by_role("button", name=name).first.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert_sound(page)
        page.get_by_role("dialog").get_by_role("button", name="Close").click()
        expect(page.get_by_role("dialog")).to_be_hidden()
