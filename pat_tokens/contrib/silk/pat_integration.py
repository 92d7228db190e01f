"""Hands what is read past the compiler to django-silk, if the site has it.

Silk replaces `SQLCompiler.execute_sql()`, and so do query caches. Only silk is called here, so no cache can answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps

from pat_tokens.models import PersonalAccessToken
from pat_tokens.uncached import set_profiler

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


class _Query:
    model = PersonalAccessToken


class _Compiler:
    """What silk uses of a compiler."""

    query = _Query

    def __init__(
        self, connection: BaseDatabaseWrapper, sql: str, params: Sequence[Any], run: Callable[[], Any]
    ) -> None:
        self.connection = connection
        self._sql = sql, params
        self._execute_sql = run

    def as_sql(self) -> tuple[str, Sequence[Any]]:
        return self._sql


def _profile(connection: BaseDatabaseWrapper, sql: str, params: Sequence[Any], run: Callable[[], Any]) -> Any:
    # Imported late: silk's modules need its models.
    return import_module("silk.sql").execute_sql(_Compiler(connection, sql, params, run))


if apps.is_installed("silk"):
    set_profiler(_profile)
