"""What was typed waits behind a login, for the one who typed it."""

import time
from html import unescape
from re import search
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from pat_tokens import reauthentication
from pat_tokens.models import PersonalAccessToken
from pat_tokens.pages import drafts

pytestmark = pytest.mark.django_db

CREATE = "/pats/create/"
BACK = "What you had filled in is back."
TYPED = {
    "name": 'half "done"',
    "description": "for the\r\nprinter",
    "duration": "7d",
    "scopes-0-entity_type": "channels",
    "scopes-0-entity_id": "*",
    "scopes-0-operations": ["read", "list"],
}


@pytest.fixture
def person(client: Client, user: Any) -> Client:
    client.force_login(user)
    return client


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def mark_on(person: Client, page: str) -> str:
    found = search(r'name="pat_owner" value="([^"]+)"', person.get(page).content.decode())
    assert found
    return found[1]


def send_too_late(person: Client, page: str, typed: dict[str, Any], **more: str) -> None:
    """Send the form of a page after its session has ended."""
    mark = mark_on(person, page)
    person.logout()
    answer = person.post(page, {"pat_owner": mark, **typed, **more})
    assert answer.status_code == 302
    assert answer.url == f"/accounts/login/?next={page}"


def test_a_form_that_was_sent_too_late_is_filled_in_again_once(person, user):
    send_too_late(person, CREATE, TYPED, csrfmiddlewaretoken="x", step="add")
    assert PersonalAccessToken.objects.count() == 0
    person.force_login(user)
    page = person.get(CREATE)
    text = text_of(page)
    assert BACK in text
    assert page.context["form"]["name"].value() == TYPED["name"]
    assert page.context["form"]["description"].value() == TYPED["description"]
    assert page.context["form"]["duration"].value() == "7d"
    assert [str(scope) for scope in page.context["rows"].scopes] == ["channels:*:read", "channels:*:list"]
    assert "data-pat-errors" not in text  # nothing has been judged
    again = text_of(person.get(CREATE))
    assert BACK not in again
    assert 'half "done"' not in again


def test_other_forms_are_filled_in_again_too(person, user, token):
    def page_after(name: str, typed: dict[str, Any], *args: str) -> Any:
        target = reverse(f"pat_tokens:{name}", args=[token.pk, *args])
        send_too_late(person, target, typed)
        person.force_login(user)
        return person.get(target)

    page = page_after("scopes_add", {name: value for name, value in TYPED.items() if name.startswith("scopes")})
    assert len(page.context["rows"].scopes) == 2
    assert page_after("token_regenerate", {"duration": "90d"}).context["form"]["duration"].value() == "90d"
    for field in ("name", "description"):
        page = page_after("token_edit", {field: "typed"}, field)
        assert page.context["form"][field].value() == "typed"
        assert BACK in text_of(page)


def test_nobody_else_sees_it_and_then_it_is_gone(person, user, stranger):
    send_too_late(person, CREATE, TYPED)
    person.force_login(stranger)
    assert 'half "done"' not in text_of(person.get(CREATE))
    assert drafts.SESSION_KEY not in person.session


@pytest.mark.parametrize("age", [-1, drafts.MAX_AGE])
def test_it_waits_for_an_hour(person, user, monkeypatch, age):
    send_too_late(person, CREATE, TYPED)
    person.force_login(user)
    now = time.time()
    monkeypatch.setattr(drafts, "clock", lambda: now + age)
    assert BACK not in text_of(person.get(CREATE))
    assert drafts.SESSION_KEY not in person.session


def test_another_page_and_one_fetched_ahead_leave_it_alone(person, user, token):
    send_too_late(person, CREATE, TYPED)
    person.force_login(user)
    person.get(reverse("pat_tokens:scopes_add", args=[token.pk]))
    person.head(CREATE)
    person.get(CREATE, headers={"sec-purpose": "prefetch"})
    assert BACK in text_of(person.get(CREATE))


@pytest.mark.parametrize("mark", ["", "1", "1:forged", "\0"])
def test_without_a_page_of_ours_nothing_is_stored(client, mark):
    client.post(CREATE, {**TYPED, "pat_owner": mark})
    assert drafts.SESSION_KEY not in client.session


def test_what_is_too_long_and_what_is_nothing_are_not_stored(person, user, token):
    send_too_late(person, CREATE, {"description": "x" * drafts.MAX_LENGTH})
    assert drafts.SESSION_KEY not in person.session
    person.force_login(user)
    mark = mark_on(person, CREATE)
    person.logout()
    person.post(reverse("pat_tokens:token_revoke", args=[token.pk]), {"pat_owner": mark})
    assert drafts.SESSION_KEY not in person.session


def test_a_script_keeps_what_was_typed_by_itself(person):
    mark = mark_on(person, CREATE)
    person.logout()
    answer = person.post(CREATE, {**TYPED, "pat_owner": mark}, headers={"accept": "application/json"})
    assert answer.status_code == 401
    assert drafts.SESSION_KEY not in person.session


class TestWhereThePasswordIsAskedAgain:
    @pytest.fixture(autouse=True)
    def asked(self, settings):
        settings.PAT_TOKENS_REAUTHENTICATE_AFTER = 600
        reauthentication._attempts.clear()
        yield
        reauthentication._attempts.clear()

    def test_it_waits_while_a_page_of_the_site_asks(self, person, settings):
        settings.PAT_TOKENS_REAUTHENTICATE = "tests.pages.test_drafts.elsewhere"
        answer = person.post(CREATE, {**TYPED, "pat_owner": mark_on(person, CREATE)})
        assert answer.url == f"/second-factor/?next={CREATE}"
        page = person.get(CREATE)
        assert page.context["form"]["name"].value() == TYPED["name"]
        assert BACK in text_of(page)

    def test_it_outlives_a_session_that_too_many_wrong_passwords_end(self, person, user):
        typed = {**TYPED, "pat_owner": mark_on(person, CREATE)}
        for _try in range(reauthentication.MAX_FAILURES):
            answer = person.post(CREATE, {**typed, "pat_password": "wrong"})
        assert answer.url == CREATE
        assert "wrong" not in str(dict(person.session.items()))
        person.force_login(user)
        page = person.get(CREATE)
        assert page.context["form"]["name"].value() == TYPED["name"]

    def test_it_does_not_wait_where_the_answer_comes_in_the_same_form(self, person):
        typed = {**TYPED, "pat_owner": mark_on(person, CREATE)}
        assert 'name="pat_password"' in text_of(person.post(CREATE, typed))
        assert drafts.SESSION_KEY not in person.session


def elsewhere(request: Any) -> str:
    """A site's own way to ask."""
    return "/second-factor/"
