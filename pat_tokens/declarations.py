"""Declarations outside of views, and how they take precedence over those on views."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.utils.module_loading import import_string

from pat_tokens.entities import CREATE, DELETE, LIST, READ, UPDATE, registry
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement, Requirements, Resolution, find_problem

ON_VIEW = "declared on the view"
FROM_OUTSIDE = "declared for the view from outside"


@dataclass(frozen=True)
class Declaration:
    """A declaration for a view, a URL name or a route."""

    target: Any  # a view class or function, a dotted path, or a URL name
    requirements: Requirements
    is_partial: bool = False  # the view doesn't have to support all of these methods


class Declarations:
    """All declarations outside of views."""

    def __init__(self) -> None:
        self.by_view: dict[Any, Declaration] = {}
        self.by_path: dict[str, Declaration] = {}  # dotted paths that haven't been imported yet
        self.by_url_name: dict[str, Declaration] = {}
        self.by_route: dict[str, Declaration] = {}  # as `plain_route` writes them
        self.refused_views: dict[Any, None] = {}  # classes, functions, dotted paths of views and modules
        self.refused_urls: dict[str, None] = {}  # prefixes as `plain_route` writes them
        self.limited_lists: dict[Any, None] = {}  # classes, and dotted paths of classes
        self.broken: dict[str, str] = {}  # dotted paths that name nothing, and why
        self.generation = 0  # counts changes, to invalidate caches


_declared = Declarations()


def declare_view(view: str | Callable[..., Any], requirements: Requirements) -> None:
    """Declare the requirements of a view that cannot be edited: its class, its function, or its dotted path."""
    _add_view(view, Declaration(view, _copied(requirements, view)))


def _add_view(view: str | Callable[..., Any], declaration: Declaration) -> None:
    if isinstance(view, str):
        _declared.by_path[view] = declaration
        _declared.broken.pop(view, None)
    else:
        _declared.by_view[class_of(view)] = declaration
    _declared.generation += 1


def declare_url(url_name: str, requirements: Requirements) -> None:
    """Declare the requirements of the route with this URL name, with namespaces (`shop:order-detail`)."""
    _declared.by_url_name[url_name] = Declaration(url_name, _copied(requirements, url_name))
    _declared.generation += 1


def declare_route(route: str, requirements: Requirements) -> None:
    """Declare the requirements of a route, written as `pat_routes` prints it: `api/books/<pk>/`.

    Converters, and regular expressions of keywords, can be left out. Takes precedence over `declare_url`.
    """
    _declared.by_route[plain_route(route)] = Declaration(route, _copied(requirements, route))
    _declared.generation += 1


def declare_crud(
    list_view: str | Callable[..., Any],
    detail_view: str | Callable[..., Any],
    entity_type: str,
    *,
    entity: str | EntityLookup = "pk",
    filter_by: str = "pk",
) -> None:
    """Declare a pair of views for the entities of a type: list and create, and read, update and delete.

    The views are classes, functions or dotted paths; methods that they don't have don't matter. Pass a ViewSet twice.
    `entity` and `filter_by` are those of `Requirement`. Raises ImproperlyConfigured for another view that is passed
    twice: use `declare_route` for each of its routes.
    """
    read, update, delete = (Requirement(entity_type, name, entity) for name in (READ.name, UPDATE.name, DELETE.name))
    rows, create = Requirement(entity_type, LIST.name, filter_by=filter_by), Requirement(entity_type, CREATE.name)
    _declare_pair(
        list_view,
        detail_view,
        {"GET": rows, "POST": create},
        {"GET": read, "PUT": update, "PATCH": update, "DELETE": delete},
        actions={
            "list": rows,
            "create": create,
            "retrieve": read,
            "update": update,
            "partial_update": update,
            "destroy": delete,
        },
    )


def declare_children(
    list_view: str | Callable[..., Any],
    detail_view: str | Callable[..., Any],
    parent_type: str,
    entity: str | EntityLookup,
) -> None:
    """Declare a pair of views for what belongs to an entity: reading requires `read` on the parent, writing `update`.

    `entity` is where the URL has the id of the parent: a keyword or an EntityLookup. See `declare_crud` for the views.
    """
    read, update = (Requirement(parent_type, name, entity) for name in (READ.name, UPDATE.name))
    writes = dict.fromkeys(("create", "update", "partial_update", "destroy"), update)
    _declare_pair(
        list_view,
        detail_view,
        {"GET": read, "POST": update},
        {"GET": read, "PUT": update, "PATCH": update, "DELETE": update},
        actions={"list": read, "retrieve": read, **writes},
    )


def _declare_pair(
    list_view: str | Callable[..., Any],
    detail_view: str | Callable[..., Any],
    of_list: Requirements,
    of_detail: Requirements,
    *,
    actions: Requirements,
) -> None:
    if list_view == detail_view:
        if not isinstance(list_view, str) and not hasattr(list_view, "get_extra_actions"):
            raise ImproperlyConfigured(
                f"{list_view!r} is not a ViewSet, so its methods have another meaning on each of its routes. Use "
                "declare_route() for each route."
            )
        _add_view(list_view, Declaration(list_view, dict(actions), is_partial=True))
    else:
        _add_view(list_view, Declaration(list_view, dict(of_list), is_partial=True))
        _add_view(detail_view, Declaration(detail_view, dict(of_detail), is_partial=True))


def refuse_views(*views: str | Callable[..., Any]) -> None:
    """Refuse tokens in these views, whatever else is declared for them or inferred.

    A view is a class, a function, its dotted path, or the dotted path of a module for all views in it.
    """
    for view in views:
        _declared.refused_views[view if isinstance(view, str) else class_of(view)] = None
    _declared.generation += 1


def refuse_urls(*prefixes: str) -> None:
    """Refuse tokens for all URLs that start with one of these prefixes, whatever else is declared or inferred.

    A prefix is written as `pat_routes` prints routes: `/internal/`.
    """
    for prefix in prefixes:
        _declared.refused_urls[plain_route(prefix)] = None
    _declared.generation += 1


def limit_lists(*views: str | type) -> None:
    """Limit the lists of these DRF views to the ids that a token has scopes for, besides their own filters.

    For views that you can't edit and that set other filter backends. A view is a class or its dotted path, and has to
    filter with `filter_queryset()`, as DRF's own lists do.
    """
    for view in views:
        _declared.limited_lists[view] = None
    _declared.generation += 1


def has_limited_list(view: type) -> bool:
    """Return whether `limit_lists` was called for this view class."""
    targets = _declared.limited_lists
    return bool(targets) and (view in targets or f"{view.__module__}.{view.__qualname__}" in targets)


def find_refusal(view: Any, route: str | None) -> str | None:
    """Return what refuses tokens for a view or its route, or None."""
    if _declared.refused_urls and route is not None:
        plain = plain_route(route)
        prefix = next((prefix for prefix in _declared.refused_urls if _is_under(plain, prefix)), None)
        if prefix is not None:
            return f"refuse_urls({f'/{prefix}'!r})"
    if _declared.refused_views and view is not None:
        target = next((target for target in _declared.refused_views if names_view(target, view)), None)
        if target is not None:
            return f"refuse_views({target!r})"
    return None


def _is_under(route: str, prefix: str) -> bool:
    # `books.<format>` is under `books/`: it is another URL of the same view.
    return route.startswith(prefix) or (
        prefix[-1:] == "/" and route.startswith((f"{prefix[:-1]}.<", f"{prefix[:-1]}<"))
    )


def names_view(target: Any, view: Any) -> bool:
    """Return whether an argument of `refuse_views` includes this view class or function."""
    if not isinstance(target, str):
        return target is view
    module, name = getattr(view, "__module__", ""), getattr(view, "__qualname__", "")
    # `@api_view` gives every class the same `__qualname__`, but its own `__name__`.
    names = {f"{module}.{name}", f"{module}.{getattr(view, '__name__', name)}"}
    return target in names or f"{module}.".startswith(f"{target}.")


_CONVERTER = re.compile(r"<[^<>:]+:([^<>:]+)>")
_GROUP = re.compile(r"\(\?P<(\w+)>")


@lru_cache(maxsize=4096)
def plain_route(route: str) -> str:
    """Return a route without converters and regular expressions of its keywords."""
    parts, position = [], 0
    for group in _GROUP.finditer(route):
        if group.start() >= position:
            parts += [route[position : group.start()], f"<{group[1]}>"]
            position = end_of_group(route, group.start())
    text = "".join((*parts, route[position:]))
    text = _CONVERTER.sub(r"<\1>", text).replace("\\Z", "").replace("\\", "")
    return text.strip("^$").removeprefix("/").replace("/?", "/")


def end_of_group(route: str, start: int) -> int:
    """Return where the group of a regular expression ends that starts at `start`."""
    depth, position, in_class = 0, start, False
    while position < len(route):
        character = route[position]
        if character == "\\":
            position += 1
        elif in_class:
            in_class = character != "]"
        elif character == "[":
            in_class = True
        elif character in "()":
            depth += 1 if character == "(" else -1
            if depth == 0:
                return position + 1
        position += 1
    return len(route)


def _copied(requirements: object, target: object) -> Requirements:
    if not isinstance(requirements, Mapping):
        raise ImproperlyConfigured(
            f"The requirements of {target} must be a mapping from action or HTTP method to Requirement, "
            f"not {requirements!r}."
        )
    return dict(requirements)


def generation() -> tuple[int, int]:
    """Return a value that changes when declarations or entity types change."""
    return _declared.generation, registry.generation


def class_of(view: Any) -> Any:
    """Return the identity of a view: its class if it has one, because `as_view()` returns a new function each time."""
    return getattr(view, "cls", None) or getattr(view, "view_class", None) or view


def declared_for_view(view: Any) -> Requirements | None:
    """Return the declaration for exactly this view class or function, or None."""
    views = all_declared().by_view
    try:
        declaration = views.get(view)
    except TypeError:  # a view that is an object of a class without a hash
        return None
    return declaration.requirements if declaration else None


def all_declared() -> Declarations:
    """Return all declarations outside of views, with their dotted paths imported."""
    for path, declaration in tuple(_declared.by_path.items()):
        try:
            found = class_of(import_string(path))
        except Exception as error:  # noqa: BLE001 -- any; one bad path must not take all requests down
            _declared.broken[path] = f"{type(error).__name__}: {error}"
        else:
            _declared.by_view.setdefault(found, declaration)
        # Last, because a thread that no longer finds the path here looks for its view.
        _declared.by_path.pop(path, None)
    return _declared


class Own(NamedTuple):
    """What a view itself declares.

    `model` is the model of the parent class that declares it, if it is inherited and the parent names one; `problem` is
    why it can't be inherited. `replaced_model` is the model of the class, if the arguments of `as_view()` set another.
    """

    requirements: object
    model: type[Model] | None = None
    problem: str | None = None
    is_inherited: bool = False
    replaced_model: type[Model] | None = None


def find_own(cls: type, attributes: Mapping[str, Any] = MappingProxyType({}), name: str = "pat_requirements") -> Own:
    """Return what the class of a view declares. `attributes` of a single view can override it.

    A class inherits the declaration of a parent with the same model, because the same key of another model is another
    entity.
    """
    own = _find_own(cls, attributes, name)
    if attributes.keys().isdisjoint(_NAMES_OF_MODELS) or not _find_other_model(cls, cls, attributes):
        return own
    return own._replace(replaced_model=model_of(cls, {}))


def _find_own(cls: type, attributes: Mapping[str, Any], name: str) -> Own:
    if name in attributes:
        return Own(attributes[name])
    holder = next((base for base in cls.__mro__ if name in vars(base)), None)
    if holder is None:
        return Own(None)
    requirements = vars(holder)[name]
    theirs, ours = model_of(holder, {}), model_of(cls, attributes)
    if theirs is None or (holder is cls and theirs is ours):
        return Own(requirements, is_inherited=holder is not cls)
    problem = _find_other_model(holder, cls, attributes)
    return Own(requirements, theirs, problem, is_inherited=holder is not cls)


def _find_other_model(holder: type, cls: type, attributes: Mapping[str, Any]) -> str | None:
    theirs, ours = model_of(holder, {}), model_of(cls, attributes)
    if theirs is None or ours is None or issubclass(ours, theirs):
        return None
    return f"inherited from {holder.__qualname__}, which is about {theirs.__name__}; this is about {ours.__name__}"


def model_of(cls: type, attributes: Mapping[str, Any]) -> type[Model] | None:
    """Return the concrete model of `named_model`."""
    model = named_model(cls, attributes)
    return None if model is None else model._meta.concrete_model


_NAMES_OF_MODELS = ("queryset", "model", "serializer_class", "form_class")


def named_model(cls: type, attributes: Mapping[str, Any]) -> type[Model] | None:
    """Return the model that a view class names: by `queryset` or `model`, or by that of its serializer or form."""

    def plain(name: str) -> Any:
        value = attributes[name] if name in attributes else inspect.getattr_static(cls, name, None)
        return None if hasattr(type(value), "__get__") else value

    def found() -> Iterator[Any]:
        yield getattr(plain("queryset"), "model", None)
        yield plain("model")
        meta = getattr(plain("serializer_class"), "Meta", None) or getattr(plain("form_class"), "Meta", None)
        yield getattr(meta, "model", None)

    return next((one for one in found() if isinstance(one, type) and issubclass(one, Model)), None)


class Sources(NamedTuple):
    """What is declared for a view on one route, for all methods; `declared` in the order of precedence."""

    refusal: str | None
    own: Own
    declared: Sequence[tuple[Any, str, bool]]  # requirements, their origin, and whether they can have `url_keys`

    def find(self, keys: Sequence[str], url_keys: Sequence[str] = ()) -> Resolution | None:
        """Return the declaration under the first of `keys`; `url_keys` are additional keys for the route and URL name.

        None means that nothing is declared; an explicit None, and a declaration that can't work, refuse tokens.
        """
        if self.refusal is not None:
            return Resolution(None, f"{self.refusal}: refused", refused=True)
        for requirements, origin, is_of_url in self.declared:
            if not isinstance(requirements, Mapping):  # what a site wrote may be anything
                problem = f"{requirements!r} is not a mapping to Requirement"
                return Resolution(None, f"{origin}: {problem}", problem=problem)
            for key in (*keys, *url_keys) if is_of_url else keys:
                if key in requirements:
                    return self._resolve(requirements[key], origin, is_own=requirements is self.own.requirements)
        return None

    def _resolve(self, requirement: Any, origin: str, *, is_own: bool) -> Resolution:
        if requirement is None:
            return Resolution(None, f"{origin}: refused", refused=True)
        found = find_problem(requirement) or (self.own.problem if is_own else None)
        if found is None and origin is FROM_OUTSIDE and _is_about(requirement, self.own.replaced_model):
            found = "the arguments of as_view() set another model than that of the class"
        if found is not None:
            return Resolution(None, f"{origin}: {found}", problem=found)
        bound = self.own.model if is_own and _is_about(requirement, self.own.model) else None
        return Resolution(requirement, origin, is_inherited=is_own and self.own.is_inherited, bound_model=bound)


def find_sources(*, view: Any, url_name: str | None, own: object, route: str | None = None) -> Sources:
    """Return what is declared for a view on a route: for the route, its URL name, the view, and on the view itself."""
    of_view = own if isinstance(own, Own) else Own(own)
    of_route = _declared.by_route.get(plain_route(route)) if _declared.by_route and route is not None else None
    of_url = _declared.by_url_name.get(url_name) if url_name else None
    declared = (
        (of_route and of_route.requirements, f"declared for the route {route!r}", True),
        (of_url and of_url.requirements, f"declared for the URL name {url_name!r}", True),
        (declared_for_view(view), FROM_OUTSIDE, False),
        (of_view.requirements, ON_VIEW, False),
    )
    return Sources(find_refusal(view, route), of_view, [one for one in declared if one[0] is not None])


def is_same_hierarchy(model: type[Model], other: type[Model]) -> bool:
    """Return whether the models are parent and child, or proxies, so that the same key is the same entity."""
    return issubclass(model, other) or issubclass(other, model)


def _is_about(requirement: Requirement, model: type[Model] | None) -> bool:
    return requirement is not ANY_TOKEN and any(
        part.get_entity_type().model._meta.concrete_model is model for part in requirement.parts
    )


__all__ = [
    "declare_children",
    "declare_crud",
    "declare_route",
    "declare_url",
    "declare_view",
    "limit_lists",
    "refuse_urls",
    "refuse_views",
]
