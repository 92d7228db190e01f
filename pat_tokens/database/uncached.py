"""Queries that bypass query caches, but not profilers.

Query caches replace `SQLCompiler.execute_sql()`, like django-cachalot, or methods of `QuerySet`, like django-cacheops.
Their content doesn't change when another process revokes a token, so everything that decides about a token bypasses
them. Profilers such as django-silk replace the first method, so `set_profiler()` passes these queries to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db.models import QuerySet
from django.db.models.sql.compiler import SQLCompiler

from pat_tokens.database.djangos_code import is_in_django

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

Params = Sequence[Any] | dict[str, Any]  # for `%s`, or for `%(name)s`
Profiler = Callable[["BaseDatabaseWrapper", str, Params, Callable[[], Any]], Any]

_QuerySetT = TypeVar("_QuerySetT", bound=QuerySet[Any])

# Django's own: this module is imported with the models, and other packages replace it later, when all apps are ready.
_execute_sql = SQLCompiler.execute_sql
_readers = {name: vars(QuerySet)[name] for name in ("_fetch_all", "aggregate", "count", "exists", "first", "get")}
_profilers: list[Profiler] = []


def uncached(queryset: _QuerySetT) -> _QuerySetT:
    """Return a copy of `queryset` that, like all querysets derived from it, reads its rows from the database.

    If a database backend overrides `execute_sql()`, its method is used, and calls Django's.
    """
    copy: Any = queryset.all()
    copy.__class__ = _uncached_queryset_class(copy.__class__)
    query: Any = copy.query
    query.__class__ = _uncached_class(query.__class__)
    return copy  # type: ignore[no-any-return]


def execute(cursor: CursorWrapper, sql: str, params: Params) -> None:
    """Execute a SELECT that the caller compiled."""
    if _profilers:
        _profilers[0](cursor.db, sql, params, partial(cursor.execute, sql, params))
    else:
        cursor.execute(sql, params)


def set_profiler(profiler: Profiler | None) -> None:
    """Call `profiler(connection, sql, params, run)` for each query; it returns what `run()` returns."""
    _profilers[:] = [] if profiler is None else [profiler]


# The site's own classes come before this one, and still decide which rows there are; QuerySet comes after it.
_UncachedQuerySet: Any = type("_UncachedQuerySet", (QuerySet,), _readers)


@lru_cache(maxsize=128)  # some managers make a class for each queryset, like those of django-modeltranslation
def _uncached_queryset_class(cls: Any) -> Any:
    if issubclass(cls, _UncachedQuerySet):
        return cls
    try:
        return _UncachedQuerySet if cls is QuerySet else type(cls.__name__, (cls, _UncachedQuerySet), {})
    except TypeError:  # a class that can't be extended without arguments
        return cls


@cache
def _uncached_class(cls: Any) -> Any:
    return cls if issubclass(cls, _UncachedQuery) else type(cls.__name__, (_UncachedQuery, cls), {})


class _UncachedQuery:
    def get_compiler(self, *args: Any, **kwargs: Any) -> Any:
        compiler = super().get_compiler(*args, **kwargs)  # type: ignore[misc]
        compiler.__class__ = _uncached_compiler_class(compiler.__class__)
        return compiler


class _UncachedCompiler(SQLCompiler):
    def execute_sql(self, *args: Any, **kwargs: Any) -> Any:
        run = partial(_execute_sql, self, *args, **kwargs)
        if _profilers:
            try:
                sql, params = self.as_sql()
            except EmptyResultSet:  # no query is made
                return run()
            return _profilers[0](self.connection, sql, params, run)
        return run()


@cache
def _uncached_compiler_class(cls: Any) -> Any:
    if cls is SQLCompiler:
        return _UncachedCompiler
    is_overridden = any("execute_sql" in vars(base) for base in cls.__mro__ if not is_in_django(base))
    # What an override of a backend calls with super() is Django's own method too.
    return type(cls.__name__, (cls, _UncachedCompiler) if is_overridden else (_UncachedCompiler, cls), {})
