"""Parsing URL patterns."""

from hypothesis import given
from hypothesis import strategies as st

from pat_tokens.contrib.rest_framework.route_patterns import is_plain, read_shape

FORMAT = frozenset({"format", "version"})


def test_plain_routes(subtests):
    rows = [
        ("channels/", None, ""),
        ("api/^channels/$", None, ""),
        (r"^channels\.(?P<format>[a-z0-9]+)/?$", None, ""),
        (r"^channels\.(?P<format>(json|html))/?$", None, ""),
        ("channels<drf_format_suffix:format>", None, ""),
        ("channels/export/", None, "export"),
        ("channels/<int:pk>/", "pk", ""),
        ("channels/<pk>", "pk", ""),
        (r"^channels/(?P<pk>[^/.]+)/?$", "pk", ""),
        (r"^channels/(?P<pk>(a|[)(]))/\Z", "pk", ""),
        (r"^channels/(?P<pk>[^/.]+)\.(?P<format>[a-z0-9]+)/?$", "pk", ""),
        ("<str:version>/channels/<int:pk>/publish/", "pk", "publish"),
        (r"my\-channels/(?P<pk>\d+)/share/with/", "pk", "share/with"),
    ]
    for route, keyword, url_path in rows:
        with subtests.test(route=route, keyword=keyword, url_path=url_path):
            assert is_plain(route, keyword, url_path, FORMAT)


def test_other_routes_are_not_plain(subtests):
    rows = [
        ("projects/<int:pk>/tasks/", "pk", ""),
        ("projects/<int:pk>/tasks/", None, ""),
        ("projects/<int:pk>/tasks/<int:pk>/", "pk", ""),
        (r"projects/(?P<pk>\d+)/tasks/$", "pk", ""),
        (r"tasks/(?P<pk>\d+)?/$", "pk", ""),
        (r"tasks/(?:(?P<pk>\d+)/)?$", "pk", ""),
        (r"tasks/(?:(?P<pk>\d+)/)?$", None, ""),
        (r"projects/\d+/tasks/$", None, ""),
        (r"projects/[0-9]+/tasks/$", None, ""),
        (r"projects/.*/tasks/$", None, ""),
        (r"projects/(\d+)/tasks/$", None, ""),
        (r"tasks|projects", None, ""),
        ("tasks/<int:pk>/", "id", ""),
        ("tasks/<int:pk>/publish/", "pk", "lock"),
        ("tasks/<int:pk>/publish/now/", "pk", "publish"),
        ("tasks/unpublish/", None, "publish"),
        ("tasks/publish/", None, None),
        (r"tasks/<int:pk>/publish/", "pk", r"publish/(?P<who>\d+)"),
    ]
    for route, keyword, url_path in rows:
        with subtests.test(route=route, keyword=keyword, url_path=url_path):
            assert not is_plain(route, keyword, url_path, FORMAT)


@given(st.text(alphabet="abc/<>:()[]?P.*\\^$|{}+-12", max_size=40))
def test_any_text_is_parsed(route):
    shape = read_shape(route)
    assert shape is None or shape.keyword is None or f"{shape.keyword}>" in route


@given(st.text(alphabet="abc/<>:()[]?P.*\\^$|{}+-12", max_size=20), st.sampled_from(["<int:pk>", r"(?P<pk>\d+)"]))
def test_text_after_keyword_is_kept(end, keyword):
    if is_plain(f"tasks/{keyword}{end}", "pk", ""):
        assert not any(
            character.isalnum() for character in end.replace("\\Z", "").replace("\\A", "").replace("\\z", "")
        )
