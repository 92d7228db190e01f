import pytest
from django.urls import path
from ninja import NinjaAPI

from pat_tokens.checks.routes import check_routes
from pat_tokens.contrib.ninja.inspection import inspect
from pat_tokens.declarations import declare_url
from pat_tokens.inspection.routes import inspect_all
from pat_tokens.integrations import Route
from tests.contrib.ninja import api as site


@pytest.fixture
def reports(declarations):
    declare_url("ninja-host:foreign", {"GET": site.READ})
    return {report.route.pattern: report for report in inspect_all("tests.contrib.ninja.api")}


@pytest.mark.parametrize(
    ("route", "method", "status", "requirement"),
    [
        ("sync/<int:pk>", "GET", "declared", site.READ),
        ("sync/<int:pk>", "POST", "declared", site.PUBLISH),
        ("async/<int:pk>", "POST", "declared", site.PUBLISH),
        ("foreign/<int:pk>", "GET", "declared", site.READ),
        ("foreign/<int:pk>", "POST", "undeclared", None),
        ("undeclared/<int:pk>", "GET", "undeclared", None),
        ("router/<int:pk>", "GET", "declared", site.READ),
        ("open", "GET", "refused", None),
    ],
)
def test_reports_requirement_of_each_method(reports, route, method, status, requirement):
    report = reports[route]
    found = report.find(method)
    assert report.kind == "Ninja operation"
    assert (found.status, found.resolution.requirement) == (status, requirement)
    assert report.reads_tokens is (route != "open")


def test_reports_limited_lists(reports):
    assert reports["limited"].find("GET").limits
    assert not reports["unlimited"].find("GET").limits


def test_other_views_are_not_reported():
    assert inspect(Route("", path("", lambda request: None).callback)) is None


class TestOperationsOfOnePath:
    """Ninja adds a pattern per operation, and Django resolves the first."""

    @pytest.fixture
    def urlpatterns(self, settings, declarations):
        api = NinjaAPI(auth=site.needs(), urls_namespace="one-path")
        api.get("/one/{pk}", auth=site.needs(site.READ), url_name="read")(lambda request, pk: {})
        api.post("/one/{pk}", url_name="change")(lambda request, pk: {})
        api.put("/one/{pk}", auth=None, url_name="anybody")(lambda request, pk: {})
        settings.ROOT_URLCONF = (path("", api.urls),)

    def test_are_one_route(self, urlpatterns):
        (report,) = [report for report in inspect_all() if report.route.pattern == "one/<pk>"]
        assert [method.method for method in report.methods] == ["GET", "POST", "PUT"]
        assert report.route.url_name == "one-path:read"
        assert report.other_names == ("one-path:change", "one-path:anybody")
        assert [method.reads_tokens for method in report.methods] == [True, True, False]

    def test_are_counted_once(self, urlpatterns):
        (coverage,) = [message for message in check_routes() if message.id == "pat_tokens.W050"]
        assert coverage.msg.startswith("1 operations refuse every token")

    def test_are_declared_by_first_url_name(self, urlpatterns):
        declare_url("one-path:change", {"POST": site.READ})
        (error,) = [message for message in check_routes() if message.id == "pat_tokens.E054"]
        assert "resolve to the name 'one-path:read'" in error.msg
