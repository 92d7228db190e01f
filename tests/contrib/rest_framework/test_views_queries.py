"""The number of queries of each route of the management API is constant."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from pat_tokens import services
from pat_tokens.contrib.rest_framework import urls
from pat_tokens.models import PersonalAccessToken
from tests.contrib.rest_framework.management import PATS, row, url
from tests.factories import ChannelFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(user):
    client = APIClient()
    client.force_authenticate(user)
    client.default_format = "json"
    return client


@pytest.fixture
def channels(user):
    return [ChannelFactory(owner=user) for _ in range(30)]


def fill(make_token, channels, many):
    count = 12 if many else 1
    scopes = [f"channels:{channel.pk}:read" for channel in (channels if many else channels[:1])]
    return [make_token(*scopes) for _ in range(count)]


READING = [
    ("", 3),
    ("?search=t&status=active&entity_type=channels&operation=read&ordering=-name,expires_at", 3),
    ("{token}/", 2),
    ("{token}/scopes/", 2),
    ("activity/", 1),
    ("activity/?kind=created&kind=revoked&page_size=100", 1),
    ("{token}/activity/", 2),
    ("{token}/missing/", 2),
    ("{token}/explain/?method=GET&path=/api/channels/", 3),
    ("entities/", 0),
    ("entities/channels/", 1),
    ("entities/channels/?search=a&page_size=100", 1),
]
WRITING = [
    ("post", "", {"name": "new"}),
    ("patch", "{token}/", {"name": "new", "description": "new"}),
    ("delete", "{token}/", None),
    ("delete", "", None),
    ("post", "{token}/revoke/", None),
    ("post", "{token}/regenerate/", None),
    ("post", "{token}/rotate/", None),
    ("post", "{token}/rotate/finish/", None),
    ("post", "{token}/rotate/cancel/", None),
    ("post", "{token}/scopes/", {"scopes": [row("channels:*:update"), row("devices:*:read")]}),
    ("delete", "{token}/scopes/", None),
    ("delete", "{token}/scopes/{scope}/", None),
]


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(("path", "count"), READING)
def test_queries_of_reads(api, make_token, channels, django_assert_num_queries, many, path, count):
    tokens = fill(make_token, channels, many)
    if not many:
        type(channels[0]).objects.exclude(pk=channels[0].pk).delete()
    for token in tokens if many else ():
        services.rotate_token(token)  # previous secrets are in a table of their own
    with django_assert_num_queries(count):
        assert api.get(PATS + path.format(token=tokens[0].pk)).status_code == 200


@pytest.mark.parametrize(("method", "path", "body"), WRITING)
def test_queries_of_writes(api, make_token, channels, django_assert_max_num_queries, method, path, body):
    counts = []
    for many in (False, True):
        PersonalAccessToken.objects.all().delete()
        token = fill(make_token, channels, many)[0]
        scope = token.scope_set.first()
        if path.startswith("{token}/rotate/") and path != "{token}/rotate/":
            services.rotate_token(token)
        with django_assert_max_num_queries(20) as queries:
            answer = getattr(api, method)(PATS + path.format(token=token.pk, scope=scope.pk), body)
        assert answer.status_code < 300
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("many", [False, True])
def test_scopes_are_checked_with_one_query(api, make_token, channels, many):
    token = make_token()
    rows = [row(f"channels:{channel.pk}:read") for channel in (channels if many else channels[:1])]
    seen = []
    for existing in (token, None):
        path, body = (url(existing, "scopes"), {}) if existing else (PATS, {"name": "new"})
        with CaptureQueriesContext(connection) as queries:
            assert api.post(path, {**body, "scopes": rows}).status_code == 201
        seen.append(len([query for query in queries if "tests_channel" in query["sql"].lower()]))
    assert seen == [1, 1]


@pytest.mark.parametrize("many", [False, True])
def test_queries_of_current(client_with, make_token, channels, django_assert_num_queries, many):
    client = client_with(fill(make_token, channels, many)[0])
    client.get(PATS + "current/")  # writes the last use
    with django_assert_num_queries(2):
        assert client.get(PATS + "current/").status_code == 200


def test_queries_of_current_revoke(client_with, make_token, channels, django_assert_max_num_queries):
    client = client_with(fill(make_token, channels, True)[0])
    client.get(PATS + "current/")  # writes the last use
    with django_assert_max_num_queries(7):  # token; savepoint, lock (two on SQLite), write, record, release
        assert client.post(PATS + "current/revoke/").status_code == 204


def test_every_route_has_query_count():
    """Fails for routes and methods that no test above requests."""
    asked = {("GET", path.partition("?")[0]) for path, _ in READING} | {(m.upper(), path) for m, path, _ in WRITING}
    asked |= {("GET", "current/"), ("POST", "current/revoke/")}
    there = {
        (method.upper(), str(pattern.pattern))
        for pattern in urls.urlpatterns
        for method in pattern.callback.actions
        if method != "head"
    }
    parts = {"<str:token_id>": "{token}", "<str:scope_id>": "{scope}", "<str:entity_type>": "channels"}
    assert asked == {(method, "/".join(parts.get(part, part) for part in path.split("/"))) for method, path in there}
