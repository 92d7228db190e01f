"""The dialogs of a rotation, and the countdown to the end of the previous secret."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

from pat_tokens import services
from pat_tokens.models import PersonalAccessToken
from tests.browser.conftest import assert_sound
from tests.factories import ChannelFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def use(secret, channel):
    headers = {"authorization": f"Bearer {secret}"}
    return Client().get(f"/api/channels/{channel.pk}/", headers=headers).status_code


def test_rotate_cancel_and_finish_in_dialogs(screen, user, make_token):
    channel = ChannelFactory(owner=user)
    token = make_token("channels:*:read", name="deploy", duration="90d")
    screen.goto(f"/pats/{token.pk}/")
    card, dialog = screen.locator('[data-pat-region="token"]'), screen.get_by_role("dialog")

    def choose(name):
        card.get_by_role("button", name=name, exact=True).click()
        expect(dialog).to_be_visible()
        assert_sound(screen)

    def rotate(grace_period):
        choose("Rotate")
        dialog.get_by_label("Grace period").select_option(grace_period)
        dialog.get_by_role("button", name="Rotate", exact=True).click()
        return screen.locator("#token-secret").inner_text()

    lost = rotate("1h")
    stored = PersonalAccessToken.objects.get()
    for hint in (token.hint, stored.hint):
        expect(card.get_by_text(hint, exact=True)).to_be_visible()
    expect(card).to_contain_text("After its first use, this one works for 1 hour more.")
    expect(card.get_by_role("button", name="Rotate", exact=True)).to_have_count(0)
    assert_sound(screen)
    choose("Finish now")
    expect(dialog).to_contain_text("The new secret has never been used.")
    screen.keyboard.press("Escape")
    choose("Cancel")
    expect(dialog).to_contain_text(token.hint)
    dialog.get_by_role("button", name="Cancel the rotation").click()
    expect(screen.get_by_text(f"The secret is {token.hint} again.")).to_be_visible()
    expect(screen.locator("#token-secret")).to_have_count(0)
    assert (use(token.secret, channel), use(lost, channel)) == (200, 401)

    new = rotate("24h")
    assert (use(token.secret, channel), use(new, channel)) == (200, 200)
    screen.reload()
    expect(card).to_contain_text("The new secret is in use.")
    expect(card.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)
    choose("More time")
    dialog.locator("[name=grace_period]").select_option("7d")
    dialog.get_by_role("button", name="Save").click()
    expect(screen.get_by_text("The grace period was changed.")).to_be_visible()
    assert PersonalAccessToken.objects.get().previous.grace_period == "7d"
    choose("Finish now")
    expect(dialog).not_to_contain_text("has never been used")
    dialog.get_by_role("button", name="Finish now").click()
    expect(screen.get_by_text("The previous secret was stopped.")).to_be_visible()
    expect(card.get_by_text(token.hint, exact=True)).to_have_count(0)
    assert (use(token.secret, channel), use(new, channel)) == (401, 200)


def test_page_counts_down_to_end_of_previous_secret(screen, make_token):
    now = timezone.now().replace(microsecond=0)
    token = make_token("channels:*:read", name="deploy", duration="90d")
    services.rotate_token(token, grace_period="24h")
    PersonalAccessToken.objects.update(grace_started_at=now - timedelta(hours=22))
    screen.clock.install(time=now + timedelta(seconds=2))
    screen.goto(f"/pats/{token.pk}/")
    stops = screen.locator("time[data-pat-time=stops]")
    expect(stops).to_have_text("Stops in 2 h")
    screen.clock.run_for(timedelta(hours=1).total_seconds() * 1000)
    expect(stops).to_have_text("Stops in 1 h")
    screen.clock.run_for(timedelta(minutes=30).total_seconds() * 1000)
    expect(stops).to_contain_text("Stops in 30 min")


def test_overlap_is_sound_right_to_left_on_phone(open_browser, make_token, settings):
    settings.LANGUAGE_CODE = "ar"
    token = make_token("channels:*:read", name="deploy")
    page = open_browser(viewport={"width": 360, "height": 740})
    page.goto(f"/pats/{token.pk}/rotate/")
    assert_sound(page)
    services.rotate_token(token)
    for path in ("", "rotate/finish/", "rotate/cancel/", "rotate/grace-period/"):
        assert page.goto(f"/pats/{token.pk}/{path}").status == 200
        assert page.evaluate("document.documentElement.dir") == "rtl"
        assert_sound(page)
