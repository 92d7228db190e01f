"""The check of a secret and the lists of activity use an index, on every database."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pat_tokens import crypto, lookup, services
from pat_tokens.conf import conf
from pat_tokens.models import Activity, Kind, PersonalAccessToken, PreviousSecret
from pat_tokens.scopes import RequiredScope
from tests.contrib.rest_framework.management import PATS, session_client
from tests.factories import TokenFactory, UserFactory

# ANALYZE TABLE commits on MariaDB, so the rows have to be deleted afterwards.
pytestmark = [pytest.mark.sql, pytest.mark.django_db(transaction=True)]

TOKENS, ROWS = 3000, 10_000
TABLES = {model._meta.db_table for model in (PersonalAccessToken, PreviousSecret, Activity)}


def fill(owner):
    """Fill the tables, so that an index is better than reading all rows."""
    now, others = timezone.now(), UserFactory.create_batch(20)
    tokens = [
        PersonalAccessToken(
            user=others[n % 20], name=f"{n}", name_key=f"{n}", digest=crypto.fold(f"{n}"), issued_at=now
        )
        for n in range(TOKENS)
    ]
    for number, token in enumerate(tokens):
        token.previous_digest = crypto.fold(f"previous {number}")
    PersonalAccessToken.objects.bulk_create(tokens, 500)
    PreviousSecret.objects.bulk_create([PreviousSecret(token=token, issued_at=now) for token in tokens], 500)
    kinds = [kind for kind in Kind.values if kind != Kind.REFUSED]
    rows = [
        Activity(
            owner=others[n % 20], token_id=uuid.uuid4(), kind=kinds[n % len(kinds)], at=now - timedelta(hours=ROWS - n)
        )
        for n in range(ROWS)
    ]
    Activity.objects.bulk_create(rows, 1000)
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"ANALYZE {'TABLE' if connection.vendor == 'mysql' else ''} {table}")
            cursor.fetchall() if connection.vendor == "mysql" else None


def reads_whole_table(sql):
    """Return the lines of the plan that read all rows of a table of ours."""
    with connection.cursor() as cursor:
        explain = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
        cursor.execute(explain + sql.replace("%", "%%"), ())
        names = [column[0] for column in cursor.description]
        lines = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    if connection.vendor == "mysql":
        return [line for line in lines if line["type"] in ("ALL", "index") and int(line["rows"]) > 1000]
    texts = [str(line.get("detail") or line.get("QUERY PLAN")) for line in lines]
    starts = [f"{start} {table}" for start in ("SCAN", "Seq Scan on") for table in TABLES]
    return [text for text in texts if any(start in text for start in starts) and " USING " not in text]


def test_queries_use_index(client, user, case):
    fill(user)
    token = TokenFactory(user=user, scopes=[("channels", "*", "read")])
    _token, new = services.rotate_token(token)
    client.force_login(user)
    api, scope = session_client(user), RequiredScope("channels", "read", "1")
    day = timezone.localdate()
    queries = ["", "kind=revoked", "kind=revoked&kind=deleted", f"token={token.pk}", f"since={day}", f"until={day}"]
    asked = {
        "current secret": lambda: lookup.find_token(crypto.digests(new, conf.peppers), scope),
        "previous secret": lambda: lookup.find_token(crypto.digests(token.secret, conf.peppers), scope),
        "previous secret, two peppers": lambda: lookup.find_token(
            crypto.digests(token.secret, [*conf.peppers, "b"]), scope
        ),
        "page of token": lambda: client.get(f"/pats/{token.pk}/"),
        **{f"page ?{query}": lambda query=query: client.get(f"/pats/activity/?{query}") for query in queries},
        **{
            f"API ?{query}": lambda query=query: api.get(
                f"{PATS}activity/?{query.replace(str(day), f'{day}T00:00:00Z')}"
            )
            for query in queries
        },
    }
    for name, ask in asked.items():
        with case(name):
            with CaptureQueriesContext(connection) as captured:
                answer = ask()
            assert answer is not None
            assert getattr(answer, "status_code", 200) == 200
            plans = {
                query["sql"]: reads_whole_table(query["sql"])
                for query in captured
                if query["sql"].startswith("SELECT") and any(table in query["sql"] for table in TABLES)
            }
            assert plans
            assert not any(plans.values()), [each for each in plans.items() if each[1]]
    by_name = "SELECT * FROM pat_tokens_personalaccesstoken WHERE name = 'nobody'"
    assert reads_whole_table(by_name), "else nothing was tested"
