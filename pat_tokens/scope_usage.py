"""Record which scopes a token uses, and which it lacks.

Both are written after the request, and lost if that fails, so counts of missing scopes are a lower bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial, reduce
from itertools import compress
from operator import or_
from typing import TYPE_CHECKING

from django.db import router
from django.db.models import F, Q
from django.utils import timezone

from pat_tokens.deferred_writes import (
    due_condition,
    is_due,
    lock_or_skip,
    take_write_lock,
    update_unlocked,
    write_at_end,
    write_later,
)
from pat_tokens.models import MissingScope, PersonalAccessToken, Scope
from pat_tokens.querysets import MISSING_LATELY
from pat_tokens.rate_limits import RateLimiter
from pat_tokens.scopes import ALL, ScopeKey
from pat_tokens.validation import sort_scopes

if TYPE_CHECKING:
    from django.http import HttpRequest

USE_INTERVAL = timedelta(hours=1)  # between two recorded uses of a scope
PRUNE_BATCH = 1000  # rows deleted in one transaction
MAX_MISSING = 50  # per token
MAX_LOOKUPS = 10  # of missing scopes, per token and minute

# The sizes bound the memory.
_missing = RateLimiter(1, 60, size=16_384)
_lookups = RateLimiter(MAX_LOOKUPS, 60, size=4096)


@dataclass
class ListUse:
    """A list that is limited to the ids that `token` has scopes for. Returning it uses all of these scopes."""

    token: PersonalAccessToken
    entity_type: str
    operation: str
    was_returned: bool = False


def record_scope_use(
    token: PersonalAccessToken, *, request: HttpRequest | None = None, now: datetime | None = None
) -> None:
    """Record a use of the scopes that cover the decision of `token`, unless one was recorded within the last hour."""
    required_scope = None if token.decision is None else token.decision.required_scope
    if required_scope is None:
        return
    now = now or timezone.now()
    due = [last is not None and is_due(last, now, USE_INTERVAL) for last in token.scope_uses]
    if any(due):
        used = compress(required_scope.scopes, due)
        write = partial(_write_use, token, reduce(or_, map(_covers, used)), now)
        write_later(write, token=token, request=request)


def record_list_use(use: ListUse, uses: Iterable[datetime | None], *, request: HttpRequest) -> None:
    """Record `use` when `request` is closed, if the list is returned by then.

    `uses` are the last uses of the scopes. Nothing is recorded if all of them are within the last hour.
    """
    now = timezone.now()
    if any(is_due(last, now, USE_INTERVAL) for last in uses):
        write = partial(_write_use, use.token, Q(entity_type=use.entity_type, operation=use.operation), now)
        write_at_end(lambda alias: write(alias) if use.was_returned else None, token=use.token, request=request)


def record_missing(
    token: PersonalAccessToken, missing: Collection[ScopeKey], *, request: HttpRequest | None = None
) -> None:
    """Record that `token` was refused because these scopes are missing: each at most once a minute in each process.

    Only scopes that the owner could grant are recorded. Finding that out is limited too, so that a client that guesses
    ids costs few queries.
    """
    counts: dict[ScopeKey, int] = {}
    for key in missing:
        if _lookups.count(token.pk) >= MAX_LOOKUPS:
            break
        taken = _missing.take((token.pk, key))
        if taken.is_allowed:
            _lookups.take(token.pk)
            counts[key] = 1 + taken.missed
    if counts:
        write = partial(_write_missing, token, counts, timezone.now())
        if request is not None and _is_in_event_loop():  # an async view was refused
            write_at_end(write, token=token, request=request)
        else:
            write_later(write, token=token, request=request)


def find_missing(token: PersonalAccessToken) -> list[MissingScope]:
    """Return the scopes that `token` recently lacked and that its owner can grant now, the latest first."""
    rows = list(token.missing_scopes.lately())
    grantable, _errors = sort_scopes(token.user, [row.key for row in rows], token)
    return [row for row, key in zip(rows, grantable, strict=True) if key is not None]


def prune_missing(*, batch: int = PRUNE_BATCH) -> int:
    """Delete scopes that have not been missing recently, and return their number. Each batch is one transaction."""
    rows = MissingScope.objects.using(router.db_for_write(PersonalAccessToken))
    old = rows.filter(last_at__lte=timezone.now() - MISSING_LATELY).order_by("last_at")
    count = 0
    while ids := list(old.values_list("pk", flat=True)[:batch]):
        count += rows.filter(pk__in=ids).delete()[0]
    return count


def _is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _write_use(token: PersonalAccessToken, scopes: Q, now: datetime, alias: str) -> None:
    due = due_condition("last_used_at", now, USE_INTERVAL)
    update_unlocked(Scope.objects.using(alias).filter(scopes, due, token=token.pk), last_used_at=now)


def _write_missing(token: PersonalAccessToken, counts: Mapping[ScopeKey, int], now: datetime, alias: str) -> None:
    take_write_lock(alias)
    grantable, _errors = sort_scopes(token.user, list(counts), token)
    keys = [key for key in grantable if key is not None]
    # Locked, so that two processes never exceed the limit, and no scope is granted in the meantime.
    tokens = PersonalAccessToken.objects.using(alias).filter(pk=token.pk).order_by()
    if not keys or not lock_or_skip(tokens).values_list("pk").first():
        return
    scopes = Scope.objects.using(alias).filter(token=token.pk)
    rows = MissingScope.objects.using(alias).filter(token=token.pk)
    lately = rows.lately()
    for key in keys:
        if scopes.filter(_covers(key)).exists():
            continue
        if not lately.filter(**key._asdict()).update(count=F("count") + counts[key], last_at=now):
            kept = list(lately.values_list("pk", flat=True)[: MAX_MISSING - 1])
            rows.exclude(pk__in=kept).delete()
            rows.create(token_id=token.pk, **key._asdict(), count=counts[key], last_at=now)


def _covers(key: ScopeKey) -> Q:
    return Q(entity_type=key.entity_type, operation=key.operation, entity_id__in={ALL, key.entity_id})
