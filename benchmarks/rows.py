"""Many rows for every candidate, written by the database itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.utils import timezone
from knox.models import AuthToken
from oauth2_provider.models import AccessToken, Application
from rest_framework.authtoken.models import Token
from rest_framework_api_key.models import APIKey

from pat_tokens.models import PersonalAccessToken, Scope

SCOPES = 1  # rows for each of our tokens

# Expressions of each database, over the number `n` of the row.
_DIALECTS = {
    "sqlite": {
        "series": "WITH RECURSIVE series(n) AS (SELECT {start} UNION ALL SELECT n + 1 FROM series WHERE n < {end})",
        "hex": "lower(hex(randomblob({bytes})))",
        "uuid": "lower(hex(randomblob(16)))",
        "text": "CAST(n AS text)",
    },
    "postgresql": {
        "series": "WITH series(n) AS (SELECT generate_series({start}, {end}))",
        "hex": "encode(sha512(convert_to(n::text || '{bytes}' || random()::text, 'UTF8')), 'hex')::varchar",
        "uuid": "gen_random_uuid()",
        "text": "n::text",
    },
}


def fill(start: int, end: int) -> None:
    """Write rows number `start` to `end`: a user each, and one token of theirs for each candidate."""
    say = _DIALECTS[connection.vendor]
    series = say["series"].format(start=start, end=end)

    def hexes(length: int) -> str:
        text = say["hex"].format(bytes=length // 2)
        return f"substr({text}, 1, {length})"

    now = timezone.now()
    later = now + timedelta(days=30)
    first = (User.objects.order_by("-pk").values_list("pk", flat=True).first() or 0) + 1 - start
    user = f"n + {first}"
    application = Application.objects.order_by("pk").values_list("pk", flat=True).first()
    name = f"'name ' || {say['text']}"
    empty = dict.fromkeys(("first_name", "last_name", "email", "password"), "")
    flags = {"is_superuser": False, "is_staff": False, "is_active": True, "date_joined": now}
    _insert(User, series, {"id": user, "username": f"'many-' || {say['text']}"}, {**empty, **flags})
    _insert(Token, series, {"user": user, "key": hexes(40)}, {"created": now})
    _insert(
        AuthToken,
        series,
        {"user": user, "digest": hexes(128), "token_key": hexes(15)},
        {"created": now, "expiry": later},
    )
    # Eight characters that never come twice.
    prefix = f"substr('0000000' || {say['text']}, -8)" if connection.vendor == "sqlite" else "lpad(n::text, 8, '0')"
    _insert(
        APIKey,
        series,
        {"id": hexes(100), "prefix": prefix, "hashed_key": hexes(100), "name": name},
        {"created": now, "revoked": False, "expiry_date": later},
    )
    _insert(
        AccessToken,
        series,
        {"user": user, "token": hexes(40), "token_checksum": hexes(64)},
        {"application": application, "expires": later, "scope": "read", "created": now, "updated": now},
    )
    _insert(
        PersonalAccessToken,
        series,
        {"id": say["uuid"], "user": user, "name": name, "name_key": hexes(64), "digest": hexes(64)},
        {"created_at": now, "issued_at": now, "expires_at": later},
    )
    tokens = PersonalAccessToken._meta.db_table
    _insert(
        Scope,
        f"WITH series(n, token) AS (SELECT k.k, t.id FROM {tokens} t"
        f" CROSS JOIN ({' UNION ALL '.join(f'SELECT {k} AS k' for k in range(SCOPES))}) k"
        f" WHERE t.user_id BETWEEN {first + start} AND {first + end})",
        {"id": say["uuid"], "token": "token", "entity_id": say["text"]},
        {"entity_type": "channels", "operation": "read", "created_at": now},
    )
    if connection.vendor == "postgresql":
        _execute(f"SELECT setval(pg_get_serial_sequence('auth_user', 'id'), {first + end})")
        _execute("VACUUM ANALYZE")
    else:
        _execute("ANALYZE")


def _insert(model: type[Model], series: str, expressions: dict[str, str], constants: dict[str, Any]) -> None:
    """Insert a row for each of the series; what is not named gets the default of its field, if that is a constant."""
    columns: dict[str, str] = {}
    params: list[Any] = []
    for field in model._meta.local_concrete_fields:
        if field.name in expressions:
            columns[field.column] = expressions[field.name]
        elif not field.primary_key:
            value = constants[field.name] if field.name in constants else field.get_default()
            columns[field.column] = "%s" if value is not None else "NULL"
            if value is not None:
                params.append(field.get_db_prep_save(value, connection))
    quoted = ", ".join(connection.ops.quote_name(column) for column in columns)
    _execute(
        f"INSERT INTO {model._meta.db_table} ({quoted}) {series} SELECT {', '.join(columns.values())} FROM series",
        params,
    )


def _execute(statement: str, params: list[Any] | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
