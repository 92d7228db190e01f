"""Report on operations of Django Ninja to `pat_routes`, `pat_explain` and the checks."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import isfunction
from itertools import chain
from typing import Any

from ninja.operation import Operation
from ninja.security import APIKeyHeader, APIKeyQuery, HttpBasicAuth

from pat_tokens.contrib.ninja.authentication import PersonalAccessTokenAuthentication
from pat_tokens.contrib.ninja.exceptions import find_path_view
from pat_tokens.contrib.ninja.lists import can_be_bound
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
    )


def _report(operation: Operation, method: str, route: Route) -> MethodReport:
    authenticator = _authenticator_of(operation)
    if authenticator is None:
        return MethodReport(method, Resolution(None, _NOT_READ, refused=True), reads_tokens=False)
    resolution = authenticator.resolve(method, route.url_name, route.pattern)
    limits = method == "GET" and can_be_bound(operation) and authenticator.is_filtered(resolution.requirement)
    return MethodReport(method, resolution, limits=limits, may_limit=limits)


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
