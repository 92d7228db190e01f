"""The password prompt, as a page and in a dialog."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import assert_sound

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "secret-password"
SIZES = pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)])


@pytest.fixture(autouse=True)
def asked(settings):
    settings.PAT_TOKENS_REAUTHENTICATE_AFTER = 600


@SIZES
@pytest.mark.parametrize("has_script", [True, False], ids=["with a script", "without"])
def test_form_opens_after_password(open_browser, user, scheme, width, has_script):
    size = {"width": width, "height": 740}
    page = open_browser(viewport=size, color_scheme=scheme, java_script_enabled=has_script)
    page.goto("/pats/create/")
    field = page.get_by_label("Password")
    expect(page.get_by_text("Enter the password for owner to continue")).to_be_visible()
    expect(field).to_be_focused()
    if has_script:  # axe needs a script
        assert_sound(page)
    field.fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Incorrect password.")).to_be_visible()
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description("Incorrect password.")
    if has_script:  # axe needs a script
        assert_sound(page)
    field.fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_label("Name").fill("deploy")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.locator("#token-secret")).to_be_visible()
    expect(page.get_by_role("heading", name="deploy")).to_be_visible()


@SIZES
def test_dialog_shows_password_prompt(open_browser, token, scheme, width):
    page = open_browser(viewport={"width": width, "height": 740}, color_scheme=scheme)
    page.goto(f"/pats/{token.pk}/")
    page.get_by_role("button", name="Regenerate").click()
    dialog = page.get_by_role("dialog")
    field = dialog.get_by_label("Password")
    expect(field).to_be_focused()
    assert_sound(page)
    field.fill("wrong")
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("Incorrect password.")).to_be_visible()
    expect(field).to_be_focused()
    assert_sound(page)
    field.fill(PASSWORD)
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Regenerate").click()
    expect(page.locator("#token-secret")).to_be_visible()
