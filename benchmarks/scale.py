"""Tables of ten million tokens and thirty million scopes on PostgreSQL, compared to small ones: `make bench-scale`.

Rows are written with COPY. Then the same services and querysets run on both, to compare their times.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import md5
from itertools import islice
from statistics import median
from typing import Any

from benchmarks import page
from benchmarks.databases import POSTGRESQL, database

SCOPES = 3  # for each token
PER_USER = 100  # tokens
BYTES_PER_TOKEN = 3000  # with its scopes and all indexes, generously
DEAD = 200  # one of this many tokens expired long ago
NOW = datetime.now(UTC)


def main() -> None:
    """Measure a small table, then the large one, and write the figures into the documentation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--tokens", type=int, default=10_000_000)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--print", action="store_true", help="print the table and leave the documentation alone")
    options = parser.parse_args()
    needed = options.tokens * BYTES_PER_TOKEN
    free = shutil.disk_usage("/").free
    if free < 1.5 * needed:
        sys.exit(f"needs about {needed / 1e9:.0f} GB of disk, and has {free / 1e9:.0f}")
    results = {count: _measure(count) for count in (options.small, options.tokens)}
    small, large = results.values()
    head = ["milliseconds, median", *(f"{count:,} tokens, {count * SCOPES:,} scopes" for count in results)]
    rows = [[name, *(f"{result[name]:.2f}" for result in (small, large))] for name in small]
    command = f"python -m benchmarks.scale --tokens {options.tokens}"
    text = f"{page.table(head, rows)}\n\n{page.provenance(command)}"
    print(text)
    if not options.print:
        page.write("scale", text)


def _measure(count: int) -> dict[str, float]:
    with database(POSTGRESQL) as url:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "benchmarks.site.settings", "DATABASE_URL": url}
        import dj_database_url
        import django
        from django.core.management import call_command
        from django.db import connection

        django.setup()
        # Two databases, one after the other, in one process.
        connection.close()
        connection.settings_dict |= dj_database_url.parse(url)
        call_command("migrate", verbosity=0)
        begin = time.monotonic()
        fill(count)
        _say(f"{count:,} tokens written in {time.monotonic() - begin:.0f} s")
        try:
            return measure(count)
        finally:
            connection.close()


def fill(count: int) -> None:
    """Write `count` tokens with their scopes with COPY; indexes are built afterwards."""
    from django.contrib.auth.models import User
    from django.db import connection

    from benchmarks.site.models import Channel
    from pat_tokens.models import PersonalAccessToken, Scope

    users = max(count // PER_USER, 1)
    User.objects.bulk_create((User(username=f"user{number}") for number in range(users)), batch_size=5000)
    first = User.objects.order_by("pk").values_list("pk", flat=True)[0]
    Channel.objects.create(owner_id=first, name="one")
    sources = ((PersonalAccessToken, _tokens(count, users, first)), (Scope, _scopes(count)))
    with connection.cursor() as cursor, _indexes_afterwards(cursor, [model._meta.db_table for model, _ in sources]):
        for model, lines in sources:
            fields = model._meta.concrete_fields
            columns = ", ".join(field.column for field in fields)
            with cursor.cursor.copy(f"COPY {model._meta.db_table} ({columns}) FROM STDIN") as copy:
                head = next(lines)
                pattern = "\t".join(f"{{{f.name}}}" if f.name in head else _constant(f) for f in fields) + "\n"
                copy.write(pattern.format_map(head))
                while batch := list(islice(lines, 2000)):
                    copy.write("".join(map(pattern.format_map, batch)))
        _say("written; now the indexes")
    with connection.cursor() as cursor:
        _say("VACUUM ANALYZE")
        cursor.execute("VACUUM ANALYZE")


@contextmanager
def _indexes_afterwards(cursor: Any, tables: list[str]) -> Iterator[None]:
    """Drop the constraints and indexes of `tables`, and create them again at the end.

    Otherwise tens of millions of rows would be inserted into each index at random positions, one by one.
    """
    cursor.execute(
        # Keys before the foreign keys that refer to them (p, u before f); they are dropped in reverse order.
        "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE (conrelid = ANY(%(tables)s::regclass[]) AND contype IN ('p', 'u', 'f'))"
        " OR confrelid = ANY(%(tables)s::regclass[]) ORDER BY contype = 'f', contype",
        {"tables": tables},
    )
    constraints = cursor.fetchall()
    for table, name, _definition in reversed(constraints):
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    cursor.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = ANY(%s::regclass[])",
        [tables],
    )
    indexes = cursor.fetchall()
    for name, _definition in indexes:
        cursor.execute(f"DROP INDEX {name}")
    yield
    cursor.execute("SET maintenance_work_mem = '1GB'")
    for _name, definition in indexes:
        cursor.execute(definition)
    for table, name, definition in constraints:
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    cursor.execute("RESET maintenance_work_mem")


def _constant(field: Any) -> str:
    value = field.get_default()
    if isinstance(value, bool):
        return "t" if value else "f"
    return r"\N" if value is None else str(value)


def _id(kind: int, number: int) -> str:
    # Spread over the whole range, like random values, but reproducible.
    return md5(f"{kind} {number}".encode(), usedforsecurity=False).hexdigest()


def _tokens(count: int, users: int, first: int) -> Iterator[dict[str, Any]]:
    from pat_tokens.crypto import fold

    for number in range(count):
        issued = NOW - timedelta(days=100, seconds=number % 8_000_000)
        dead = number % DEAD == 0
        yield {
            "id": _id(1, number),
            "user": first + number % users,
            "name": f"token {number}",
            "name_key": fold(f"token {number}"),
            "digest": fold(f"secret {number}"),
            "hint": "pat_…abcd",
            "created_at": issued,
            "issued_at": issued,
            "expires_at": NOW - timedelta(days=60) if dead else NOW + timedelta(days=30),
        }


def _scopes(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        token = _id(1, number)
        for entity in range(SCOPES):
            yield {
                "id": _id(2, number * SCOPES + entity),
                "token": token,
                "entity_type": "channels",
                "entity_id": str(entity),
                "operation": "read",
                "created_at": NOW,
            }


def measure(count: int) -> dict[str, float]:
    """Return the wall time in milliseconds (median) of each operation."""
    from django.contrib.auth.models import User
    from django.db import connection

    from pat_tokens import lookup, services, watcher
    from pat_tokens.crypto import fold
    from pat_tokens.models import PersonalAccessToken
    from pat_tokens.scopes import RequiredScope

    required_scope = RequiredScope("channels", "read", "1")
    users = list(User.objects.order_by("pk")[:60])
    # Tokens from the whole table, not only from its first pages.
    numbers = [number * (count // 60) + 1 for number in range(60)]
    tokens = [PersonalAccessToken.objects.get(digest=fold(f"secret {number}")) for number in numbers]

    def list_page(number: int) -> None:
        mine = PersonalAccessToken.objects.for_user(users[number])
        mine.count()
        list(mine.active().sorted_by("-last_used_at")[:20])

    def watch(number: int) -> None:
        watcher.find_ended([watcher.Watch(token.pk, token.digest, required_scope) for token in tokens])

    results = {
        "look-up": _time(lambda n: lookup.find_token([fold(f"secret {numbers[n]}")], required_scope)),
        "look-up of an unknown secret": _time(lambda n: lookup.find_token([fold(f"unknown {n}")], required_scope)),
        "page of a user's list, sorted by last use": _time(list_page),
        "watching 60 connections": _time(watch, 20),
        "record a use": _time(lambda n: services.record_use(tokens[n])),
        "revoke": _time(lambda n: services.revoke_token(tokens[n])),
        "delete all 100 tokens of one user": _time(lambda n: services.delete_tokens(users[40 + n]), 10),
    }
    begin = time.perf_counter()
    pruned = services.prune_tokens(inactive_for=timedelta(days=30))
    taken = time.perf_counter() - begin
    results["prune, for each 50 tokens"] = taken * 1000 / (pruned / 50)
    _say(f"{pruned:,} pruned in {taken:.1f} s")
    connection.close()
    return results


def _time(do: Callable[[int], object], count: int = 40) -> float:
    times = []
    for number in range(count):
        begin = time.perf_counter()
        do(number)
        times.append(time.perf_counter() - begin)
    return median(times) * 1000


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
