"""Notify long-lived connections when their token stops working.

All connections of a process share one query per interval, however many there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connections

from pat_tokens import log_events
from pat_tokens.lookup import token_database
from pat_tokens.models import PersonalAccessToken, Scope, owner_is_active
from pat_tokens.networks import is_in
from pat_tokens.policy import get_policy
from pat_tokens.scopes import RequiredScope, ScopeKey, decide
from pat_tokens.uncached import uncached

if TYPE_CHECKING:
    from pat_tokens.scopes import Decision

INTERVAL = 1.0  # seconds between two checks
PATIENCE = 5  # checks that can fail in a row before the connections are closed
BATCH = 5000  # tokens in one query


@dataclass(eq=False)
class Watch:
    """One connection: its secret, and what it requires while it is open."""

    token_id: UUID
    digests: tuple[str, ...]  # of its secret, under each pepper
    required_scope: RequiredScope | None
    client_ip: str | None = None  # unknown: a token with allowed networks ends
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Watcher:
    """The watches of one event loop, and the task that checks them while there are any."""

    def __init__(self) -> None:
        self.watches: set[Watch] = set()
        self.task: asyncio.Task[None] | None = None

    def add(self, watch: Watch) -> None:
        """Start to check `watch`."""
        self.watches.add(watch)
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self.run())

    def remove(self, watch: Watch) -> None:
        """Stop checking `watch`; the task ends with the last one."""
        self.watches.discard(watch)
        if not self.watches and self.task is not None:
            self.task.cancel()
            self.task = None

    async def run(self) -> None:
        """Check all tokens once per interval."""
        failures = 0
        while self.watches:
            watches = list(self.watches)
            try:
                ended = await sync_to_async(find_ended, thread_sensitive=False)(watches)
                failures = 0
            except Exception as error:  # noqa: BLE001 -- whatever failed: else all would stay open for ever
                failures += 1
                log_events.log("watch_failed", error=type(error).__name__)
                ended = watches if failures >= PATIENCE else []
            for watch in ended:
                watch.ended.set()
                self.watches.discard(watch)
            await asyncio.sleep(INTERVAL)


_watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, Watcher] = WeakKeyDictionary()


@asynccontextmanager
async def watch(token: PersonalAccessToken) -> AsyncIterator[asyncio.Event]:
    """Return an event that is set when `token`, as authentication returned it, stops working.

    That is when it expires, is revoked, regenerated or deleted, its scope is deleted, or its owner becomes inactive.
    """
    watcher = _watchers.setdefault(asyncio.get_running_loop(), Watcher())
    decision: Decision | None = token.decision
    digests = token.candidate_digests or (token.digest,)
    one = Watch(token.pk, digests, None if decision is None else decision.required_scope, token.client_ip)
    watcher.add(one)
    try:
        yield one.ended
    finally:
        watcher.remove(one)


def find_ended(watches: Iterable[Watch]) -> list[Watch]:
    """Return the `watches` whose token no longer allows what they require. Makes two queries per batch of tokens."""
    by_token: dict[UUID, list[Watch]] = {}
    for one in watches:
        by_token.setdefault(one.token_id, []).append(one)
    ids = list(by_token)
    alias = token_database()
    ended: list[Watch] = []
    close_old_connections()
    try:
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            active = uncached(PersonalAccessToken.objects.using(alias).active().select_related("user"))
            tokens = active.in_bulk(batch)
            held = _scopes_of(batch, [one for token_id in batch for one in by_token[token_id]], alias)
            for token_id in batch:
                token = tokens.get(token_id)
                for one in by_token[token_id]:
                    if not _is_still_allowed(one, token, held.get(token_id, ())):
                        ended.append(one)
    finally:
        # The connection of a worker thread would stay open until the thread ends.
        connections[alias].close()
    return ended


def is_allowed_by_policy(token: PersonalAccessToken) -> bool:
    """Return whether the site's policy accepts the token outside a request."""
    policy = get_policy()
    return policy.can_have_tokens(token.user) and not policy.refuse_token(token, None)


def _scopes_of(token_ids: list[UUID], watches: list[Watch], alias: str) -> dict[UUID, list[ScopeKey]]:
    needed = {scope for one in watches if one.required_scope is not None for scope in one.required_scope.scopes}
    if not needed:
        return {}
    rows = Scope.objects.using(alias).filter(
        token__in=token_ids,
        entity_type__in={scope.entity_type for scope in needed},
        operation__in={scope.operation for scope in needed},
    )
    held: dict[UUID, list[ScopeKey]] = {}
    for token_id, *key in uncached(rows).values_list("token", "entity_type", "entity_id", "operation"):
        held.setdefault(token_id, []).append(ScopeKey(*key))
    return held


def _is_still_allowed(one: Watch, token: PersonalAccessToken | None, scopes: Iterable[ScopeKey]) -> bool:
    return (
        token is not None
        and _has_secret(token, one.digests)
        and owner_is_active(token.user)
        and (not token.allowed_networks or is_in(one.client_ip, token.allowed_networks))
        and is_allowed_by_policy(token)
        and bool(decide(scopes, one.required_scope))
    )


def _has_secret(token: PersonalAccessToken, digests: tuple[str, ...]) -> bool:
    return token.digest in digests or (token.previous_secret is not None and token.previous_digest in digests)


__all__ = ["watch"]
