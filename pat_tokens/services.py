"""The only functions that write: create, import, regenerate, rotate, revoke, update, delete, and record use.

Each checks the limits, writes in one transaction, with a row of activity that names the `actor`, and sends its signal
after the commit. Locks are always taken in the same order, the owner's row before a token's, to avoid deadlocks.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from django.contrib.auth import get_user_model
from django.db import connections, router, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.dispatch import Signal
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_variables

from pat_tokens import log_events, signals
from pat_tokens.activity import SYSTEM, Actor, record
from pat_tokens.conf import conf
from pat_tokens.crypto import digest, digests, hint, legacy_hint, make_secret, pepper_id
from pat_tokens.deferred_writes import due_condition, is_due, take_write_lock, update_unlocked, write_later
from pat_tokens.durations import parse_grace_period
from pat_tokens.exceptions import (
    NON_FIELD,
    InvalidInput,
    NoRotation,
    NotActive,
    RotationInProgress,
    RotationInUse,
)
from pat_tokens.models import MAX_AGENT_LENGTH, Kind, PersonalAccessToken, PreviousSecret, Reminder, Scope
from pat_tokens.networks import are_within
from pat_tokens.policy import get_policy
from pat_tokens.scopes import ScopeKey, absorb
from pat_tokens.validation import (
    FIELD_CLEANERS,
    DurationRules,
    NewTokenFields,
    TokenFields,
    check_can_have_tokens,
    check_held_scopes,
    check_networks,
    check_scope_count,
    clean_expiry,
    clean_grace_period,
    clean_legacy_expiry,
    clean_legacy_key,
    clean_renewal,
    clean_scopes,
    name_key,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.http import HttpRequest

    from pat_tokens.querysets import ScopeQuerySet, TokenQuerySet

PRUNE_BATCH = 1000  # tokens deleted in one transaction
# Fields of a secret, in the row of its token and, under the second name, in that of the previous secret.
_SECRET_FIELDS = {name: name for name in ("pepper_id", "hint", "issued_at", "is_legacy")}
_SECRET_FIELDS |= {"expires_at": "original_expires_at"}
_NEVER_USED: dict[str, Any] = {"last_used_at": None, "last_used_ip": None, "last_used_agent": ""}
_NO_OVERLAP: dict[str, Any] = {"rotated_at": None, "grace_started_at": None}


def create_token(
    user: AbstractBaseUser,
    *,
    errors: Mapping[str, Any] | None = None,
    actor: Actor = SYSTEM,
    **fields: Unpack[NewTokenFields],
) -> tuple[PersonalAccessToken, str]:
    """Create a token for `user`; return it and its secret, which can't be retrieved later.

    Raises InvalidInput with all errors at once. `errors` are those that the caller has already found: they are raised
    together with the others, and their fields aren't validated again.
    """
    now = timezone.now()
    clean = _clean_new(user, fields, now, errors)
    clean.check(lambda: _find_conflicts(user, clean.values))
    secret = make_secret(conf.prefix)
    with transaction.atomic(using=_alias()):
        _lock_owner(user)
        token, added = _insert_token(user, clean.values, **_secret_fields(secret, now))
        record(actor, Kind.CREATED, token, scopes_added=added)
        _announce("token_created", token)
    return token, secret


@sensitive_variables()
def import_token(
    user: AbstractBaseUser,
    key: str,
    *,
    actor: Actor = SYSTEM,
    **fields: Unpack[NewTokenFields],
) -> tuple[PersonalAccessToken, bool]:
    """Import a key of DRF's authtoken; return the token that now has this key, and whether it was created.

    If the user already has a token with this key, that one is returned unchanged. The key works until the token
    expires or is regenerated, while `PAT_TOKENS_ALLOW_LEGACY_KEYS` is on. Raises InvalidInput with all errors at once.
    """
    now = timezone.now()
    clean = _clean_new(user, fields, now)
    clean.add("expires_at", lambda: clean_legacy_expiry(clean.values["expires_at"]), unless="duration")
    clean.add("key", lambda: clean_legacy_key(key))
    clean.check(lambda: _find_conflicts(user, clean.values))
    known = digests(clean.values.pop("key"), conf.peppers)
    with transaction.atomic(using=_alias()):
        _lock_owner(user)
        token = _tokens().with_any_digest(known).first()
        if token is not None:
            if token.user_id != user.pk:
                raise InvalidInput({"key": [_("Another user has a token with this key.")]})
            return token, False
        columns = {**_secret_fields(key, now), "hint": legacy_hint(key), "is_legacy": True}
        token, added = _insert_token(user, clean.values, **columns)
        record(actor, Kind.IMPORTED, token, scopes_added=added)
        _announce("token_imported", token)
    return token, True


def regenerate_token(
    token: PersonalAccessToken,
    *,
    duration: str | timedelta | None = None,
    expires_at: datetime | date | str | None = None,
    errors: Mapping[str, Any] | None = None,
    actor: Actor = SYSTEM,
) -> tuple[PersonalAccessToken, str]:
    """Give `token` a new secret and expiration date; the old secret stops working in the same transaction.

    Without a duration and an expiration date, the token lives as long as before. Name, description, scopes and id
    stay; the token is no longer revoked. Raises InvalidInput.
    """
    now = timezone.now()
    secret = make_secret(conf.prefix)
    with transaction.atomic(using=_alias()):
        locked = _lock_token(token)
        check_can_have_tokens(locked.user)
        clean = _Input(errors)
        clean.require_policy(locked)
        clean.add("expires_at", lambda: clean_renewal(locked, duration, expires_at, now=now), unless="duration")
        clean.check()
        _replace_secret(locked, secret, now, clean.values["expires_at"], revoked_at=None, **_NO_OVERLAP)
        record(actor, Kind.REGENERATED, locked)
        _announce("token_regenerated", locked)
    return locked, secret


def rotate_token(
    token: PersonalAccessToken,
    *,
    duration: str | timedelta | None = None,
    expires_at: datetime | date | str | None = None,
    grace_period: str | timedelta | None = None,
    errors: Mapping[str, Any] | None = None,
    actor: Actor = SYSTEM,
) -> tuple[PersonalAccessToken, str]:
    """Give `token` a new secret while the previous one keeps working; return the token and the new secret.

    The previous secret stops `grace_period` (default 24 h) after the first use of the new one, or now for `"0"`.
    The expiration is that of `regenerate_token`. Raises InvalidInput; NotActive for a revoked or expired token; and
    RotationInProgress while the token has two working secrets.
    """
    secret = make_secret(conf.prefix)
    with transaction.atomic(using=_alias()):
        locked = _lock_token(token)
        now = timezone.now()  # after waiting for the lock: the rotation before this one was earlier
        if not locked.is_active:
            raise NotActive
        if locked.get_previous_secret(now) is not None:
            raise RotationInProgress
        check_can_have_tokens(locked.user)
        clean = _Input(errors)
        clean.require_policy(locked)
        clean.add("expires_at", lambda: clean_renewal(locked, duration, expires_at, now=now), unless="duration")
        clean.add("grace_period", lambda: clean_grace_period(grace_period))
        clean.check()
        period = clean.values["grace_period"]
        overlap = _NO_OVERLAP | ({"rotated_at": now} if parse_grace_period(period) else {})
        _replace_secret(locked, secret, now, clean.values["expires_at"], grace_period=period, **overlap)
        record(actor, Kind.ROTATED, locked)
        _announce("token_rotated", locked)
    return locked, secret


def finish_rotation(token: PersonalAccessToken, *, actor: Actor = SYSTEM) -> PersonalAccessToken:
    """Stop the previous secret of `token` now. Raises NoRotation if no previous secret works."""
    with transaction.atomic(using=_alias()):
        locked = _lock_token(token)
        _require_overlap(locked)
        _finish(locked, actor)
    return locked


def cancel_rotation(token: PersonalAccessToken, *, actor: Actor = SYSTEM) -> PersonalAccessToken:
    """Make the previous secret of `token` the current one again, with its expiration date; the new secret stops.

    Raises NoRotation if no previous secret works, and RotationInUse if a use of the new one has been recorded.
    """
    with transaction.atomic(using=_alias()):
        locked = _lock_token(token)
        _require_overlap(locked)
        if locked.grace_started_at is not None:
            raise RotationInUse
        restored = {name: getattr(locked.previous, kept_as) for name, kept_as in _SECRET_FIELDS.items()}
        digests = {"digest": locked.previous_digest, "previous_digest": locked.digest}
        _keep_secret(locked, **_NEVER_USED)
        _write(locked, **digests, **restored, last_used_by_previous=False, **_NO_OVERLAP)
        record(actor, Kind.ROTATION_CANCELLED, locked)
        _announce("rotation_cancelled", locked)
    return locked


def set_grace_period(
    token: PersonalAccessToken, grace_period: str | timedelta, *, actor: Actor = SYSTEM
) -> PersonalAccessToken:
    """Change how long the previous secret works after the first use of the new one; `"0"` stops it now.

    Raises InvalidInput, and NoRotation if no previous secret works.
    """
    return update_token(token, grace_period=grace_period, actor=actor)


def revoke_token(token: PersonalAccessToken, *, actor: Actor = SYSTEM) -> PersonalAccessToken:
    """Revoke `token` immediately, in every process. A token that is already revoked isn't changed."""
    with transaction.atomic(using=_alias()):
        locked = _lock_token(token)
        if not locked.is_revoked:
            _write(locked, revoked_at=timezone.now())
            record(actor, Kind.REVOKED, locked)
            _announce("token_revoked", locked)
    return locked


def update_token(
    token: PersonalAccessToken,
    *,
    grace_period: str | timedelta | None = None,
    errors: Mapping[str, Any] | None = None,
    actor: Actor = SYSTEM,
    before_widening: Callable[[], None] | None = None,
    **fields: Unpack[TokenFields],
) -> PersonalAccessToken:
    """Change the given fields, and the grace period of a rotation unless it is None.

    Raises InvalidInput with all errors at once, and NoRotation for a grace period if no previous secret works.
    `before_widening` is called if the token could then be used from more addresses than before, and can raise an error,
    such as ReauthenticationRequired, to prevent that.
    """
    clean = _Input(errors)
    clean.add_fields(fields, TokenFields)
    if "allowed_networks" in clean.values:
        clean.require("allowed_networks", lambda: check_networks(token.user, clean.values["allowed_networks"], token))
    if grace_period is not None:
        clean.add("grace_period", lambda: clean_grace_period(grace_period))
    others = _tokens().filter(user=token.user_id).exclude(pk=token.pk)
    clean.check(lambda: _find_duplicate(others, clean.values))
    values = clean.values
    with transaction.atomic(using=_alias()):
        if "name" in values:
            _lock_user(token.user_id)
            if duplicate := _find_duplicate(others, values):
                raise InvalidInput(duplicate)
            values["name_key"] = name_key(values["name"])
        locked = _lock_token(token)
        period = values.pop("grace_period", None)
        if period is not None:
            _require_overlap(locked)
        is_finished = period is not None and not parse_grace_period(period)
        changed = {field: value for field, value in values.items() if getattr(locked, field) != value}
        networks = changed.get("allowed_networks", locked.allowed_networks)
        widens = not are_within(networks, locked.allowed_networks)
        if widens:
            check_can_have_tokens(locked.user)
        if before_widening and widens:
            before_widening()
        names = tuple(field for field in changed if field != "name_key")
        if changed:
            _write(locked, **changed)
        if period is not None and not is_finished and period != locked.previous.grace_period:
            names += ("grace_period",)
            _write(locked.previous, grace_period=period, mailed_at=None)  # the mail said when the previous secret stops
        if names:
            record(actor, Kind.UPDATED, locked, fields=names, widens=widens)
            _announce("token_updated", locked, fields=names)
        if is_finished:
            _finish(locked, actor)
    return locked


def delete_token(token: PersonalAccessToken, *, actor: Actor = SYSTEM) -> None:
    """Delete `token` with its scopes."""
    with transaction.atomic(using=_alias()):
        _lock_user(token.user_id)
        _delete(_tokens().filter(pk=token.pk), actor)


def delete_tokens(
    user: AbstractBaseUser,
    selected: TokenQuerySet | None = None,
    *,
    expected_active: Collection[uuid.UUID] | None = None,
    actor: Actor = SYSTEM,
) -> int:
    """Delete the tokens of `user`, all or those that are `selected`, and return how many there were.

    `expected_active` are the ids of the tokens that can be deleted although they are active; None means all.
    """
    tokens = _tokens() if selected is None else selected.using(_alias())
    with transaction.atomic(using=_alias()):
        _lock_user(user.pk)
        return _delete(tokens.for_user(user), actor, expected_active=expected_active)


def revoke_tokens(user: AbstractBaseUser, selected: TokenQuerySet, *, actor: Actor = SYSTEM) -> int:
    """Revoke those of the `selected` tokens of `user` that are active, and return how many there were."""
    with transaction.atomic(using=_alias()):
        _lock_user(user.pk)
        found = list(_lock(selected.using(_alias()).for_user(user).active().order_by("pk")))
        now = timezone.now()
        _tokens().filter(pk__in=[token.pk for token in found]).update(revoked_at=now)
        record(actor, Kind.REVOKED, *found)
        for token in found:
            token.revoked_at = now
            _announce("token_revoked", token)
    return len(found)


def add_scopes(
    token: PersonalAccessToken,
    scopes: Iterable[Any],
    *,
    errors: Mapping[str, Any] | None = None,
    actor: Actor = SYSTEM,
) -> list[ScopeKey]:
    """Add all of `scopes` or none, and return those that were new.

    A scope on `*` replaces those on single ids for the same operation; a scope that is already covered changes nothing.
    Raises InvalidInput if the owner can't grant one of them, or for more scopes than the site allows.
    """
    check_can_have_tokens(token.user)
    clean = _Input(errors)
    clean.add("scopes", lambda: clean_scopes(token.user, scopes, token))
    clean.require("allowed_networks", lambda: check_networks(token.user, token.allowed_networks, token))
    clean.check()
    keys = clean.values["scopes"]
    with transaction.atomic(using=_alias()):
        locked = _lock_token(token)
        held = locked.scope_set.using(_alias()).keys()
        redundant, added = absorb(held, keys)
        check_scope_count(len(held) - len(redundant) + len(added))
        if redundant:
            _delete_keys(locked, redundant)
        if added:
            _insert_scopes(locked, added)
            locked.missing_scopes.using(_alias()).covered_by(added).delete()
            record(actor, Kind.SCOPES_ADDED, locked, scopes_added=added, scopes_deleted=redundant)
            _announce("scopes_added", locked, scopes=tuple(added))
    return added


def delete_scope(scope: Scope, *, actor: Actor = SYSTEM) -> None:
    """Delete `scope`. Does nothing if it was already deleted."""
    with transaction.atomic(using=_alias()):
        locked = _lock_token(scope.token)
        deleted, _per_model = locked.scope_set.filter(pk=scope.pk).delete()
        if deleted:
            record(actor, Kind.SCOPES_DELETED, locked, scopes_deleted=[scope.key])
            _announce("scopes_deleted", locked, scopes=(scope.key,))


def delete_scopes(token: PersonalAccessToken, selected: ScopeQuerySet | None = None, *, actor: Actor = SYSTEM) -> int:
    """Delete the scopes of `token`, all or those that are `selected`, and return how many there were.

    A token without scopes can only use views that accept any valid token.
    """
    with transaction.atomic(using=_alias()):
        locked = _lock_token(token)
        scopes = locked.scope_set.all() if selected is None else selected.filter(token=locked)
        rows = list(scopes.using(_alias()).sorted())
        keys = [row.key for row in rows]
        if keys:
            locked.scope_set.filter(pk__in=[row.pk for row in rows]).delete()
            record(actor, Kind.SCOPES_DELETED, locked, scopes_deleted=keys)
            _announce("scopes_deleted", locked, scopes=tuple(keys))
    return len(keys)


def prune_tokens(*, inactive_for: timedelta, batch: int = PRUNE_BATCH, actor: Actor = SYSTEM) -> int:
    """Delete the tokens that have been revoked or expired for at least `inactive_for`, and return how many.

    Each batch is one transaction, so that locks are held only briefly. Concurrent runs share the work if the database
    can skip locked rows. Tokens that are being changed are left to the next run.
    """
    when = timezone.now() - inactive_for
    count = 0
    while True:
        with transaction.atomic(using=_alias()):
            tokens = _tokens().inactive_since(when)
            if _activity_locks_owner():
                owners = set(tokens.order_by().values_list("user_id", flat=True)[:batch])
                users = get_user_model()._base_manager.using(_alias()).filter(pk__in=owners).order_by("pk")
                tokens = tokens.filter(user__in=list(_lock(users, skip_locked=True).values_list("pk", flat=True)))
            to_delete = list(_lock(tokens, skip_locked=True)[:batch])
            _delete_locked(to_delete, actor, pruned=True)
        count += len(to_delete)
        if len(to_delete) < batch:
            return count


def claim_reminders(user: AbstractBaseUser, *, days: Sequence[int], now: datetime) -> list[Reminder]:
    """Claim the reminders that are due for `user`, so that no other run sends them, and return them.

    Call `finish_reminders` with them after sending, or `release_reminders` if sending failed.
    """
    with transaction.atomic(using=_alias()):
        # Locked, so that no token is deleted or regenerated in the meantime.
        tokens = list(_lock(_tokens().for_user(user).expiring(days, now).order_by("expires_at", "pk")))
        rows = [
            Reminder(token=token, issued_at=token.issued_at, days=days_left(token, days, now), claimed_at=now)
            for token in tokens
        ]
        reminders = Reminder.objects.using(_alias())
        # If two runs overlap, the second finds the rows of the first and inserts none.
        reminders.bulk_create(rows, ignore_conflicts=True)
        claimed = set(reminders.filter(pk__in=[row.pk for row in rows]).values_list("pk", flat=True))
    return [row for row in rows if row.pk in claimed]


def finish_reminders(rows: Sequence[Reminder], *, mailed: bool, actor: Actor = SYSTEM) -> None:
    """Mark these reminders of one user as sent, and send their signals."""
    with transaction.atomic(using=_alias()):
        reminders = Reminder.objects.using(_alias()).filter(pk__in=[row.pk for row in rows])
        if not reminders.update(sent_at=timezone.now()):
            return  # deleted with their tokens while the email was sent
        record(actor, Kind.REMINDED, *(row.token for row in rows))
        for row in rows:
            _announce("token_expiring", row.token, days=row.days, mailed=mailed)


def release_reminders(rows: Sequence[Reminder]) -> None:
    """Release reminders that could not be sent, for the next run."""
    Reminder.objects.using(_alias()).filter(pk__in=[row.pk for row in rows]).delete()


def days_left(token: PersonalAccessToken, days: Sequence[int], now: datetime) -> int:
    """Return the smallest of `days` within which `token` expires."""
    return min(number for number in days if token.expires_at and token.expires_at <= now + timedelta(days=number))


def claim_overlap_mail(token: PersonalAccessToken, *, now: datetime) -> bool:
    """Claim the mail about the previous secret of `token`, and return whether no other run has it."""
    with transaction.atomic(using=_alias()):
        return bool(_lock_previous(token).filter(mailed_at=None).update(mailed_at=now))


def release_overlap_mail(token: PersonalAccessToken) -> None:
    """Release a mail that could not be sent, for the next run."""
    with transaction.atomic(using=_alias()):
        _lock_previous(token).update(mailed_at=None)


def is_use_due(token: PersonalAccessToken, now: datetime | None = None) -> bool:
    """Return whether `PAT_TOKENS_LAST_USED_INTERVAL` has passed since the recorded last use of this secret."""
    if token.is_previous:
        last = token.previous.last_used_at
    else:
        last = None if token.last_used_by_previous else token.last_used_at
    return is_due(last, now or timezone.now(), conf.last_used_interval)


def record_use(
    token: PersonalAccessToken, *, ip: str | None = None, agent: str = "", request: HttpRequest | None = None
) -> None:
    """Record that `token` was used, unless another request has just done so or holds the token's row.

    The use of a previous secret is recorded for it and for the token, whose last use is that of either. Written after
    the transaction of `request`, and lost if that fails.
    """
    now = timezone.now()
    due = due_condition("last_used_at", now, conf.last_used_interval)
    use = {"last_used_at": now, "last_used_ip": ip, "last_used_agent": agent[:MAX_AGENT_LENGTH]}
    fields = {**use, "last_used_by_previous": token.is_previous}
    if token.is_previous:
        is_previous_due = Exists(PreviousSecret.objects.filter(due, pk=OuterRef("pk")))
        condition = Q(is_previous_due, rotated_at=token.rotated_at)
        _update_later(token, condition, fields, request, of_previous=use)
    else:
        _update_later(token, due | Q(last_used_by_previous=True), fields, request)


def record_first_use(token: PersonalAccessToken, *, request: HttpRequest | None = None) -> None:
    """Start the grace period of the previous secret, because the current one was used.

    Written after the transaction of `request`. Until it is written, each use tries again.
    """
    is_first = Q(rotated_at=token.rotated_at, grace_started_at=None)
    _update_later(token, is_first, {"grace_started_at": timezone.now()}, request, pauses=False)


def redigest_token(token: PersonalAccessToken, digest: str, *, request: HttpRequest | None = None) -> None:
    """Store the digest under the newest pepper, for a secret that was found under an older one.

    Written after the transaction of `request`; if that fails, the next use tries again. The condition is the old
    digest in the column where it was found, so that the digest of a newer secret is never overwritten.
    """
    newest = {"pepper_id": pepper_id(conf.peppers[0])}
    if token.is_previous:
        condition = Q(previous_digest=token.previous_digest)
        _update_later(token, condition, {"previous_digest": digest}, request, of_previous=newest)
    else:
        _update_later(token, Q(digest=token.digest), {"digest": digest, **newest}, request)


def _update_later(
    token: PersonalAccessToken,
    condition: Q,
    fields: dict[str, Any],
    request: HttpRequest | None,
    *,
    of_previous: Mapping[str, Any] | None = None,
    pauses: bool = True,
) -> None:
    def update(alias: str) -> None:
        rows = PersonalAccessToken.objects.using(alias).filter(condition, pk=token.pk)
        if update_unlocked(rows, **fields) and of_previous:
            PreviousSecret.objects.using(alias).filter(pk=token.pk).update(**of_previous)

    write_later(update, token=token, request=request, pauses=pauses)


class _Input:
    """Clean values and errors by field, so that all errors are raised at once."""

    def __init__(self, errors: Mapping[str, Any] | None = None) -> None:
        self.values: dict[str, Any] = {}
        self.errors: dict[str, Any] = dict(errors or {})

    def add(self, field: str, clean: Callable[[], Any], *, unless: str = "") -> None:
        """Keep what `clean` returns or raises, unless this field or the field `unless` already has an error."""
        if field in self.errors or unless in self.errors:
            return
        try:
            self.values[field] = clean()
        except InvalidInput as error:
            self.errors.update(error.errors)

    def add_fields(self, fields: Mapping[str, Any], known: Any) -> None:
        """Clean those of `fields` that can be edited. Raises TypeError for a name that isn't in `known`."""
        if unknown := fields.keys() - known.__optional_keys__:
            raise TypeError(f"unexpected keyword arguments: {', '.join(sorted(unknown))}")
        for field, clean in FIELD_CLEANERS.items():
            if field in fields:
                self.add(field, partial(clean, fields[field]))

    def require(self, field: str, check: Callable[[], None]) -> None:
        """Keep what `check` raises, unless this field has an error already."""
        if field not in self.errors:
            try:
                check()
            except InvalidInput as error:
                self.errors.update(error.errors)

    def require_policy(self, token: PersonalAccessToken) -> None:
        """Check the scopes and networks of a token that is being renewed against the current policy."""
        self.require("scopes", lambda: check_held_scopes(token, token.scope_set.using(_alias()).sorted().keys()))
        self.require("allowed_networks", lambda: check_networks(token.user, token.allowed_networks, token))

    def check(self, find_conflicts: Callable[[], Mapping[str, Any]] = dict) -> None:
        """Raise InvalidInput if there are errors, together with those that `find_conflicts` looks up."""
        if self.errors:
            raise InvalidInput({**find_conflicts(), **self.errors})


def _clean_new(
    user: AbstractBaseUser, fields: Mapping[str, Any], now: datetime, errors: Mapping[str, Any] | None = None
) -> _Input:
    check_can_have_tokens(user)
    clean = _Input(errors)
    clean.add_fields({"name": None, **fields}, NewTokenFields)
    duration, expires_at = fields.get("duration"), fields.get("expires_at")
    clean.add("expires_at", lambda: clean_expiry(DurationRules(user), duration, expires_at, now=now), unless="duration")
    clean.add("scopes", lambda: clean_scopes(user, fields.get("scopes", ())))
    clean.require("allowed_networks", lambda: check_networks(user, clean.values.get("allowed_networks", ())))
    return clean


def _alias() -> str:
    return router.db_for_write(PersonalAccessToken)


def _tokens() -> TokenQuerySet:
    return PersonalAccessToken.objects.using(_alias())


def _secret_fields(secret: str, now: datetime) -> dict[str, Any]:
    pepper = conf.peppers[0]
    return {
        "digest": digest(secret, pepper),
        "pepper_id": pepper_id(pepper),
        "hint": hint(secret, conf.prefix),
        "issued_at": now,
    }


def _replace_secret(
    token: PersonalAccessToken,
    secret: str,
    now: datetime,
    expires_at: datetime | None,
    *,
    grace_period: str = "",
    **fields: Any,
) -> None:
    _keep_secret(token, grace_period=grace_period, **{name: getattr(token, name) for name in _NEVER_USED})
    fields |= {"previous_digest": token.digest, "last_used_by_previous": token.last_used_at is not None}
    _write(token, **_secret_fields(secret, now), expires_at=expires_at, is_legacy=False, **fields)


def _keep_secret(token: PersonalAccessToken, **fields: Any) -> None:
    kept = {kept_as: getattr(token, name) for name, kept_as in _SECRET_FIELDS.items()}
    PreviousSecret(token=token, **kept, **fields).save(using=_alias())


def _require_overlap(token: PersonalAccessToken) -> None:
    if not token.is_active or token.previous_secret is None:
        raise NoRotation


def _finish(token: PersonalAccessToken, actor: Actor) -> None:
    _write(token, **_NO_OVERLAP)
    record(actor, Kind.ROTATION_FINISHED, token)
    _announce("rotation_finished", token)


def _insert_token(
    user: AbstractBaseUser, values: Mapping[str, Any], **fields: Any
) -> tuple[PersonalAccessToken, Sequence[ScopeKey]]:
    # The owner's row is locked, so these can't change before the insert.
    if conflicts := _find_conflicts(user, values):
        raise InvalidInput(conflicts)
    columns = {field: value for field, value in values.items() if field != "scopes"}
    token = PersonalAccessToken(
        user=user,  # type: ignore[misc]  # the site's user model
        name_key=name_key(values["name"]),
        created_at=fields["issued_at"],
        **columns,
        **fields,
    )
    token.save(force_insert=True, using=_alias())
    _redundant, added = absorb((), values["scopes"])
    _insert_scopes(token, added)
    return token, added


def _find_conflicts(user: AbstractBaseUser, values: Mapping[str, Any]) -> dict[str, list[str]]:
    mine = _tokens().for_user(user)
    errors = _find_duplicate(mine, values)
    total = mine.count()
    limit = get_policy().get_max_tokens(user)
    if total >= limit:
        message = _("This user has reached the maximum number of tokens (%(limit)d).") % {"limit": limit}
        if inactive := total - mine.active().count():
            hint = ngettext(
                "%(count)d of them is inactive and can be deleted.",
                "%(count)d of them are inactive and can be deleted.",
                inactive,
            )
        else:
            hint = _("All of them are active. Delete one that is no longer needed.")
        errors[NON_FIELD] = [f"{message} {hint % {'count': inactive}}"]
    return errors


def _find_duplicate(tokens: TokenQuerySet, values: Mapping[str, Any]) -> dict[str, list[str]]:
    if "name" in values and tokens.filter(name_key=name_key(values["name"])).exists():
        return {"name": [_("There is already a token with this name. Choose another one.")]}
    return {}


def _lock(queryset: Any, *, skip_locked: bool = False) -> Any:
    features = connections[_alias()].features
    if not features.has_select_for_update:
        take_write_lock(_alias())
        return queryset
    # FOR NO KEY UPDATE on PostgreSQL lets others insert rows that refer to this one.
    return queryset.select_for_update(
        no_key=features.has_select_for_no_key_update,
        skip_locked=skip_locked and features.has_select_for_update_skip_locked,
    )


def _activity_locks_owner() -> bool:
    # A row of activity refers to the owner. MySQL and MariaDB lock the owner's row for that, which must be locked
    # before the token's, as in all services.
    features = connections[_alias()].features
    return bool(features.has_select_for_update and not features.has_select_for_no_key_update)


def _lock_owner(user: AbstractBaseUser) -> None:
    if not _lock_user(user.pk):
        raise InvalidInput({NON_FIELD: [_("The user was deleted in the meantime.")]})


def _lock_user(user_id: Any) -> bool:
    users = get_user_model()._base_manager.using(_alias()).filter(pk=user_id).order_by()
    return _lock(users).values_list("pk", flat=True).first() is not None


def _lock_token(token: PersonalAccessToken) -> PersonalAccessToken:
    if _activity_locks_owner():
        _lock_user(token.user_id)
    locked: PersonalAccessToken = _lock(_tokens().filter(pk=token.pk)).get()
    owner: Any = PersonalAccessToken._meta.get_field("user")
    if owner.is_cached(token):
        owner.set_cached_value(locked, token.user)
    if locked.rotated_at is not None:
        # From the database of the lock, because reading the attribute would ask the site's router. Locked, too: with
        # REPEATABLE READ, MariaDB would read the row as it was when the transaction began.
        previous = _lock(PreviousSecret.objects.using(_alias()).filter(pk=locked.pk)).first()
        if previous is not None:
            locked.previous = previous
    return locked


def _lock_previous(token: PersonalAccessToken) -> QuerySet[PreviousSecret]:
    # As everywhere, the row of the token is locked first. Empty if the rotation was finished, canceled or replaced.
    rotated = _lock(_tokens().filter(pk=token.pk, rotated_at=token.rotated_at)).values_list("pk", flat=True)
    return PreviousSecret.objects.using(_alias()).filter(pk__in=list(rotated))


def _write(row: PersonalAccessToken | PreviousSecret, **fields: Any) -> None:
    for field, value in fields.items():
        setattr(row, field, value)
    row.save(using=_alias(), force_update=True, update_fields=fields)


def _delete(tokens: TokenQuerySet, actor: Actor, *, expected_active: Collection[uuid.UUID] | None = None) -> int:
    found: Sequence[PersonalAccessToken] = list(_lock(tokens.order_by("pk")))
    to_delete = [
        token for token in found if expected_active is None or not token.is_active or token.pk in expected_active
    ]
    _delete_locked(to_delete, actor)
    return len(to_delete)


def _delete_locked(to_delete: Sequence[PersonalAccessToken], actor: Actor, *, pruned: bool = False) -> None:
    _tokens().filter(pk__in=[token.pk for token in to_delete]).delete()
    record(actor, Kind.DELETED, *to_delete)
    for token in to_delete:
        _announce("token_deleted", token, pruned=pruned)


def _insert_scopes(token: PersonalAccessToken, keys: Iterable[ScopeKey]) -> None:
    Scope.objects.using(_alias()).bulk_create(Scope(token=token, **key._asdict()) for key in keys)


def _delete_keys(token: PersonalAccessToken, keys: Iterable[ScopeKey]) -> None:
    for entity_type, operation in {(key.entity_type, key.operation) for key in keys}:
        ids = [key.entity_id for key in keys if (key.entity_type, key.operation) == (entity_type, operation)]
        token.scope_set.matching(entity_type, operation).filter(entity_id__in=ids).delete()


def _announce(name: str, token: PersonalAccessToken, **facts: Any) -> None:
    # The signal and the log event have the same name.
    signal: Signal = getattr(signals, name)
    owner, lines = str(token.user_id), {fact: _loggable(value) for fact, value in facts.items()}

    def send() -> None:
        if log_events.is_logged(name):
            log_events.log(name, token_id=str(token.pk), user_id=owner, **lines)
        signal.send_robust(PersonalAccessToken, token=token, **facts)

    if log_events.is_logged(name) or signal.has_listeners(PersonalAccessToken):
        transaction.on_commit(send, using=_alias(), robust=True)


def _loggable(value: Any) -> Any:
    return [str(part) for part in value] if isinstance(value, tuple) else value


__all__ = [
    "add_scopes",
    "cancel_rotation",
    "create_token",
    "delete_scope",
    "delete_scopes",
    "delete_token",
    "delete_tokens",
    "finish_rotation",
    "import_token",
    "prune_tokens",
    "regenerate_token",
    "revoke_token",
    "revoke_tokens",
    "rotate_token",
    "set_grace_period",
    "update_token",
]
