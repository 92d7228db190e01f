"""Input to clean values, or InvalidInput with every mistake named; reads, never writes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pat_tokens.conf import conf
from pat_tokens.crypto import LEGACY_KEY_LENGTH, fold, is_legacy_key
from pat_tokens.durations import NEVER, add_duration, parse_duration
from pat_tokens.entities import registry
from pat_tokens.exceptions import NON_FIELD, InvalidInput
from pat_tokens.models import MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH
from pat_tokens.scopes import ALL, ScopeKey

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


def name_key(name: str) -> str:
    """Return what two names have in common when they count as the same name of one user."""
    return fold(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()))


def clean_name(value: object) -> str:
    """Return the trimmed name."""
    name = _clean_text("name", value).strip()
    if not any(character.isprintable() and not character.isspace() for character in name):
        raise InvalidInput({"name": [_("Give the token a name, so that you will recognise it.")]})
    return _not_longer("name", name, MAX_NAME_LENGTH)


def clean_description(value: object) -> str:
    """Return the trimmed description."""
    description = _clean_text("description", value).strip()
    return _not_longer("description", description, min(conf.max_description_length, MAX_DESCRIPTION_LENGTH))


def clean_expiry(
    duration: str | timedelta | None, expires_at: datetime | None, *, now: datetime | None = None
) -> datetime | None:
    """Return the moment a token made now expires, or None for never; both at once is an error, neither the default."""
    now = now or timezone.now()
    if duration is not None and expires_at is not None:
        raise InvalidInput({"duration": [_("Give a duration or an expiry date, not both.")]})
    if expires_at is not None:
        field, when = "expires_at", expires_at
        if settings.USE_TZ and timezone.is_naive(when):
            raise InvalidInput({field: [_("The expiry date needs a time zone.")]})
        if not settings.USE_TZ and timezone.is_aware(when):
            when = timezone.make_naive(when, timezone.get_default_timezone())
    else:
        field = "duration"
        text = conf.default_duration if duration is None else duration
        if isinstance(text, str) and text.strip().lower() == NEVER:
            _check_no_expiry()
            return None
        when = _after(now, text)
    if when <= now:
        raise InvalidInput({field: [_("The expiry must be in the future.")]})
    if when > add_duration(now, parse_duration(conf.max_duration)):
        raise InvalidInput(
            {field: [_("That is too long: a token lives at most %(max)s here.") % {"max": conf.max_duration}]}
        )
    return when


def clean_legacy_expiration(expires_at: datetime | None) -> datetime:
    """Return the moment an imported key ends, which has to be one even where tokens may live for ever."""
    if expires_at is None:
        raise InvalidInput({"duration": [_("An imported key must end: choose a duration.")]})
    return expires_at


def clean_legacy_key(value: object) -> str:
    """Return a key as DRF's authtoken makes it; no other is imported, since no other is looked up."""
    if not isinstance(value, str) or not is_legacy_key(value):
        message = _("The key has not the shape of an authtoken key: %(count)d of the characters 0-9 and a-f.")
        raise InvalidInput({"key": [message % {"count": LEGACY_KEY_LENGTH}]})
    return value


def _check_no_expiry() -> None:
    if not conf.allow_no_expiry:
        raise InvalidInput({"duration": [_("Tokens must expire here: choose a duration.")]})


def _after(now: datetime, duration: str | timedelta) -> datetime:
    try:
        span = parse_duration(duration) if isinstance(duration, str) else duration
        return add_duration(now, span)
    except (ValueError, TypeError, AttributeError):
        message = _("Write a duration longer than zero with its unit, such as 24h, 30d, 2w, 1y or P30D.")
        raise InvalidInput({"duration": [message]}) from None


def clean_scopes(user: AbstractBaseUser, rows: Iterable[Any]) -> list[ScopeKey]:
    """Return the scopes that `rows` name, with canonical ids, if `user` may grant every one of them.

    A row is a ScopeKey, a triple (entity type, entity id, operation), or a mapping with these keys. One query for
    each entity type that is named with ids. InvalidInput has one mapping of errors for each row, empty where fine.
    """
    rows = list(rows)
    check_scope_count(len(rows))
    errors: list[dict[str, list[str]]] = [{} for _row in rows]
    keys: list[ScopeKey | None] = []
    for row, problems in zip(rows, errors, strict=True):
        keys.append(_clean_row(row, problems))
    _check_visible(user, keys, errors)
    if any(errors):
        raise InvalidInput({"scopes": errors})
    return list(dict.fromkeys(key for key in keys if key is not None))


def check_scope_count(count: int) -> None:
    """Raise InvalidInput where a token would have more scopes than the site allows."""
    limit = conf.max_scopes_per_token
    if count > limit:
        message = ngettext(
            "A token can have at most %(limit)d scope here.",
            "A token can have at most %(limit)d scopes here. A scope for all entities takes the place of many.",
            limit,
        )
        raise InvalidInput({"scopes": [message % {"limit": limit}]})


def _clean_row(row: Any, problems: dict[str, list[str]]) -> ScopeKey | None:
    if isinstance(row, Mapping):
        row = [row.get(field) for field in ScopeKey._fields]
    if not isinstance(row, Sequence) or isinstance(row, str) or len(row) != len(ScopeKey._fields):
        problems[NON_FIELD] = [_("A scope is an entity type, an entity id or *, and an operation.")]
        return None
    for field, value in zip(ScopeKey._fields, row, strict=True):
        if value is None or value == "":
            problems[field] = [_("This field is required.")]
    if problems:
        return None
    type_name, entity_id, operation_name = (value if isinstance(value, str) else str(value) for value in row)
    entity_type = registry.get(type_name)
    if entity_type is None:
        known = ", ".join(known.name for known in registry)
        problems["entity_type"] = [_("There is no such entity type. Choose one of: %(known)s.") % {"known": known}]
        return None
    operation = entity_type.get_operation(operation_name)
    if operation is None:
        known = ", ".join(known.name for known in entity_type.operations)
        problems["operation"] = [
            _("%(type)s have no such operation. Choose one of: %(known)s.") % {"type": entity_type.name, "known": known}
        ]
        return None
    if entity_id == ALL:
        return ScopeKey(entity_type.name, ALL, operation.name)
    if not operation.per_entity:
        problems["entity_id"] = [_("This operation has no single entity: use * for its scope.")]
        return None
    canonical = entity_type.to_id(entity_id)
    if canonical is None:
        problems["entity_id"] = [no_such_entity()]
        return None
    return ScopeKey(entity_type.name, canonical, operation.name)


def _check_visible(
    user: AbstractBaseUser, keys: Sequence[ScopeKey | None], errors: Sequence[dict[str, list[str]]]
) -> None:
    wanted: dict[str, list[str]] = {}
    for key in keys:
        if key is not None and key.entity_id != ALL:
            wanted.setdefault(key.entity_type, []).append(key.entity_id)
    visible = {
        entity_type.name: entity_type.get_visible(user, wanted[entity_type.name])
        for entity_type in registry
        if entity_type.name in wanted
    }
    for key, problems in zip(keys, errors, strict=True):
        if key is not None and key.entity_id != ALL and key.entity_id not in visible[key.entity_type]:
            problems["entity_id"] = [no_such_entity()]


def no_such_entity() -> str:
    """The one answer for an id that does not exist and for one that the user may not see."""
    return _("You have no such entity. Its id must be one that you can see, or * for all.")


def _clean_text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInput({field: [_("This must be text.")]})
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can carry and no database can hold
        raise InvalidInput({field: [_("This text holds characters that cannot be stored.")]}) from None
    if "\0" in value:
        raise InvalidInput({field: [_("Null characters are not allowed.")]})
    return value


def _not_longer(field: str, text: str, limit: int) -> str:
    if len(text) > limit:
        message = _("At most %(limit)d characters, and these are %(count)d.")
        raise InvalidInput({field: [message % {"limit": limit, "count": len(text)}]})
    return text
