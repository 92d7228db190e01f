"""Display texts for tokens and scopes: durations, and the names of entities."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from django.utils.translation import gettext as _
from django.utils.translation import npgettext, pgettext, pgettext_lazy

from pat_tokens.durations import NEVER, split_span
from pat_tokens.entities import EntityType, Operation, registry
from pat_tokens.scopes import ALL

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.utils.functional import _StrOrPromise

UNITS = {
    # Translators: short units behind a number, as in "23 h 54 min".
    "d": pgettext_lazy("pat_tokens", "%(number)s d"),
    "h": pgettext_lazy("pat_tokens", "%(number)s h"),
    "min": pgettext_lazy("pat_tokens", "%(number)s min"),
    "s": pgettext_lazy("pat_tokens", "%(number)s s"),
}
_SHORT_DURATION = re.compile(r"([0-9]{1,9})([hdwy])", re.ASCII)


def span_text(span: timedelta) -> str:
    """Return `span` as `23 h 54 min`."""
    return " ".join(str(UNITS[unit]) % {"number": number} for number, unit in split_span(span))


def duration_label(duration: str) -> str:
    """Return `24h` as `24 hours`; durations in another format are returned unchanged."""
    if duration == NEVER:
        return pgettext("pat_tokens", "No expiration")
    short = _SHORT_DURATION.fullmatch(duration)
    if short is None:
        return duration
    number = int(short[1])
    texts = {
        "h": npgettext("pat_tokens", "%(number)d hour", "%(number)d hours", number),
        "d": npgettext("pat_tokens", "%(number)d day", "%(number)d days", number),
        "w": npgettext("pat_tokens", "%(number)d week", "%(number)d weeks", number),
        "y": npgettext("pat_tokens", "%(number)d year", "%(number)d years", number),
    }
    return texts[short[2]] % {"number": number}


def type_label(entity_type: EntityType) -> str:
    """Return the display name of an entity type."""
    return str(entity_type.label or entity_type.name)


def all_label(entity_type: EntityType) -> str:
    """Return the display text for all entities of this type."""
    return _("All %(type)s, now and in future") % {"type": type_label(entity_type)}


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


@dataclass
class Capability:
    """What a token can do with one entity, or with all entities of a type."""

    entity_type: str
    entity: str
    is_for_all: bool
    operations: list[Operation] = field(default_factory=list)


def describe_scopes(user: AbstractBaseUser, scopes: Iterable[AnyScope]) -> list[ScopeLabel]:
    """Return labels for `scopes`, limited to what `user` can see, with one query per entity type that has ids."""
    scopes = list(scopes)
    names = entity_names(user, scopes)
    return [_describe(scope, names) for scope in scopes]


def entity_names(user: AbstractBaseUser, scopes: Sequence[AnyScope]) -> dict[tuple[str, str], str]:
    """Return the names of the entities in `scopes` that `user` can see, by entity type and id."""
    wanted: dict[str, list[str]] = {}
    for scope in scopes:
        if scope.entity_id != ALL:
            wanted.setdefault(scope.entity_type, []).append(scope.entity_id)
    return {
        (entity_type.name, entity_id): entity_type.get_label(entity)
        for entity_type in registry
        if entity_type.name in wanted
        for entity_id, entity in entity_type.get_visible(user, wanted[entity_type.name]).items()
    }


def _describe(scope: AnyScope, names: dict[tuple[str, str], str]) -> ScopeLabel:
    entity_type = registry.get(scope.entity_type)
    if entity_type is None:
        problem = _("No effect: this site no longer has this entity type.")
        return ScopeLabel(scope, scope.entity_type, scope.entity_id, scope.operation, problem=problem)
    label = type_label(entity_type)
    is_all = scope.entity_id == ALL
    entity = all_label(entity_type) if is_all else names.get((scope.entity_type, scope.entity_id))
    operation = entity_type.get_operation(scope.operation)
    if operation is None:
        problem = _("No effect: this site no longer has this operation.")
        return ScopeLabel(scope, label, entity or scope.entity_id, scope.operation, problem=problem)
    if entity is None:
        problem = _("No effect: the entity was deleted, or you can no longer see it.")
        return ScopeLabel(scope, label, scope.entity_id, str(operation.label), operation.dangerous, problem)
    return ScopeLabel(scope, label, entity, str(operation.label), operation.dangerous)
