"""What an integration provides, and the registry of integrations.

An integration is a package with a module `pat_integration`, which calls `register_integration`. Those in
`pat_tokens.contrib` and in the site's apps are imported when Django starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.checks import CheckMessage
from django.urls import ResolverMatch

from pat_tokens.declarations import class_of
from pat_tokens.requirements import Requirement, Resolution

if TYPE_CHECKING:
    from pat_tokens.inspection.proposals import Lookup, Lookups, Proposal


@dataclass(frozen=True)
class Route:
    """One URL pattern, as in `ResolverMatch`, and its view.

    `parts` are Django's objects that the pattern is made of, and `given` the arguments that the URLconf adds to its
    keywords, if it was found in a URLconf. `memo` is for what an integration finds out about a view; all routes of one
    inspection share it.
    """

    pattern: str
    view: Any
    url_name: str | None = None
    keywords: frozenset[str] = frozenset()
    positional: bool = False
    parts: tuple[Any, ...] = field(default=(), compare=False, repr=False)
    given: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, match: ResolverMatch) -> Route:
        """Return the route that a path was resolved to."""
        url_name = match.view_name if match.url_name else None
        return cls(match.route or "", match.func, url_name, frozenset(match.kwargs), bool(match.args))

    @cached_property
    def view_name(self) -> str:
        """The dotted path of the view."""
        view = class_of(self.view)
        name = getattr(view, "__qualname__", None) or type(view).__qualname__
        # `@api_view` gives every class the same qualified name.
        name = getattr(view, "__name__", name) if name.endswith("WrappedAPIView") else name
        return f"{getattr(view, '__module__', type(view).__module__)}.{name}"


@dataclass(frozen=True)
class MethodReport:
    """What one HTTP method of a route requires. `limits`: it is a list that is limited to a token's ids.

    `may_limit`: the view is called for tokens with scopes for some ids. If not `limits`, its response is refused unless
    the view limits the list in a way that can't be inspected. `reads_tokens` is False if the handler of this method
    never reads tokens. `function` is the dotted path of the function that handles this method alone.
    """

    method: str
    resolution: Resolution
    action: str | None = None
    limits: bool = False
    reads_tokens: bool = True
    may_limit: bool = False
    function: str = ""

    @property
    def status(self) -> str:
        """The value of the TOKENS column of `pat_routes`."""
        if self.resolution.requirement is not None:
            return "known" if self.resolution.known else "declared"
        if self.resolution.problem:
            return "broken"
        return "refused" if self.resolution.refused else "undeclared"


class ViewPermission(NamedTuple):
    """A permission that a view checks, by name.

    `allows` takes the user, the HTTP method and the requirement, and returns None if the result depends on the request.
    """

    name: str
    allows: Callable[[Any, str, Requirement], bool | None]


@dataclass(frozen=True)
class RouteReport:
    """What an integration reports on a route.

    `reads_tokens` is False for views that never read tokens, and treat requests with a token as anonymous.
    `permissions` are those that the view checks. `has_all_methods` is False if only the declared methods of a view are
    known; the others refuse every token. `has_head` and `has_options`: the view responds to HEAD like to GET, and to
    OPTIONS by describing itself. `dispatcher` chooses the handler by method; several routes with the same pattern and
    dispatcher are one route with several names.
    """

    route: Route
    kind: str
    methods: tuple[MethodReport, ...]
    reads_tokens: bool = True
    note: str = ""
    permissions: tuple[ViewPermission, ...] = ()
    keys: frozenset[str] = frozenset()  # keys under which it can be declared
    has_all_methods: bool = True
    has_head: bool = True
    has_options: bool = True
    dispatcher: Any = None
    other_names: tuple[str | None, ...] = ()
    asked_before: tuple[str, ...] = ()  # authentication classes before ours, which can accept a session
    lookup: Lookup | None = None
    propose: Callable[[MethodReport, Lookups], Proposal] | None = None
    format_keyword: str | None = None

    def find(self, method: str) -> MethodReport | None:
        """Return the report on an HTTP method; HEAD counts as GET if the view supports it."""
        by_method = {report.method: report for report in self.methods}
        return by_method.get(method) or (by_method.get("GET") if method == "HEAD" and self.has_head else None)


@dataclass(frozen=True)
class Integration:
    """Support for one framework.

    `owns` returns whether a view belongs to the framework, so that the middleware for plain Django views leaves it
    alone; it must not import the framework. `inspect` returns the report on a route, or None where the integration does
    not know the view. `has_own_routes`: the framework does not find its views through the URLconf. `checks` are system
    checks of the framework's settings.
    """

    name: str
    owns: Callable[[Any], bool]
    inspect: Callable[[Route], RouteReport | None]
    has_own_routes: bool = False
    checks: tuple[Callable[..., Iterable[CheckMessage]], ...] = ()


_integrations: dict[str, Integration] = {}
_inspectors: dict[str, Callable[[Route], RouteReport]] = {}


def register_integration(integration: Integration) -> None:
    """Add an integration, or replace the one with the same name."""
    _integrations[integration.name] = integration


def integration_checks() -> Iterator[Callable[..., Iterable[CheckMessage]]]:
    return chain.from_iterable(integration.checks for integration in _integrations.values())


def integration_of(view: Any) -> Integration | None:
    """Return the integration that a view belongs to, or None for a plain Django view."""
    return next((integration for integration in _integrations.values() if integration.owns(view)), None)


def set_django_inspector(inspect: Callable[[Route], RouteReport]) -> None:
    """Set the function that reports on views that no integration knows."""
    _inspectors["django"] = inspect


def inspect(route: Route) -> RouteReport:
    """Return the report of the first integration that knows the view; other views are plain Django views."""
    reports = (integration.inspect(route) for integration in _integrations.values())
    return next(filter(None, reports), None) or _inspectors["django"](route)


__all__ = [
    "Integration",
    "MethodReport",
    "Route",
    "RouteReport",
    "ViewPermission",
    "register_integration",
]
