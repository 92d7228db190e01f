"""Who can use the management API."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.urls import reverse
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.test import APIClient, APIRequestFactory, force_authenticate
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from pat_tokens import services
from pat_tokens.contrib.rest_framework import urls, views
from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication
from pat_tokens.entities import EntityType, registry
from pat_tokens.models import PersonalAccessToken
from pat_tokens.policy import Policy
from tests.contrib.rest_framework.management import PATS, row, snapshot, url

pytestmark = pytest.mark.django_db

EVERYTHING = [
    f"{entity_type.name}:*:{operation.name}" for entity_type in registry for operation in entity_type.operations
]
NO_TOKEN_ROUTES = [
    ("get", PATS),
    ("post", PATS),
    ("delete", PATS),
    ("get", PATS + "{token}/"),
    ("patch", PATS + "{token}/"),
    ("delete", PATS + "{token}/"),
    ("post", PATS + "{token}/revoke/"),
    ("post", PATS + "{token}/regenerate/"),
    ("post", PATS + "{token}/rotate/"),
    ("post", PATS + "{token}/rotate/finish/"),
    ("post", PATS + "{token}/rotate/cancel/"),
    ("get", PATS + "{token}/explain/"),
    ("get", PATS + "{token}/missing/"),
    ("get", PATS + "{token}/activity/"),
    ("get", PATS + "{token}/scopes/"),
    ("post", PATS + "{token}/scopes/"),
    ("delete", PATS + "{token}/scopes/"),
    ("delete", PATS + "{token}/scopes/{scope}/"),
    ("get", PATS + "entities/"),
    ("get", PATS + "entities/channels/"),
    ("get", PATS + "activity/"),
]
TOKEN_ROUTES = [("get", PATS + "current/"), ("post", PATS + "current/revoke/")]
ALL_ROUTES = NO_TOKEN_ROUTES + TOKEN_ROUTES


def test_all_routes_are_listed():
    listed = {(method, re.sub(r"\{\w+\}|(?<=entities/)\w+", "{}", path)) for method, path in ALL_ROUTES}
    routed = {
        (method, PATS + re.sub(r"<[^>]+>", "{}", str(route.pattern)))
        for route in urls.urlpatterns
        for method in route.callback.actions
        if method != "head"
    }
    assert listed == routed


class KeyAuthentication(BaseAuthentication):
    """A restricted credential of another scheme: a key that is read-only, or can also write."""

    def authenticate(self, request):
        key = request.headers.get("x-key")
        return key and (get_user_model().objects.get(username="owner"), key)


class KeyMiddleware:
    """Sets the user of a key before the view, like middleware of OAuth packages."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if "x-key" in request.headers:
            request.user = get_user_model().objects.get(username="owner")
        return self.get_response(request)


class KeyPolicy(Policy):
    def can_manage_tokens(self, request):
        return request.auth == "write"


class DenyAll(BasePermission):
    def has_permission(self, request, view):
        return False


class Never(BaseThrottle):
    def allow_request(self, request, view):
        return False


class TestCredentials:
    def ask(self, scoped, method, path, key=None):
        path = path.format(token=scoped.pk, scope=scoped.scope_set.first().pk)
        before = snapshot()
        body = {"name": "x", "scopes": [row("channels:*:delete")]}
        answer = getattr(APIClient(), method)(path, body, headers={"x-key": key} if key else {}, format="json")
        if answer.status_code >= 400:
            assert snapshot() == before
        return answer

    @pytest.mark.parametrize(("method", "path"), NO_TOKEN_ROUTES)
    def test_default_classes_do_not_apply(self, scoped, monkeypatch, method, path):
        monkeypatch.setattr(APIView, "authentication_classes", [KeyAuthentication])
        answer = self.ask(scoped, method, path, key="read")
        assert answer.status_code == 401
        assert "PAT_TOKENS_MANAGEMENT_AUTHENTICATION" in answer.json()["detail"]

    @pytest.mark.parametrize(("method", "path"), NO_TOKEN_ROUTES)
    def test_user_set_by_middleware_is_refused(self, scoped, settings, method, path):
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.KeyMiddleware"]
        answer = self.ask(scoped, method, path, key="read")
        assert answer.status_code == 403
        assert "can_manage_tokens()" in answer.json()["detail"]

    @pytest.mark.parametrize(("key", "expected"), [("read", 403), ("write", 200), (None, 401)])
    def test_policy_can_refuse_credentials(self, scoped, settings, key, expected):
        settings.PAT_TOKENS_MANAGEMENT_AUTHENTICATION = [f"{__name__}.KeyAuthentication"]
        settings.PAT_TOKENS_POLICY = f"{__name__}.KeyPolicy"
        assert self.ask(scoped, "get", PATS, key=key).status_code == expected
        assert self.ask(scoped, "post", PATS, key=key).status_code == (201 if expected == 200 else expected)

    def test_site_permissions_are_added(self, client, scoped, settings):
        settings.PAT_TOKENS_MANAGEMENT_PERMISSIONS = [f"{__name__}.DenyAll"]
        assert client.get(PATS).status_code == 403

    def test_default_permissions_do_not_apply(self, case, client, scoped, monkeypatch):
        monkeypatch.setattr(APIView, "permission_classes", [DenyAll])
        for path in (PATS, url(scoped), PATS + "entities/", PATS + "activity/"):
            with case(path):
                assert client.get(path).status_code == 200

    def test_default_throttles_apply(self, case, client, scoped, client_with, monkeypatch):
        monkeypatch.setattr(APIView, "throttle_classes", [Never])
        for path in (PATS, url(scoped), PATS + "entities/", PATS + "activity/"):
            with case(path):
                assert client.get(path).status_code == 429
        assert client_with(scoped).get(PATS + "current/").status_code == 429


class TestAccess:
    def test_anonymous_is_refused(self, case, scoped):
        for method, path in ALL_ROUTES:
            with case(method, path):
                path = path.format(token=scoped.pk, scope=scoped.scope_set.first().pk)
                before = snapshot()
                answer = getattr(APIClient(), method)(path)
                assert answer.status_code == 401
                assert answer["WWW-Authenticate"].startswith("Bearer realm=")
                assert list(answer.json()) == ["detail"]
                assert snapshot() == before

    def test_tokens_are_refused_whatever_their_scopes(self, case, user, make_token, client_with):
        for method, path in NO_TOKEN_ROUTES:
            for superuser in [False, True]:
                with case(superuser, method, path):
                    user.is_superuser = user.is_staff = superuser
                    user.save()
                    token = make_token(*EVERYTHING)
                    path = path.format(token=token.pk, scope=token.scope_set.first().pk)
                    token.refresh_from_db()
                    before = snapshot()
                    answer = getattr(client_with(token), method)(
                        path, {"name": "x", "scopes": [row("channels:*:read")]}
                    )
                    assert answer.status_code == 403
                    assert answer.json()["code"] == "scope_not_declared"
                    assert snapshot() == before

    def test_token_with_session_is_refused(self, case, client, make_token):
        for method, path in NO_TOKEN_ROUTES:
            with case(method, path):
                token = make_token(*EVERYTHING)
                path = path.format(token=token.pk, scope=token.scope_set.first().pk)
                answer = getattr(client, method)(path, headers={"authorization": f"Bearer {token.secret}"})
                assert answer.status_code == 403
                assert answer.json()["code"] == "scope_not_declared"

    def test_tokens_as_entities_are_refused(self, user, make_token, client_with):
        class Tokens(EntityType):
            name = "tokens"
            model = PersonalAccessToken

            def get_queryset(self, user):
                return PersonalAccessToken.objects.for_user(user)

        registry.register(Tokens)
        try:
            token = make_token(*[f"tokens:*:{operation.name}" for operation in Tokens.operations])
            client = client_with(token)
            answers = [client.get(PATS), client.post(PATS), client.get(url(token)), client.delete(url(token))]
        finally:
            registry.unregister("tokens")
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(403, "scope_not_declared")}

    def test_inactive_token_is_refused(self, case, token, client_with):
        for path in [PATS, PATS + "current/"]:
            for fields in [{"revoke": True}, {"expire": True}, {"unknown": True}]:
                with case(fields, path):
                    if "revoke" in fields:
                        services.revoke_token(token)
                    elif "expire" in fields:
                        past = datetime.now(UTC) - timedelta(days=2)
                        PersonalAccessToken.objects.update(issued_at=past, expires_at=past + timedelta(days=1))
                    else:
                        PersonalAccessToken.objects.all().delete()
                    answer = client_with(token).get(path)
                    assert answer.status_code == 401
                    assert answer.json()["code"] == "invalid_token"

    @pytest.mark.parametrize(("method", "path"), TOKEN_ROUTES)
    def test_current_refuses_sessions(self, client, token, method, path):
        answer = getattr(client, method)(path)
        assert answer.status_code == 401
        assert answer.json() == {"detail": "This is for requests that carry a personal access token."}
        assert answer["WWW-Authenticate"].startswith("Bearer ")
        token.refresh_from_db()
        assert token.is_active

    def test_current_reads_tokens_whatever_the_settings(self):
        assert views.CurrentTokenViewSet.authentication_classes == (PersonalAccessTokenAuthentication,)

    @pytest.mark.parametrize("middleware", [[], ["tests.plain_site.csrf_switch"]])
    def test_session_needs_csrf_token(self, user, token, settings, middleware):
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, *middleware]
        client = APIClient(enforce_csrf_checks=True)
        client.force_login(user)
        before = snapshot()
        for answer in [
            client.post(PATS, {"name": "x"}, format="json"),
            client.delete(PATS),
            client.delete(url(token)),
            client.post(url(token, "revoke")),
            client.post(url(token, "regenerate")),
        ]:
            assert answer.status_code == 403
            assert "CSRF" in answer.json()["detail"]
        assert snapshot() == before

    def test_stateless_user_is_refused(self):
        class Stateless(AnonymousUser):
            is_authenticated = True

        request = APIRequestFactory().get(PATS)
        force_authenticate(request, Stateless())
        answer = views.TokenViewSet.as_view({"get": "list"})(request)
        assert answer.status_code == 403
        assert answer.data["detail"] == "Personal access tokens belong to users of this site."

    def test_other_users_tokens_are_not_found(self, case, other_client, scoped):
        for method, path in [(method, path) for method, path in NO_TOKEN_ROUTES if "{token}" in path]:
            with case(method, path):
                path = path.format(token=scoped.pk, scope=scoped.scope_set.first().pk)
                before = snapshot()
                answer = getattr(other_client, method)(path, {"name": "x", "scopes": [row("channels:*:list")]})
                missing = getattr(other_client, method)(path.replace(str(scoped.pk), str(uuid.uuid4())))
                assert answer.status_code == missing.status_code == 404
                assert answer.json() == missing.json() == {"detail": "Not found."}
                assert snapshot() == before

    def test_invalid_ids_are_not_found(self, case, client, scoped):
        for method, path in [(method, path) for method, path in NO_TOKEN_ROUTES if "{token}" in path]:
            for bad in ["zzz", "1", "%00", "ü", "00000000-0000-0000-0000-00000000000g"]:
                with case(bad, method, path):
                    answer = getattr(client, method)(path.format(token=bad, scope=bad))
                    assert answer.status_code == 404
                    assert answer.json() == {"detail": "Not found."}

    def test_ids_are_accepted_in_any_spelling(self, client, scoped):
        for spelling in (str(scoped.pk).upper(), scoped.pk.hex):
            assert client.get(f"{PATS}{spelling}/").json()["id"] == str(scoped.pk)

    @pytest.mark.parametrize("path", [PATS, PATS + "{token}/", PATS + "{token}/scopes/"])
    def test_put_is_not_allowed(self, client, scoped, path):
        answer = client.put(path.format(token=scoped.pk), {"name": "x"})
        assert answer.status_code == 405
        assert answer.json() == {"detail": 'Method "PUT" not allowed.'}

    def test_url_names(self, scoped):
        name = "pat_tokens_api:{}".format
        assert reverse(name("token-list")) == PATS
        assert reverse(name("token-detail"), args=[scoped.pk]) == url(scoped)
        assert reverse(name("token-revoke"), args=[scoped.pk]) == url(scoped, "revoke")
        assert reverse(name("token-regenerate"), args=[scoped.pk]) == url(scoped, "regenerate")
        assert reverse(name("scope-list"), args=[scoped.pk]) == url(scoped, "scopes")
        assert reverse(name("scope-detail"), args=[scoped.pk, 1]) == url(scoped, "scopes", 1)
        assert reverse(name("entity-type-list")) == PATS + "entities/"
        assert reverse(name("entity-list"), args=["channels"]) == PATS + "entities/channels/"
        assert reverse(name("current-token")) == PATS + "current/"
        assert reverse(name("current-token-revoke")) == PATS + "current/revoke/"
