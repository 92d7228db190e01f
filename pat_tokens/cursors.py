"""One row of one SELECT, past the part of Django's cursor that is there for those who look on, where nobody does.

That part costs some 10 of the 300 µs that a request with a token takes (docs, "Performance"). It is left out only
where it would do nothing: no execute wrapper, no log of queries, nothing put in its place on the connection, on its
class or on Django's own. Else, and where any of that cannot be told, the row comes through `connection.cursor()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import django
from django.db.backends import utils
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    from collections.abc import Sequence

# Between a connection and its driver's cursor: what a backend may do in its own way, and others put theirs around.
_CONNECTION_STEPS = ("cursor", "_cursor", "_prepare_cursor", "make_cursor")
_CURSOR_STEPS = ("execute", "_execute_with_wrappers", "_execute", "__getattr__")
_of_connection: Any = attrgetter(*_CONNECTION_STEPS)
_of_cursor: Any = attrgetter(*_CURSOR_STEPS)


def fetch_row(connection: BaseDatabaseWrapper, sql: str, params: Mapping[str, Any]) -> Sequence[Any] | None:
    """Return the first row that `sql` finds, as the driver gives it, or None; raises as Django's cursor does."""
    if _is_observed(connection):
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            return cursor.fetchone()  # type: ignore[no-any-return]
    connection.ensure_connection()  # which refuses async code, so it is first
    connection.close_if_health_check_failed()
    if connection.connection is None:
        connection.ensure_connection()
    with connection.wrap_database_errors:
        connection.validate_thread_sharing()
        cursor = connection.create_cursor()
        try:
            connection.validate_no_broken_transaction()
            cursor.execute(sql, params)
            return cursor.fetchone()  # type: ignore[no-any-return]
        finally:
            try:  # noqa: SIM105 -- costs nothing, where `suppress` does
                cursor.close()
            except connection.Database.Error:  # type: ignore[attr-defined]
                pass  # as Django has it: what failed before says more


def _is_observed(connection: Any) -> bool:
    return (
        not isinstance(connection, BaseDatabaseWrapper)  # but something around one
        or bool(connection.execute_wrappers)
        or connection.queries_logged
        or not vars(connection).keys().isdisjoint(_STEPS)
        or _of_connection(type(connection)) != _CONNECTION
        or _of_cursor(utils.CursorWrapper) != _CURSOR
    )


def _djangos_own(functions: tuple[Any, ...]) -> tuple[Any, ...] | None:
    # Who measures queries may have come before this was imported. None is equal to no tuple.
    home = str(Path(django.__file__).parent)
    own = all(type(one) is FunctionType and one.__code__.co_filename.startswith(home) for one in functions)
    return functions if own else None


_STEPS = frozenset(_CONNECTION_STEPS)
_CONNECTION = _djangos_own(_of_connection(BaseDatabaseWrapper))
_CURSOR = _djangos_own(_of_cursor(utils.CursorWrapper))
