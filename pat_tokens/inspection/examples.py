"""Find a request that a token can make, to try it with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from django.urls import NoReverseMatch, reverse

from pat_tokens.inspection.explain import explain
from pat_tokens.inspection.routes import inspect_all, without_format_suffixes
from pat_tokens.integrations import MethodReport, RouteReport
from pat_tokens.labels import AnyScope, describe_scopes
from pat_tokens.models import PersonalAccessToken
from pat_tokens.requirements import ANY_TOKEN, Requirement, is_list
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
    for report in without_format_suffixes(inspect_all()) if keys else ():
        for method in report.methods:
            requirement = method.resolution.requirement
            if requirement is None or requirement is ANY_TOKEN or not (report.reads_tokens and method.reads_tokens):
                continue
            arguments = _find_arguments(requirement, method, keys)
            if arguments is not None and (path := _path(report, arguments)):
                yield ExampleCall(method.method, path)


def _find_arguments(requirement: Requirement, method: MethodReport, keys: Sequence[AnyScope]) -> dict[str, str] | None:
    # The URL keywords of a request that is covered, or None.
    needed = (requirement.entity_type, requirement.operation)
    ids = {key.entity_id for key in keys if (key.entity_type, key.operation) == needed}
    if requirement.also or not ids:
        return None
    if requirement.entity is None:
        return {} if ALL in ids or (is_list(requirement) and method.limits) else None
    named = sorted(ids - {ALL})
    return {requirement.entity: named[0]} if named and isinstance(requirement.entity, str) else None


def _path(report: RouteReport, arguments: dict[str, str]) -> str | None:
    if report.route.url_name is None:
        return None
    try:
        return reverse(report.route.url_name, kwargs=arguments)
    except NoReverseMatch:
        return None
