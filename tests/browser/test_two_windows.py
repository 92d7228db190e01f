"""Changes in another window, and double clicks."""

from threading import Event
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from pat_tokens import services
from pat_tokens.authentication import authenticate
from pat_tokens.models import PersonalAccessToken
from pat_tokens.pages.tokens import TokenCreate
from pat_tokens.requirements import ANY_TOKEN
from tests.browser.conftest import assert_sound

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NO_TOKEN = "Token not found"
NO_SCOPE = "Scope not found"


@pytest.fixture
def window(open_browser: Any) -> Page:
    """A window that requests objects that were deleted in another one."""
    page: Page = open_browser(gone=True, viewport={"width": 1280, "height": 900})
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("has_script", [True, False], ids=["with a script", "without"])
def test_page_of_deleted_token_links_to_list(open_browser, token, scheme, has_script):
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


def test_list_dialog_reports_deleted_token(window, make_token):
    one, other = make_token(name="one"), make_token(name="other")
    window.goto("/pats/")
    one.delete()
    window.get_by_label("Actions for one").click()
    window.get_by_role("button", name="Revoke", exact=True).click()
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
def test_buttons_on_page_of_deleted_token(window, token, step):
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


def test_deleted_scope_is_reported_and_removed(window, make_token):
    token = make_token("channels:*:read", "channels:*:list", name="deploy")
    window.goto(f"/pats/{token.pk}/")
    token.scope_set.get(operation="read").delete()
    window.get_by_role("button", name="Delete scope Read").click()
    dialog = window.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name=NO_SCOPE)).to_be_focused()
    expect(dialog).to_contain_text("“deploy” does not have this scope.")
    window.keyboard.press("Escape")
    expect(window.get_by_role("button", name="Delete scope Read")).to_have_count(0)
    expect(window.get_by_role("button", name="Delete scope List")).to_be_visible()


BOTH = pytest.mark.parametrize("has_script", [True, False], ids=["with a script", "without"])
DESKTOP = {"width": 1280, "height": 900}


@pytest.fixture
def two_windows(open_browser, has_script):
    """Two browsers of one user."""
    return [open_browser(gone=True, java_script_enabled=has_script, viewport=DESKTOP) for _window in range(2)]


def ask_in(window: Page, label: str) -> Any:
    """Press a button that asks for confirmation, and return the confirming button of the dialog or the page."""
    window.get_by_role("button", name=label).first.click()
    question = window.locator("dialog [data-pat-panel], main > .pat-tokens > [data-pat-panel]")
    button = question.get_by_role("button", name=label.split(" scope ", maxsplit=1)[0], exact=True)
    expect(button).to_be_visible()  # before another window changes the object
    return button


@BOTH
def test_token_is_revoked_twice_and_regenerated(two_windows, token):
    one, other = two_windows
    for window in two_windows:
        window.goto(f"/pats/{token.pk}/")
    questions = [ask_in(window, "Revoke") for window in two_windows]
    for question, window in zip(questions, two_windows, strict=True):
        question.click()
        expect(window.get_by_text("“deploy” was revoked.")).to_be_visible()
        expect(window.get_by_role("button", name="Regenerate")).to_be_visible()
    ask_in(one, "Regenerate").click()
    secret = one.locator("#token-secret").inner_text()
    ask_in(other, "Regenerate").click()
    newer = other.locator("#token-secret").inner_text()
    assert newer != secret
    assert authenticate(newer, ANY_TOKEN) == token
    one.reload()
    expect(one.locator("#token-secret")).to_have_count(0)
    ask_in(one, "Revoke").click()
    expect(one.get_by_text("“deploy” was revoked.")).to_be_visible()


@BOTH
def test_scope_is_deleted_twice_and_then_token(two_windows, make_token):
    token = make_token("channels:*:read", "channels:*:list", name="deploy")
    one, other = two_windows
    for window in two_windows:
        window.goto(f"/pats/{token.pk}/")
    questions = [ask_in(window, "Delete scope Read: All Channels, now and in future") for window in two_windows]
    questions[0].click()
    expect(one.get_by_text("The scope was deleted.")).to_be_visible()
    questions[1].click()
    expect(other.get_by_role("heading", name=NO_SCOPE)).to_be_visible()
    other.get_by_role("link", name="Go to the token").click()
    expect(other.get_by_role("button", name="Delete scope List")).to_be_visible()
    token.delete()
    one.get_by_role("button", name="Delete this token").click()
    expect(one.get_by_role("heading", name=NO_TOKEN)).to_be_visible()


def wait_for_one(page: Page, things: list[Any]) -> None:
    for _step in range(500):
        if things:
            return
        page.wait_for_timeout(20)
    raise AssertionError("it did not happen")


def test_form_submitted_twice_links_to_token(open_browser, monkeypatch):
    """The browser drops the response to the first click, but the slow server has already created the token."""
    page = open_browser(java_script_enabled=False, viewport=DESKTOP)
    requests: list[Any] = []
    is_pressed_again = Event()
    post, create = TokenCreate.post, services.create_token

    def counted(view: TokenCreate, request: Any) -> Any:
        requests.append(request)
        if len(requests) > 1:
            is_pressed_again.set()
        return post(view, request)

    def slow(*args: Any, **kwargs: Any) -> Any:
        made = create(*args, **kwargs)
        assert is_pressed_again.wait(30)
        return made

    monkeypatch.setattr(TokenCreate, "post", counted)
    monkeypatch.setattr(services, "create_token", slow)
    page.goto("/pats/create/")
    page.get_by_label("Name").fill("twice")
    button = page.get_by_role("button", name="Create", exact=True)
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    page.mouse.click(box["x"] + 9, box["y"] + 9)
    wait_for_one(page, requests)
    page.mouse.click(box["x"] + 9, box["y"] + 9)
    expect(page.get_by_text("There is already a token with this name.")).to_be_visible()
    page.get_by_role("link", name="Go to “twice”").click()
    expect(page.get_by_role("heading", name="twice")).to_be_visible()
    assert len(requests) == 2
    assert PersonalAccessToken.objects.get().name == "twice"


def test_double_click_submits_once(screen, token):
    own, sent, held = f"/pats/{token.pk}/", [], []
    screen.on("request", lambda request: request.method == "POST" and sent.append(request.url))
    screen.goto(own)
    screen.get_by_role("button", name="Edit name").dblclick()
    screen.get_by_role("textbox", name="Name").fill("renamed")
    screen.get_by_role("button", name="Save").dblclick()
    expect(screen.get_by_role("heading", name="renamed")).to_be_visible()
    screen.get_by_role("button", name="Revoke", exact=True).dblclick()
    dialog = screen.get_by_role("dialog")
    expect(dialog).to_have_count(1)
    dialog.get_by_role("button", name="Revoke", exact=True).dblclick()
    expect(dialog).to_have_count(0)
    screen.get_by_role("button", name="Regenerate").dblclick()
    expect(dialog).to_have_count(1)
    screen.route(f"**{own}", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks what it is given
    dialog.get_by_role("button", name="Regenerate").dblclick(no_wait_after=True)
    wait_for_one(screen, held)  # the redirect to the page with the secret
    screen.keyboard.press("Enter")
    screen.wait_for_timeout(200)
    held[0].continue_()
    screen.unroute(f"**{own}")
    expect(screen.locator("#token-secret")).to_be_visible()
    assert [url.rpartition(own)[2] for url in sent] == ["edit/name/", "revoke/", "regenerate/"]
