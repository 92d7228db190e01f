"""The link in a 403 to the page where the owner adds missing scopes."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import call_command
from django.http import JsonResponse
from django.test import Client
from django.urls import include, path
from ninja import NinjaAPI

from pat_tokens.contrib.ninja.authentication import PersonalAccessTokenAuthentication
from pat_tokens.decorators import pat_requirements
from pat_tokens.inspection.explain import explain
from pat_tokens.links import scope_query
from pat_tokens.policy import Policy
from pat_tokens.requirements import Requirement
from pat_tokens.scopes import ScopeKey
from tests import views
from tests.factories import ChannelFactory

pytestmark = pytest.mark.django_db

READ = Requirement("channels", "read", "pk")
api = NinjaAPI(auth=[PersonalAccessTokenAuthentication()], urls_namespace="links")


@api.get("/channels/{pk}/", auth=[PersonalAccessTokenAuthentication(READ)])
def read(request, pk: str):
    return {}


@pat_requirements({"GET": READ})
def plain(request, pk):
    return JsonResponse({})


@pat_requirements({"GET": Requirement("channels", "list")})
def unlimited(request):
    return JsonResponse({})


@pat_requirements({"OPTIONS": READ})
def own_options(request, pk):
    return JsonResponse({})


without_pages = [
    path("own-options/<str:pk>/", own_options),
    path("drf/<str:pk>/", views.ChannelViewSet.as_view({"get": "retrieve"})),
    path("drf/", views.ChannelViewSet.as_view({"get": "list"})),
    path("slug/<slug:slug>/", views.ChannelBySlug.as_view({"get": "retrieve"})),
    path("plain/<str:pk>/", plain),
    path("unlimited/", unlimited),
    path("ninja/", api.urls),
    path("api/pats/", include("pat_tokens.contrib.rest_framework.urls")),
]
urlpatterns = [path("pats/", include("pat_tokens.urls")), *without_pages]


@pytest.fixture(autouse=True)
def routes(settings):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = ["pat_tokens.middleware.PersonalAccessTokenMiddleware", *settings.MIDDLEWARE]


@pytest.fixture
def ask(token):
    def ask(url, method="GET", **headers):
        client = Client(raise_request_exception=False, headers={"authorization": f"Bearer {token.secret}", **headers})
        return client.generic(method, url)

    return ask


def url_of(token, *scopes, base="http://testserver"):
    return f"{base}/pats/{token.pk}/scopes/add/?" + "&".join(f"scope={scope}" for scope in scopes)


def test_every_integration_has_fix_url(case, ask, token, channel):
    for url in (f"/drf/{channel.pk}/", f"/plain/{channel.pk}/", f"/ninja/channels/{channel.pk}/"):
        with case(url):
            response = ask(url)
            assert response.status_code == 403
            assert response.json()["fix_url"] == url_of(token, f"channels:{channel.pk}:read")
    for url in ("/drf/", "/unlimited/"):
        with case(url):
            assert ask(url).json()["fix_url"] == url_of(token, "channels:*:list")


def test_unlimited_list_links_to_scope_on_all(case, make_token, channel, monkeypatch):
    monkeypatch.setattr(views.ChannelViewSet, "filter_backends", [])
    token = make_token(f"channels:{channel.pk}:list")
    for url in ("/drf/", "/unlimited/"):
        with case(url):
            response = Client(headers={"authorization": f"Bearer {token.secret}"}).get(url)
            assert response.json()["fix_url"] == url_of(token, "channels:*:list")


def test_site_url_takes_precedence(ask, token, channel, settings):
    settings.PAT_TOKENS_SITE_URL = "https://tokens.example.org/"
    expected = url_of(token, f"channels:{channel.pk}:read", base="https://tokens.example.org")
    assert ask(f"/plain/{channel.pk}/").json()["fix_url"] == expected


def test_policy_replaces_url(ask, token, channel, settings):
    class Elsewhere(Policy):
        def get_site_url(self, user, request=None):
            return f"https://{user.get_username()}.example.org" if request else ""

    settings.PAT_TOKENS_POLICY = Elsewhere
    assert ask(f"/plain/{channel.pk}/").json()["fix_url"].startswith("https://owner.example.org/pats/")


def test_no_link_without_pages(case, ask, settings, channel):
    settings.ROOT_URLCONF = tuple(without_pages)
    for url in (f"/drf/{channel.pk}/", f"/plain/{channel.pk}/", f"/ninja/channels/{channel.pk}/"):
        with case(url):
            body = ask(url).json()
            assert body["missing"]
            assert "fix_url" not in body


def test_no_link_for_missing_entity(case, ask):
    for url in ("/slug/no-such/", "/drf/no-id/", "/plain/no-id/", "/ninja/channels/no-id/"):
        with case(url):
            body = ask(url).json()
            assert body["code"] == "insufficient_scope"
            assert "fix_url" not in body


def test_no_link_for_what_policy_forbids(case, ask, settings, channel, token, django_assert_num_queries):
    class ReadOnly(Policy):
        def can_grant(self, user, entity_type, operation, token=None):
            return operation.name != "read"

    urls = [f"/drf/{channel.pk}/", f"/plain/{channel.pk}/", f"/ninja/channels/{channel.pk}/"]
    for url in urls:
        ask(url)
    for policy in (Policy, ReadOnly):
        settings.PAT_TOKENS_POLICY = policy
        for url in urls:
            with case(policy, url):
                with django_assert_num_queries(1):
                    body = ask(url).json()
                assert body["code"] == "insufficient_scope"
                assert ("fix_url" in body) == (policy is Policy)
        assert ask("/drf/").json()["fix_url"] == url_of(token, "channels:*:list")
        explained = explain(token, "GET", f"/plain/{channel.pk}/")
        assert explained.missing
        assert bool(explained.fix_url) == (policy is Policy)


def test_slug_is_linked_by_id(ask, token, user):
    channel = ChannelFactory(owner=user, slug="alarms")
    assert ask("/slug/alarms/").json()["fix_url"] == url_of(token, f"channels:{channel.pk}:read")


def test_options_have_no_link(case, ask, channel):
    for url in (f"/drf/{channel.pk}/", f"/plain/{channel.pk}/"):
        with case(url):
            body = ask(url, "OPTIONS").json()
            assert body["code"] == "insufficient_scope"
            assert not {"missing", "fix_url"} & body.keys()
    assert "fix_url" not in ask(f"/own-options/{channel.pk}/", "OPTIONS").json()


def test_foreign_host_is_not_linked(ask, channel, settings):
    settings.ALLOWED_HOSTS = ["example.org"]
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "CommonMiddleware" not in name]  # asks for the host
    settings.USE_X_FORWARDED_HOST = False
    for headers in ({"host": "evil.example"}, {"host": "example.org@evil.example"}, {"host": "evil.example/x"}):
        response = ask(f"/plain/{channel.pk}/", **headers)
        assert (response.status_code, "fix_url" in response.json()) == (403, False)
    forwarded = ask(f"/plain/{channel.pk}/", **{"host": "example.org", "x-forwarded-host": "evil.example"})
    assert forwarded.json()["fix_url"].startswith("http://example.org/pats/")


def test_any_id_survives_link():
    for entity_id in ("a b", "a:b", "a&scope=pages:*:delete", "ü#?/", "%3A", '"><script>', "*"):
        query = scope_query([ScopeKey("pages", entity_id, "read"), ScopeKey("pages", "*", "list")])
        assert parse_qs(query)["scope"] == [f"pages:{entity_id}:read", "pages:*:list"]
        assert query.isascii()
        assert not set(query) & set("<>\"'# ")


class TestExplain:
    def test_command_prints_link(self, token, channel, settings, capsys):
        arguments = ["pat_explain", str(token.pk), "GET", f"/plain/{channel.pk}/"]
        call_command(*arguments)
        path = url_of(token, f"channels:{channel.pk}:read", base="")
        assert f"To add what is missing: {path}\n" in capsys.readouterr().out
        settings.PAT_TOKENS_SITE_URL = "https://example.org"
        call_command(*arguments)
        assert f"To add what is missing: https://example.org{path}\n" in capsys.readouterr().out

    def test_api_has_link(self, token, channel, client, user):
        client.force_login(user)
        query = {"path": f"/plain/{channel.pk}/"}
        body = client.get(f"/api/pats/{token.pk}/explain/", query).json()
        assert body["fix_url"] == url_of(token, f"channels:{channel.pk}:read")

    def test_no_link_if_no_scope_can_be_added(self, case, token, make_token, channel):
        rows = [
            (token, "GET", "/slug/no-such/"),
            (token, "GET", "/plain/no-id/"),
            (token, "OPTIONS", f"/plain/{channel.pk}/"),
            (token, "POST", f"/plain/{channel.pk}/"),
            (make_token(f"channels:{channel.pk}:read"), "GET", f"/plain/{channel.pk}/"),
        ]
        for one, method, url in rows:
            with case(method, url):
                assert explain(one, method, url).fix_url is None


def test_link_opens_form(ask, token, channel, client, user):
    url = urlsplit(ask(f"/plain/{channel.pk}/").json()["fix_url"])
    client.force_login(user)
    assert client.get(f"{url.path}?{url.query}").status_code == 200
