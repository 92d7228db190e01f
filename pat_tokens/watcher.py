"""Notify long-lived connections when their token stops working.

All connections of a process share one query per interval, however many there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.db import close_old_connections, connections
from django.db.models import BooleanField, Case, CharField, ExpressionWrapper, F, FilteredRelation, Q, When

from pat_tokens import log_events
from pat_tokens.database.uncached import uncached
from pat_tokens.lookup import token_database
from pat_tokens.models import PersonalAccessToken, Scope, owner_is_active
from pat_tokens.networks import Address, is_in
from pat_tokens.owners import has_manager_with_rules, load_owners, with_owner
from pat_tokens.policy import get_policy, is_overridden
from pat_tokens.querysets import Status, has_status
from pat_tokens.scopes import RequiredScope, ScopeKey, decide

if TYPE_CHECKING:
    from pat_tokens.scopes import Decision

INTERVAL = 1.0  # seconds between two checks
PATIENCE = 5  # checks that can fail in a row before the connections are closed
BATCH = 1000  # secrets in one query


@dataclass(eq=False)
class Watch:
    """One connection: its secret, and what it requires while it is open."""

    token_id: UUID
    digests: tuple[str, ...]  # of its secret, under each pepper
    required_scope: RequiredScope | None
    # Of the client. If it is unknown, a connection whose token has allowed networks ends.
    address: Address | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Watcher:
    """The watches of one event loop, and the task that checks them while there are any."""

    def __init__(self) -> None:
        self.watches: set[Watch] = set()
        self.task: asyncio.Task[None] | None = None

    def add(self, watch: Watch) -> None:
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
            except Exception as error:  # noqa: BLE001 -- whatever failed, connections must not stay open forever
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
    """Provide an event that is set when `token`, as authentication returned it, stops working.

    That is when it expires, is revoked, regenerated or deleted, its scope is deleted, its owner becomes inactive, or
    its networks or the site's policy no longer allow the connection.
    """
    watcher = _watchers.setdefault(asyncio.get_running_loop(), Watcher())
    decision: Decision | None = token.decision
    digests = token.candidate_digests or (token.digest,)
    one = Watch(token.pk, digests, None if decision is None else decision.required_scope, token.client_address)
    watcher.add(one)
    try:
        yield one.ended
    finally:
        watcher.remove(one)


def find_ended(watches: Iterable[Watch]) -> list[Watch]:
    """Return the `watches` whose token no longer allows what they require.

    Makes one query per batch of secrets. Previous secrets are checked on model instances, with two or three queries. So
    are all secrets if the site overrides the policy's rules for requests, or the user manager.
    """
    by_secret: dict[tuple[str, ...], list[Watch]] = {}
    for one in watches:
        by_secret.setdefault(one.digests, []).append(one)
    secrets = list(by_secret)
    alias = token_database()
    has_policy = is_overridden("can_have_tokens") or is_overridden("refuse_token")
    active_owner = None if has_policy else _condition_of_active_owner()
    ended: list[Watch] = []
    close_old_connections()
    try:
        for start in range(0, len(secrets), BATCH):
            batch = [one for secret in secrets[start : start + BATCH] for one in by_secret[secret]]
            if active_owner is not None:
                ended_of_batch, batch = _check_columns(batch, active_owner, alias)
                ended += ended_of_batch
            if batch:
                ended += _check_instances(batch, alias)
    finally:
        # The connection of a worker thread would stay open until the thread ends.
        connections[alias].close()
    return ended


def _condition_of_active_owner() -> Q | None:
    """Return the condition for the owner of a token to be active, or None if only an instance can tell."""
    model = get_user_model()
    if has_manager_with_rules(model):
        return None
    declared = {field.name: type(field) for field in model._meta.concrete_fields}.get("is_active")
    if declared is None:
        return Q() if getattr(model, "is_active", True) is True else None
    return Q(user__is_active=True) if declared is BooleanField else None


def _check_columns(watches: list[Watch], active_owner: Q, alias: str) -> tuple[list[Watch], list[Watch]]:
    """Return the watches that have ended, and those whose secret is not the current one of a token."""
    digests = {digest for one in watches for digest in one.digests}
    tokens = PersonalAccessToken.objects.using(alias).with_digest(list(digests)).order_by()
    # A column instead of a filter, with which SQLite would read all tokens that aren't revoked. Neither this column nor
    # that of the networks needs a converter for each row.
    is_active = Case(When(has_status(Status.ACTIVE) & active_owner, then=1), default=0)
    networks_text = ExpressionWrapper(F("allowed_networks"), output_field=CharField())
    columns: list[Any] = [is_active, networks_text, F("digest")]
    types, operations = _types_and_operations(watches)
    if types:
        condition = Q(scope__entity_type__in=types, scope__operation__in=operations)
        tokens = tokens.annotate(held=FilteredRelation("scope", condition=condition))
        columns += [F(f"held__{name}") for name in ScopeKey._fields]
    found: dict[str, tuple[int, str, list[ScopeKey]]] = {}
    for row in uncached(tokens).values_list(*columns):
        is_usable, networks, digest = row[:3]
        known = found.get(digest)
        if known is None:
            known = found[digest] = is_usable, networks, []
        if types:
            known[2].append(ScopeKey._make(row[3:]))
    ended, unknown = [], []
    for one in watches:
        digest = next(filter(found.__contains__, one.digests), None)
        if digest is None:
            unknown.append(one)
            continue
        is_usable, networks, held = found[digest]
        is_allowed_from = not networks or is_in(one.address, networks.split())
        if not (is_usable and is_allowed_from and decide(held, one.required_scope)):
            ended.append(one)
    return ended, unknown


def _check_instances(watches: list[Watch], alias: str) -> list[Watch]:
    """Return the watches that have ended."""
    ids = {one.token_id for one in watches}
    tokens = with_owner(PersonalAccessToken.objects.using(alias).active().select_related("previous"))
    loaded = uncached(tokens).in_bulk(ids)
    load_owners(loaded.values())
    held = _scopes_of(ids, watches, alias)
    return [one for one in watches if not _is_still_allowed(one, loaded.get(one.token_id), held.get(one.token_id, ()))]


def _types_and_operations(watches: list[Watch]) -> tuple[set[str], set[str]]:
    """Return the entity types and operations that the watches require."""
    required = [one.required_scope for one in watches if one.required_scope is not None]
    scopes: list[RequiredScope | ScopeKey] = [*required, *(scope for one in required for scope in one.also)]
    return {scope.entity_type for scope in scopes}, {scope.operation for scope in scopes}


def _scopes_of(token_ids: set[UUID], watches: list[Watch], alias: str) -> dict[UUID, list[ScopeKey]]:
    types, operations = _types_and_operations(watches)
    if not types:
        return {}
    rows = Scope.objects.using(alias).filter(token__in=token_ids, entity_type__in=types, operation__in=operations)
    held: dict[UUID, list[ScopeKey]] = {}
    for token_id, *key in uncached(rows).values_list("token", "entity_type", "entity_id", "operation"):
        held.setdefault(token_id, []).append(ScopeKey(*key))
    return held


def _is_still_allowed(one: Watch, token: PersonalAccessToken | None, scopes: Iterable[ScopeKey]) -> bool:
    policy = get_policy()
    return (
        token is not None
        and _has_secret(token, one.digests)
        and not token.owner_is_hidden
        and owner_is_active(token.user)
        and (not token.allowed_networks or is_in(one.address, token.allowed_networks))
        and policy.can_have_tokens(token.user)
        and not policy.refuse_token(token, None)
        and bool(decide(scopes, one.required_scope))
    )


def _has_secret(token: PersonalAccessToken, digests: tuple[str, ...]) -> bool:
    return token.digest in digests or (token.previous_secret is not None and token.previous_digest in digests)


__all__ = ["watch"]
