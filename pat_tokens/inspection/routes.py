"""List every route of a site and what it requires, without running views or queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from django.urls import Resolver404, URLPattern, URLResolver, get_resolver

from pat_tokens.declarations import class_of, plain_route
from pat_tokens.integrations import Route, RouteReport, inspect


def inspect_all(urlconf: Any = None) -> list[RouteReport]:
    """Return a report for each route of the site that requests can reach."""
    reports: dict[Any, RouteReport] = {}
    for route in walk(urlconf):
        report = inspect(route)
        key = (route.pattern, id(report.dispatcher)) if report.dispatcher else len(reports)
        first = reports.get(key)
        reports[key] = replace(first, other_names=(*first.other_names, route.url_name)) if first else report
    return list(reports.values())


def without_format_suffixes(reports: Sequence[RouteReport]) -> list[RouteReport]:
    """Return the reports without those of routes that only add a format to another one, as `books.json` to `books/`."""
    known: dict[tuple[Any, ...], RouteReport] = {}
    kept = []
    for report in reports:
        key = (report.route.url_name, id(class_of(report.route.view)), _without_format(report))
        if (first := known.setdefault(key, report)) is report or _words(first) != _words(report):
            kept.append(report)
    return kept


def _without_format(report: RouteReport) -> str:
    pattern = plain_route(report.route.pattern)
    if report.format_keyword in report.route.keywords:
        pattern = pattern.rstrip("/").removesuffix(f"<{report.format_keyword}>").removesuffix(".")
    return pattern.rstrip("/")


def _words(report: RouteReport) -> list[tuple[str, str]]:
    return [(method.method, str(method.resolution.requirement)) for method in report.methods]


def find_shadow(route: Route, urlconf: Any = None) -> str | None:
    """Return the pattern of the route that answers in the place of `route`, which has no keywords, or None."""
    path = plain_route(route.pattern)
    if route.keywords or route.positional or "(" in path or "[" in path:
        return None  # which paths match is not known
    try:
        match = get_resolver(urlconf).resolve(f"/{path}")
    except Resolver404:
        return None
    return None if match.route == route.pattern else match.route


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
    if not hasattr(pattern, "_regex"):  # a path() without keywords, or the language prefix of i18n_patterns()
        return frozenset(), False
    regex = pattern.regex
    # Django passes unnamed groups only if no group has a name.
    return frozenset(regex.groupindex), bool(regex.groups) and not regex.groupindex
