"""Report on plain Django views to `pat_routes`, `pat_explain` and the checks."""

from __future__ import annotations

from pat_tokens.django_views.requirements import (
    METHODS,
    find_requirements,
    has_middleware,
)
from pat_tokens.integrations import MethodReport, Route, RouteReport, integration_of
from pat_tokens.requirements import Resolution, is_list

_NOT_READ = "declared, but nothing enforces it: PersonalAccessTokenMiddleware is not installed"
_ASKS_NOTHING = "a plain Django view without a declaration"
_REFUSES = f"{_ASKS_NOTHING}, so the middleware refuses them"


def inspect_django_view(route: Route) -> RouteReport:
    """Return what a plain Django view requires, by method."""
    if integration_of(route.view) is not None:
        # The integration would have reported on the view if the site used it.
        note = "another framework's view, which doesn't read tokens"
        return RouteReport(route, "other framework", (), reads_tokens=False, note=note)
    reports = []
    methods = (*METHODS, "OPTIONS")
    found = find_requirements(route.view, methods, url_name=route.url_name, route=route.pattern)
    for method, resolution in found.items():
        if resolution.requirement is not None or resolution.problem or resolution.refused:
            # Whether the view limits its list is only known when it returns.
            may_limit = method == "GET" and resolution.requirement is not None and is_list(resolution.requirement)
            reports.append(MethodReport(method, resolution, may_limit=may_limit))
    kind = "Django class" if hasattr(route.view, "view_class") else "Django function"
    reads = route.memo.get(has_middleware)
    if reads is None:  # the same for all routes
        reads = route.memo[has_middleware] = has_middleware()
    note = "" if reports else _REFUSES if reads else _ASKS_NOTHING
    if reports and not reads:
        note, unread = _NOT_READ, Resolution(None, _NOT_READ, refused=True)
        reports = [
            one if one.resolution.problem else MethodReport(one.method, unread, reads_tokens=False) for one in reports
        ]
    return RouteReport(
        route,
        kind,
        tuple(reports),
        reads_tokens=reads,
        note=note,
        keys=frozenset(methods),
        has_all_methods=False,
    )
