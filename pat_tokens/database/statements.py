"""Notify observers of each SQL statement of a request before it is executed.

Django passes only the SQL to the wrappers of a connection. The query that it was compiled from, and the instances that
are being written, are found on the stack.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cached_property
from types import FrameType
from typing import Any
from weakref import ref

from django.core.signals import request_finished
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models import Model, QuerySet
from django.db.models.query import BaseIterable
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler

_MAX_FRAMES = 40  # stack frames between a cursor, or a signal, and the queryset or the instance that uses it


def find_frames(frame: FrameType | None, name: str) -> Iterator[FrameType]:
    """Return the frames of functions called `name` on the stack, from `frame` on."""
    for _count in range(_MAX_FRAMES):
        if frame is None:
            break
        if frame.f_code.co_name == name:
            yield frame
        frame = frame.f_back


class Statement:
    """An SQL statement that is about to be executed."""

    def __init__(self, sql: str, using: str, frame: FrameType) -> None:
        self.sql = sql
        self.using = using
        self._frame = frame

    @cached_property
    def query(self) -> Query | None:
        """The query that the SQL was compiled from, or None if the SQL is from elsewhere."""
        for frame in self._frames("execute_sql"):
            compiler = frame.f_locals.get("self")
            if isinstance(compiler, SQLCompiler):
                return compiler.query
        return None

    @property
    def queryset(self) -> QuerySet[Any] | None:
        """The queryset that reads rows."""
        for frame in self._frames("__iter__"):
            rows = frame.f_locals.get("self")
            if isinstance(rows, BaseIterable):
                queryset: QuerySet[Any] = rows.queryset
                return queryset
        return None

    @property
    def loads_one(self) -> bool:
        """Whether a method of a queryset, such as `get()`, loads a single object."""
        frames = (frame for name in ("get", "first", "last") for frame in self._frames(name))
        return any(isinstance(frame.f_locals.get("self"), QuerySet) for frame in frames)

    @property
    def saved(self) -> Model | None:
        """The instance that `save()` is writing."""
        found = (frame.f_locals.get("self") for frame in self._frames("_save_table"))
        return next((one for one in found if isinstance(one, Model)), None)

    @property
    def bulk_updated(self) -> tuple[Model, ...]:
        """The instances that `bulk_update()` is writing."""
        for frame in self._frames("bulk_update"):
            if isinstance(frame.f_locals.get("self"), QuerySet):
                return tuple(frame.f_locals.get("objs", ()))
        return ()

    def _frames(self, name: str) -> Iterator[FrameType]:
        return find_frames(self._frame, name)


class Observer:
    """Base class of objects that are notified of each SQL statement of a request."""

    def executes(self, statement: Statement) -> None:
        """Called before `statement` is executed. An exception prevents it."""
        raise NotImplementedError

    def close(self) -> None:
        _observers.set(tuple(one for one in _observers.get() if one() not in (None, self)))


_observers: ContextVar[tuple[ref[Observer], ...]] = ContextVar("pat_tokens_observers", default=())


def observe(observer: Observer) -> None:
    """Notify `observer` of the statements of the current context, for as long as it exists."""
    _observers.set((*(one for one in _observers.get() if one() is not None), ref(observer)))


def observers() -> Iterator[Observer]:
    """Return the observers of the current context."""
    for one in _observers.get():
        observer = one()
        if observer is not None:
            yield observer


def observe_connections() -> None:
    """Receive the statements of all connections, including those of other threads."""
    connection_created.connect(_observe_connection, dispatch_uid="pat_tokens.statements")
    request_finished.connect(_close_all, dispatch_uid="pat_tokens.statements")
    for connection in connections.all(initialized_only=True):
        _observe_connection(connection)


def _observe_connection(connection: Any, **kwargs: Any) -> None:
    if _execute not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, _execute)  # others remove the last wrapper, which has to be their own


def _execute(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    if _observers.get():
        statement = Statement(sql, context["connection"].alias, sys._getframe(1))
        for observer in observers():
            observer.executes(statement)
    return execute(sql, params, many, context)


def _close_all(**kwargs: Any) -> None:
    # Threads are reused, and after an unhandled exception nothing else closes the observers.
    for observer in observers():
        observer.close()
