"""The registry of entity types: their operations, and which entities each user can choose."""

from __future__ import annotations

import functools
import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import DataError, connections, transaction
from django.db.models import CharField, IntegerField, Model, Q, QuerySet, TextField, UUIDField
from django.db.models.expressions import RawSQL
from django.utils.text import format_lazy, slugify
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override, pgettext_lazy

from pat_tokens.scopes import ALL, ScopeKey

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

MAX_WORD_LENGTH = 64  # characters of an entity type's or an operation's name
MAX_ID_LENGTH = 255  # characters of an entity id
MAX_WORDS = 8  # of a search; each adds a condition on every row

READ_ONLY = "-read-only"  # suffix of the names of default presets, after the name of the entity type
ASK = "?"  # as the entity id of a preset's scope: users choose the entity

_REFUSALS = (DataError, OverflowError, ValueError)  # raised by a database or its driver for an invalid value


@dataclass(frozen=True)
class Operation:
    """Something that a token can do with entities of a type.

    `per_entity` is False for operations without an object, such as `create`, whose scopes are always on `*`.
    `dangerous` operations are highlighted on the pages. In the `description`, `%(type)s` stands for what a single
    entity is called, and `%(types)s` for the label of the entity type.
    """

    name: str
    label: _StrOrPromise
    description: _StrOrPromise = ""
    dangerous: bool = False
    per_entity: bool = True


CREATE = Operation("create", pgettext_lazy("pat_tokens", "Create"), _("Create new %(type)s"), per_entity=False)
READ = Operation("read", pgettext_lazy("pat_tokens", "Read"), _("Read/view %(type)s"))
LIST = Operation("list", pgettext_lazy("pat_tokens", "List"), _("List %(types)s"))
UPDATE = Operation("update", pgettext_lazy("pat_tokens", "Update"), _("Update/modify %(type)s"))
DELETE = Operation("delete", pgettext_lazy("pat_tokens", "Delete"), _("Delete %(type)s"), dangerous=True)
SHARE = Operation("share", pgettext_lazy("pat_tokens", "Share"), _("Share %(type)s with others"), dangerous=True)
UNSHARE = Operation("unshare", pgettext_lazy("pat_tokens", "Unshare"), _("Stop sharing %(type)s"))
PUBLISH = Operation("publish", pgettext_lazy("pat_tokens", "Publish"), _("Publish messages to %(type)s"))
SUBSCRIBE = Operation("subscribe", pgettext_lazy("pat_tokens", "Subscribe"), _("Subscribe to messages from %(type)s"))
STANDARD_OPERATIONS = {
    operation.name: operation for operation in (CREATE, READ, LIST, UPDATE, DELETE, SHARE, UNSHARE, PUBLISH, SUBSCRIBE)
}


@dataclass(frozen=True)
class Preset:
    """Scopes for a purpose, which users can start from when they create a token.

    `scopes` are ScopeKeys, or strings such as `channels:*:read`. `?` instead of `*` asks for the entity.
    """

    name: str
    label: _StrOrPromise
    scopes: Sequence[Any]
    description: _StrOrPromise = ""

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise ImproperlyConfigured(
                f"Preset {self.name!r}: the name must be 1 to 64 characters of a-z, 0-9, _ and -."
            )
        object.__setattr__(self, "scopes", tuple(self._to_key(scope) for scope in self.scopes))

    def _to_key(self, scope: Any) -> ScopeKey:
        try:
            key = ScopeKey.parse(scope) if isinstance(scope, str) else ScopeKey(*scope)
        except (TypeError, ValueError):
            key = None
        if key is None or key.entity_id not in (ALL, ASK):
            raise ImproperlyConfigured(
                f"Preset {self.name!r}: {scope!r} is not a scope such as 'channels:*:read', or 'channels:?:read' to "
                "ask for the entity."
            )
        return key


class EntityType:
    """A kind of entity that scopes can name. Subclass it, set a model, and `register` it.

    Parameters typed as Any depend on the site's models and users, so overrides can narrow them.
    """

    name: ClassVar[str]
    model: ClassVar[type[Model]]
    label: ClassVar[_StrOrPromise] = ""
    singular: ClassVar[_StrOrPromise] = ""  # the model's verbose_name if empty
    # Declared as `Operation`s or names of standard operations; always read as `Operation`s.
    operations: ClassVar[Sequence[Any]] = (CREATE, READ, LIST, UPDATE, DELETE)
    search_fields: ClassVar[Sequence[str]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.operations = _to_operations(cls)

    @property
    def read_only(self) -> Preset | None:
        """The preset that every entity type has by default; None where nothing can be read."""
        names = [operation.name for operation in (LIST, READ) if self.get_operation(operation.name)]
        if not names:
            return None
        label = format_lazy(_("Read only: {type}"), type=self.label or self.name)
        scopes = [ScopeKey(self.name, ALL, name) for name in names]
        return Preset(f"{self.name[: MAX_WORD_LENGTH - len(READ_ONLY)]}{READ_ONLY}", label, scopes)

    @property
    def presets(self) -> list[Preset]:
        return [preset for preset in registry.presets if any(scope.entity_type == self.name for scope in preset.scopes)]

    @functools.cached_property
    def key_field(self) -> Any:
        """The field of the primary key or, if that is a relation, the field that it refers to."""
        field: Any = self.model._meta.pk
        while field.remote_field:  # the parent link of a child model, or a OneToOneField
            field = field.target_field
        return field

    @property
    def key_names(self) -> tuple[str, ...]:
        field = self.model._meta.pk
        return "pk", field.name, field.attname

    def get_queryset(self, user: Any) -> QuerySet[Any]:
        """Return the entities that `user` can see, and can choose for a scope."""
        raise NotImplementedError(
            f"{type(self).__name__} must define which entities a user can choose: def get_queryset(self, user)"
        )

    def get_label(self, entity: Any) -> str:
        """Return the display name of `entity`."""
        return str(entity)

    def describe(self, operation: Operation) -> str:
        """Return the description of `operation` on these entities."""
        description = str(operation.description).replace("%(types)s", str(self.label or self.name))
        return description.replace("%(type)s", str(self.singular or self.model._meta.verbose_name))

    def search(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        """Return the entities in `queryset` that match the first `MAX_WORDS` words of `term`, or its id."""
        term = term.replace("\0", "").strip()
        if not term:
            return queryset
        found = Q()
        if self.search_fields:
            for word in term.split(maxsplit=MAX_WORDS)[:MAX_WORDS]:
                found &= functools.reduce(operator.or_, (Q(**{f"{f}__icontains": word}) for f in self.search_fields))
        entity_id = self.to_id(term)
        if entity_id is not None and self._is_accepted(entity_id, queryset.db):
            found |= Q(pk=self.key_field.to_python(entity_id))
        return queryset.filter(found) if found else queryset.none()

    def find(self, user: Any, term: str = "") -> QuerySet[Any]:
        """Return the entities that `user` can choose and that match `term`, in the site's order and then by key.

        An entity whose key is `*` is left out, because that id means all entities in a scope.
        """
        queryset = self.search(self.get_queryset(user), term)
        if self._may_be_called_all:
            queryset = queryset.exclude(pk=ALL)
        default = self.model._meta.ordering if queryset.query.default_ordering else None
        own = queryset.query.order_by or default or ()
        return queryset.order_by(*own, "pk")

    @functools.cached_property
    def _may_be_called_all(self) -> bool:
        try:
            return self.is_storable(ALL) and str(self.key_field.to_python(ALL)) == ALL
        except (ValidationError, ValueError, TypeError, OverflowError):
            return False

    def get_operation(self, name: str) -> Operation | None:
        return next((operation for operation in self.operations if operation.name == name), None)

    def to_id(self, value: object) -> str | None:
        """Return `value` as a canonical entity id, or None if it can't be one."""
        try:
            key = self.key_field.to_python(value)
        except (ValidationError, ValueError, TypeError, OverflowError):
            return None
        text = "" if key is None else str(key)
        # `*` means all, so an entity with this key needs a scope on all entities.
        return text if text not in ("", ALL) and len(text) <= MAX_ID_LENGTH and is_storable_text(text) else None

    def is_storable(self, entity_id: str) -> bool:
        """Return whether the key's column can store `entity_id`; databases raise an error for numbers out of range."""
        try:
            key = self.key_field.to_python(entity_id)
            self.key_field.run_validators(key)
        except ValidationError:
            return False
        return not isinstance(key, float) or math.isfinite(key)

    def get_visible(self, user: Any, entity_ids: Iterable[str]) -> dict[str, Model]:
        """Return those of `entity_ids` that `user` can see, as entities by canonical id, in one query."""
        keys = [one for one in dict.fromkeys(entity_ids) if one != ALL and self.is_storable(one)]
        if not keys:
            return {}
        return {str(entity.pk): entity for entity in self._fetch(self.get_queryset(user), keys)}

    def _fetch(self, queryset: QuerySet[Any], keys: Sequence[str]) -> list[Any]:
        # A database can refuse a value that is valid for the field. Bisecting finds the other entities.
        try:
            with self._savepoint(queryset.db):
                return list(queryset.filter(pk__in=self.as_values(keys, queryset.db)))
        except _REFUSALS:
            half = len(keys) // 2
            return [*self._fetch(queryset, keys[:half]), *self._fetch(queryset, keys[half:])] if half else []

    @property
    def _are_keys_safe(self) -> bool:
        # Every database accepts values that pass the validators of these fields.
        return isinstance(self.key_field, CharField | TextField | IntegerField | UUIDField)

    def _savepoint(self, using: str) -> AbstractContextManager[Any]:
        # A query that fails aborts the transaction around it on PostgreSQL.
        is_needed = connections[using].in_atomic_block and not self._are_keys_safe
        return transaction.atomic(using=using) if is_needed else nullcontext()

    def _is_accepted(self, entity_id: str, using: str) -> bool:
        if not self.is_storable(entity_id):
            return False
        if self._are_keys_safe:
            return True
        try:
            with self._savepoint(using):
                self.model._base_manager.using(using).filter(pk=self.key_field.to_python(entity_id)).exists()
        except _REFUSALS:
            return False
        return True

    def as_values(self, entity_ids: Sequence[str], using: str) -> Any:
        """Return storable ids for an `__in` lookup, as a single parameter if the database can't take so many."""
        field = self.key_field
        keys = [field.to_python(entity_id) for entity_id in entity_ids]
        connection = connections[using]
        most = connection.features.max_query_params
        # Half, because the rest of the query has parameters as well.
        if connection.vendor != "sqlite" or most is None or len(keys) <= most // 2:
            return keys
        try:
            text = json.dumps([field.get_db_prep_value(key, connection) for key in keys])
        except TypeError:  # not serializable as JSON
            return keys
        return RawSQL("SELECT value FROM json_each(%s)", [text])


class Registry:
    """The entity types of a site by name."""

    def __init__(self) -> None:
        self._types: dict[str, EntityType] = {}
        self._by_model: dict[type[Model], list[EntityType]] = {}
        self._presets: dict[str, Preset] = {}
        self.generation = 0  # counts changes

    def register(self, entity_type: type[EntityType]) -> None:
        """Add an entity type; raises ImproperlyConfigured for an invalid or duplicate name."""
        where = f"{entity_type.__module__}.{entity_type.__qualname__}"
        name = getattr(entity_type, "name", "")
        if not is_name(name):
            raise ImproperlyConfigured(f"{where}: name must be 1 to {MAX_WORD_LENGTH} characters of a-z, 0-9, _ and -.")
        if not hasattr(entity_type, "model"):
            raise ImproperlyConfigured(f"{where}: set its model: model = ...")
        for operation in entity_type.operations:
            if not is_name(operation.name):
                raise ImproperlyConfigured(
                    f"{where}: operation {operation.name!r} must be named with a-z, 0-9, _ and -."
                )
        names = [operation.name for operation in entity_type.operations]
        if len(set(names)) != len(names):
            raise ImproperlyConfigured(f"{where}: an operation is listed twice: {', '.join(names)}.")
        if name in self._types:
            other = type(self._types[name])
            raise ImproperlyConfigured(
                f"{where}: entity type {name!r} is already registered by {other.__module__}.{other.__qualname__}. "
                "Rename one of them."
            )
        self._types[name] = entity_type()
        self._by_model.setdefault(entity_type.model, []).append(self._types[name])
        self.generation += 1

    def unregister(self, name: str) -> None:
        """Remove an entity type, for example to replace one of a third-party app."""
        removed = self._types.pop(name)
        self._by_model[removed.model].remove(removed)
        self.generation += 1

    def register_preset(self, preset: Preset) -> None:
        """Add a preset; raises ImproperlyConfigured for a duplicate name.

        One with the name of an entity type's default preset, such as `channels-read-only`, replaces it.
        """
        if preset.name in self._presets:
            raise ImproperlyConfigured(f"The preset {preset.name!r} is already registered. Rename one of them.")
        self._presets[preset.name] = preset

    def unregister_preset(self, name: str) -> None:
        del self._presets[name]

    @property
    def presets(self) -> list[Preset]:
        """The site's own presets, then the defaults."""
        defaults = [preset for entity_type in self if (preset := entity_type.read_only)]
        return [*self._presets.values(), *(preset for preset in defaults if preset.name not in self._presets)]

    def get_preset(self, name: str) -> Preset | None:
        return next((preset for preset in self.presets if preset.name == name), None)

    def get(self, name: str) -> EntityType | None:
        return self._types.get(name)

    def for_model(self, model: type[Model] | None) -> EntityType | None:
        """Return the entity type with exactly this model, or None if there is none or more than one."""
        found = self.all_for_model(model)
        return found[0] if len(found) == 1 else None

    def all_for_model(self, model: type[Model] | None) -> Sequence[EntityType]:
        """Return the entity types with exactly this model."""
        return () if model is None else self._by_model.get(model, ())

    def get_visible(self, user: Any, scopes: Iterable[Any]) -> dict[tuple[str, str], Model]:
        """Return the entities in `scopes` that `user` can see, by entity type and id, with one query per type."""
        wanted: dict[str, list[str]] = {}
        for scope in scopes:
            if scope.entity_id != ALL:
                wanted.setdefault(scope.entity_type, []).append(scope.entity_id)
        return {
            (name, entity_id): entity
            for name, entity_type in self._types.items()
            if name in wanted
            for entity_id, entity in entity_type.get_visible(user, wanted[name]).items()
        }

    def __iter__(self) -> Iterator[EntityType]:
        return iter(self._types.values())

    def __len__(self) -> int:
        return len(self._types)


def _to_operations(entity_type: type[EntityType]) -> tuple[Operation, ...]:
    declared: Any = entity_type.operations
    where = f"{entity_type.__module__}.{entity_type.__qualname__}"
    if isinstance(declared, str) or not isinstance(declared, Iterable):
        what = f"the string {declared!r}" if isinstance(declared, str) else repr(declared)
        raise ImproperlyConfigured(f"{where}: operations must be a list or tuple, not {what}.")
    operations = []
    for operation in declared:
        found = STANDARD_OPERATIONS.get(operation) if isinstance(operation, str) else operation
        if not isinstance(found, Operation):
            raise ImproperlyConfigured(
                f"{where}: {operation!r} is not a standard operation ({', '.join(STANDARD_OPERATIONS)}). "
                f"To define your own, use Operation({operation!r}, label) in operations."
            )
        operations.append(found)
    return tuple(operations)


def is_name(text: object) -> bool:
    """Return whether `text` is a valid name of an entity type or an operation."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= MAX_WORD_LENGTH
        and text.isascii()
        and text.replace("_", "").replace("-", "").isalnum()
        and text == text.lower()
    )


def is_storable_text(text: str) -> bool:
    """Return whether every database can store `text`: no NUL, and no lone surrogates, which JSON can contain."""
    if "\0" in text:
        return False
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


registry = Registry()

_EntityTypeT = TypeVar("_EntityTypeT", bound=EntityType)


def register(entity_type: type[_EntityTypeT]) -> type[_EntityTypeT]:
    """Register an entity type; a class decorator for a site's `pat_entities.py`."""
    registry.register(entity_type)
    return entity_type


def register_preset(preset: Preset) -> None:
    """Register a preset in a site's `pat_entities.py`."""
    registry.register_preset(preset)


def register_models(
    *models: type[Model],
    get_queryset: Callable[[type[Any], Any], QuerySet[Any]],
    operations: Sequence[Any] | None = None,
    search_fields: Sequence[str] = (),
    names: Mapping[str, str] = MappingProxyType({}),
) -> tuple[type[EntityType], ...]:
    """Register an entity type for each of `models`, and return the types.

    `get_queryset(model, user)` returns the entities of a model that `user` can see. The name is the slug of the model's
    plural verbose name in English, or what `names` has for its label (`app_label.Model`). Raises ImproperlyConfigured,
    and registers nothing, if names are invalid or taken.
    """

    def queryset_of(self: EntityType, user: Any) -> QuerySet[Any]:
        return get_queryset(self.model, user)

    entity_types = [
        type(
            f"{model.__name__}EntityType",
            (EntityType,),
            {
                "__module__": model.__module__,
                "name": name,
                "model": model,
                "operations": EntityType.operations if operations is None else operations,
                "search_fields": search_fields,
                "get_queryset": queryset_of,
            },
        )
        for model, name in _name_models(models, names).items()
    ]
    return tuple(map(register, entity_types))


def _name_models(models: Iterable[type[Model]], names: Mapping[str, str]) -> dict[type[Model], str]:
    """Return the name of each model's entity type. Raises one ImproperlyConfigured for all names that can't be used."""
    models = list(dict.fromkeys(models))
    unknown = names.keys() - {model._meta.label for model in models}
    if unknown:
        raise ImproperlyConfigured(
            f"register_models: `names` has models that aren't passed: {', '.join(sorted(unknown))}."
        )
    found: dict[type[Model], str] = {}
    problems, suggested = [], {}
    for model in models:
        label = model._meta.label
        with override(None):
            name = names[label] if label in names else _plural_name_of(model)
        used_by = next((other._meta.label for other, taken in found.items() if taken == name), None)
        if used_by is None and (registered := registry.get(name)) is not None:
            used_by = f"{type(registered).__module__}.{type(registered).__qualname__}"
        found[model] = name
        if used_by is not None:
            problems.append(f"{label} and {used_by} would both be called {name!r}.")
        elif not is_name(name):
            problems.append(f"{label} can't be called {name!r}.")
        else:
            continue
        suggested[label] = slugify(label.replace(".", "-"))
    if problems:
        raise ImproperlyConfigured(f"register_models: {' '.join(problems)} Name them yourself: names={suggested!r}")
    return found


def _plural_name_of(model: type[Model]) -> str:
    name, plural = slugify(str(model._meta.verbose_name)), slugify(str(model._meta.verbose_name_plural))
    if plural != f"{name}s":
        return plural
    # Django's default only adds an "s".
    if re.search("[^aeiou]y$", name):
        return f"{name[:-1]}ies"
    if re.search("(ss|us|x|z|ch|sh)$", name):
        return f"{name}es"
    return name if name.endswith("s") else plural  # such as "settings"


__all__ = [
    "CREATE",
    "DELETE",
    "LIST",
    "PUBLISH",
    "READ",
    "SHARE",
    "SUBSCRIBE",
    "UNSHARE",
    "UPDATE",
    "EntityType",
    "Operation",
    "Preset",
    "Registry",
    "register",
    "register_models",
    "register_preset",
    "registry",
]
