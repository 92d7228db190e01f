"""Imported keys of DRF's authtoken in every integration, together with authtoken itself."""

from datetime import timedelta
from io import BytesIO

import pytest
from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIRequest
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from pat_tokens import services, signals
from pat_tokens.authentication import aauthenticate, authenticate, read_secret
from pat_tokens.contrib.channels.middleware import ConsumerGuard
from pat_tokens.contrib.ninja.authentication import PersonalAccessTokenAuthentication as NinjaAuthentication
from pat_tokens.contrib.ninja.exceptions import TokenRefused
from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication
from pat_tokens.django_views import guards
from pat_tokens.exceptions import (
    InsufficientScope,
    LegacyKeyExpired,
    MalformedToken,
    RevokedToken,
    ThirdPartyToken,
    UnknownToken,
)
from pat_tokens.models import PersonalAccessToken
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement

pytestmark = pytest.mark.django_db
LIST = Requirement("channels", "list")
KEY = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40


class BearerKeys(TokenAuthentication):
    keyword = "Bearer"


class View(APIView):
    pat_requirements = {"GET": LIST, "POST": Requirement("channels", "create")}

    def get(self, request):
        return Response({"auth": type(request.auth).__name__, "user": request.user.get_username()})

    def post(self, request):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def allowed(settings):
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = True


@pytest.fixture
def token(user):
    token, created = services.import_token(user, KEY, name="old", duration="30d", scopes=[("channels", "*", "list")])
    assert created
    return token


@pytest.fixture
def refusals():
    told = []

    def receiver(sender, reason, **_facts):
        told.append(reason)

    signals.token_refused.connect(receiver)
    yield told
    signals.token_refused.disconnect(receiver)


def ask(header, *others, method="get"):
    request = getattr(APIRequestFactory(), method)("/", headers={"authorization": header})
    classes = [PersonalAccessTokenAuthentication, *others]
    return type("View", (View,), {"authentication_classes": classes}).as_view()(request).render()


def end(token):
    when = timezone.now() - timedelta(seconds=1)
    PersonalAccessToken.objects.filter(pk=token.pk).update(issued_at=when - timedelta(days=1), expires_at=when)


@pytest.mark.parametrize("header", [f"Token {KEY}", f"Bearer {KEY}", f"token  {KEY}", f"BEARER\t{KEY} "])
def test_imported_key_authenticates(token, header, django_assert_num_queries):
    with django_assert_num_queries(1):
        answer = ask(header, TokenAuthentication)
        assert answer.data == {"auth": "PersonalAccessToken", "user": "owner"}


def test_imported_key_is_limited_by_scopes(token):
    answer = ask(f"Token {KEY}", TokenAuthentication, method="post")
    assert (answer.status_code, answer.data["code"]) == (403, "insufficient_scope")
    with pytest.raises(InsufficientScope):
        authenticate(KEY, Requirement("channels", "read"))


def test_use_is_recorded_and_digest_is_renewed(token, settings, django_capture_on_commit_callbacks):
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "the key of now, which is long enough"
    with django_capture_on_commit_callbacks(execute=True):
        ask(f"Token {KEY}")
    settings.SECRET_KEY_FALLBACKS = []
    assert ask(f"Token {KEY}").status_code == 200
    token.refresh_from_db()
    assert token.last_used_at is not None


@pytest.mark.parametrize("stop", ["end", "revoke"])
def test_expired_key_is_not_passed_on(token, user, stop):
    Token.objects.create(user=user, key=KEY)  # like with --keep
    if stop == "end":
        end(token)
    else:
        services.revoke_token(token)
    answer = ask(f"Token {KEY}", TokenAuthentication)
    assert (answer.status_code, answer.data["code"]) == (401, "invalid_token")
    assert ("old key has expired" if stop == "end" else "was revoked") in str(answer.data["detail"])
    with pytest.raises(LegacyKeyExpired if stop == "end" else RevokedToken):
        authenticate(KEY, LIST)


@pytest.mark.parametrize(
    ("header", "others", "auth"),
    [
        (f"Token {OTHER}", [TokenAuthentication], "Token"),
        (f"Token {OTHER}", [SessionAuthentication, TokenAuthentication], "Token"),
        (f"Bearer {OTHER}", [BearerKeys], "Token"),
        (f"Token {OTHER}", [], None),
        (f"Token {OTHER}", [SessionAuthentication], None),
        (f"Bearer {OTHER}", [TokenAuthentication], None),
        (f"Token {OTHER}", [BearerKeys], None),
    ],
)
def test_unknown_key_is_passed_on_or_refused(token, user, refusals, header, others, auth):
    Token.objects.create(user=user, key=OTHER)
    for method in ("get", "options"):
        answer = ask(header, *others, method=method)
        assert answer.status_code == (200 if auth else 401)
        if method == "get":
            assert answer.data.get("auth") == auth
    assert refusals == ([] if auth else ["unknown"] * 2)


@pytest.mark.parametrize(
    "wrong", [KEY[:-1], KEY + "0", KEY.upper(), KEY[:-1] + "g", KEY[:-1] + "é", "", f"{KEY} {KEY}"]
)
def test_malformed_key_is_passed_on_without_query(token, wrong, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert ask(f"Token {wrong}").status_code in (401, 403)
        with pytest.raises(MalformedToken):
            authenticate(wrong, LIST)


def test_keys_are_passed_on_if_disabled(token, settings, django_assert_num_queries):
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = False
    request = RequestFactory().get("/", headers={"authorization": f"Token {KEY}"})
    with django_assert_num_queries(0):
        assert read_secret(request) is None
        with pytest.raises(MalformedToken):
            authenticate(KEY, LIST)


def test_secret_needs_bearer_keyword(make_token):
    secret = make_token("channels:*:list").secret
    assert ask(f"Bearer {secret}").status_code == 200
    assert ask(f"Token {secret}").status_code in (401, 403)


def test_constraint_requires_expiration(token):
    with pytest.raises(IntegrityError), transaction.atomic():
        PersonalAccessToken.objects.filter(pk=token.pk).update(expires_at=None)


class TestOtherIntegrations:
    def enter(self, key, requirements):
        def view(request):
            return HttpResponse("in")

        if requirements:
            view.pat_requirements = requirements
        request = RequestFactory().get("/", headers={"authorization": f"Token {key}"})
        return guards.authenticate_request(request, view, {})

    def test_declared_django_view(self, token):
        assert self.enter(KEY, {"GET": LIST}).token == token
        assert self.enter(OTHER, {"GET": LIST}).response.status_code == 401

    def test_undeclared_django_view_ignores_unknown_keys(self, token, refusals):
        guard_result = self.enter(OTHER, None)
        assert (guard_result.token, guard_result.response) == (None, None)
        assert refusals == []
        assert self.enter(KEY, None).response.status_code == 403

    def test_ninja_operation(self, token):
        def get(key, requirement):
            request = RequestFactory().get("/", headers={"authorization": f"Token {key}"})
            return NinjaAuthentication(requirement)(request)

        assert get(KEY, LIST) == token
        assert get(OTHER, None) is None
        with pytest.raises(TokenRefused):
            get(OTHER, LIST)

    def test_websocket_handshake(self, token):
        class Consumer:
            pat_requirements = {"GET": LIST}

        def admit(key, consumer):
            headers = [(b"authorization", f"Token {key}".encode())]
            scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": headers}
            request = ASGIRequest({**scope, "type": "http", "method": "GET"}, BytesIO())
            return ConsumerGuard(consumer).authenticate(scope, request)

        assert admit(KEY, Consumer) == token
        assert admit(OTHER, object) is None
        with pytest.raises(UnknownToken):
            admit(OTHER, Consumer)


def test_imported_key_is_shown_everywhere(token, user, client):
    client.force_login(user)
    for page in ("/pats/", f"/pats/{token.pk}/"):
        assert "Imported key" in client.get(page).content.decode()
    assert client.get(f"/api/pats/{token.pk}/").json()["hint"] == f"…{KEY[-4:]}"
    services.regenerate_token(token)
    assert "Imported key" not in client.get(f"/pats/{token.pk}/").content.decode()


def test_async_authentication_is_the_same(token):
    assert async_to_sync(aauthenticate)(KEY, ANY_TOKEN) == token


@pytest.mark.parametrize(
    "requirement", [LIST, Requirement("channels", "read", EntityLookup(slug="slug")), ANY_TOKEN, None]
)
def test_unknown_key_is_third_party_only_if_allowed(db, requirement):
    with pytest.raises(ThirdPartyToken):
        authenticate(OTHER, requirement, {"slug": "x"}, third_party=True)
    with pytest.raises(UnknownToken):
        authenticate(OTHER, requirement, {"slug": "x"})
