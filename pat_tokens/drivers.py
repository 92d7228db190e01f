"""One row of one query by the shortest way that a driver has, and the query as each of them takes it.

A row of a token is found at each request, so what Django puts around a driver's cursor, and does anew each time, is
half of its price: it makes a cursor, looks for each column's loader or writes the SQL's parameters in another style.
Each way gives what the cursor of the backend gives; where a backend is not Django's own, that cursor is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

import django

if TYPE_CHECKING:
    from datetime import tzinfo

_HOME = str(Path(django.__file__).parent)
_COMPILED_LOADERS = tuple(f"{name}._psycopg.TimestamptzLoader" for name in ("psycopg_c", "psycopg_binary"))
_KEPT = "_pat_tokens_kept"  # attribute of Django's connection: the cursor that is used again


class Query(NamedTuple):
    """SQL whose parameters are `values`, which change, and then `constants`."""

    sql: str  # with %(name)s
    names: tuple[str, ...]
    constants: tuple[Any, ...]
    sql_by_place: str  # with ?, as often as it is used
    pick: Callable[[Sequence[Any]], tuple[Any, ...]]  # from all parameters to those of the places

    def by_name(self, values: tuple[str, ...]) -> dict[str, Any]:
        """Return the parameters of `sql`."""
        return dict(zip(self.names, values + self.constants, strict=True))

    def by_place(self, values: tuple[str, ...]) -> tuple[Any, ...]:
        """Return the parameters of `sql_by_place`."""
        return self.pick(values + self.constants)


Row = Sequence[Any]
Way = Callable[[Any, Query, tuple[str, ...]], Row | None]  # (Django's connection, query, values)

_ways: dict[Any, Way] = {}


def find_way(connection: Any) -> Way:
    """Return what fetches a row of a `connection` that is open; it raises the errors of the driver."""
    create_cursor = type(connection).create_cursor
    try:
        return _ways[create_cursor]
    except KeyError:
        way = _ways[create_cursor] = _choose_way(create_cursor)
        return way


def is_djangos_own(function: Any) -> bool:
    """Tell whether `function` is as Django has it, and nobody's who wants to see what goes through it."""
    return type(function) is FunctionType and function.__code__.co_filename.startswith(_HOME)


def picker(positions: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Return what picks the values at `positions` as a tuple."""
    if len(positions) < 2:  # for one itemgetter gives no tuple, and it takes none at all
        return lambda values: tuple(values[position] for position in positions)
    return itemgetter(*positions)


def by_new_cursor(connection: Any, query: Query, values: tuple[str, ...]) -> Row | None:
    """Fetch a row with a cursor of the backend, which every backend has."""
    cursor = connection.create_cursor()
    try:
        cursor.execute(query.sql, query.by_name(values))
        return cursor.fetchone()  # type: ignore[no-any-return]
    finally:
        try:  # noqa: SIM105 -- costs nothing, where `suppress` does
            cursor.close()
        except connection.Database.Error:
            pass  # as Django has it: what failed before says more


def _choose_way(create_cursor: Any) -> Way:
    if is_djangos_own(create_cursor):
        if create_cursor.__module__ == "django.db.backends.sqlite3.base":
            return _make_way_of_sqlite()
        if create_cursor.__module__ == "django.db.backends.postgresql.base":
            return _make_way_of_psycopg()
    return by_new_cursor


def _make_way_of_sqlite() -> Way:
    from sqlite3 import Connection

    from django.db.backends.sqlite3.base import SQLiteCursorWrapper

    execute = SQLiteCursorWrapper.execute
    if not is_djangos_own(execute):
        return by_new_cursor

    def by_sqlite(connection: Any, query: Query, values: tuple[str, ...]) -> Row | None:
        # Django's cursor writes the whole SQL anew each time, for the style of parameters that SQLite has.
        driver = connection.connection
        if type(driver) is not Connection or SQLiteCursorWrapper.execute is not execute:
            return by_new_cursor(connection, query, values)
        return driver.execute(query.sql_by_place, query.by_place(values)).fetchone()  # type: ignore[no-any-return]

    return by_sqlite


class _Kept(NamedTuple):
    cursor: Any
    driver: Any  # the driver's connection that it is of, as Django has it
    zone: tzinfo | None


def _make_way_of_psycopg() -> Way:
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    return _by_psycopg if is_psycopg3 else by_new_cursor


def _by_psycopg(connection: Any, query: Query, values: tuple[str, ...]) -> Row | None:
    # A new cursor would look up anew how each column is loaded. Popped, so that no two have it at the same time.
    attributes = vars(connection)
    kept: _Kept | None = attributes.pop(_KEPT, None)
    if kept is None or kept.driver is not connection.connection or kept.zone is not connection.timezone:
        kept = _Kept(_make_cursor(connection), connection.connection, connection.timezone)
    cursor = kept.cursor
    cursor.execute(query.sql, query.by_name(values))
    row: Row | None = cursor.fetchone()
    attributes[_KEPT] = kept
    return row


def _make_cursor(connection: Any) -> Any:
    """Return a cursor as Django makes it, that loads moments by what psycopg has compiled for it."""
    from psycopg import adapters, postgres
    from psycopg.adapt import Loader
    from psycopg.pq import Format

    cursor = connection.create_cursor()
    zone = connection.timezone
    oid = postgres.types["timestamptz"].oid
    current = cursor.adapters.get_loader(oid, Format.TEXT)
    compiled: Any = adapters.get_loader(oid, Format.TEXT)
    of_psycopg = f"{compiled.__module__}.{compiled.__qualname__}"
    if (
        zone is None  # then a moment is a time of day in a place, which is Django's to know
        or of_psycopg not in _COMPILED_LOADERS
        or not is_djangos_own(current.load)
    ):
        return cursor

    class MomentLoader(Loader):
        def __init__(self, oid: int, context: Any = None) -> None:
            super().__init__(oid, context)
            self._load = compiled(oid, context).load

        def load(self, data: Any) -> Any:
            # Not `replace`, as Django has it: a session may have had another zone when this was made.
            return self._load(data).astimezone(zone)

    cursor.adapters.register_loader(oid, MomentLoader)
    return cursor
