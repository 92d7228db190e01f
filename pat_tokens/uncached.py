"""Reads that no query cache answers, and that profilers see nevertheless.

Query caches such as django-cachalot replace `SQLCompiler.execute_sql()`. What they keep in one process doesn't change
when another process revokes a token, so whatever decides about a token is read past them. Profilers such as django-silk
replace the same method, so they are handed each of these reads by `set_profiler()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from types import MethodType
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db.models import QuerySet
from django.db.models.sql.compiler import SQLCompiler

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

Profiler = Callable[["BaseDatabaseWrapper", str, Sequence[Any], Callable[[], Any]], Any]

_QuerySetT = TypeVar("_QuerySetT", bound=QuerySet[Any])

# Django's own: this module is imported with the models, and other packages replace it later, when all apps are ready.
_execute_sql = SQLCompiler.execute_sql
_profilers: list[Profiler] = []


def uncached(queryset: _QuerySetT) -> _QuerySetT:
    """Return a copy of `queryset` that reads its rows from the database, and so do all that are made of it.

    A database backend whose compiler overrides `execute_sql()` goes on using that.
    """
    copy = queryset.all()
    query: Any = copy.query
    query.__class__ = _uncached_class(query.__class__)
    return copy


def execute(cursor: CursorWrapper, sql: str, params: Sequence[Any]) -> None:
    """Execute a SELECT that the caller compiled."""
    if _profilers:
        _profilers[0](cursor.db, sql, params, partial(cursor.execute, sql, params))
    else:
        cursor.execute(sql, params)


def set_profiler(profiler: Profiler | None) -> None:
    """Have `profiler(connection, sql, params, run)` called for each read; it returns what `run()` returns."""
    _profilers[:] = [] if profiler is None else [profiler]


@cache
def _uncached_class(cls: Any) -> Any:
    return cls if issubclass(cls, _UncachedQuery) else type(cls.__name__, (_UncachedQuery, cls), {})


class _UncachedQuery:
    def get_compiler(self, *args: Any, **kwargs: Any) -> Any:
        compiler = super().get_compiler(*args, **kwargs)  # type: ignore[misc]
        if type(compiler).execute_sql is SQLCompiler.execute_sql:
            compiler.execute_sql = MethodType(_execute_uncached, compiler)
        return compiler


def _execute_uncached(compiler: Any, *args: Any, **kwargs: Any) -> Any:
    run = partial(_execute_sql, compiler, *args, **kwargs)
    if _profilers:
        try:
            sql, params = compiler.as_sql()
        except EmptyResultSet:  # Django asks the database nothing
            return run()
        return _profilers[0](compiler.connection, sql, params, run)
    return run()
