"""Secrets that users search for are looked up, and never part of a URL."""

import re

import pytest
from django.urls import reverse
from django.views.debug import ExceptionReporter

from pat_tokens import services
from pat_tokens.crypto import make_secret
from pat_tokens.entities import registry
from pat_tokens.querysets import TokenQuerySet
from pat_tokens.secret_search import find_token, holds_secret

SEARCH = "/pats/search/"
LIST = "/pats/"
JSON = {"accept": "application/json, text/html"}


def said(page):
    return " ".join(re.sub(r"<[^>]*>", " ", page.content.decode()).split())


@pytest.mark.parametrize(
    "form", ["{}", " {} ", "Bearer {}", 'curl -H "Authorization: Bearer {}"', "<{}>", "token={}&x=1", "{},", "x{}"]
)
def test_pasted_secret_finds_token(person, make_token, form):
    token = make_token(name="deploy")
    answer = person.post(SEARCH, {"q": form.format(token.secret), "in": "description", "status": "expired"})
    assert answer.url == f"{LIST}?q={token.pk}&in=id&status=all"
    page = person.get(answer.url)
    assert "This is the secret of “deploy”. Status: Active." in said(page)
    assert f'href="{reverse("pat_tokens:token_detail", args=[token.pk])}">deploy</a>' in page.content.decode()
    assert token.secret not in page.content.decode() + answer.url


@pytest.mark.parametrize("field", ["in", "status", "operation", "sort", "rows"])
def test_secret_in_another_field_is_not_in_url(person, token, field):
    assert person.post(SEARCH, {"q": "deploy", field: token.secret}).url == f"{LIST}?q=deploy"


def test_previous_secret_and_its_hint_find_token(person, token):
    def search():
        text = said(person.get(person.post(SEARCH, {"q": token.secret}).url))
        return re.search(r"This is the secret of “deploy”. Status: (\w+).", text)[1]

    services.rotate_token(token)
    assert search() == "Active"
    services.finish_rotation(token)
    assert search() == "Replaced"
    for hint in (token.hint, f"…{token.hint[-4:]}"):
        assert str(token.pk) in person.get(LIST, {"q": hint}).content.decode()
    services.revoke_token(token)
    assert search() == "Revoked"


def test_script_gets_same_result(person, make_token):
    token = services.revoke_token(made := make_token(name="deploy"))
    answer = person.post(SEARCH, {"q": made.secret}, headers=JSON).json()
    assert answer == {
        "location": f"{LIST}?q={token.pk}&in=id&status=all",
        "notice": "This is the secret of “deploy”. Status: Revoked.",
    }


def test_other_users_secret_looks_unknown(person, make_token, token, stranger):
    foreign = make_token(user=stranger)
    for secret in (foreign.secret, make_secret("pat")):
        answer = person.post(SEARCH, {"q": secret})
        assert answer.url == LIST
        assert "None of your tokens has this secret." in said(person.get(answer.url))


def test_incomplete_secret_is_reported(person, token):
    for part in (token.secret[:-1], token.secret[:25], token.secret[:-1] + ("a" if token.secret[-1] != "a" else "b")):
        answer = person.post(SEARCH, {"q": part})
        assert answer.url == LIST
        assert "This is not a complete secret." in said(person.get(answer.url))


def test_imported_key_is_recognized_if_allowed(person, user, settings):
    key = "0123456789abcdef" * 2 + "01234567"
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = True
    token, _made = services.import_token(user, key, name="old", duration="7d")
    assert str(token.pk) in person.post(SEARCH, {"q": key}).url
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = False
    assert person.post(SEARCH, {"q": key}).url == f"{LIST}?q={key}"


@pytest.mark.parametrize("term", ["deploy", "pat_deploy", "pat_", "pät_" + "x" * 30, "a b&c", "", "pat_…x7Qa"])
def test_other_terms_are_searched(person, token, term):
    answer = person.post(SEARCH, {"q": term, "in": "description", "status": "all", "sort": "name", "rows": "5"})
    page = person.get(answer.url)
    assert page.context["term"] == term
    assert page.context["search_field"] == "description"
    assert page.context["status"] == "all"
    assert page.context["table"].sort == "name"


@pytest.mark.parametrize("name", ["q", "in", "status", "sort", "anything"])
def test_secret_in_url_is_removed_and_reported(person, token, name):
    answer = person.get(LIST, {name: token.secret})
    assert answer.status_code == 302
    assert token.secret not in answer.url + answer.content.decode()
    page = person.get(answer.url)
    assert f"This is the secret of “{token.name}”." in said(page)
    assert "It was part of the URL" in said(page)
    assert token.secret not in page.content.decode()


def test_other_pages_remove_secret_from_url(person, client, token):
    for path in (
        "/pats/create/",
        "/pats/entities/channels/",
        "/pats/reauthenticate/",
        reverse("pat_tokens:token_detail", args=[token.pk]),
    ):
        for name in ("q", "next", "name"):
            assert person.get(path, {name: f"/x?{token.secret}"}).url == path
    client.logout()
    assert client.get(LIST, {"q": token.secret}).url == LIST  # not a login page with the URL in ?next=


def test_needs_session_and_post(client, person, token):
    assert person.get(SEARCH).status_code == 405
    client.logout()
    answer = client.post(SEARCH, {"q": token.secret})
    assert answer.url.startswith("/accounts/login/")
    assert token.secret not in answer.url


@pytest.mark.parametrize("make_term", [lambda token: token.hint, lambda token: token.hint.replace("…", "...")])
def test_hint_and_id_are_found(person, token, make_token, make_term):
    make_token(name="other")
    for term in (make_term(token), make_term(token).removeprefix("pat_"), str(token.pk), token.pk.hex.upper()):
        for field in ("name", "description", "id"):
            page = person.get(LIST, {"q": term, "in": field})
            assert [row.pk for row in page.context["table"].rows] == [token.pk], (term, field)


def test_look_up_makes_one_query(token, django_assert_num_queries, settings):
    settings.PAT_TOKENS_PEPPERS = ["a" * 40, "b" * 40]
    with django_assert_num_queries(1):
        find_token(make_secret("pat"), type(token).objects.for_user(token.user))
    with django_assert_num_queries(0):
        assert find_token("pat_" + "x" * 49, type(token).objects.all()) is None


def test_prefix_of_site_is_used(settings):
    settings.PAT_TOKENS_PREFIX = "acme"
    assert holds_secret(make_secret("acme"))
    assert not holds_secret(make_secret("pat"))


def test_error_report_has_no_secret(person, token, settings, monkeypatch, caplog):
    def fail(*args):
        raise RuntimeError("the database has gone")

    monkeypatch.setattr(TokenQuerySet, "with_any_digest", fail)
    person.raise_request_exception = False
    answer = person.post(SEARCH, {"q": token.secret})
    kind, error, frames = answer.exc_info
    while "pat_tokens/pages" not in frames.tb_frame.f_code.co_filename:
        frames = frames.tb_next  # frames between the test client, which knows the secret, and our code
    report = ExceptionReporter(answer.wsgi_request, kind, error, frames)
    assert "the database has gone" in report.get_traceback_text()
    assert token.secret not in report.get_traceback_html() + report.get_traceback_text() + caplog.text


@pytest.mark.parametrize("field", ["name", "description", "scopes-0-term"])
def test_report_of_a_form_has_no_secret(person, token, monkeypatch, field):
    def fail(*args, **kwargs):
        raise RuntimeError("the database has gone")

    monkeypatch.setattr(services, "create_token", fail)
    monkeypatch.setattr(type(registry.get("channels")), "search", fail)
    person.raise_request_exception = False
    fields = {"name": "new", "duration": "24h", "step": "search-0" if field == "scopes-0-term" else ""}
    answer = person.post("/pats/create/", {**fields, "scopes-0-entity_type": "channels", field: token.secret})
    report = ExceptionReporter(answer.wsgi_request, *answer.exc_info).get_traceback_text()
    assert "the database has gone" in report
    assert token.secret not in report
