"""Other schemes, throttles, permissions and exception handlers of a site, and early imports."""

import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.urls import path
from rest_framework import exceptions, generics, permissions, throttling
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, TokenAuthentication
from rest_framework.decorators import api_view
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication
from pat_tokens.contrib.rest_framework.decorators import pat_requirements
from pat_tokens.contrib.rest_framework.introspection import ViewInfo
from pat_tokens.contrib.rest_framework.requirements import RouteInfo, find_requirement, resolve
from pat_tokens.models import PersonalAccessToken
from pat_tokens.requirements import ANY_TOKEN, Requirement
from tests.site import views

pytestmark = pytest.mark.django_db


class JWTAuthentication(BaseAuthentication):
    """Another Bearer scheme, which accepts strings with two dots."""

    strict = False

    def authenticate(self, request):
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return None
        if value.count(".") == 2:
            return request._request.host_user, value
        if self.strict:
            raise exceptions.AuthenticationFailed("not a JWT")
        return None

    def authenticate_header(self, request):
        return 'Bearer realm="jwt"'


class ApiKeyAuthentication(BaseAuthentication):
    """Another scheme in the same header."""

    def authenticate(self, request):
        if request.headers.get("Authorization", "").startswith("ApiKey "):
            raise exceptions.AuthenticationFailed("wrong key")

    def authenticate_header(self, request):
        return 'ApiKey realm="keys"'


class ChecksAuth(permissions.BasePermission):
    """Accepts only sessions and JWTs, like permissions of sites do."""

    def has_permission(self, request, view):
        for name in ("team", "organizer", "write_enabled", "scopes", "allow_scopes"):
            assert not hasattr(request.auth, name)
        return request.auth is None or isinstance(request.auth, (str, PersonalAccessToken))


class View(APIView):
    permission_classes = [permissions.IsAuthenticated, ChecksAuth]
    pat_requirements = {"GET": Requirement("channels", "list")}

    def get(self, request):
        return Response({"auth": type(request.auth).__name__})


@pytest.fixture
def ask(user):
    def ask(secret, *classes, **attributes):
        request = APIRequestFactory().get("/", headers={"authorization": f"Bearer {secret}"})
        request.host_user = user
        view = type("View", (View,), {"authentication_classes": classes, **attributes})
        return view.as_view()(request).render()

    return ask


@pytest.mark.parametrize("before", [True, False])
def test_other_bearer_scheme_works(ask, make_token, before):
    classes = (JWTAuthentication, PersonalAccessTokenAuthentication)
    classes = classes if before else classes[::-1]
    assert ask("a.b.c", *classes).data == {"auth": "str"}
    assert ask(make_token("channels:*:list").secret, *classes).data == {"auth": "PersonalAccessToken"}
    assert ask(make_token().secret, *classes).status_code == 403
    assert ask("nonsense", *classes).status_code == 401


def test_strict_scheme_after_ours(ask, make_token):
    strict = type("Strict", (JWTAuthentication,), {"strict": True})
    assert ask(make_token("channels:*:list").secret, PersonalAccessTokenAuthentication, strict).status_code == 200
    assert ask("pat_nonsense", PersonalAccessTokenAuthentication, strict).status_code == 401


@pytest.mark.parametrize("others", [[SessionAuthentication], [SessionAuthentication, TokenAuthentication], []])
def test_refusal_keeps_status_and_challenge(ask, make_token, others):
    for classes in ([*others, PersonalAccessTokenAuthentication], [PersonalAccessTokenAuthentication, *others]):
        answer = ask(make_token().secret, *classes)
        assert answer.status_code == 403
        assert "insufficient_scope" in answer["WWW-Authenticate"]
        answer = ask("pat_nonsense", *classes)
        assert answer.status_code == 401
        assert "invalid_token" in answer["WWW-Authenticate"]


def test_permissions_do_not_allow_tokens(ask, make_token):
    assert ask(make_token().secret, PersonalAccessTokenAuthentication, permission_classes=[]).status_code == 403


def test_throttles_apply_to_tokens(ask, make_token, settings):
    class Never(throttling.BaseThrottle):
        def allow_request(self, request, view):
            return False

    classes, never = [PersonalAccessTokenAuthentication], {"throttle_classes": [Never]}
    assert ask(make_token("channels:*:list").secret, *classes, **never).status_code == 429
    assert ask(make_token().secret, *classes, **never).status_code == 403


def test_strict_exception_handler(ask, make_token):
    def handler(exc, context):
        def check(detail):
            if isinstance(detail, dict):
                for value in detail.values():
                    check(value)
            elif isinstance(detail, list):
                for value in detail:
                    check(value)
            else:
                assert detail.code

        check(exc.detail)
        exc.get_full_details()
        return Response({"error": {"status": exc.status_code, "codes": exc.get_codes()}}, status=exc.status_code)

    for secret, status in ((make_token().secret, 403), ("pat_nonsense", 401)):
        answer = ask(secret, PersonalAccessTokenAuthentication, get_exception_handler=lambda self: handler)
        assert answer.data["error"]["status"] == status


@pytest.mark.processes
def test_drf_views_are_not_imported_early():
    code = """
from django.conf import settings
apps = ["django.contrib.auth", "django.contrib.contenttypes", "pat_tokens"]
settings.configure(SECRET_KEY="x" * 50, INSTALLED_APPS=apps)
import pat_tokens.contrib.rest_framework.authentication
import pat_tokens.contrib.rest_framework.filters
import pat_tokens.contrib.rest_framework.mixins
import pat_tokens.contrib.rest_framework.decorators
import pat_tokens.requirements
import sys
from django.apps import apps
assert not apps.models_ready
assert "pat_tokens.models" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_finding_requirement_makes_no_query(site, django_assert_num_queries, rf):
    request = rf.get("/")
    with django_assert_num_queries(0):
        for view_class in (views.NosyViewSet, views.ComputedQueryset, views.ProjectViewSet):
            for method in ("GET", "POST", "DELETE"):
                facts = ViewInfo(view_class, {}, {"get": "list", "post": "create", "delete": "destroy"})
                resolve(facts, method, RouteInfo("things/", None))
    view = views.ComputedQueryset()
    view.action_map = {"get": "list"}
    view.args, view.kwargs = (), {}
    drf_request = view.initialize_request(request)
    with django_assert_num_queries(0):
        assert find_requirement(view, drf_request, str(drf_request.method)).requirement is None


class TestDecorator:
    def test_is_an_error_below_api_view(self):
        with pytest.raises(ImproperlyConfigured, match="above @api_view"):

            @api_view(["GET"])
            @pat_requirements({"GET": ANY_TOKEN})
            def view(request):
                pass

    def test_is_an_error_on_as_view(self):
        with pytest.raises(ImproperlyConfigured, match="every route"):
            pat_requirements({"GET": ANY_TOKEN})(generics.ListAPIView.as_view())

    def test_requires_mapping(self):
        with pytest.raises(ImproperlyConfigured, match="mapping"):
            pat_requirements(ANY_TOKEN)

    def test_works_on_class(self):
        @pat_requirements({"GET": ANY_TOKEN})
        class Decorated(APIView):
            pass

        assert Decorated.pat_requirements == {"GET": ANY_TOKEN}


urlpatterns = [path("", View.as_view())]


OURS = 'Bearer realm="api"'
Ours = PersonalAccessTokenAuthentication


@pytest.mark.parametrize(
    ("classes", "header", "challenge"),
    [
        ([Ours], None, OURS),
        ([Ours, SessionAuthentication], None, OURS),
        ([Ours, TokenAuthentication], None, f"Token, {OURS}"),
        (
            [Ours, SessionAuthentication, JWTAuthentication],
            None,
            f'Bearer realm="jwt", {OURS}',
        ),
        (
            [Ours, ApiKeyAuthentication, TokenAuthentication],
            None,
            f'ApiKey realm="keys", {OURS}',
        ),
        ([Ours, ApiKeyAuthentication], "ApiKey x", f'ApiKey realm="keys", {OURS}'),
        ([ApiKeyAuthentication, Ours], None, 'ApiKey realm="keys"'),
    ],
)
def test_challenge_of_other_class_comes_first(classes, header, challenge):
    request = APIRequestFactory().get("/", headers={"authorization": header} if header else {})
    answer = View.as_view(authentication_classes=classes)(request)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == challenge
