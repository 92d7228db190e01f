"""Report on operations of Django Ninja to `pat_routes`, `pat_explain` and the checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from http import HTTPStatus
from inspect import isfunction
from itertools import chain
from typing import Any, get_args, get_origin

from django.apps import apps
from django.db.models import Model
from ninja import ModelSchema
from ninja.operation import Operation, PathView
from ninja.security import APIKeyHeader, APIKeyQuery, HttpBasicAuth

from pat_tokens.contrib.ninja.authentication import PersonalAccessTokenAuthentication
from pat_tokens.contrib.ninja.exceptions import find_path_view
from pat_tokens.contrib.ninja.lists import can_be_bound
from pat_tokens.inspection.proposals import Lookup, Lookups, Proposal, find_key, guess, read_hints
from pat_tokens.integrations import MethodReport, Route, RouteReport
from pat_tokens.requirements import Resolution

_NOT_READ = "tokens are not read: the operation's auth has no class that reads them"


def inspect(route: Route) -> RouteReport | None:
    """Return what the operations of a path require, by method, or None for other views."""
    path_view = find_path_view(route.view)
    if path_view is None:
        return None
    reports = [_report(operation, method, route) for operation in path_view.operations for method in operation.methods]
    reads = any(_authenticator_of(operation) for operation in path_view.operations)
    return RouteReport(
        route,
        "Ninja operation",
        tuple(reports),
        reads_tokens=reads,
        note="" if reads else _NOT_READ,
        keys=frozenset(report.method for report in reports),
        has_head=False,
        has_options=False,
        asked_before=tuple(dict.fromkeys(chain.from_iterable(map(_asked_before, path_view.operations)))),
        # Ninja adds a pattern per operation, all for one path. Django resolves the first, which finds the operation.
        dispatcher=path_view,
        lookup=_lookup(path_view, route),
        propose=partial(_propose, path_view, route),
    )


def _report(operation: Operation, method: str, route: Route) -> MethodReport:
    authenticator = _authenticator_of(operation)
    function = f"{operation.view_func.__module__}.{operation.view_func.__qualname__}"
    if authenticator is None:
        return MethodReport(method, Resolution(None, _NOT_READ, refused=True), reads_tokens=False, function=function)
    resolution = authenticator.resolve(method, route.url_name, route.pattern)
    limits = method == "GET" and can_be_bound(operation) and authenticator.is_filtered(resolution.requirement)
    return MethodReport(method, resolution, limits=limits, may_limit=limits, function=function)


def _propose(path_view: PathView, route: Route, method: MethodReport, lookups: Lookups) -> Proposal:
    # Always a guess, because an operation is a function, which can do anything.
    operation = next(one for one in path_view.operations if method.method in one.methods)
    others = (one for one in path_view.operations if one is not operation)
    of_others = ((model, False) for other in others for model, _is_list in _models(other))
    model, is_list = next(chain(_models(operation), of_others), (None, False))
    return guess(read_hints(model, route, has_rows=is_list), method.method, route, lookups)


def _lookup(path_view: PathView, route: Route) -> Lookup | None:
    return next(
        (
            Lookup(model, keyword, field)
            for operation in path_view.operations
            for model, is_list in _models(operation)
            for keyword in sorted(route.keywords)
            if not is_list and (field := find_key(model, keyword))
        ),
        None,
    )


def _models(operation: Operation) -> Iterator[tuple[type[Model], bool]]:
    """Return the models of the schemas of an operation's responses and body, and whether each is in a list."""
    for status, schema in operation.response_models.items():
        response = getattr(schema, "model_fields", {}).get("response")
        if response is not None and (not isinstance(status, int) or status < HTTPStatus.BAD_REQUEST):
            is_page = getattr(operation.view_func, "_ninja_is_paginated", False)
            pages = getattr(response.annotation, "model_fields", {}) if is_page else {}
            for field in (response, *pages.values()):
                yield from _models_of(field.annotation)
    for parameters in operation.models:
        for field in parameters.model_fields.values():
            yield from ((model, False) for model, _is_list in _models_of(field.annotation))


def _models_of(annotation: Any, *, is_list: bool = False) -> Iterator[tuple[type[Model], bool]]:
    if isinstance(annotation, type) and issubclass(annotation, ModelSchema):
        named = getattr(getattr(annotation, "Meta", None), "model", None)  # Ninja accepts a Meta without a model
        model = apps.get_model(named) if isinstance(named, str) else named
        if model is not None and not model._meta.abstract:
            yield model, is_list
    origin = get_origin(annotation)
    is_list = is_list or (isinstance(origin, type) and issubclass(origin, Iterable))
    for argument in get_args(annotation):
        yield from _models_of(argument, is_list=is_list)


def _asked_before(operation: Operation) -> Iterator[str]:
    # Callables before ours that can accept a session, because they read neither another header nor the query string.
    if _authenticator_of(operation) is None:
        return
    for one in operation.auth_callbacks:
        if isinstance(one, PersonalAccessTokenAuthentication):
            return
        if not isinstance(one, HttpBasicAuth | APIKeyHeader | APIKeyQuery):
            named: Any = one if isfunction(one) else type(one)
            yield f"{named.__module__}.{named.__qualname__}"


def _authenticator_of(operation: Operation) -> PersonalAccessTokenAuthentication | None:
    return next((one for one in operation.auth_callbacks if isinstance(one, PersonalAccessTokenAuthentication)), None)
