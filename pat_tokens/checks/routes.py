"""Checks of declarations, and of routes without one: E050 to E059 and W050 to W059."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.db.models import Model, QuerySet

from pat_tokens.conf import MIDDLEWARE_PATH
from pat_tokens.declarations import (
    FROM_OUTSIDE,
    ON_VIEW,
    Declaration,
    all_declared,
    class_of,
    is_same_hierarchy,
    model_of,
    names_view,
    plain_route,
)
from pat_tokens.django_views.requirements import layers
from pat_tokens.inspection.routes import inspect_all, without_format_suffixes
from pat_tokens.integrations import Route, RouteReport, integration_of
from pat_tokens.requirements import ANY_TOKEN, Requirements, Resolution

_SHOWN = 5  # routes that a warning names

ByIdentity = Mapping[int, list[RouteReport]]  # by id(), because a view can be an object of a class without a hash


def check_routes(**kwargs: Any) -> Iterator[CheckMessage]:
    """Inspects each route once, because a site can have thousands."""
    reports = inspect_all() if getattr(settings, "ROOT_URLCONF", None) else []
    by_identity = _by_identity(reports)
    yield from _check_methods(reports)
    yield from _check_own_declarations(reports)
    yield from _check_declared_views(by_identity)
    yield from _check_declared_urls(reports)
    yield from _check_declared_routes(reports)
    yield from _check_refusals(reports)
    yield from _check_limited_lists(reports)
    yield from _check_models(reports)
    yield from _check_order(reports)
    yield from _check_coverage(reports)
    yield from _check_plain_views(reports)


def _check_coverage(reports: list[RouteReport]) -> Iterator[CheckMessage]:
    undeclared = [
        f"{method.method} {_path(report)}"
        for report in without_format_suffixes(reports)
        for method in report.methods
        if method.status == "undeclared"
    ]
    if undeclared and not _is_run_by_another_command():
        yield checks.Warning(
            f"{len(undeclared)} operations refuse every token because their requirements aren't declared: "
            f"{_some(undeclared)}",
            hint="manage.py pat_routes --only undeclared lists them, and manage.py pat_routes --write prints "
            "declarations for you to review. Or set pat_requirements on the view, with None to refuse tokens.",
            id="pat_tokens.W050",
        )


def _is_run_by_another_command() -> bool:
    # Most commands run the checks first, and a site can have many undeclared routes on purpose, so commands other than
    # `check` don't repeat the warning.
    program = Path(sys.argv[0])
    is_django = program.name in ("manage.py", "django-admin") or program.parts[-2:] == ("django", "__main__.py")
    return is_django and sys.argv[1:2] != ["check"]


def _check_plain_views(reports: list[RouteReport]) -> Iterator[CheckMessage]:
    unread = [
        _path(report)
        for report in reports
        if report.methods and not report.reads_tokens and integration_of(report.route.view) is None
    ]
    if unread:
        yield Error(
            f"{len(unread)} plain Django views declare what they require, but nothing enforces it: {_some(unread)}",
            hint=f"Add {MIDDLEWARE_PATH!r} to MIDDLEWARE, before CsrfViewMiddleware and LoginRequiredMiddleware. "
            "Without it, these views treat requests with a token as anonymous.",
            id="pat_tokens.E055",
        )


def _path(report: RouteReport) -> str:
    return f"/{plain_route(report.route.pattern)}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _check_methods(reports: list[RouteReport]) -> Iterator[CheckMessage]:
    seen = set()
    for report in reports:
        for method in report.methods:
            resolution = method.resolution
            where = f"{report.route.view_name}, {method.method} {_path(report)}"
            if resolution.problem:
                key = (report.route.view_name, method.method, method.action, resolution.problem)
                if key not in seen:
                    seen.add(key)
                    yield Error(
                        f"{where}: {resolution.origin}.",
                        hint="Until this is fixed, every token is refused.",
                        id="pat_tokens.E050",
                    )
                continue
            requirement = resolution.requirement
            if requirement is None or requirement is ANY_TOKEN:
                continue
            lacking = set(requirement.keywords) - report.route.keywords
            key = (report.route.view_name, method.method, method.action, str(sorted(lacking)))
            if lacking and key not in seen:
                seen.add(key)
                has = ", ".join(sorted(report.route.keywords)) or "none"
                yield Error(
                    f"{where}: {requirement} reads its entity id from {', '.join(sorted(lacking))}, but the route has "
                    f"no such keyword (it has: {has}).",
                    hint="Use the URL keyword that holds the id. Until then, the route needs a scope on *.",
                    id="pat_tokens.E051",
                )


def _check_own_declarations(reports: list[RouteReport]) -> Iterator[CheckMessage]:
    by_name: dict[str, list[RouteReport]] = {}
    for report in reports:
        by_name.setdefault(report.route.view_name, []).append(report)
    for name, routes in by_name.items():
        view = class_of(routes[0].route.view)
        own = vars(view).get("pat_requirements") if hasattr(view, "__dict__") else None
        if isinstance(own, Mapping):
            yield from _check_used(f"{name}: pat_requirements", own, routes)


def _check_used(
    where: str, requirements: Requirements, routes: list[RouteReport], more: Collection[str] = ()
) -> Iterator[CheckMessage]:
    used = {key for route in routes for key in route.keys}
    unused = [str(key) for key in requirements if key not in used and key not in more]
    if used and unused:
        yield checks.Warning(
            f"{where} has {', '.join(map(repr, unused))}, which no route of the view uses (they use: "
            f"{', '.join(sorted(used))}).",
            hint="The keys for ViewSets are actions, or a method and an action ('POST lock'). For all other views they "
            "are HTTP methods in upper case.",
            id="pat_tokens.W051",
        )


def _by_identity(reports: list[RouteReport]) -> ByIdentity:
    found: dict[int, list[RouteReport]] = {}
    for report in reports:
        for layer in layers(report.route.view):
            found.setdefault(id(class_of(layer)), []).append(report)
    return found


def _name_of(view: Any, declaration: Declaration) -> str:
    target = declaration.target
    return target if isinstance(target, str) else f"{view.__module__}.{getattr(view, '__qualname__', view)}"


def _check_declared_views(by_identity: ByIdentity) -> Iterator[CheckMessage]:
    for path, reason in all_declared().broken.items():
        yield Error(
            f"declare_view({path!r}): there is no such view: {reason}.",
            hint="Use the dotted path of the view's class or function.",
            id="pat_tokens.E052",
        )
    for view, declaration in all_declared().by_view.items():
        where = f"declare_view({_name_of(view, declaration)})"
        integration = integration_of(view)
        if id(view) not in by_identity and not (integration is not None and integration.has_own_routes):
            yield Error(
                f"{where}: no route of the site uses this view.",
                hint="A subclass counts as another view. Declare the view that is in the URLconf.",
                id="pat_tokens.E053",
            )
        if not declaration.is_partial:
            yield from _check_used(where, declaration.requirements, by_identity.get(id(view), []))


def _check_declared_urls(reports: list[RouteReport]) -> Iterator[CheckMessage]:
    by_name: dict[str | None, list[RouteReport]] = {}
    for report in reports:
        by_name.setdefault(report.route.url_name, []).append(report)
    asked_by = {name: report.route.url_name for report in reports for name in report.other_names}
    for name, declaration in all_declared().by_url_name.items():
        routes = by_name.get(name, [])
        where = f"declare_url({name!r})"
        if not routes:
            yield Error(
                f"{where}: {_why_no_route(name, asked_by)}.",
                hint="Use the name that reverse() takes, with its namespaces: 'shop:order-detail'.",
                id="pat_tokens.E054",
            )
        yield from _check_used(where, declaration.requirements, routes, _methods_of(routes))
        if _differ(routes):
            yield checks.Warning(
                f"{where} applies to {len(routes)} routes that share the name: {_some([_path(one) for one in routes])}",
                hint="Declare each of them with declare_route(), or give them different names.",
                id="pat_tokens.W053",
            )


def _why_no_route(name: str, asked_by: Mapping[str | None, str | None]) -> str:
    if name in asked_by:
        return f"requests to its path resolve to the name {asked_by[name]!r}, that of the path's first operation"
    return "no route of the site has this name"


def _check_declared_routes(reports: list[RouteReport]) -> Iterator[CheckMessage]:
    by_route: dict[str, list[RouteReport]] = {}
    for report in reports:
        by_route.setdefault(plain_route(report.route.pattern), []).append(report)
    for route, declaration in all_declared().by_route.items():
        found = by_route.get(route, [])
        where = f"declare_route({declaration.target!r})"
        if not found:
            yield Error(
                f"{where}: the site has no such route.",
                hint="Write the route as manage.py pat_routes prints it.",
                id="pat_tokens.E056",
            )
        yield from _check_used(where, declaration.requirements, found, _methods_of(found))
        # No request reaches a second route with the same pattern.
        by_pattern = {report.route.pattern: report for report in reversed(found)}
        if _differ([*by_pattern.values()]):
            patterns = _some(list(dict.fromkeys(report.route.pattern for report in found)))
            yield checks.Warning(
                f"{where} applies to {len(by_pattern)} routes that only differ in the converters or regular "
                f"expressions of their keywords: {patterns}",
                hint="Change one of the routes, or declare their views instead.",
                id="pat_tokens.W053",
            )


def _methods_of(reports: list[RouteReport]) -> set[str]:
    # For a URL, the HTTP method is unambiguous, even for ViewSets.
    return {"HEAD", "OPTIONS", *(method.method for report in reports for method in report.methods)}


def _check_refusals(reports: list[RouteReport]) -> Iterator[CheckMessage]:
    views, prefixes = all_declared().refused_views, all_declared().refused_urls
    routed = {id(one): one for report in reports for one in map(class_of, layers(report.route.view))} if views else {}
    for target in views:
        if not any(names_view(target, view) for view in routed.values()):
            yield Error(
                f"refuse_views({target!r}): no route of the site uses such a view.",
                hint="Use a view, or the dotted path of a view or of its module. To refuse operations of Django Ninja, "
                "use refuse_urls().",
                id="pat_tokens.E057",
            )
    for prefix in prefixes:
        if not any(plain_route(report.route.pattern).startswith(prefix) for report in reports):
            yield Error(
                f"refuse_urls({f'/{prefix}'!r}): no route of the site starts with this.",
                hint="Write it as manage.py pat_routes prints it.",
                id="pat_tokens.E057",
            )


def _check_limited_lists(reports: list[RouteReport]) -> Iterator[CheckMessage]:
    targets = all_declared().limited_lists
    views = [class_of(report.route.view) for report in reports] if targets else []
    by_name = {f"{view.__module__}.{view.__qualname__}": view for view in views if isinstance(view, type)}
    for target in targets:
        view = by_name.get(target) if isinstance(target, str) else target
        if view not in views or not hasattr(view, "filter_queryset"):
            yield Error(
                f"limit_lists({target!r}): no route of the site leads to such a view with a method filter_queryset().",
                hint="Give the class of a DRF view, or its dotted path. Other views need a scope for * to list.",
                id="pat_tokens.E058",
            )


def _check_models(reports: list[RouteReport]) -> Iterator[CheckMessage]:
    models: dict[type, dict[type[Model], str]] = {}
    required: dict[type, set[type[Model]]] = {}
    for report in reports:
        found = {one for method in report.methods for one in _models_of(method.resolution)}
        view, arguments = class_of(report.route.view), _arguments_of(report.route.view)
        if not found or not isinstance(view, type) or "pat_requirements" in arguments:
            continue
        model = model_of(view, arguments)
        if model is not None:
            models.setdefault(view, {}).setdefault(model, f"{_path(report)} ({model.__name__})")
            required.setdefault(view, set()).update(found)
    for view, by_model in models.items():
        are_others = not all(is_same_hierarchy(*pair) for pair in combinations(by_model, 2))
        # If the declaration is for none of these models, it is about the entity that objects of all of them belong to.
        if are_others and not required[view].isdisjoint(by_model):
            name = f"{view.__module__}.{view.__qualname__}"
            yield checks.Warning(
                f"What is declared for {name} applies to routes with different models: {_some([*by_model.values()])}",
                hint="The same key of another model is another entity. Declare each of them with declare_route().",
                id="pat_tokens.W055",
            )


def _models_of(resolution: Resolution) -> Iterator[type[Model]]:
    requirement = resolution.requirement
    if requirement is not None and requirement is not ANY_TOKEN and resolution.origin in (ON_VIEW, FROM_OUTSIDE):
        for part in requirement.parts:
            model: Any = part.get_entity_type().model
            yield model._meta.concrete_model


def _arguments_of(view: Any) -> Mapping[str, Any]:
    return getattr(view, "initkwargs", None) or getattr(view, "view_initkwargs", {})


def _differ(reports: list[RouteReport]) -> bool:
    """Return whether these routes differ in their view, its arguments, or the keywords that name the entity."""
    from_url = {name for report in reports for name in report.route.keywords - report.route.given.keys()}

    def identity(route: Route) -> tuple[Any, ...]:
        # The arguments of as_view() can set another model, and those of the URLconf can do anything, unless they are
        # defaults of what other routes take from the URL.
        given = {name: value for name, value in route.given.items() if name not in from_url}
        arguments = (*sorted(_arguments_of(route.view).items()), *sorted(given.items()))
        values = tuple((name, _comparable(value)) for name, value in arguments)
        # A format suffix adds a second route to the same view, for the same entity.
        return id(class_of(route.view)), values, route.keywords - {"format"}

    return len({identity(report.route) for report in reports}) > 1


def _comparable(value: Any) -> Any:
    if isinstance(value, QuerySet):
        return value.model
    try:
        hash(value)
    except TypeError:  # also a tuple of lists, or an unsaved object
        return repr(value)
    return value


def _check_order(reports: list[RouteReport]) -> Iterator[CheckMessage]:
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for report in reports:
        if report.asked_before and report.reads_tokens:
            found.setdefault((report.route.view_name, report.asked_before), []).append(_path(report))
    for (view, before), patterns in found.items():
        yield checks.Warning(
            f"{view} ({_some(patterns)}) lists {', '.join(before)} before PersonalAccessTokenAuthentication, so a "
            "request with a session and a bad token is accepted, and only limited by the session.",
            hint="List our class first. It passes every request without a personal access token to the next class.",
            id="pat_tokens.W054",
        )
