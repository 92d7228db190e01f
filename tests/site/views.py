"""Classes and ViewSets of the site, most of which don't know about tokens."""

from django.contrib.auth import get_user_model
from django.db.models import Count
from django.shortcuts import get_object_or_404
from rest_framework import filters, generics, mixins, pagination, versioning, viewsets
from rest_framework.authentication import BasicAuthentication
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from pat_tokens.contrib.rest_framework.filters import ScopeFilterMixin
from pat_tokens.contrib.rest_framework.mixins import PersonalAccessTokenMixin
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement
from tests.models import Channel, Device, Page
from tests.site import serializers
from tests.site.models import ArchivedChannel, Badge, Cover, Memo, Probe, Project, Task, Thermometer


class Owned:
    """Limits rows to those of the user."""

    owner_field = "owner"

    def get_queryset(self):
        return super().get_queryset().filter(**{self.owner_field: self.request.user})

    def perform_create(self, serializer):
        serializer.save(owner=self.request.user)


# ViewSets of registered models on plain routes: inferred.


class ProjectViewSet(Owned, viewsets.ModelViewSet):
    queryset = Project.objects.order_by("pk")
    serializer_class = serializers.ProjectSerializer
    pat_requirements = {
        "lock": Requirement("projects", "read", "pk"),
        "POST lock": Requirement("projects", "lock", "pk"),
    }

    @action(detail=True, methods=["get", "post"])
    def lock(self, request, pk=None):
        return Response({"project": self.get_object().pk})

    @action(detail=True, methods=["post"], url_path="share-with")
    def share(self, request, pk=None):
        return Response({"project": self.get_object().pk})

    @share.mapping.delete
    def unshare(self, request, pk=None):
        return Response({"project": self.get_object().pk})

    @action(detail=False, methods=["get"])
    def export(self, request):
        return Response([project.pk for project in self.filter_queryset(self.get_queryset())])

    @action(detail=True, methods=["get"])
    def unknown(self, request, pk=None):
        return Response({})


class ChannelViewSet(Owned, viewsets.ModelViewSet):
    queryset = Channel.objects.order_by("pk")
    serializer_class = serializers.ChannelSerializer

    @action(detail=True, methods=["post"])
    def publish(self, request, pk=None, version=None):
        return Response({"published": self.get_object().pk})


class PublishWithoutAction(ChannelViewSet):
    """Has a method named like an operation, which isn't an action."""

    def publish(self, request, pk=None):
        return Response({})


class SealedChannels(ChannelViewSet):
    """Refuses tokens that would otherwise be allowed by inference."""

    pat_requirements = {"destroy": None}


class NarrowedChannels(ChannelViewSet):
    """Excludes methods with http_method_names, although routers map them."""

    http_method_names = ["get", "head", "options"]


class NarrowedChannel(Owned, generics.RetrieveUpdateDestroyAPIView):
    queryset = Channel.objects.order_by("pk")
    serializer_class = serializers.ChannelSerializer
    http_method_names = ["get"]
    pat_requirements = {"GET": Requirement("channels", "read", "pk")}


class ReadOnlyChannels(Owned, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    queryset = Channel.objects.order_by("pk")
    serializer_class = serializers.ChannelSerializer
    lookup_url_kwarg = "channel_id"


class DeviceViewSet(Owned, viewsets.ModelViewSet):
    queryset = Device.objects.order_by("pk")
    serializer_class = serializers.DeviceSerializer
    lookup_value_regex = "[^/]+"


class PageViewSet(Owned, viewsets.ModelViewSet):
    queryset = Page.objects.order_by("pk")
    serializer_class = serializers.PageSerializer
    lookup_value_regex = "[^/]+"


class ProjectBySlug(Owned, viewsets.ModelViewSet):
    queryset = Project.objects.order_by("pk")
    serializer_class = serializers.ProjectSerializer
    lookup_field = "slug"


class ProjectByName(ProjectBySlug):
    """Looks up by a field that two projects can share."""

    lookup_field = "name"


class BulkChannels(Owned, viewsets.ModelViewSet):
    """Supports PUT, PATCH and DELETE on the list's URL, for all filtered rows."""

    pat_requirements = {"create": Requirement("channels", "create")}

    queryset = Channel.objects.order_by("pk")
    serializer_class = serializers.ChannelSerializer

    def create(self, request, *args, **kwargs):
        return Response({"created": len(request.data)})

    def update(self, request, *args, **kwargs):
        return Response({"updated": self.filter_queryset(self.get_queryset()).count()})

    def partial_update(self, request, *args, **kwargs):
        return Response({"updated": self.filter_queryset(self.get_queryset()).count()})

    def destroy(self, request, *args, **kwargs):
        return Response({"deleted": self.filter_queryset(self.get_queryset()).count()})


class ThermometerViewSet(Owned, viewsets.ModelViewSet):
    queryset = Thermometer.objects.order_by("pk")
    serializer_class = serializers.ThermometerSerializer


class ProbeViewSet(Owned, viewsets.ModelViewSet):
    queryset = Probe.objects.order_by("pk")
    serializer_class = serializers.ProbeSerializer


class BadgeViewSet(Owned, viewsets.ModelViewSet):
    queryset = Badge.objects.order_by("pk")
    serializer_class = serializers.BadgeSerializer
    lookup_field = "project"


class BadgeById(BadgeViewSet):
    lookup_field = "project_id"


class CoverViewSet(Owned, viewsets.ModelViewSet):
    queryset = Cover.objects.order_by("pk")
    serializer_class = serializers.CoverSerializer
    lookup_value_regex = "[^/]+"


class PagesByPath(Owned, viewsets.ModelViewSet):
    """Keys with any characters, including slashes."""

    queryset = Page.objects.order_by("pk")
    serializer_class = serializers.PageSerializer


class TaskByProjectAndSlug(Owned, generics.RetrieveAPIView):
    """Looks up its task with a key that can be out of range."""

    queryset = Task.objects.all()
    serializer_class = serializers.TaskSerializer
    owner_field = "project__owner"
    pat_requirements = {"GET": Requirement("tasks", "read", EntityLookup(slug="slug", project="project"))}

    def get_object(self):
        return get_object_or_404(self.get_queryset(), slug=self.kwargs["slug"], project__pk=self.kwargs["project"])


class ArchiveViewSet(Owned, viewsets.ReadOnlyModelViewSet):
    queryset = ArchivedChannel.objects.order_by("pk")
    serializer_class = serializers.ChannelSerializer


class MemoViewSet(Owned, viewsets.ModelViewSet):
    """Of a model with two entity types."""

    queryset = Memo.objects.order_by("pk")
    serializer_class = serializers.MemoSerializer
    pat_requirements = {"retrieve": Requirement("memos", "read", "pk")}


class ConfigurableViewSet(Owned, viewsets.ReadOnlyModelViewSet):
    """Gets its model from the URLconf."""

    queryset = None
    serializer_class = serializers.ChannelSerializer


class V1Channels(ChannelViewSet):
    versioning_class = versioning.NamespaceVersioning


class URLPathChannels(ChannelViewSet):
    versioning_class = versioning.URLPathVersioning


class AcceptHeaderChannels(ChannelViewSet):
    versioning_class = versioning.AcceptHeaderVersioning


class NosyViewSet(ChannelViewSet):
    """Reads the user in every hook."""

    def initial(self, request, *args, **kwargs):
        assert request.user.is_authenticated
        super().initial(request, *args, **kwargs)
        assert request.auth is not None

    def check_permissions(self, request):
        if not request.user.is_authenticated:
            raise PermissionDenied
        super().check_permissions(request)

    def get_queryset(self):
        assert self.request.user.is_authenticated
        return super().get_queryset()

    def get_object(self):
        return get_object_or_404(Channel, owner=self.request.user, pk=self.kwargs["pk"])

    def list(self, request, *args, **kwargs):
        channels = self.filter_queryset(self.get_queryset()).exclude(owner=None)
        return Response([{"id": channel.pk} for channel in channels if channel.owner == request.user])


# Nested routes, whose parent keyword can mean anything.


class TaskViewSet(Owned, viewsets.ModelViewSet):
    queryset = Task.objects.order_by("pk")
    serializer_class = serializers.TaskSerializer
    owner_field = "project__owner"


class NestedTasks(TaskViewSet):
    """Declares some of its actions."""

    pat_requirements = {
        "list": Requirement("projects", "read", "project_pk"),
        "create": Requirement("projects", "update", "project_pk"),
        "retrieve": Requirement("tasks", "read", "pk"),
    }

    def get_queryset(self):
        return super().get_queryset().filter(project=self.kwargs["project_pk"])

    def create(self, request, *args, **kwargs):
        return Response({}, status=201)


class TasksOfProject(TaskViewSet):
    """`/projects/1/tasks/`, where DELETE removes every task of project 1."""

    def get_queryset(self):
        return super().get_queryset().filter(project=self.kwargs["pk"])

    def destroy(self, request, *args, **kwargs):
        self.get_queryset().delete()
        return Response(status=204)


class VendorTasks(TasksOfProject):
    """The same in a package that can't be edited."""

    def retrieve(self, request, *args, **kwargs):
        return Response({"tasks": self.get_queryset().count()})


# Generic views: declared by HTTP method.


class ChannelList(Owned, generics.ListCreateAPIView):
    queryset = Channel.objects.order_by("pk")
    serializer_class = serializers.ChannelSerializer
    pat_requirements = {"GET": Requirement("channels", "list"), "POST": Requirement("channels", "create")}


class ChannelDetail(Owned, generics.RetrieveUpdateDestroyAPIView):
    queryset = Channel.objects.order_by("pk")
    serializer_class = serializers.ChannelSerializer
    lookup_url_kwarg = "channel_id"
    pat_requirements = {
        "GET": Requirement("channels", "read", "channel_id"),
        "PATCH": Requirement("channels", "update", "channel_id"),
    }


class DeviceDetail(Owned, generics.RetrieveAPIView):
    queryset = Device.objects.all()
    serializer_class = serializers.DeviceSerializer
    lookup_url_kwarg = "device"
    pat_requirements = {"GET": Requirement("devices", "read", "device")}


class TaskBySlugs(Owned, generics.RetrieveAPIView):
    """Its object is identified by two keywords."""

    queryset = Task.objects.all()
    serializer_class = serializers.TaskSerializer
    owner_field = "project__owner"
    pat_requirements = {"GET": Requirement("tasks", "read", EntityLookup(slug="task", project__slug="project"))}

    def get_object(self):
        return get_object_or_404(self.get_queryset(), slug=self.kwargs["task"], project__slug=self.kwargs["project"])


class LegacyChannels(Owned, generics.ListAPIView):
    queryset = Channel.objects.order_by("pk")
    serializer_class = serializers.ChannelSerializer


# Plain APIViews.


class Status(APIView):
    pat_requirements = {"GET": ANY_TOKEN}

    def get(self, request):
        return Response({"user": request.user.get_username()})

    def post(self, request):
        return Response({})


class Undeclared(APIView):
    def get(self, request, **kwargs):
        return Response({})


class Public(APIView):
    permission_classes = [AllowAny]

    def get(self, request):
        return Response({"user": request.user.get_username()})


class Refused(Status):
    pat_requirements = {"GET": None}


class Broken(APIView):
    """Declares entity types and operations that don't exist."""

    pat_requirements = {
        "GET": Requirement("chanels", "read"),
        "POST": Requirement("channels", "lock"),
        "PUT": Requirement("channels", "create", "channel_id"),
        "PATCH": "channels:*:update",
        "DELETE": Requirement("channels", "delete", "pk"),
    }

    def get(self, request, channel_id):
        return Response({})

    post = put = patch = delete = get


class Pinned(PersonalAccessTokenMixin, APIView):
    authentication_classes = [BasicAuthentication]
    pat_requirements = {"GET": Requirement("channels", "list")}

    def get(self, request):
        return Response({"user": request.user.get_username()})


class PinnedAway(APIView):
    """Uses only Basic authentication."""

    authentication_classes = [BasicAuthentication]

    def get(self, request):
        return Response({})


class CallsAnother(APIView):
    """Returns responses of other views."""

    pat_requirements = {"GET": ANY_TOKEN}

    def get(self, request, channel_id):
        view = ChannelDetail.as_view() if "detail" in request.query_params else Undeclared.as_view()
        return view(request._request, channel_id=channel_id)


# Lists that are not simple.


class Few(pagination.PageNumberPagination):
    page_size = 2


class ProjectList(Owned, generics.ListAPIView):
    queryset = Project.objects.order_by("pk")
    serializer_class = serializers.ProjectSerializer
    pat_requirements = {"GET": Requirement("projects", "list")}


class Searched(ProjectList):
    filter_backends = [filters.SearchFilter, filters.OrderingFilter, *api_settings.DEFAULT_FILTER_BACKENDS]
    search_fields = ["name"]
    ordering_fields = ["name"]
    pagination_class = Few


class MixedIn(ScopeFilterMixin, ProjectList):
    filter_backends = [filters.SearchFilter]
    search_fields = ["name"]


class Unfiltered(ProjectList):
    """Has filters, but not ours."""

    filter_backends = [filters.SearchFilter]


class Ignoring(ProjectList):
    """Has our filter and doesn't use it."""

    def list(self, request, *args, **kwargs):
        return Response([{"id": project.pk} for project in self.get_queryset()])


class Annotated(ProjectList):
    def get_queryset(self):
        return super().get_queryset().annotate(tasks=Count("task")).filter(tasks__gte=1)


class Distinct(ProjectList):
    def get_queryset(self):
        return super().get_queryset().filter(task__name__startswith="").distinct()


class SlicedLate(ProjectList):
    def filter_queryset(self, queryset):
        return super().filter_queryset(queryset)[:10]


class SlicedEarly(ProjectList):
    def get_queryset(self):
        return super().get_queryset()[:10]


class United(ProjectList):
    def get_queryset(self):
        mine = super().get_queryset().order_by()
        return mine.filter(slug="one").union(mine.exclude(slug="one"))


class OtherModel(ProjectList):
    """Lists another model than it declares."""

    def get_queryset(self):
        return Channel.objects.filter(owner=self.request.user)


class TasksByProject(Owned, generics.ListAPIView):
    """Lists tasks of the projects that can be listed."""

    queryset = Task.objects.order_by("pk")
    serializer_class = serializers.TaskSerializer
    owner_field = "project__owner"
    pat_requirements = {"GET": Requirement("projects", "list", filter_by="project")}


class ChannelsByProject(Owned, generics.ListAPIView):
    """Lists channels that are watched by the projects that can be listed."""

    queryset = Channel.objects.order_by("pk")
    serializer_class = serializers.ChannelSerializer
    pat_requirements = {"GET": Requirement("projects", "list", filter_by="project")}


class ThermometersAsChannels(Owned, generics.ListAPIView):
    """A list of a child model, with scopes on its parent."""

    queryset = Thermometer.objects.order_by("pk")
    serializer_class = serializers.ThermometerSerializer
    pat_requirements = {"GET": Requirement("channels", "list")}


# Views that do more than their route says.


class HandlersOfItsOwn(Owned, viewsets.ViewSetMixin, generics.RetrieveUpdateDestroyAPIView):
    """Routed for GET only, but DRF finds `delete()`."""

    queryset = Channel.objects.order_by("pk")
    serializer_class = serializers.ChannelSerializer


class OwnHead(viewsets.GenericViewSet):
    queryset = Channel.objects.order_by("pk")

    def probe(self, request, pk=None):
        return Response({}, headers={"X-Probed": "yes"})


class OptionsLeftOut(APIView):
    """Has its own OPTIONS handler, which is never called."""

    http_method_names = ["get"]
    pat_requirements = {"GET": ANY_TOKEN}

    def get(self, request):
        return Response({})

    def options(self, request):
        raise AssertionError


class HeadOnly(APIView):
    def head(self, request):
        return Response({}, headers={"X-Probed": "yes"})


class OwnAnswerTo405(APIView):
    pat_requirements = {"GET": ANY_TOKEN}

    def get(self, request):
        return Response({})

    def http_method_not_allowed(self, request, *args, **kwargs):
        return Response({"done": request.method})


class MadeUpMethods(APIView):
    pat_requirements = {"GET": ANY_TOKEN}

    def get(self, request):
        return Response({})

    def __getattr__(self, name):
        if name == "delete":
            return lambda request: Response({"deleted": True})
        raise AttributeError(name)


class LateMethods(NarrowedChannels):
    """Adds methods when the user is known."""

    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        self.http_method_names = ["get", "put", "delete"]
        self.put = self.delete


class LateMethodOverride(ChannelViewSet):
    """Takes the method from a header when the user is known."""

    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        request._request.method = request.headers.get("X-HTTP-Method-Override", request.method)


class EarlyMethodOverride(ChannelViewSet):
    """Takes the method from a header, after the action is chosen."""

    def initialize_request(self, request, *args, **kwargs):
        drf_request = super().initialize_request(request, *args, **kwargs)
        request.method = request.headers.get("X-HTTP-Method-Override", request.method)
        return drf_request


class ObjectFromQuery(ChannelViewSet):
    """Finds its object by the query string."""

    def get_object(self):
        self.kwargs["pk"] = self.request.query_params.get("id", self.kwargs["pk"])
        return super().get_object()


class KeywordsChangedEarly(ChannelViewSet):
    def initial(self, request, *args, **kwargs):
        self.kwargs = {"pk": request.query_params.get("id", kwargs["pk"])}
        super().initial(request, *args, **kwargs)


class SealedAndChanged(KeywordsChangedEarly):
    """Declares what its URL name refuses."""

    pat_requirements = {"destroy": Requirement("channels", "delete", "pk")}


class ObjectOfOtherModel(ChannelViewSet):
    def get_object(self):
        return Project.objects.get(owner=self.request.user, slug="one")


class QuerysetOfOtherModel(ChannelViewSet):
    serializer_class = serializers.ProjectSerializer

    def get_queryset(self):
        return Project.objects.filter(owner=self.request.user)


class SlugOfAnybody(viewsets.ReadOnlyModelViewSet):
    """Looks up by a field that is unique in its own queryset, but not in the entity type's."""

    queryset = Channel.objects.all()
    serializer_class = serializers.ChannelSerializer
    lookup_field = "name"
    lookup_value_regex = "[^/]+"
    pat_requirements = {"retrieve": Requirement("channels", "read", EntityLookup(name="name"))}

    def get_queryset(self):
        return Channel.objects.exclude(owner=self.request.user)


class ComputedQueryset(viewsets.ReadOnlyModelViewSet):
    serializer_class = serializers.ChannelSerializer

    @property
    def queryset(self):
        return Channel.objects.filter(owner=self.request.user)


class People(viewsets.ReadOnlyModelViewSet):
    """Of a model without an entity type."""

    queryset = get_user_model().objects.order_by("pk")


class ComputedRequirements(ChannelViewSet):
    @property
    def pat_requirements(self):
        return {"list": ANY_TOKEN}


class ListedRequirements(ChannelViewSet):
    pat_requirements = ("list",)


class ComputedKeyword(ChannelViewSet):
    """Computes its lookup keyword during a request."""

    @property
    def lookup_url_kwarg(self):
        return "pk"


class ComputedField(ChannelViewSet):
    lookup_url_kwarg = "pk"

    @property
    def lookup_field(self):
        return "pk"


class ByOwner(ChannelViewSet):
    """Looks up by a path to a related field."""

    lookup_field = "owner__username"
    lookup_url_kwarg = "username"


class ActionOnOtherModel(ChannelViewSet):
    @action(detail=True, methods=["post"], queryset=Project.objects.all())
    def share(self, request, pk=None):
        return Response({"shared": self.get_object().pk})


class ChangesItsModel(ChannelViewSet):
    """Chooses its model by the query string."""

    def initialize_request(self, request, *args, **kwargs):
        if "devices" in request.GET:
            self.queryset = Device.objects.order_by("pk")
            self.serializer_class = serializers.DeviceSerializer
        return super().initialize_request(request, *args, **kwargs)


class TwoInOne(ChannelViewSet):
    """Looks up two channels by slug in one request."""

    lookup_field = "slug"

    def retrieve(self, request, *args, **kwargs):
        answer = super().retrieve(request, *args, **kwargs)
        if "then" in request.query_params:
            view = type(self).as_view({"get": "retrieve"})
            return view(request._request, slug=request.query_params["then"])
        if "all" in request.query_params:
            return EveryChannel.as_view()(request._request)
        return answer


class EveryChannel(APIView):
    pat_requirements = {"GET": Requirement("channels", "read")}

    def get(self, request):
        return Response([channel.pk for channel in Channel.objects.all()])
