import subprocess
import sys
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.test import APIClient, APIRequestFactory

from pat_tokens import services
from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication
from pat_tokens.contrib.rest_framework.exceptions import TokenAPIException
from pat_tokens.models import PersonalAccessToken, Scope
from tests.factories import ChannelFactory, TokenFactory
from tests.policies import policy_with

pytestmark = pytest.mark.django_db


def test_scopes_are_enforced(make_token, client_with, user, channel):
    other = ChannelFactory(owner=user)
    client = client_with(make_token(f"channels:{channel.pk}:publish"))
    assert client.post(f"/api/channels/{channel.pk}/publish/").status_code == 200
    for method, path in [
        ("post", f"/api/channels/{other.pk}/publish/"),
        ("get", f"/api/channels/{channel.pk}/"),
        ("get", "/api/channels/"),
        ("post", "/api/channels/"),
        ("delete", f"/api/channels/{channel.pk}/"),
        ("get", "/api/devices/"),
    ]:
        answer = getattr(client, method)(path)
        assert answer.status_code == 403, path
        assert answer.data["code"] == "insufficient_scope"
        assert "insufficient_scope" in answer["WWW-Authenticate"]


def test_missing_scope_is_named(make_token, client_with, channel):
    token = make_token()
    answer = client_with(token).post(f"/api/channels/{channel.pk}/publish/")
    missing = {"entity_type": "channels", "entity_id": str(channel.pk), "operation": "publish"}
    assert answer.json() == {
        "detail": f"The token lacks the scope channels:{channel.pk}:publish.",
        "code": "insufficient_scope",
        "missing": [missing],
        "fix_url": f"http://testserver/pats/{token.pk}/scopes/add/?scope=channels:{channel.pk}:publish",
    }
    assert f'scope="channels:{channel.pk}:publish"' in answer["WWW-Authenticate"]


def test_undeclared_view_refuses_tokens(make_token, client_with):
    answer = client_with(make_token("channels:*:read")).get("/api/undeclared/")
    assert answer.status_code == 403
    assert answer.data["code"] == "scope_not_declared"


def test_request_without_view_refuses_tokens(make_token):
    token = make_token("channels:*:read")
    request = Request(APIRequestFactory().get("/", headers={"authorization": f"Bearer {token.secret}"}))
    with pytest.raises(TokenAPIException) as caught:
        PersonalAccessTokenAuthentication().authenticate(request)
    assert (caught.value.status_code, caught.value.get_codes()) == (403, "scope_not_declared")


@pytest.mark.parametrize("state", ["malformed", "unknown", "expired", "revoked", "owner inactive", "refused"])
def test_bad_secret_never_falls_through_to_session(client, stranger, settings, state):
    token = TokenFactory(user=stranger, scopes=[("channels", "*", "list")])
    headers = {"authorization": f"Bearer {token.secret}"}
    assert client.get("/api/channels/").status_code == 200
    assert client.get("/api/channels/", headers=headers).status_code == 200
    match state:
        case "malformed":
            headers["authorization"] += "0"
        case "unknown":
            token.delete()
        case "expired":
            past = timezone.now() - timedelta(days=2)
            PersonalAccessToken.objects.update(issued_at=past, expires_at=past + timedelta(days=1))
        case "revoked":
            services.revoke_token(token)
        case "owner inactive":
            type(stranger).objects.filter(pk=stranger.pk).update(is_active=False)
        case "refused":
            settings.PAT_TOKENS_POLICY = policy_with(refuse_token=lambda token, request: "Not on Sundays.")
    answer = client.get("/api/channels/", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid_token"
    told = {
        "expired": "The token has expired. Its owner can regenerate it.",
        "revoked": "The token was revoked. Its owner can regenerate it.",
        "refused": "Not on Sundays.",
    }.get(state, "The token is not valid.")
    assert answer["WWW-Authenticate"] == f'Bearer realm="api", error="invalid_token", error_description="{told}"'


@pytest.mark.parametrize("name", ["access_token", "token"])  # the first is defined in RFC 6750, sections 2.2 and 2.3
def test_secret_is_only_read_from_header(make_token, name):
    secret = make_token("channels:*:list", "channels:*:create").secret
    client = APIClient()
    for text in (secret, f"Bearer {secret}"):
        assert client.get("/api/channels/", {name: text}).status_code == 401
        assert client.post("/api/channels/", {name: text, "name": "x"}).status_code == 401
        client.cookies[name] = text
        assert client.get("/api/channels/").status_code == 401
        client.cookies.clear()


def test_list_is_limited_to_ids_of_scopes(make_token, client_with, user, channel):
    ChannelFactory(owner=user)
    answer = client_with(make_token(f"channels:{channel.pk}:list")).get("/api/channels/")
    assert [row["id"] for row in answer.data] == [channel.pk]


@pytest.mark.django_db(transaction=True)
def test_one_read_and_one_write_per_minute(make_token, client_with):
    client = client_with(make_token())

    def ask():
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/api/anything/").status_code == 200
        # The write has its own transaction, and first locks the row on most databases.
        return [sql[:6] for sql in (query["sql"] for query in queries) if sql[:6] in ("SELECT", "UPDATE")]

    assert [sql for index, sql in enumerate(ask()) if index == 0 or sql == "UPDATE"] == ["SELECT", "UPDATE"]
    assert ask() == ["SELECT"]


def test_entity_is_found_by_slug(make_token, client_with, user):
    mine = ChannelFactory(owner=user, slug="mine")
    ChannelFactory(owner=user, slug="other")
    client = client_with(make_token(f"channels:{mine.pk}:read"))
    assert client.get("/api/by-slug/mine/").status_code == 200
    assert client.get("/api/by-slug/other/").status_code == 403
    assert client.get("/api/by-slug/none/").status_code == 403


@pytest.mark.parametrize("spelling", ["0{}", " {}", "{} ", "+{}", "{}.0", "0_{}"])
def test_list_ignores_noncanonical_ids(token, client_with, channel, spelling):
    """No service writes such a row, but the key field would accept its id."""
    Scope.objects.create(token=token, entity_type="channels", entity_id=spelling.format(channel.pk), operation="list")
    assert client_with(token).get("/api/channels/").data == []


@pytest.mark.processes
def test_classes_in_drf_settings_load_without_models():
    """`rest_framework.views` imports these classes, on some sites before the app registry is ready."""
    ours = "pat_tokens.contrib.rest_framework"
    code = f"""
from django.conf import settings
settings.configure(REST_FRAMEWORK={{
    "DEFAULT_AUTHENTICATION_CLASSES": ["{ours}.authentication.PersonalAccessTokenAuthentication"],
    "DEFAULT_FILTER_BACKENDS": ["{ours}.filters.ScopeFilterBackend"],
    "DEFAULT_PERMISSION_CLASSES": ["{ours}.permissions.IsUser", "{ours}.permissions.HasToken"],
    "DEFAULT_THROTTLE_CLASSES": ["{ours}.throttling.TokenRateThrottle"],
}})
import rest_framework.views
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
