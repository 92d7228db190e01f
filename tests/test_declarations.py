"""Declarations of single routes, and checks of ambiguous names and orders."""

import pytest
from django.http import JsonResponse
from django.urls import include, path, re_path
from django.views.generic import DetailView
from ninja import NinjaAPI
from ninja.security import APIKeyHeader, django_auth
from rest_framework import viewsets
from rest_framework.authentication import BasicAuthentication, SessionAuthentication, TokenAuthentication
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView

from pat_tokens.checks.routes import check_routes
from pat_tokens.contrib.ninja.authentication import PersonalAccessTokenAuthentication as NinjaAuthentication
from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication
from pat_tokens.contrib.rest_framework.mixins import PersonalAccessTokenMixin
from pat_tokens.declarations import declare_route, declare_url, declare_view, plain_route
from pat_tokens.requirements import ANY_TOKEN, Requirement
from tests.factories import ChannelFactory
from tests.models import Channel
from tests.plain_client import OURS, Asker
from tests.site import serializers
from tests.site.models import Project

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls(__name__),
    pytest.mark.usefixtures("declarations"),
]

READ = Requirement("channels", "read", "pk")
CHANNELS, PROJECTS = Channel.objects.all(), Project.objects.all()


class View(APIView):
    def get(self, request, pk):
        return Response({"pk": pk})


class Channels(viewsets.ReadOnlyModelViewSet):
    queryset = Channel.objects.order_by("pk")
    serializer_class = serializers.ChannelSerializer


def plain(request, pk):
    return JsonResponse({"pk": pk})


class Generic(DetailView):
    pass


class Named(DetailView):
    model = Channel
    slug_url_kwarg = "pk"


def plain_of_model(request, pk, model):
    return JsonResponse({"pk": pk})


class SessionFirst(View):
    authentication_classes = [SessionAuthentication, PersonalAccessTokenAuthentication]


class OtherSchemesFirst(View):
    authentication_classes = [BasicAuthentication, TokenAuthentication, PersonalAccessTokenAuthentication]


class Mixed(PersonalAccessTokenMixin, View):
    authentication_classes = [SessionAuthentication]


api = NinjaAPI(urls_namespace="declared-ninja")


@api.get("/one/{int:pk}", auth=NinjaAuthentication(), url_name="shared")
def ninja(request, pk: int):
    return {"pk": pk}


class Key(APIKeyHeader):
    param_name = "X-Key"

    def authenticate(self, request, key):
        return None


def by_session(request):
    return request.user.is_authenticated


@api.get("/session-first/{int:pk}", auth=[django_auth, by_session, NinjaAuthentication(READ)])
@api.get("/key-first/{int:pk}", auth=[Key(), NinjaAuthentication(READ), django_auth])
@api.get("/session-only/{int:pk}", auth=django_auth)
def ninja_in_order(request, pk: int):
    return {"pk": pk}


def make_view(viewed):
    class Made(DetailView):
        model = viewed
        pat_requirements = {"GET": READ}

    return Made


def router_of_version(number):
    router = SimpleRouter()
    router.register("channels", Channels, basename=f"{number}version"[1:])  # equal names, not the same string
    return router


urlpatterns = [
    path("one/<int:pk>/", View.as_view(), name="shared"),
    path("two/<int:pk>/", View.as_view(), name="shared"),
    path("plain-one/<int:pk>/", plain, name="shared-plain"),
    path("plain-two/<int:pk>/", plain, name="shared-plain"),
    re_path(r"^regex/(?P<pk>[^/.]+)/$", View.as_view()),
    path("nested/", include([path("one/<int:pk>/", View.as_view())])),
    path("channels/<int:pk>/", Channels.as_view({"get": "retrieve"}), name="channel"),
    re_path(r"^channels/(?P<pk>[0-9]+)\.(?P<format>[a-z]+)$", Channels.as_view({"get": "retrieve"}), name="channel"),
    path("generic-channels/<int:pk>/", Generic.as_view(model=Channel), name="shared-generic"),
    path("generic-projects/<int:pk>/", Generic.as_view(model=Project), name="shared-generic"),
    path("argument-one/<int:pk>/", Channels.as_view({"get": "retrieve"}, queryset=CHANNELS), name="shared-argument"),
    path("argument-two/<int:pk>/", Channels.as_view({"get": "retrieve"}, queryset=PROJECTS), name="shared-argument"),
    path("channel/<int:pk>/", plain_of_model, {"model": "channel"}, name="shared-function"),
    path("project/<int:pk>/", plain_of_model, {"model": "project"}, name="shared-function"),
    path("of-channel/", include([path("<int:pk>/", plain_of_model, name="shared-include")]), {"model": "channel"}),
    path("of-project/", include([path("<int:pk>/", plain_of_model, name="shared-include")]), {"model": "project"}),
    path("default-page/", plain, {"pk": 1}, name="default-page"),
    path("default-page/<int:pk>/", plain, name="default-page"),
    path("equal-one/<int:pk>/", plain_of_model, {"model": ["a"]}, name="equal"),
    path("equal-two/<int:pk>/", plain_of_model, {"model": ["a"]}, name="equal"),
    path("tuple-one/<int:pk>/", plain_of_model, {"model": (["a"],)}, name="equal-tuple"),
    path("tuple-two/<int:pk>/", plain_of_model, {"model": (["a"],)}, name="equal-tuple"),
    path("none-one/<int:pk>/", Generic.as_view(queryset=Channel.objects.none()), name="equal-queryset"),
    path("none-two/<int:pk>/", Generic.as_view(queryset=Channel.objects.none()), name="equal-queryset"),
    path("made-channel/<int:pk>/", make_view(Channel).as_view()),
    path("made-project/<int:pk>/", make_view(Project).as_view()),
    path("converter/<int:pk>/", plain),
    path("converter/<slug:pk>/", Named.as_view()),
    re_path(r"^expression/(?P<pk>[0-9]+)/$", View.as_view()),
    re_path(r"^expression/(?P<pk>[a-z]+)/$", plain),
    path("overridden/<int:pk>/", plain),
    path("overridden/<int:pk>/", View.as_view()),
    path("same/<int:pk>/", plain),
    path("same/<uuid:pk>/", plain),
    path("v1/", include(router_of_version(1).urls)),
    path("v2/", include(router_of_version(2).urls)),
    path("session-first/<int:pk>/", SessionFirst.as_view()),
    path("other-schemes-first/<int:pk>/", OtherSchemesFirst.as_view()),
    path("mixed/<int:pk>/", Mixed.as_view()),
    path("other/<int:other>/", plain, name="shared-plain"),
    path("ninja/", api.urls),
]


@pytest.mark.parametrize(
    ("declared", "url"),
    [
        ("one/<int:pk>/", "/one/1/"),
        ("/one/<pk>/", "/one/1/"),
        ("regex/<pk>/", "/regex/1/"),
        (r"^regex/(?P<pk>[^/.]+)/$", "/regex/1/"),
        ("nested/one/<pk>/", "/nested/one/1/"),
        ("plain-one/<pk>/", "/plain-one/1/"),
        ("ninja/one/<pk>", "/ninja/one/1"),
    ],
)
def test_route_declaration_applies_to_one_route(settings, make_token, user, declared, url):
    for pk in (1, 2):
        ChannelFactory(owner=user, pk=pk)
    settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]
    ask = Asker("wsgi", make_token("channels:1:read").secret)
    urls = ["/one/1/", "/two/1/", "/regex/1/", "/nested/one/1/", "/plain-one/1/", "/plain-two/1/", "/ninja/one/1"]
    declare_route(declared, {"GET": READ})
    for other in urls:
        assert ask(other).status_code == (200 if other == url else 403), other
    assert Asker("wsgi", make_token("channels:2:read").secret)(url).status_code == 403


def test_route_takes_precedence(make_token, client_with, channel):
    client = client_with(make_token("channels:*:read"))
    declare_url("channel", {"retrieve": ANY_TOKEN})
    declare_route("channels/<pk>/", {"retrieve": None})
    assert client.get(f"/channels/{channel.pk}/").status_code == 403
    assert client.get(f"/channels/{channel.pk}.json").status_code == 200
    declare_route("channels/<pk>/", {"GET": READ})
    assert client.get(f"/channels/{channel.pk}/").status_code == 200


def test_route_spellings_are_equivalent():
    for spelling in ("books/<pk>/", "/books/<int:pk>/", r"^books/(?P<pk>[^/.]+)/$", r"books/(?P<pk>(a|[)b])+)/?\Z"):
        assert plain_route(spelling).rstrip("/") in ("books/<pk>", "books/<pk>")


def messages(number):
    return [message.msg for message in check_routes() if message.id == f"pat_tokens.{number}"]


def test_check_reports_shared_url_names():
    declare_url("channel", {"retrieve": READ})
    assert messages("W053") == []
    declare_url("shared-plain", {"GET": READ})
    (found,) = messages("W053")
    assert "/plain-one/<pk>/" in found
    assert "/other/<other>/" in found


@pytest.mark.parametrize("name", ["shared-generic", "shared-argument", "shared-function", "shared-include"])
def test_url_name_of_different_views_is_reported(name):
    declare_url(name, {"GET": READ})
    (found,) = messages("W053")
    assert "applies to 2 routes" in found


def test_check_accepts_one_viewset_in_two_routers():
    declare_url("version-detail", {"GET": READ})
    assert messages("W053") == []


@pytest.mark.parametrize("route", ["converter/<int:pk>/", "expression/<pk>/"])
def test_routes_with_other_converters_are_reported(route):
    declare_route(route, {"GET": READ})
    (found,) = messages("W053")
    assert "applies to 2 routes" in found


@pytest.mark.parametrize("route", ["overridden/<int:pk>/", "same/<pk>/", "of-channel/<pk>/"])
def test_route_of_one_view_is_not_reported(route):
    declare_route(route, {"GET": READ})
    assert messages("W053") == []


def test_declared_view_with_another_model_is_refused(make_token, client_with, channel, user):
    project = Project.objects.create(pk=channel.pk, name="project", owner=user)
    declare_view(Channels, {"retrieve": READ})
    client = client_with(make_token("channels:*:read"))
    assert client.get(f"/argument-one/{channel.pk}/").status_code == 200
    assert client.get(f"/argument-two/{project.pk}/").status_code == 403
    assert "the arguments of as_view() set another model" in messages("E050")[0]


def test_any_token_counts_for_replaced_model(make_token, client_with, channel, user):
    project = Project.objects.create(pk=channel.pk, name="project", owner=user)
    declare_view(Channels, {"retrieve": ANY_TOKEN})
    assert client_with(make_token()).get(f"/argument-two/{project.pk}/").status_code == 200
    assert messages("E050") == []


@pytest.mark.parametrize("requirement", [READ, Requirement("channels", "list")])
def test_declared_view_of_several_models_is_reported(settings, requirement):
    settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]
    declare_view(Generic, {"GET": requirement})
    (found,) = messages("W055")
    assert "/generic-channels/<pk>/ (Channel), /generic-projects/<pk>/ (Project)" in found


def test_classes_with_equal_names_are_not_one_view(settings):
    settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]
    assert messages("W055") == []


@pytest.mark.parametrize("name", ["default-page", "equal", "equal-tuple", "equal-queryset"])
def test_equal_arguments_are_not_reported(name):
    declare_url(name, {"GET": READ})
    assert messages("W053") == []


@pytest.mark.parametrize("requirement", [ANY_TOKEN, None, Requirement("devices", "read", "pk")])
def test_declaration_for_another_entity_is_not_reported(settings, requirement):
    settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]
    declare_view(Generic, {"GET": requirement})
    assert messages("W055") == []


def test_check_reports_missing_routes():
    declare_route("one/<pk>/", {"GET": READ, "LOCK": READ})
    declare_route("none/<pk>/", {"GET": READ})
    assert "none/<pk>/" in messages("E056")[0]
    assert "'LOCK'" in messages("W051")[0]


def test_check_reports_session_before_token():
    rest, ninja = messages("W054")
    assert "SessionFirst" in rest
    assert "rest_framework.authentication.SessionAuthentication" in rest
    assert "ninja/session-first" in ninja
    assert "ninja.security.session.SessionAuth" in ninja
    assert "by_session" in ninja
    assert "Key" not in ninja
