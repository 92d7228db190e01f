"""Find a request that a token can make, so that users can try it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from django.urls import NoReverseMatch, URLResolver, get_resolver, reverse

from pat_tokens.declarations import generation
from pat_tokens.inspection.explain import explain
from pat_tokens.inspection.routes import inspect_all, without_format_suffixes
from pat_tokens.integrations import MethodReport
from pat_tokens.labels import AnyScope, describe_scopes
from pat_tokens.models import PersonalAccessToken
from pat_tokens.requirements import ANY_TOKEN, is_list
from pat_tokens.scopes import ALL

MAX_TRIED = 5  # requests that are explained, each with a few queries


class ExampleCall(NamedTuple):
    """A request that a token can make."""

    method: str
    path: str


def find_example_call(token: PersonalAccessToken) -> ExampleCall | None:
    """Return a request to this site that `token` is allowed to make, preferably one that only reads.

    Requests that need a dangerous operation are never returned.
    """
    labels = describe_scopes(token.user, token.scope_set.keys())
    keys = [label.scope for label in labels if not label.problem and not label.is_dangerous]
    calls = sorted(set(_find_calls(keys)), key=lambda call: (call.method != "GET", call.path))
    return next((call for call in islice(calls, MAX_TRIED) if explain(token, *call).allowed), None)


def _find_calls(keys: Sequence[AnyScope]) -> Iterator[ExampleCall]:
    for url_name, method in _find_methods(get_resolver(), generation()) if keys else ():
        arguments = _find_arguments(method, keys)
        if arguments is not None and (path := _path(url_name, arguments)):
            yield ExampleCall(method.method, path)


@lru_cache(maxsize=1)  # inspecting all routes takes long on a large site
def _find_methods(resolver: URLResolver, generation: tuple[int, int]) -> Sequence[tuple[str, MethodReport]]:
    """Return the methods that tokens can use, each with the URL name of its route."""
    return [
        (report.route.url_name, method)
        for report in without_format_suffixes(inspect_all(resolver.urlconf_name))
        for method in report.methods
        if report.route.url_name is not None
        and method.resolution.requirement not in (None, ANY_TOKEN)
        and report.reads_tokens
        and method.reads_tokens
    ]


def _find_arguments(method: MethodReport, keys: Sequence[AnyScope]) -> dict[str, str] | None:
    # The URL keywords of a request that is covered, or None.
    requirement: Any = method.resolution.requirement
    needed = (requirement.entity_type, requirement.operation)
    ids = {key.entity_id for key in keys if (key.entity_type, key.operation) == needed}
    if requirement.also or not ids:
        return None
    if requirement.entity is None:
        return {} if ALL in ids or (is_list(requirement) and method.limits) else None
    named = sorted(ids - {ALL})
    return {requirement.entity: named[0]} if named and isinstance(requirement.entity, str) else None


def _path(url_name: str, arguments: dict[str, str]) -> str | None:
    try:
        return reverse(url_name, kwargs=arguments)
    except NoReverseMatch:
        return None
