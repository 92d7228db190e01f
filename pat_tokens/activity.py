"""Record and read what happened to tokens: changes with their actors, and refused secrets.

A change is recorded in its own transaction, by the service that makes it. A refused secret is recorded after the
request, at most once a minute in each process. `models.Kind` has the kinds of changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import router, transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from pat_tokens import signals
from pat_tokens.conf import conf
from pat_tokens.deferred_writes import lock_or_skip, take_write_lock, write_later
from pat_tokens.http import client_agent
from pat_tokens.models import MAX_AGENT_LENGTH, MAX_NAME_LENGTH, Activity, Kind, PersonalAccessToken, Via
from pat_tokens.policy import recorded_ip
from pat_tokens.rate_limits import RateLimiter

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.http import HttpRequest

    from pat_tokens.scopes import ScopeKey

PRUNE_BATCH = 1000  # rows deleted in one transaction
PERIOD = timedelta(hours=1)  # refusals of a token for one reason within this time are one row
LATELY = timedelta(days=7)
MAX_REFUSALS = 1000  # rows that are read to count refusals

# One write a minute for each token and reason; the size bounds the memory.
_refusals = RateLimiter(1, 60, size=16_384)


@dataclass(frozen=True)
class Actor:
    """Who changes a token (a user, or None for the system or a command), by which interface, and from where."""

    user: Any = None
    via: str = Via.SYSTEM
    ip: str | None = None
    agent: str = ""

    @classmethod
    def of_request(cls, request: HttpRequest, via: str, *, user: Any = None) -> Actor:
        """Return the actor of `request`: its user, unless another one is given."""
        user = request.user if user is None else user
        return cls(user, via, recorded_ip(request), client_agent(request, prefix=conf.prefix))


SYSTEM = Actor()


def record(
    actor: Actor,
    kind: Kind,
    *tokens: PersonalAccessToken,
    fields: Iterable[str] = (),
    scopes_added: Iterable[ScopeKey] = (),
    scopes_deleted: Iterable[ScopeKey] = (),
    widens: bool = False,
) -> None:
    """Record that `actor` changed each of `tokens`. Must be called in the transaction of the change.

    `widens` says whether an update lets the token be used from more addresses, for receivers of `activity_recorded`.
    """
    lists = {
        "fields": list(fields),
        "scopes_added": sorted(map(str, scopes_added)),
        "scopes_deleted": sorted(map(str, scopes_deleted)),
    }
    changes = {name: values for name, values in lists.items() if values}
    now = timezone.now()
    user = actor.user if getattr(actor.user, "pk", None) is not None else None
    rows = [
        Activity(
            owner_id=token.user_id,
            token_id=token.pk,
            token_name=token.name,
            kind=kind,
            at=now,
            actor=user,
            actor_name="" if user is None else user.get_username()[:MAX_NAME_LENGTH],
            via=actor.via,
            ip=actor.ip,
            agent=actor.agent[:MAX_AGENT_LENGTH],
            changes=changes,
        )
        for token in tokens
    ]
    for row in rows:
        row.widens = widens
    if len(rows) == 1:
        rows[0].save(force_insert=True, using=_alias())  # sets its id on every database
    else:
        Activity.objects.using(_alias()).bulk_create(rows)
    _announce(rows, _alias())


@dataclass(frozen=True)
class Refusals:
    """How often a secret was refused for one reason: at least `count` times, and last by `row`."""

    row: Activity
    count: int


def record_refusal(token: PersonalAccessToken, reason: str, *, request: HttpRequest | None = None) -> None:
    """Record that a secret of `token` was refused: one row per reason and hour, one write per minute.

    Written in each process after the transaction of `request`, and lost if that fails, so counts are a lower bound.
    """
    taken = _refusals.take((token.pk, reason))
    if not taken.is_allowed:
        return
    ip = agent = None
    if request is not None:
        ip, agent = recorded_ip(request), client_agent(request, prefix=conf.prefix)
    now = timezone.now()
    row = Activity(
        owner_id=token.user_id,
        token_id=token.pk,
        token_name=token.name,
        kind=Kind.REFUSED,
        via=Via.TOKEN,
        ip=ip,
        agent=(agent or "")[:MAX_AGENT_LENGTH],
        reason=reason,
        count=1 + taken.missed,
        at=now,
        last_at=now,
    )
    write_later(partial(_write_refusal, row), token=token, request=request)


def find_refusals(token: PersonalAccessToken) -> list[Refusals]:
    """Return the refusals of the current secrets of `token`, one per reason. Makes one query."""
    rows = Activity.objects.for_token(token.pk).refusals().filter(last_at__gte=token.issued_at)
    found: dict[str, list[Activity]] = {}
    for row in rows.newest_first()[:MAX_REFUSALS]:
        found.setdefault(row.reason, []).append(row)
    return [Refusals(rows[0], sum(row.count or 1 for row in rows)) for rows in found.values()]


def find_tokens_refused_lately(owner: AbstractBaseUser) -> list[PersonalAccessToken]:
    """Return the tokens of `owner` with refused secrets in the last days. Makes up to two queries."""
    since = timezone.now() - LATELY
    rows = Activity.objects.for_owner(owner).refusals().newest_first()[:MAX_REFUSALS]
    last_at: dict[Any, datetime] = {}
    for row in rows:
        if row.last_at and row.last_at >= since:
            last_at.setdefault(row.token_id, row.last_at)
    if not last_at:
        return []
    tokens = PersonalAccessToken.objects.for_user(owner).filter(pk__in=last_at).order_by("name_key")
    return [token for token in tokens if last_at[token.pk] >= token.issued_at]


def prune_activity(before: datetime, *, batch: int = PRUNE_BATCH) -> int:
    """Delete rows before a datetime, and return their number. Each batch is one short transaction."""
    rows = Activity.objects.using(_alias())
    count = 0
    while ids := list(rows.older_than(before).order_by("at").values_list("pk", flat=True)[:batch]):
        count += rows.filter(pk__in=ids).delete()[0]
    return count


def _write_refusal(row: Activity, alias: str) -> None:
    token = PersonalAccessToken.objects.using(alias).filter(pk=row.token_id).order_by()
    take_write_lock(alias)
    # Locked, so that two processes never insert a row each.
    if not lock_or_skip(token).values_list("pk").first():
        return
    rows = Activity.objects.using(alias)
    # Without the period, the database would read all activity of a token that was never refused.
    lately = rows.for_token(row.token_id).refusals().since(row.at - PERIOD)
    last = lately.filter(reason=row.reason).newest_first().first()
    if last is not None:
        rows.filter(pk=last.pk).update(
            count=F("count") + row.count, last_at=Greatest("last_at", row.last_at), ip=row.ip, agent=row.agent
        )
        return
    # The insert locks the row of the owner, to which the new row refers. It would wait for another transaction's lock.
    owner = get_user_model()._base_manager.using(alias).filter(pk=row.owner_id).order_by()
    if lock_or_skip(owner).values_list("pk").first():
        row.save(force_insert=True, using=alias)
        _announce([row], alias)


def _announce(rows: Sequence[Activity], alias: str) -> None:
    def send() -> None:
        for row in rows:
            signals.activity_recorded.send_robust(Activity, activity=row)

    if signals.activity_recorded.has_listeners(Activity):
        transaction.on_commit(send, using=alias, robust=True)


def _alias() -> str:
    return router.db_for_write(PersonalAccessToken)


__all__ = ["SYSTEM", "Actor"]
