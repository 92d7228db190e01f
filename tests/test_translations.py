"""The catalogs are complete and harmless, and all pages are translated."""

import html
import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path, reverse
from django.utils import timezone, translation
from rest_framework.test import APIClient

from pat_tokens import services
from pat_tokens.labels import duration_label
from pat_tokens.models import PersonalAccessToken
from tests import translation_catalogs
from tests.factories import TokenFactory, UserFactory
from tests.translation_catalogs import LANGUAGES

pytestmark = pytest.mark.repository

urlpatterns = [path("admin/", admin.site.urls), path("", include("tests.urls"))]

every_language = pytest.mark.parametrize("language", LANGUAGES)


def messages_of(language):
    return translation_catalogs.read_po(translation_catalogs.path(language, "po"))[1:]


def test_all_languages_are_tested():
    assert sorted(folder.name for folder in (translation_catalogs.PACKAGE / "locale").iterdir()) == sorted(LANGUAGES)


@every_language
def test_all_strings_are_translated(language):
    messages = messages_of(language)
    assert len(messages) > 300
    assert [message.text for message in messages if message.is_fuzzy] == []
    assert [message.text for message in messages if not all(text.strip() for text in message.translations)] == []


def test_languages_have_same_strings():
    texts = [{(message.key, message.plural) for message in messages_of(language)} for language in LANGUAGES]
    assert texts[0] == texts[1] == texts[2]


@every_language
def test_compiled_catalogs_are_up_to_date(language):
    assert translation_catalogs.read_mo(translation_catalogs.path(language, "mo")) == translation_catalogs.compiled(
        messages_of(language)
    )


@every_language
def test_plurals_have_all_forms(language):
    count, _ = translation_catalogs.plural_rule(
        translation_catalogs.read_po(translation_catalogs.path(language, "po"))[0]
    )
    assert count == {"ar": 6, "de": 2, "fr": 2}[language]
    for message in messages_of(language):
        assert len(message.translations) == (1 if message.plural is None else count), message.text


@every_language
def test_placeholders_are_kept(language):
    count, rule = translation_catalogs.plural_rule(
        translation_catalogs.read_po(translation_catalogs.path(language, "po"))[0]
    )
    numbers = [sum(rule(n) == form for n in range(200)) for form in range(count)]
    for message in messages_of(language):
        wanted = translation_catalogs.fixed_parts(message.plural or message.text)
        for form, text in enumerate(message.translations):
            parts = translation_catalogs.fixed_parts(text)
            if message.plural and numbers[form] <= 2:  # "one" and "two" don't need the digit
                parts, wanted_here = ([p for p in some if not p.endswith("d")] for some in (parts, wanted))
            else:
                wanted_here = wanted
            assert parts == wanted_here, text


@every_language
def test_translations_are_plain_text(language):
    """`{% translate %}` doesn't escape them, not even in attributes."""
    for message in messages_of(language):
        for text in message.translations:
            assert not set('"<>&') & set(text), text
            assert text == text.strip(), text


def test_quoted_names_are_isolated_in_arabic():
    """Otherwise, a name that begins with a number and is written from left to right has the number at its end."""
    texts = [text for message in messages_of("ar") for text in message.translations]
    quoted = [text for text in texts if re.search(r"«[^»]*%\(", text)]
    assert len(quoted) > 20
    assert [text for text in quoted if not re.search(r"\u2068«?%\(\w+\)s»?\u2069", text)] == []


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """The messages in the code and in the templates."""
    return translation_catalogs.collect(translation_catalogs.PACKAGE, tmp_path_factory.mktemp("messages"))


def test_all_strings_are_in_catalogs(collected):
    """A failure lists strings that are new or removed: run `make messages`, then translate."""
    assert {message.key for message in collected} == {message.key for message in messages_of("de")}


def test_short_strings_have_context(collected):
    """The catalog of a site can have the same strings, and would override our translation."""
    plain = [message for message in collected if "%(" not in message.text and "{" not in message.text]
    assert [message.text for message in plain if not message.context and len(message.text.split()) <= 3] == []


@pytest.fixture
def in_every_language(settings):
    """A site that uses the language of the browser."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    yield
    translation.deactivate()  # the middleware leaves the language active in the thread


def pages_of(user, make_token):
    """Return every page, with tokens and scopes of every kind."""
    token = make_token("channels:*:read", "channels:*:list", name="first", description="")
    token.scope_set.create(entity_type="gone", entity_id="1", operation="read")
    expired = make_token(name="second")
    now = timezone.now()
    times = {"issued_at": now - timedelta(days=9), "expires_at": now - timedelta(days=2)}
    PersonalAccessToken.objects.filter(pk=expired.pk).update(**times)
    services.revoke_token(make_token(name="third"))
    scope = token.scope_set.get(operation="read", entity_type="channels")
    yield "/pats/"
    yield "/pats/?status=all"
    yield "/pats/?q=nothing-like-it"
    yield "/pats/create/"
    yield "/pats/delete/"
    for name in ("detail", "revoke", "regenerate", "delete"):
        yield reverse(f"pat_tokens:token_{name}", args=[token.pk])
    for field in ("name", "description"):
        yield reverse("pat_tokens:token_edit", args=[token.pk, field])
    for name in ("scopes_add", "scopes_delete"):
        yield reverse(f"pat_tokens:{name}", args=[token.pk])
    yield reverse("pat_tokens:scope_delete", args=[token.pk, scope.pk])


def english_in(answer: HttpResponse, language: str) -> list[str]:
    """Return English strings of several words in the response."""
    shown = " ".join(html.unescape(answer.content.decode()).split())
    return [
        message.text
        for message in messages_of(language)
        if " " in message.text and "%" not in message.text and message.translations[0] != message.text
        if re.search(rf"(?<!\w){re.escape(message.text)}(?!\w)", shown)
    ]


@every_language
def test_pages_are_translated(client, user, make_token, in_every_language, language):
    client.force_login(user)
    empty = client.get("/pats/", headers={"accept-language": language})
    assert english_in(empty, language) == []
    for target in pages_of(user, make_token):
        answer = client.get(target, headers={"accept-language": language})
        assert answer.status_code == 200, target
        assert english_in(answer, language) == [], target
        direction = "rtl" if language == "ar" else "ltr"
        assert f'<html lang="{language}" dir="{direction}">' in answer.content.decode()


@every_language
def test_errors_and_notices_are_translated(client, user, token, in_every_language, language):
    client.force_login(user)
    headers = {"accept-language": language}
    rows = {"scopes-0-entity_type": "channels", "scopes-0-entity_id": "77", "scopes-0-operations": ["read"]}
    for data in ({}, {"name": token.name, "duration": "date"}, {"name": "new", "duration": "24h", **rows}):
        answer = client.post("/pats/create/", data, headers=headers)
        assert answer.status_code == 200
        assert english_in(answer, language) == []
    target = reverse("pat_tokens:token_revoke", args=[token.pk])
    answer = client.post(target, headers=headers | {"accept": "application/json"})
    catalogue = translation_catalogs.compiled(messages_of(language))
    text = catalogue["“%(name)s” was revoked. To use it again, regenerate it."]
    assert answer.json()["notice"] == text % {"name": token.name}


@every_language
def test_secret_page_is_translated(client, user, in_every_language, language):
    client.force_login(user)
    headers = {"accept-language": language}
    answer = client.post("/pats/create/", {"name": "new", "duration": "24h"}, headers=headers, follow=True)
    assert 'id="token-secret"' in answer.content.decode()
    assert english_in(answer, language) == []


@every_language
@pytest.mark.urls("tests.test_translations")
def test_admin_is_translated(client, make_token, in_every_language, language):
    token = make_token("channels:*:read")
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    pages = [("changelist",), ("add",), *((name, token.pk) for name in ("change", "delete", "revoke", "regenerate"))]
    for name, *args in pages:
        target = reverse(f"admin:pat_tokens_personalaccesstoken_{name}", args=args)
        answer = client.get(target, headers={"accept-language": language})
        assert answer.status_code == 200, target
        assert english_in(answer, language) == [], target


@every_language
def test_token_responses_are_translated(user, make_token, in_every_language, language):
    revoked = make_token("channels:*:list")
    services.revoke_token(revoked)
    catalogue = translation_catalogs.compiled(messages_of(language))
    text = "The token was revoked. Its owner can regenerate it."
    headers = {"authorization": f"Bearer {revoked.secret}", "accept-language": language}
    answer = APIClient(headers=headers).get("/api/channels/")
    assert answer.status_code == 401
    assert answer.json()["detail"] == catalogue[text]
    assert answer.headers["WWW-Authenticate"].isascii()
    assert f'error_description="{text}"' in answer.headers["WWW-Authenticate"]


@every_language
def test_missing_scope_error_is_translated(user, make_token, in_every_language, language):
    token = make_token("devices:*:read")
    catalogue = translation_catalogs.compiled(messages_of(language))
    headers = {"authorization": f"Bearer {token.secret}", "accept-language": language}
    answer = APIClient(headers=headers).get("/api/channels/")
    assert answer.status_code == 403
    assert answer.json()["detail"] == catalogue["The token lacks the scope %(scopes)s."] % {"scopes": "channels:*:list"}
    assert answer.headers["WWW-Authenticate"].isascii()


@pytest.mark.parametrize(
    ("language", "labels"),
    [
        ("de", ["1 Stunde", "2 Stunden", "7 Tage", "1 Jahr"]),
        ("fr", ["1 heure", "2 heures", "7 jours", "1 an"]),
        ("ar", ["ساعة واحدة", "ساعتان", "7 أيام", "سنة واحدة"]),
    ],
)
def test_plural_forms_are_used(language, labels):
    with translation.override(language):
        assert [duration_label(duration) for duration in ("1h", "2h", "7d", "1y")] == labels


@pytest.mark.django_db
@pytest.mark.parametrize("number", [1, 2, 5, 11])
def test_arabic_plurals_are_complete(settings, number):
    settings.LANGUAGE_CODE = "ar"
    user = UserFactory()
    for position in range(number):
        TokenFactory(user=user, name=f"token {position}")
    client = Client()
    client.force_login(user)
    answer = client.get("/pats/delete/")
    assert answer.status_code == 200
    assert "%(" not in answer.content.decode()
    assert english_in(answer, "ar") == []


def test_no_translations_without_use_i18n(client, user, settings):
    settings.USE_I18N = False
    client.force_login(user)
    page = client.get("/pats/", headers={"accept-language": "de"}).content.decode()
    assert "You have no tokens yet" in page
    assert 'dir="ltr"' in page
