"""Pass queries that bypass the compiler to django-silk, if the site uses it.

Silk replaces `SQLCompiler.execute_sql()`, and so do query caches. Only silk is called here, so no cache is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps

from pat_tokens.database.uncached import Params, set_profiler
from pat_tokens.models import PersonalAccessToken

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


_NAMED = re.compile(r"%\((\w+)\)s")


class _Query:
    model = PersonalAccessToken


class _Compiler:
    """The attributes of a compiler that silk uses."""

    query = _Query

    def __init__(self, connection: BaseDatabaseWrapper, sql: str, params: Params, run: Callable[[], Any]) -> None:
        self.connection = connection
        self._sql = sql, params
        self._execute_sql = run

    def as_sql(self) -> tuple[str, Params]:
        sql, params = self._sql
        if isinstance(params, dict):  # silk only formats positional parameters
            return _NAMED.sub("%s", sql), [params[name] for name in _NAMED.findall(sql)]
        return sql, params


def _profile(connection: BaseDatabaseWrapper, sql: str, params: Params, run: Callable[[], Any]) -> Any:
    # Imported late: silk's modules need its models.
    return import_module("silk.sql").execute_sql(_Compiler(connection, sql, params, run))


if apps.is_installed("silk"):
    set_profiler(_profile)
