"""The OpenAPI schema, and whether responses of the management API match it."""

import re
import subprocess
import sys
import textwrap
from typing import Any

import pytest
import schemathesis
from django.core import signals
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.db import close_old_connections
from django.urls import include, path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import patched_settings
from hypothesis import HealthCheck, settings
from rest_framework import generics, serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.routers import DefaultRouter
from schemathesis.specs.openapi import checks

from pat_tokens import declarations
from pat_tokens.contrib.rest_framework.schema import ScopeAutoSchema
from pat_tokens.declarations import declare_url
from pat_tokens.requirements import Requirement
from tests import views
from tests.contrib.rest_framework import management_urls
from tests.models import Channel

MANAGEMENT = "tests.contrib.rest_framework.management_urls"
PREFIX = "/api/pats/"
METHODS = ("get", "post", "put", "patch", "delete")


def generate(urlconf: Any) -> Any:
    return SchemaGenerator(urlconf=urlconf).get_schema(public=True)


def operations(schema: Any) -> Any:
    return {
        (method.upper(), path): operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    }


class TestManagement:
    @pytest.mark.parametrize("split", [False, True])
    @pytest.mark.parametrize("version", ["3.0.3", "3.1.1"])
    def test_is_valid_without_warnings(self, tmp_path, version, split):
        with patched_settings({"OAS_VERSION": version, "COMPONENT_SPLIT_REQUEST": split}):
            file = str(tmp_path / "schema.yml")
            call_command("spectacular", validate=True, fail_on_warn=True, urlconf=MANAGEMENT, file=file)

    def test_has_all_routes_and_methods(self):
        served = {
            (method.upper(), PREFIX + re.sub(r"<str:(\w+)>", r"{\1}", str(pattern.pattern)))
            for pattern in management_urls.urlpatterns[0].url_patterns
            for method in pattern.callback.actions
            if method != "head"
        }
        assert set(operations(generate(management_urls))) == served
        assert len(served) == 23

    def test_describes_request_bodies(self):
        schema = generate(management_urls)
        queries, bodies = {}, {}
        for key, operation in operations(schema).items():
            names = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
            if names:
                queries[key] = names
            if "requestBody" in operation:
                reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                bodies[key] = schema["components"]["schemas"][reference.rpartition("/")[2]]["properties"]
        token, pages = PREFIX + "{token_id}/", {"page", "page_size"}
        filters = {"status", "name", "search", "entity_type", "operation", "never_used"}
        times = {"expires_before", "expires_after", "last_used_before"}
        activity = {"cursor", "page_size", "kind", "token", "since", "until"}
        assert queries == {
            ("GET", PREFIX): {"owner", "ordering", *pages, *filters, *times},
            ("POST", PREFIX): {"owner"},
            ("DELETE", PREFIX): {"owner", *filters, *times},
            ("GET", PREFIX + "entities/"): {"owner"},
            ("GET", PREFIX + "entities/{entity_type}/"): {"owner", "search", *pages},
            ("GET", PREFIX + "activity/"): {"owner", *activity},
            ("GET", token + "activity/"): activity,
            ("GET", token + "missing/"): pages,
            ("DELETE", token + "scopes/"): {"unused_for"},
            ("GET", token + "explain/"): {"method", "path"},
        }
        assert {key: set(fields) for key, fields in bodies.items()} == {
            ("POST", PREFIX): {"name", "description", "allowed_networks", "duration", "expires_at", "scopes"},
            ("PATCH", token): {"name", "description", "allowed_networks", "grace_period"},
            ("POST", token + "regenerate/"): {"duration", "expires_at"},
            ("POST", token + "rotate/"): {"duration", "expires_at", "grace_period"},
            ("POST", token + "scopes/"): {"scopes"},
        }
        for key in (("POST", PREFIX), ("POST", token + "scopes/")):
            assert set(bodies[key]["scopes"]["items"]["properties"]) == {"entity_type", "entity_id", "operation"}

    def test_describes_refusal_of_tokens(self):
        for (_method, address), operation in operations(generate(management_urls)).items():
            if address.startswith(PREFIX + "current/"):
                assert operation["x-pat-scope"] == "any"
                assert "x-pat-refused" not in operation
                assert operation["security"] == [{"personalAccessToken": []}]
                assert "Any personal access token" in operation["description"]
            else:
                assert operation["x-pat-refused"] is True
                assert "x-pat-scope" not in operation
                assert operation["security"] == [{"cookieAuth": []}]
                assert "refused" in operation["description"]

    def test_names_do_not_clash_with_site(self):
        schema = generate(management_urls)
        assert all(
            operation["operationId"].startswith("personal_access_tokens_") for operation in operations(schema).values()
        )
        assert all("PersonalAccessToken" in name for name in schema["components"]["schemas"])
        assert schema["components"]["schemas"]["PersonalAccessTokenStatus"]["enum"] == ["active", "expired", "revoked"]

    def test_does_not_rename_enums_of_site(self):
        class OrderSerializer(serializers.Serializer):
            status = serializers.ChoiceField(choices=["open", "closed"])

        class Orders(generics.ListCreateAPIView):
            serializer_class = OrderSerializer
            queryset = Channel.objects.all()

        class Both:
            urlpatterns = [path("api/orders/", Orders.as_view()), *management_urls.urlpatterns]

        assert generate(Both)["components"]["schemas"]["StatusEnum"]["enum"] == ["open", "closed"]

    def test_secret_is_only_in_some_responses(self):
        schema = generate(management_urls)
        components = schema["components"]["schemas"]
        with_secret = {name for name, component in components.items() if "secret" in component.get("properties", {})}
        assert with_secret == {"PersonalAccessTokenWithSecret"}
        found = {key for key, operation in operations(schema).items() if "WithSecret" in str(operation)}
        renewing = {("POST", f"{PREFIX}{{token_id}}/{name}/") for name in ("regenerate", "rotate")}
        assert found == {("POST", PREFIX), *renewing}


class ScopedChannels(views.ChannelViewSet):
    schema = ScopeAutoSchema()


class ScopedUndeclared(generics.ListAPIView):
    """Not declared."""

    schema = ScopeAutoSchema()
    queryset = Channel.objects.all()
    serializer_class = views.ChannelSerializer


class SessionOnly(ScopedUndeclared):
    authentication_classes = (SessionAuthentication,)


router = DefaultRouter()
router.register("scoped", ScopedChannels)


class Site:
    """A URLconf whose schema includes scopes."""

    urlpatterns = [
        path("api/", include(router.urls)),
        path("api/by-slug/<slug:slug>/", views.ChannelBySlug.as_view({"get": "retrieve"}, schema=ScopeAutoSchema())),
        path("api/undeclared/", ScopedUndeclared.as_view()),
        path("api/session/", SessionOnly.as_view()),
        path("api/anything/", views.AnythingView.as_view(schema=ScopeAutoSchema())),
        path("api/plain/", views.ChannelViewSet.as_view({"get": "list"})),
    ]


class TestSiteOperations:
    @pytest.mark.parametrize(
        ("method", "path", "scope"),
        [
            ("GET", "/api/scoped/", "channels:*:list"),
            ("POST", "/api/scoped/", "channels:*:create"),
            ("GET", "/api/scoped/{id}/", "channels:{id}:read"),
            ("PATCH", "/api/scoped/{id}/", "channels:{id}:update"),
            ("DELETE", "/api/scoped/{id}/", "channels:{id}:delete"),
            ("POST", "/api/scoped/{id}/publish/", "channels:{id}:publish"),
            ("GET", "/api/by-slug/{slug}/", "channels:{slug}:read"),
            ("GET", "/api/anything/", "any"),
        ],
    )
    def test_operations_include_scope(self, method, path, scope):
        operation = operations(generate(Site))[method, path]
        assert operation["x-pat-scope"] == scope
        assert {"personalAccessToken": []} in operation["security"]
        assert (scope if scope != "any" else "Any personal access token") in operation["description"]
        assert ("which limit the list" in operation["description"]) == (scope == "channels:*:list")

    def test_mention_refusal(self):
        operation = operations(generate(Site))["GET", "/api/undeclared/"]
        assert operation["x-pat-refused"] is True
        assert operation["security"] == [{"cookieAuth": []}]
        assert operation["description"] == "Not declared.\n\nPersonal access tokens are refused."

    def test_are_unchanged_if_tokens_are_not_read(self):
        operation = operations(generate(Site))["GET", "/api/session/"]
        assert not [name for name in operation if name.startswith("x-pat")]
        assert operation["description"] == "Not declared."

    def test_have_scheme_with_any_schema_class(self):
        operation = operations(generate(Site))["GET", "/api/plain/"]
        assert {"personalAccessToken": []} in operation["security"]
        assert "x-pat-scope" not in operation

    def test_include_scope_in_openapi_3_1_security(self):
        with patched_settings({"OAS_VERSION": "3.1.1"}):
            found = operations(generate(Site))
        assert {"personalAccessToken": ["channels:{id}:publish"]} in found["POST", "/api/scoped/{id}/publish/"][
            "security"
        ]
        assert {"personalAccessToken": []} in found["GET", "/api/anything/"]["security"]

    def test_include_url_declarations(self, monkeypatch, settings):
        class Named:
            urlpatterns = [
                path("api/v1/", include(([path("stock/", ScopedUndeclared.as_view(), name="stock")], "shop"))),
            ]

        settings.ROOT_URLCONF = Named
        monkeypatch.setattr(declarations, "_declared", declarations.Declarations())
        declare_url("shop:stock", {"GET": Requirement("channels", "list")})
        assert operations(generate(Named))["GET", "/api/v1/stock/"]["x-pat-scope"] == "channels:*:list"


class TestScheme:
    def test_is_bearer(self):
        scheme = generate(management_urls)["components"]["securitySchemes"]["personalAccessToken"]
        assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
        assert "prefix" not in scheme["description"]

    def test_uses_settings(self, settings):
        settings.PAT_TOKENS_HEADER = "X-Token"
        scheme = generate(management_urls)["components"]["securitySchemes"]["personalAccessToken"]
        assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "X-token")
        assert "enter `Bearer pat_…`" in scheme["description"]

    def test_mentions_custom_keyword(self, settings):
        settings.PAT_TOKENS_KEYWORDS, settings.PAT_TOKENS_PREFIX = ["Token", "Bearer"], "dop"
        scheme = generate(management_urls)["components"]["securitySchemes"]["personalAccessToken"]
        assert scheme["name"] == "Authorization"
        assert "Required prefix: enter `Token dop_…`" in scheme["description"]


@pytest.mark.processes
def test_api_works_without_drf_spectacular():
    script = """
        import sys
        sys.modules["drf_spectacular"] = None  # importing it fails
        import django
        from django.conf import settings
        from tests import settings as base
        apps = [app for app in base.INSTALLED_APPS if app != "drf_spectacular"]
        rest = {key: value for key, value in base.REST_FRAMEWORK.items() if key != "DEFAULT_SCHEMA_CLASS"}
        urls = "tests.contrib.rest_framework.management_urls"
        every = {name: getattr(base, name) for name in dir(base) if name.isupper()}
        settings.configure(**every | {"INSTALLED_APPS": apps, "REST_FRAMEWORK": rest, "ROOT_URLCONF": urls})
        django.setup()
        from rest_framework.test import APIClient
        from pat_tokens.contrib.rest_framework import filtersets, pagination, permissions, throttling, views
        answer = APIClient().get("/api/pats/")
        assert answer.status_code == 401, answer.content
        assert not [name for name in sys.modules if name.startswith("drf_spectacular.")]
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)


@pytest.fixture
def in_process(monkeypatch):
    """Let the WSGI application use the test's connection, like Django's test client does."""
    for signal in (signals.request_started, signals.request_finished):
        signal.disconnect(close_old_connections)
    yield WSGIHandler()
    for signal in (signals.request_started, signals.request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def api_schema(in_process):
    """The schema of the management API."""
    schema = schemathesis.openapi.from_dict(generate(management_urls))
    schema.app = in_process
    return schema


@pytest.fixture
def api_schema_for_people(in_process):
    """The schema without security, because tests send their own session cookie."""
    raw = generate(management_urls)
    del raw["components"]["securitySchemes"]
    for operation in operations(raw).values():
        del operation["security"]
    schema = schemathesis.openapi.from_dict(raw)
    schema.app = in_process
    return schema


everybody = schemathesis.pytest.from_fixture("api_schema")
people = schemathesis.pytest.from_fixture("api_schema_for_people").exclude(path_regex="/current/")
bounded = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
# Names can be taken, datetimes past and entities missing, which schemas can't express.
beyond_schemas = [checks.positive_data_acceptance]


@people.parametrize()
@bounded
@pytest.mark.thorough
@pytest.mark.django_db
def test_session_responses_match_schema(case, client, channel, scoped):
    csrf = "a" * 32
    cookies = {"sessionid": client.cookies["sessionid"].value, "csrftoken": csrf}
    if "token_id" in case.path_parameters and len(case.path_parameters["token_id"]) % 2 == 0:
        case.path_parameters["token_id"] = str(scoped.pk)
    ignored = [*beyond_schemas, checks.negative_data_rejection] if is_trimmed(case.body) else beyond_schemas
    case.call_and_validate(cookies=cookies, headers={"X-CSRFToken": csrf}, excluded_checks=ignored)


def is_trimmed(body):
    """Return whether a string is trimmed before it is validated, which schemas can't express."""
    texts = [body.get(name) for name in ("name", "description")] if isinstance(body, dict) else []
    return any(isinstance(text, str) and text != text.strip() for text in texts)


@everybody.parametrize()
@bounded
@pytest.mark.thorough
@pytest.mark.django_db
def test_token_responses_match_schema(case, scoped):
    ignored = [*beyond_schemas, checks.ignored_auth, checks.negative_data_rejection]
    case.call_and_validate(headers={"Authorization": f"Bearer {scoped.secret}"}, excluded_checks=ignored)


@everybody.parametrize()
@bounded
@pytest.mark.thorough
@pytest.mark.django_db
def test_anonymous_responses_match_schema(case):
    assert case.call_and_validate().status_code in (401, 403, 404, 405)
