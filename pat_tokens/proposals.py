"""Proposals for the requirements of undeclared views, which somebody has to review."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.exceptions import FieldDoesNotExist

from pat_tokens.declarations import plain_route
from pat_tokens.entities import CREATE, DELETE, LIST, READ, UPDATE, EntityType, registry
from pat_tokens.requirements import EntityLookup, Requirement

if TYPE_CHECKING:
    from django.db.models import Model

    from pat_tokens.integrations import Route

_PARENT = re.compile(r"(?P<name>\w+?)_(?P<field>pk|id|uuid|slug|\w+)")  # project_pk, as nested routers write it


@dataclass(frozen=True)
class Proposal:
    """The requirement that a method most likely has; `requirement` is None if the view doesn't say enough.

    If `certain`, it can be used as it is; otherwise it is a guess. `reason` is for a comment. `model` is the model that
    has to be registered first.
    """

    requirement: Requirement | None
    reason: str
    is_certain: bool = False
    model: type[Model] | None = None


@dataclass(frozen=True)
class ViewHints:
    """What a view reveals about its entities: the model, and the field and URL keyword of its look-up.

    `operation` is inferred from the name of the handler, or None. `has_rows`: GET returns a list.
    """

    model: type[Model] | None = None
    lookup_field: str = "pk"
    lookup_keyword: str = "pk"
    operation: str | None = None
    has_rows: bool = False
    harmless_keywords: frozenset[str] = frozenset()


def guess(hints: ViewHints, method: str, route: Route) -> Proposal:
    """Return a proposal based only on names, which is never certain."""
    model, keyword, action = hints.model, hints.lookup_keyword, None
    if model is None:
        by_url = _read_segments(route.pattern)
        if by_url is None:
            return Proposal(None, "neither the view nor the URL names a registered entity type")
        model, keyword, action = by_url
    entity_type = registry.for_model(model)
    if entity_type is None:
        registered = [one.name for one in registry.all_for_model(model)]
        if registered:
            return Proposal(None, f"{model.__name__} has several entity types: {', '.join(registered)}")
        return Proposal(None, f"{model.__name__} has no entity type", model=model)
    keywords = route.keywords - hints.harmless_keywords
    has_entity = keyword in keywords
    is_list = hints.has_rows or not has_entity
    names = (hints.operation, action, _operation_for(method, is_list=is_list, has_entity=has_entity))
    operation = next((found for name in names if name and (found := entity_type.get_operation(name))), None)
    if operation is None:
        return Proposal(None, f"{entity_type.name} has no operation {names[-1]!r}")
    if not has_entity or not operation.per_entity or operation.name == LIST.name:
        return Proposal(Requirement(entity_type.name, operation.name), _reason_without_entity(operation.name, keywords))
    parents = _parents(model, keywords - {keyword})
    entity = _entity(entity_type, hints.lookup_field, keyword, parents)
    reason = "by the names of the model, the method, and the URL keyword"
    unknown = keywords - {keyword} - set(parents.values())
    if unknown:
        reason += f"; the URL also has {', '.join(sorted(unknown))}"
    return Proposal(Requirement(entity_type.name, operation.name, entity), reason)


def _read_segments(pattern: str) -> tuple[type[Model], str, str | None] | None:
    """Return the model, keyword and action of `api/books/<pk>/publish/`, if an entity type has that name."""
    segments = plain_route(pattern).strip("/").split("/")
    for position in reversed(range(len(segments))):
        entity_type = registry.get(segments[position].replace("_", "-")) or registry.get(segments[position])
        if entity_type is None:
            continue
        after = segments[position + 1 :]
        keyword = after[0][1:-1] if after and after[0].startswith("<") else ""
        rest = after[1:] if keyword else after
        return entity_type.model, keyword, rest[-1] if rest and not rest[-1].startswith("<") else None
    return None


def _operation_for(method: str, *, is_list: bool, has_entity: bool) -> str:
    if method in ("GET", "HEAD"):
        return LIST.name if is_list else READ.name
    if method == "POST":
        return UPDATE.name if has_entity else CREATE.name
    return DELETE.name if method == "DELETE" else UPDATE.name


def _reason_without_entity(operation: str, keywords: frozenset[str]) -> str:
    if keywords and operation in (LIST.name, CREATE.name):
        return f"the URL names a parent ({', '.join(sorted(keywords))}), which may be what a token should need"
    if operation in (LIST.name, CREATE.name):
        return "by the names of the model and the method"
    return "the URL names no entity, so this needs a scope for all"


def _entity(entity_type: EntityType, field: str, keyword: str, parents: dict[str, str]) -> str | EntityLookup:
    if field in entity_type.key_names:
        return keyword
    return EntityLookup(**{field: keyword}, **parents)


def _parents(model: type[Model], keywords: frozenset[str]) -> dict[str, str]:
    found = {}
    for keyword in sorted(keywords):
        match = _PARENT.fullmatch(keyword)
        if match is None:
            continue
        try:
            relation = model._meta.get_field(match["name"])
        except FieldDoesNotExist:
            continue
        if relation.is_relation and relation.related_model is not None:
            found[f"{match['name']}__{match['field']}"] = keyword
    return found
