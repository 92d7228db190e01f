import pytest
from django.urls import path

from pat_tokens.contrib.ninja.inspection import inspect
from pat_tokens.requirements import declare_url
from pat_tokens.routes import Route, inspect_all
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
def test_says_of_each_method_what_it_requires(reports, route, method, status, requirement):
    report = reports[route]
    found = report.find(method)
    assert report.kind == "Ninja operation"
    assert (found.status, found.resolution.requirement) == (status, requirement)
    assert report.reads_tokens is (route != "open")


def test_says_which_lists_are_limited(reports):
    assert reports["limited"].find("GET").limits
    assert not reports["unlimited"].find("GET").limits


def test_leaves_other_views_to_others():
    assert inspect(Route("", path("", lambda request: None).callback)) is None
