"""Middleware that needs the user before the view, and views that don't accept tokens."""

import pytest
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings as django_settings
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import PasswordChangeView
from django.db.models import Model
from django.http import JsonResponse
from django.urls import path
from django.views import View
from ninja import NinjaAPI
from ninja.security import HttpBearer
from rest_framework import viewsets
from rest_framework.authentication import BasicAuthentication, SessionAuthentication, TokenAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.response import Response
from rest_framework.views import APIView

from pat_tokens import signals
from pat_tokens.authentication import aidentify, identify
from pat_tokens.contrib.ninja.authentication import (
    AsyncPersonalAccessTokenAuthentication,
    PersonalAccessTokenAuthentication,
)
from pat_tokens.decorators import pat_requirements
from pat_tokens.entities import registry
from pat_tokens.requirements import EntityLookup, Requirement
from pat_tokens.services import revoke_token
from tests.factories import ChannelFactory
from tests.models import Channel
from tests.plain_client import OURS, SERVERS, Asker
from tests.site import serializers

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

READ = {"GET": Requirement("channels", "read", "pk")}
LIST = {"GET": Requirement("channels", "list")}
seen = []  # the results of identify()
witnessed = []  # who the views were called by


class Early:
    """Middleware that calls `identify` before the view is known."""

    async_capable = True
    sync_capable = True

    def __init__(self, get_response):
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request):
        if iscoroutinefunction(self):
            return self.acall(request)
        before = vars(request).get("user")
        seen.append(identify(request))
        assert vars(request).get("user") is before
        return self.get_response(request)

    async def acall(self, request):
        seen.append(await aidentify(request))
        return await self.get_response(request)


def say(request):
    auth = getattr(request, "auth", None)
    witnessed.extend([request.user, getattr(request, "_request", request).user])
    witnessed.extend([auth] if isinstance(auth, Model) else [])
    return {"user": request.user.get_username(), "auth": str(auth) if auth else None}


async def asay(request):
    witnessed.append(await request.auser())
    return {"user": witnessed[-1].get_username(), "auth": None}


class Late(Early):
    """Middleware that needs the user after the view."""

    def __call__(self, request):
        response = self.get_response(request)
        say(request)
        return response


class Witness(BasePermission):
    def has_permission(self, request, view):
        say(request)
        return True


class Channels(viewsets.ReadOnlyModelViewSet):
    queryset = Channel.objects.order_by("pk")
    serializer_class = serializers.ChannelSerializer


class BySlug(Channels):
    lookup_field = "slug"


@pat_requirements(READ)
def plain(request, pk):
    return JsonResponse(say(request))


@pat_requirements(READ)
async def aplain(request, pk):
    return JsonResponse({"user": (await request.auser()).get_username()})


@pat_requirements({"GET": Requirement("channels", "read", EntityLookup(slug="slug"))})
def by_slug(request, slug):
    return JsonResponse(say(request))


api = NinjaAPI(urls_namespace="identify-ninja")


@api.get("/sync/{int:pk}", auth=PersonalAccessTokenAuthentication(READ["GET"]))
def ninja(request, pk: int):
    return say(request)


@api.get("/async/{int:pk}", auth=AsyncPersonalAccessTokenAuthentication(READ["GET"]))
async def aninja(request, pk: int):
    return {"user": (await request.auser()).get_username()}


# Views that don't name our class.


@api.api_operation(["GET", "POST", "OPTIONS"], "/open", auth=None)
def ninja_open(request):
    return say(request)


class AnyBearer(HttpBearer):
    def authenticate(self, request, token):
        return "some bearer"


@api.api_operation(["GET", "POST", "OPTIONS"], "/async-open", auth=None)
async def aninja_open(request):
    return await asay(request)


@api.api_operation(["GET", "POST", "OPTIONS"], "/other-bearer", auth=AnyBearer())
def ninja_bearer(request):
    return say(request)


class OnlySession(APIView):
    authentication_classes = [SessionAuthentication]
    permission_classes = [AllowAny]

    def get(self, request):
        return Response(say(request))

    post = get


class OnlyPut(APIView):
    """Names our class, but has no requirement and no other method."""

    permission_classes = [Witness]

    def put(self, request):
        return Response(say(request))


class NoneAtAll(OnlySession):
    authentication_classes = []


class OtherSchemes(OnlySession):
    authentication_classes = [TokenAuthentication, BasicAuthentication]


class OnlySessionViewSet(Channels):
    """Would be inferred if it named our class."""

    authentication_classes = [SessionAuthentication]
    permission_classes = [AllowAny]

    def list(self, request):
        return Response(say(request))

    def create(self, request):
        return Response(say(request))


@api_view(["GET", "POST"])
@authentication_classes([SessionAuthentication])
@permission_classes([AllowAny])
def function(request):
    return Response(say(request))


class ClassView(View):
    def get(self, request):
        return JsonResponse(say(request))

    post = options = get


class AsyncClassView(View):
    async def get(self, request):
        return JsonResponse(await asay(request))

    post = options = get


async def aundeclared(request):
    return JsonResponse(await asay(request))


def undeclared(request):
    return JsonResponse(say(request))


urlpatterns = [
    path("rest/", Channels.as_view({"get": "list"})),
    path("rest/<int:pk>/", Channels.as_view({"get": "retrieve"})),
    path("rest-by-slug/<slug:slug>/", BySlug.as_view({"get": "retrieve"})),
    path("plain/<int:pk>/", plain),
    path("aplain/<int:pk>/", aplain),
    path("by-slug/<slug:slug>/", by_slug),
    path("ninja/", api.urls),
    path("only-put/", OnlyPut.as_view()),
    path("only-session/", OnlySession.as_view()),
    path("none-at-all/", NoneAtAll.as_view()),
    path("other-schemes/", OtherSchemes.as_view()),
    path("viewset/", OnlySessionViewSet.as_view({"get": "list", "post": "create"})),
    path("function/", function),
    path("class/", ClassView.as_view()),
    path("async-class/", AsyncClassView.as_view()),
    path("undeclared/", undeclared),
    path("async-undeclared/", aundeclared),
    path("password/", PasswordChangeView.as_view(success_url="/")),
    path("admin/", admin.site.urls),
    path("login-required/", login_required(undeclared)),
]
OF_OTHERS = [
    "only-session/",
    "none-at-all/",
    "other-schemes/",
    "viewset/",
    "function/",
    "ninja/open",
    "ninja/async-open",
    "ninja/other-bearer",
]
PLAIN = ["class/", "async-class/", "undeclared/", "async-undeclared/", "login-required/", "password/", "admin/"]
# Views that every request gets to, whoever sends it.
OPEN = {*OF_OTHERS, "class/", "async-class/", "undeclared/", "async-undeclared/"} - {"other-schemes/"}
QUERIES = {
    "/rest/{pk}/": 2,
    "/rest/": 3,  # the token, its ids, the list
    "/rest-by-slug/{slug}/": 4,  # the token, its channel, the decision, the view's own
    "/plain/{pk}/": 1,
    "/aplain/{pk}/": 1,
    "/by-slug/{slug}/": 3,
    "/ninja/sync/{pk}": 1,
    "/ninja/async/{pk}": 1,
}


@pytest.fixture(autouse=True)
def heard(settings):
    """The signals, with the site's middleware in front of all views."""
    settings.MIDDLEWARE = [f"{__name__}.Early", *django_settings.MIDDLEWARE]
    heard = []

    def listen(signal, **facts):
        heard.append(facts.get("reason", "authenticated"))

    seen.clear()
    signals.token_authenticated.connect(listen)
    signals.token_refused.connect(listen)
    yield heard
    signals.token_authenticated.disconnect(listen)
    signals.token_refused.disconnect(listen)


@pytest.fixture
def ours(settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE[:1], OURS, *settings.MIDDLEWARE[1:]]


@pytest.fixture(params=["alone", "with our middleware"])
def installed(request, settings):
    if request.param != "alone":
        settings.MIDDLEWARE = [*settings.MIDDLEWARE[:1], OURS, *settings.MIDDLEWARE[1:]]


@pytest.fixture
def channel(user):
    return ChannelFactory(owner=user, slug="mine")


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("path", QUERIES)
def test_identify_makes_no_extra_query(make_token, channel, server, path, heard, ours, django_assert_num_queries):
    token = make_token(f"channels:{channel.pk}:read", f"channels:{channel.pk}:list")
    path, count = path.format(pk=channel.pk, slug=channel.slug), QUERIES[path]
    Asker(server, token.secret)(path)
    heard.clear()
    with django_assert_num_queries(count):
        assert Asker(server, token.secret)(path).status_code == 200
    assert heard == ["authenticated"]
    assert seen[-1] == token
    assert seen[-1].user == token.user


@pytest.mark.parametrize("path", QUERIES)
def test_refusal_is_signaled_once(make_token, channel, path, heard, ours, django_assert_num_queries):
    path = path.format(pk=channel.pk, slug=channel.slug)
    without, revoked = make_token(), make_token("channels:*:read")
    revoke_token(revoked)
    for secret, reason in (
        (without.secret, "insufficient_scope"),
        (revoked.secret, "revoked"),
        ("pat_x", "malformed"),
    ):
        heard.clear()
        assert Asker("wsgi", secret)(path).status_code in (401, 403)
        assert heard == [reason]
    with django_assert_num_queries(1):
        Asker("wsgi", revoked.secret)(path)
    assert seen == [None] * len(seen)


@pytest.mark.parametrize("path", ["/nowhere/", "/undeclared/", "/only-session/", "/rest/?x", "/ninja/open"])
def test_view_without_tokens_identifies_none(make_token, path, django_assert_num_queries):
    token = make_token("channels:*:read")
    Asker("wsgi", token.secret)(path)  # records what is missing
    with django_assert_num_queries(1 if "rest" in path else 0):
        Asker("wsgi", token.secret)(path)
    assert seen == [None, None]


def test_options_requests(make_token, channel, heard, django_assert_num_queries):
    token = make_token(f"channels:{channel.pk}:read")
    Asker("wsgi", token.secret)(f"/rest/{channel.pk}/")  # records the use
    heard.clear()
    seen.clear()
    with django_assert_num_queries(2):
        assert Asker("wsgi", token.secret)(f"/rest/{channel.pk}/", "OPTIONS").status_code == 200
    assert seen == [token]
    assert heard == ["authenticated"]
    assert Asker("wsgi", token.secret)("/rest/", "OPTIONS").status_code == 403
    assert seen[-1] is None


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("has_session", [False, True])
@pytest.mark.parametrize("path", [*OF_OTHERS, *PLAIN])
def test_view_without_our_class_stays_anonymous(make_token, stranger, server, has_session, path, installed, settings):
    token = make_token(*[f"{kind.name}:*:{one.name}" for kind in registry for one in kind.operations])
    ask = Asker(server, token.secret)
    ask.client.handler.enforce_csrf_checks = False  # so that POST gets to the views
    if has_session:
        ask.client.force_login(stranger)
    is_refused = path in PLAIN and OURS in settings.MIDDLEWARE
    nobody = not has_session or path in ("none-at-all/", "other-schemes/")
    for method in ("GET", "POST", "OPTIONS"):
        witnessed.clear()
        response = ask(f"/{path}", method)
        assert b"owner" not in response.content.replace(b"the owner of", b""), method
        assert {user.get_username() for user in witnessed} <= {"" if nobody else "stranger"}, method
        if is_refused:
            assert (response.status_code, witnessed) == (403, [])
        elif path in OPEN and method != "OPTIONS":
            assert witnessed
            assert response.json()["user"] == ("" if nobody else "stranger")
    assert set(seen) == {None}


@pytest.mark.parametrize("has_session", [False, True])
def test_405_is_not_answered_to_owner(make_token, client, stranger, has_session, settings):
    settings.MIDDLEWARE = [*django_settings.MIDDLEWARE, f"{__name__}.Late"]
    if has_session:
        client.force_login(stranger)
    for method in ("get", "post", "delete"):
        witnessed.clear()
        headers = {"authorization": f"Bearer {make_token('channels:*:read').secret}"}
        response = getattr(client, method)("/only-put/", headers=headers)
        assert (response.status_code, response["Allow"]) == (405, "PUT, OPTIONS")
        assert {user.get_username() for user in witnessed} == {""}
