"""Temporary databases of a run, and how one process alternates between two of them."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dj_database_url
import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
PREPARED = {"PREPARED": "1"}  # environment of a process that uses prepared statements
POSTGRES_URL = os.environ.get("POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")

_numbers = itertools.count()


@contextmanager
def database(kind: str) -> Iterator[str]:
    """Create an empty database, return its URL, and drop it at the end."""
    if kind == SQLITE:
        with tempfile.TemporaryDirectory(prefix="pat_tokens_bench_") as folder:
            yield f"sqlite:///{Path(folder) / 'db.sqlite3'}"
        return
    name = f"pat_tokens_bench_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(POSTGRES_URL, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield f"{POSTGRES_URL.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def open_another(url: str) -> BaseDatabaseWrapper:
    """Return a connection to the database at `url`, for `use()`, with the other options of the settings."""
    connection = connections.create_connection(DEFAULT_DB_ALIAS)
    connection.settings_dict = {**connection.settings_dict, "NAME": dj_database_url.parse(url)["NAME"]}
    return connection


def open_with_own_sql(url: str) -> BaseDatabaseWrapper:
    """Return a connection like that of a backend that changes how names are quoted, so that no SQL is reused."""
    connection, kind = open_another(url), type(connections[DEFAULT_DB_ALIAS].ops)
    own = {"quote_name": lambda ops, name: kind.quote_name(ops, str(name))}
    connection.ops.__class__ = type("OwnOperations", (kind,), own)
    return connection


def use(connection: BaseDatabaseWrapper) -> None:
    """Make this thread use `connection` for the default database."""
    connections[DEFAULT_DB_ALIAS] = connection
