"""Declarations of pairs of views, and views and URLs that refuse tokens."""

from types import ModuleType

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse, JsonResponse
from django.urls import path, re_path
from ninja import NinjaAPI
from rest_framework import generics, viewsets
from rest_framework.decorators import action, api_view
from rest_framework.filters import BaseFilterBackend
from rest_framework.pagination import PageNumberPagination
from rest_framework.response import Response
from rest_framework.urlpatterns import format_suffix_patterns
from rest_framework.views import APIView

from pat_tokens.checks.routes import check_routes
from pat_tokens.contrib.ninja.authentication import PersonalAccessTokenAuthentication as NinjaAuthentication
from pat_tokens.contrib.rest_framework.filters import ScopeFilterBackend
from pat_tokens.declarations import (
    declare_children,
    declare_crud,
    declare_view,
    limit_lists,
    refuse_urls,
    refuse_views,
)
from pat_tokens.inspection.routes import inspect_all
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement
from tests.factories import ChannelFactory
from tests.models import Channel
from tests.plain_client import OURS, Asker
from tests.site.serializers import ChannelSerializer

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__), pytest.mark.usefixtures("declarations")]

HERE = __name__


class Channels(generics.ListCreateAPIView):
    queryset = Channel.objects.order_by("pk")
    serializer_class = ChannelSerializer
    filter_backends = [ScopeFilterBackend]


class ByName(BaseFilterBackend):
    def filter_queryset(self, request, queryset, view):
        return queryset.filter(name__startswith=request.GET.get("name", ""))


class OwnFilters(generics.ListAPIView):
    queryset = Channel.objects.order_by("pk")
    serializer_class = ChannelSerializer
    filter_backends = [ByName]


class Pages(PageNumberPagination):
    page_size = 10


class FilteredSet(viewsets.ModelViewSet):
    queryset = Channel.objects.order_by("pk")
    serializer_class = ChannelSerializer
    filter_backends = [ByName]
    pagination_class = Pages

    @action(detail=False)
    def mine(self, request):
        return self.list(request)


class NotFiltered(OwnFilters):
    def list(self, request):
        return Response(ChannelSerializer(self.get_queryset(), many=True).data)


class OneChannel(generics.RetrieveDestroyAPIView):
    queryset = Channel.objects.order_by("pk")
    serializer_class = ChannelSerializer


class Messages(APIView):
    def get(self, request, **kwargs):
        return Response([])

    post = get


class OneMessage(APIView):
    def get(self, request, **kwargs):
        return Response({})

    put = patch = delete = get


class OwnSet(viewsets.ViewSet):
    def list(self, request):
        return Response([])

    def retrieve(self, request, pk):
        return Response({"pk": pk})


@api_view(["GET"])
def function(request):
    return Response({})


class Set(viewsets.ReadOnlyModelViewSet):
    queryset = Channel.objects.order_by("pk")
    serializer_class = ChannelSerializer


def plain(request):
    return JsonResponse({})


api = NinjaAPI(urls_namespace="bulk-ninja")


@api.get("/", auth=NinjaAuthentication(ANY_TOKEN))
def operation(request):
    return HttpResponse()


urlpatterns = [
    path("channels/", Channels.as_view()),
    path("channels/<int:pk>/", OneChannel.as_view()),
    path("channels/<int:channel_pk>/messages/", Messages.as_view()),
    path("channels/<int:channel_pk>/messages/<int:pk>/", OneMessage.as_view()),
    path("own-filters/", OwnFilters.as_view()),
    path("not-filtered/", NotFiltered.as_view()),
    path("own/", OwnSet.as_view({"get": "list"})),
    path("own/<int:pk>/", OwnSet.as_view({"get": "retrieve"})),
    path("function/", function),
    path("set/<int:pk>/", Set.as_view({"get": "retrieve"})),
    path("plain/", plain),
    path("ninja/", api.urls),
]


@pytest.fixture
def ask(settings, user, make_token):
    """Send a request with a token that has every scope on channel 1."""
    settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]
    for pk in (1, 2):
        ChannelFactory(owner=user, pk=pk)
    scopes = [f"channels:1:{name}" for name in ("read", "list", "update", "delete")]
    return Asker("wsgi", make_token(*scopes, "channels:*:create").secret)


def requirements(prefix):
    return {
        f"{method.method} {report.route.pattern}": str(method.resolution.requirement)
        for report in inspect_all()
        if report.route.pattern.startswith(prefix)
        for method in report.methods
    }


@pytest.mark.parametrize("is_dotted", [False, True])
def test_pair_of_views(ask, is_dotted):
    assert ask("/channels/").status_code == ask("/channels/1/").status_code == 403
    pair = (f"{HERE}.Channels", f"{HERE}.OneChannel") if is_dotted else (Channels, OneChannel)
    declare_crud(*pair, "channels")
    assert [row["id"] for row in ask("/channels/").json()] == [1]
    assert ask("/channels/1/").status_code == 200
    assert ask("/channels/2/").status_code == 403
    assert requirements("channels/") == {
        "GET channels/": "channels:*:list",
        "POST channels/": "channels:*:create",
        "GET channels/<int:pk>/": "channels:{pk}:read",
        "DELETE channels/<int:pk>/": "channels:{pk}:delete",
        "GET channels/<int:channel_pk>/messages/": "None",
        "POST channels/<int:channel_pk>/messages/": "None",
        **{
            f"{method} channels/<int:channel_pk>/messages/<int:pk>/": "None"
            for method in ("GET", "PUT", "PATCH", "DELETE")
        },
    }
    assert "pat_tokens.W051" not in [message.id for message in check_routes()]


def test_nested_views(ask):
    declare_children(Messages, OneMessage, "channels", "channel_pk")
    assert ask("/channels/1/messages/", "POST").status_code == 200
    assert ask("/channels/2/messages/", "POST").status_code == 403
    assert requirements("channels/<int:channel_pk>/") == {
        "GET channels/<int:channel_pk>/messages/": "channels:{channel_pk}:read",
        "POST channels/<int:channel_pk>/messages/": "channels:{channel_pk}:update",
        "GET channels/<int:channel_pk>/messages/<int:pk>/": "channels:{channel_pk}:read",
        **{
            f"{method} channels/<int:channel_pk>/messages/<int:pk>/": "channels:{channel_pk}:update"
            for method in ("PUT", "PATCH", "DELETE")
        },
    }


def test_viewset_is_its_own_pair(ask):
    declare_crud(OwnSet, OwnSet, "channels", entity=EntityLookup(name="pk"), filter_by="channel")
    assert requirements("own/") == {
        "GET own/": "channels:*:list",
        "GET own/<int:pk>/": "channels:{pk}:read",
    }
    with pytest.raises(ImproperlyConfigured, match="declare_route"):
        declare_crud(Messages, Messages, "channels")


REFUSALS = {
    "/channels/1/": (Set, [f"{HERE}.OneChannel", HERE, OneChannel], ["/channels/", "channels/<pk>", "/"]),
    "/set/1/": (OneChannel, [f"{HERE}.Set", HERE, "tests", Set], ["/set/", "/"]),
    "/function/": (Set, [f"{HERE}.function", HERE, function], ["/function/"]),
    "/plain/": (Set, [f"{HERE}.plain", HERE, plain], ["/plain/"]),
    "/ninja/": (Set, [], ["/ninja/"]),
}


@pytest.mark.parametrize("url", REFUSALS)
def test_refusals_come_before_all_else(ask, declarations, url):
    other, views, prefixes = REFUSALS[url]

    def declare():
        for refused in (declarations.refused_views, declarations.refused_urls):
            refused.clear()
        declare_view(OneChannel, {"GET": Requirement("channels", "read", "pk")})
        declare_view(function, {"GET": ANY_TOKEN})
        declare_view(plain, {"GET": ANY_TOKEN})

    declare()
    refuse_views(other)
    refuse_urls("/elsewhere/")
    assert ask(url).status_code == 200
    for refuse, targets in ((refuse_views, views), (refuse_urls, prefixes)):
        for target in targets:
            declare()
            refuse(target)
            response = ask(url)
            assert (target, response.status_code) == (target, 403)
            assert response.json()["code"] == "scope_not_declared"


def test_lookup_by_unknown_field_is_refused(ask):
    declare_view(OneChannel, {"GET": Requirement("channels", "read", EntityLookup(full_name="pk"))})
    assert ask("/channels/1/").json()["code"] == "scope_not_declared"
    (message,) = [message.msg for message in check_routes() if message.id == "pat_tokens.E050"]
    assert "Channel can't be looked up by full_name: Cannot resolve keyword 'full_name'" in message


def test_refused_prefix_includes_format_suffixes(ask, settings):
    settings.ROOT_URLCONF = ModuleType("urls_of_a_test")
    patterns = [path("channels/", Channels.as_view()), re_path("^again/$", Channels.as_view())]
    settings.ROOT_URLCONF.urlpatterns = format_suffix_patterns(patterns)
    declare_crud(Channels, OneChannel, "channels")
    urls = ("/channels/", "/channels.json", "/again/", "/again.json")
    assert [ask(url).status_code for url in urls] == [200] * 4
    refuse_urls("/channels/", "/again/")
    assert [ask(url).status_code for url in urls] == [403] * 4


@pytest.mark.parametrize(
    ("refuse", "target", "is_found"),
    [
        (refuse_views, f"{HERE}.Set", True),
        (refuse_views, HERE, True),
        (refuse_views, Set, True),
        (refuse_views, f"{HERE}.Sett", False),
        (refuse_views, f"{HERE}.urlpatterns", False),
        (refuse_urls, "/set/", True),
        (refuse_urls, "/sets/", False),
    ],
)
def test_empty_refusal_is_an_error(refuse, target, is_found):
    refuse(target)
    assert ("pat_tokens.E057" in [message.id for message in check_routes()]) is not is_found


@pytest.mark.parametrize("view", [OwnFilters, f"{HERE}.OwnFilters"])
def test_lists_limited_from_outside(ask, user, make_token, view):
    ChannelFactory(owner=user, pk=3, name="three")
    listing = Requirement("channels", "list")
    for declared in (OwnFilters, NotFiltered):
        declare_view(declared, {"GET": listing})
    assert ask("/own-filters/").status_code == 403
    limit_lists(view, NotFiltered)
    ask = Asker("wsgi", make_token("channels:1:list", "channels:3:list").secret)
    assert [row["id"] for row in ask("/own-filters/").json()] == [1, 3]
    assert [row["id"] for row in ask("/own-filters/?name=three").json()] == [3]
    assert ask("/not-filtered/").status_code == 403
    everything = Asker("wsgi", make_token("channels:*:list").secret)
    assert [row["id"] for row in everything("/own-filters/").json()] == [1, 2, 3]


@pytest.mark.parametrize("kind", ["inferred", "standard", "extra"])
def test_lists_of_viewsets_limited_from_outside(ask, settings, kind):
    """Also if the list is inferred, has pages, or belongs to an extra action."""
    actions = {"inferred": "list", "standard": "list", "extra": "mine"}
    settings.ROOT_URLCONF = ModuleType("urls_of_a_test")
    settings.ROOT_URLCONF.urlpatterns = [path("set/", FilteredSet.as_view({"get": actions[kind]}))]
    if kind != "inferred":
        declare_view(FilteredSet, {actions[kind]: Requirement("channels", "list")})
    assert ask("/set/").status_code == 403
    limit_lists(FilteredSet)
    assert [row["id"] for row in ask("/set/").json()["results"]] == [1]
    assert ask("/set/?name=nothing").json()["results"] == []


@pytest.mark.parametrize("target", [Messages, f"{HERE}.Missing", Set, f"{HERE}.OwnFilters"])
def test_check_reports_unfiltered_lists(target):
    limit_lists(target)
    is_wrong = target not in (Set, f"{HERE}.OwnFilters")
    assert ("pat_tokens.E058" in [message.id for message in check_routes()]) is is_wrong
