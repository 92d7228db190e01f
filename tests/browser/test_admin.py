"""The admin's pages of tokens: our parts are accessible, also on narrow screens and in the dark theme."""

import re

import pytest
from playwright.sync_api import expect

from pat_tokens.models import PersonalAccessToken
from tests.browser.conftest import AXE
from tests.factories import ChannelFactory

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.test_admin"),
]

# Problems of the admin's own templates: its select2 has no name, and it skips heading levels.
DJANGOS = {"exclude": [[".select2"], ["#header"], ["#nav-sidebar"], ["#toolbar"], [".actions"]]}
# axe would insert imported stylesheets into the page, which the policy forbids, unless preloading is off.
DJANGOS_RULES = {"rules": {"heading-order": {"enabled": False}, "region": {"enabled": False}}, "preload": False}


def assert_ours_is_sound(page):
    page.wait_for_load_state()
    found = AXE.run(page, context=DJANGOS, options=DJANGOS_RULES)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_searched_secret_is_not_part_of_a_url(open_browser, user, make_token):
    type(user).objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
    token, page, asked = make_token(name="deploy"), open_browser(), []
    page.on("request", lambda request: asked.append(request.url))
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))  # the admin has no icon
    page.goto("/admin/pat_tokens/personalaccesstoken/")
    search = page.locator("#searchbar")
    search.fill(f" {token.secret}")
    search.press("Enter")
    expect(page.get_by_text("This is the secret of “deploy”. Status: Active.")).to_be_visible()
    assert not any(token.secret in address for address in asked)
    page.goto("/admin/pat_tokens/personalaccesstoken/")
    search.fill("deploy")
    search.press("Enter")
    expect(page).to_have_url(re.compile("[?]q=deploy"))
    assert_ours_is_sound(page)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_staff_create_revoke_and_regenerate_token(open_browser, user, scheme, width):
    type(user).objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
    channel = ChannelFactory(owner=user, name="Pump")
    page = open_browser(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))  # the admin has no icon
    page.goto("/admin/pat_tokens/personalaccesstoken/add/")
    assert_ours_is_sound(page)
    page.locator(".select2-selection").click()
    page.get_by_role("option", name="owner").click()
    page.get_by_label("Name").fill("deploy")
    page.get_by_label("Scopes").fill(f"channels:{channel.pk}:delete")
    page.get_by_role("button", name="Save", exact=True).click()
    secret = page.get_by_label("Secret", exact=True).input_value()
    assert secret.startswith("pat_")
    expect(page.get_by_role("row", name="Channels Pump Delete (Dangerous)")).to_be_visible()
    assert_ours_is_sound(page)
    page.reload()
    assert secret not in page.content()
    page.get_by_role("link", name="Revoke").click()
    expect(page.get_by_role("heading", name="Revoke deploy?")).to_be_visible()
    assert_ours_is_sound(page)
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("link", name="Regenerate").click()
    expect(page.get_by_role("heading", name="Regenerate deploy?")).to_be_visible()
    assert_ours_is_sound(page)
    page.get_by_role("button", name="Regenerate").click()
    expect(page.get_by_label("Secret", exact=True)).not_to_have_value(secret)
    assert PersonalAccessToken.objects.get().is_active
    page.goto("/admin/pat_tokens/personalaccesstoken/?status=active&entity_type=channels")
    expect(page.get_by_role("link", name="deploy")).to_be_visible()
    assert_ours_is_sound(page)


THEME = """{% extends "admin/base_site.html" %}{% load i18n %}
{% block nav-global %}<ul class="theme">{% block object-tools-items %}{% endblock %}</ul>{% endblock %}
{% block content %}<form>{% block form_top %}{% endblock %}</form>{% endblock %}
"""
THEME_STYLE = "ul { display: flex; list-style: none } input { width: 100px; border: 0; padding: 0 }"


def test_unstyled_theme_shows_links_and_whole_secret(open_browser, user, make_token, settings, tmp_path):
    (tmp_path / "admin").mkdir()
    (tmp_path / "admin/change_form.html").write_text(THEME)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    type(user).objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
    token = make_token(name="deploy")
    page = open_browser(viewport={"width": 1280, "height": 800})
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    page.route("**/admin/css/**", lambda route: route.fulfill(content_type="text/css", body=THEME_STYLE))
    page.goto(f"/admin/pat_tokens/personalaccesstoken/{token.pk}/regenerate/")
    page.get_by_role("button", name="Regenerate").click()
    secret = page.get_by_label("Secret", exact=True)
    page.wait_for_load_state()  # the stylesheets can still be loading
    assert secret.evaluate("input => input.scrollWidth <= input.clientWidth")
    revoke, regenerate = (page.get_by_role("link", name=name).bounding_box() for name in ("Revoke", "Regenerate"))
    assert revoke["x"] + revoke["width"] + 8 <= regenerate["x"]


RESET = "@layer base { * { border: 0 solid } }"  # as in Tailwind


def test_fields_have_borders_in_theme_that_resets_them(open_browser, user, token):
    type(user).objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
    page = open_browser()
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    page.route("**/admin/css/**", lambda route: route.fulfill(content_type="text/css", body=RESET))
    for path in ("add/", f"{token.pk}/change/"):
        page.goto(f"/admin/pat_tokens/personalaccesstoken/{path}")
        for label in ("Name", "Description"):
            field = page.get_by_label(label)
            assert field.evaluate("field => getComputedStyle(field).borderTopWidth") == "1px"
