"""Which handlers of a site requirements are inferred from."""

from functools import wraps

import pytest
from django.db import transaction
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response

from pat_tokens.contrib.rest_framework.handlers import find_handler
from pat_tokens.inspection.routes import inspect_all
from tests.models import Channel
from tests.site.serializers import ChannelSerializer

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__), pytest.mark.usefixtures("entity_types")]

DETAIL = {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
LIST = {"get": "list", "post": "create"}


def unwrappable(function):
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def logged(function):
    @wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class Channels(viewsets.ModelViewSet):
    queryset = Channel.objects.order_by("pk")
    serializer_class = ChannelSerializer

    @action(detail=True, methods=["post"])
    def publish(self, request, pk):
        return Response({"published": self.get_object().pk})

    def perform_create(self, serializer):
        serializer.save(owner=self.request.user)


class CallsSuper(Channels):
    def list(self, request, *args, **kwargs):
        with transaction.atomic():
            return super().list(request, *args, **kwargs)

    @logged
    def retrieve(self, request, *args, **kwargs):
        response = super().retrieve(request, *args, **kwargs)
        return Response(response.data)

    def create(self, request, *args, **kwargs):
        return super(CallsSuper, self).create(request, *args, **kwargs)  # noqa: UP008

    @transaction.atomic
    def update(self, request, *args, **kwargs):
        return super().update(request, *args, **kwargs)

    def destroy(self, request, *args, **kwargs):
        super().destroy(request, *args, **kwargs)
        return Response({})

    @action(detail=True, methods=["post"])
    def publish(self, request, pk):
        return super().publish(request, pk)


class CallsItself(Channels):
    def list(this, request, *args, **kwargs):  # noqa: N805 -- any name will do
        return Response([row.pk for row in this.filter_queryset(this.get_queryset())])

    def retrieve(self, request, *args, **kwargs):
        if channel := self.get_object():
            return Response({"id": channel.pk})
        return Response({})

    def create(self, request, *args, **kwargs):
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        self.perform_create(serializer)
        return Response(serializer.data, status=201)

    def update(self, request, *args, **kwargs):
        return Response({"id": self.get_object().pk})

    def destroy(self, request, *args, **kwargs):
        self.get_object().delete()
        return Response(status=204)


@method_decorator(never_cache, name="list")
@method_decorator(never_cache, name="destroy")
class Decorated(Channels):
    pass


class OverridesOtherThings(Channels):
    def get_queryset(self):
        return super().get_queryset().filter(owner=self.request.user)

    def get_serializer_class(self):
        return ChannelSerializer

    def get_object(self):
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])

    def perform_update(self, serializer):
        serializer.save()

    def perform_destroy(self, instance):
        instance.delete()


class DoesSomethingElse(Channels):
    def list(self, request, *args, **kwargs):
        return Response([row.pk for row in Channel.objects.all()])

    def retrieve(self, request, *args, **kwargs):
        return Response(ChannelSerializer(Channel.objects.filter(owner=kwargs["pk"]), many=True).data)

    def create(self, request, *args, **kwargs):
        Channel.objects.all().delete()
        return Response(status=201)

    def update(self, request, *args, **kwargs):
        super().destroy(request, *args, **kwargs)
        return Response({})

    def destroy(self, request, *args, **kwargs):
        Channel.objects.filter(owner=kwargs["pk"]).delete()
        return Response(status=204)

    @action(detail=True, methods=["post"])
    def publish(self, request, pk):
        return Response({})


class Hides(Channels):
    """Makes the right call in code that might not be reached, or on another object."""

    @unwrappable
    def list(self, request, *args, **kwargs):
        return super().list(request, *args, **kwargs)

    def retrieve(self, request, *args, **kwargs):
        def later():
            return self.get_object()

        return Response({"later": str(later)})

    def create(self, request, *args, **kwargs):
        return Response({"perform_create": str(self.perform_create)})

    update = property(lambda self: lambda *args, **kwargs: Response({}))

    def destroy(self, request, *args, **kwargs):
        other = Channels()
        return Response({}) or other.get_object()

    publish = None


class InheritsIt(DoesSomethingElse):
    """Calls `super()` of such a handler."""

    def destroy(self, request, *args, **kwargs):
        return super().destroy(request, *args, **kwargs)


class Mixed(DoesSomethingElse):
    """Inherits DRF's own handlers again."""

    destroy = mixins.DestroyModelMixin.destroy


class Sometimes(Channels):
    """Finds another object if the query string says so."""

    def retrieve(self, request, *args, **kwargs):
        if "all" in request.query_params:
            return Response([row.pk for row in Channel.objects.all()])
        return Response({"id": self.get_object().pk})


def route(name, view, **actions):
    yield path(f"{name}/", view.as_view(LIST))
    yield path(f"{name}/<int:pk>/", view.as_view(actions or DETAIL))
    if not actions:
        yield path(f"{name}/<int:pk>/publish/", view.as_view({"post": "publish"}))


STANDARD = {"super": CallsSuper, "self": CallsItself, "decorated": Decorated, "others": OverridesOtherThings}
OTHER = {"else": DoesSomethingElse, "hides": Hides}
urlpatterns = [
    *[
        one
        for name, view in {**STANDARD, "else": DoesSomethingElse, "inherits": InheritsIt}.items()
        for one in route(name, view)
    ],
    *route("hides", Hides, get="retrieve", put="update", delete="destroy"),
    *route("mixed", Mixed),
    *route("sometimes", Sometimes),
]
CASES = [
    ("GET", "/{name}/", "channels:*:list", 200),
    ("POST", "/{name}/", "channels:*:create", 201),
    ("GET", "/{name}/{pk}/", "channels:{pk}:read", 200),
    ("PATCH", "/{name}/{pk}/", "channels:{pk}:update", 200),
    ("PUT", "/{name}/{pk}/", "channels:{pk}:update", 200),
    ("POST", "/{name}/{pk}/publish/", "channels:{pk}:publish", 200),
    ("DELETE", "/{name}/{pk}/", "channels:{pk}:delete", (200, 204)),
]


@pytest.mark.parametrize("name", STANDARD)
def test_standard_handlers_are_inferred(name, client_with, make_token, channel):
    for method, url, scope, status in CASES:
        client = client_with(make_token(scope.format(pk=channel.pk)))
        response = client.generic(
            method, url.format(name=name, pk=channel.pk), data='{"name": "new"}', content_type="application/json"
        )
        assert response.status_code in (status if isinstance(status, tuple) else (status,)), (method, url)


@pytest.mark.parametrize("name", OTHER)
def test_other_handlers_are_not_inferred(name, client_with, make_token, channel):
    client = client_with(
        make_token(*[f"channels:*:{word}" for word in ("list", "read", "create", "update", "delete", "publish")])
    )
    for method, url, _scope, _status in CASES:
        if name == "hides" and method in ("PATCH", "POST") and "pk" in url:
            continue
        response = client.generic(
            method, url.format(name=name, pk=channel.pk), data='{"name": "new"}', content_type="application/json"
        )
        assert (response.status_code, response.json()["code"]) == (403, "scope_not_declared"), (method, url)
    assert Channel.objects.count() == 1


def test_inherited_handlers_count(client_with, make_token, user, channel):
    client = client_with(make_token(f"channels:{channel.pk}:delete"))
    assert client.delete(f"/inherits/{channel.pk}/").status_code == 403
    assert Channel.objects.exists()
    assert client.delete(f"/mixed/{channel.pk}/").status_code == 204


def test_response_without_get_object_is_withheld(client_with, make_token, channel):
    client = client_with(make_token(f"channels:{channel.pk}:read"))
    assert client.get(f"/sometimes/{channel.pk}/").json() == {"id": channel.pk}
    response = client.get(f"/sometimes/{channel.pk}/?all")
    assert (response.status_code, response.json()["code"]) == (403, "scope_not_declared")
    assert client.get("/sometimes/0/").status_code == 403


def test_pat_routes_reports_overrides():
    origins = {
        (report.route.pattern, method.method): method.resolution.origin
        for report in inspect_all()
        for method in report.methods
    }
    assert origins["super/<int:pk>/", "DELETE"] == "inferred from an override of a standard handler"
    assert origins["others/<int:pk>/", "DELETE"].startswith("known:")
    assert (
        'write pat_requirements = {"destroy": Requirement("channels", "delete", "pk")}'
        in origins["else/<int:pk>/", "DELETE"]
    )
    assert 'write pat_requirements = {"list": Requirement("channels", "list")}' in origins["else/", "GET"]


def test_handlers_are_analyzed_once_per_class():
    first = find_handler(CallsItself, "destroy", has_entity=True)
    assert find_handler(CallsItself, "destroy", has_entity=True) is first
