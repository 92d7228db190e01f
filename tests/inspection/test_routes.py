"""Reports on routes, and the checks that use them."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.mixins import AccessMixin, LoginRequiredMixin, PermissionRequiredMixin
from django.core.management import CommandError, call_command
from django.urls import include, path, resolve
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.decorators import api_view
from rest_framework.response import Response
from rest_framework.routers import APIRootView, DefaultRouter
from rest_framework.schemas import get_schema_view
from rest_framework.urlpatterns import format_suffix_patterns
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from pat_tokens.checks.routes import check_routes
from pat_tokens.contrib.rest_framework.decorators import pat_requirements
from pat_tokens.contrib.rest_framework.introspection import ViewInfo
from pat_tokens.declarations import declare_route, declare_url, declare_view
from pat_tokens.inspection.explain import explain
from pat_tokens.inspection.routes import inspect, inspect_all, walk
from pat_tokens.integrations import Route
from pat_tokens.middleware import PersonalAccessTokenMiddleware
from pat_tokens.requirements import ANY_TOKEN, Requirement
from tests import plain_site
from tests.contrib.rest_framework.test_enforcement import ALLOWED, REFUSED


class OwnMiddleware(PersonalAccessTokenMiddleware):
    """A subclass of our middleware."""


ROOT = Path(__file__).resolve().parents[2]


class View(APIView):
    def get(self, request, **kwargs):
        pass


class OwnViewSet(ViewSet):
    def list(self, request):
        raise NotImplementedError


class Several(View):
    post = put = delete = View.get


@pytest.fixture
def urls(settings, declarations):
    """Create a URLconf with these patterns."""

    def make(*patterns):
        settings.ROOT_URLCONF = ModuleType("urls_of_a_test")
        settings.ROOT_URLCONF.urlpatterns = list(patterns)

    return make


@pytest.fixture
def listed(capsys):
    def listed(*args):
        call_command("pat_routes", "--json", *args)
        return json.loads(capsys.readouterr().out)

    return listed


@pytest.fixture
def ids():
    return lambda: [message.id for message in check_routes()]


@pytest.mark.django_db
def test_report_matches_enforcement(case, site):
    for row in ALLOWED:
        with case(row):
            path = row.path.format(**vars(site), device_upper=str(site.device.pk).upper()).replace("%7B", "{")
            report = inspect(Route.of(resolve(path.replace("%7D", "}")))).find(row.method)
            requirement = report.resolution.requirement
            kind, _entity, operation = row.scope.split(":")
            assert (requirement.entity_type, requirement.operation) == (kind, operation)
            if row.is_filtered_list:
                assert report.limits


# Their behavior is only known at run time.
SHOWN_LATE = {"keywords-changed", "object-of-other", "queryset-of-other", "changes-its-model", "either"}


@pytest.mark.django_db
def test_report_lists_refusals(case, site):
    for row in REFUSED:
        if row[1].split("/")[1] in SHOWN_LATE or row[1] == "/lists/other-model/":
            continue
        with case(row):
            method, path = row
            path = path.format(**vars(site)).partition("?")[0]
            report = inspect(Route.of(resolve(path)))
            found = report.find(method)
            assert found is None or found.resolution.requirement is None


COMPUTED = "the view computes its lookup field"


@pytest.mark.django_db
def test_reasons_without_inference(case, site):
    rows = {
        "GET /undeclared/": "only what a ViewSet requires is known without a declaration",
        "PUT /own-handlers/{channel.pk}/": "the ViewSet handles this method itself, and no action is mapped to it",
        "GET /projects/{project.pk}/undeclared/": "the route has keywords other than 'pk': project_pk",
        "GET /memos/": "Memo is the model of several entity types",
        "GET /people/": "no entity type is registered for User",
        "GET /configured/nothing/": (
            "the view has no queryset attribute; write queryset = Channel.objects.all() in its class"
        ),
        "GET /computed/": "the view computes its queryset",
        "GET /computed-keyword/": COMPUTED,
        "GET /computed-field/{channel.pk}/": COMPUTED,
        "GET /by-owner/owner/": "'owner__username' is not a unique field of channels",
        "GET /by-name/one/": "'name' is not a unique field of projects",
        "POST /action-on-other/{channel.pk}/share/": "the action 'share' sets its own queryset",
        "POST /own-publish/{channel.pk}/": "'publish' is neither a standard action nor decorated with @action",
        "GET /optional/": "the route is not plain",
        "DELETE /wild/5/channels/": "the route is not plain",
        "GET /fixed/": "'pk' isn't the last part of the route, so it can be another key",
        "DELETE /positional/{channel.pk}/": "the view doesn't get the keywords of its URL unchanged",
        "GET /list-of-one/{channel.pk}/": "the action 'list' isn't about a single entity, but the route is",
        "GET /one-without-a-key/": "the action 'retrieve' is about an entity, but the route has no keyword for it",
    }.items()
    for row, reason in rows:
        with case(row, reason):
            assert origin_of(site, row) == f"not declared: {reason}"


@pytest.mark.django_db
def test_origin_of_declaration_is_reported(case, site):
    rows = {
        "GET /channels/{channel.pk}/": "known: a plain route of a ViewSet of a registered model",
        "GET /functions/{channel.pk}/legacy/": "declared for the view from outside",
        "GET /refused/": "declared on the view: refused",
        "PUT /sealed/{channel.pk}/": "declared for the URL name 'sealed': refused",
        "GET /listed-requirements/": "declared on the view: ('list',) is not a mapping to Requirement",
        "GET /computed-requirements/": (
            "declared on the view: 'a computed pat_requirements' is not a mapping to Requirement"
        ),
    }.items()
    for row, origin in rows:
        with case(row, origin):
            assert origin_of(site, row) == origin


def origin_of(site, row):
    method, path = row.format(**vars(site)).split()
    return inspect(Route.of(resolve(path))).find(method).resolution.origin


def test_routes_match_resolver(routes):
    found = {(route.pattern, route.url_name) for route in walk()}
    for url in ("/v1/channels/5/", "/vendor/5/tasks/", "/suffixed/5.json", "/projects/1/tasks/2/", "/positional/5/"):
        match = resolve(url)
        assert (match.route, match.view_name if match.url_name else None) in found
        route = next(route for route in walk() if route.pattern == match.route)
        assert route.keywords == set(match.kwargs)
        assert route.positional == bool(match.args)


def test_inspection_makes_no_query(routes, django_assert_num_queries, db):
    with django_assert_num_queries(0):
        inspect_all()
        list(check_routes())


def test_api_view_functions_are_distinguished(routes):
    names = {report.route.view_name for report in inspect_all()}
    assert {"tests.site.functions.ping", "tests.site.functions.summary"} <= names


class TestCommand:
    def test_json(self, routes, listed):
        rows = {(row["method"], row["route"]): row for row in listed()}
        assert rows["POST", "functions/<int:channel_id>/summary/"] == {
            "method": "POST",
            "route": "functions/<int:channel_id>/summary/",
            "name": None,
            "view": "tests.site.functions.summary",
            "kind": "api_view function",
            "action": None,
            "tokens": "declared",
            "requirement": "channels:{channel_id}:publish",
            "limits": False,
            "reason": "declared on the view",
            "proposal": None,
            "certain": False,
            "shadowed_by": None,
        }
        words = {
            "bulk/": "known",
            "undeclared/": "undeclared",
            "refused/": "refused",
            "broken/<int:channel_id>/": "broken",
            "pinned-away/": "not read",
        }
        assert {route: rows["GET", route]["tokens"] for route in words} == words
        assert rows[None, "functions/plain/"]["tokens"] == "not read"
        # Also in the response to a token.
        assert [rows[method, "vendor/<int:pk>/tasks/"]["tokens"] for method in ("DELETE", "PUT")] == [
            "refused",
            "undeclared",
        ]
        assert rows["GET", "bulk/"]["limits"]

    def test_groups_lines_by_route(self, urls, capsys):
        urls(path("channels/<int:pk>/", Several.as_view(), name="channel"))
        declare_view(Several, {"GET": Requirement("channels", "read", "pk"), "DELETE": None})
        call_command("pat_routes")
        assert capsys.readouterr().out.splitlines() == [
            "/channels/<pk>/  [channel]",
            "    tests.inspection.test_routes.Several (APIView)",
            "    GET  declared: channels:{pk}:read",
            "    POST, PUT  undeclared: only what a ViewSet requires is known without a declaration",
            '        a guess: "POST": Requirement("channels", "update", "pk"),',
            '        a guess: "PUT": Requirement("channels", "update", "pk"),',
            "    DELETE  refused: declared for the view from outside: refused",
            "",
        ]

    def test_lists_only_supported_methods(self, urls, listed):
        urls(path("api/a/", Several.as_view()), path("api/b/", View.as_view()), path("other/", View.as_view()))
        declare_view(Several, {"GET": ANY_TOKEN, "POST": None})
        rows = listed("--only", "undeclared", "--only", "refused", "--under", "/api/")
        assert [(row["method"], row["route"]) for row in rows] == [
            ("POST", "api/a/"),
            ("PUT", "api/a/"),
            ("DELETE", "api/a/"),
            ("GET", "api/b/"),
        ]

    def test_format_suffixes_are_not_separate(self, urls, listed):
        urls(*format_suffix_patterns([path("a/", View.as_view(), name="a"), path("b/<int:pk>/", View.as_view())]))
        assert [row["route"] for row in listed()] == ["a/", "b/<int:pk>/"]
        declare_route("a<format>", {"GET": ANY_TOKEN})
        assert [row["route"] for row in listed()][:2] == ["a/", "a<drf_format_suffix:format>"]
        declare_route("b/<pk>/", {"GET": ANY_TOKEN})
        assert [row["route"] for row in listed()][2:] == ["b/<int:pk>/"]
        urls(*format_suffix_patterns([path("c/", Several.as_view())]))
        declare_route("c/", {"GET": ANY_TOKEN, "PUT": ANY_TOKEN})
        declare_route("c<format>", {"GET": ANY_TOKEN})
        assert [row["route"] for row in listed()] == ["c/"] * 4

    def test_unreachable_routes(self, urls, listed, capsys):
        urls(path("<str:name>/", View.as_view()), path("export/", Several.as_view()))
        rows = {row["route"]: row["shadowed_by"] for row in listed()}
        assert rows == {"<str:name>/": None, "export/": "<str:name>/"}
        call_command("pat_routes", "--under", "export")
        assert "never reached: /<name>/ comes first" in capsys.readouterr().out

    def test_fail_undeclared_exits_with_error(self, urls, listed, capsys):
        urls(path("a/", View.as_view(), name="a"))
        listed()
        with pytest.raises(CommandError, match="1 of 1"):
            call_command("pat_routes", "--fail-undeclared")
        capsys.readouterr()
        declare_url("a", {"GET": None})
        listed("--fail-undeclared")

    def test_management_api_is_not_a_failure(self, urls, listed):
        urls(path("pats/", include("pat_tokens.contrib.rest_framework.urls")))
        words = {row["tokens"] for row in listed("--fail-undeclared")}
        assert words == {"refused", "declared"}

    def test_schema_views_are_not_a_failure(self, urls, listed, ids):
        class Root(APIRootView):
            """A site's own list of links, which shows no more than DRF's."""

        class Telling(APIRootView):
            def get(self, request, *args, **kwargs):
                return Response({"secret": 42})

        urls(
            path("", include(DefaultRouter().urls)),
            path("root/", Root.as_view()),
            path("schema/", SpectacularAPIView.as_view()),
            path("docs/", SpectacularSwaggerView.as_view()),
            path("old-schema/", get_schema_view()),
            path("declared/", Root.as_view(), name="declared"),
        )
        declare_url("declared", {"GET": ANY_TOKEN})
        found = {row["route"]: row["tokens"] for row in listed("--fail-undeclared")}
        assert found.pop("declared/") == "declared"
        assert set(found.values()) == {"refused"}
        assert ids() == []
        urls(path("", Telling.as_view()))
        declare_view(Root, {"GET": "broken"})
        assert [row["tokens"] for row in listed()] == ["undeclared"]
        urls(path("", Root.as_view()))
        assert [row["tokens"] for row in listed()] == ["broken"]

    @pytest.mark.processes
    def test_works_without_drf_in_installed_apps(self):
        """DRF views are still recognized; a site without any doesn't import DRF."""
        code = """
import sys
import types
from django.conf import settings

urls = sys.modules["urls"] = types.ModuleType("urls")
urls.urlpatterns = []
apps = ["django.contrib.auth", "django.contrib.contenttypes", "pat_tokens"]
settings.configure(
    SECRET_KEY="x" * 50,
    INSTALLED_APPS=apps,
    ROOT_URLCONF="urls",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "pat_tokens.contrib.rest_framework.authentication.PersonalAccessTokenAuthentication"
        ]
    },
)
import django
from django.core.management import call_command
from django.urls import path

django.setup()
call_command("pat_routes")
call_command("check", "--tag", "urls")
assert not any(name.partition(".")[0] == "rest_framework" for name in sys.modules)

from rest_framework.views import APIView

class View(APIView):
    def get(self, request):
        raise NotImplementedError

urls.urlpatterns.append(path("here/", View.as_view()))
call_command("pat_routes", "--json")
call_command("check")
"""
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True, cwd=ROOT
        )
        rows = json.loads(done.stdout[done.stdout.index("[") : done.stdout.rindex("]") + 1])
        assert [(row["method"], row["kind"], row["tokens"]) for row in rows] == [("GET", "APIView", "undeclared")]
        assert "W050" in done.stdout + done.stderr

    def test_urlconf_option(self, routes, listed):
        assert len(listed("--urlconf", "tests.site.confusing")) == 2
        with pytest.raises(CommandError, match="no_such"):
            listed("--urlconf", "no_such.urls")


class TestChecks:
    def test_pass_for_valid_site(self, urls, ids):
        urls(path("a/", View.as_view(), name="a"))
        declare_url("a", {"GET": ANY_TOKEN})
        assert ids() == []

    def test_invalid_declaration_is_reported(self, urls):
        urls(path("a/<int:key>/", View.as_view()))
        declare_view(View, {"GET": Requirement("channels", "dance", "key")})
        (message,) = check_routes()
        assert message.id == "pat_tokens.E050"
        assert "tests.inspection.test_routes.View, GET /a/<key>/" in message.msg
        assert "dance" in message.msg

    def test_missing_keyword_is_reported(self, urls):
        urls(path("a/<int:key>/", View.as_view()))
        declare_view(View, {"GET": Requirement("channels", "read", "pk")})
        (message,) = check_routes()
        assert message.id == "pat_tokens.E051"
        assert "pk" in message.msg
        assert "key" in message.msg

    @pytest.mark.parametrize("dotted", ["tests.inspection.test_routes.NoView", "no_such.views.View", "nothing"])
    def test_invalid_path_is_reported(self, urls, ids, dotted):
        urls()
        declare_view(dotted, {"GET": ANY_TOKEN})
        assert ids() == ["pat_tokens.E052"]

    def test_view_without_route_is_reported(self, urls, ids):
        urls()
        declare_view("tests.inspection.test_routes.View", {"GET": ANY_TOKEN})
        assert ids() == ["pat_tokens.E053"]

    def test_consumer_without_route_passes(self, urls, ids):
        urls()
        declare_view("tests.contrib.channels.consumers.Foreign", {"GET": ANY_TOKEN})
        assert ids() == []

    def test_missing_url_name_is_reported(self, urls, ids):
        urls()
        declare_url("shop:order", {"GET": ANY_TOKEN})
        assert ids() == ["pat_tokens.E054"]

    def test_undeclared_routes_are_one_warning(self, urls):
        urls(*[path(f"{n}/", View.as_view()) for n in range(9)])
        (message,) = check_routes()
        assert message.id == "pat_tokens.W050"
        assert message.msg.startswith("9 operations")

    def test_undeclared_routes_are_named_like_in_the_list(self, urls):
        router = DefaultRouter()
        router.register("a", OwnViewSet, basename="a")
        router.include_root_view = False
        urls(*router.urls)
        (message,) = check_routes()
        assert message.msg.startswith("1 operations")
        assert message.msg.endswith(": GET /a/")

    @pytest.mark.parametrize(
        ("argv", "is_warned"),
        [
            (["manage.py", "check"], True),
            (["/usr/bin/django-admin", "check", "--deploy"], True),
            (["/usr/bin/pytest", "tests"], True),
            (["./manage.py", "migrate"], False),
            (["/lib/django/__main__.py", "runserver"], False),
            (["manage.py"], False),
        ],
    )
    def test_warning_is_not_repeated_by_commands(self, urls, ids, monkeypatch, argv, is_warned):
        urls(path("a/", View.as_view()))
        monkeypatch.setattr(sys, "argv", argv)
        assert ids() == (["pat_tokens.W050"] if is_warned else [])

    def test_plain_views_without_middleware(self, settings, declarations, listed):
        settings.ROOT_URLCONF = "tests.plain_site"
        declare_view("tests.plain_site.foreign", plain_site.REQUIREMENTS)
        told = {message.id: message.msg for message in check_routes()}
        assert "/function/<pk>/, /async-function/<pk>/" in told["pat_tokens.E055"]
        rows = {row["route"]: row for row in listed()}
        kinds = (*plain_site.GUARDED, *plain_site.INSIDE_OUT, "foreign", "wrapped", "attribute")
        for kind in kinds:
            assert rows[f"{kind}/<int:pk>/"]["tokens"] == "not read", kind
            assert "Middleware" in rows[f"{kind}/<int:pk>/"]["reason"]
        settings.MIDDLEWARE = ["tests.inspection.test_routes.OwnMiddleware", *settings.MIDDLEWARE]
        assert "pat_tokens.E055" not in {message.id for message in check_routes()}
        rows = {(row["method"], row["route"]): row["tokens"] for row in listed()}
        for kind in kinds:
            assert rows["GET", f"{kind}/<int:pk>/"] == "declared", kind
        # The middleware refuses tokens on undeclared views.
        assert rows[None, "undeclared/<int:pk>/"] == "refused"

    def test_unused_keys_are_reported(self, urls, ids):
        @pat_requirements({"GET": ANY_TOKEN, "POST": ANY_TOKEN, "get": ANY_TOKEN})
        @api_view(["GET"])
        def view(request):
            pass

        urls(path("a/", view))
        assert ids() == ["pat_tokens.W051"]

    def test_unused_keys_of_declarations_are_reported(self, urls, ids):
        class Set(ViewSet):
            def retrieve(self, request, pk=None):
                pass

        urls(
            path("a/", View.as_view(), name="a"),
            path("b/<int:pk>/", Set.as_view({"get": "retrieve"}), name="b"),
        )
        declare_view(View, {"GET": ANY_TOKEN})
        declare_view(Set, {"retrieve": ANY_TOKEN})
        declare_url("b", {"GET": ANY_TOKEN, "retrieve": ANY_TOKEN, "GET retrieve": ANY_TOKEN, "HEAD": ANY_TOKEN})
        assert ids() == []
        declare_view(View, {"GET": ANY_TOKEN, "get": ANY_TOKEN})
        declare_view(Set, {"retreive": ANY_TOKEN})
        declare_url("b", {"GET": ANY_TOKEN, "POST": ANY_TOKEN})
        told = [message.msg for message in check_routes() if message.id == "pat_tokens.W051"]
        assert len(told) == 3
        for text, words in zip(told, ("View) has 'get'", "Set) has 'retreive'", "'b') has 'POST'"), strict=True):
            assert words in text

    def test_pass_without_urlconf(self, settings, ids):
        del settings.ROOT_URLCONF
        assert ids() == []


def test_views_are_inspected_once(urls, monkeypatch):
    """Also if a view has several routes, with format suffixes; but again for the next inspection."""
    made = Counter()
    init = ViewInfo.__init__

    def count(info, cls, *args, **kwargs):
        made[cls] += 1
        init(info, cls, *args, **kwargs)

    monkeypatch.setattr(ViewInfo, "__init__", count)
    many = Several.as_view()
    urls(*format_suffix_patterns([path("a/", View.as_view()), path("b/", many), path("c/<int:pk>/", many)]))
    list(check_routes())
    assert made == {View: 1, Several: 1}
    inspect_all()
    assert made == {View: 2, Several: 2}


def test_plain_views_are_not_read_for_each_method(urls):
    class Callable:
        read = 0

        def __call__(self, request):
            raise NotImplementedError

        @property
        def pat_requirements(self):
            type(self).read += 1
            return {"GET": ANY_TOKEN}

    urls(path("a/", Callable()))
    list(check_routes())
    assert Callable.read <= 2


def test_middleware_is_read_once(urls, settings):
    class Middleware(list):
        read = 0

        def __iter__(self):
            type(self).read += 1
            return super().__iter__()

    settings.MIDDLEWARE = Middleware(settings.MIDDLEWARE)
    urls(*(path(f"{number}/", lambda request: None) for number in range(9)))
    list(check_routes())
    assert Middleware.read == 1


class Anything(APIView):
    pat_requirements = {"GET": ANY_TOKEN}

    def get(self, request):
        return Response({})


class BehindLogin(LoginRequiredMixin, Anything):
    pass


class BehindPermission(PermissionRequiredMixin, Anything):
    permission_required = "auth.add_user"
    raise_exception = True


@method_decorator([never_cache, login_required], name="dispatch")
class DecoratedLogin(Anything):
    pass


class DecoratedParent(DecoratedLogin):
    def dispatch(self, *args, **kwargs):
        return super().dispatch(*args, **kwargs)


class MixinTooLate(Anything, LoginRequiredMixin):
    pass


class AsksNothing(AccessMixin, Anything):
    pass


@pat_requirements({"GET": ANY_TOKEN})
@api_view(["GET"])
def anything(request):
    return Response({})


LOGIN_FIRST = {
    "login": login_required(anything),
    "below": never_cache(login_required(anything)),
    "permission": permission_required("auth.add_user")(anything),
    "staff": staff_member_required(anything, login_url="/"),
    "class": login_required(Anything.as_view()),
    "mixin": BehindLogin.as_view(),
    "raises": BehindPermission.as_view(),
    "dispatch": DecoratedLogin.as_view(),
    "parent": DecoratedParent.as_view(),
}
TOKEN_FIRST = {
    "alone": anything,
    "cache": never_cache(anything),
    "late": MixinTooLate.as_view(),
    "nothing": AsksNothing.as_view(),
}


def test_login_before_authentication_is_reported(urls, listed, make_token, client_with):
    urls(*[path(f"{name}/", view) for name, view in {**LOGIN_FIRST, **TOKEN_FIRST}.items()])
    token = make_token()
    client = client_with(token)
    rows = {row["route"]: row for row in listed()}
    for name in LOGIN_FIRST:
        assert client.get(f"/{name}/").status_code == (403 if name == "raises" else 302), name
        assert rows[f"{name}/"]["tokens"] == "not read", name
        assert "login_required" in rows[f"{name}/"]["reason"]
        explanation = explain(token, "GET", f"/{name}/")
        assert (explanation.allowed, explanation.status) == (False, None), name
    for name in TOKEN_FIRST:
        assert client.get(f"/{name}/").status_code == 200, name
        assert rows[f"{name}/"]["tokens"] == "declared", name
        assert explain(token, "GET", f"/{name}/").allowed, name
