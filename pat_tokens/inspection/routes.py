"""Every route of a site, and what each requires. Nothing here runs a view or queries the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from pat_tokens.django_views.inspection import inspect_django_view
from pat_tokens.integrations import Route, RouteReport, inspect, set_django_inspector

set_django_inspector(inspect_django_view)


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
