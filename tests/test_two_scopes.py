"""Requirements of two scopes, for views that touch two entities, in each framework."""

from contextlib import nullcontext
from urllib.parse import unquote

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from ninja import NinjaAPI
from rest_framework import generics
from rest_framework.response import Response
from rest_framework.views import APIView

from pat_tokens.authentication import arequire_scope, authenticate, require_scope
from pat_tokens.checks.routes import check_routes
from pat_tokens.contrib.ninja.authentication import PersonalAccessTokenAuthentication
from pat_tokens.contrib.rest_framework.filters import ScopeFilterBackend
from pat_tokens.decorators import pat_requirements
from pat_tokens.exceptions import InsufficientScope
from pat_tokens.inspection.explain import explain
from pat_tokens.inspection.routes import inspect_all
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement
from tests.factories import ChannelFactory
from tests.models import Channel
from tests.plain_client import OURS, SERVERS, Asker
from tests.site.serializers import ChannelSerializer

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__), pytest.mark.usefixtures("declarations")]

MOVE = Requirement("channels", "update", "pk") & Requirement("channels", "delete", "target")
BY_SLUG = Requirement("channels", "update", "pk") & Requirement("channels", "delete", EntityLookup(slug="slug"))


class Move(APIView):
    pat_requirements = {"POST": MOVE}

    def post(self, request, **kwargs):
        return Response({})


class MoveBySlug(Move):
    pat_requirements = {"POST": BY_SLUG}


class Loads(generics.GenericAPIView):
    """Loads the object that the second part of its requirement names, or another one."""

    queryset = Channel.objects.all()
    serializer_class = ChannelSerializer
    lookup_url_kwarg = "target"
    pat_requirements = {"POST": MOVE}

    def post(self, request, **kwargs):
        self.kwargs["target"] = request.data.get("target", kwargs["target"])
        return Response({"pk": self.get_object().pk})


class Children(generics.ListAPIView):
    queryset = Channel.objects.order_by("pk")
    serializer_class = ChannelSerializer
    filter_backends = [ScopeFilterBackend]
    pat_requirements = {"GET": Requirement("channels", "list") & Requirement("channels", "read", "pk")}


class FromBody(APIView):
    pat_requirements = dict.fromkeys(("GET", "POST"), Requirement("channels", "update", "pk"))

    def get(self, request, **kwargs):
        require_scope(request, "channels", "delete", request.GET["target"])
        return Response({})

    post = get


@pat_requirements({"POST": MOVE})
def plain(request, **kwargs):
    return HttpResponse()


@pat_requirements({"POST": Requirement("channels", "update", "pk")})
def plain_from_body(request, **kwargs):
    require_scope(request, "channels", "delete", request.GET["target"])
    return HttpResponse()


@pat_requirements({"POST": Requirement("channels", "update", "pk")})
async def async_from_body(request, **kwargs):
    await arequire_scope(request, "channels", "delete", request.GET["target"])
    return HttpResponse()


api = NinjaAPI(urls_namespace="two-scopes")


@api.post("/{pk}/to/{target}/", auth=PersonalAccessTokenAuthentication(MOVE))
def operation(request, pk: int, target: int):
    return {}


@api.post("/{pk}/", auth=PersonalAccessTokenAuthentication(Requirement("channels", "update", "pk")))
def operation_from_body(request, pk: int, target: int):
    require_scope(request, "channels", "delete", target)
    return {}


urlpatterns = [
    path("drf/<int:pk>/to/<int:target>/", Move.as_view()),
    path("slug/<int:pk>/to/<str:slug>/", MoveBySlug.as_view()),
    path("loads/<int:pk>/to/<int:target>/", Loads.as_view()),
    path("plain/<int:pk>/to/<int:target>/", plain),
    path("ninja/", api.urls),
    path("children/<int:pk>/", Children.as_view()),
    path("body/drf/<int:pk>/", FromBody.as_view()),
    path("body/plain/<int:pk>/", plain_from_body),
    path("body/async/<int:pk>/", async_from_body),
    path("pats/", include("pat_tokens.urls")),
]

BOTH = ["channels:1:update", "channels:2:delete"]
MOVES = ["/drf/1/to/2/", "/plain/1/to/2/", "/ninja/1/to/2/", "/loads/1/to/2/", "/slug/1/to/two/"]


@pytest.fixture
def ask(settings, user, make_token):
    """Send a request with a token that has these scopes."""
    settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]
    for pk, slug in enumerate(("one", "two", "three"), start=1):
        ChannelFactory(owner=user, pk=pk, slug=slug)

    def send(scopes, path, method="POST", server="wsgi", data=None):
        return Asker(server, make_token(*scopes).secret)(path, method, data)

    return send


def missing(response):
    return [":".join(scope.values()) for scope in response.json()["missing"]]


def test_all_scopes_are_needed(case, ask):
    wide = ["channels:*:update", "channels:*:delete"]
    for url in MOVES:
        for first in ("", BOTH[0], wide[0], "channels:1:delete"):
            for second in ("", BOTH[1], wide[1], "channels:2:update"):
                with case(url, first, second):
                    scopes = {first, second} - {""}
                    lacks = [needed for needed, on_all in zip(BOTH, wide, strict=True) if not scopes & {needed, on_all}]
                    response = ask(sorted(scopes), url)
                    assert response.status_code == (403 if lacks else 200)
                    if lacks:
                        assert missing(response) == lacks
                        assert f'scope="{" ".join(lacks)}"' in response["WWW-Authenticate"]
                        assert all(f"scope={scope}" in unquote(response.json()["fix_url"]) for scope in lacks)


@pytest.mark.sql
def test_one_select_decides_about_both(make_token, channel):
    token = make_token(f"channels:{channel.pk}:update", "channels:*:delete")
    for given, allowed in ((MOVE, True), (MOVE & Requirement("channels", "list"), False)):
        refused = nullcontext() if allowed else pytest.raises(InsufficientScope)
        with CaptureQueriesContext(connection) as queries, refused:
            authenticate(token.secret, given, {"pk": channel.pk, "target": 2})
        assert len([one for one in queries if one["sql"].startswith("SELECT")]) == 1


def test_unknown_entity_has_no_fix_url(ask):
    response = ask([], "/slug/1/to/unknown/")
    assert missing(response) == ["channels:1:update", "channels:*:delete"]
    assert "fix_url" not in response.json()


def test_object_of_either_part_is_checked_again(ask):
    assert ask(BOTH, "/loads/1/to/2/").json() == {"pk": 2}
    # 1 is the entity of the other part.
    for other in (1, 3):
        response = ask([*BOTH, "channels:3:update"], "/loads/1/to/2/", data={"target": other})
        assert (response.status_code, missing(response)) == (403, [f"channels:{other}:delete"])


def test_list_is_limited_beside_another_scope(ask):
    def pks(*scopes):
        response = ask(scopes, "/children/3/", "GET")
        return missing(response) if response.status_code == 403 else [row["id"] for row in response.json()]

    assert pks("channels:3:read", "channels:1:list", "channels:2:list") == [1, 2]
    assert pks("channels:3:read", "channels:*:list") == [1, 2, 3]
    assert pks("channels:1:list") == ["channels:3:read"]
    assert pks("channels:3:read") == ["channels:*:list"]


def test_options_needs_all_scopes(ask):
    for url in ("/drf/1/to/2/", "/plain/1/to/2/", "/slug/1/to/two/"):
        assert ask(BOTH, url, "OPTIONS").status_code == 200
        assert ask(BOTH[:1], url, "OPTIONS").status_code == 403


def test_view_checks_entity_in_body(case, ask):
    for url in ("/body/drf/1/", "/body/plain/1/", "/body/async/1/", "/ninja/1/"):
        for server in SERVERS:
            with case(url, server):
                assert ask(BOTH, f"{url}?target=2", server=server).status_code == 200
                response = ask(BOTH, f"{url}?target=3", server=server)
                assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope")
                assert missing(response) == ["channels:3:delete"]
                assert "fix_url" in response.json()
    assert ask(BOTH, "/body/drf/1/?target=3", "GET").status_code == 403
    response = ask(BOTH, "/body/drf/1/?target=x")
    assert missing(response) == ["channels:*:delete"]
    assert "fix_url" not in response.json()


def test_require_scope_ignores_sessions(rf):
    assert require_scope(rf.get("/"), "channels", "delete", 1) is None


def test_require_scope_rejects_unknown_operation(rf, token):
    request = rf.get("/")
    request.auth = token
    with pytest.raises(ImproperlyConfigured, match="no operation 'merge'"):
        require_scope(request, "channels", "merge", 1)


def test_routes_and_explain_name_both(ask, make_token):
    (census,) = [
        str(method.resolution.requirement)
        for report in inspect_all()
        for method in report.methods
        if report.route.pattern.startswith("drf/")
    ]
    assert census == "channels:{pk}:update and channels:{target}:delete"
    explanation = explain(make_token(BOTH[0]), "POST", "/slug/1/to/two/")
    assert [step.ok for step in explanation.steps if step.name == "scope"] == [True, False]
    assert [step.ok for step in explanation.steps if "The owner can see" in step.text] == [True, True]
    assert [str(scope) for scope in explanation.missing] == BOTH[1:]
    assert explain(make_token(*BOTH), "POST", "/slug/1/to/two/").allowed


def test_checks_look_at_each_part(monkeypatch):
    bad = Requirement("channels", "update", "pk") & Requirement("channels", "merge", "pk")
    monkeypatch.setattr(Move, "pat_requirements", {"POST": bad})
    monkeypatch.setattr(MoveBySlug, "pat_requirements", {"POST": MOVE})
    found = {message.id: str(message) for message in check_routes()}
    assert "no operation 'merge'" in found["pat_tokens.E050"]
    assert "reads its entity id from target" in found["pat_tokens.E051"]


def test_any_token_cannot_be_combined():
    with pytest.raises(ImproperlyConfigured, match="ANY_TOKEN"):
        ANY_TOKEN & MOVE
    with pytest.raises(ImproperlyConfigured, match="ANY_TOKEN"):
        MOVE & ANY_TOKEN
    with pytest.raises(TypeError):
        MOVE & None
