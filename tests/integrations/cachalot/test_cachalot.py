"""Changes of other processes are effective immediately, in spite of django-cachalot."""

import pytest
from cachalot.api import invalidate
from django.contrib.auth.models import User
from django.db import connection

from pat_tokens import lookup, services
from pat_tokens.models import PersonalAccessToken, Scope
from pat_tokens.scopes import RequiredScope, ScopeKey
from pat_tokens.watcher import Watch, find_ended
from tests.factories import ChannelFactory
from tests.models import Channel
from tests.test_lookup import MANAGERS, override_quoting, with_manager  # noqa: F401 -- a fixture

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_kept():
    invalidate()
    yield
    invalidate()


@pytest.fixture
def channel(user):
    return ChannelFactory(owner=user, slug="mine")


def elsewhere(sql, *params):
    """Execute and commit on another connection, which cachalot doesn't know."""
    raw = connection.get_new_connection(connection.get_connection_params())
    raw.execute(sql.replace("%s", "?"), params)
    raw.commit()
    raw.close()


def table(model):
    return model._meta.db_table


def delete_scopes():
    elsewhere(f"DELETE FROM {table(Scope)}")


def by_compiled_sql(monkeypatch, replace_manager):
    pass


def by_the_orm(monkeypatch, replace_manager):
    override_quoting(monkeypatch)


def by_the_manager(monkeypatch, replace_manager):
    replace_manager(MANAGERS["manager"])


@pytest.fixture(params=[by_compiled_sql, by_the_orm, by_the_manager])
def way(request, monkeypatch, with_manager):  # noqa: F811
    """Each way to look up a token."""
    monkeypatch.setattr(lookup, "_queries", {})
    request.param(monkeypatch, with_manager)


def test_cachalot_caches_queries(token):
    """The other tests rely on this."""
    assert [PersonalAccessToken.objects.count() for _ in range(2)] == [1, 1]
    elsewhere(f"DELETE FROM {table(PersonalAccessToken)}")
    assert PersonalAccessToken.objects.count() == 1


PATHS = {
    "by the key": ("get", "/api/channels/{pk}/"),
    "by a slug": ("get", "/api/by-slug/mine/"),
    "limited list": ("get", "/api/channels/"),
    "options": ("options", "/api/channels/{pk}/"),
}


@pytest.mark.parametrize("name", PATHS)
def test_decision_is_not_cached(make_token, channel, client_with, way, name):
    method, path = PATHS[name]
    keys = [f"channels:{channel.pk}:{operation}" for operation in ("read", "list", "update")]
    client = client_with(make_token(*keys))
    ask = getattr(client, method)

    def status():
        return ask(path.format(pk=channel.pk)).status_code

    for _ in range(2):
        assert [status(), status()] == [200, 200]
        rows = list(Scope.objects.values_list("pk", "token_id", "entity_type", "entity_id", "operation"))
        delete_scopes()
        assert [status(), status()] == [403, 403]
        invalidate()
        Scope.objects.bulk_create(
            Scope(token_id=token, entity_type=kind, entity_id=entity, operation=operation)
            for _pk, token, kind, entity, operation in rows
        )
    elsewhere(f"UPDATE {table(User)} SET is_active = %s", False)
    assert [status(), status()] == [401, 401]
    elsewhere(f"UPDATE {table(User)} SET is_active = %s", True)
    assert [status(), status()] == [200, 200]
    elsewhere(f"UPDATE {table(PersonalAccessToken)} SET revoked_at = issued_at")
    assert [status(), status()] == [401, 401]


def test_list_is_not_cached(make_token, channel, client_with, user):
    other = ChannelFactory(owner=user)
    client = client_with(make_token(f"channels:{channel.pk}:list", f"channels:{other.pk}:list"))

    def listed():
        return {row["id"] for row in client.get("/api/channels/").json()}

    assert [listed(), listed()] == [{channel.pk, other.pk}] * 2
    elsewhere(f"DELETE FROM {table(Scope)} WHERE entity_id = %s", str(other.pk))
    assert [listed(), listed()] == [{channel.pk}] * 2


def test_slug_look_up_is_not_cached(make_token, channel, client_with, user):
    other = ChannelFactory(owner=user, slug="other")
    client = client_with(make_token(f"channels:{channel.pk}:read"))
    assert client.get("/api/by-slug/mine/").status_code == 200
    assert client.get("/api/by-slug/other/").status_code == 403
    elsewhere(f"UPDATE {table(Channel)} SET slug = 'gone' WHERE id = %s", channel.pk)
    elsewhere(f"UPDATE {table(Channel)} SET slug = 'mine' WHERE id = %s", other.pk)
    assert client.get("/api/by-slug/mine/").status_code == 403


def test_open_connection_ends(make_token, channel):
    key = str(channel.pk)
    token = make_token(f"channels:{key}:read")
    watch = Watch(token.pk, (token.digest,), RequiredScope("channels", "read", key))
    assert [find_ended([watch]), find_ended([watch])] == [[], []]
    delete_scopes()
    assert find_ended([watch]) == [watch]


def test_deleted_scope_can_be_added_again(make_token, channel, user):
    key = ScopeKey("channels", str(channel.pk), "read")
    token = make_token(":".join(key))
    assert [token.scope_set.keys(), token.scope_set.keys()] == [[key], [key]]
    delete_scopes()
    services.add_scopes(token, [key])
    invalidate()
    assert token.scope_set.keys() == [key]
