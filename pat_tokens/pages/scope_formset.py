"""The formset for scopes: each form is one or several entities of a type, and operations on each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.forms.formsets import INITIAL_FORM_COUNT, TOTAL_FORM_COUNT, ManagementForm
from django.utils.translation import gettext as _
from django.utils.translation import pgettext, pgettext_lazy

from pat_tokens.conf import conf
from pat_tokens.entities import EntityType, Operation, registry
from pat_tokens.labels import (
    Capability,
    ScopeLabel,
    all_label,
    describe_scopes,
    entity_names,
    label_scopes,
    summarize,
    type_label,
)
from pat_tokens.pages.forms import NON_FIELD, ServiceForm
from pat_tokens.policy import grantable_operations, grantable_types
from pat_tokens.scopes import ALL, ScopeKey, absorb

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.http import QueryDict

    from pat_tokens.models import PersonalAccessToken

MAX_SUGGESTIONS = 20
MAX_TERM_LENGTH = 100  # characters of a search for an entity
_FIELD_NAME = re.compile(r"scopes-([0-9]{1,6})-(?:entity_type|entity_id|operations|term)", re.ASCII)


class AnyChoiceField(forms.ChoiceField):
    """A choice that services validate."""

    def valid_value(self, value: Any) -> bool:
        return True


class EntitySelect(forms.SelectMultiple):
    """A select that adds one entity. Those that were chosen before are checkboxes beside it, with the same name."""

    allow_multiple_selected = False

    def format_value(self, value: Any) -> list[str]:
        """Return the value of the empty option."""
        return [""]


class ScopeForm(ServiceForm):
    """Entities of a type, and operations on each of them; `formset` looks up what can be chosen."""

    fields_of_errors: ClassVar[dict[str, str | None]] = {NON_FIELD: None, "operation": "operations"}

    entity_type = AnyChoiceField(
        label=pgettext_lazy("pat_tokens", "Entity Type"),
        required=False,
        widget=forms.Select(attrs={"data-pat-entity-type": True}),
    )
    entity_id = AnyChoiceField(
        label=pgettext_lazy("pat_tokens", "Entity"),
        required=False,
        widget=EntitySelect(attrs={"data-pat-entity": True}),
    )
    operations = forms.Field(required=False, widget=forms.CheckboxSelectMultiple)
    term = forms.Field(required=False)  # of the search for an entity, without a script

    def __init__(self, *args: Any, formset: ScopeFormSet, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.formset = formset
        self.fields["entity_type"].choices = formset.type_choices  # type: ignore[attr-defined]
        self.fields["entity_id"].choices = self._entity_choices  # type: ignore[attr-defined]

    @property
    def number(self) -> str:
        return str(self.prefix).rpartition("-")[2]

    @cached_property
    def values(self) -> dict[str, Any]:
        """The values as they were typed, valid or not; those of `entity_id` and `operations` are lists."""
        values = {name: self[name].value() or "" for name in self.fields}
        operations = list(dict.fromkeys(values["operations"]))[: self.formset.absolute_max]
        return {**values, "entity_id": self.formset.entity_ids.get(self.prefix, []), "operations": operations}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was chosen here."""
        return not any(value for name, value in self.values.items() if name != "term")

    @property
    def keys(self) -> Iterator[ScopeKey]:
        """A scope for each entity and operation; the id or the operation is empty where none was chosen."""
        type_name, ids = self.values["entity_type"], self.values["entity_id"]
        for entity_id in [ALL] if ALL in ids else ids or [""]:
            for operation in self.values["operations"] or [""]:
                yield ScopeKey(type_name, entity_id, operation)

    @property
    def grantable_keys(self) -> Iterator[ScopeKey]:
        """The scopes of this form that are complete and can be granted, with canonical ids.

        Unlike in `keys`, single entities are included even next to a scope for all entities.
        """
        if self.type is None:
            return
        operations = [operation for operation, is_chosen in self.operation_choices if is_chosen]
        for entity_id in self.canonical_ids.values():
            for operation in operations:
                if entity_id and (operation.per_entity or entity_id == ALL):
                    yield ScopeKey(self.type.name, entity_id, operation.name)

    @cached_property
    def type(self) -> EntityType | None:
        return registry.get(self.values["entity_type"])

    @property
    def canonical_ids(self) -> dict[str, str | None]:
        """The canonical form of each chosen id, by what was typed; None if this type can't have such an id."""
        typed = self.values["entity_id"]
        return {one: one if one == ALL or self.type is None else self.type.to_id(one) for one in typed}

    @property
    def chosen(self) -> list[tuple[str, str]]:
        """The chosen entities, as (id, label)."""
        names = self.formset.names
        type_name = self.type.name if self.type else ""
        return [
            (typed, self.all_label if typed == ALL else names.get((type_name, entity_id or ""), typed))
            for typed, entity_id in self.canonical_ids.items()
        ]

    @property
    def all_label(self) -> str:
        """The label for all entities of the chosen type."""
        return all_label(self.type) if self.type else ""

    @property
    def asked_for(self) -> Sequence[str]:
        """The dangerous operations that a link asked for, which aren't chosen."""
        asked: Sequence[str] = self.initial.get("asked_for", ())
        return asked

    @property
    def operation_choices(self) -> list[tuple[Operation, bool]]:
        """The operations of the chosen type that can be granted, described for it, and whether each is chosen."""
        if self.type is None:
            return []
        operations = grantable_operations(self.formset.user, self.type, self.formset.token)
        chosen = self.values["operations"]
        return [(replace(one, description=self.type.describe(one)), one.name in chosen) for one in operations]

    def _entity_choices(self) -> list[tuple[str, str]]:
        if self.type is None:
            return [("", _("Select an entity type first"))]
        chosen = self.values["entity_id"]
        first = pgettext("pat_tokens", "Add another entity") if chosen else pgettext("pat_tokens", "Select an entity")
        choices = [(ALL, self.all_label), *self.formset.suggestions_for(self)]
        return [("", first), *(choice for choice in choices if choice[0] not in chosen)]


if TYPE_CHECKING:
    _FormSetBase = forms.BaseFormSet[ScopeForm]
else:
    _FormSetBase = forms.formset_factory(ScopeForm, extra=0)


class ScopeFormSet(_FormSetBase):
    """The scopes that `user` gives `token`, or a new one.

    Without data, there is one empty form, or one for each of `initial`.
    """

    def __init__(
        self,
        user: AbstractBaseUser,
        data: QueryDict | None = None,
        *,
        token: PersonalAccessToken | None = None,
        initial: Sequence[dict[str, Any]] = ({},),
    ) -> None:
        self.user = user
        self.token = token
        self.max_num = conf.max_scopes_per_token
        self.absolute_max = self.max_num + 1  # one too many is enough for a service to reject all
        found = {int(match[1]) for name in data or () if (match := _FIELD_NAME.fullmatch(name))}
        self._numbers = sorted(found)[: self.absolute_max]
        self._searched: str | None = None
        self._suggestions: dict[str, list[tuple[str, str]]] = {}  # by entity type
        initial = initial if data is None else ()
        super().__init__(data, prefix="scopes", initial=initial, form_kwargs={"formset": self})

    @cached_property
    def management_form(self) -> ManagementForm:
        """The number of forms that were sent, counted by field names, so that clients don't have to keep count."""
        form = ManagementForm({TOTAL_FORM_COUNT: len(self._numbers), INITIAL_FORM_COUNT: 0})
        form.full_clean()
        return form

    def add_prefix(self, index: Any) -> str:
        """Keep the numbers that the forms were sent with."""
        return super().add_prefix(self._numbers[index] if self.is_bound and isinstance(index, int) else index)

    @property
    def scopes(self) -> list[ScopeKey]:
        """The scopes to ask a service for; at most one more than a token can have, which is enough to reject all."""
        return [key for _form, key in self._sources]

    @property
    def _sources(self) -> list[tuple[ScopeForm, ScopeKey]]:
        keys = ((form, key) for form in self.forms if not form.is_empty for key in form.keys)
        return list(islice(keys, self.absolute_max))

    @cached_property
    def entity_ids(self) -> dict[str | None, list[str]]:
        """The ids that were chosen in each form, by its prefix; in total, at most one more than a token can have."""
        found: dict[str | None, list[str]] = {}
        left = self.absolute_max
        for form in self.forms:
            ids = dict.fromkeys(filter(None, form["entity_id"].value() or ()))
            found[form.prefix] = list(islice(ids, left))
            left -= len(found[form.prefix])
        return found

    def after_step(self, step: str) -> ScopeFormSet:
        """Return the formset after a button for users without JavaScript: `add`, `remove-3` or `find-3`."""
        verb, _separator, number = step.partition("-")
        kept = [form for form in self.forms if not (verb == "remove" and form.number == number)]
        initial = [form.values for form in kept]
        if verb == "add" and len(initial) < self.max_num:
            initial.append({})
        formset = ScopeFormSet(self.user, token=self.token, initial=initial)
        if verb == "find":
            formset._searched = next((str(index) for index, form in enumerate(kept) if form.number == number), None)
        return formset

    def with_more(self, initial: Sequence[dict[str, Any]]) -> ScopeFormSet:
        """Return the formset with these forms added, and without its empty ones."""
        kept = [form.values for form in self.forms if not form.is_empty]
        return ScopeFormSet(self.user, token=self.token, initial=[*kept, *initial][: self.max_num] or [{}])

    def add_service_errors(self, errors: Sequence[Any]) -> None:
        """Show the errors of scopes on the forms that they came from."""
        sources = self._sources
        by_form: dict[ScopeForm, dict[str, list[str]]] = {}
        for position, problems in enumerate(errors):
            if not isinstance(problems, Mapping):
                self.non_form_errors().append(str(problems))
                continue
            form, key = sources[position]
            for field, messages in problems.items():
                known = by_form.setdefault(form, {}).setdefault(field, [])
                texts = list(map(str, messages))
                if field == "entity_id" and len(form.chosen) > 1:
                    texts = [f"{dict(form.chosen)[key.entity_id]}: {text}" for text in texts]
                known += [text for text in texts if text not in known]
        for form, found in by_form.items():
            form.add_service_errors(found)

    @cached_property
    def types(self) -> list[EntityType]:
        """The entity types to choose from, sorted by their labels."""
        return sorted(
            grantable_types(self.user, self.token), key=lambda entity_type: type_label(entity_type).casefold()
        )

    @cached_property
    def type_choices(self) -> list[tuple[str, str]]:
        return [("", _("Select an entity type")), *((known.name, type_label(known)) for known in self.types)]

    @property
    def empty_form(self) -> ScopeForm:
        """The form that a script copies."""
        return self._blank()

    @property
    def type_forms(self) -> list[ScopeForm]:
        """An empty form of each entity type, with its operations."""
        return [self._blank(entity_type=known.name) for known in self.types]

    def _blank(self, **initial: str) -> ScopeForm:
        return self.form(prefix=self.add_prefix("__prefix__"), initial=initial, **self.get_form_kwargs(None))

    @cached_property
    def names(self) -> dict[tuple[str, str], str]:
        """The labels of the chosen entities, by entity type and id."""
        keys = [
            ScopeKey(form.type.name, entity_id, "")
            for form in self.forms
            if form.type is not None
            for entity_id in form.canonical_ids.values()
            if entity_id
        ]
        return entity_names(self.user, keys)

    @cached_property
    def capabilities(self) -> list[Capability]:
        """What the complete forms allow."""
        return summarize(self._describe(self._grantable_keys))

    @cached_property
    def redundant(self) -> Redundant:
        """Which scopes of the complete forms change nothing, and which scopes of the token they replace."""
        keys = self._grantable_keys
        held = set(self.token.scope_set.keys()) if self.token is not None and keys else set()
        replaced, added = absorb(held, keys)
        present = [key for key in keys if key in held and key not in replaced]
        included = [key for key in keys if key not in held and key not in added]
        return Redundant(
            self._describe(included), self._describe(present), describe_scopes(self.user, sorted(replaced))
        )

    @cached_property
    def _grantable_keys(self) -> list[ScopeKey]:
        keys = (key for form in self.forms for key in form.grantable_keys)
        return list(dict.fromkeys(islice(keys, self.absolute_max)))

    def _describe(self, keys: Sequence[ScopeKey]) -> list[ScopeLabel]:
        return [label for label in label_scopes(keys, self.names) if not label.problem]

    def suggestions_for(self, form: ScopeForm) -> list[tuple[str, str]]:
        """Return the entities that `form` offers: those that were searched for, or the first ones of its type."""
        if form.type is None:
            return []
        if form.number == self._searched and (term := form.values["term"]):
            return suggest(form.type, self.user, term)[0]
        if form.type.name not in self._suggestions:
            self._suggestions[form.type.name] = suggest(form.type, self.user)[0]
        return self._suggestions[form.type.name]


@dataclass(frozen=True)
class Redundant:
    """Scopes that change nothing, and scopes that are replaced.

    `included` are covered by a scope for all entities. The token already has those in `present`.
    """

    included: list[ScopeLabel]
    present: list[ScopeLabel]
    replaced: list[ScopeLabel]


def suggest(entity_type: EntityType, user: AbstractBaseUser, term: str = "") -> tuple[list[tuple[str, str]], bool]:
    """Return the first entities that `user` can choose and `term` finds, as (id, label), and whether there are more."""
    entities = list(entity_type.find(user, term[:MAX_TERM_LENGTH])[: MAX_SUGGESTIONS + 1])
    pairs = [(str(entity.pk), entity_type.get_label(entity)) for entity in entities[:MAX_SUGGESTIONS]]
    return pairs, len(entities) > MAX_SUGGESTIONS
