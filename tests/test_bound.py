"""Requests that deviate from the decision: another model, another method, another object."""

import asyncio

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.http import JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from ninja import NinjaAPI
from rest_framework import generics, viewsets
from rest_framework.response import Response
from rest_framework.views import APIView

from pat_tokens.checks.routes import check_routes
from pat_tokens.contrib.ninja.authentication import PersonalAccessTokenAuthentication
from pat_tokens.contrib.rest_framework.filters import ScopeFilterBackend
from pat_tokens.decorators import pat_requirements
from pat_tokens.mixins import PersonalAccessTokenMixin
from pat_tokens.requirements import EntityLookup, Requirement
from tests.factories import ChannelFactory
from tests.models import Channel
from tests.plain_client import OURS, SERVERS, Asker
from tests.site import serializers
from tests.site.models import ArchivedChannel, Project, Task, Thermometer

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__), pytest.mark.usefixtures("entity_types")]

READ = {"GET": Requirement("channels", "read", "pk")}
done = []


@pytest.fixture(autouse=True)
def nothing_done():
    done.clear()


# Inherited requirements.


class Channels(viewsets.ReadOnlyModelViewSet):
    queryset = Channel.objects.order_by("pk")
    serializer_class = serializers.ChannelSerializer
    pat_requirements = {
        "retrieve": Requirement("channels", "read", "pk"),
        "list": Requirement("channels", "list"),
    }


class Projects(Channels):
    queryset = Project.objects.order_by("pk")
    serializer_class = serializers.ProjectSerializer


class ByMethod(Channels):
    """Sets another model in a method, not in a class attribute."""

    def get_queryset(self):
        return Project.objects.order_by("pk")


class Unnamed(viewsets.ModelViewSet):
    """Names its model in methods only."""

    pat_requirements = {
        **{name: Requirement("channels", "read", "pk") for name in ("retrieve", "own")},
        "list": Requirement("channels", "list"),
        "destroy": Requirement("channels", "delete", "pk"),
    }

    def get_queryset(self):
        return Channel.objects.order_by("pk")

    def get_serializer_class(self):
        return serializers.ChannelSerializer

    def own(self, request, pk):
        return Response({"id": get_object_or_404(self.get_queryset(), pk=pk).pk})


class OfProjects(Unnamed):
    def get_queryset(self):
        return Project.objects.order_by("pk")

    def get_serializer_class(self):
        return serializers.ProjectSerializer


class NamesProjects(Unnamed):
    queryset = Project.objects.order_by("pk")
    serializer_class = serializers.ProjectSerializer
    get_queryset = viewsets.ModelViewSet.get_queryset
    get_serializer_class = viewsets.ModelViewSet.get_serializer_class


class LoadsProject(OfProjects):
    get_queryset = Unnamed.get_queryset

    def get_object(self):
        return Project.objects.get(pk=self.kwargs["pk"])


class LoadsProjectLater(LoadsProject):
    """Has an async get_object()."""

    async def get_object(self):
        return await Project.objects.aget(pk=self.kwargs["pk"])

    def retrieve(self, request, *args, **kwargs):
        return Response({"id": async_to_sync(self.get_object)().pk})

    destroy = retrieve


class Owner(Unnamed):
    """Returns an object that the channel belongs to."""

    def get_object(self):
        return Channel.objects.get(pk=self.kwargs["pk"]).owner

    def retrieve(self, request, *args, **kwargs):
        return Response({"id": self.get_object().pk})


UNNAMED = {"of": OfProjects, "names": NamesProjects, "loads": LoadsProject, "later": LoadsProjectLater}


class Archive(Channels):
    queryset = ArchivedChannel.objects.order_by("pk")


class Thermometers(Channels):
    queryset = Thermometer.objects.order_by("pk")


class Declares(Projects):
    pat_requirements = {"retrieve": Requirement("projects", "read", "pk")}


class Detail(PersonalAccessTokenMixin, View):
    model = Channel
    pat_requirements = READ

    def get(self, request, pk):
        return JsonResponse({"id": get_object_or_404(self.model, pk=pk).pk})


class ProjectDetail(Detail):
    model = Project


@method_decorator(pat_requirements(READ), name="dispatch")
class Dispatched(View):
    model = Channel
    get = Detail.get


class ProjectDispatched(Dispatched):
    model = Project


# Changed methods.


class Override:
    """Takes the method from a header, after the view is chosen."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_view(self, request, *args):
        request.method = request.headers.get("X-HTTP-Method-Override", request.method)


class Deletes(PersonalAccessTokenMixin, View):
    pat_requirements = {"POST": Requirement("channels", "publish", "pk")}

    def dispatch(self, request, *args, **kwargs):
        if "inside" in request.GET:
            request.method = request.headers.get("X-HTTP-Method-Override", request.method)
        return super().dispatch(request, *args, **kwargs)

    def post(self, request, pk):
        return JsonResponse({"done": request.method})

    def delete(self, request, pk):
        done.append(pk)
        return JsonResponse({"done": request.method})


class Attribute(View):
    """Only the middleware reads its declaration."""

    pat_requirements = Deletes.pat_requirements
    post, delete = Deletes.post, Deletes.delete

    def dispatch(self, request, *args, **kwargs):
        if "inside" in request.GET:
            request.method = request.headers.get("X-HTTP-Method-Override", request.method)
        return super().dispatch(request, *args, **kwargs)


@pat_requirements(Deletes.pat_requirements)
async def adeletes(request, pk):
    if "inside" in request.GET:
        request.method = request.headers.get("X-HTTP-Method-Override", request.method)
    if request.method == "DELETE":
        done.append(pk)
    await asyncio.sleep(0)
    return JsonResponse({"done": request.method})


api = NinjaAPI(urls_namespace="bound-ninja")


@api.post("/{int:pk}/", auth=PersonalAccessTokenAuthentication(Deletes.pat_requirements["POST"]))
def ninja(request, pk: int):
    if "inside" in request.GET:
        request.method = request.headers.get("X-HTTP-Method-Override", request.method)
    return json_done(request, pk)


def json_done(request, pk):
    if request.method == "DELETE":
        done.append(pk)
    return {"done": request.method}


# Changed keywords.


class ChangesKeywords(APIView):
    """Changes its keywords after it was authenticated."""

    pat_requirements = {"GET": READ["GET"], "DELETE": Requirement("channels", "delete", "pk")}

    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        self.kwargs["pk"] = request.query_params.get("pk", self.kwargs["pk"])

    def get(self, request, pk):
        return Response({"id": int(pk)})

    def delete(self, request, pk):
        done.append(pk)
        return Response(status=204)


class ReplacesKeywords(ChangesKeywords):
    def initial(self, request, *args, **kwargs):
        APIView.initial(self, request, *args, **kwargs)
        self.kwargs = {"pk": request.query_params.get("pk", self.kwargs["pk"])}

    def get(self, request, **kwargs):
        return super().get(request, self.kwargs["pk"])


class ChangesEarly(ChangesKeywords):
    """Authenticates before it is dispatched to a handler."""

    initial = APIView.initial

    def initialize_request(self, request, *args, **kwargs):
        made = super().initialize_request(request, *args, **kwargs)
        made.user  # noqa: B018
        self.kwargs["pk"] = made.query_params.get("pk", self.kwargs["pk"])
        return made


class PassesOthers(ChangesKeywords):
    """Passes other keywords to its handler."""

    initial = APIView.initial

    def get(self, request, pk):
        return super().get(request, pk)

    def initialize_request(self, request, *args, **kwargs):
        made = super().initialize_request(request, *args, **kwargs)
        made.user  # noqa: B018
        handler = getattr(self, request.method.lower())
        other = made.query_params.get("pk")
        setattr(self, request.method.lower(), lambda request, pk: handler(request, pk=other or pk))
        return made


# Objects that are found in another way, and lists with POST.


class NoObject(viewsets.ModelViewSet):
    """Its get_object() returns something else for the key of a project."""

    queryset = Task.objects.order_by("pk")
    serializer_class = serializers.TaskSerializer

    def get_object(self):
        return Task.objects.filter(project=self.kwargs["pk"])


class SeveralObjects(NoObject):
    def get_object(self):
        return list(super().get_object())

    def retrieve(self, request, *args, **kwargs):
        return Response([task.pk for task in self.get_object()])

    def perform_destroy(self, instance):
        for task in instance:
            task.delete()


class Values(NoObject):
    def get_object(self):
        return super().get_object().values("id", "name").first()


class NothingAtAll(NoObject):
    def get_object(self):
        return None

    def retrieve(self, request, *args, **kwargs):
        self.get_object()
        return Response({"name": Task.objects.first().name})


class ForgetsTheProject(generics.RetrieveAPIView):
    queryset = Task.objects.order_by("pk")
    serializer_class = serializers.TaskSerializer
    pat_requirements = {"GET": Requirement("tasks", "read", EntityLookup(slug="slug", project__slug="project"))}

    def get_object(self):
        return Task.objects.filter(slug=self.kwargs["slug"]).order_by("-pk").first()


class Asynchronous(ForgetsTheProject):
    """Gets its object like an async generic view."""

    async def aget_object(self):
        return await Task.objects.filter(slug=self.kwargs["slug"]).order_by("-pk").afirst()

    def get(self, request, *args, **kwargs):
        return Response({"id": async_to_sync(self.aget_object)().pk})


class Posted(Channels):
    filter_backends = [ScopeFilterBackend]

    def list(self, request, *args, **kwargs):
        done.append(request.method)
        return super().list(request, *args, **kwargs)


def detail(view):
    return view.as_view({"get": "retrieve"})


DETAILS = {"get": "retrieve", "delete": "destroy"}
urlpatterns = [
    *(path(f"unnamed-{name}/<int:pk>/", view.as_view(DETAILS)) for name, view in UNNAMED.items()),
    *(path(f"unnamed-{name}/own/<int:pk>/", view.as_view({"get": "own"})) for name, view in UNNAMED.items()),
    *(path(f"unnamed-{name}/", view.as_view({"get": "list"})) for name, view in UNNAMED.items()),
    path("unnamed/<int:pk>/", Unnamed.as_view(DETAILS)),
    path("unnamed/", Unnamed.as_view({"get": "list"})),
    path("owner/<int:pk>/", Owner.as_view(DETAILS)),
    path("changes/<int:pk>/", ChangesKeywords.as_view()),
    path("replaces/<int:pk>/", ReplacesKeywords.as_view()),
    path("changes-early/<int:pk>/", ChangesEarly.as_view()),
    path("passes-others/<int:pk>/", PassesOthers.as_view()),
    path("no-object/<int:pk>/", NoObject.as_view(DETAILS)),
    path("several-objects/<int:pk>/", SeveralObjects.as_view(DETAILS)),
    path("values/<int:pk>/", Values.as_view(DETAILS)),
    path("nothing/<int:pk>/", NothingAtAll.as_view(DETAILS)),
    path("channels/<int:pk>/", detail(Channels)),
    path("projects/<int:pk>/", detail(Projects)),
    path("projects/", Projects.as_view({"get": "list"})),
    path("by-method/<int:pk>/", detail(ByMethod)),
    path("by-method/", ByMethod.as_view({"get": "list"})),
    path("by-argument/<int:pk>/", Channels.as_view({"get": "retrieve"}, queryset=Project.objects.all())),
    path("archive/<int:pk>/", detail(Archive)),
    path("thermometers/<int:pk>/", detail(Thermometers)),
    path("declares/<int:pk>/", detail(Declares)),
    path("detail/<int:pk>/", Detail.as_view()),
    path("project-detail/<int:pk>/", ProjectDetail.as_view()),
    path("dispatched/<int:pk>/", Dispatched.as_view()),
    path("project-dispatched/<int:pk>/", ProjectDispatched.as_view()),
    path("deletes/<int:pk>/", Deletes.as_view()),
    path("adeletes/<int:pk>/", adeletes),
    path("attribute/<int:pk>/", Attribute.as_view()),
    path("ninja/", api.urls),
    path("forgets/<slug:project>/<slug:slug>/", ForgetsTheProject.as_view()),
    path("aforgets/<slug:project>/<slug:slug>/", Asynchronous.as_view()),
    path("posted/", Posted.as_view({"get": "list", "post": "list"})),
]


def test_requirement_is_inherited_for_same_model(make_token, user, settings):
    settings.MIDDLEWARE = [OURS, *django_settings.MIDDLEWARE]
    thermometer = Thermometer.objects.create(owner=user, name="one")
    project = Project.objects.create(owner=user, name="one", slug="one", pk=thermometer.pk)
    ask = Asker("wsgi", make_token(f"channels:{thermometer.pk}:read", "channels:*:list").secret)
    for name in ("channels", "archive", "thermometers", "detail", "dispatched"):
        assert ask(f"/{name}/{project.pk}/").status_code == 200, name
    for name in ("projects", "by-method", "by-argument", "project-detail", "project-dispatched"):
        response = ask(f"/{name}/{project.pk}/")
        assert (response.status_code, response.json()["code"]) == (403, "scope_not_declared"), name
    for name in ("projects", "by-method"):
        assert ask(f"/{name}/").status_code == 403, name
    ask = Asker("wsgi", make_token(f"projects:{project.pk}:read").secret)
    assert ask(f"/declares/{project.pk}/").status_code == 200


def test_check_reports_ignored_inheritance():
    found = {message.msg for message in check_routes() if message.id == "pat_tokens.E050"}
    assert len(found) == 5
    assert all("inherited from" in text and "which is about Channel; this is about Project" in text for text in found)


def test_requirement_of_unnamed_model_is_not_for_another(case, make_token, client_with, user):
    channel = ChannelFactory(owner=user)
    project = Project.objects.create(owner=user, name="one", slug="one", pk=channel.pk)
    for scope in (channel.pk, "*"):
        client = client_with(make_token(f"channels:{scope}:read", f"channels:{scope}:delete", "channels:*:list"))
        for name in UNNAMED:
            paths = [("get", f"{project.pk}/"), ("delete", f"{project.pk}/")]
            if name in ("of", "names"):
                paths += [("get", f"own/{project.pk}/"), ("get", "")]
            for method, end in paths:
                with case(scope, name, method, end):
                    response = getattr(client, method)(f"/unnamed-{name}/{end}")
                    assert (response.status_code, response.json()["code"]) == (403, "scope_not_declared")
                    assert "has to declare its own pat_requirements" in response.json()["detail"]
        assert client.get(f"/owner/{channel.pk}/").json() == {"id": user.pk}
        assert client.get(f"/unnamed/{channel.pk}/").status_code == client.get("/unnamed/").status_code == 200
    assert Project.objects.filter(pk=project.pk).exists()


@pytest.mark.parametrize("name", ["changes", "replaces", "changes-early", "passes-others"])
def test_view_cannot_change_keywords(make_token, client_with, user, name):
    mine, theirs = ChannelFactory(owner=user), ChannelFactory(owner=user)
    client = client_with(make_token(f"channels:{mine.pk}:read", f"channels:{mine.pk}:delete"))
    for method in ("get", "delete"):
        response = getattr(client, method)(f"/{name}/{mine.pk}/?pk={theirs.pk}")
        assert (response.status_code, response.json()["code"]) == (403, "scope_not_declared")
    assert done == []
    assert client.get(f"/{name}/{mine.pk}/?pk={mine.pk}").json() == {"id": mine.pk}


@pytest.mark.parametrize("name", ["no-object", "several-objects", "values", "nothing"])
def test_get_object_must_return_the_entity(make_token, client_with, user, name):
    project = Project.objects.create(owner=user, name="one", slug="one", pk=1)
    Task.objects.create(pk=1, project=Project.objects.create(owner=user, name="two", slug="two"), name="a", slug="a")
    Task.objects.create(pk=2, project=project, name="b", slug="b")
    client = client_with(make_token("tasks:1:read", "tasks:1:delete"))
    for method in ("get", "delete") if name != "nothing" else ("get",):
        response = getattr(client, method)(f"/{name}/1/")
        assert (response.status_code, response.json()["code"]) == (403, "scope_not_declared")
    assert Task.objects.count() == 2


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", ["deletes", "adeletes", "attribute", "ninja"])
@pytest.mark.parametrize("place", ["inside", "in later middleware"])
def test_method_must_match_decision(make_token, channel, settings, server, name, place):
    settings.MIDDLEWARE = [OURS, *django_settings.MIDDLEWARE]
    if place != "inside":
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.Override"]
    secret = make_token(f"channels:{channel.pk}:publish").secret
    url = f"/{name}/{channel.pk}/?{'inside' if place == 'inside' else ''}"
    override = {"X-HTTP-Method-Override": "DELETE"}
    response = Asker(server, secret, **override)(url, "POST")
    assert response.status_code in (403, 405)
    assert done == []
    assert Asker(server, secret, **{"X-HTTP-Method-Override": "POST"})(url, "POST").json() == {"done": "POST"}


@pytest.mark.parametrize("name", ["forgets", "aforgets"])
def test_object_must_match_all_keywords(make_token, client_with, user, name):
    one, two = (Project.objects.create(owner=user, name=word, slug=word) for word in ("one", "two"))
    mine = Task.objects.create(project=one, name="a", slug="a")
    client = client_with(make_token(f"tasks:{mine.pk}:read"))
    assert client.get(f"/{name}/one/a/").json()["id"] == mine.pk
    theirs = Task.objects.create(project=two, name="a", slug="a")
    response = client.get(f"/{name}/one/a/")
    assert response.status_code == 403
    assert response.json()["missing"][0]["entity_id"] == str(theirs.pk)


def test_list_with_other_method_needs_scope_on_all(make_token, client_with, user):
    channel = ChannelFactory(owner=user)
    client = client_with(make_token(f"channels:{channel.pk}:list"))
    assert client.get("/posted/").status_code == 200
    assert client.post("/posted/").status_code == 403
    assert done == ["GET"]
    assert client_with(make_token("channels:*:list")).post("/posted/").status_code == 200
