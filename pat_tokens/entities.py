"""The registry: which entity types a site has, which operations, and what each user may pick."""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import connections
from django.db.models import CharField, Model, Q, QuerySet, TextField
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext_lazy as _

from pat_tokens.scopes import ALL

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.utils.functional import _StrOrPromise

MAX_WORD_LENGTH = 64  # characters of an entity type's or an operation's name
MAX_ID_LENGTH = 255  # characters of an entity id as text


@dataclass(frozen=True)
class Operation:
    """Something a token can do with entities of a type.

    `per_entity` is False for what has no object yet, as `create`: such a scope can only be for `*`.
    `dangerous` operations stand out on the pages.
    """

    name: str
    label: _StrOrPromise
    description: _StrOrPromise = ""
    dangerous: bool = False
    per_entity: bool = True


CREATE = Operation("create", _("Create"), _("Create a new entity"), per_entity=False)
READ = Operation("read", _("Read"), _("Read/view an entity"))
LIST = Operation("list", _("List"), _("List entities"))
UPDATE = Operation("update", _("Update"), _("Update/modify an entity"))
DELETE = Operation("delete", _("Delete"), _("Delete an entity"), dangerous=True)
SHARE = Operation("share", _("Share"), _("Share an entity with others"), dangerous=True)
UNSHARE = Operation("unshare", _("Unshare"), _("Remove sharing permissions"))
PUBLISH = Operation("publish", _("Publish"), _("Publish messages to a channel"))
SUBSCRIBE = Operation("subscribe", _("Subscribe"), _("Subscribe to messages from a channel"))


class EntityType:
    """What a site declares about one kind of entity; subclass it, name a model, and `register` it."""

    name: ClassVar[str]
    model: ClassVar[type[Model]]
    label: ClassVar[_StrOrPromise] = ""
    operations: ClassVar[Sequence[Operation]] = (CREATE, READ, LIST, UPDATE, DELETE)
    search_fields: ClassVar[Sequence[str]] = ()

    @functools.cached_property
    def key_field(self) -> Any:
        """The field that says what a key is: where the primary key is a relation, the field that it leads to."""
        field: Any = self.model._meta.pk
        while field.remote_field:  # a child table's link to its parent, or a OneToOneField
            field = field.target_field
        return field

    @property
    def key_names(self) -> tuple[str, ...]:
        """What a look-up may call the primary key."""
        field = self.model._meta.pk
        return "pk", field.name, field.attname

    def get_queryset(self, user: AbstractBaseUser) -> QuerySet[Any]:
        """Return the entities that `user` may see, and so may pick for a token."""
        raise NotImplementedError(f"{type(self).__name__} must say what a user may pick: def get_queryset(self, user)")

    def get_label(self, entity: Model) -> str:
        """Return what people call `entity`."""
        return str(entity)

    def search(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        """Return what in `queryset` matches every word of `term`, or has it as its id."""
        term = term.replace("\0", "").strip()
        if not term:
            return queryset
        found = Q()
        if self.search_fields:
            for word in term.split():
                found &= functools.reduce(operator.or_, (Q(**{f"{f}__icontains": word}) for f in self.search_fields))
        entity_id = self.to_id(term)
        if entity_id is not None and self.is_storable(entity_id):
            found |= Q(pk=entity_id)
        return queryset.filter(found) if found else queryset.none()

    def find(self, user: AbstractBaseUser, term: str = "") -> QuerySet[Any]:
        """Return what `user` may pick and `term` matches, in the site's own order and then by key.

        Without an entity whose key is `*`: as a scope's id that would mean all.
        """
        queryset = self.search(self.get_queryset(user), term)
        if isinstance(self.key_field, CharField | TextField):
            queryset = queryset.exclude(pk=ALL)
        default = self.model._meta.ordering if queryset.query.default_ordering else None
        own = queryset.query.order_by or default or ()
        return queryset.order_by(*own, "pk")

    def get_operation(self, name: str) -> Operation | None:
        """Return the operation called `name`, or None."""
        return next((operation for operation in self.operations if operation.name == name), None)

    def to_id(self, value: object) -> str | None:
        """Return `value` as this type's canonical entity id, or None where it can be no id of it."""
        try:
            key = self.key_field.to_python(value)
        except (ValidationError, ValueError, TypeError, OverflowError):
            return None
        text = "" if key is None else str(key)
        # `*` means all; an entity that is really called so can only be reached by a scope for all.
        return text if text not in ("", ALL) and len(text) <= MAX_ID_LENGTH and is_storable_text(text) else None

    def is_storable(self, entity_id: str) -> bool:
        """Tell whether the key's column could hold `entity_id`: databases fail on a number out of range."""
        try:
            self.key_field.run_validators(self.key_field.to_python(entity_id))
        except ValidationError:
            return False
        return True

    def get_visible(self, user: AbstractBaseUser, entity_ids: Iterable[str]) -> dict[str, Model]:
        """Return those of `entity_ids` that `user` may see, as entities by canonical id, in one query."""
        keys = [entity_id for entity_id in dict.fromkeys(entity_ids) if self.is_storable(entity_id)]
        if not keys:
            return {}
        queryset = self.get_queryset(user)
        found = queryset.filter(pk__in=self.as_values(keys, queryset.db))
        return {str(entity.pk): entity for entity in found}

    def as_values(self, entity_ids: Sequence[str], using: str) -> Any:
        """Return storable ids for an `__in` on the database `using`: as one parameter, where so many would not do."""
        connection = connections[using]
        most = connection.features.max_query_params
        # Half, since the rest of the query has parameters, too.
        if connection.vendor != "sqlite" or most is None or len(entity_ids) <= most // 2:
            return entity_ids
        field = self.key_field
        try:
            text = json.dumps([field.get_db_prep_value(field.to_python(one), connection) for one in entity_ids])
        except TypeError:  # JSON does not know such keys
            return entity_ids
        return RawSQL("SELECT value FROM json_each(%s)", [text])


class Registry:
    """The entity types of a site by name."""

    def __init__(self) -> None:
        self._types: dict[str, EntityType] = {}
        self.generation = 0  # counts changes

    def register(self, entity_type: type[EntityType]) -> None:
        """Add an entity type; raises ImproperlyConfigured for a bad or duplicate name."""
        where = f"{entity_type.__module__}.{entity_type.__qualname__}"
        name = getattr(entity_type, "name", "")
        if not is_name(name):
            raise ImproperlyConfigured(f"{where}: name must be 1 to {MAX_WORD_LENGTH} characters of a-z, 0-9, _ and -.")
        if not hasattr(entity_type, "model"):
            raise ImproperlyConfigured(f"{where}: say which model this is about: model = ...")
        for operation in entity_type.operations:
            if not is_name(operation.name):
                raise ImproperlyConfigured(f"{where}: operation {operation.name!r} is not a name of a-z, 0-9, _ and -.")
        names = [operation.name for operation in entity_type.operations]
        if len(set(names)) != len(names):
            raise ImproperlyConfigured(f"{where}: an operation is listed twice: {', '.join(names)}.")
        if name in self._types:
            other = type(self._types[name])
            raise ImproperlyConfigured(
                f"{where}: entity type {name!r} is registered already by {other.__module__}.{other.__qualname__}. "
                "Give one of them another name."
            )
        self._types[name] = entity_type()
        self.generation += 1

    def unregister(self, name: str) -> None:
        """Take an entity type out again, for a site that replaces one of an app it uses."""
        del self._types[name]
        self.generation += 1

    def get(self, name: str) -> EntityType | None:
        """Return the entity type called `name`, or None."""
        return self._types.get(name)

    def for_model(self, model: type[Model] | None) -> EntityType | None:
        """Return the one entity type of exactly this model; None where there is none, or more than one."""
        found = [entity_type for entity_type in self._types.values() if entity_type.model is model]
        return found[0] if len(found) == 1 else None

    def __iter__(self) -> Iterator[EntityType]:
        return iter(self._types.values())

    def __len__(self) -> int:
        return len(self._types)


def is_name(text: object) -> bool:
    """Tell whether `text` can name an entity type or an operation: it has to fit into `type:id:operation`."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= MAX_WORD_LENGTH
        and text.isascii()
        and text.replace("_", "").replace("-", "").isalnum()
        and text == text.lower()
    )


def is_storable_text(text: str) -> bool:
    """Tell whether every database can hold `text`: no NUL, and no lone surrogate, which JSON can carry."""
    if "\0" in text:
        return False
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


registry = Registry()

_EntityTypeT = TypeVar("_EntityTypeT", bound=EntityType)


def register(entity_type: type[_EntityTypeT]) -> type[_EntityTypeT]:
    """Register an entity type; a class decorator for a site's `pat_entities.py`."""
    registry.register(entity_type)
    return entity_type


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
    "Registry",
    "register",
    "registry",
]
