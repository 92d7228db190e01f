"""Forms that a link fills in: what a link can set, and what is left to the user.

Anyone can send a link. So it never selects a dangerous operation, extends a token's lifetime or submits a form, and the
page says what it asked for.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from django.utils.text import Truncator

from pat_tokens.durations import NEVER, format_duration, parse_duration
from pat_tokens.entities import ASK, Preset, registry
from pat_tokens.labels import ScopeLabel, all_label, describe_scopes
from pat_tokens.models import MAX_NAME_LENGTH, PersonalAccessToken
from pat_tokens.scopes import ALL, ScopeKey
from pat_tokens.validation import DurationRules, max_description_length, name_key, sort_scopes

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.http import QueryDict

    from pat_tokens.querysets import TokenQuerySet

MAX_SCOPES = 50  # that one link can ask for
MAX_NAMED = 20  # parts of a link that the page names
MAX_PART_LENGTH = 80  # characters of a part that the page shows
OWNER = "owner"  # says whose token it is, but fills in nothing
PARAMETERS = ("name", "description", "duration", "preset", "scope", "copy")


@dataclass
class ScopeChoices:
    """Scopes as initial data for the forms of a formset."""

    forms: list[dict[str, Any]] = field(default_factory=list)
    dangerous: list[ScopeLabel] = field(default_factory=list)  # asked for, but not selected
    for_all: list[str] = field(default_factory=list)  # labels of those for all entities
    rejected: list[ScopeKey] = field(default_factory=list)  # unknown, or the user can't grant them


def choose_scopes(
    user: AbstractBaseUser,
    wanted: Sequence[ScopeKey],
    token: PersonalAccessToken | None = None,
    *,
    ticks_dangerous: bool = False,
) -> ScopeChoices:
    """Return the forms for the `wanted` scopes, with what `user` can grant `token`.

    Entities with the same operations share a form.

    If the id of a scope is `?`, the user chooses the entity.
    """
    choices = ScopeChoices()
    keys, _errors = sort_scopes(user, [_without_question(key) for key in wanted], token)
    by_entity: dict[tuple[str, str], dict[str, Any]] = {}
    named: list[ScopeKey] = []
    for asked, key in zip(wanted, keys, strict=True):
        entity_type = registry.get(key.entity_type) if key else None
        operation = entity_type.get_operation(key.operation) if key and entity_type else None
        if key is None or entity_type is None or operation is None:
            choices.rejected.append(asked)
            continue
        entity_id = "" if asked.entity_id == ASK and operation.per_entity else key.entity_id
        form = by_entity.setdefault(
            (key.entity_type, entity_id),
            {"entity_type": key.entity_type, "entity_id": entity_id, "operations": [], "asked_for": []},
        )
        is_ticked = ticks_dangerous or not operation.dangerous
        if operation.name not in form["operations"] + form["asked_for"]:
            form["operations" if is_ticked else "asked_for"].append(operation.name)
            if not is_ticked:
                named.append(key._replace(entity_id=entity_id))
        if entity_id == ALL and (label := all_label(entity_type)) not in choices.for_all:
            choices.for_all.append(label)
    choices.forms = _merge(by_entity.values())
    choices.dangerous = describe_scopes(user, named)
    return choices


def _merge(forms: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for form in forms:
        entity_id = form["entity_id"]
        is_single = entity_id not in ("", ALL)
        names = (frozenset(form["operations"]), frozenset(form["asked_for"]))
        known = merged.setdefault(
            (form["entity_type"], is_single or entity_id, *names),
            {**form, "entity_id": []},
        )
        known["entity_id"] += [entity_id] if entity_id else []
    return list(merged.values())


def choose_preset(user: AbstractBaseUser, preset: Preset) -> list[dict[str, Any]]:
    """Return the forms for a preset that the user has chosen on the page itself."""
    return choose_scopes(user, preset.scopes, ticks_dangerous=True).forms


class Prefill:
    """What the parameters of a link fill in, and what the page has to say about it.

    `token` is the one that gets the scopes, or None for a new one. `tokens` are those that can be copied.
    """

    def __init__(
        self,
        user: AbstractBaseUser,
        query: QueryDict,
        tokens: TokenQuerySet,
        token: PersonalAccessToken | None = None,
    ) -> None:
        self.user = user
        self.query = query
        self.tokens = tokens
        self.is_new = token is None
        self.source: PersonalAccessToken | None = None
        self.initial: dict[str, Any] = {}
        self.networks: Sequence[str] = ()  # of the copied token; without them, the new one works from more addresses
        known = PARAMETERS if self.is_new else ("scope",)
        self._left_out = [name for name in query if name not in (*known, OWNER)]
        wanted = list(islice(self._read_scopes(), MAX_SCOPES + 1))
        self.is_cut = len(wanted) > MAX_SCOPES  # more scopes than one link can ask for
        if self.is_new and self.is_filled:
            self._fill_fields()
        self.scopes = choose_scopes(user, wanted[:MAX_SCOPES], token)
        self._left_out += map(str, self.scopes.rejected)

    @property
    def is_filled(self) -> bool:
        """Whether the link has any parameter."""
        return bool(self.query.keys() - {OWNER})

    @property
    def is_copy(self) -> bool:
        """Whether all that is filled in comes from a token of the user."""
        return self.source is not None and not self.query.keys() - {OWNER, "copy"}

    @property
    def forms(self) -> Sequence[dict[str, Any]]:
        """The initial forms of the formset."""
        return self.scopes.forms or ({},)

    @property
    def left_out(self) -> list[str]:
        """What was left out, by name; a long list is cut."""
        named = [Truncator(part).chars(MAX_PART_LENGTH) for part in dict.fromkeys(self._left_out)]
        return [*named[:MAX_NAMED], *(["…"] if len(named) > MAX_NAMED else [])]

    def _read_scopes(self) -> Iterator[ScopeKey]:
        if self.is_new:
            yield from self._read_copy()
            for name in self._read_all("preset"):
                preset = registry.get_preset(name)
                if preset is None:
                    self._left_out.append(name)
                else:
                    yield from preset.scopes
        for text in self._read_all("scope"):
            try:
                key = ScopeKey.parse(text)
            except ValueError:
                self._left_out.append(text)
                continue
            yield key

    def _read_copy(self) -> Iterator[ScopeKey]:
        for text in self._read_all("copy"):
            token = None
            with suppress(ValueError):
                token = self.tokens.filter(pk=uuid.UUID(text)).first()
            if token is None or self.source is not None:
                self._left_out.append(text)
                continue
            self.source = token
            yield from token.scope_set.sorted()[: MAX_SCOPES + 1].keys()

    def _fill_fields(self) -> None:
        source = self.source
        name, description = self._read_one("name"), self._read_one("description")
        if source is not None:
            self.networks = source.allowed_networks
            name = name or self._copied_name(source)
            description = description or source.description
        if name:
            self.initial["name"] = name[:MAX_NAME_LENGTH]
        if description:
            self.initial["description"] = description[: max_description_length()]
        self._fill_duration(source)

    def _fill_duration(self, source: PersonalAccessToken | None) -> None:
        rules = DurationRules(self.user)
        longest = rules.longest if rules.default == NEVER else parse_duration(rules.default)
        asked, span = self._read_one("duration"), None
        if asked:
            try:
                span = parse_duration(asked)
            except ValueError:
                self._left_out.append(asked)
            if span is not None and span > longest:
                self._left_out.append(asked)
                span = None
        elif source is not None and source.expires_at is not None:
            span = min(source.expires_at - source.issued_at, longest)
        if span is not None:
            self.initial["duration"] = _spell(span, rules)
        elif rules.default == NEVER:  # a link never chooses this
            self.initial["duration"] = _spell(longest, rules)

    def _copied_name(self, source: PersonalAccessToken) -> str:
        taken = set(self.tokens.values_list("name_key", flat=True))
        for number in count(2):
            ending = f" {number}"
            name = source.name[: MAX_NAME_LENGTH - len(ending)] + ending
            if name_key(name) not in taken:
                return name
        raise AssertionError("unreachable")

    def _read_all(self, name: str) -> Iterable[str]:
        return map(_clean, self.query.getlist(name))

    def _read_one(self, name: str) -> str:
        values = list(self._read_all(name))
        self._left_out += values[1:]
        return values[0] if values else ""


def _clean(text: str) -> str:
    # No database can store NUL. Removed, because users should only see errors about what they entered themselves.
    return text.replace("\0", "").strip()


def _spell(span: timedelta, rules: DurationRules) -> str:
    # In the spelling of a choice of the form, if there is one.
    offered = (text for text in rules.choices if text != NEVER and parse_duration(text) == span)
    return next(offered, format_duration(span))


def _without_question(key: ScopeKey) -> ScopeKey:
    return key._replace(entity_id=ALL) if key.entity_id == ASK else key
