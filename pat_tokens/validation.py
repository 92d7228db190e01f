"""Validate and clean input, or raise InvalidInput. Reads the database but never writes."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, get_type_hints

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from pat_tokens.conf import conf
from pat_tokens.crypto import LEGACY_KEY_LENGTH, fold, holds_secret, is_legacy_key
from pat_tokens.durations import (
    MAX_LENGTH,
    NEVER,
    add_duration,
    format_duration,
    parse_duration,
    parse_expiry,
    parse_grace_period,
)
from pat_tokens.entities import Operation, registry
from pat_tokens.exceptions import NON_FIELD, InvalidInput
from pat_tokens.models import MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH, MAX_NETWORK_LENGTH, MAX_NETWORKS
from pat_tokens.networks import are_within, parse_network
from pat_tokens.policy import get_policy, grantable_operations
from pat_tokens.scopes import ALL, ScopeKey

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from pat_tokens.models import PersonalAccessToken

MAX_ERRORS = 20  # invalid rows or unknown fields that one response names
DEFAULT_GRACE_PERIOD = "24h"
MAX_KEY_LENGTH = 100  # characters of an unknown field's name that a response repeats

# Other JSON types than strings and integers, which can't be ids.
_NOT_TEXT = (bool, float, bytes, Mapping, Sequence, set)


def name_key(name: str) -> str:
    """Return the same string for names that count as the same: case and Unicode composition don't matter."""
    return fold(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()))


def find_unknown_fields(data: Iterable[object], known: Collection[str]) -> dict[str, list[str]]:
    """Return an error for each key of `data` that isn't in `known`, up to `MAX_ERRORS`."""
    message = _("Unknown or read-only field. You can set: %(known)s.") % {"known": ", ".join(known)}
    if not known:
        message = _("This request takes no fields.")
    unknown = islice((key for key in data if key not in known), MAX_ERRORS)
    # JSON can carry lone surrogates, which can't be encoded in a response.
    return {str(key)[:MAX_KEY_LENGTH].encode("utf-8", "backslashreplace").decode(): [message] for key in unknown}


def clean_name(value: object) -> str:
    """Return the trimmed name."""
    name = _clean_text("name", value).strip()
    if not any(character.isprintable() and not character.isspace() for character in name):
        raise InvalidInput({"name": [pgettext("pat_tokens", "Enter a name.")]})
    return _not_longer("name", name, MAX_NAME_LENGTH)


def clean_description(value: object) -> str:
    """Return the trimmed description."""
    description = _clean_text("description", value).strip()
    return _not_longer("description", description, max_description_length())


def max_description_length() -> int:
    """Return how many characters a description can have."""
    return min(conf.max_description_length, MAX_DESCRIPTION_LENGTH)


def clean_networks(value: object) -> tuple[str, ...]:
    """Return the networks in CIDR notation, each once."""
    if not isinstance(value, list | tuple):
        raise InvalidInput({"allowed_networks": [_("This must be a list of networks.")]})
    if len(value) > MAX_NETWORKS:
        message = _("A token can have at most %(limit)d networks.") % {"limit": MAX_NETWORKS}
        raise InvalidInput({"allowed_networks": [message]})
    networks, problems = [], []
    for text in value:
        try:
            if not isinstance(text, str):
                raise ValueError("not a string")
            networks.append(str(parse_network(text)))
        except ValueError as error:
            shown = str(text)[:MAX_NETWORK_LENGTH].encode("utf-8", "backslashreplace").decode()
            message = _("%(text)s is not an address or a network, such as 203.0.113.7 or 10.0.0.0/8.")
            if len(error.args) > 1:
                message = _("%(text)s is not a network. Did you mean %(network)s?")
            problems.append(message % {"text": shown, "network": error.args[-1]})
    if problems:
        raise InvalidInput({"allowed_networks": problems[:MAX_ERRORS]})
    return tuple(dict.fromkeys(networks))


def describe_required_networks(user: Any, token: PersonalAccessToken | None = None) -> str:
    """Return what the policy asks for if a token of `user` has to be limited to networks, otherwise an empty string."""
    policy = get_policy()
    if limits := policy.get_network_limits(user, token):
        return _("Enter networks within %(limits)s that the token can be used from.") % {"limits": ", ".join(limits)}
    if policy.requires_networks(user, token):
        return _("Enter the networks that the token can be used from.")
    return ""


def check_networks(user: Any, networks: Sequence[str], token: PersonalAccessToken | None = None) -> None:
    """Raise InvalidInput if the policy doesn't allow a token of `user` with these networks."""
    if not networks:
        if message := describe_required_networks(user, token):
            raise InvalidInput({"allowed_networks": [message]})
        return
    limits = get_policy().get_network_limits(user, token)
    wrong = [network for network in networks if not are_within([network], limits)]
    if wrong:
        message = _("Only networks within %(limits)s are allowed, not %(networks)s.")
        listed = {"limits": ", ".join(limits), "networks": ", ".join(wrong)}
        raise InvalidInput({"allowed_networks": [message % listed]})


class TokenFields(TypedDict, total=False):
    """The fields of a token that its owner can set and edit, each with the function that cleans it."""

    name: Annotated[str, clean_name]
    description: Annotated[str, clean_description]
    allowed_networks: Annotated[Sequence[str], clean_networks]


class NewTokenFields(TokenFields, total=False):
    """The fields of a new token. Only `name` is required."""

    duration: str | timedelta | None
    expires_at: datetime | date | str | None
    scopes: Iterable[Any]


FIELD_CLEANERS: dict[str, Callable[[object], Any]] = {
    field: hint.__metadata__[0] for field, hint in get_type_hints(TokenFields, include_extras=True).items()
}
EDITABLE_FIELDS = tuple(FIELD_CLEANERS)


class DurationRules:
    """How long a token of `user` can live, according to the site's policy; `token` is the one that is renewed."""

    def __init__(self, user: Any, token: PersonalAccessToken | None = None) -> None:
        policy = get_policy()
        self.maximum = policy.get_max_duration(user, token)
        self.longest = parse_duration(self.maximum)
        self.allows_never = policy.allows_no_expiration(user, token)
        default = policy.get_default_duration(user, token)
        # A policy that overrides only the maximum can have a default that exceeds it.
        self.default = default if self._allows(default) else self.maximum

    @property
    def choices(self) -> list[str]:
        """The durations that forms offer, the shortest first."""
        offered = [text for text in dict.fromkeys((*conf.durations, self.default)) if self._allows(text)]
        spans = sorted((text for text in offered if not _is_never(text)), key=parse_duration)
        return [*spans, NEVER] if self.allows_never else spans

    def latest(self, now: datetime) -> datetime:
        """Return the last expiration date of a token that is issued at `now`."""
        return add_duration(now, self.longest)

    def _allows(self, duration: str) -> bool:
        return self.allows_never if _is_never(duration) else parse_duration(duration) <= self.longest


def _is_never(duration: str) -> bool:
    return duration.strip().lower() == NEVER


def clean_expiry(
    rules: DurationRules,
    duration: str | timedelta | None,
    expires_at: datetime | date | str | None,
    *,
    now: datetime | None = None,
) -> datetime | None:
    """Return when a token that is issued now expires, or None for never.

    Without a duration and an expiration date, the default duration applies. A date without a time means the last second
    of that day in the site's time zone.
    """
    now = now or timezone.now()
    if duration is not None and expires_at is not None:
        raise InvalidInput({"duration": [_("Set either a duration or an expiration date, not both.")]})
    if expires_at is not None:
        return _clean_date(rules, expires_at, now)
    return _clean_duration(rules, rules.default if duration is None else duration, now)


def clean_renewal(
    token: PersonalAccessToken,
    duration: str | timedelta | None,
    expires_at: datetime | date | str | None,
    *,
    now: datetime,
) -> datetime | None:
    """Return when `token` expires if it gets a new secret now, or None for never.

    Without a duration and an expiration date, its lifetime is the same as before, up to the site's maximum.
    """
    rules = DurationRules(token.user, token)
    if duration is not None or expires_at is not None:
        return clean_expiry(rules, duration, expires_at, now=now)
    if token.expires_at is not None:
        return min(rules.latest(now), add_duration(now, token.expires_at - token.issued_at))
    return None if rules.allows_never else rules.latest(now)


def clean_grace_period(value: str | timedelta | None) -> str:
    """Return how long the previous secret works after the first use of the new one, as text; `"0"` for not at all."""
    longest = parse_grace_period(conf.max_grace_period)
    if value is None:
        return min(DEFAULT_GRACE_PERIOD, conf.max_grace_period, key=parse_grace_period)
    try:
        text = format_duration(value) if isinstance(value, timedelta) else value.strip()
        span = parse_grace_period(text)
        if span < timedelta() or len(text) > MAX_LENGTH:
            raise ValueError
    except (ValueError, TypeError, AttributeError):
        message = _(
            "Enter a duration with a unit, such as 24h, 7d or PT30M, or 0 to stop the previous secret immediately."
        )
        raise InvalidInput({"grace_period": [message]}) from None
    if span > longest:
        message = _("Too long: the maximum on this site is %(max)s.")
        raise InvalidInput({"grace_period": [message % {"max": conf.max_grace_period}]})
    return text if span else "0"


def clean_unused_for(value: str) -> datetime:
    """Return the datetime that is this duration ago: what hasn't been used since then is unused."""
    try:
        span = parse_duration(value)
        if span <= timedelta():
            raise ValueError
        return timezone.now() - span
    except (ValueError, OverflowError):
        message = _("Enter a duration with a unit, such as 30d, 12w or 1y. It must be longer than zero.")
        raise InvalidInput({"unused_for": [message]}) from None


def clean_legacy_expiry(expires_at: datetime | None) -> datetime:
    """Return when an imported key expires; it always does, even if the site allows tokens that never expire."""
    if expires_at is None:
        raise InvalidInput({"duration": [_("Imported keys must expire. Choose a duration.")]})
    return expires_at


def clean_legacy_key(value: object) -> str:
    """Return the key. Raises InvalidInput unless it has the format of DRF's authtoken."""
    if not isinstance(value, str) or not is_legacy_key(value):
        message = _("This is not an authtoken key: it must have %(count)d characters, each of 0-9 or a-f.")
        raise InvalidInput({"key": [message % {"count": LEGACY_KEY_LENGTH}]})
    return value


def _clean_date(rules: DurationRules, value: datetime | date | str, now: datetime) -> datetime:
    if isinstance(value, str):
        try:
            value = parse_expiry(value)
        except ValueError:
            value = ""
    if isinstance(value, datetime):
        if settings.USE_TZ and timezone.is_naive(value):
            raise InvalidInput({"expires_at": [_("The expiration date needs a time zone.")]})
        if not settings.USE_TZ and timezone.is_aware(value):
            value = timezone.make_naive(value, timezone.get_default_timezone())
    elif isinstance(value, date):
        value = last_second(rules, value, now, timezone.get_default_timezone())
    else:
        raise InvalidInput({"expires_at": [_("Enter a date such as 2030-12-31 or 2030-12-31T12:00:00Z.")]})
    return _in_range(rules, "expires_at", value, now)


def last_second(rules: DurationRules, day: date, now: datetime, zone: tzinfo) -> datetime:
    """Return the last second of `day` in `zone`, cut to the maximum of a token that is issued at `now`."""
    first, last = (timezone.make_aware(datetime.combine(day, at), zone) for at in (time.min, time(23, 59, 59)))
    if not settings.USE_TZ:
        first, last = (timezone.make_naive(when, timezone.get_default_timezone()) for when in (first, last))
    # On the last day that can be chosen, the maximum is before the end of the day.
    return min(last, rules.latest(now)) if first <= rules.latest(now) else last


def _clean_duration(rules: DurationRules, value: str | timedelta, now: datetime) -> datetime | None:
    if isinstance(value, str) and _is_never(value):
        if rules.allows_never:
            return None
        raise InvalidInput({"duration": [_("Tokens must expire on this site. Choose a duration.")]})
    try:
        expires_at = add_duration(now, parse_duration(value) if isinstance(value, str) else value)
    except (ValueError, TypeError, AttributeError):
        message = _("Enter a duration with a unit, such as 24h, 30d, 2w, 1y or P30D. It must be longer than zero.")
        raise InvalidInput({"duration": [message]}) from None
    return _in_range(rules, "duration", expires_at, now)


def _in_range(rules: DurationRules, field: str, expires_at: datetime, now: datetime) -> datetime:
    if expires_at <= now:
        raise InvalidInput({field: [_("The expiration date must be in the future.")]})
    if expires_at > rules.latest(now):
        message = _("Too long: the maximum on this site is %(max)s.")
        raise InvalidInput({field: [message % {"max": rules.maximum}]})
    return expires_at


def clean_scopes(
    user: AbstractBaseUser, rows: Iterable[Any], token: PersonalAccessToken | None = None
) -> list[ScopeKey]:
    """Return the scopes in `rows` with canonical ids, if `user` can grant all of them.

    A row is a ScopeKey, a triple (entity type, entity id, operation), or a mapping with these keys. Makes one query per
    entity type with ids. InvalidInput has a mapping of errors per row, empty if the row is valid; the list ends with
    the 20th invalid row.
    """
    # One row too many is enough to reject all of them, before looking at any.
    rows = list(islice(rows, conf.max_scopes_per_token + 1))
    check_scope_count(len(rows))
    keys, errors = sort_scopes(user, rows, token)
    wrong = [position for position, problems in enumerate(errors, start=1) if problems]
    if wrong:
        last = wrong[MAX_ERRORS - 1] if len(wrong) >= MAX_ERRORS else None
        raise InvalidInput({"scopes": errors[:last]})
    return list(dict.fromkeys(key for key in keys if key is not None))


def sort_scopes(
    user: AbstractBaseUser, rows: Sequence[Any], token: PersonalAccessToken | None = None
) -> tuple[list[ScopeKey | None], list[dict[str, list[str]]]]:
    """Return for each of `rows` its scope, or None if `user` can't grant it, and its errors by field."""
    errors: list[dict[str, list[str]]] = [{} for _row in rows]
    grantable = {entity_type.name: grantable_operations(user, entity_type, token) for entity_type in registry}
    keys = [_clean_row(row, problems, grantable) for row, problems in zip(rows, errors, strict=True)]
    _check_visible(user, keys, errors)
    return [None if problems else key for key, problems in zip(keys, errors, strict=True)], errors


def check_can_have_tokens(user: Any) -> None:
    """Raise InvalidInput if the policy doesn't let `user` have tokens."""
    if not get_policy().can_have_tokens(user):
        message = _("%(user)s can't have tokens on this site.") % {"user": user.get_username()}
        raise InvalidInput({NON_FIELD: [message]})


def check_held_scopes(token: PersonalAccessToken, keys: Iterable[ScopeKey]) -> None:
    """Raise InvalidInput, naming the scopes, if the owner of `token` couldn't grant all of the scopes `keys` today.

    Scopes on entities that the owner can no longer see, or that name something the site no longer has, don't matter,
    because they have no effect.
    """
    if wrong := find_no_longer_grantable(token, keys):
        listed = ", ".join(map(str, wrong[:MAX_ERRORS]))
        message = _("Delete these scopes first, which can no longer be granted: %(scopes)s.") % {"scopes": listed}
        raise InvalidInput({"scopes": [message]})


def find_no_longer_grantable(token: PersonalAccessToken, keys: Iterable[ScopeKey]) -> list[ScopeKey]:
    """Return those of the scopes `keys` that the owner of `token` couldn't grant today."""
    policy = get_policy()
    wrong = []
    for key in keys:
        entity_type = registry.get(key.entity_type)
        operation = entity_type and entity_type.get_operation(key.operation)
        if entity_type and operation and not policy.can_grant(token.user, entity_type, operation, token):
            wrong.append(key)
    return wrong


def find_policy_problems(token: PersonalAccessToken, keys: Iterable[ScopeKey]) -> list[str]:
    """Return why the current policy wouldn't allow `token` with the scopes `keys`, as sentences."""
    user = token.user
    problems = []
    if not get_policy().can_have_tokens(user):
        problems.append(_("The owner can't have tokens on this site."))
    rules = DurationRules(user, token)
    if token.expires_at is None:
        if not rules.allows_never:
            problems.append(_("It does not expire."))
    elif token.expires_at - token.issued_at > rules.longest:
        problems.append(_("Its lifetime is over the maximum of %(max)s.") % {"max": rules.maximum})
    if wrong := find_no_longer_grantable(token, keys):
        listed = ", ".join(map(str, wrong[:MAX_ERRORS]))
        problems.append(_("Scopes that can no longer be granted: %(scopes)s.") % {"scopes": listed})
    try:
        check_networks(user, token.allowed_networks, token)
    except InvalidInput as error:
        problems += error.errors["allowed_networks"]
    return problems


def check_scope_count(count: int) -> None:
    """Raise InvalidInput if a token would have more scopes than the site allows."""
    limit = conf.max_scopes_per_token
    if count > limit:
        message = ngettext(
            "A token can have at most %(limit)d scope.",
            "A token can have at most %(limit)d scopes. A scope for all entities can replace many single ones.",
            limit,
        )
        raise InvalidInput({"scopes": [message % {"limit": limit}]})


def _clean_row(
    row: Any, problems: dict[str, list[str]], grantable: Mapping[str, Sequence[Operation]]
) -> ScopeKey | None:
    if isinstance(row, Mapping):
        problems.update(find_unknown_fields(row, ScopeKey._fields))
        row = [row.get(field) for field in ScopeKey._fields]
    if not isinstance(row, Sequence) or isinstance(row, str) or len(row) != len(ScopeKey._fields):
        problems[NON_FIELD] = [_("A scope has an entity_type, an entity_id and an operation.")]
        return None
    for field, value in zip(ScopeKey._fields, row, strict=True):
        if value is None or value == "":
            problems[field] = [_("This field is required.")]
        elif isinstance(value, _NOT_TEXT) and not isinstance(value, str):
            problems[field] = [_("This must be a string.")]
    if problems:
        return None
    type_name, entity_id, operation_name = (value if isinstance(value, str) else str(value) for value in row)
    entity_type = registry.get(type_name)
    if entity_type is None or not grantable[type_name]:
        known = ", ".join(name for name, operations in grantable.items() if operations)
        message = _("Unknown entity type. Choose one of: %(known)s.")
        if entity_type is not None:
            message = _("This entity type can't be granted. Choose one of: %(known)s.")
        problems["entity_type"] = [message % {"known": known or "-"}]
        return None
    operation = entity_type.get_operation(operation_name)
    if operation is None or operation not in grantable[type_name]:
        known = ", ".join(known.name for known in grantable[type_name])
        message = _("Unknown operation for %(type)s. Choose one of: %(known)s.")
        if operation is not None:
            message = _("This operation on %(type)s can't be granted. Choose one of: %(known)s.")
        problems["operation"] = [message % {"type": entity_type.name, "known": known}]
        return None
    if entity_id == ALL:
        return ScopeKey(entity_type.name, ALL, operation.name)
    if not operation.per_entity:
        message = _("%(operation)s is not about a single entity. Use * instead of an id.")
        problems["entity_id"] = [message % {"operation": operation.name}]
        return None
    canonical = entity_type.to_id(entity_id)
    if canonical is None:
        problems["entity_id"] = [no_such_entity()]
        return None
    return ScopeKey(entity_type.name, canonical, operation.name)


def _check_visible(
    user: AbstractBaseUser, keys: Sequence[ScopeKey | None], errors: Sequence[dict[str, list[str]]]
) -> None:
    visible = registry.get_visible(user, filter(None, keys))
    for key, problems in zip(keys, errors, strict=True):
        if key is not None and key.entity_id != ALL and (key.entity_type, key.entity_id) not in visible:
            problems["entity_id"] = [no_such_entity()]


def no_such_entity() -> str:
    """Return the message for ids that don't exist and for ids that the user can't see; it is the same for both."""
    return _("No such entity. Use the id of an entity that the owner can see, or * for all.")


def _clean_text(field: str, value: object) -> str:
    if value is None:
        raise InvalidInput({field: [_("This field is required.")]})
    if not isinstance(value, str):
        raise InvalidInput({field: [_("This must be a string.")]})
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can carry and no database can store
        raise InvalidInput({field: [_("Surrogate characters are not allowed.")]}) from None
    if "\0" in value:
        raise InvalidInput({field: [_("Null characters are not allowed.")]})
    if holds_secret(value, conf.prefix):
        raise InvalidInput({field: [_("This contains the secret of a token. Secrets are never stored: remove it.")]})
    return value


def _not_longer(field: str, text: str, limit: int) -> str:
    if len(text) > limit:
        message = _("Use at most %(limit)d characters (currently %(count)d).")
        raise InvalidInput({field: [message % {"limit": limit, "count": len(text)}]})
    return text
