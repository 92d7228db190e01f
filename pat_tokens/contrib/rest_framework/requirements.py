"""Find what a DRF view requires: declared, or inferred for a plain route of a ViewSet of a registered model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.urls import ResolverMatch
from rest_framework.request import Request

from pat_tokens.contrib.rest_framework.handlers import STANDARD_ACTIONS, find_handler
from pat_tokens.contrib.rest_framework.introspection import ViewInfo
from pat_tokens.contrib.rest_framework.route_patterns import is_plain
from pat_tokens.declarations import find_sources, generation
from pat_tokens.entities import registry
from pat_tokens.requirements import EntityLookup, Requirement, Resolution, find_problem

if TYPE_CHECKING:
    # Not at run time: the classes that DRF's own settings name are imported while `rest_framework.views` is.
    from rest_framework.views import APIView

_ONLY_LIST = {"list", "create"}
_ONLY_ENTITY = {"retrieve"}

# Attributes that a requirement is inferred from. A view can set them during a request.
_DECISIVE = frozenset(
    (
        "detail",
        "http_method_names",
        "lookup_field",
        "lookup_url_kwarg",
        "pat_requirements",
        "queryset",
        "versioning_class",
    )
)
NO_METHOD = Resolution(None, "the view has no such method and answers 405")

_MEMO_SIZE = 4096  # routes times methods; the memo is cleared when it is full
_memo: dict[Any, Resolution] = {}


@dataclass(frozen=True)
class RouteInfo:
    """The route of a view: its pattern as in `ResolverMatch.route`, or None if it isn't known."""

    pattern: str | None = None
    url_name: str | None = None
    keywords: frozenset[str] = frozenset()
    positional: bool = False
    declared: str | None = None  # the pattern, even if the view doesn't get the keywords of its URL unchanged


def find_requirement(view: APIView, request: Request, method: str) -> Resolution:
    """Return what `view` requires for this request, without queries or calls to methods of the view.

    `method` is the method of DRF's request, which determines the handler.
    """
    found = _find(view, request, method)
    if found is NO_METHOD:
        name = method.lower()
        if name in view.http_method_names and hasattr(view, name):
            return Resolution(None, "not declared: the view adds this method during the request")
    return found


def _find(view: APIView, request: Request, method: str) -> Resolution:
    match = _match_of(view, request)
    if match is None or not _is_routed(view, match):
        return resolve(ViewInfo.of(view), method, _route_of(view, match))
    key = (match.func, match.route, match.view_name, method, tuple(view.kwargs), bool(view.args), generation())
    found = _memo.get(key)
    if found is None:
        if len(_memo) >= _MEMO_SIZE:
            _memo.clear()
        found = _memo[key] = resolve(ViewInfo.of_callback(match.func), method, _route_of(view, match, match.route))
    return found


def find_requirements(view: APIView, request: Request) -> Iterator[Requirement]:
    """Return what the methods of the view's route require, without those that refuse every token."""
    match = _match_of(view, request)
    route = _route_of(view, match, match.route if match is not None and _is_routed(view, match) else None)
    facts = ViewInfo.of(view)
    for method in facts.methods:
        requirement = resolve(facts, method, route).requirement
        if requirement is not None:
            yield requirement


def resolve(facts: ViewInfo, method: str, route: RouteInfo) -> Resolution:
    """Return what a view requires for `method` (in upper case) on `route`."""
    name = method.lower()
    if not facts.serves(name):
        if facts.has_own_405:
            return Resolution(None, "not declared: the view has no such method, and overrides the response to it")
        return NO_METHOD
    methods = (method, "GET") if method == "HEAD" else (method,)
    action = facts.action_of(name)
    if action is None:
        keys: tuple[str, ...] = methods
    else:
        keys = (*(f"{method} {action}" for method in methods), action)
    # For a URL name, the HTTP method is unambiguous, even for ViewSets; a class can have many routes.
    where = route.declared or route.pattern
    declared = find_sources(view=facts.cls, url_name=route.url_name, own=facts.own, route=where).find(keys, methods)
    if declared is not None:
        return declared
    if action is None:
        return Resolution(None, _why_unknown(facts))
    if route.pattern is None or route.positional:
        return Resolution(None, "not declared: the view doesn't get the keywords of its URL unchanged")
    return infer(facts, action, route)


def _why_unknown(facts: ViewInfo) -> str:
    if facts.is_viewset:
        return "not declared: the ViewSet handles this method itself, and no action is mapped to it"
    return "not declared: only what a ViewSet requires is known without a declaration"


def _match_of(view: APIView, request: Request) -> ResolverMatch | None:
    # If one view calls another, or a decorator hides the class, the route belongs to another view.
    match: ResolverMatch | None = request._request.resolver_match
    return match if match is not None and getattr(match.func, "cls", None) is type(view) else None


def _is_routed(view: APIView, match: ResolverMatch) -> bool:
    # A view of the same class can be called with other keywords or attributes, or change its own.
    if view.kwargs != match.kwargs or tuple(view.args) != tuple(match.args):
        return False
    if getattr(view, "action_map", None) is not getattr(match.func, "actions", None):
        return False
    own = vars(view)
    if _DECISIVE.isdisjoint(own):
        return True
    given: Mapping[str, Any] = getattr(match.func, "initkwargs", {})
    return all(name in given and own[name] is given[name] for name in _DECISIVE.intersection(own))


def _route_of(view: APIView, match: ResolverMatch | None, pattern: str | None = None) -> RouteInfo:
    url_name = match.view_name if match and match.url_name else None
    return RouteInfo(pattern, url_name, frozenset(view.kwargs), bool(view.args), match.route if match else None)


def infer(facts: ViewInfo, action: str, route: RouteInfo) -> Resolution:
    """Return what an action requires where nothing is declared, from the view's queryset and the route alone."""
    model = getattr(facts.get("queryset"), "model", None)
    entity_type = registry.for_model(model)
    if entity_type is None:
        return Resolution(None, f"not declared: {_why_no_type(facts, model)}")
    lookup, field = facts.lookup_keyword, facts.lookup_field
    if lookup is None or field is None:
        return Resolution(None, "not declared: the view computes its lookup field")
    harmless = facts.harmless_keywords
    keywords = route.keywords - harmless
    extra = None
    if action not in STANDARD_ACTIONS:
        extra = facts.find_extra_action(action)
        if extra is None:
            return Resolution(None, f"not declared: {action!r} is neither a standard action nor decorated with @action")
        if not _is_of_model(facts, entity_type.model):
            return Resolution(None, f"not declared: the action {action!r} sets its own queryset")
    operation = STANDARD_ACTIONS.get(action, action)
    detail = facts.get("detail") if extra is None else extra.detail
    url_path = "" if extra is None else extra.url_path
    pattern = str(route.pattern)
    if not keywords:
        if detail or action in _ONLY_ENTITY:
            return Resolution(
                None, f"not declared: the action {action!r} is about an entity, but the route has no keyword for it"
            )
        if not is_plain(pattern, None, url_path, harmless):
            return Resolution(None, "not declared: the route is not plain")
        return _known(facts, action, Requirement(entity_type.name, operation))
    if keywords != {lookup}:
        return Resolution(
            None, f"not declared: the route has keywords other than {lookup!r}: {_names(keywords - {lookup})}"
        )
    if detail is False or action in _ONLY_LIST:
        return Resolution(None, f"not declared: the action {action!r} isn't about a single entity, but the route is")
    if not is_plain(pattern, lookup, url_path, harmless):
        return Resolution(None, f"not declared: {lookup!r} isn't the last part of the route, so it can be another key")
    if field in entity_type.key_names:
        return _known(facts, action, Requirement(entity_type.name, operation, lookup))
    if not _is_unique(entity_type.model, field):
        return Resolution(None, f"not declared: {field!r} is not a unique field of {entity_type.name}")
    return _known(facts, action, Requirement(entity_type.name, operation, EntityLookup(**{field: lookup})))


def _known(facts: ViewInfo, action: str, requirement: Requirement) -> Resolution:
    problem = find_problem(requirement)
    if problem:
        return Resolution(None, f"not declared: {problem}")
    handler = find_handler(facts.cls, action, has_entity=requirement.entity is not None)
    if not handler.is_standard:
        line = f'pat_requirements = {{"{action}": {requirement.as_code()}}}'
        return Resolution(
            None, f"not declared: {action}() is the view's own; if it does what its name says, write {line}"
        )
    if handler.is_override:
        return Resolution(requirement, "inferred from an override of a standard handler", known=True, is_override=True)
    return Resolution(requirement, "known: a plain route of a ViewSet of a registered model", known=True)


def _why_no_type(facts: ViewInfo, model: Any) -> str:
    if facts.is_computed("queryset"):
        return "the view computes its queryset"
    if model is None:
        return f"the view has no queryset attribute; write {_queryset_line(facts)} in its class"
    if registry.all_for_model(model):
        return f"{model.__name__} is the model of several entity types"
    return f"no entity type is registered for {model.__name__}"


def _queryset_line(facts: ViewInfo) -> str:
    meta = getattr(facts.get("serializer_class"), "Meta", None)
    model = getattr(meta, "model", None)
    name = model.__name__ if isinstance(model, type) else "YourModel"
    return f"queryset = {name}.objects.all()"


def _is_of_model(facts: ViewInfo, model: type[Model]) -> bool:
    # `@action(queryset=...)` changes the model, but the key in the route is still that of the ViewSet's model.
    own = ViewInfo(facts.cls, {}, None).get("queryset")
    return own is None or getattr(own, "model", None) is model


def _is_unique(model: type[Model], name: str) -> bool:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return not field.is_relation and bool(getattr(field, "unique", False))


def _names(keywords: Iterable[str]) -> str:
    return ", ".join(sorted(keywords))
