"""What views require, and declarations for views that a site can't edit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldError, ImproperlyConfigured, ValidationError

from pat_tokens.entities import LIST, EntityType, registry
from pat_tokens.scopes import ALL, RequiredScope, ScopeKey

if TYPE_CHECKING:
    from django.db.models import Model


class EntityLookup:
    """Finds an entity whose key isn't in the URL: maps field lookups to names of URL keywords.

    `EntityLookup(slug="slug", project__slug="project_slug")` finds the entity that matches all of them.
    """

    __slots__ = ("fields",)

    def __init__(self, **fields: str) -> None:
        if not fields:
            raise ImproperlyConfigured("EntityLookup() needs at least one field: EntityLookup(slug='slug').")
        self.fields = tuple(sorted(fields.items()))

    @property
    def keywords(self) -> tuple[str, ...]:
        return tuple(keyword for _, keyword in self.fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EntityLookup) and self.fields == other.fields

    def __hash__(self) -> int:
        return hash(self.fields)

    def __repr__(self) -> str:
        return f"EntityLookup({', '.join(f'{field}={keyword!r}' for field, keyword in self.fields)})"


@dataclass(frozen=True)
class Requirement:
    """What a view requires: (entity type, operation, where the entity id comes from).

    `entity` is the URL keyword that holds the primary key, or an EntityLookup. Without it, the request isn't about a
    single entity and needs a scope on `*`, unless it is a list that limits itself to the token's ids. `filter_by`: for
    such a list, the field path from the listed model to the entity's key.

    `Requirement(...) & Requirement(...)` requires both, for views that touch two entities. Only a list that comes first
    can be limited to the token's ids.
    """

    entity_type: str
    operation: str
    entity: str | EntityLookup | None = None
    filter_by: str = "pk"
    also: tuple[Requirement, ...] = ()  # what `&` added

    def __and__(self, other: Requirement) -> Requirement:
        if not isinstance(other, Requirement):
            return NotImplemented
        if ANY_TOKEN in (self, other):
            raise ImproperlyConfigured("ANY_TOKEN can't be combined with another requirement.")
        return replace(self, also=(*self.also, *other.parts))

    @property
    def parts(self) -> tuple[Requirement, ...]:
        """The requirements that `&` combined, or only this one."""
        return (replace(self, also=()), *self.also) if self.also else (self,)

    @property
    def keywords(self) -> tuple[str, ...]:
        """The URL keywords that are needed."""
        if self.also:
            return tuple(dict.fromkeys(keyword for part in self.parts for keyword in part.keywords))
        if self.entity is None:
            return ()
        return (self.entity,) if isinstance(self.entity, str) else self.entity.keywords

    def get_entity_type(self) -> EntityType:
        """Return the registered entity type. Raises ImproperlyConfigured if there is none."""
        entity_type = registry.get(self.entity_type)
        if entity_type is None:
            known = ", ".join(entity_type.name for entity_type in registry) or "none"
            raise ImproperlyConfigured(f"{self}: there is no such entity type; registered: {known}.")
        return entity_type

    def as_code(self) -> str:
        if self.also:
            return " & ".join(part.as_code() for part in self.parts)
        words = [f'"{self.entity_type}"', f'"{self.operation}"']
        if isinstance(self.entity, str):
            words.append(f'"{self.entity}"')
        elif self.entity is not None:
            fields = ", ".join(f'{field}="{keyword}"' for field, keyword in self.entity.fields)
            words.append(f"EntityLookup({fields})")
        return f"Requirement({', '.join(words)})"

    def __str__(self) -> str:
        if self is ANY_TOKEN:
            return "any valid token"
        if self.also:
            return " and ".join(map(str, self.parts))
        entity = f"{{{','.join(self.keywords)}}}" if self.entity else ALL
        return f"{self.entity_type}:{entity}:{self.operation}"


ANY_TOKEN = Requirement(ALL, ALL)  # for views that accept any valid token, whatever its scopes

Requirements = Mapping[str, Requirement | None]  # action (ViewSets) or HTTP method (everything else) to requirement


def is_list(requirement: Requirement) -> bool:
    """Return whether `requirement` is for a list, which can be limited to a token's ids."""
    return requirement.operation == LIST.name and requirement.entity is None


def required_scope_from_url(
    requirement: Requirement,
    kwargs: Mapping[str, Any],
    *,
    filtered: bool = False,
    find_id: Callable[[Requirement], str | None] | None = None,
) -> RequiredScope:
    """Return what a request with these URL keywords requires.

    `find_id` is called for each part of `requirement` whose id takes a query (see `needs_query`), and returns the id or
    None. Without an id, a scope on all entities is required.
    """

    def scope_of(part: Requirement) -> ScopeKey:
        entity_id = None
        if part.entity is not None:
            entity_type = part.get_entity_type()
            keyword = _key_keyword(part.entity, entity_type)
            if keyword is not None:
                entity_id = entity_type.to_id(kwargs.get(keyword))
            elif find_id is not None:
                entity_id = find_id(part)
        # If the keyword isn't a valid id, no entity exists. A scope on all entities then gets the view's own 404.
        return ScopeKey(part.entity_type, entity_id or ALL, part.operation)

    first = scope_of(requirement)
    also = tuple(map(scope_of, requirement.also))
    filtered = filtered and requirement.entity is None
    return RequiredScope(first.entity_type, first.operation, first.entity_id, filtered, also)


def needs_query(requirement: Requirement) -> bool:
    """Return whether an entity of `requirement` is identified by fields other than the primary key."""
    return any(
        part.entity is not None and _key_keyword(part.entity, part.get_entity_type()) is None
        for part in requirement.parts
    )


def names_unknown_entity(requirement: Requirement, missing: Collection[ScopeKey]) -> bool:
    """Return whether the URL names an entity that wasn't found, so that only a scope on all entities is `missing`."""
    return any(
        part.entity is not None and ScopeKey(part.entity_type, ALL, part.operation) in missing
        for part in requirement.parts
    )


def _key_keyword(entity: str | EntityLookup, entity_type: EntityType) -> str | None:
    if isinstance(entity, str):
        return entity
    fields = dict(entity.fields)
    return next((fields[name] for name in entity_type.key_names if name in fields), None)


@dataclass(frozen=True)
class Resolution:
    """What a route requires, and where that was declared; without a requirement, why tokens are refused.

    `known`: inferred from the view. `refused`: declared to refuse tokens. `problem`: the declaration can't work.
    `is_override`: inferred from a handler that overrides the framework's. `is_inherited`: declared on a parent class.
    `bound_model`: only valid for objects of this model, which one of the entity types has.
    """

    requirement: Requirement | None
    origin: str
    known: bool = False
    refused: bool = False
    problem: str | None = None
    is_override: bool = False
    is_inherited: bool = False
    bound_model: type[Model] | None = None


def find_problem(requirement: object) -> str | None:
    """Return why `requirement` can't work on this site, or None."""
    if not isinstance(requirement, Requirement):  # a site can set it to any value
        return f"{requirement!r} is not a Requirement"
    if requirement is ANY_TOKEN:
        return None
    return next(filter(None, map(_find_problem, requirement.parts)), None)


def _find_problem(requirement: Requirement) -> str | None:
    entity_type = registry.get(requirement.entity_type)
    if entity_type is None:
        known = ", ".join(entity_type.name for entity_type in registry) or "none"
        return f"no entity type is called {requirement.entity_type!r} (registered: {known})"
    operation = entity_type.get_operation(requirement.operation)
    if operation is None:
        known = ", ".join(operation.name for operation in entity_type.operations)
        return f"{entity_type.name} have no operation {requirement.operation!r} (they have: {known})"
    if requirement.entity is not None and not operation.per_entity:
        return f"the operation {operation.name!r} has no single entity, so it takes no URL keyword"
    if isinstance(requirement.entity, EntityLookup):
        return _find_lookup_problem(entity_type.model, tuple(field for field, _ in requirement.entity.fields))
    return None


@lru_cache(maxsize=1024)
def _find_lookup_problem(model: type[Model], fields: tuple[str, ...]) -> str | None:
    try:
        model._base_manager.none().filter(**dict.fromkeys(fields))
    except FieldError as error:
        why = str(error).partition(" Choices are")[0].rstrip(".")  # without the names of all fields
        return f"{model.__name__} can't be looked up by {', '.join(fields)}: {why}"
    except (ValueError, TypeError, ValidationError):  # None isn't a valid value
        pass
    return None


__all__ = ["ANY_TOKEN", "EntityLookup", "Requirement"]
