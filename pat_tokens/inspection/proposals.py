"""Propose requirements for undeclared views. Somebody has to review the proposals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.exceptions import FieldDoesNotExist
from django.utils.text import slugify

from pat_tokens.declarations import is_same_hierarchy, plain_route
from pat_tokens.entities import CREATE, DELETE, LIST, READ, UPDATE, EntityType, Operation, registry
from pat_tokens.requirements import EntityLookup, Requirement, find_problem

if TYPE_CHECKING:
    from django.db.models import Model

    from pat_tokens.integrations import Route

CERTAIN = "a plain route of a generic view of a registered model"
BY_NAMES = "by the names of the model, the method, and the URL keywords"


class Lookup(NamedTuple):
    """The field by which a view looks up an entity of a model with a URL keyword."""

    model: type[Model]
    keyword: str
    field: str


Lookups = Mapping["type[Model]", Mapping[str, "str | None"]]


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


def _find_field(lookups: Lookups, model: type[Model], keyword: str) -> str | None:
    """Return the field that views with this keyword look up, or else the one field that all views look up."""
    by_keyword = lookups.get(model, {})
    if keyword in by_keyword:
        return by_keyword[keyword]
    fields = set(by_keyword.values())
    return fields.pop() if len(fields) == 1 else None


def guess(hints: ViewHints, method: str, route: Route, lookups: Lookups) -> Proposal:
    """Return a proposal based only on names, which is never certain."""
    if method == "OPTIONS":
        return Proposal(None, "the view responds to OPTIONS itself")
    pattern = plain_route(route.pattern)
    if hints.model is not None:
        keyword = hints.lookup_keyword if hints.lookup_keyword in route.keywords else _last_keyword(pattern)
        before, _, below = pattern.partition(f"/<{keyword}>/")
        owner = _type_named(before.rpartition("/")[2]) if below else None
        if owner and not is_same_hierarchy(owner.model, hints.model):
            # /projects/<pk>/tasks/ of a view of tasks: the key is that of the project.
            field = _find_field(lookups, owner.model, keyword) or find_key(owner.model, keyword) or "pk"
            hints = replace(
                hints, model=owner.model, lookup_field=field, lookup_keyword=keyword, operation=None, has_rows=False
            )
    model, keyword, field, action = hints.model, hints.lookup_keyword, hints.lookup_field, None
    if model is None:
        by_url = _read_segments(route.pattern)
        if by_url is None:
            return Proposal(None, "neither the view nor the URL names a registered entity type")
        model, keyword, action = by_url
        if action and hints.operation in (LIST.name, CREATE.name):  # of what belongs to the entity
            hints = replace(hints, operation=None, has_rows=False)
        field = _find_field(lookups, model, keyword) or "pk"
    entity_type = registry.for_model(model)
    if entity_type is None:
        registered = [one.name for one in registry.all_for_model(model)]
        if registered:
            return Proposal(None, f"{model.__name__} has several entity types: {', '.join(registered)}")
        return Proposal(None, f"{model.__name__} has no entity type", model=model)
    keywords = route.keywords - hints.harmless_keywords
    has_entity = keyword in keywords
    is_list = hints.has_rows or not has_entity
    is_action = hints.operation not in (None, CREATE.name, DELETE.name) or bool(pattern.partition(f"<{keyword}>/")[2])
    usual = _operation_for(method, is_list=is_list, has_entity=has_entity, is_action=is_action)
    names = (hints.operation, action, usual)
    operation = next((found for name in names if name and (found := entity_type.get_operation(name))), None)
    if operation is None:
        return Proposal(None, f"{entity_type.name} has no operation {names[-1]!r}")
    if not has_entity or not operation.per_entity or operation.name == LIST.name:
        return Proposal(Requirement(entity_type.name, operation.name), _reason_without_entity(operation, keywords))
    parents = _parents(model, keywords - {keyword}, lookups)
    entity = _entity(entity_type, field, keyword, parents)
    requirement = Requirement(entity_type.name, operation.name, entity)
    problem = find_problem(requirement)
    if problem:
        return Proposal(None, problem)
    unknown = ", ".join(sorted(keywords - {keyword} - set(parents.values())))
    return Proposal(requirement, f"the right scope may be for {unknown} in the URL" if unknown else BY_NAMES)


def read_hints(model: type[Model] | None, route: Route, *, has_rows: bool = False) -> ViewHints:
    """Return the hints of a view of which only the model is known: it looks up objects by the keywords of its URL."""
    if model is None:
        return ViewHints()
    segments = plain_route(route.pattern).strip("/").split("/")
    for place in reversed(range(len(segments))):
        keyword, below = segments[place].strip("<>"), segments[place + 1 :]
        field = find_key(model, keyword) if keyword in route.keywords else None
        # In /teams/<id>/books/ of a view of books, the key is not that of a book.
        if field and not any(_is_named(model, segment) for segment in below):
            operation = below[-1] if below and not below[-1].startswith("<") else None
            return ViewHints(model, field, keyword, operation, has_rows)
    return ViewHints(model, lookup_keyword="", has_rows=has_rows)


def _last_keyword(pattern: str) -> str:
    return pattern.rpartition("<")[2].partition(">")[0]


def find_key(model: type[Model], keyword: str) -> str | None:
    """Return the field of a model that a URL keyword most likely holds: `slug` or `book_slug`, `pk` or `book_id`."""
    names = (model._meta.model_name, slugify(model._meta.verbose_name_raw).replace("-", "_"))
    keyword = next((rest for name in names if (rest := keyword.removeprefix(f"{name}_")) != keyword), keyword)
    pk = model._meta.pk
    if keyword in ("pk", "id", pk.name, pk.attname, *names):
        return "pk"
    field = _find(model, keyword)
    return keyword if getattr(field, "unique", False) and not field.is_relation else None


def _is_named(model: type[Model], segment: str) -> bool:
    entity_type = _type_named(segment)
    return entity_type is not None and entity_type.model is model


def _read_segments(pattern: str) -> tuple[type[Model], str, str | None] | None:
    """Return the model, keyword and action of `api/books/<pk>/publish/`, if an entity type has that name.

    The last type with a keyword counts, or else the last type: `books/<pk>/authors/add/` is about a book.
    """
    found = None
    segments = plain_route(pattern).strip("/").split("/")
    for position in reversed(range(len(segments))):
        entity_type = _type_named(segments[position])
        if entity_type is None:
            continue
        after = segments[position + 1 :]
        keyword = after[0][1:-1] if after and after[0].startswith("<") else ""
        rest = after[1:] if keyword else after
        if keyword or found is None:
            found = entity_type.model, keyword, rest[-1] if rest and not rest[-1].startswith("<") else None
        if keyword:
            break
    return found


def _type_named(segment: str) -> EntityType | None:
    return registry.get(segment.replace("_", "-")) or registry.get(segment)


def _operation_for(method: str, *, is_list: bool, has_entity: bool, is_action: bool) -> str:
    # An action, or a route below the entity's, creates or deletes something that belongs to the entity.
    if method in ("GET", "HEAD"):
        return LIST.name if is_list else READ.name
    if method == "POST":
        return UPDATE.name if has_entity or is_action else CREATE.name
    return DELETE.name if method == "DELETE" and not (has_entity and is_action) else UPDATE.name


def _reason_without_entity(operation: Operation, keywords: frozenset[str]) -> str:
    if keywords:
        return f"the right scope may be for {', '.join(sorted(keywords))} in the URL"
    return BY_NAMES if operation in (LIST, CREATE) else "a scope for all, because the URL names no entity"


def _entity(entity_type: EntityType, field: str, keyword: str, parents: dict[str, str]) -> str | EntityLookup:
    if field in entity_type.key_names:
        return keyword
    return EntityLookup(**{field: keyword}, **parents)


def _parents(model: type[Model], keywords: frozenset[str], lookups: Lookups, path: str = "") -> dict[str, str]:
    """Return the keywords that hold a field of a related model, by field path: `project__slug` for `project_slug`."""
    found, related = {}, {}
    for keyword in sorted(keywords):
        name, parent, field = keyword, _related_model(model, keyword), None
        if parent is not None:
            field = _find_field(lookups, parent, keyword)
        else:  # project_pk, as nested routers write it
            name, _separator, field = keyword.rpartition("_")
            parent = _related_model(model, name)
        if parent is not None and field and (field == "pk" or _find(parent, field)):
            found[f"{path}{name}__{field}"] = keyword
            related[name] = parent
    for name, parent in related.items():
        found |= _parents(parent, keywords - set(found.values()), lookups, f"{path}{name}__")
    return found


def _related_model(model: type[Model], name: str) -> type[Model] | None:
    related = getattr(_find(model, name), "related_model", None)
    return related if isinstance(related, type) else None


def _find(model: type[Model], name: str) -> Any:
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
