"""The demo speaks the language of the browser, or the one that a user chooses."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import translation
from rest_framework.test import APIClient

from demo_project.devices.seeds import LOGINS
from tests import translation_catalogs
from tests.translation_catalogs import LANGUAGES

LOCALE = Path(settings.LOCALE_PATHS[0])
LOGIN = "/accounts/login/"

every_language = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture(autouse=True)
def in_english_afterwards() -> Any:
    yield
    translation.deactivate()  # the middleware leaves the language active in the thread


def catalog(language: str, ending: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / f"django.{ending}"


@every_language
def test_all_strings_are_translated(language: str, tmp_path: Path) -> None:
    """A failure lists strings that are new or removed: run `make messages`, then translate."""
    messages = translation_catalogs.read_po(catalog(language, "po"))[1:]
    assert [message.text for message in messages if message.is_fuzzy or not all(message.translations)] == []
    for message in messages:
        wanted = translation_catalogs.fixed_parts(message.text)
        assert [translation_catalogs.fixed_parts(text) for text in message.translations] == [wanted]
    assert translation_catalogs.read_mo(catalog(language, "mo")) == translation_catalogs.compiled(messages)
    collected = translation_catalogs.collect(LOCALE.parent, tmp_path)
    assert {message.key for message in messages} == {message.key for message in collected}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "direction", "label"),
    [("en", "ltr", "Log in"), ("de", "ltr", "Anmelden"), ("fr", "ltr", "Se connecter"), ("ar", "rtl", "تسجيل الدخول")],
)
def test_browser_language_is_used(as_alice: Client, language: str, direction: str, label: str) -> None:
    headers = {"accept-language": f"{language}-XX, en;q=0.5"}
    for client, path in ((Client(), LOGIN), (as_alice, "/"), (as_alice, "/pats/"), (as_alice, "/pats/create/")):
        page = client.get(path, headers=headers).text
        assert f'<html lang="{language}" dir="{direction}">' in page
    assert f"<h1>{label}</h1>" in Client().get(LOGIN, headers=headers).text


@pytest.mark.django_db
def test_chosen_language_wins(as_alice: APIClient, alice: Any) -> None:
    page = as_alice.get("/pats/?q=pump").text
    assert 'action="/i18n/setlang/"' in page
    assert '<input type="hidden" name="next" value="/pats/?q=pump">' in page
    response = as_alice.post("/i18n/setlang/", {"language": "ar", "next": "/pats/?q=pump"}, format="multipart")
    assert response.headers["Location"] == "/pats/?q=pump"
    headers = {"accept-language": "de"}
    assert 'class="pat-tokens" lang="ar" dir="rtl"' in as_alice.get("/pats/", headers=headers).text
    alice.is_staff = alice.is_superuser = True
    alice.save()
    assert '<html lang="ar" dir="rtl"' in as_alice.get("/admin/", headers=headers).text


@pytest.mark.django_db
def test_login_page_names_accounts() -> None:
    page = Client().get(LOGIN).text
    for login in LOGINS:
        assert f"<dt>{login.username}</dt><dd><code>{login.password}</code>" in page
