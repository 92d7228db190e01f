"""Async views, most of them declared, because adrf has its own names for actions."""

from adrf import generics, viewsets
from adrf.decorators import api_view
from adrf.routers import DefaultRouter
from adrf.serializers import ModelSerializer
from asgiref.sync import sync_to_async
from django.urls import include, path
from rest_framework.decorators import action
from rest_framework.filters import BaseFilterBackend
from rest_framework.pagination import PageNumberPagination
from rest_framework.response import Response

from pat_tokens.contrib.rest_framework.decorators import pat_requirements
from pat_tokens.contrib.rest_framework.filters import ScopeFilterBackend, ScopeFilterMixin
from pat_tokens.declarations import limit_lists
from pat_tokens.requirements import Requirement
from tests.models import Channel, Page

READ = Requirement("channels", "read", "pk")
LIST = Requirement("channels", "list")


class ChannelSerializer(ModelSerializer):
    class Meta:
        model = Channel
        fields = ["id", "name"]


class PageSerializer(ModelSerializer):
    class Meta:
        model = Page
        fields = ["path"]


class Undeclared(viewsets.ModelViewSet):
    queryset = Channel.objects.order_by("pk")
    serializer_class = ChannelSerializer

    def get_queryset(self):
        return super().get_queryset().filter(owner=self.request.user)

    async def perform_acreate(self, serializer):
        await serializer.asave(owner=self.request.user)


class Channels(Undeclared):
    pat_requirements = {
        "alist": LIST,
        "acreate": Requirement("channels", "create"),
        "aretrieve": READ,
        "aupdate": Requirement("channels", "update", "pk"),
        "partial_aupdate": Requirement("channels", "update", "pk"),
        "adestroy": Requirement("channels", "delete", "pk"),
        "publish": Requirement("channels", "publish", "pk"),
        "siblings": LIST,
        "summary": LIST,
    }

    @action(detail=True, methods=["post"])
    async def publish(self, request, pk=None):
        return Response({"published": (await self.aget_object()).pk})

    @action(detail=True)
    async def siblings(self, request, pk=None):
        """Filters for one object, and returns rows that weren't limited."""
        await self.aget_object()
        return Response([channel.pk async for channel in self.get_queryset()])

    @action(detail=True)
    async def summary(self, request, pk=None):
        """Filters for one object, and returns no rows."""
        await self.aget_object()
        return Response({"is_there": True})


class OneByOne(PageNumberPagination):
    page_size = 1


class Paginated(Channels):
    pagination_class = OneByOne


class AsyncBackend(BaseFilterBackend):
    async def filter_queryset(self, request, queryset, view):
        return queryset.filter(name__contains=request.GET.get("q", ""))


class FilteredByBoth(Channels):
    filter_backends = [AsyncBackend, ScopeFilterBackend]


class MixedIn(ScopeFilterMixin, Channels):
    filter_backends = [AsyncBackend]


class LimitedOutside(Channels):
    """Third-party code, which `limit_lists` limits."""

    filter_backends = [AsyncBackend]


limit_lists(LimitedOutside)


class Replaced(Channels):
    """Its own backend replaces the queryset that ours limited."""

    class Backend(BaseFilterBackend):
        async def filter_queryset(self, request, queryset, view):
            return Channel.objects.all()

    filter_backends = [ScopeFilterBackend, Backend]


class WithoutFilter(Channels):
    filter_backends = []


class OtherObject(Channels):
    """Finds its object by the query string instead of the URL."""

    async def aget_object(self):
        return await Channel.objects.aget(pk=self.request.GET["really"])


class Pages(viewsets.ModelViewSet):
    queryset = Page.objects.order_by("pk")
    serializer_class = PageSerializer
    lookup_value_regex = "[^/]+"
    pat_requirements = {"partial_aupdate": Requirement("pages", "update", "pk")}


class Generic(generics.RetrieveAPIView):
    queryset = Channel.objects.all()
    serializer_class = ChannelSerializer
    pat_requirements = {"GET": READ}


@pat_requirements({"GET": READ})
@api_view(["GET"])
async def function(request, pk):
    found = await Channel.objects.aget(pk=pk)
    return Response({"id": found.pk, "user": await sync_to_async(request.user.get_username)()})


@api_view(["GET"])
async def undeclared_function(request, pk):
    return Response({"user": request.user.get_username()})


VIEWSETS = (
    Undeclared,
    Channels,
    Paginated,
    FilteredByBoth,
    MixedIn,
    LimitedOutside,
    Replaced,
    WithoutFilter,
    OtherObject,
    Pages,
)
router = DefaultRouter()
for viewset in VIEWSETS:
    router.register(viewset.__name__.lower(), viewset, basename=viewset.__name__.lower())

urlpatterns = [
    path("", include(router.urls)),
    path("generic/<int:pk>/", Generic.as_view()),
    path("function/<int:pk>/", function),
    path("undeclared-function/<int:pk>/", undeclared_function),
    path("pats/", include("pat_tokens.urls")),
]
