"""Report on DRF views to `pat_routes`, `pat_explain` and the checks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain, takewhile
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework import generics, viewsets
from rest_framework.authentication import BasicAuthentication, TokenAuthentication
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from pat_tokens.conf import conf
from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication
from pat_tokens.contrib.rest_framework.filters import is_filtered
from pat_tokens.contrib.rest_framework.handlers import STANDARD_ACTIONS, limits_its_rows
from pat_tokens.contrib.rest_framework.introspection import ViewInfo
from pat_tokens.contrib.rest_framework.mixins import PersonalAccessTokenMixin
from pat_tokens.contrib.rest_framework.requirements import RouteInfo, infer, resolve
from pat_tokens.declarations import model_of, named_model
from pat_tokens.entities import registry
from pat_tokens.inspection.proposals import CERTAIN, Lookup, Lookups, Proposal, ViewHints, guess
from pat_tokens.integrations import MethodReport, Route, RouteReport, ViewPermission
from pat_tokens.requirements import ANY_TOKEN, Requirement, Resolution

_INITIALIZES = (APIView.initialize_request, viewsets.ViewSetMixin.initialize_request)
_DRF = "rest_framework.permissions."
_MODEL_WORDS = {"POST": "add", "PUT": "change", "PATCH": "change", "DELETE": "delete"}
_NOT_READ = (
    "tokens are not read: authentication_classes has no class that reads them (PersonalAccessTokenMixin adds ours)"
)
_LOGIN_FIRST = "tokens are not read: login_required, or a similar decorator or mixin, responds first"
_OUR_OWN = "refused: tokens can't manage tokens"
_DESCRIPTION = "refused: it only describes the API; to let tokens read it, declare ANY_TOKEN"
# Root views of routers, and schemas: nearly every site has them without having written them. Identified by the module
# of the method, because a subclass can do something else.
_DESCRIBES = ("rest_framework.routers", "rest_framework.schemas.views", "drf_spectacular.views", "drf_yasg.views")


def inspect(route: Route) -> RouteReport | None:
    """Return what a DRF view requires, by method, or None for other views."""
    view_class = getattr(route.view, "cls", None)
    if not (isinstance(view_class, type) and issubclass(view_class, APIView)):
        return None
    facts = ViewInfo.of_callback(route.view, route.memo)
    where = RouteInfo(route.pattern, route.url_name, route.keywords, route.positional)
    authentication = {method: _authentication_of(facts, method, route.pattern) for method in facts.methods}
    unread = {method: "" if _reads_tokens(classes) else _NOT_READ for method, classes in authentication.items()}
    if _asks_for_login(route.view):
        unread = dict.fromkeys(unread, _LOGIN_FIRST)
    methods = tuple(_report(facts, method, where, why) for method, why in unread.items())
    why_unread = next(iter(unread.values()), "") if all(unread.values()) else ""
    return RouteReport(
        route,
        _kind(facts),
        methods,
        reads_tokens=not why_unread,
        note=why_unread,
        permissions=tuple(_permissions(facts)),
        keys=_keys(facts),
        has_all_methods=not facts.has_own_405,
        has_head=facts.serves("head"),
        asked_before=tuple(dict.fromkeys(chain.from_iterable(map(_asked_before, authentication.values())))),
        lookup=_lookup(facts, route),
        propose=partial(_propose, facts, where, route),
        format_keyword=str(api_settings.FORMAT_SUFFIX_KWARG),
    )


def _asks_for_login(view: Any) -> bool:
    # user_passes_test sets an attribute for LoginRequiredMiddleware, and decorators around it copy it. AccessMixin, the
    # base class of Django's mixins, checks nothing.
    return hasattr(view, "redirect_field_name") or any(
        hasattr(vars(one).get("dispatch"), "redirect_field_name")
        or (one.__module__ == "django.contrib.auth.mixins" and one.__name__ != "AccessMixin")
        for one in takewhile(lambda one: one is not APIView, view.cls.__mro__)
    )


def _report(facts: ViewInfo, method: str, where: RouteInfo, why_unread: str) -> MethodReport:
    action = facts.action_of(method.lower())
    resolution = resolve(facts, method, where)
    if why_unread:
        resolution = Resolution(None, why_unread, refused=True)
    elif resolution.requirement is None and not resolution.problem and not resolution.refused:
        if facts.cls.__module__.startswith("pat_tokens."):
            resolution = Resolution(None, _OUR_OWN, refused=True)
        elif getattr(facts.find_handler(method.lower()), "__module__", None) in _DESCRIBES:
            resolution = Resolution(None, _DESCRIPTION, refused=True)
    may_limit = (
        method in ("GET", "HEAD") and resolution.requirement is not None and is_filtered(facts, resolution.requirement)
    )
    limits = may_limit and limits_its_rows(facts.cls, action)
    return MethodReport(method, resolution, action, limits, not why_unread, may_limit)


def _lookup(facts: ViewInfo, route: Route) -> Lookup | None:
    keyword, field = facts.lookup_keyword, facts.lookup_field
    model = model_of(facts.cls, facts.attributes) if keyword in route.keywords else None
    return Lookup(model, keyword, field) if model and keyword and field else None


def _propose(facts: ViewInfo, where: RouteInfo, route: Route, method: MethodReport, lookups: Lookups) -> Proposal:
    action = method.action or _generic_action(facts, method.method)
    if action is not None and not facts.is_viewset:
        inferred = infer(facts, action, where)
        if inferred.requirement is not None and not inferred.is_override:
            return Proposal(inferred.requirement, CERTAIN, True)
    model = named_model(facts.cls, facts.attributes)
    if not registry.all_for_model(model):  # proxy models can have their own entity type
        model = model_of(facts.cls, facts.attributes)
    hints = ViewHints(
        model=model,
        lookup_field=facts.lookup_field or "pk",
        lookup_keyword=facts.lookup_keyword or "pk",
        operation=STANDARD_ACTIONS.get(action or "", action),
        has_rows=action == "list",
        harmless_keywords=facts.harmless_keywords,
    )
    return guess(hints, method.method, route, lookups)


def _generic_action(facts: ViewInfo, method: str) -> str | None:
    """Return the action that a method of a generic view of DRF performs, or None if the handler isn't DRF's own."""
    handler = facts.find_handler(method.lower())
    if getattr(handler, "__module__", "") != generics.__name__:
        return None
    if method == "GET":
        return "list" if handler.__qualname__.startswith("List") else "retrieve"
    return {"POST": "create", "PUT": "update", "PATCH": "partial_update", "DELETE": "destroy"}.get(method)


def _authentication_of(facts: ViewInfo, method: str, pattern: str) -> list[Any] | None:
    """Return the authentication classes for an HTTP method, in order, or None if they depend on more of a request.

    If they are computed, this creates a view with an empty request, and trusts the result only if a class reads tokens.
    """
    classes = facts.get("authentication_classes")
    is_plain = isinstance(classes, list | tuple) and all(isinstance(one, type) for one in classes)
    if is_plain and facts.cls.initialize_request in _INITIALIZES:
        if facts.cls.get_authenticators is APIView.get_authenticators:
            return list(classes)
        if facts.cls.get_authenticators is PersonalAccessTokenMixin.get_authenticators:
            return [PersonalAccessTokenAuthentication]
    request = HttpRequest()
    request.method, request.path, request.path_info = method, f"/{pattern}", f"/{pattern}"
    request.META = {"REQUEST_METHOD": method, conf.header_key: f"{conf.keyword} {conf.prefix}_"}
    request.COOKIES = {settings.SESSION_COOKIE_NAME: ""}
    try:
        view = facts.cls(**facts.attributes)
        if facts.actions is None:
            view.setup(request)
        else:  # as_view() of ViewSets doesn't call setup()
            view.action_map, view.request, view.args, view.kwargs = facts.actions, request, (), {}
        computed = [type(one) for one in view.initialize_request(request).authenticators]
    except Exception:  # noqa: BLE001 -- the site's code, which can need the user or the keywords of a request
        return None
    return computed if _reads_tokens(computed) else None


def _reads_tokens(classes: list[Any] | None) -> bool:
    # If this is unknown until a request, the view counts as one that reads tokens.
    return classes is None or any(issubclass(one, PersonalAccessTokenAuthentication) for one in classes)


def _asked_before(classes: list[Any] | None) -> Iterator[str]:
    # The site's default order has its own check, and two of DRF's classes only read other schemes in the header.
    if classes is None or not _reads_tokens(classes) or classes == list(api_settings.DEFAULT_AUTHENTICATION_CLASSES):
        return
    for one in classes:
        if issubclass(one, PersonalAccessTokenAuthentication):
            return
        if not _reads_another_scheme(one):
            yield f"{one.__module__}.{one.__qualname__}"


def _reads_another_scheme(one: type) -> bool:
    if one is TokenAuthentication or one is BasicAuthentication:
        return True
    return (
        issubclass(one, TokenAuthentication)
        and one.authenticate is TokenAuthentication.authenticate
        and one.keyword.lower() != conf.keyword.lower()
    )


def _kind(facts: ViewInfo) -> str:
    if facts.is_function:
        return "api_view function"
    if facts.is_viewset:
        return "ModelViewSet" if issubclass(facts.cls, viewsets.ModelViewSet) else "ViewSet"
    return "generic view" if issubclass(facts.cls, generics.GenericAPIView) else "APIView"


def _permissions(facts: ViewInfo) -> Iterator[ViewPermission]:
    if getattr(facts.cls.get_permissions, "__module__", "") == APIView.__module__:
        for one in facts.get("permission_classes", ()):
            if isinstance(one, type):
                name = f"{one.__module__}.{one.__qualname__}"
                yield ViewPermission(name, partial(_permission_allows, name))


def _keys(facts: ViewInfo) -> frozenset[str]:
    keys: set[str] = set()
    for method in (*facts.methods, "HEAD"):
        action = facts.action_of(method.lower())
        keys.update((method,) if action is None else (f"{method} {action}", action))
    return frozenset(keys)


def _permission_allows(name: str, user: Any, method: str, requirement: Requirement) -> bool | None:
    # Only DRF's own classes, by name: calling a class of the site could do anything.
    if name in (f"{_DRF}AllowAny", f"{_DRF}IsAuthenticated", f"{_DRF}IsAuthenticatedOrReadOnly"):
        return True
    if name == f"{_DRF}IsAdminUser":
        return bool(getattr(user, "is_staff", False))
    if name in (f"{_DRF}DjangoModelPermissions", f"{_DRF}DjangoModelPermissionsOrAnonReadOnly"):
        word = _MODEL_WORDS.get(method)
        if word is None:
            return True
        if requirement is ANY_TOKEN or not hasattr(user, "has_perm"):
            return None
        meta = requirement.get_entity_type().model._meta
        return bool(user.has_perm(f"{meta.app_label}.{word}_{meta.model_name}"))
    return None
