"""Sensitive actions ask for the password: with a prompt on pages and in the admin, with a 403 in the API."""

import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model, logout, update_session_auth_hash
from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client, RequestFactory
from django.urls import include, path, reverse
from django.views.debug import ExceptionReporter

from pat_tokens import rate_limits
from pat_tokens.authentication import authenticate as authenticate_token
from pat_tokens.exceptions import ReauthenticationRequired
from pat_tokens.models import PersonalAccessToken
from pat_tokens.requirements import ANY_TOKEN
from pat_tokens.users import reauthentication
from pat_tokens.users.reauthentication import Proof
from tests.contrib.rest_framework.management import row, session_client, snapshot
from tests.factories import TokenFactory, UserFactory
from tests.interfaces import admin_url
from tests.policies import policy_with

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.users.test_reauthentication")]

urlpatterns = [path("admin/", admin.site.urls), path("", include("tests.urls"))]

PASSWORD = "secret-password"
QUESTION = 'name="pat_password"'
ENGINES = ["db", "cache", "cached_db", "file", "signed_cookies"]


@pytest.fixture(autouse=True)
def asked_after_ten_minutes(settings, tmp_path):
    settings.PAT_TOKENS_REAUTHENTICATE_AFTER = 600
    settings.SESSION_FILE_PATH = str(tmp_path)


@pytest.fixture
def turn_clock(monkeypatch):
    """Move the clock by some seconds."""
    now = [time.time()]
    monkeypatch.setattr(reauthentication, "clock", lambda: now[0])

    def turn(seconds: float) -> None:
        now[0] += seconds

    return turn


@pytest.fixture
def boss(client: Client) -> Client:
    """A superuser's browser."""
    client.force_login(UserFactory(username="boss", is_staff=True, is_superuser=True))
    return client


def url(name: str, *args: Any) -> str:
    return reverse(f"pat_tokens:{name}", args=args)


def fields_of(page: Any) -> dict[str, list[str]]:
    """Return the fields that the prompt sends along."""
    kept: dict[str, list[str]] = {}
    pattern = r'<input type="hidden" name="([^"]*)" value="([^"]*)">'
    for name, value in re.findall(pattern, page.content.decode()):
        kept.setdefault(unescape(name), []).append(unescape(value))
    return kept


def is_question(answer: Any) -> bool:
    return answer.status_code == 200 and QUESTION in answer.content.decode()


def confirm(client: Client, password: str = PASSWORD) -> Any:
    return client.post(url("reauthenticate"), {"pat_password": password})


TYPED = {
    "name": 'deploy "<b>',
    "description": "über\r\nzwei Zeilen",
    "duration": "7d",
    "scopes-0-entity_type": "channels",
    "scopes-0-entity_id": "*",
    "scopes-0-operations": ["read", "list"],
}


class TestPages:
    def test_create_asks_and_keeps_input(self, person):
        page = person.post(url("token_create"), TYPED)
        assert is_question(page)
        assert not PersonalAccessToken.objects.exists()
        kept = fields_of(page)
        kept.pop("csrfmiddlewaretoken")
        assert kept == {name: value if isinstance(value, list) else [value] for name, value in TYPED.items()}
        answer = person.post(url("token_create"), {**kept, "pat_password": PASSWORD})
        token = PersonalAccessToken.objects.get()
        assert answer.url == url("token_detail", token.pk)
        assert (token.name, token.description.split()) == (TYPED["name"], ["über", "zwei", "Zeilen"])
        assert token.scope_set.count() == 2
        assert authenticate_token(str(person.get(answer.url).context["revealed"].secret), ANY_TOKEN) == token

    def test_regenerate_and_add_scopes_ask(self, person, token):
        before = snapshot()
        for name, data in {
            "token_regenerate": {"duration": "7d"},
            "scopes_add": {name: value for name, value in TYPED.items() if name.startswith("scopes")},
        }.items():
            page = person.post(url(name, token.pk), data)
            assert is_question(page)
            assert snapshot() == before
            assert {**data, "csrfmiddlewaretoken": 0}.keys() == fields_of(page).keys()

    @pytest.mark.parametrize("name", ["token_create", "token_regenerate", "scopes_add"])
    @pytest.mark.parametrize("headers", [{}, {"accept": "application/json, text/html"}])
    def test_opening_form_asks_first(self, person, token, turn_clock, name, headers):
        path = url(name) if name == "token_create" else url(name, token.pk)
        page = person.get(path, headers=headers)
        assert is_question(page)
        kept = fields_of(page)
        page = person.post(path, {**kept, "pat_password": "wrong"}, headers=headers)
        assert is_question(page)
        assert "Incorrect password." in page.content.decode()
        answer = person.post(path, {**fields_of(page), "pat_password": PASSWORD}, headers=headers)
        assert (answer.status_code, answer.url) == (302, path)
        page = person.get(answer.url, headers=headers)
        assert not is_question(page)
        assert "data-pat-scopes" in page.content.decode() or "data-pat-duration" in page.content.decode()
        turn_clock(600)
        assert is_question(person.get(path, headers=headers))

    @pytest.mark.parametrize("name", ["token_detail", "token_revoke", "token_delete", "scopes_delete"])
    def test_other_pages_do_not_ask(self, person, token, name):
        assert not is_question(person.get(url(name, token.pk)))

    def test_other_users_form_is_not_found(self, person, make_token, stranger):
        assert person.get(url("scopes_add", make_token(user=stranger).pk)).status_code == 404

    def test_password_counts_for_all_actions_until_timeout(self, person, token, turn_clock):
        assert confirm(person).url == url("token_list")
        turn_clock(599)
        assert person.post(url("token_create"), TYPED).status_code == 302
        assert person.post(url("token_regenerate", token.pk), {"duration": "7d"}).status_code == 302
        turn_clock(1)
        assert is_question(person.post(url("token_regenerate", token.pk), {"duration": "7d"}))

    def test_removing_access_does_not_ask(self, person, make_token):
        token, other = make_token("channels:*:read", "channels:*:list"), make_token()
        scope = token.scope_set.first()
        for name, args in {
            "scope_delete": (token.pk, scope.pk),
            "scopes_delete": (token.pk,),
            "token_revoke": (token.pk,),
            "token_delete": (other.pk,),
            "tokens_delete": (),
        }.items():
            ids = {"ids": str(token.pk)} if name == "tokens_delete" else {}
            assert person.post(url(name, *args), ids).status_code == 302, name
        assert not PersonalAccessToken.objects.exists()

    def test_renaming_and_form_steps_do_not_ask(self, person, token):
        assert person.post(url("token_edit", token.pk, "name"), {"name": "new"}).status_code == 302
        assert not is_question(person.post(url("token_create"), {**TYPED, "step": "add"}))
        assert not PersonalAccessToken.objects.filter(name=TYPED["name"]).exists()

    def test_form_errors_are_shown_first(self, person, token):
        page = person.post(url("token_regenerate", token.pk), {"duration": "date"})
        assert not is_question(page)
        assert "Choose the last day" in page.content.decode()

    def test_wrong_password_is_reported_not_shown(self, person, token):
        page = person.post(url("token_regenerate", token.pk), {"duration": "7d", "pat_password": "wrong-pass"})
        assert is_question(page)
        assert "Incorrect password." in page.content.decode()
        assert "wrong-pass" not in page.content.decode()
        assert fields_of(page)["duration"] == ["7d"]

    def test_script_gets_prompt_for_dialog(self, person, token):
        headers = {"accept": "application/json, text/html"}
        page = person.post(url("token_regenerate", token.pk), {"duration": "7d"}, headers=headers)
        assert is_question(page)
        assert "data-pat-panel" in page.content.decode()
        data = {"duration": "7d", "pat_password": PASSWORD}
        answer = person.post(url("token_regenerate", token.pk), data, headers=headers)
        assert answer.json() == {"location": url("token_detail", token.pk), "visit": True}

    def test_prompt_redirects_only_to_this_site(self, person):
        assert is_question(person.get(url("reauthenticate"), {"next": "/api/"}))
        for number, (target, back) in enumerate(
            {"/app/?a=1": "/app/?a=1", "//evil.example/": url("token_list")}.items()
        ):
            page = f"{url('reauthenticate')}?next={target}"
            answer = person.post(page, {"pat_password": PASSWORD}) if number == 0 else person.get(page)
            assert answer.url == back

    def test_prompt_needs_login_and_csrf_token(self, user):
        strict = Client(enforce_csrf_checks=True)
        assert strict.get(url("reauthenticate")).url.startswith("/accounts/login/")
        strict.force_login(user)
        assert confirm(strict).status_code == 403

    def test_off_by_default(self, person, settings):
        del settings.PAT_TOKENS_REAUTHENTICATE_AFTER
        assert person.post(url("token_create"), TYPED).status_code == 302
        assert person.get(url("reauthenticate")).url == url("token_list")


class TestConfirmation:
    @pytest.mark.parametrize("engine", ENGINES)
    def test_works_with_every_session_backend(self, client, user, settings, engine):
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
        client.force_login(user)
        assert confirm(client).status_code == 302
        assert client.post(url("token_create"), TYPED).status_code == 302
        assert client.post(url("token_create"), {**TYPED, "name": "another"}).status_code == 302

    @pytest.mark.parametrize("engine", ENGINES)
    def test_ends_with_session_and_password_change(self, client, user, settings, engine, rf):
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
        client.force_login(user)
        confirm(client)
        user.set_password("another-password")
        user.save()
        request = rf.get("/")
        request.session, request.user = client.session, user
        update_session_auth_hash(request, user)
        request.session.save()
        client.cookies[settings.SESSION_COOKIE_NAME] = request.session.session_key
        assert is_question(client.post(url("token_create"), TYPED))
        logout(request)
        assert reauthentication.STAMP not in request.session

    @pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine != "signed_cookies"])
    def test_ends_with_new_session_key(self, client, user, settings, engine):
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
        client.force_login(user)
        confirm(client)
        session = client.session
        session.cycle_key()
        client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
        assert is_question(client.post(url("token_create"), TYPED))

    def test_cycles_session_key(self, person):
        old = person.session.session_key
        confirm(person)
        assert person.session.session_key != old
        assert not SessionStore().exists(old)

    def test_is_bound_to_session_and_user(self, person, user, stranger, settings):
        confirm(person)
        stamp = person.session[reauthentication.STAMP]
        for other in (user, stranger):
            thief = Client()
            thief.force_login(other)
            session = thief.session
            session[reauthentication.STAMP] = stamp
            session.save()
            assert is_question(thief.post(url("token_create"), TYPED))
        # The same session, which the site has given to another user without a login.
        request = RequestFactory().get("/")
        request.session, request.user = person.session, stranger
        assert reauthentication._has_fresh_stamp(request, 600) is False
        request.user = user
        assert reauthentication._has_fresh_stamp(request, 600) is True

    @pytest.mark.parametrize("stamp", [None, [], "x", [1, 2, 3], [9e99, "x"], [0, ""]])
    def test_ignores_foreign_session_data(self, person, stamp):
        session = person.session
        session[reauthentication.STAMP] = stamp
        session.save()
        assert is_question(person.post(url("token_create"), TYPED))

    def test_in_future_is_ignored(self, person, turn_clock):
        confirm(person)
        turn_clock(-1)
        assert is_question(person.post(url("token_create"), TYPED))

    def test_does_not_store_password(self, person):
        confirm(person)
        assert PASSWORD not in str(dict(person.session.items()))


class TestAttempts:
    def test_five_wrong_passwords_end_session(self, person, token):
        page = url("token_regenerate", token.pk)
        for _ in range(4):
            assert is_question(person.post(page, {"duration": "7d", "pat_password": "wrong"}))
        assert person.post(page, {"duration": "7d", "pat_password": "wrong"}).url == page
        assert person.get(page).url.startswith("/accounts/login/")

    def test_attempts_count_across_processes(self, person):
        for _ in range(4):
            confirm(person, "wrong")
            rate_limits.clear_all()
        confirm(person, "wrong")
        assert person.get(url("token_list")).status_code == 302

    def test_script_gets_401_after_session_ended(self, person):
        headers = {"accept": "application/json"}
        answers = [person.post(url("reauthenticate"), {"pat_password": "wrong"}, headers=headers) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 401]

    def test_correct_password_is_refused_after_limit(self, user, person):
        for _ in range(5):
            confirm(person, "wrong")
        again = Client()
        again.force_login(user)
        assert "Too many attempts" in confirm(again).content.decode()
        rate_limits.clear_all()
        assert confirm(again).status_code == 302

    def test_correct_password_resets_attempts(self, person, user, turn_clock):
        for _ in range(3):
            for _ in range(4):
                assert is_question(confirm(person, "wrong"))
            assert confirm(person).status_code == 302
            turn_clock(601)

    def test_concurrent_requests_get_no_extra_attempts(self, user, monkeypatch):
        looked = []
        monkeypatch.setattr(reauthentication, "authenticate", lambda *args, **kwargs: looked.append(1))

        def guess(_: int) -> Proof:
            request = RequestFactory().post("/")
            request.session, request.user = SessionStore(), user
            return reauthentication._try(request, "guess")

        with ThreadPoolExecutor(8) as pool:
            proofs = list(pool.map(guess, range(100)))
        assert (len(looked), proofs.count(Proof.TOO_MANY_ATTEMPTS)) == (5, 95)

    def test_attempts_are_logged_without_password(self, person, user, caplog):
        caplog.set_level(logging.DEBUG)
        for _ in range(5):
            confirm(person, "wrong-pass")
        person.force_login(user)
        confirm(person)
        rate_limits.clear_all()
        confirm(person)
        lines = [one.getMessage() for one in caplog.records if one.name == "pat_tokens.reauthentication"]
        failures = ["wrong"] * 4 + ["session_ended", "too_often"]
        who = f"user={user.pk} ip=127.0.0.1"
        expected = [f"Reauthentication failed: reason={reason} {who}" for reason in failures]
        assert lines == [*expected, f"Reauthenticated: {who}"]
        assert "wrong-pass" not in caplog.text
        assert PASSWORD not in caplog.text

    def test_authentication_backends_are_used(self, person, settings):
        settings.AUTHENTICATION_BACKENDS = ["tests.users.test_reauthentication.OnlyOpenSesame"]
        person.force_login(get_user_model().objects.get())
        assert is_question(confirm(person))
        assert confirm(person, "open sesame").status_code == 302

    def test_password_of_other_user_does_not_count(self, person, settings, stranger):
        settings.AUTHENTICATION_BACKENDS = ["tests.users.test_reauthentication.AlwaysTheStranger"]
        person.force_login(get_user_model().objects.get(username="owner"))
        assert is_question(confirm(person))


class OnlyOpenSesame(ModelBackend):
    """A site's own authentication backend."""

    def authenticate(self, request: Any, username: str | None = None, password: str | None = None) -> Any:  # type: ignore[override]
        return get_user_model().objects.get(username=username) if password == "open sesame" else None


class AlwaysTheStranger(ModelBackend):
    """A backend that returns another user."""

    def authenticate(self, request: Any, **credentials: Any) -> Any:  # type: ignore[override]
        return get_user_model().objects.get(username="stranger")


class TestPolicy:
    """The site's policy, and users without a password."""

    @pytest.fixture
    def without_password(self, user, person):
        user.set_unusable_password()
        user.save()
        person.force_login(user)
        return person

    def test_user_without_password_is_refused(self, without_password, token):
        before = snapshot()
        for name, args, data in [
            ("token_create", (), TYPED),
            ("token_regenerate", (token.pk,), {"duration": "7d"}),
            ("reauthenticate", (), {}),
        ]:
            for password in ({}, {"pat_password": ""}, {"pat_password": PASSWORD}):
                answer = without_password.post(url(name, *args), {**data, **password})
                assert answer.status_code == 403
                assert "your account has no password here" in answer.content.decode()
        assert snapshot() == before

    @pytest.mark.parametrize("password", [None, ""])
    def test_user_model_without_passwords_is_refused(self, user, person, rf, password):
        request = rf.get("/")
        request.session, request.user = person.session, user
        user.password = password
        with pytest.raises(ReauthenticationRequired) as caught:
            reauthentication.require(request)
        assert not caught.value.by_password

    @pytest.mark.parametrize(("answer", "status"), [(None, 302), (False, 403), (600, 403), ("", 403), (0, 403)])
    def test_only_none_from_policy_allows(self, without_password, settings, answer, status):
        settings.PAT_TOKENS_POLICY = policy_with(get_reauthentication=lambda request: answer)
        assert without_password.post(url("token_create"), TYPED).status_code == status
        assert PersonalAccessToken.objects.exists() == (status == 302)

    def test_password_does_not_override_policy(self, person, settings):
        confirm(person)
        settings.PAT_TOKENS_POLICY = policy_with(get_reauthentication=lambda request: "")
        assert person.post(url("token_create"), {**TYPED, "pat_password": PASSWORD}).status_code == 403

    def test_policy_can_require_password(self, person, settings):
        settings.PAT_TOKENS_POLICY = policy_with(get_reauthentication=lambda request: 60)
        assert is_question(person.post(url("token_create"), TYPED))

    def test_policy_can_redirect(self, person, settings):
        settings.PAT_TOKENS_POLICY = policy_with(
            get_reauthentication=lambda request: "https://sso.example/again/?app=1"
        )
        answer = person.post(url("token_create"), TYPED)
        assert answer.url == "https://sso.example/again/?app=1&next=/pats/create/"
        scripted = person.post(url("token_create"), TYPED, headers={"accept": "application/json"})
        assert scripted.json() == {"location": answer.url, "visit": True}
        assert not PersonalAccessToken.objects.exists()


WIDENING: list[tuple[str, str, Callable[[], dict[str, Any]]]] = [
    ("post", "/api/pats/", lambda: {"name": "new"}),
    ("post", "/api/pats/{token}/regenerate/", dict),
    ("post", "/api/pats/{token}/rotate/", dict),
    ("post", "/api/pats/{token}/scopes/", lambda: {"scopes": [row("channels:*:list")]}),
]
FREE: list[tuple[str, str, Callable[[], dict[str, Any]]]] = [
    ("patch", "/api/pats/{token}/", lambda: {"name": "renamed"}),
    ("post", "/api/pats/{token}/rotate/finish/", dict),
    ("post", "/api/pats/{token}/rotate/cancel/", dict),
    ("post", "/api/pats/{token}/revoke/", dict),
    ("delete", "/api/pats/{token}/scopes/{scope}/", dict),
    ("delete", "/api/pats/{token}/scopes/", dict),
    ("delete", "/api/pats/{token}/", dict),
    ("delete", "/api/pats/", dict),
]


class TestApi:
    @pytest.fixture
    def ask(self, user, make_token):
        token = make_token("channels:*:read", "devices:*:list")
        client = session_client(user)

        def ask(method: str, path: str, make_data: Callable[[], dict[str, Any]], **extra: Any) -> Any:
            scope = token.scope_set.first()
            return getattr(client, method)(path.format(token=token.pk, scope=scope and scope.pk), make_data(), **extra)

        ask.client = client  # type: ignore[attr-defined]
        return ask

    def test_sensitive_actions_are_403_with_url(self, ask):
        before = snapshot()
        for case in WIDENING:
            answer = ask(*case)
            assert answer.status_code == 403
            assert answer.json() == {
                "detail": "Confirm your identity, then try again.",
                "code": "reauthentication_required",
                "url": "http://testserver/pats/reauthenticate/",
            }
            assert "WWW-Authenticate" not in answer
        assert snapshot() == before
        assert (
            ask.client.post("/pats/reauthenticate/", {"pat_password": PASSWORD}, format="multipart").status_code == 302
        )
        assert [ask(*case).status_code for case in WIDENING] == [201, 200, 200, 201]

    def test_removing_access_does_not_ask(self, ask):
        assert [ask(*case).status_code for case in FREE] == [200, 409, 409, 200, 204, 200, 204, 200]

    def test_all_writing_routes_are_covered(self):
        from pat_tokens.contrib.rest_framework import urls

        listed = {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path, _ in WIDENING + FREE}
        routed = {
            (method, "/api/pats/" + re.sub(r"<[^>]+>", "{}", str(route.pattern)))
            for route in urls.urlpatterns
            for method in route.callback.actions
            if method not in ("get", "head") and "current" not in str(route.pattern)
        }
        assert listed == routed

    def test_password_in_body_is_ignored(self, ask):
        answer = ask("post", "/api/pats/", lambda: {"name": "new", "pat_password": PASSWORD})
        assert answer.json()["code"] == "reauthentication_required"

    def test_other_users_token_is_not_found(self, ask, stranger):
        token = TokenFactory(user=stranger)
        assert ask("post", f"/api/pats/{token.pk}/regenerate/", dict).status_code == 404

    def test_request_without_session_is_refused(self, user):
        from rest_framework.test import APIClient

        client = APIClient()
        client.force_authenticate(user)
        answer = client.post("/api/pats/", {"name": "new"}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (403, "reauthentication_required")
        assert "url" not in answer.json()

    def test_session_of_other_user_does_not_count(self, user, stranger):
        client = session_client(stranger)
        client.post("/pats/reauthenticate/", {"pat_password": PASSWORD}, format="multipart")
        client.handler._force_user = user
        assert client.post("/api/pats/", {"name": "new"}).json()["code"] == "reauthentication_required"

    def test_policy_has_its_own_page(self, ask, settings):
        settings.PAT_TOKENS_POLICY = policy_with(get_reauthentication=lambda request: "/sso/")
        assert ask(*WIDENING[0]).json()["url"] == "http://testserver/sso/"
        settings.PAT_TOKENS_POLICY = policy_with(get_reauthentication=lambda request: None)
        assert ask(*WIDENING[0]).status_code == 201

    def test_site_without_pages_has_no_url(self, user, settings):
        settings.ROOT_URLCONF = "tests.contrib.rest_framework.management_urls"
        answer = session_client(user).post("/api/pats/", {"name": "new"})
        assert answer.json().keys() == {"detail", "code"}


class TestAdmin:
    def test_create_and_regenerate_ask_and_keep_input(self, boss, user, token):
        for page, data in {
            reverse("admin:pat_tokens_personalaccesstoken_add"): {
                "user": str(user.pk),
                "name": "new",
                "description": "",
                "duration": "30d",
                "scopes": "channels:*:read",
            },
            reverse("admin:pat_tokens_personalaccesstoken_regenerate", args=[token.pk]): {"duration": "30d"},
        }.items():
            before = snapshot()
            question = boss.post(page, data)
            assert is_question(question)
            assert snapshot() == before
            kept = fields_of(question)
            kept.pop("csrfmiddlewaretoken", None)
            assert kept == {name: [value] for name, value in data.items()}
            assert is_question(boss.post(page, {**kept, "pat_password": "wrong"}))
            answer = boss.post(page, {**kept, "pat_password": PASSWORD})
            assert answer.status_code == 302
            assert snapshot() != before
            session = boss.session
            del session[reauthentication.STAMP]
            session.save()

    @pytest.mark.parametrize("name", ["add", "regenerate", "rotate"])
    def test_opening_form_asks_first(self, boss, token, turn_clock, name):
        args = [] if name == "add" else [token.pk]
        path = admin_url(name, *args) + "?_popup=1"
        page = boss.get(path)
        assert is_question(page)
        assert f'href="{path}"' not in page.content.decode()
        page = boss.post(path, {**fields_of(page), "pat_password": "wrong"})
        assert is_question(page)
        answer = boss.post(path, {**fields_of(page), "pat_password": PASSWORD})
        assert (answer.status_code, answer.url) == (302, path)
        page = boss.get(path)
        assert not is_question(page)
        assert 'name="duration"' in page.content.decode()
        turn_clock(600)
        assert is_question(boss.get(path))

    def test_other_forms_do_not_ask_on_opening(self, boss, token):
        for name, args in (("changelist", []), *((name, [token.pk]) for name in ("change", "revoke", "delete"))):
            page = boss.get(admin_url(name, *args))
            assert page.status_code == 200
            assert not is_question(page)

    def test_user_who_cannot_add_is_not_asked(self, boss, user):
        user.is_staff = True
        user.save()
        boss.force_login(user)
        assert boss.get(admin_url("add")).status_code == 403

    def test_revoke_rename_and_delete_do_not_ask(self, boss, token):
        name = "admin:pat_tokens_personalaccesstoken_{}".format
        data = {"name": "renamed", "description": ""}
        assert boss.post(reverse(name("change"), args=[token.pk]), data).status_code == 302
        assert boss.post(reverse(name("revoke"), args=[token.pk])).status_code == 302
        assert boss.post(reverse(name("delete"), args=[token.pk]), {"post": "yes"}).status_code == 302
        assert not PersonalAccessToken.objects.exists()

    def test_five_wrong_passwords_end_session(self, boss, token):
        page = reverse("admin:pat_tokens_personalaccesstoken_regenerate", args=[token.pk])
        answers = [boss.post(page, {"duration": "30d", "pat_password": "wrong"}) for _ in range(5)]
        assert answers[-1].url == page
        assert boss.get(page).url.startswith("/admin/login/")

    def test_policy_applies_in_admin(self, boss, token, settings):
        page = reverse("admin:pat_tokens_personalaccesstoken_regenerate", args=[token.pk])
        settings.PAT_TOKENS_POLICY = policy_with(get_reauthentication=lambda request: "")
        assert boss.post(page, {"duration": "30d", "pat_password": PASSWORD}).status_code == 403
        settings.PAT_TOKENS_POLICY = policy_with(get_reauthentication=lambda request: "/sso/")
        assert boss.post(page, {"duration": "30d"}).url == f"/sso/?next={page}"


@pytest.mark.parametrize(
    "broken",
    ["pat_tokens.log_events.log_reauthentication", "django.contrib.sessions.backends.db.SessionStore.cycle_key"],
)
def test_password_is_not_in_reports(client, user, monkeypatch, settings, broken):
    """If an exception is raised while the password is checked."""
    settings.DEBUG = False
    password = "".join(["my", "own", "password"])  # the report also shows lines of code
    user.set_password(password)
    user.save()

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError

    client.force_login(user)
    monkeypatch.setattr(broken, fail)
    client.raise_request_exception = False
    answer = client.post(url("token_create"), {**TYPED, "pat_password": password})
    assert answer.status_code == 500
    reporter = ExceptionReporter(answer.wsgi_request, *answer.exc_info)
    for report in (reporter.get_traceback_html(), reporter.get_traceback_text()):
        assert password not in report
        assert "pat_password" in report
