"""One row of one SELECT, past the part of Django's cursor that is there for those who look on, where nobody does.

That part costs some 10 of the 300 µs that a request with a token takes (docs, "Performance"). It is left out only
where it would do nothing: no execute wrapper, no log of queries, nothing put in its place on the connection, on its
class or on Django's own. Else, and where any of that cannot be told, the row comes through `connection.cursor()`.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from django.db.backends import utils
from django.db.backends.base.base import BaseDatabaseWrapper

from pat_tokens.drivers import find_way, is_djangos_own

if TYPE_CHECKING:
    from pat_tokens.drivers import Query, Row

# Between a connection and its driver's cursor: what a backend may do in its own way, and others put theirs around.
_CONNECTION_STEPS = ("cursor", "_cursor", "_prepare_cursor", "make_cursor")
_CURSOR_STEPS = ("execute", "_execute_with_wrappers", "_execute", "__getattr__")
_of_connection: Any = attrgetter(*_CONNECTION_STEPS)
_of_cursor: Any = attrgetter(*_CURSOR_STEPS)


def fetch_row(connection: BaseDatabaseWrapper, query: Query, values: tuple[str, ...]) -> Row | None:
    """Return the first row that `query` finds, as the driver gives it, or None; raises as Django's cursor does."""
    if _is_observed(connection):
        with connection.cursor() as cursor:
            cursor.execute(query.sql, query.by_name(values))
            return cursor.fetchone()  # type: ignore[no-any-return]
    connection.ensure_connection()  # which refuses async code, so it is first
    if connection.health_check_enabled and not connection.health_check_done:  # type: ignore[attr-defined]
        connection.close_if_health_check_failed()
        connection.ensure_connection()
    connection.validate_thread_sharing()
    if connection.needs_rollback:
        connection.validate_no_broken_transaction()
    try:
        return find_way(connection)(connection, query, values)
    except connection.Database.Error:  # type: ignore[attr-defined]
        with connection.wrap_database_errors:  # only now, since it costs something where there is no error, too
            raise


def _is_observed(connection: Any) -> bool:
    return (
        not isinstance(connection, BaseDatabaseWrapper)  # but something around one
        or bool(connection.execute_wrappers)
        or connection.queries_logged
        or not vars(connection).keys().isdisjoint(_STEPS)
        or _of_connection(type(connection)) != _CONNECTION
        or _of_cursor(utils.CursorWrapper) != _CURSOR
    )


def _if_djangos_own(functions: tuple[Any, ...]) -> tuple[Any, ...] | None:
    # Who measures queries may have come before this was imported. None is equal to no tuple.
    return functions if all(map(is_djangos_own, functions)) else None


_STEPS = frozenset((*_CONNECTION_STEPS, "create_cursor"))
_CONNECTION = _if_djangos_own(_of_connection(BaseDatabaseWrapper))
_CURSOR = _if_djangos_own(_of_cursor(utils.CursorWrapper))
