"""Display texts for tokens and scopes: durations, and the names of entities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from django.utils import timezone
from django.utils.dates import MONTHS_3
from django.utils.text import Truncator
from django.utils.translation import get_language_bidi, ngettext, npgettext, pgettext, pgettext_lazy
from django.utils.translation import gettext as _

from pat_tokens.conf import conf
from pat_tokens.durations import NEVER, as_aware, split_short, split_span
from pat_tokens.entities import EntityType, registry
from pat_tokens.models import Kind, Reason, Via
from pat_tokens.policy import client_ip, is_overridden
from pat_tokens.querysets import Status
from pat_tokens.scopes import ALL

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.http import HttpRequest
    from django.utils.functional import _StrOrPromise

    from pat_tokens.models import Activity

STATUS_LABELS = {
    Status.ACTIVE: pgettext_lazy("pat_tokens", "Active"),
    Status.EXPIRED: pgettext_lazy("pat_tokens", "Expired"),
    Status.REVOKED: pgettext_lazy("pat_tokens", "Revoked"),
}
MAX_SHORT_NAME = 60  # characters
UNITS = {
    # Translators: short units after a number, as in "23 h 54 min".
    "d": pgettext_lazy("pat_tokens", "%(number)s d"),
    "h": pgettext_lazy("pat_tokens", "%(number)s h"),
    "min": pgettext_lazy("pat_tokens", "%(number)s min"),
    "s": pgettext_lazy("pat_tokens", "%(number)s s"),
}
# Translators: a date with an abbreviated month, as in "Nov 29, 2026".
DATE_PATTERN = pgettext_lazy("pat_tokens", "%(month)s %(day)s, %(year)s")
# Translators: a date, a time and a time zone, as in "Nov 29, 2026, 18:05 UTC".
DATETIME_PATTERN = pgettext_lazy("pat_tokens", "%(date)s, %(time)s %(zone)s")
MAX_SCOPES = 20  # scopes that a row of activity shows
MAX_ENTITIES = 10  # entities shown of a group with the same operations
MAX_TYPES = 2  # entity types that a list of tokens shows for each
MAX_OPERATIONS = 2  # operations shown for each of these types
_FIELDS = {
    "name": pgettext_lazy("pat_tokens", "Name"),
    "description": pgettext_lazy("pat_tokens", "Description"),
    "allowed_networks": pgettext_lazy("pat_tokens", "Allowed networks"),
    "grace_period": pgettext_lazy("pat_tokens", "Grace period"),
}


class TimeFormat:
    """Datetimes and spans in the current language and time zone. Use one for a whole page: each look-up costs time."""

    def __init__(self) -> None:
        self.units = {unit: str(text) for unit, text in UNITS.items()}
        self.months = [str(name).title() for name in MONTHS_3.values()]
        self.date_pattern = str(DATE_PATTERN)
        self.datetime_pattern = str(DATETIME_PATTERN)
        self.zone = timezone.get_current_timezone()

    def span(self, span: timedelta) -> str:
        """Return `span` as `23 h 54 min`."""
        return " ".join(self.units[unit] % {"number": number} for number, unit in split_span(span))

    def date(self, value: datetime) -> str:
        """Return the date of `value` as `Nov 29, 2026`."""
        return self._date(self._localize(value))

    def exact(self, value: datetime) -> str:
        """Return `value` as `Nov 29, 2026, 18:05 UTC`."""
        local = self._localize(value)
        facts = {"date": self._date(local), "time": f"{local:%H:%M}", "zone": local.tzname()}
        return self.datetime_pattern % facts

    def _date(self, local: datetime) -> str:
        return self.date_pattern % {"month": self.months[local.month - 1], "day": local.day, "year": local.year}

    def _localize(self, value: datetime) -> datetime:
        return as_aware(value).astimezone(self.zone)


def short_name(name: str) -> str:
    """Return the beginning of `name`, for a title or a message that has to stay readable as a whole."""
    return Truncator(name).chars(MAX_SHORT_NAME)


def duration_label(duration: str) -> str:
    """Return `24h` as `24 hours`; durations in another format are returned unchanged."""
    if duration == NEVER:
        return pgettext("pat_tokens", "No expiration")
    short = split_short(duration)
    if short is None:
        return duration
    number, unit = short
    texts = {
        "h": npgettext("pat_tokens", "%(number)d hour", "%(number)d hours", number),
        "d": npgettext("pat_tokens", "%(number)d day", "%(number)d days", number),
        "w": npgettext("pat_tokens", "%(number)d week", "%(number)d weeks", number),
        "y": npgettext("pat_tokens", "%(number)d year", "%(number)d years", number),
    }
    return texts[unit] % {"number": number}


def type_label(entity_type: EntityType) -> str:
    return str(entity_type.label or entity_type.name)


def all_label(entity_type: EntityType) -> str:
    """Return the display text for all entities of this type."""
    return _("All %(type)s, now and in future") % {"type": type_label(entity_type)}


def address_text(request: HttpRequest) -> str:
    """Return the sentence of a form about the address from which it is filled in."""
    address = client_ip(request)
    if address is not None:
        return _("Your address is %(address)s.") % {"address": address}
    if not is_overridden("get_client_ip") and not conf.trusted_proxies:
        return _(
            "Your address is unknown, because this site is behind a proxy that PAT_TOKENS_TRUSTED_PROXIES does not "
            "name. A token with networks would be refused."
        )
    return _("Your address is unknown. A token with networks would be refused at your current address.")


_Texts = tuple[str, str, str, bool, str]  # see _find_texts()


class AnyScope(Protocol):
    """A Scope row, or a ScopeKey."""

    @property
    def entity_type(self) -> str: ...
    @property
    def entity_id(self) -> str: ...
    @property
    def operation(self) -> str: ...


@dataclass(frozen=True)
class ScopeLabel:
    """A scope with display names; `problem` says why it has no effect, or is empty."""

    scope: AnyScope
    entity_type: str
    entity: str
    operation: str
    is_dangerous: bool = False
    problem: _StrOrPromise = ""

    @property
    def is_for_all(self) -> bool:
        return self.scope.entity_id == ALL

    @property
    def sort_key(self) -> tuple[str, str, str]:
        return self.entity_type.casefold(), self.entity.casefold(), self.operation.casefold()


@dataclass
class Capability:
    """Operations that a token can perform on the same entities, or on all of a type."""

    entity_type: str
    is_for_all: bool
    operations: list[ScopeLabel]  # one for each, the dangerous ones first
    entities: list[str] = field(default_factory=list)

    @property
    def is_dangerous(self) -> bool:
        return any(operation.is_dangerous for operation in self.operations)

    @property
    def shown(self) -> list[str]:
        """The entities that are listed at once."""
        return self.entities[:MAX_ENTITIES]

    @property
    def more(self) -> list[str]:
        """The entities that are only shown on demand."""
        return self.entities[MAX_ENTITIES:]


def summarize(labels: Iterable[ScopeLabel]) -> list[Capability]:
    """Return what scopes with these `labels` allow together, the dangerous operations first.

    Entities with the same operations are in one entry. Scopes without effect are left out, and so are those that a
    scope for all of the type includes.
    """
    labels = [label for label in labels if not label.problem]
    wide = {(label.scope.entity_type, label.scope.operation) for label in labels if label.is_for_all}
    by_entity: dict[tuple[str, str], dict[str, ScopeLabel]] = {}
    for label in labels:
        if label.is_for_all or (label.scope.entity_type, label.scope.operation) not in wide:
            found = by_entity.setdefault((label.scope.entity_type, label.scope.entity_id), {})
            found[label.scope.operation] = label
    merged: dict[tuple[str, bool, frozenset[str]], Capability] = {}
    for (type_name, entity_id), operations in by_entity.items():
        first, *_others = operations.values()
        key = (type_name, entity_id == ALL, frozenset(operations))
        if key not in merged:
            merged[key] = Capability(first.entity_type, first.is_for_all, sorted(operations.values(), key=_rank))
        merged[key].entities.append(first.entity)
    return sorted(merged.values(), key=lambda one: (not one.is_dangerous, not one.is_for_all))


def _rank(label: ScopeLabel) -> tuple[bool, int]:
    entity_type = registry.get(label.scope.entity_type)
    names = [operation.name for operation in entity_type.operations] if entity_type else []
    return not label.is_dangerous, names.index(label.scope.operation)


# Dictionaries instead of dataclasses, because templates look up keys in half the time of attributes.


class TypeAccess(TypedDict):
    """Operations on an entity type, the dangerous ones first; `more` are not in `operations`."""

    entity_type: str
    operations: Sequence[tuple[str, bool]]  # labels, and whether each is dangerous
    more: int
    is_more_dangerous: bool


class Access(TypedDict):
    """What a token can do, in short: some entity types, the dangerous ones first, and how many `more` there are."""

    types: Sequence[TypeAccess]
    more: int
    is_more_dangerous: bool


def describe_access(operations: Iterable[tuple[Any, str, str]]) -> dict[Any, Access]:
    """Return the access of each token in `operations`, which are those of `ScopeQuerySet.operations_of`.

    What this site no longer has is left out, because it has no effect.
    """
    known = {
        (entity_type.name, operation.name): (position, str(operation.label), operation.dangerous)
        for entity_type in registry
        for position, operation in enumerate(entity_type.operations)
    }
    labels = {entity_type.name: type_label(entity_type) for entity_type in registry}
    by_token: dict[Any, dict[str, list[tuple[int, str, bool]]]] = {}
    for token_id, type_name, operation_name in operations:
        if (found := known.get((type_name, operation_name))) is not None:
            by_token.setdefault(token_id, {}).setdefault(type_name, []).append(found)
    return {
        token_id: _shorten([(labels[name], found) for name, found in by_type.items()])
        for token_id, by_type in by_token.items()
    }


def _shorten(by_type: list[tuple[str, list[tuple[int, str, bool]]]]) -> Access:
    types = []
    for label, found in by_type:
        operations = [
            (text, dangerous) for _position, text, dangerous in sorted(found, key=lambda one: (not one[2], one))
        ]
        rest = operations[MAX_OPERATIONS:]
        types.append(
            TypeAccess(
                entity_type=label,
                operations=operations[:MAX_OPERATIONS],
                more=len(rest),
                is_more_dangerous=any(one[1] for one in rest),
            )
        )
    types.sort(key=lambda one: (not one["operations"][0][1], one["entity_type"].casefold()))
    others = types[MAX_TYPES:]
    return Access(
        types=types[:MAX_TYPES],
        more=len(others),
        is_more_dangerous=any(one["operations"][0][1] for one in others),
    )


def describe_scopes(user: AbstractBaseUser, scopes: Iterable[AnyScope]) -> list[ScopeLabel]:
    """Return labels for `scopes`, limited to what `user` can see, with one query per entity type that has ids."""
    scopes = list(scopes)
    return label_scopes(scopes, entity_names(user, scopes))


def label_scopes(scopes: Sequence[AnyScope], names: dict[tuple[str, str], str]) -> list[ScopeLabel]:
    """Return labels for `scopes`; `names` are those of the entities that the user can see."""
    texts = {key: _find_texts(*key) for key in {(scope.entity_type, scope.operation) for scope in scopes}}
    return [_label_scope(scope, names, texts[scope.entity_type, scope.operation]) for scope in scopes]


def entity_names(user: AbstractBaseUser, scopes: Sequence[AnyScope]) -> dict[tuple[str, str], str]:
    """Return the names of the entities in `scopes` that `user` can see, by entity type and id."""
    types = {entity_type.name: entity_type for entity_type in registry}
    return {key: types[key[0]].get_label(entity) for key, entity in registry.get_visible(user, scopes).items()}


def _label_scope(scope: AnyScope, names: dict[tuple[str, str], str], texts: _Texts) -> ScopeLabel:
    label, all_of_type, operation, is_dangerous, problem = texts
    entity = all_of_type if scope.entity_id == ALL else names.get((scope.entity_type, scope.entity_id))
    if entity is None and not problem:
        problem = _("No effect: the entity was deleted, or the owner can no longer see it.")
    return ScopeLabel(scope, label, entity or scope.entity_id, operation, is_dangerous, problem)


def _find_texts(type_name: str, operation_name: str) -> _Texts:
    # The labels of an entity type, of all of its entities and of an operation; whether it is dangerous; the problem.
    entity_type = registry.get(type_name)
    if entity_type is None:
        problem = _("No effect: this site no longer has this entity type.")
        return type_name, ALL, operation_name, False, problem
    label, all_of_type = type_label(entity_type), all_label(entity_type)
    operation = entity_type.get_operation(operation_name)
    if operation is None:
        problem = _("No effect: this site no longer has this operation.")
        return label, all_of_type, operation_name, False, problem
    return label, all_of_type, str(operation.label), operation.dangerous, ""


@dataclass(frozen=True)
class ActivityLabel:
    """A row of activity in words."""

    row: Activity
    title: str
    fields: str = ""  # the names of the changed fields
    via: str = ""
    client: str = ""
    scopes: Sequence[tuple[str, str]] = ()  # a sign and a scope
    more: int = 0  # scopes that are left out


def describe_activity(rows: Iterable[Activity]) -> list[ActivityLabel]:
    return [_describe_act(row) for row in rows]


def _describe_act(row: Activity) -> ActivityLabel:
    title = str(Kind(row.kind).label) if row.kind in Kind.values else row.kind
    if row.kind == Kind.REFUSED:
        return ActivityLabel(row, title)
    changes = row.all_changes
    names = [str(_FIELDS.get(name, name)) for name in changes["fields"]]
    signs = {"scopes_added": "+", "scopes_deleted": "\N{MINUS SIGN}"}
    scopes = [(sign, scope) for name, sign in signs.items() for scope in changes[name]]
    via = str(Via(row.via).label) if row.via in Via.values else row.via
    more = max(0, len(scopes) - MAX_SCOPES)
    return ActivityLabel(row, title, ", ".join(names), via, client_of(row), scopes[:MAX_SCOPES], more)


def client_of(row: Activity) -> str:
    """Return the address and the client of `row`, such as `203.0.113.7 (curl/8.5)`."""
    client = f"{row.ip} ({row.agent})" if row.ip and row.agent else row.ip or row.agent or ""
    # Isolated (UAX #9), so that the parentheses stay in place in a language written from right to left.
    return f"\u2068{client}\u2069" if client and get_language_bidi() else client


def refusals_text(row: Activity, count: int, *, date: str) -> str:
    """Return how often a secret was refused, at least `count` times, and last by the request of `row`, on `date`."""
    texts = {
        Reason.REVOKED: ngettext(
            "A revoked secret of this token was used at least %(count)d time",
            "A revoked secret of this token was used at least %(count)d times",
            count,
        ),
        Reason.EXPIRED: ngettext(
            "An expired secret of this token was used at least %(count)d time",
            "An expired secret of this token was used at least %(count)d times",
            count,
        ),
        Reason.REPLACED: ngettext(
            "A replaced secret of this token was used at least %(count)d time",
            "A replaced secret of this token was used at least %(count)d times",
            count,
        ),
        Reason.NETWORK_NOT_ALLOWED: ngettext(
            "This token was used from a network that is not allowed at least %(count)d time",
            "This token was used from a network that is not allowed at least %(count)d times",
            count,
        ),
    }
    facts = {
        "refused": texts[Reason(row.reason)] % {"count": count},
        "date": date,
        "client": client_of(row),
    }
    if facts["client"]:
        return _("%(refused)s, last on %(date)s from %(client)s.") % facts
    return _("%(refused)s, last on %(date)s.") % facts


def printable(text: str) -> str:
    """Return `text` on one line, for a plain text email."""
    return "".join(character if character.isprintable() else " " for character in text)
