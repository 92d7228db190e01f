"""What somebody leaves behind: tokens that end with their account, and secrets of other accounts that they know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from pat_tokens.models import Activity, Kind, PersonalAccessToken
from pat_tokens.policy import get_policy

LATELY = timedelta(days=30)
_CHANGES_OF_SECRET = (Kind.CREATED, Kind.IMPORTED, Kind.REGENERATED, Kind.ROTATED, Kind.ROTATION_CANCELLED)


@dataclass(frozen=True)
class KnownSecret:
    """A secret of somebody else's token that works, and that was shown to the user by the change in `row`."""

    token: PersonalAccessToken
    row: Activity
    is_previous: bool


@dataclass
class Departure:
    """What a user leaves behind."""

    own: list[PersonalAccessToken] = field(default_factory=list)  # end with the account
    known: list[KnownSecret] = field(default_factory=list)
    # Of accounts that the user manages, without a record of who has seen the secret.
    unknown: list[PersonalAccessToken] = field(default_factory=list)

    @property
    def used_lately(self) -> list[PersonalAccessToken]:
        """Those of the user's own tokens that were used in the last 30 days."""
        return [token for token in self.own if was_used_lately(token, timezone.now())]


def find_departure(user: Any) -> Departure:
    """Return what `user` would leave behind today. Makes three queries, and those of the policy.

    Activity says who was shown a secret. There is no record if its rows were pruned, if the key was imported, or if a
    command has shown the secret. Such a token is listed if the policy lets `user` manage the account.
    """
    active = PersonalAccessToken.objects.active().select_related("user", "previous").order_by("user_id", "name")
    departure = Departure(own=list(active.for_user(user)))
    acts = Activity.objects.filter(kind__in=_CHANGES_OF_SECRET)
    managed = get_policy().get_managed_users(user)
    others = active.exclude(user=user).filter(
        Q(pk__in=acts.filter(actor=user).values("token_id")) | Q(user__in=managed)
    )
    rows = acts.filter(token_id__in=others.order_by().values("pk")).order_by("id")
    issued_by = _find_origins(rows.iterator())
    for token in others:
        current, previous = issued_by.get(token.pk, (None, None))
        works = [(current, False)] if token.previous_secret is None else [(current, False), (previous, True)]
        known = [(row, is_old) for row, is_old in works if row is not None and row.actor_id == user.pk]
        departure.known += [KnownSecret(token, row, is_old) for row, is_old in known]
        if not known and any(_is_unclear(row) for row, _is_old in works):
            departure.unknown.append(token)
    return departure


def was_used_lately(token: PersonalAccessToken, now: datetime) -> bool:
    """Return whether `token` was used in the 30 days before `now`."""
    return token.last_used_at is not None and token.last_used_at > now - LATELY


def _find_origins(rows: Iterable[Activity]) -> dict[UUID, tuple[Activity | None, Activity | None]]:
    # For each token, the rows from which its current and its previous secret come; None if there is none.
    found: dict[UUID, tuple[Activity | None, Activity | None]] = {}
    for row in rows:
        current, previous = found.get(row.token_id, (None, None))
        if row.kind == Kind.ROTATED:
            found[row.token_id] = row, current
        elif row.kind == Kind.ROTATION_CANCELLED:
            found[row.token_id] = previous, None
        else:
            found[row.token_id] = row, None
    return found


def _is_unclear(row: Activity | None) -> bool:
    # If a row has only the name of its actor, that account was deleted, so it was somebody else's.
    return row is None or row.kind == Kind.IMPORTED or not row.actor_name
