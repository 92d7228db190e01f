"""Every route of a site, and what each requires: asked of inspectors, one for each kind of view.

Nothing here runs a view or asks the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.urls import ResolverMatch, URLPattern, URLResolver, get_resolver

from pat_tokens.django_views.requirements import (
    METHODS,
    find_requirement,
    has_middleware,
    has_own_authentication,
    own_requirements,
)
from pat_tokens.requirements import Resolution

_NOT_READ = "declared, but nothing enforces it: PersonalAccessTokenMiddleware is not installed"
_ASKS_NOTHING = "a plain Django view that does not ask for tokens"
_REFUSES = f"{_ASKS_NOTHING}, so the middleware refuses them"


@dataclass(frozen=True)
class Route:
    """One URL pattern as `ResolverMatch` has it, and the view behind it."""

    pattern: str
    view: Any
    url_name: str | None = None
    keywords: frozenset[str] = frozenset()
    positional: bool = False

    @classmethod
    def of(cls, match: ResolverMatch) -> Route:
        """Return the route that a path was resolved to."""
        url_name = match.view_name if match.url_name else None
        return cls(match.route or "", match.func, url_name, frozenset(match.kwargs), bool(match.args))

    @property
    def view_name(self) -> str:
        """The dotted path of the view."""
        view = getattr(self.view, "cls", None) or getattr(self.view, "view_class", None) or self.view
        name = getattr(view, "__qualname__", None) or type(view).__qualname__
        # `@api_view` calls every class the same, but for its `__name__`.
        name = getattr(view, "__name__", name) if name.endswith("WrappedAPIView") else name
        return f"{getattr(view, '__module__', type(view).__module__)}.{name}"


@dataclass(frozen=True)
class MethodReport:
    """What one HTTP method of a route requires; `limits`: it is a list that limits itself to a token's ids.

    `reads_tokens` is False where what handles this method never looks at a token.
    """

    method: str
    resolution: Resolution
    action: str | None = None
    limits: bool = False
    reads_tokens: bool = True

    @property
    def status(self) -> str:
        """One word for what a token meets here."""
        if self.resolution.requirement is not None:
            return "known" if self.resolution.known else "declared"
        if self.resolution.problem:
            return "broken"
        return "refused" if self.resolution.refused else "undeclared"


@dataclass(frozen=True)
class RouteReport:
    """What an inspector found out about a route.

    `reads_tokens` is False for a view that never looks at a token, so that one gets what anybody gets.
    `permissions` are the names of what the view asks of its user. `has_all_methods` is False for a view of which only
    the declared methods are known; the others refuse every token. `has_head` and `has_options`: it answers HEAD as GET,
    and OPTIONS by describing itself. `dispatcher` chooses by method what answers; several routes of one pattern that
    lead to it are one route, with further names.
    """

    route: Route
    kind: str
    methods: tuple[MethodReport, ...]
    reads_tokens: bool = True
    note: str = ""
    permissions: tuple[str, ...] = ()
    own_requirements: Any = None
    keys: frozenset[str] = frozenset()  # under which something could be declared for it
    has_all_methods: bool = True
    has_head: bool = True
    has_options: bool = True
    dispatcher: Any = None
    other_names: tuple[str | None, ...] = ()

    def find(self, method: str) -> MethodReport | None:
        """Return what is known about an HTTP method; HEAD counts as GET where the view answers it."""
        by_method = {report.method: report for report in self.methods}
        return by_method.get(method) or (by_method.get("GET") if method == "HEAD" and self.has_head else None)


Inspector = Callable[[Route], RouteReport | None]

_inspectors: list[Inspector] = []


def register_inspector(inspector: Inspector) -> None:
    """Add the inspector of a door; it answers None for views that are not of its kind."""
    if inspector not in _inspectors:
        _inspectors.append(inspector)


def inspect(route: Route) -> RouteReport:
    """Return what the first inspector that knows the view says about a route."""
    for inspector in _inspectors:
        report = inspector(route)
        if report is not None:
            return report
    return _inspect_plain(route)


def inspect_all(urlconf: Any = None) -> list[RouteReport]:
    """Return a report for each route of the site that a request can come to."""
    reports: dict[Any, RouteReport] = {}
    for route in walk(urlconf):
        report = inspect(route)
        key = (route.pattern, id(report.dispatcher)) if report.dispatcher else len(reports)
        first = reports.get(key)
        reports[key] = replace(first, other_names=(*first.other_names, route.url_name)) if first else report
    return list(reports.values())


def walk(urlconf: Any = None) -> Iterator[Route]:
    """Return every route of the site, in the order in which URLs are resolved."""
    resolver = get_resolver(urlconf)
    yield from _walk(resolver.url_patterns, "", (), frozenset(), positional=False)


def _walk(
    patterns: Sequence[URLPattern | URLResolver],
    prefix: str,
    namespaces: tuple[str, ...],
    keywords: frozenset[str],
    *,
    positional: bool,
) -> Iterator[Route]:
    for pattern in patterns:
        route = _join(prefix, str(pattern.pattern))
        inner, has_groups = _keywords_of(pattern.pattern)
        inner |= keywords
        if isinstance(pattern, URLResolver):
            inner |= frozenset(pattern.default_kwargs)
            names = (*namespaces, pattern.namespace) if pattern.namespace else namespaces
            yield from _walk(pattern.url_patterns, route, names, inner, positional=positional or has_groups)
        else:
            inner |= frozenset(pattern.default_args)
            name = ":".join((*namespaces, pattern.name)) if pattern.name else None
            yield Route(route, pattern.callback, name, inner, positional or has_groups)


def _join(prefix: str, route: str) -> str:
    # As URLResolver does for `ResolverMatch.route`.
    return prefix + route.removeprefix("^") if prefix else route


def _keywords_of(pattern: Any) -> tuple[frozenset[str], bool]:
    converters = getattr(pattern, "converters", None)
    if converters:
        return frozenset(converters), False
    if not hasattr(pattern, "_regex"):  # a path() without keywords, or the language of i18n_patterns()
        return frozenset(), False
    regex = pattern.regex
    # Django passes unnamed groups on only where none has a name.
    return frozenset(regex.groupindex), bool(regex.groups) and not regex.groupindex


def _unread(report: MethodReport) -> MethodReport:
    return MethodReport(report.method, Resolution(None, _NOT_READ, refused=True), reads_tokens=False)


def _inspect_plain(route: Route) -> RouteReport:
    if has_own_authentication(route.view):
        # Our doors to other frameworks have inspectors, so none of them is in use.
        note = "another framework's view, and none of ours looks at tokens there"
        return RouteReport(route, "other framework", (), reads_tokens=False, note=note)
    reports = []
    for method in (*METHODS, "OPTIONS"):
        resolution = find_requirement(route.view, method, url_name=route.url_name)
        if resolution.requirement is not None or resolution.problem or resolution.refused:
            reports.append(MethodReport(method, resolution))
    own = own_requirements(route.view)
    kind = "Django class" if hasattr(route.view, "view_class") else "Django function"
    reads = has_middleware()
    note = "" if reports else _REFUSES if reads else _ASKS_NOTHING
    if reports and not reads:
        note = _NOT_READ
        reports = [report if report.resolution.problem else _unread(report) for report in reports]
    return RouteReport(
        route,
        kind,
        tuple(reports),
        reads_tokens=reads,
        note=note,
        own_requirements=own,
        keys=frozenset((*METHODS, "OPTIONS")),
        has_all_methods=False,
    )
