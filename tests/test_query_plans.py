"""Frequent queries use an index, on tables large enough for PostgreSQL to choose one."""

from datetime import timedelta
from unittest import mock

import pytest
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import connection, connections, models
from django.db.models.expressions import OrderBy
from django.db.models.functions import Collate, Upper
from django.db.models.indexes import IndexExpression
from django.test import Client, TestCase, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from pat_tokens import crypto, lookup, scope_usage, services, watcher
from pat_tokens.conf import conf
from pat_tokens.entities import registry
from pat_tokens.filtering import LimitedList
from pat_tokens.models import PersonalAccessToken, Scope
from pat_tokens.querysets import SORTABLE
from pat_tokens.requirements import Requirement
from pat_tokens.scopes import ALL, Decision, RequiredScope, ScopeKey
from tests.factories import TokenFactory
from tests.models import Channel

pytestmark = [pytest.mark.sql, pytest.mark.django_db, pytest.mark.postgres]

USERS, TOKENS, SCOPES = 400, 20_000, 3
FILL = f"""
INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
SELECT '', false, 'many' || n, '', '', '', false, true, now() FROM generate_series(1, {USERS}) n;
INSERT INTO pat_tokens_personalaccesstoken ({{columns}})
SELECT {{values}}
FROM (
    SELECT n, gen_random_uuid() AS id, users.ids[1 + n % {USERS}] AS user_id
    FROM generate_series(1, {TOKENS}) n, (SELECT array_agg(id) AS ids FROM auth_user WHERE username LIKE 'many%') users
) made;
INSERT INTO pat_tokens_scope (id, token_id, entity_type, entity_id, operation, created_at)
SELECT gen_random_uuid(), token.id, 'channels', n::text, (ARRAY['read', 'list'])[1 + n % 2], now()
FROM pat_tokens_personalaccesstoken token, generate_series(1, {SCOPES}) n;
INSERT INTO pat_tokens_previoussecret (token_id, pepper_id, hint, issued_at, is_legacy, last_used_agent, grace_period)
SELECT id, '', '', now(), false, '', '1d' FROM pat_tokens_personalaccesstoken;
INSERT INTO pat_tokens_reminder (id, token_id, issued_at, days, claimed_at, sent_at)
SELECT gen_random_uuid(), id, issued_at, 3, now(), now() FROM pat_tokens_personalaccesstoken;
INSERT INTO pat_tokens_missingscope (id, token_id, entity_type, entity_id, operation, count, last_at)
SELECT gen_random_uuid(), token.id, 'channels', n::text, 'update', 1, now() - n * interval '1 hour'
FROM pat_tokens_personalaccesstoken token, generate_series(1, {SCOPES}) n;
ANALYZE auth_user, pat_tokens_personalaccesstoken, pat_tokens_previoussecret, pat_tokens_scope, pat_tokens_reminder,
    pat_tokens_missingscope;
"""
VALUES = {
    "id": "id",
    "user_id": "user_id",
    "name": "'token ' || n",
    "name_key": "md5(n::text) || md5('n' || n)",
    "digest": "md5('d' || n) || md5('e' || n)",
    # One in a hundred is in an overlap.
    "previous_digest": "md5('p' || n) || md5('q' || n)",
    "rotated_at": "CASE WHEN n % 100 = 2 THEN now() - interval '1 hour' END",
    "issued_at": "now() - n * interval '1 minute'",
    # Few tokens are inactive for long, as on a site that prunes.
    "expires_at": "CASE WHEN n % 100 = 0 THEN now() - interval '1 second' ELSE now() + interval '30 days' END",
    "revoked_at": "CASE WHEN n % 1000 = 1 THEN now() - interval '40 days' END",
    "last_used_at": "CASE WHEN n % 3 = 0 THEN now() - n * interval '1 second' END",
}


@pytest.fixture
def token(db):
    """One of 50 tokens of its owner, in large analyzed tables."""
    columns, values = [], []
    for field in PersonalAccessToken._meta.concrete_fields:
        default = field.get_default() if field.has_default() or not field.null else None
        columns.append(field.column)
        values.append(VALUES.get(field.column) or connection.ops.compose_sql("%s", [default]))
    statement = FILL.format(columns=", ".join(columns), values=", ".join(values))
    with connection.cursor() as cursor:
        cursor.execute(statement)
    owner = PersonalAccessToken.objects.order_by("issued_at")[0].user
    Channel.objects.create(owner=owner, name="one")
    return TokenFactory(user=owner, name="the token", scopes=[["channels", ALL, "read"], ["channels", ALL, "list"]])


def api(token, method, path, body=None):
    client = APIClient()
    client.force_authenticate(token.user)
    answer = getattr(client, method)(f"/api/pats/{path}", body, format="json")
    assert answer.status_code < 300, answer.content


def page(token, path):
    client = Client()
    client.force_login(token.user)
    assert client.get(f"/pats/{path}").status_code == 200


def find(token, required_scope):
    assert lookup.find_token(crypto.digests(token.secret, conf.peppers), required_scope)


def find_previous(token, required_scope):
    services.rotate_token(token)
    found = lookup.find_token(crypto.digests(token.secret, conf.peppers), required_scope)
    assert found.is_previous
    with override_settings(PAT_TOKENS_PEPPERS=[*conf.peppers, "another", "and a third"]):
        assert lookup.find_token(crypto.digests(token.secret, conf.peppers), required_scope) == found


def first_use(token):
    services.record_first_use(services.rotate_token(token)[0])


def use_scope(token):
    required_scope = RequiredScope("channels", "read", "1")
    scope_usage.record_scope_use(lookup.find_token(crypto.digests(token.secret, conf.peppers), required_scope))


def limited(token):
    token.decision = Decision(limited=True, required_scope=RequiredScope("channels", "list", filtered=True))
    list(LimitedList(token, Requirement("channels", "list")).limit(Channel.objects.all()))


def watch(token):
    tokens = list(PersonalAccessToken.objects.order_by("pk")[:100])
    required_scope = RequiredScope("channels", "read", "1")
    # It closes the connection, and so the test's transaction.
    with mock.patch.object(connections["default"], "close"), mock.patch.object(watcher, "close_old_connections"):
        watcher.find_ended([watcher.Watch(one.pk, (one.digest,), required_scope) for one in tokens])


def scope_of(token):
    return token.scope_set.order_by("pk")[0]


MOMENT = timezone.now().isoformat().replace("+00:00", "Z")
FILTERS = (
    "status=active", "status=expired", "status=revoked", "name=token", "search=token", "entity_type=channels",
    "operation=read", "entity_type=channels&operation=read", f"expires_before={MOMENT}", f"expires_after={MOMENT}",
    f"last_used_before={MOMENT}", "never_used=true", "page=2&page_size=10",
)  # fmt: skip

HOT = {
    "look-up": lambda token: find(token, None),
    "look-up for an operation": lambda token: find(token, RequiredScope("channels", "read", "1")),
    "look-up of a previous secret": lambda token: find_previous(token, RequiredScope("channels", "read", "1")),
    "record the first use": first_use,
    "mail about previous secrets": lambda token: list(
        PersonalAccessToken.objects.with_previous_secret_in_use(timezone.now() - timedelta(days=30))
    ),
    "rotate": services.rotate_token,
    "finish a rotation": lambda token: services.finish_rotation(services.rotate_token(token)[0]),
    "cancel a rotation": lambda token: services.cancel_rotation(services.rotate_token(token)[0]),
    "look-up for a list": lambda token: find(token, RequiredScope("channels", "list", filtered=True)),
    "another need": lambda token: lookup.decide_again(token, RequiredScope("channels", "read", "1")),
    "ids of a limited list": limited,
    "record a use": services.record_use,
    "record the use of a scope": use_scope,
    "record a missing scope": lambda token: scope_usage.record_missing(token, [ScopeKey("channels", ALL, "update")]),
    "prune missing scopes": lambda token: scope_usage.prune_missing(),
    "another pepper": lambda token: services.redigest_token(token, "0" * 64),
    "watching": watch,
    "scopes": lambda token: list(token.scope_set.sorted()),
    "create, and count the limit": lambda token: services.create_token(token.user, name="new"),
    "regenerate": services.regenerate_token,
    "revoke": services.revoke_token,
    "rename": lambda token: services.update_token(token, name="renamed", description="new"),
    "add scopes": lambda token: services.add_scopes(token, [["channels", ALL, "update"]]),
    "delete a scope": lambda token: services.delete_scope(scope_of(token)),
    "delete scopes": services.delete_scopes,
    "delete": services.delete_token,
    "delete all": lambda token: services.delete_tokens(token.user),
    "prune": lambda token: services.prune_tokens(inactive_for=timedelta(days=30)),
    **{f"API: {name}": (lambda token, name=name: api(token, "get", f"?ordering={name}")) for name in SORTABLE},
    **{f"API: -{name}": (lambda token, name=name: api(token, "get", f"?ordering=-{name}")) for name in SORTABLE},
    **{f"API: {one}": (lambda token, one=one: api(token, "get", f"?{one}")) for one in FILTERS},
    "API: token": lambda token: api(token, "get", f"{token.pk}/"),
    "API: missing scopes": lambda token: api(token, "get", f"{token.pk}/missing/"),
    "delete unused scopes": lambda token: services.delete_scopes(token, token.scope_set.unused_since(timezone.now())),
    "API: scopes": lambda token: api(token, "get", f"{token.pk}/scopes/"),
    "page: list": lambda token: page(token, ""),
    "page: all, sorted and searched": lambda token: page(token, "?status=all&sort=-last_used_at&search=token"),
    "page: token": lambda token: page(token, f"{token.pk}/"),
}


def plans_of(do, token):
    """Return the plan of each query to our tables in `do`, by its SQL."""
    with CaptureQueriesContext(connection) as queries, TestCase.captureOnCommitCallbacks(execute=True):
        do(token)
    asked = [query["sql"] for query in queries if query["sql"].startswith(("SELECT", "UPDATE", "DELETE"))]
    plans = {}
    with connection.cursor() as cursor:
        for sql in asked:
            if "pat_tokens_" in sql:
                cursor.execute("EXPLAIN " + sql.replace("%", "%%"), ())
                plans[sql] = "\n".join(line for (line,) in cursor.fetchall())
    return plans


def test_frequent_queries_use_index(token, subtests):
    for name, do in HOT.items():
        with subtests.test(name):
            savepoint = connection.savepoint()
            plans = plans_of(do, token)
            connection.savepoint_rollback(savepoint)
            assert plans
            for sql, plan in plans.items():
                assert "Seq Scan on pat_tokens_" not in plan, f"{sql[:500]}\n{plan[:500]}"


def test_query_without_index_is_detected(token):
    """The test above relies on this: the tables are large enough for an index to be better."""
    plans = plans_of(lambda token: list(PersonalAccessToken.objects.filter(name="nobody's")), token)
    assert ["Seq Scan on pat_tokens_personalaccesstoken" in plan for plan in plans.values()] == [True]
    assert PersonalAccessToken.objects.count() > TOKENS
    assert Scope.objects.count() > TOKENS * SCOPES


@pytest.fixture
def ordered(user, monkeypatch):
    """An entity type with many entities of one user, and the indexes of docs/how-to/many-entities.md."""
    entity_type = registry.get("channels")
    monkeypatch.setattr(
        type(entity_type), "get_queryset", lambda self, user: Channel.objects.filter(owner=user).order_by("name")
    )
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        # As django.contrib.postgres does where it is installed.
        IndexExpression.register_wrappers(OrderBy, OpClass, Collate)
        with connection.schema_editor() as editor:
            editor.add_index(Channel, GinIndex(OpClass(Upper("name"), name="gin_trgm_ops"), name="channel_search"))
            editor.add_index(Channel, models.Index(fields=["owner", "name", "id"], name="channel_in_order"))
        rows = "SELECT %s, left(md5(n::text), 8) || ' garage' FROM generate_series(1, 20000) n"
        cursor.execute(f"INSERT INTO tests_channel (owner_id, name) {rows}", [user.pk])
        cursor.execute("SELECT gin_clean_pending_list('channel_search')")
        cursor.execute("ANALYZE tests_channel")
    return entity_type


def test_documented_indexes_answer_entity_search(ordered, user):
    plans = {term: ordered.find(user, term)[:51].explain() for term in ("", "garage", "c4ca4", "garage c4ca4", "12345")}
    assert [term for term, plan in plans.items() if "channel_in_order" in plan] == ["", "garage"]
    assert [term for term, plan in plans.items() if "channel_search" in plan] == ["c4ca4", "garage c4ca4", "12345"]
