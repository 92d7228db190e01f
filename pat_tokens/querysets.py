"""Querysets of tokens, scopes, reminders and activity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.db import connections, models
from django.db.models import Count, DateTimeField, Exists, F, OuterRef, Q, Subquery, Value
from django.db.models.expressions import OrderBy
from django.db.models.functions import Cast, Coalesce, Lower
from django.utils import timezone

from pat_tokens.crypto import pepper_id
from pat_tokens.database.uncached import uncached
from pat_tokens.scopes import ALL, RequiredScope, ScopeKey

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from pat_tokens.models import Activity, MissingScope, PersonalAccessToken, Reminder, Scope  # noqa: F401 -- named in strings below


class Status(models.TextChoices):
    """The status of a token; revoked takes precedence over expired."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


def has_status(status: Status, now: datetime | None = None) -> Q:
    """Return the condition that selects tokens with `status`, by the same rules as `PersonalAccessToken.status`."""
    is_expired = Q(expires_at__isnull=False, expires_at__lte=now or timezone.now())
    return {
        Status.ACTIVE: Q(revoked_at=None) & ~is_expired,
        Status.EXPIRED: Q(revoked_at=None) & is_expired,
        Status.REVOKED: Q(revoked_at__isnull=False),
    }[status]


def has_scope(**fields: str) -> Q:
    """Return the condition that selects tokens that have a scope with these `fields`."""
    scopes = apps.get_model("pat_tokens", "Scope")._base_manager
    return Q(Exists(scopes.filter(token=OuterRef("pk"), **fields)))


_LONG_AGO = datetime(1970, 1, 1)  # noqa: DTZ001 -- the time zone depends on the site
MISSING_LATELY = timedelta(days=30)  # how long a missing scope is listed
CLOCK_SKEW = timedelta(hours=1)  # how far the datetimes of activity can be out of order, compared with the ids
REMINDER_GRACE = timedelta(days=7)  # how long after the expiration a reminder of it can still be sent

SORTABLE = ("name", "description", "issued_at", "expires_at", "last_used_at")


class PepperCounts(NamedTuple):
    """How many secrets have a digest under the newest pepper, an older one, or one that is no longer configured.

    Previous secrets count while they work.

    `unrecorded`: the secret was last issued or used before peppers were recorded.
    """

    current: int
    old: int
    unknown: int
    unrecorded: int


class TokenQuerySet(models.QuerySet["PersonalAccessToken"]):
    """Reusable, chainable filters for tokens."""

    def for_user(self, user: AbstractBaseUser) -> Self:
        """The tokens of `user`. Look-ups for a user start here, so that other users' tokens aren't found."""
        return self.filter(user=user)

    def active(self, now: datetime | None = None) -> Self:
        """The tokens that are neither revoked nor expired."""
        return self.filter(has_status(Status.ACTIVE, now))

    def expired(self, now: datetime | None = None) -> Self:
        """The tokens that have expired, without the revoked ones."""
        return self.filter(has_status(Status.EXPIRED, now))

    def revoked(self) -> Self:
        return self.filter(has_status(Status.REVOKED))

    def never_used(self) -> Self:
        return self.filter(last_used_at=None)

    def with_status(self, status: str) -> Self:
        """The tokens with this status. Raises ValueError for an unknown one."""
        return self.filter(has_status(Status(status)))

    def search(self, term: str) -> Self:
        """The tokens with `term` in their name or description."""
        return self.filter(Q(name__icontains=term) | Q(description__icontains=term))

    def sorted_by(self, *orderings: str) -> Self:
        """The tokens in the order of these `SORTABLE` fields, each with an optional `-`, and then newest first.

        Case is ignored. On every database, tokens that were never used sort before all others, and those that never
        expire after all others.
        """
        by_field: dict[str, str] = {}
        for name in (*orderings, "-issued_at"):
            by_field.setdefault(name.removeprefix("-"), name)
        return self.order_by(*map(_ordering, by_field.values()), "pk")

    def inactive_since(self, when: datetime) -> Self:
        """The tokens that were revoked or had expired at `when`."""
        return self.filter(Q(revoked_at__lte=when) | Q(expires_at__lte=when))

    def expiring(self, days: Sequence[int], now: datetime) -> Self:
        """The tokens whose owner is due for a reminder at `now`, `days` before they expire.

        If several numbers of days apply, the smallest counts; 0 is once after the expiration. Numbers of days that
        aren't shorter than the token's whole lifetime are ignored, so that a new token doesn't cause a reminder.
        """
        reminders = self.model._meta.get_field("reminder").related_model._base_manager
        due = []
        for number, shorter in zip(sorted(days), (None, *sorted(days)), strict=False):
            if number == 0:
                window = Q(expires_at__gt=now - REMINDER_GRACE, expires_at__lte=now)
            else:
                window = Q(
                    Q(expires_at__gt=F("issued_at") + timedelta(days=number)),
                    expires_at__gt=now + timedelta(days=shorter or 0),
                    expires_at__lte=now + timedelta(days=number),
                )
            reminded = reminders.filter(token=OuterRef("pk"), issued_at=OuterRef("issued_at"), days=number)
            due.append(Q(window, ~Exists(reminded)))
        return self.filter(reduce(or_, due), revoked_at=None) if due else self.none()

    def with_previous_secret_in_use(self, since: datetime) -> Self:
        """The tokens whose previous secret was used after the current one's first use, if no mail was sent about it.

        `since`: earlier uses are ignored, because no overlap is that old.
        """
        is_in_use = Q(previous__last_used_at__gte=F("grace_started_at"), previous__mailed_at=None)
        return self.filter(is_in_use, previous__last_used_at__gte=since, rotated_at__isnull=False, revoked_at=None)

    def with_scope(self, **fields: str) -> Self:
        """The tokens that have a scope with these `fields`."""
        return self.filter(has_scope(**fields))

    def refused(self) -> Self:
        """The tokens with a secret that was refused since the current one was issued."""
        rows = apps.get_model("pat_tokens", "Activity").objects.refusals()
        return self.filter(Exists(rows.filter(token_id=OuterRef("pk"), last_at__gte=OuterRef("issued_at"))))

    def with_scope_count(self) -> Self:
        scopes = self.model._meta.get_field("scope").related_model._base_manager.filter(token=OuterRef("pk"))
        count = scopes.order_by().values("token").annotate(count=Count("pk")).values("count")
        return self.annotate(scope_count=Coalesce(Subquery(count), 0))

    def with_digest(self, digests: list[str]) -> Self:
        """The token with one of these digests: those of one secret under each pepper."""
        return self.filter(digest__in=digests)

    def with_any_digest(self, digests: list[str]) -> Self:
        """The token whose current or previous secret has one of these digests.

        Both are compared in one statement, because a rotation could be canceled between two statements.
        """
        return self.filter(Q(digest__in=digests) | Q(previous_digest__in=digests))

    def count_by_pepper(self, peppers: Sequence[str]) -> PepperCounts:
        """Return how many secrets have a digest under each kind of pepper, given the current ones, newest first."""
        newest, *older = [pepper_id(pepper) for pepper in peppers]
        counts = Counter(dict(self.order_by().values_list("pepper_id").annotate(Count("pk"))))
        rotated = self.filter(rotated_at__isnull=False, revoked_at=None).select_related("previous")
        counts.update(token.previous.pepper_id for token in rotated if token.previous_secret is not None)
        known = {"current": counts.pop(newest, 0), "unrecorded": counts.pop("", 0)}
        known["old"] = sum(counts.pop(name, 0) for name in set(older) - {newest})
        return PepperCounts(**known, unknown=sum(counts.values()))

    def with_facts(self, required_scope: RequiredScope | None) -> Self:
        """Annotate what `scopes.decide_from_facts` needs, and when the scopes were last used.

        `scope_use_0`, … are the last uses of the scopes that cover each required scope: None if no scope covers it, and
        a datetime long ago if the covering scope was never used. `scope_some`, only for filtered lists, is whether
        there is a scope on any id.
        """
        if required_scope is None:
            return self
        held = self.model._meta.get_field("scope").related_model._base_manager.filter(token=OuterRef("pk"))
        facts: dict[str, Any] = {}
        for number, needed in enumerate(required_scope.scopes):
            scopes = held.filter(entity_type=needed.entity_type, operation=needed.operation)
            facts[f"scope_use_{number}"] = self._use_of_covering(scopes, needed.entity_id)
            if required_scope.filtered and number == 0:
                facts["scope_some"] = Exists(scopes)
        return self.annotate(**facts)

    def _use_of_covering(self, scopes: models.QuerySet[Any], entity_id: str) -> Coalesce | Subquery:
        long_ago = timezone.make_aware(_LONG_AGO, UTC) if settings.USE_TZ else _LONG_AGO
        never: Value | Cast = Value(long_ago, DateTimeField())
        is_sqlite = connections[self.db].vendor == "sqlite"
        if not is_sqlite:
            # MariaDB would treat the parameter, and with it the whole expression, as text.
            never = Cast(never, DateTimeField())
        uses = scopes.values_list(Coalesce("last_used_at", never))
        if is_sqlite:
            # Two subqueries instead of an IN, for which SQLite would build a table. Other databases would plan both.
            return Coalesce(Subquery(uses.filter(entity_id=ALL)), Subquery(uses.filter(entity_id=entity_id)))
        return Subquery(uses.filter(entity_id__in=(ALL, entity_id))[:1])


def _ordering(name: str) -> OrderBy:
    field = name.removeprefix("-")
    if field not in SORTABLE:
        raise ValueError(f"tokens cannot be sorted by {field!r}")
    expression = Lower(field) if field in ("name", "description") else F(field)
    if field == "issued_at" or isinstance(expression, Lower):
        return expression.desc() if name.startswith("-") else expression.asc()
    null_is_low = field == "last_used_at"
    if name.startswith("-"):
        return expression.desc(**{"nulls_last" if null_is_low else "nulls_first": True})
    return expression.asc(**{"nulls_first" if null_is_low else "nulls_last": True})


class ScopeQuerySet(models.QuerySet["Scope"]):
    """Reusable, chainable filters for scopes."""

    def matching(self, entity_type: str, operation: str) -> Self:
        """The scopes on any entity of this type for this operation."""
        return self.filter(entity_type=entity_type, operation=operation)

    def operations_of(self, token_ids: Iterable[UUID]) -> list[tuple[UUID, str, str]]:
        """Return which operations these tokens have on which entity types, however many entities those are."""
        found = self.filter(token__in=token_ids).order_by()
        return list(found.values_list("token_id", "entity_type", "operation").distinct())

    def sorted(self) -> Self:
        """The scopes in a stable order."""
        return self.order_by("entity_type", "entity_id", "operation", "pk")

    def with_use(self) -> Self:
        """The scopes with `recorded_since`, when recording of uses began, and `unused_since`: the last use, or that."""
        recorded_since = Coalesce("watched_since", "created_at")
        return self.annotate(recorded_since=recorded_since, unused_since=Coalesce("last_used_at", recorded_since))

    def unused_since(self, when: datetime) -> Self:
        """The scopes that weren't used after `when`, although uses have been recorded since then or earlier."""
        return self.with_use().filter(unused_since__lte=when)

    def uses(self) -> models.QuerySet[Scope, Any]:
        """The scopes `with_use` as named tuples, because creating instances of 500 scopes takes twice as long."""
        columns = ("pk", "entity_type", "entity_id", "operation", "last_used_at", "recorded_since", "unused_since")
        return self.with_use().values_list(*columns, named=True)

    def keys(self) -> list[ScopeKey]:
        return [ScopeKey(*row) for row in uncached(self).values_list("entity_type", "entity_id", "operation")]


class MissingScopeQuerySet(models.QuerySet["MissingScope"]):
    """Reusable, chainable filters for scopes that tokens recently lacked."""

    def lately(self) -> Self:
        """The scopes that were missing within the last 30 days, the latest first."""
        return self.filter(last_at__gt=timezone.now() - MISSING_LATELY).order_by("-last_at", "pk")

    def covered_by(self, keys: Iterable[ScopeKey]) -> Self:
        """The scopes that one of `keys` includes."""
        conditions = [
            Q(entity_type=key.entity_type, operation=key.operation)
            & (Q() if key.entity_id == ALL else Q(entity_id=key.entity_id))
            for key in keys
        ]
        return self.filter(reduce(or_, conditions)) if conditions else self.none()


class ReminderQuerySet(models.QuerySet["Reminder"]):
    """Reusable, chainable filters for reminders."""

    def unfinished(self, since: datetime) -> Self:
        """The reminders that were claimed before `since` and not sent, for example because a process was killed."""
        return self.filter(sent_at=None, claimed_at__lte=since)


class ActivityQuerySet(models.QuerySet["Activity"]):
    """Reusable, chainable filters for activity."""

    def for_owner(self, owner: AbstractBaseUser) -> Self:
        """The activity of the tokens of `owner`, including deleted tokens."""
        return self.filter(owner=owner)

    def for_token(self, token_id: UUID) -> Self:
        """The activity of one token, which may have been deleted."""
        return self.filter(token_id=token_id)

    def newest_first(self) -> Self:
        return self.order_by("-id")

    def since(self, when: datetime) -> Self:
        """What happened at `when` or later."""
        first = self._all().filter(at__gte=_shifted(when, -CLOCK_SKEW)).order_by("at").values("pk")[:1]
        return self.filter(at__gte=when, pk__gte=Subquery(first))

    def until(self, when: datetime) -> Self:
        """What happened before `when`."""
        last = self._all().filter(at__lt=_shifted(when, CLOCK_SKEW)).order_by("-at").values("pk")[:1]
        return self.filter(at__lt=when, pk__lte=Subquery(last))

    def _all(self) -> models.QuerySet[Any]:
        # Rows are read by id. The index on `at` finds the id to start or to stop at.
        return self.model._base_manager.using(self.db)

    def refusals(self) -> Self:
        """The requests whose secret was refused."""
        return self.filter(kind="refused")

    def older_than(self, when: datetime) -> Self:
        """What happened before `when`; for refused secrets, the last request counts."""
        return self.filter(Q(last_at=None) | Q(last_at__lt=when), at__lt=when)


def _shifted(when: datetime, span: timedelta) -> datetime:
    try:
        return when + span
    except OverflowError:  # too close to the first or last day that Python can represent
        return when
