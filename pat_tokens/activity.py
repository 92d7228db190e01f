"""What happened to tokens: who did what, through what, and which secrets were sent in vain.

An act is recorded in the transaction of its change, by the service that makes it. A refused secret is recorded after
the request, at most once a minute in each process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import router, transaction
from django.utils import timezone

from pat_tokens import signals
from pat_tokens.conf import conf
from pat_tokens.http import client_agent
from pat_tokens.models import MAX_AGENT_LENGTH, MAX_NAME_LENGTH, Activity, Kind, PersonalAccessToken, Via
from pat_tokens.policy import client_ip

if TYPE_CHECKING:
    from django.http import HttpRequest

    from pat_tokens.scopes import ScopeKey

PRUNE_BATCH = 5000  # rows deleted in one transaction


@dataclass(frozen=True)
class Actor:
    """Who changes a token: the user, or None for the system or a command; through what; and from where."""

    user: Any = None
    via: str = Via.SYSTEM
    ip: str | None = None
    agent: str = ""

    @classmethod
    def of_request(cls, request: HttpRequest, via: str, *, user: Any = None) -> Actor:
        """Return the actor of `request`: its user, unless another one is given."""
        user = request.user if user is None else user
        return cls(user, via, client_ip(request), client_agent(request, prefix=conf.prefix))


SYSTEM = Actor()


def record(
    actor: Actor,
    kind: Kind,
    *tokens: PersonalAccessToken,
    fields: Iterable[str] = (),
    scopes_added: Iterable[ScopeKey] = (),
    scopes_deleted: Iterable[ScopeKey] = (),
) -> None:
    """Record that `actor` did this to each of `tokens`; call it in the transaction of the change."""
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
    if len(rows) == 1:
        rows[0].save(force_insert=True, using=_alias())  # sets its id on every database
    else:
        Activity.objects.using(_alias()).bulk_create(rows)
    _announce(rows)


def prune_activity(*, days: int, batch: int = PRUNE_BATCH) -> int:
    """Delete what is older than `days`, and return how many rows; each batch is one short transaction."""
    rows = Activity.objects.using(_alias()).older_than(timezone.now() - timedelta(days=days))
    count = 0
    while ids := list(rows.order_by("at").values_list("pk", flat=True)[:batch]):
        count += Activity.objects.using(_alias()).filter(pk__in=ids).delete()[0]
    return count


def _announce(rows: Sequence[Activity]) -> None:
    def send() -> None:
        for row in rows:
            signals.activity_recorded.send_robust(Activity, activity=row)

    if signals.activity_recorded.has_listeners(Activity):
        transaction.on_commit(send, using=_alias(), robust=True)


def _alias() -> str:
    return router.db_for_write(PersonalAccessToken)


__all__ = ["SYSTEM", "Actor"]
