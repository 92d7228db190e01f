"""OPTIONS requests with a token, and the browsable API."""

import re

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.decorators import login_required
from django.http import JsonResponse
from django.urls import path
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import filters, generics, metadata, renderers, viewsets

from pat_tokens.contrib.rest_framework.filters import ScopeFilterBackend
from pat_tokens.decorators import pat_requirements
from pat_tokens.requirements import EntityLookup, Requirement
from tests.factories import ChannelFactory, UserFactory
from tests.models import Channel
from tests.plain_client import OURS, SERVERS, Asker
from tests.site import serializers
from tests.site.models import Project, Task

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__), pytest.mark.usefixtures("entity_types")]

DETAIL = {"get": "retrieve", "put": "update", "delete": "destroy"}
PLAIN = {"GET": Requirement("channels", "read", "pk"), "POST": Requirement("channels", "publish", "pk")}


class Channels(viewsets.ModelViewSet):
    queryset = Channel.objects.order_by("pk")
    serializer_class = serializers.ChannelSerializer
    filter_backends = [ScopeFilterBackend, DjangoFilterBackend, filters.OrderingFilter]
    filterset_fields = ["owner"]
    ordering_fields = ["name"]


class BySlug(Channels):
    lookup_field = "slug"


class Tells(metadata.SimpleMetadata):
    def determine_metadata(self, request, view):
        return {**super().determine_metadata(request, view), "rows": Channel.objects.count()}


class Telling(Channels):
    metadata_class = Tells


class Admin(Channels):
    renderer_classes = [renderers.AdminRenderer]


class Tasks(generics.ListCreateAPIView):
    """Its form lists every project."""

    queryset = Task.objects.order_by("pk")
    serializer_class = serializers.TaskSerializer
    filter_backends = [ScopeFilterBackend, DjangoFilterBackend]
    filterset_fields = ["project"]
    pat_requirements = {"GET": Requirement("tasks", "list"), "POST": Requirement("tasks", "create")}


class TaskForm(generics.RetrieveAPIView):
    queryset = Task.objects.order_by("pk")
    serializer_class = serializers.TaskSerializer
    renderer_classes = [renderers.HTMLFormRenderer]
    pat_requirements = {"GET": Requirement("tasks", "read", "pk")}


class TaskPage(TaskForm):
    renderer_classes = [renderers.BrowsableAPIRenderer, renderers.HTMLFormRenderer]


@pat_requirements(PLAIN)
@login_required
def plain(request, pk):
    return JsonResponse({})


@pat_requirements({"GET": Requirement("channels", "read", EntityLookup(slug="slug"))})
def plain_by_slug(request, slug):
    return JsonResponse({})


urlpatterns = [
    path("channels/", Channels.as_view({"get": "list", "post": "create"})),
    path("channels/<int:pk>/", Channels.as_view(DETAIL)),
    path("telling/<int:pk>/", Telling.as_view(DETAIL)),
    path("by-slug/<slug:slug>/", BySlug.as_view(DETAIL)),
    path("admin/", Admin.as_view({"get": "list", "post": "create"})),
    path("admin/<int:pk>/", Admin.as_view({"get": "retrieve", "put": "update", "patch": "partial_update"})),
    path("tasks/", Tasks.as_view()),
    path("task-form/<int:pk>/", TaskForm.as_view()),
    path("task-page/<int:pk>/", TaskPage.as_view()),
    path("plain/<int:pk>/", plain),
    path("plain-by-slug/<slug:slug>/", plain_by_slug),
]


@pytest.fixture(autouse=True)
def installed(settings):
    settings.MIDDLEWARE = [OURS, *django_settings.MIDDLEWARE]


@pytest.fixture
def others(user):
    return [ChannelFactory(owner=user, slug=slug, name=slug) for slug in ("mine", "other")]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", ["channels", "telling", "by-slug", "plain", "plain-by-slug"])
def test_scope_for_another_method_is_required(others, make_token, name, server):
    mine, other = others
    first, second, missing = (mine.slug, other.slug, "none") if "slug" in name else (mine.pk, other.pk, 0)
    one = Asker(server, make_token(f"channels:{mine.pk}:read").secret)
    response = one(f"/{name}/{first}/", "OPTIONS")
    assert response.status_code == 200
    assert "GET" in response["Allow"]
    if "plain" not in name:
        assert list(response.json()) == ["name", "description", "renders", "parses"]
        assert response["Allow"] == "GET, PUT, DELETE, HEAD, OPTIONS"
    answers = []
    for key in (second, missing):
        response = one(f"/{name}/{key}/", "OPTIONS")
        assert response.status_code == 403
        assert list(response.json()) == ["detail", "code"]
        answers.append((response.content, response["WWW-Authenticate"]))
    assert answers[0] == answers[1]
    for scope in ("channels:*:list", f"channels:{mine.pk}:subscribe", "devices:*:read", ""):
        assert Asker(server, make_token(*scope.split()).secret)(f"/{name}/{first}/", "OPTIONS").status_code == 403
    all_of_them = Asker(server, make_token("channels:*:read").secret)
    answers = [all_of_them(f"/{name}/{key}/", "OPTIONS").content for key in (first, second, missing)]
    assert len(set(answers)) == 1


def test_list_scope_is_enough_for_list_url(others, make_token, client_with):
    client = client_with(make_token(f"channels:{others[0].pk}:list"))
    assert client.options("/channels/").json()["renders"]
    assert client.options(f"/channels/{others[0].pk}/").status_code == 403


@pytest.mark.parametrize("path", ["/channels/", "/admin/", "/tasks/"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_browsable_api_has_no_forms(others, make_token, client_with, user, client, path, method):
    UserFactory(username="somebody-else")
    kind = path.strip("/") if path == "/tasks/" else "channels"
    token = make_token(f"{kind}:*:create", f"{kind}:*:list")
    html = {"accept": "text/html"}
    with_token = client_with(token).generic(method, path, headers={**html}).content.decode()
    client.force_login(user)
    with_session = client.generic(method, path, headers=html).content.decode()
    assert "<select" not in with_token
    assert "<textarea" not in with_token
    assert "somebody-else" not in with_token
    if method == "GET":
        assert "<select" in with_session or "somebody-else" in with_session or "<textarea" in with_session


@pytest.mark.parametrize("name", ["task-form", "task-page"])
def test_form_of_object_has_no_choices(user, make_token, client_with, client, name):
    one, two = (Project.objects.create(owner=user, name=name, slug=name) for name in ("one", "another-project"))
    task = Task.objects.create(project=one, name="a", slug="a")
    html = {"accept": "text/html"}
    page = client_with(make_token(f"tasks:{task.pk}:read")).get(f"/{name}/{task.pk}/", headers=html)
    assert page.status_code == 200
    assert two.name.encode() not in page.content
    assert b"<select" not in page.content
    client.force_login(user)
    assert two.name.encode() in client.get(f"/{name}/{task.pk}/", headers=html).content


@pytest.mark.parametrize(("method", "operation"), [("POST", "create"), ("PUT", "update"), ("PATCH", "update")])
def test_errors_are_shown_without_rows(others, make_token, client_with, client, user, method, operation):
    """DRF's renderer for admins answers an invalid form with what GET returns."""
    mine, _other = others

    def has_row(content):
        return re.search(rb"\bmine\b", content) is not None

    path = "/admin/" if method == "POST" else f"/admin/{mine.pk}/"
    fields = {"data": {"name": "", "owner": user.pk}, "headers": {"accept": "text/html"}, "format": "json"}
    send = getattr(client_with(make_token(f"channels:*:{operation}")), method.lower())
    page = send(path, **fields)
    assert page.status_code == 400
    assert "name" in page.data
    assert not has_row(page.content)
    both = client_with(make_token(f"channels:*:{operation}", "channels:*:list", "channels:*:read"))
    assert not has_row(getattr(both, method.lower())(path, **fields).content)
    person = type(both)()
    person.force_login(user)
    assert has_row(getattr(person, method.lower())(path, **fields).content)


def test_options_makes_two_queries(others, make_token, client_with, django_assert_num_queries):
    client = client_with(make_token(f"channels:{others[0].pk}:read"))
    client.options(f"/channels/{others[0].pk}/")
    with django_assert_num_queries(2):  # the token, and its scopes
        client.options(f"/channels/{others[0].pk}/")
