"""The only writers: create, import, regenerate, revoke, update, delete, and what follows from use.

Each checks the limits, writes in one transaction and sends its signal once that is committed. Locks are taken in one
order, the owner's row before a token's, so that no two of these can wait for each other.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import Error, connections, router, transaction
from django.db.models import F, Q
from django.dispatch import Signal
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from pat_tokens import log_events, signals
from pat_tokens.conf import conf
from pat_tokens.crypto import digest, digests, hint, legacy_hint, make_secret
from pat_tokens.exceptions import NON_FIELD, InvalidInput
from pat_tokens.models import MAX_AGENT_LENGTH, PersonalAccessToken, Reminder, Scope
from pat_tokens.scopes import ScopeKey, absorb
from pat_tokens.validation import (
    check_scope_count,
    clean_description,
    clean_expiry,
    clean_legacy_expiration,
    clean_legacy_key,
    clean_name,
    clean_scopes,
    name_key,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from pat_tokens.querysets import TokenQuerySet

PRUNE_BATCH = 1000  # tokens deleted in one transaction
_NO_ID = uuid.UUID(int=0)


def create_token(
    user: AbstractBaseUser,
    *,
    name: str,
    description: str = "",
    duration: str | timedelta | None = None,
    expires_at: datetime | None = None,
    scopes: Iterable[Any] = (),
) -> tuple[PersonalAccessToken, str]:
    """Return a new token of `user` and its secret, which nobody can ask for again.

    Raises InvalidInput, with all mistakes at once, and then nothing is written.
    """
    now = timezone.now()
    errors: dict[str, Any] = {}
    clean = _collect(
        errors,
        lambda: clean_name(name),
        lambda: clean_description(description),
        lambda: clean_expiry(duration, expires_at, now=now),
        lambda: clean_scopes(user, scopes),
    )
    if errors:
        raise InvalidInput(errors)
    secret = make_secret(conf.prefix)
    with transaction.atomic(using=_alias()):
        _lock_user(user)
        token = _insert_token(user, *clean, **_secret_fields(secret, now))
        _announce("token_created", token)
    return token, secret


@sensitive_variables()
def import_token(
    user: AbstractBaseUser,
    key: str,
    *,
    name: str,
    description: str = "",
    duration: str | timedelta | None = None,
    expires_at: datetime | None = None,
    scopes: Iterable[Any] = (),
) -> tuple[PersonalAccessToken, bool]:
    """Return a token of `user` that a key of DRF's authtoken opens, and whether this made it.

    Where the user has a token with this key, that one is returned as it is. The key works as long as the token lives
    and `PAT_TOKENS_ALLOW_LEGACY_KEYS` is on, so there is no such token without an end; `regenerate_token` ends it too.
    Raises InvalidInput, with all mistakes at once, and then nothing is written.
    """
    now = timezone.now()
    errors: dict[str, Any] = {}
    clean = _collect(
        errors,
        lambda: clean_name(name),
        lambda: clean_description(description),
        lambda: clean_legacy_expiration(clean_expiry(duration, expires_at, now=now)),
        lambda: clean_scopes(user, scopes),
        lambda: clean_legacy_key(key),
    )
    if errors:
        raise InvalidInput(errors)
    known = digests(clean.pop(), conf.peppers)
    with transaction.atomic(using=_alias()):
        _lock_user(user)
        token = _tokens().with_digest(known).first()
        if token is not None:
            if token.user_id != user.pk:
                raise InvalidInput({"key": [_("Another user has a token with this key.")]})
            return token, False
        fields: dict[str, Any] = {"digest": known[0], "hint": legacy_hint(key), "issued_at": now, "is_legacy": True}
        token = _insert_token(user, *clean, **fields)
        _announce("token_imported", token)
    return token, True


def regenerate_token(
    token: PersonalAccessToken, *, duration: str | timedelta | None = None, expires_at: datetime | None = None
) -> tuple[PersonalAccessToken, str]:
    """Give `token` a new secret and a new time; the old secret is dead in the same transaction.

    Name, description, scopes and id stay; a revocation ends. Raises InvalidInput for a bad duration.
    """
    now = timezone.now()
    expiry = clean_expiry(duration, expires_at, now=now)
    secret = make_secret(conf.prefix)
    with transaction.atomic(using=_alias()):
        locked = _lock_token(token)
        _write(locked, expires_at=expiry, revoked_at=None, is_legacy=False, **_secret_fields(secret, now))
        _announce("token_regenerated", locked)
    return locked, secret


def revoke_token(token: PersonalAccessToken) -> PersonalAccessToken:
    """Stop `token` at once, in every process; a token that is revoked stays as it is."""
    with transaction.atomic(using=_alias()):
        locked = _lock_token(token)
        if not locked.is_revoked:
            _write(locked, revoked_at=timezone.now())
            _announce("token_revoked", locked)
    return locked


def update_token(
    token: PersonalAccessToken, *, name: str | None = None, description: str | None = None
) -> PersonalAccessToken:
    """Change the name or the description; None leaves what is there. Raises InvalidInput."""
    errors: dict[str, Any] = {}
    fields: dict[str, str] = {}
    if name is not None:
        fields["name"] = next(iter(_collect(errors, lambda: clean_name(name))), "")
    if description is not None:
        fields["description"] = next(iter(_collect(errors, lambda: clean_description(description))), "")
    if errors:
        raise InvalidInput(errors)
    with transaction.atomic(using=_alias()):
        if "name" in fields:
            _lock_user_id(token.user_id)
            _check_name_is_free(_tokens().filter(user=token.user_id).exclude(pk=token.pk), fields["name"])
            fields["name_key"] = name_key(fields["name"])
        locked = _lock_token(token)
        changed = {field: value for field, value in fields.items() if getattr(locked, field) != value}
        if changed:
            _write(locked, **changed)
            # The folded name is no field to anybody else.
            _announce("token_updated", locked, fields=tuple(field for field in changed if field != "name_key"))
    return locked


def delete_token(token: PersonalAccessToken) -> None:
    """Delete `token` with its scopes."""
    with transaction.atomic(using=_alias()):
        _lock_user_id(token.user_id)
        _delete(_tokens().filter(pk=token.pk))


def delete_tokens(user: AbstractBaseUser) -> int:
    """Delete all tokens of `user` and return how many they were."""
    with transaction.atomic(using=_alias()):
        _lock_user(user)
        return _delete(_tokens().for_user(user))


def add_scopes(token: PersonalAccessToken, scopes: Iterable[Any]) -> list[ScopeKey]:
    """Add all of `scopes` or none, and return those that were new.

    A scope for `*` takes the place of the single ones of its operation; a scope that is covered changes nothing.
    Raises InvalidInput where the owner may not grant one of them, or for more scopes than the site allows.
    """
    keys = clean_scopes(token.user, scopes)
    with transaction.atomic(using=_alias()):
        locked = _lock_token(token)
        held = locked.scope_set.keys()
        redundant, added = absorb(held, keys)
        check_scope_count(len(held) - len(redundant) + len(added))
        if redundant:
            _delete_keys(locked, redundant)
        if added:
            _insert_scopes(locked, added)
            _announce("scopes_added", locked, scopes=tuple(added))
    return added


def delete_scope(scope: Scope) -> None:
    """Delete one scope; one that is gone already is fine."""
    with transaction.atomic(using=_alias()):
        locked = _lock_token(scope.token)
        deleted, _per_model = locked.scope_set.filter(pk=scope.pk).delete()
        if deleted:
            _announce("scopes_deleted", locked, scopes=(scope.key,))


def delete_scopes(token: PersonalAccessToken) -> int:
    """Delete all scopes of `token`, which may then do nothing, and return how many they were."""
    with transaction.atomic(using=_alias()):
        locked = _lock_token(token)
        keys = locked.scope_set.sorted().keys()
        if keys:
            locked.scope_set.all().delete()
            _announce("scopes_deleted", locked, scopes=tuple(keys))
    return len(keys)


def prune_tokens(*, inactive_for: timedelta, batch: int = PRUNE_BATCH) -> int:
    """Delete the tokens that have been revoked or expired for at least `inactive_for`; return how many.

    In batches of one transaction each, so that no lock is long. Two at once share the work where the database can skip
    what another has locked; a token that somebody is just changing is left to the next time.
    """
    when = timezone.now() - inactive_for
    count = 0
    while True:
        with transaction.atomic(using=_alias()):
            to_delete = list(_lock(_tokens().inactive_since(when), skip_locked=True)[:batch])
            _delete_locked(to_delete, pruned=True)
        count += len(to_delete)
        if len(to_delete) < batch:
            return count


def claim_reminders(user: AbstractBaseUser, *, days: Sequence[int], now: datetime) -> list[Reminder]:
    """Return the reminders that are due for `user`, each of which is the caller's alone from now on.

    Call `finish_reminders` with them once they are sent, or `release_reminders` if they could not be.
    """
    with transaction.atomic(using=_alias()):
        # Locked, so that none is deleted or regenerated while its row is written.
        tokens = list(_lock(_tokens().for_user(user).expiring(days, now).order_by("expires_at", "pk")))
        rows = [
            Reminder(token=token, issued_at=token.issued_at, days=days_left(token, days, now), claimed_at=now)
            for token in tokens
        ]
        reminders = Reminder.objects.using(_alias())
        # Of two at once the second finds the row of the first in its way, and has none of its own.
        reminders.bulk_create(rows, ignore_conflicts=True)
        claimed = set(reminders.filter(pk__in=[row.pk for row in rows]).values_list("pk", flat=True))
    return [row for row in rows if row.pk in claimed]


def finish_reminders(rows: Sequence[Reminder], *, mailed: bool) -> None:
    """Remember that these were sent, and tell the site's receivers."""
    with transaction.atomic(using=_alias()):
        Reminder.objects.using(_alias()).filter(pk__in=[row.pk for row in rows]).update(sent_at=timezone.now())
        for row in rows:
            _announce("token_expiring", row.token, days=row.days, mailed=mailed)


def release_reminders(rows: Sequence[Reminder]) -> None:
    """Give back what could not be sent, for the next run."""
    Reminder.objects.using(_alias()).filter(pk__in=[row.pk for row in rows]).delete()


def days_left(token: PersonalAccessToken, days: Sequence[int], now: datetime) -> int:
    """Return the smallest of `days` that `token` still has at `now`."""
    return min(number for number in days if token.expires_at and token.expires_at <= now + timedelta(days=number))


def is_use_due(token: PersonalAccessToken) -> bool:
    """Whether `PAT_TOKENS_LAST_USED_INTERVAL` has passed since the last use that was written down."""
    now = timezone.now()
    return token.last_used_at is None or not now - conf.last_used_interval < token.last_used_at <= now


def record_use(token: PersonalAccessToken, *, ip: str | None = None, agent: str = "") -> None:
    """Remember that `token` was used, unless another request has just done so.

    Written after the request's own transaction, by one conditional UPDATE that may fail without harm.
    """
    now = timezone.now()
    since = now - conf.last_used_interval
    stale = Q(last_used_at=None) | Q(last_used_at__lte=since) | Q(last_used_at__gt=now)
    fields = {"last_used_at": now, "last_used_ip": ip, "last_used_agent": agent[:MAX_AGENT_LENGTH]}
    _afterwards(token, lambda: _tokens().filter(stale, pk=token.pk).update(**fields))


def redigest_token(token: PersonalAccessToken, digest: str) -> None:
    """Store the digest under the newest pepper, for a token that was found under an older one."""
    old = token.digest
    _afterwards(token, lambda: _tokens().filter(pk=token.pk, digest=old).update(digest=digest))


def _collect(errors: dict[str, Any], *steps: Callable[[], Any]) -> list[Any]:
    values = []
    for step in steps:
        try:
            values.append(step())
        except InvalidInput as error:
            errors.update(error.errors)
    return values


def _alias() -> str:
    return router.db_for_write(PersonalAccessToken)


def _tokens() -> TokenQuerySet:
    return PersonalAccessToken.objects.using(_alias())


def _secret_fields(secret: str, now: datetime) -> dict[str, Any]:
    return {"digest": digest(secret, conf.peppers[0]), "hint": hint(secret, conf.prefix), "issued_at": now}


def _insert_token(
    user: AbstractBaseUser,
    name: str,
    description: str,
    expires_at: datetime | None,
    scopes: Sequence[ScopeKey],
    **fields: Any,
) -> PersonalAccessToken:
    # The owner's row is locked: else two at once would both be the last that there can be, or have one name.
    mine = _tokens().for_user(user)
    if mine.count() >= conf.max_tokens_per_user:
        message = _("You have %(limit)d tokens, which is the most there can be. Delete one first.")
        raise InvalidInput({NON_FIELD: [message % {"limit": conf.max_tokens_per_user}]})
    _check_name_is_free(mine, name)
    token = PersonalAccessToken(
        user=user,  # type: ignore[misc]  # whatever the site's user model is
        name=name,
        name_key=name_key(name),
        description=description,
        created_at=fields["issued_at"],
        expires_at=expires_at,
        **fields,
    )
    token.save(force_insert=True, using=_alias())
    _redundant, added = absorb((), scopes)
    _insert_scopes(token, added)
    return token


def _check_name_is_free(tokens: TokenQuerySet, name: str) -> None:
    if tokens.filter(name_key=name_key(name)).exists():
        raise InvalidInput({"name": [_("You already have a token with this name. Choose another one.")]})


def _lock(queryset: Any, *, skip_locked: bool = False) -> Any:
    features = connections[_alias()].features
    if not features.has_select_for_update:
        # SQLite has one lock for the whole file; taken at the first statement, nobody reads what changes before it
        # writes, and nobody gets "database is locked" for having read first.
        _tokens().filter(pk=_NO_ID).update(hint=F("hint"))
        return queryset
    # Without the key, rows that refer to this one can still be written (PostgreSQL, FOR NO KEY UPDATE).
    return queryset.select_for_update(
        no_key=features.has_select_for_no_key_update,
        skip_locked=skip_locked and features.has_select_for_update_skip_locked,
    )


def _lock_user(user: AbstractBaseUser) -> None:
    _lock_user_id(user.pk)


def _lock_user_id(user_id: Any) -> None:
    users = get_user_model()._base_manager.using(_alias()).filter(pk=user_id).order_by()
    _lock(users).values_list("pk", flat=True).first()


def _lock_token(token: PersonalAccessToken) -> PersonalAccessToken:
    return _lock(_tokens().filter(pk=token.pk)).get()  # type: ignore[no-any-return]


def _write(token: PersonalAccessToken, **fields: Any) -> None:
    for field, value in fields.items():
        setattr(token, field, value)
    token.save(using=_alias(), force_update=True, update_fields=fields)


def _delete(tokens: TokenQuerySet) -> int:
    to_delete: Sequence[PersonalAccessToken] = list(_lock(tokens.order_by("pk")))
    _delete_locked(to_delete)
    return len(to_delete)


def _delete_locked(to_delete: Sequence[PersonalAccessToken], *, pruned: bool = False) -> None:
    _tokens().filter(pk__in=[token.pk for token in to_delete]).delete()
    for token in to_delete:
        _announce("token_deleted", token, pruned=pruned)


def _insert_scopes(token: PersonalAccessToken, keys: Iterable[ScopeKey]) -> None:
    Scope.objects.using(_alias()).bulk_create(Scope(token=token, **key._asdict()) for key in keys)


def _delete_keys(token: PersonalAccessToken, keys: Iterable[ScopeKey]) -> None:
    for entity_type, operation in {(key.entity_type, key.operation) for key in keys}:
        ids = [key.entity_id for key in keys if (key.entity_type, key.operation) == (entity_type, operation)]
        token.scope_set.matching(entity_type, operation).filter(entity_id__in=ids).delete()


def _announce(name: str, token: PersonalAccessToken, **facts: Any) -> None:
    # The signal and the line of the log have one name, and come once the change is committed.
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


def _afterwards(token: PersonalAccessToken, write: Callable[[], object]) -> None:
    connection = connections[_alias()]

    def run() -> None:
        try:
            # Else the site keeps a transaction of its own, which it may never commit. Asking may be what connects.
            if connection.in_atomic_block or connection.get_autocommit():
                write()
        except Error as error:
            # A read-only replica, or a database that has just gone: what the request came for matters more.
            log_events.log("last_use_failed", token_id=str(token.pk), error=type(error).__name__)
            signals.last_use_failed.send_robust(PersonalAccessToken, token=token, error=error)

    if connection.in_atomic_block:
        transaction.on_commit(run, using=connection.alias)
    else:
        run()


__all__ = [
    "add_scopes",
    "create_token",
    "delete_scope",
    "delete_scopes",
    "delete_token",
    "delete_tokens",
    "import_token",
    "prune_tokens",
    "regenerate_token",
    "revoke_token",
    "update_token",
]
