"""The scopes of a form: rows of an entity and several operations, and what can be chosen in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.urls import reverse

from pat_tokens.conf import conf
from pat_tokens.entities import EntityType, Operation, registry
from pat_tokens.labels import Capability, all_label, entity_names, type_label
from pat_tokens.policy import grantable_operations, grantable_types
from pat_tokens.scopes import ALL, ScopeKey

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.http import QueryDict

    from pat_tokens.models import PersonalAccessToken


MAX_SUGGESTIONS = 20
MAX_TERM_LENGTH = 100  # characters of a search for an entity


@dataclass
class ScopeRow:
    """One row of scopes as it was typed: an entity and several operations on it."""

    index: str
    entity_type: str = ""
    entity_id: str = ""
    operations: list[str] = field(default_factory=list)
    term: str = ""
    errors: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was chosen here, so that there is nothing to complain about."""
        return not (self.entity_type or self.entity_id or self.operations)

    @property
    def prefix(self) -> str:
        """What the names of this row's fields begin with."""
        return f"scopes-{self.index}"

    @property
    def keys(self) -> list[ScopeKey]:
        """A scope for each operation; without any, one that says so."""
        return [ScopeKey(self.entity_type, self.entity_id, operation) for operation in self.operations or [""]]


@dataclass(frozen=True)
class Choice:
    """A choice in a row of scopes."""

    value: str
    label: str
    is_chosen: bool = False
    operation: Operation | None = None
    type_name: str = ""


_ROW_FIELD = re.compile(r"scopes-([0-9]{1,6})-(entity_type|entity_id|operations|term)", re.ASCII)


class ScopeRows:
    """The rows of scopes of a form; each may have several operations, and gives one scope for each."""

    template_index = "__n__"  # stands where a script puts the number of the row that it adds

    def __init__(
        self, user: AbstractBaseUser, data: QueryDict | None = None, *, token: PersonalAccessToken | None = None
    ) -> None:
        self.user = user
        self.token = token
        self.errors: list[str] = []
        self.rows = [ScopeRow("0")] if data is None else _read_rows(data)
        self._searched: ScopeRow | None = None

    @property
    def scopes(self) -> list[ScopeKey]:
        """What a service is asked for."""
        return [key for row in self.rows if not row.is_empty for key in row.keys]

    def take_step(self, step: str) -> None:
        """Do what a button other than the last one asks for: `add`, `remove-3`, `find-3`, or just show again."""
        verb, _separator, index = step.partition("-")
        if verb == "add":
            self.add_row()
        elif verb == "remove":
            self.rows = [row for row in self.rows if row.index != index]
        elif verb == "find":
            self._searched = next((row for row in self.rows if row.index == index), None)

    def add_row(self) -> None:
        """Add an empty row, as far as a token may have as many scopes."""
        if len(self.rows) < conf.max_scopes_per_token:
            self.rows.append(ScopeRow(str(max((int(row.index) for row in self.rows), default=-1) + 1)))

    def add_service_errors(self, errors: Sequence[Any]) -> None:
        """Put the errors of the single scopes to the rows that they came from."""
        owners = [row for row in self.rows if not row.is_empty for _key in row.keys]
        for position, problems in enumerate(errors):
            if not isinstance(problems, Mapping):
                self.errors.append(str(problems))
                continue
            for name, messages in problems.items():
                known = owners[position].errors.setdefault("operations" if name == "operation" else name, [])
                known += [str(message) for message in messages if str(message) not in known]

    @property
    def has_errors(self) -> bool:
        """Whether anything is wrong with any row."""
        return bool(self.errors) or any(row.errors for row in self.rows)

    @cached_property
    def views(self) -> list[ScopeRowView]:
        """The rows with all that a template needs."""
        return [ScopeRowView(self, row) for row in self.rows]

    @cached_property
    def blank(self) -> ScopeRowView:
        """The row that a script copies."""
        return ScopeRowView(self, ScopeRow(self.template_index))

    @cached_property
    def types(self) -> list[EntityType]:
        """The entity types to choose from, by what people call them."""
        return sorted(
            grantable_types(self.user, self.token), key=lambda entity_type: type_label(entity_type).casefold()
        )

    @cached_property
    def names(self) -> dict[tuple[str, str], str]:
        """What the chosen entities are called."""
        return entity_names(self.user, self._chosen)

    @cached_property
    def suggestions(self) -> dict[str, list[tuple[str, str]]]:
        """The first entities of each chosen type, for those who choose without a script."""
        chosen = {row.entity_type for row in self.rows}
        return {known.name: suggest(known, self.user)[0] for known in self.types if known.name in chosen}

    @property
    def capabilities(self) -> list[Capability]:
        """What the rows allow, in words; rows that are not finished do not count."""
        capabilities: dict[tuple[str, str], Capability] = {}
        for row in self.rows:
            entity_type = registry.get(row.entity_type)
            if entity_type is None or not row.entity_id:
                continue
            is_all = row.entity_id == ALL
            entity_id = row.entity_id if is_all else entity_type.to_id(row.entity_id) or ""
            name = all_label(entity_type) if is_all else self.names.get((row.entity_type, entity_id))
            operations = [found for found in entity_type.operations if found.name in row.operations]
            if name is None or not operations:
                continue
            capability = capabilities.setdefault(
                (row.entity_type, entity_id), Capability(type_label(entity_type), name, is_all)
            )
            capability.operations += [operation for operation in operations if operation not in capability.operations]
        return list(capabilities.values())

    def operation_choices(self, entity_type: EntityType, chosen: Sequence[str] = ()) -> list[Choice]:
        """Return the operations of a type that can be granted, as choices."""
        return [
            Choice(operation.name, str(operation.label), operation.name in chosen, operation, entity_type.name)
            for operation in grantable_operations(self.user, entity_type, self.token)
        ]

    def found_for(self, row: ScopeRow) -> list[tuple[str, str]]:
        """Return the entities that a row offers: those that were searched for, else the first ones."""
        entity_type = registry.get(row.entity_type)
        if entity_type is None:
            return []
        if row is self._searched and row.term:
            return suggest(entity_type, self.user, row.term)[0]
        return self.suggestions.get(row.entity_type, [])

    @property
    def _chosen(self) -> list[ScopeKey]:
        keys = []
        for row in self.rows:
            entity_type = registry.get(row.entity_type)
            entity_id = entity_type.to_id(row.entity_id) if entity_type and row.entity_id != ALL else None
            if entity_id is not None:
                keys.append(ScopeKey(row.entity_type, entity_id, ""))
        return keys


class ScopeRowView:
    """A row as a template shows it."""

    def __init__(self, rows: ScopeRows, row: ScopeRow) -> None:
        self._rows = rows
        self.row = row
        self.number = 0 if row.index == rows.template_index else rows.rows.index(row) + 1

    @property
    def type_choices(self) -> list[dict[str, Any]]:
        """The entity types, each with where its entities are searched and what all of them are called."""
        return [
            {
                "value": known.name,
                "label": type_label(known),
                "is_chosen": known.name == self.row.entity_type,
                "url": reverse("pat_tokens:entity_list", args=[known.name]),
                "all": all_label(known),
            }
            for known in self._rows.types
        ]

    @property
    def entity_type(self) -> EntityType | None:
        """The chosen entity type."""
        return registry.get(self.row.entity_type)

    @property
    def all_label(self) -> str:
        """The words for all entities of the chosen type."""
        return all_label(self.entity_type) if self.entity_type else ""

    @property
    def operation_choices(self) -> list[Choice]:
        """The operations of the chosen type."""
        if self.entity_type is None:
            return []
        return self._rows.operation_choices(self.entity_type, self.row.operations)

    @property
    def entity_choices(self) -> list[Choice]:
        """The entities on offer, the chosen one among them wherever it is."""
        if self.entity_type is None or not self.row.entity_type:
            return []
        found = dict(self._rows.found_for(self.row))
        chosen = self.row.entity_id if self.row.entity_id in ("", ALL) else self.entity_type.to_id(self.row.entity_id)
        if chosen and chosen != ALL and chosen not in found:
            found[chosen] = self._rows.names.get((self.entity_type.name, chosen), chosen)
        return [Choice(entity_id, label, entity_id == chosen) for entity_id, label in found.items()]

    @property
    def is_for_all(self) -> bool:
        """Whether all entities were chosen."""
        return self.row.entity_id == ALL


def suggest(entity_type: EntityType, user: AbstractBaseUser, term: str = "") -> tuple[list[tuple[str, str]], bool]:
    """Return the first entities that `user` may pick and `term` finds, as (id, label), and whether there are more."""
    entities = list(entity_type.find(user, term[:MAX_TERM_LENGTH])[: MAX_SUGGESTIONS + 1])
    pairs = [(str(entity.pk), entity_type.get_label(entity)) for entity in entities[:MAX_SUGGESTIONS]]
    return pairs, len(entities) > MAX_SUGGESTIONS


def _read_rows(data: QueryDict) -> list[ScopeRow]:
    rows: dict[int, ScopeRow] = {}
    limit = conf.max_scopes_per_token + 1  # one too many is enough for a service to refuse them all
    for key in data:
        match = _ROW_FIELD.fullmatch(key)
        if match is None:
            continue
        number = int(match[1])
        if number not in rows and len(rows) >= limit:
            continue
        row = rows.setdefault(number, ScopeRow(str(number)))
        if match[2] == "operations":
            row.operations = list(dict.fromkeys(data.getlist(key)))
        else:
            setattr(row, match[2], data[key])
    return [row for _number, row in sorted(rows.items())]


def type_templates(rows: ScopeRows) -> list[dict[str, Any]]:
    return [{"name": known.name, "choices": rows.operation_choices(known)} for known in rows.types]
