"""List every route of a site and what it requires, without running views or queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

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
    """Return the reports without those of routes that only add a format to another one, as `books.json` to `books/`.

    Such a route is kept if it requires something else. One that only refuses more is left out.
    """
    known: dict[tuple[Any, ...], RouteReport] = {}
    kept = []
    for report in reports:
        key = (report.route.url_name, id(class_of(report.route.view)), _without_format(report))
        first = known.setdefault(key, report)
        if first is report or not _only_refuses_more(report, first):
            kept.append(report)
    return kept


def _without_format(report: RouteReport) -> str:
    pattern = plain_route(report.route.pattern)
    if report.format_keyword in report.route.keywords:
        pattern = pattern.rstrip("/").removesuffix(f"<{report.format_keyword}>").removesuffix(".")
    return pattern.rstrip("/")


def _only_refuses_more(report: RouteReport, first: RouteReport) -> bool:
    required = {method.method: method.resolution.requirement for method in first.methods}
    return all(
        method.status in ("undeclared", "refused") or method.resolution.requirement == required.get(method.method)
        for method in report.methods
    )


def walk(urlconf: Any = None) -> Iterator[Route]:
    """Return every route of the site, in the order in which URLs are resolved."""
    yield from _walk(get_resolver(urlconf).url_patterns, Route("", None), ())


def _walk(patterns: Sequence[URLPattern | URLResolver], outer: Route, namespaces: tuple[str, ...]) -> Iterator[Route]:
    for pattern in patterns:
        keywords, has_groups = _keywords_of(pattern.pattern)
        if isinstance(pattern, URLResolver):
            given, view, name = pattern.default_kwargs, None, None
        else:
            given, view, name = pattern.default_args, pattern.callback, pattern.name
        route = replace(
            outer,
            pattern=_join(outer.pattern, str(pattern.pattern)),
            view=view,
            url_name=":".join((*namespaces, name)) if name else None,
            keywords=outer.keywords | keywords | frozenset(given),
            positional=outer.positional or has_groups,
            parts=(*outer.parts, pattern.pattern),
            given={**outer.given, **given},
        )
        if isinstance(pattern, URLResolver):
            names = (*namespaces, pattern.namespace) if pattern.namespace else namespaces
            yield from _walk(pattern.url_patterns, route, names)
        else:
            yield route


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
