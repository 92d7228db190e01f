"""No cache responds to a request whose token wasn't checked."""

import pytest
from django.core.cache import cache
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_page
from django.views.decorators.vary import vary_on_headers
from ninja import NinjaAPI
from rest_framework.response import Response
from rest_framework.views import APIView

from pat_tokens import services
from pat_tokens.contrib.ninja.authentication import (
    AsyncPersonalAccessTokenAuthentication,
    PersonalAccessTokenAuthentication,
)
from pat_tokens.decorators import pat_requirements
from pat_tokens.exceptions import KeyNotAllowed
from pat_tokens.requirements import ANY_TOKEN
from tests.factories import TokenFactory
from tests.plain_client import OURS
from tests.tiny_framework.views import TinyView

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.security.test_caching")]


CDN_HEADERS = {
    "CDN-Cache-Control": "max-age=600",
    "Cloudflare-CDN-Cache-Control": "public, max-age=600",
    "Surrogate-Control": "max-age=600",
    "X-Accel-Expires": "600",
    "Edge-Control": "cache-maxage=600",
}


class Cached(APIView):
    pat_requirements = {"GET": ANY_TOKEN}

    def get(self, request, control):
        headers = {"Cache-Control": control} if control != "none" else {}
        return Response({"user": request.user.get_username()}, headers=headers)


ninja = NinjaAPI(urls_namespace="caching")
ANYBODY = [PersonalAccessTokenAuthentication(ANY_TOKEN)]


@ninja.get("/sync", auth=ANYBODY)
def sync(request, response: HttpResponse):
    response["Cache-Control"] = "max-age=600"
    return {"user": request.user.get_username()}


@ninja.get("/plain", auth=ANYBODY)
def plain(request):
    return JsonResponse({"user": request.user.get_username()}, headers={"Cache-Control": "public, max-age=600"})


@ninja.get("/async", auth=[AsyncPersonalAccessTokenAuthentication(ANY_TOKEN)])
async def asynchronous(request):
    return {"user": (await request.auser()).get_username()}


@ninja.get("/error", auth=ANYBODY)
def error(request):
    raise KeyNotAllowed


def cached_view(request):
    return HttpResponse(request.user.get_username())


class CachedMethod(APIView):
    pat_requirements = {"GET": ANY_TOKEN}

    @method_decorator(cache_page(600))
    def get(self, request):
        return HttpResponse(request.user.get_username())


class ForCdn(APIView):
    pat_requirements = {"GET": ANY_TOKEN}
    permission_classes = []

    def get(self, request):
        return Response({}, headers=CDN_HEADERS)


def for_cdn(request):
    return HttpResponse(headers=CDN_HEADERS)


@ninja.get("/cdn", auth=ANYBODY)
def ninja_for_cdn(request):
    return for_cdn(request)


INSIDE = ["/inside/", "/outside/", "/method/"]

urlpatterns = [
    path("inside/", pat_requirements({"GET": ANY_TOKEN})(cache_page(600)(cached_view))),
    path("outside/", cache_page(600)(pat_requirements({"GET": ANY_TOKEN})(cached_view))),
    path("method/", CachedMethod.as_view()),
    path(
        "varies/", cache_page(600)(vary_on_headers("Authorization")(pat_requirements({"GET": ANY_TOKEN})(cached_view)))
    ),
    path("ninja/", ninja.urls),
    path("cdn/plain/", pat_requirements({"GET": ANY_TOKEN})(for_cdn)),
    path("cdn/rest/", ForCdn.as_view()),
    path("cdn/open/", for_cdn),
    path("tiny/", TinyView(ANY_TOKEN)),
    path("<path:control>/", cache_page(600)(Cached.as_view())),
]


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()
    yield
    cache.clear()


@pytest.mark.parametrize("control", ["none", "max-age=600", "public, max-age=600", "private, max-age=600", "no-cache"])
def test_revoked_token_gets_no_cached_response(client_with, make_token, control):
    token = make_token()
    client = client_with(token)
    answer = client.get(f"/{control}/")
    assert answer.json() == {"user": "owner"}
    assert "private" in answer["Cache-Control"]
    assert "public" not in answer["Cache-Control"]
    services.revoke_token(token)
    assert client.get(f"/{control}/").status_code == 401
    assert client.get(f"/{control}/").status_code == 401


@pytest.mark.parametrize("path", ["/cdn/plain/", "/cdn/rest/", "/ninja/cdn"])
def test_no_header_of_a_cdn_overrules_private(settings, client, client_with, token, path):
    settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]
    answer = client_with(token).get(path)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "private"
    assert not [name for name in CDN_HEADERS if name in answer]


def test_requests_without_a_token_keep_headers_of_a_cdn(client):
    assert {name: client.get("/cdn/open/")[name] for name in CDN_HEADERS} == CDN_HEADERS


@pytest.mark.parametrize("path", INSIDE)
@pytest.mark.parametrize("header", ["Authorization", "X-Site-Token"])  # Django only knows the first
def test_cache_inside_a_guard_keeps_no_response(settings, client, token, stranger, path, header):
    settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]
    settings.PAT_TOKENS_HEADER = header
    for one in (token, TokenFactory(user=stranger)):
        answer = client.get(path, headers={header: f"Bearer {one.secret}"})
        assert answer.content.decode() == one.user.get_username()
    assert client.get(path).content.decode() not in ("owner", "stranger")


def test_cached_view_that_varies_answers_tokens_itself(settings, client, token):
    settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]
    assert client.get("/varies/").content == b""  # of an anonymous user, and stored
    assert client.get("/varies/", headers={"Authorization": f"Bearer {token.secret}"}).content == b"owner"


@pytest.mark.parametrize("path", ["/ninja/sync", "/ninja/plain", "/ninja/async", "/tiny/"])
def test_integrations_set_cache_control(settings, client_with, make_token, path):
    assert OURS not in settings.MIDDLEWARE
    cached = "django.middleware.cache."
    settings.MIDDLEWARE = [f"{cached}UpdateCacheMiddleware", f"{cached}FetchFromCacheMiddleware", *settings.MIDDLEWARE]
    token = make_token()
    client = client_with(token)
    for _time in range(2):
        answer = client.get(path)
        assert b"owner" in answer.content
        assert "private" in answer["Cache-Control"]
        assert "public" not in answer["Cache-Control"]
        assert "Authorization" in answer["Vary"]
    services.revoke_token(token)
    refused = client.get(path)
    assert refused.status_code == 401
    assert "private" in refused["Cache-Control"]


def test_errors_and_requests_without_a_token(client, client_with, make_token):
    assert "private" in client_with(make_token()).get("/ninja/error")["Cache-Control"]
    assert client.get("/ninja/sync").status_code == 401
