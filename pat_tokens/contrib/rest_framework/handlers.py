"""The standard actions of a ViewSet, and whether the handler of an action does what the action's name says."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from pat_tokens.entities import CREATE, DELETE, LIST, READ, UPDATE

# The operation that each standard action requires; `_wanted` has the calls that make its handler standard.
STANDARD_ACTIONS = {
    "list": LIST.name,
    "retrieve": READ.name,
    "create": CREATE.name,
    "update": UPDATE.name,
    "partial_update": UPDATE.name,
    "destroy": DELETE.name,
}

_DRF = "rest_framework.mixins"
_GENERICS = "rest_framework.generics"
_OBJECT = frozenset(("get_object", "aget_object"))
_ROWS = frozenset(("filter_queryset", "afilter_queryset"))
_CREATES = frozenset(("perform_create", "perform_acreate"))


class Handler(NamedTuple):
    """Whether an action has a standard handler, and whether DRF's own handler is overridden."""

    is_standard: bool
    is_override: bool


class _Calls(NamedTuple):
    of_self: frozenset[str]
    of_super: frozenset[str]


_known: WeakKeyDictionary[type, dict[tuple[str, bool], Handler]] = WeakKeyDictionary()


def find_handler(cls: type, action: str, *, has_entity: bool) -> Handler:
    """Return the Handler of an action of a ViewSet class, on a route with or without the key of an entity.

    DRF's own handlers are standard, and so are those whose own code calls `super().<action>()`, `self.get_object()`,
    for a list `self.filter_queryset()`, or for create `self.perform_create()`. Decorators are unwrapped.
    """
    known = _known.setdefault(cls, {})
    found = known.get((action, has_entity))
    if found is None:
        found = known[action, has_entity] = _decide_from_facts(cls, action, _wanted(action, has_entity=has_entity))
        if action == "partial_update" and found.is_standard:
            # DRF's own partial_update() calls update().
            update = find_handler(cls, "update", has_entity=has_entity)
            found = known[action, has_entity] = Handler(update.is_standard, found.is_override or update.is_override)
    return found


def limits_its_rows(cls: type, action: str | None) -> bool:
    """Return whether the code of a handler (an action, or GET of a generic view) filters its list."""
    if action is None:
        own = _decide_from_facts(cls, "get", _ROWS | {"list"}, drf=_GENERICS)
        return own.is_standard and (own.is_override or _decide_from_facts(cls, "list", _ROWS).is_standard)
    return _decide_from_facts(cls, action, _ROWS, drf=_DRF if action == "list" else "").is_standard


def _wanted(action: str, *, has_entity: bool) -> frozenset[str]:
    if action == "create":
        return _CREATES
    if action == "list":
        return _ROWS
    # Without a key in the URL, the request is about all entities, and needs a scope on `*`.
    return _OBJECT if has_entity else _OBJECT | _ROWS


def _decide_from_facts(cls: type, action: str, wanted: frozenset[str], *, drf: str = _DRF) -> Handler:
    is_override = False
    for base in cls.__mro__:
        if action not in vars(base):
            continue
        function = _unwrap(vars(base)[action])
        if getattr(function, "__module__", None) == drf:
            return Handler(True, is_override)
        is_override = True
        calls = _find_calls(function) if inspect.isfunction(function) else None
        if calls is None:
            break
        if wanted & calls.of_self:
            return Handler(True, True)
        if action not in calls.of_super:
            break
    return Handler(False, is_override)


def _unwrap(function: Any) -> Any:
    try:
        return inspect.unwrap(function)
    except ValueError:  # a wrapper of itself
        return None


@lru_cache(maxsize=1024)
def _find_calls(function: Any) -> _Calls | None:
    # None if the source code isn't available.
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    body = tree.body[0] if tree.body else None
    if not isinstance(body, ast.FunctionDef | ast.AsyncFunctionDef) or body.name != function.__name__:
        return None
    arguments = [*body.args.posonlyargs, *body.args.args]
    first = arguments[0].arg if arguments else None
    of_self, of_super = set(), set()
    for call in _own_calls(body):
        if not isinstance(call.func, ast.Attribute):
            continue
        holder = call.func.value
        if isinstance(holder, ast.Name) and holder.id == first:
            of_self.add(call.func.attr)
        elif isinstance(holder, ast.Call) and isinstance(holder.func, ast.Name) and holder.func.id == "super":
            of_super.add(call.func.attr)
    return _Calls(frozenset(of_self), frozenset(of_super))


def _own_calls(function: ast.AST) -> Iterator[ast.Call]:
    # Without nested functions, which might not be called.
    waiting = list(getattr(function, "body", []))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting.extend(ast.iter_child_nodes(node))
