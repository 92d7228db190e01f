"""django-silk records the token's SELECT once, like all other queries of a request."""

import pytest
from django.db import OperationalError, connection
from silk.models import SQLQuery

from pat_tokens import lookup
from pat_tokens.models import PersonalAccessToken, Scope
from tests.factories import ChannelFactory
from tests.models import Channel
from tests.test_lookup import override_quoting

pytestmark = pytest.mark.django_db

TABLES = [f'FROM "{model._meta.db_table}"' for model in (PersonalAccessToken, Scope, Channel)]
FROM_TOKENS, FROM_SCOPES, FROM_CHANNELS = TABLES


@pytest.fixture
def recorded():
    """Return the tables of the SELECTs that silk has recorded since the last call."""

    def read():
        queries = [query.query for query in SQLQuery.objects.order_by("pk")]
        SQLQuery.objects.all().delete()
        first = [next((table for table in TABLES if table in query), None) for query in queries]
        return [table for table in first if table is not None]

    return read


@pytest.fixture
def channel(user):
    return ChannelFactory(owner=user, slug="mine")


def test_token_query_is_recorded(make_token, channel, client_with, recorded):
    client = client_with(make_token(f"channels:{channel.pk}:read", f"channels:{channel.pk}:list"))
    for path, expected in (
        (f"/api/channels/{channel.pk}/", [FROM_TOKENS, FROM_CHANNELS]),
        ("/api/channels/", [FROM_TOKENS, FROM_SCOPES, FROM_CHANNELS]),
        ("/api/by-slug/mine/", [FROM_TOKENS, FROM_CHANNELS, FROM_TOKENS, FROM_CHANNELS]),
    ):
        for _ in range(2):
            assert client.get(path).status_code == 200
            assert recorded() == expected


def test_orm_query_is_recorded_once(make_token, channel, client_with, recorded, monkeypatch):
    monkeypatch.setattr(lookup, "_queries", {})
    override_quoting(monkeypatch)
    client = client_with(make_token(f"channels:{channel.pk}:read"))
    assert client.get(f"/api/channels/{channel.pk}/").status_code == 200
    assert recorded() == [FROM_TOKENS, FROM_CHANNELS]


def test_query_of_refused_token_is_recorded(client_with, token, channel, recorded):
    for _ in range(2):  # the first request also records which scope is missing
        assert client_with(token).get(f"/api/channels/{channel.pk}/").status_code == 403
        found = recorded()
        assert found[0] == FROM_TOKENS
    assert found == [FROM_TOKENS]


def test_failed_query_is_recorded(client_with, token, channel, recorded):
    def fail(execute, sql, *args):
        if FROM_TOKENS in sql and not sql.startswith("EXPLAIN"):
            raise OperationalError("gone")
        return execute(sql, *args)

    with connection.execute_wrapper(fail):
        assert client_with(token).get(f"/api/channels/{channel.pk}/").status_code == 503
    assert recorded() == [FROM_TOKENS]


def test_recorded_queries_have_no_secret(make_token, channel, client_with):
    token = make_token(f"channels:{channel.pk}:read")
    assert client_with(token).get(f"/api/channels/{channel.pk}/").status_code == 200
    assert not SQLQuery.objects.filter(query__contains=token.secret[4:24]).exists()
