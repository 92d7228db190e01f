"""Writes that follow a request and can be lost without failing it: the last use, or a newer digest.

They are made after the request's transaction, whether it was committed or not, and never wait for a row lock. After a
failure, for example because the database is read-only, they pause.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import Error, connections, router, transaction
from django.db.models import F, Q, QuerySet

from pat_tokens import log_events, signals
from pat_tokens.models import PersonalAccessToken
from pat_tokens.request_state import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest

PAUSE = 60  # seconds without a try after a failure

clock = time.monotonic
_NO_ID = uuid.UUID(int=0)
_OWN_CONNECTION = "pat_tokens_writes"  # alias of a connection for one write
_paused_until: dict[str, float] = {}

_QuerySetT = TypeVar("_QuerySetT", bound=QuerySet[Any])


def is_due(last: datetime | None, now: datetime, interval: timedelta) -> bool:
    """Return whether a use has to be recorded, because `interval` has passed since the `last` recorded one."""
    # The clocks of two servers differ: a use that is a little in the future has just been recorded.
    return last is None or abs(now - last) >= interval


def due_condition(column: str, now: datetime, interval: timedelta) -> Q:
    """Return the condition for `is_due` to be true of `column`."""
    return Q(**{column: None}) | Q(**{f"{column}__lte": now - interval}) | Q(**{f"{column}__gte": now + interval})


def write_later(
    write: Callable[[str], object],
    *,
    token: PersonalAccessToken,
    request: HttpRequest | None = None,
    pauses: bool = True,
) -> None:
    """Call `write` with the alias of a database connection, in its own transaction, as soon as possible.

    That is immediately, unless the database of tokens is in a transaction: then when it commits or, if it is rolled
    back, when `request` is closed. A `django.db.Error` is logged and otherwise ignored.
    """
    alias = router.db_for_write(PersonalAccessToken)
    connection = connections[alias]
    try:
        is_in_transaction = connection.in_atomic_block or not connection.get_autocommit()
    except Error as error:  # reads use a replica, so this is the first query to the primary
        _pause(alias, token, error)
        return
    if not is_in_transaction:
        _write_now(alias, write, token, pauses)
        return
    is_done = False

    def write_once() -> None:
        nonlocal is_done
        # Django's async test client closes responses in another thread, whose connection would wait for the transaction
        # of this one.
        if not is_done and connections[alias] is connection:
            is_done = True
            _write_now(alias, write, token, pauses)

    if connection.in_atomic_block:
        transaction.on_commit(write_once, using=alias)
    if request is not None:
        _call_on_close(request, write_once)


def write_at_end(write: Callable[[str], object], *, token: PersonalAccessToken, request: HttpRequest) -> None:
    """Like `write_later`, but only when `request` is closed. Can be called in an event loop."""
    alias, thread = router.db_for_write(PersonalAccessToken), state_of(request).thread

    def write_on_close() -> None:
        if get_ident() == thread:  # see write_later
            _write_now(alias, write, token, pauses=True)

    _call_on_close(request, write_on_close)


def lock_or_skip(queryset: _QuerySetT) -> _QuerySetT:
    """Lock the rows of `queryset`, without those that other transactions have locked.

    Raises django.db.OperationalError on databases that can't skip locked rows. SQLite locks the whole file, and waits.
    """
    features = connections[queryset.db].features
    if not features.has_select_for_update:
        return queryset
    skips = features.has_select_for_update_skip_locked
    return queryset.select_for_update(
        skip_locked=skips,
        nowait=not skips and features.has_select_for_update_nowait,
        no_key=features.has_select_for_no_key_update,
    )


def update_unlocked(rows: QuerySet[Any], **fields: Any) -> int:
    """Update `rows`, without those that other transactions have locked; return how many were updated."""
    if connections[rows.db].features.has_select_for_update:
        found = list(lock_or_skip(rows).values_list("pk", flat=True))
        if not found:
            return 0
        rows = rows.model._base_manager.using(rows.db).filter(pk__in=found)
    return rows.update(**fields)


def take_write_lock(alias: str) -> None:
    """Take the one lock that SQLite has for the file; does nothing on databases that lock rows.

    Taking it with the first statement avoids reading stale rows, and "database is locked" when a transaction that has
    read wants to write.
    """
    if not connections[alias].features.has_select_for_update:
        PersonalAccessToken.objects.using(alias).filter(pk=_NO_ID).update(hint=F("hint"))


def forget_failures() -> None:
    """End all pauses. For tests."""
    _paused_until.clear()


def _write_now(alias: str, write: Callable[[str], object], token: PersonalAccessToken, pauses: bool) -> None:
    if pauses and clock() < _paused_until.get(alias, 0):
        return
    try:
        with _commits_by_itself(alias) as used, transaction.atomic(using=used):
            write(used)
    except Error as error:
        _pause(alias, token, error)


def _pause(alias: str, token: PersonalAccessToken, error: Error) -> None:
    if clock() >= _paused_until.get(alias, 0):
        _paused_until[alias] = clock() + PAUSE
        log_events.log("last_use_failed", token_id=str(token.pk), error=type(error).__name__)
        signals.last_use_failed.send_robust(type(token), token=token, error=error)


@contextmanager
def _commits_by_itself(alias: str) -> Iterator[str]:
    connection: Any = connections[alias]
    if connection.in_atomic_block or connection.get_autocommit():
        yield alias
        return
    # The site controls its own commits, so this write needs its own connection: it must neither commit the site's work
    # nor be rolled back with it.
    own = connection.copy(_OWN_CONNECTION)
    own.settings_dict["AUTOCOMMIT"] = True
    connections[_OWN_CONNECTION] = own
    try:
        yield _OWN_CONNECTION
    finally:
        own.close()
        del connections[_OWN_CONNECTION]


def _call_on_close(request: HttpRequest, function: Callable[[], None]) -> None:
    # Django closes each request after its response, and before it closes old connections.
    close = request.close

    def close_and_call() -> None:
        close()
        function()

    request.close = close_and_call  # type: ignore[method-assign]
