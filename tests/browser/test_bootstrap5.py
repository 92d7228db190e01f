"""The pages with the elements for Bootstrap 5, on a site with a few of Bootstrap's own rules and properties."""

import pytest
from playwright.sync_api import expect

from pat_tokens import services
from tests.browser.conftest import assert_sound
from tests.browser.steps import create_token_for_pump, open_dialogs_of_token
from tests.browser.test_other_sites import open_on_site
from tests.factories import ChannelFactory

__all__ = ["open_on_site"]  # a fixture

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Written for these tests, with the names that Bootstrap uses.
STYLE = """
:root { --bs-body-bg: #fff; --bs-body-color: #222; --bs-border-color: #ccc; --bs-link-color: #0d6efd; }
*, *::before, *::after { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.5 sans-serif; background: var(--bs-body-bg); color: var(--bs-body-color); }
legend { float: left; width: 100%; font-size: 2rem; }
dl, ol, ul, p { margin: 0 0 1rem; }
code { color: #b02a37; }
.btn, .dropdown-item { padding: .4rem .8rem; border: 0; background: none; color: inherit; font: inherit; }
.btn-primary { background: #0a4fbf; color: #fff; }
.btn-danger { background: #a52834; color: #fff; }
.dropdown { position: relative; }
.card { position: relative; overflow-wrap: break-word; }
.card { border: 1px solid var(--bs-border-color); }
.card-body { padding: 1rem; }
.form-control, .form-select { width: 100%; padding: .4rem; border: 1px solid #777; font: inherit; }
.table { width: 100%; border-collapse: collapse; }
.table > :not(caption) > * > * { padding: .5rem; border-bottom: 1px solid var(--bs-border-color); text-align: left; }
.nav-link, .page-link { padding: .4rem .8rem; }
.d-inline-block { display: inline-block !important; }
.py-1 { padding-block: .25rem !important; }
.d-sm-flex { display: flex; }
.flex-grow-1 { flex-grow: 1; }
.vstack { display: flex; flex-direction: column; }
.alert-warning { background: #fff3cd; color: #664d03; }
.d-flex { display: flex !important; flex-wrap: wrap; gap: .5rem; }
.pagination { display: flex; padding: 0; list-style: none; }
"""


@pytest.fixture
def open_with_bootstrap(open_on_site, settings):
    settings.INSTALLED_APPS = ["pat_tokens.contrib.bootstrap5", *settings.INSTALLED_APPS]
    return lambda **options: open_on_site(STYLE, **options)


@pytest.mark.parametrize("width", [1280, 360])
def test_token_is_created_and_deleted(open_with_bootstrap, user, width):
    ChannelFactory(owner=user, name="Pump")
    page = open_with_bootstrap(viewport={"width": width, "height": 800})
    page.goto("/pats/")
    assert_sound(page)
    create_token_for_pump(page, "deploy")
    open_dialogs_of_token(page)
    page.goto("/pats/")
    page.get_by_label("Actions for deploy").click()
    assert_sound(page)
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("You have no tokens yet")).to_be_visible()


def test_pages_work_without_script(open_with_bootstrap):
    page = open_with_bootstrap(java_script_enabled=False)
    page.goto("/pats/create/")
    page.get_by_label("Name").fill("deploy")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.locator("#token-secret")).to_be_visible()
    page.get_by_role("button", name="Edit name").click()
    page.get_by_role("textbox", name="Name").fill("renamed")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="renamed")).to_be_visible()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("button", name="Regenerate")).to_be_visible()


def test_colors_are_those_of_bootstrap(open_with_bootstrap, token):
    page = open_with_bootstrap()
    page.goto("/pats/create/")
    summary = page.locator(".pat-summary")
    assert summary.evaluate("element => getComputedStyle(element).backgroundColor") == "rgb(255, 255, 255)"
    # Rules of the site for tags don't reach the content of its own elements.
    legend = page.locator(".pat-operations legend").first
    assert legend.evaluate("element => getComputedStyle(element).float") == "none"


def test_long_names_fit(open_with_bootstrap, make_token):
    page = open_with_bootstrap(viewport={"width": 1280, "height": 900})
    page.goto(f"/pats/{make_token(name='W' * 255, description='d' * 300).pk}/")
    assert_sound(page)
    page.goto(f"{page.url}edit/description/")
    assert_sound(page)


def test_links_in_alerts_have_contrast(open_with_bootstrap, client_with, token):
    """Bootstrap's own color of links isn't dark enough on its color of alerts."""
    services.regenerate_token(token)
    assert client_with(token).get("/api/channels/").status_code == 401
    page = open_with_bootstrap()
    page.goto("/pats/")
    expect(page.get_by_role("status").get_by_role("link", name=token.name)).to_be_visible()
    assert_sound(page)
