"""Explanations of allowed and refused requests, and whether they match the responses."""

import io
import json
from functools import cache

import pytest
from django.core.management import CommandError, call_command

from pat_tokens import services
from pat_tokens.inspection.explain import explain
from tests.contrib.rest_framework.test_enforcement import ALLOWED, everything_but
from tests.factories import TokenFactory
from tests.models import Channel

pytestmark = pytest.mark.django_db


def steps(explanation, name):
    return [step for step in explanation.steps if step.name == name]


def test_explanation_matches_enforcement(case, site, make_token, settings):
    settings.PAT_TOKENS_MAX_TOKENS_PER_USER = 1000

    def fill(text):
        return text.format(**vars(site), device_upper=str(site.device.pk).upper())

    token_with = cache(make_token)
    for row in ALLOWED:
        exact, others = token_with(fill(row.scope)), token_with(*everything_but(row.scope))
        with case(row):
            path = fill(row.path)
            allowed = explain(exact, row.method, path)
            assert allowed.allowed, allowed.as_dict()
            assert steps(allowed, "scope")[-1].ok
            refused = explain(others, row.method, path)
            assert (refused.allowed, refused.status, refused.code) == (False, 403, "insufficient_scope")
            assert refused.missing[0].operation == row.scope.split(":")[2]


def test_similar_scopes_are_named(site, make_token):
    token = make_token(f"channels:{site.other_channel.pk}:read", f"channels:{site.channel.pk}:update", "devices:*:read")
    explanation = explain(token, "GET", f"/channels/{site.channel.pk}/")
    (step,) = steps(explanation, "scope")
    assert f"The nearest that the token has: channels:{site.channel.pk}:update" in step.text
    assert "devices" not in step.text
    assert explanation.missing == ((("channels", str(site.channel.pk), "read")),)
    (requirement,) = steps(explanation, "requirement")
    assert "known" in requirement.text


def test_reasons_for_refusal(case, site, make_token):
    rows = [
        ("GET", "/no-such/", 404, "not_found", "no URL /no-such/"),
        ("GET", "/undeclared", 404, "not_found", "trailing slash"),
        ("GET", "http://[", 404, "not_found", "no URL"),
        ("GET", "/undeclared/", 403, "scope_not_declared", "not declared"),
        ("GET", "/refused/", 403, "scope_not_declared", "declared on the view: refused"),
        ("GET", "/broken/1/", 403, "scope_not_declared", "chanels"),
        ("GET", "/pinned-away/", None, None, "authentication_classes"),
        ("GET", "/functions/plain/", None, None, "without a declaration"),
        ("HEAD", "/functions/ping/", 405, "method_not_allowed", "does not support HEAD"),
        ("HEAD", "/generic/narrowed/1/", 405, "method_not_allowed", "does not support HEAD"),
        ("DELETE", "/status/", 405, "method_not_allowed", "does not support DELETE"),
        ("OPTIONS", "/undeclared/", 403, "scope_not_declared", "The view declares no requirements"),
        ("OPTIONS", "/channels/", 403, "insufficient_scope", "allows another method"),
        ("GET", "/generic/tasks/no/such/", 403, "insufficient_scope", "names no entity"),
    ]
    for method, path, status, code, words in rows:
        with case(method, path, status, code, words):
            explanation = explain(make_token(), method, path)
            assert (explanation.allowed, explanation.status, explanation.code) == (False, status, code)
            assert any(words in step.text for step in explanation.steps), explanation.as_dict()


def test_all_routes_are_inspected_once(site, make_token, monkeypatch):
    token = make_token()
    explain(token, "GET", "/undeclared/")
    monkeypatch.setattr("pat_tokens.inspection.explain.inspect_all", lambda urlconf: pytest.fail("once more"))
    assert explain(token, "GET", "/undeclared/").code == "scope_not_declared"


def test_view_without_tokens_ignores_inactive_ones(site, make_token):
    explanation = explain(services.revoke_token(make_token()), "GET", "/functions/without-authentication/")
    assert (explanation.allowed, explanation.status, explanation.code) == (False, None, None)


class TestOtherViews:
    """Explanations for plain views and Ninja operations match the responses."""

    @pytest.fixture
    def say_and_ask(self, settings, make_token, client_with, channel):
        def say_and_ask(urlconf, method, path, *scopes):
            settings.ROOT_URLCONF = urlconf
            token = make_token(*scopes)
            path = path.format(pk=channel.pk)
            answer = client_with(token).generic(method, path)
            explanation = explain(token, method, path)
            return explanation, answer

        return say_and_ask

    @pytest.mark.parametrize(
        ("method", "path", "scopes", "status"),
        [
            ("GET", "/function/{pk}/", ["channels:*:read"], 200),
            ("HEAD", "/function/{pk}/", ["channels:*:read"], 200),
            ("PATCH", "/function/{pk}/", ["channels:*:read"], 403),
            ("GET", "/undeclared/{pk}/", ["channels:*:read"], 403),
            ("OPTIONS", "/undeclared/{pk}/", ["channels:*:read"], 403),
            ("GET", "/limited/", ["channels:{pk}:list"], 200),
            ("GET", "/limited/", [], 403),
        ],
    )
    def test_plain_django_views_are_explained(self, say_and_ask, settings, channel, method, path, scopes, status):
        settings.MIDDLEWARE = ["pat_tokens.middleware.PersonalAccessTokenMiddleware", *settings.MIDDLEWARE]
        scopes = [scope.format(pk=channel.pk) for scope in scopes]
        explanation, answer = say_and_ask("tests.plain_site", method, path, *scopes)
        assert answer.status_code == status
        assert (explanation.allowed, explanation.status) == (status == 200, None if status == 200 else status)
        if status == 403 and method not in ("HEAD", "OPTIONS"):
            assert explanation.code == answer.json()["code"]

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/sync/{pk}", 200),
            ("HEAD", "/sync/{pk}", 405),
            ("OPTIONS", "/sync/{pk}", 405),
            ("PUT", "/sync/{pk}", 405),
        ],
    )
    def test_of_ninja(self, say_and_ask, method, path, status):
        explanation, answer = say_and_ask("tests.contrib.ninja.api", method, path, "channels:*:read")
        assert answer.status_code == status
        assert (explanation.allowed, explanation.status) == (status == 200, None if status == 200 else status)


def test_inactive_token_is_refused(site, make_token, user):
    token = services.revoke_token(make_token("channels:*:read"))
    explanation = explain(token, "GET", f"/channels/{site.channel.pk}/")
    assert (explanation.status, explanation.code) == (401, "invalid_token")
    assert "revoked" in explanation.steps[0].text
    assert steps(explanation, "scope")[0].ok  # all other steps are explained too


def test_owner_permissions_are_explained(site, make_token, stranger):
    theirs = TokenFactory(user=stranger, scopes=[("channels", "*", "read")])
    explanation = explain(theirs, "GET", f"/channels/{site.channel.pk}/")
    assert any("may respond with 404" in step.text for step in steps(explanation, "owner"))
    mine = explain(make_token("channels:*:read"), "GET", f"/channels/{site.channel.pk}/")
    assert [step.ok for step in steps(mine, "owner")] == [True, True]


def test_nothing_is_run_or_written(site, make_token, django_assert_max_num_queries):
    token = make_token(f"channels:{site.channel.pk}:delete")
    with django_assert_max_num_queries(4) as queries:
        assert explain(token, "DELETE", f"/channels/{site.channel.pk}/").allowed
    assert all(query["sql"].startswith("SELECT") for query in queries.captured_queries)
    assert Channel.objects.filter(pk=site.channel.pk).exists()
    token.refresh_from_db()
    assert token.last_used_at is None


class TestCommand:
    def test_by_id(self, site, make_token, capsys):
        token = make_token("channels:*:read")
        call_command("pat_explain", str(token.pk), "GET", f"/channels/{site.channel.pk}/")
        assert "Allowed" in capsys.readouterr().out
        call_command("pat_explain", str(token.pk), "delete", f"/channels/{site.channel.pk}/")
        assert "Refused: 403 insufficient_scope" in capsys.readouterr().out

    def test_view_that_ignores_tokens(self, site, make_token, capsys):
        call_command("pat_explain", str(make_token().pk), "GET", "/pinned-away/")
        assert "Not read" in capsys.readouterr().out

    def test_by_secret(self, site, make_token, capsys, monkeypatch):
        token = make_token("channels:*:read")
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{token.secret}\n"))
        call_command("pat_explain", "-", "GET", f"/channels/{site.channel.pk}/", "--json")
        out = capsys.readouterr().out
        assert json.loads(out)["allowed"]
        assert token.secret not in out

    @pytest.mark.parametrize("text", ["", "nonsense\n", "pat_x\n"])
    def test_missing_secret_is_an_error(self, site, text, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        with pytest.raises(CommandError, match="contain a secret"):
            call_command("pat_explain", "-", "GET", "/")

    def test_unknown_secret_is_an_error(self, site, make_token, monkeypatch):
        token = make_token()
        services.delete_token(token)
        monkeypatch.setattr("sys.stdin", io.StringIO(token.secret))
        with pytest.raises(CommandError, match="No token"):
            call_command("pat_explain", "-", "GET", "/")


class TestAPI:
    @pytest.fixture
    def client(self, client, user):
        client.force_login(user)
        return client

    def test_own_tokens(self, client, make_token, channel):
        token = make_token("channels:*:read")
        answer = client.get(f"/api/pats/{token.pk}/explain/", {"path": f"/api/channels/{channel.pk}/"})
        assert answer.status_code == 200
        assert answer.json()["allowed"]
        assert answer.json()["requirement"] == "channels:{pk}:read"
        answer = client.get(
            f"/api/pats/{token.pk}/explain/", {"method": "DELETE", "path": f"/api/channels/{channel.pk}/"}
        )
        assert answer.json()["missing"] == [
            {"entity_type": "channels", "entity_id": str(channel.pk), "operation": "delete"}
        ]

    @pytest.mark.parametrize(
        "query", [{}, {"path": ""}, {"path": "/", "method": "BREW"}, {"path": "/\0"}, {"path": "/" * 2001}]
    )
    def test_invalid_input_is_an_error(self, client, make_token, query):
        assert client.get(f"/api/pats/{make_token().pk}/explain/", query).status_code == 400

    def test_other_users_tokens_are_not_found(self, client, stranger):
        token = TokenFactory(user=stranger)
        assert client.get(f"/api/pats/{token.pk}/explain/", {"path": "/"}).status_code == 404

    def test_tokens_are_refused(self, make_token, client_with):
        token = make_token()
        answer = client_with(token).get(f"/api/pats/{token.pk}/explain/", {"path": "/"})
        assert answer.json()["code"] == "scope_not_declared"
