"""Routes that requests never reach."""

import re
from types import ModuleType

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.urls import include, path, re_path, register_converter, resolve
from django.urls.converters import StringConverter

from pat_tokens.inspection.routes import walk
from pat_tokens.inspection.shadows import find_shadows


class Even(StringConverter):
    def to_python(self, value):
        if len(value) % 2:
            raise ValueError
        return value


register_converter(Even, "even")


def view(request, **kwargs):
    pass


def one_route(pattern):
    make = re_path if pattern.startswith("^") or "(" in pattern else path
    return make(pattern, view)


@pytest.fixture
def shadows(settings):
    def shadows(*patterns):
        settings.ROOT_URLCONF = ModuleType("urls_of_a_test")
        settings.ROOT_URLCONF.urlpatterns = [one_route(one) if isinstance(one, str) else one for one in patterns]
        return find_shadows(walk())

    return shadows


CERTAIN = [
    ("books/<str:name>/", "books/export/"),
    ("books/<pk>/", "books/<int:pk>/"),
    ("books/<int:pk>/", "books/<int:number>/"),
    ("books/<even:pk>/", "books/<even:number>/"),
    ("books/<even:pk>/", "books/ab/"),
    ("books/<slug:pk>/notes/", "books/<int:pk>/notes/"),
    ("books/<slug:pk>/", "books/<uuid:pk>/"),
    ("books/<pk>/", "books/<int:pk>.json/"),
    ("<path:rest>", "books/<pk>/"),
    ("app/<path:rest>", "app/books/<pk>/"),
    ("app/<path:rest>", "app/<path:other>"),
    (r"^app/", "app/books/<pk>/"),
    (r"^app/", r"^app/(?P<rest>.*)$"),
    (r"^", "app/"),
    (r"^books/(?P<pk>[^/.]+)/$", r"^books/export/$"),
    (r"^books/(?P<pk>[^/.]+)/$", r"^books/(?P<slug>[\w-]+)/$"),
    (r"^books/(?P<pk>[^/\.]+)/\Z", "books/<slug:slug>/"),
    (r"^books/(?P<pk>[a-c]{3})/$", r"^books/(?P<key>[a-c]{3})/$"),
    (r"^books/(?P<pk>[a-c]{3})/$", "books/abc/"),
    (r"^books/(?P<pk>[^/.]+)/?$", r"^books/export/?$"),
    (r"^books/(?P<pk>[^/.]+)/?$", "books/export/"),
    (r"^books/(?P<pk>[^/.]+)/?$", "books/export"),
    (r"^books\.json$", "books.json"),
    (r"^(books|films)/$", "films/"),
]
UNCERTAIN = [
    ("books/export/", "books/<str:name>/"),
    ("books/<int:pk>/", "books/<pk>/"),
    ("books/<int:pk>/", r"^books/(?P<pk>[0-9]+)/$"),  # int() refuses very long numbers
    ("books/<int:pk>/", "books/export/"),
    ("books/<int:pk>/", "books/<int:pk>"),
    ("books/<int:pk>/", "films/<int:pk>/"),
    ("books/<int:pk>/", "books/<int:pk>/notes/"),
    ("books/<even:pk>/", "books/<int:pk>/"),
    ("books/<even:pk>/", "books/abc/"),
    ("books/<slug:pk>/", "books/<int:pk>.json/"),
    ("app/<path:rest>", "app/"),
    ("app/<path:rest>", r"^app/"),
    ("app/<path:rest>", "apps/books/"),
    (r"^app", "apps/<pk>/"),  # it does match, but only what ends at a slash is compared
    (r"^books/(?P<pk>[^/.]+)/$", r"^books/(?P<pk>[^/]+)/$"),
    (r"^books/(?P<pk>[^/.]+)/$", r"books/(?P<pk>[^/.]+)/$"),  # matches anywhere in the path
    (r"^books/(?P<pk>[^/.]+)/$", r"^books/(?P<pk>[^/.]+)/?$"),
    (r"^books/(?P<pk>[a-c]{3})/$", r"^books/(?P<pk>[a-b]{3})/$"),
    (r"^(books|films)/$", "songs/"),
    (r"^(books|films)/$", r"^(books)/$"),
]
VALUES = {"int": "7", "uuid": "0b3e7c4e-7a0e-4f2e-9a55-6f0d5f1c2b3a", "even": "ab", "path": "x/y"}


def examples(pattern):
    """Return a path that a pattern matches."""
    text = re.sub(r"\(\?P<\w+>[^()]*\)", "abc", pattern)
    text = re.sub(r"<(?:(\w+):)?\w+>", lambda match: VALUES.get(match[1], "abc"), text)
    return "/" + text.strip("^$").replace("/?", "/").replace("\\Z", "").replace("\\", "")


@pytest.mark.parametrize(("first", "second"), CERTAIN)
def test_shadowed_route_is_found(shadows, first, second):
    found = shadows(first, second)
    assert found[0] is None
    match = resolve(examples(second))
    assert found[1] == match.route == first


@pytest.mark.parametrize(("first", "second"), UNCERTAIN)
def test_reachable_route_is_not_shadowed(shadows, first, second):
    assert shadows(first, second) == [None, None]


def test_first_of_several_is_named(shadows):
    assert shadows("<a>/<b>/", "books/<pk>/", "<path:rest>", "books/<int:pk>/") == [None, "<a>/<b>/", None, "<a>/<b>/"]


def test_included_routes(shadows):
    inner = [path("<pk>/", view), re_path(r"^(?P<pk>\d+)/$", view)]
    assert shadows(path("api/", include(inner)), path("api/export/", view), re_path("^web/", include(inner))) == [
        None,
        "api/<pk>/",
        "api/<pk>/",
        None,
        "^web/<pk>/",
    ]
    # An include without ^ matches anywhere.
    assert shadows(path("web/<pk>/", view), re_path("web/", include([path("<int:pk>/", view)]))) == [None, None]


def test_language_prefix(shadows):
    # Which one it is depends on the request.
    inner = i18n_patterns(path("<pk>/", view), path("<int:pk>/", view), path("x/", view))
    assert shadows(path("en-us/<pk>/", view), *inner) == [None, None, "en-us/<pk>/", "en-us/<pk>/"]
