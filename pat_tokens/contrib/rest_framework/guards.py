"""Guards that keep a view, for one request, within what its token was allowed.

Everything is set on the view object, which is created for each request. Nothing here calls the view.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.db.models import Model
from rest_framework.request import Request

from pat_tokens.conf import conf
from pat_tokens.contrib.rest_framework import deferred_imports as deferred
from pat_tokens.contrib.rest_framework.exceptions import TokenAPIException, complete
from pat_tokens.contrib.rest_framework.filters import add_backend, has_backend, refused
from pat_tokens.contrib.rest_framework.introspection import ViewInfo
from pat_tokens.database.writing import guard_writes
from pat_tokens.declarations import has_limited_list
from pat_tokens.exceptions import InheritanceNotAllowed, NotAllowed, ScopeNotDeclared, TokenError
from pat_tokens.request_state import ViewState, state_of
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement, Resolution, is_list
from pat_tokens.scopes import ALL

if TYPE_CHECKING:
    # Not at run time: the classes that DRF's own settings name are imported while `rest_framework.views` is.
    from rest_framework.views import APIView

    from pat_tokens.filtering import LimitedList
    from pat_tokens.models import PersonalAccessToken

_DESCRIPTION = ("name", "description", "renders", "parses")  # attributes of a view that an OPTIONS response contains
_FORMS = (  # methods of renderers; the last one is of HTMLFormRenderer
    "get_rendered_html_form",
    "get_raw_data_form",
    "get_filter_form",
    "show_form_for_method",
    "render_field",
)


def vary(view: APIView | None) -> None:
    """Make the response vary on the header, so that caches store a response for each value."""
    headers = getattr(view, "headers", None)
    if isinstance(headers, dict):
        headers["Vary"] = f"{headers['Vary']}, {conf.header}" if headers.get("Vary") else conf.header


def observe_errors(view: APIView | None, state: ViewState, request: Request) -> None:
    """Make `view` complete its responses to our exceptions, and stop checking what it writes."""
    if view is not None:
        # A partial instead of a closure: closures create extra objects for the garbage collector on every request.
        view.handle_exception = partial(_handle_exception, state, view.handle_exception, request)  # type: ignore[method-assign]


def observe_responses(view: APIView | None, state: ViewState) -> None:
    """Check the responses of `view` if a token is allowed, and hide the forms of the browsable API in all of them.

    Forms and filters would list objects that the token can't read.
    """
    if view is not None:
        view.finalize_response = partial(_finalize_response, view, state, view.finalize_response)  # type: ignore[method-assign]


def guard(
    view: APIView,
    state: ViewState,
    request: Request,
    method: str,
    token: PersonalAccessToken,
    resolution: Resolution,
) -> None:
    """Limit `view` to what `token` was allowed: this method, this entity, this list."""
    # The decision is about this method only, even if the view changes the method of its request later, for example for
    # X-HTTP-Method-Override. Methods that the view doesn't have aren't added.
    handler = method.lower()
    view.http_method_names = [handler] if handler in view.http_method_names else []
    requirement = resolution.requirement
    deferred.guards.keep_out_of_caches(request)
    # One for each view, because a view can call another one with the same request.
    state_of(request._request).views[view] = state
    state.is_guarded = True
    if requirement is not None and requirement is not ANY_TOKEN:
        state.write_guard = guard_writes(method, token, requirement, request._request, view)
        if requirement.keywords:
            _guard_handler(view, handler, request, token, requirement)
        for position, part in enumerate(requirement.parts):
            _guard_entity(view, request, token, resolution, state, part, position)
        if token.decision is not None and token.decision.limited:
            state.limited_list = deferred.filtering.LimitedList(token, requirement)
            _guard_list(view, request, state.limited_list)


def _guard_handler(
    view: APIView, name: str, request: Request, token: PersonalAccessToken, requirement: Requirement
) -> None:
    # A view can change its keywords after it is authenticated, for example in initial().
    handler = getattr(view, name, None)
    if handler is None:
        return
    parts, decided = deferred.guards.parts_of(token, requirement), dict(view.kwargs)

    def check(kwargs: Mapping[str, Any]) -> None:
        for keywords in (kwargs, view.kwargs):
            if deferred.guards.find_changed_keyword(parts, decided, keywords) is not None:
                raise _undeclared(request, token)

    setattr(view, name, partial(_arun if iscoroutinefunction(handler) else _run, handler, check))


def _run(handler: Callable[..., Any], check: Callable[..., None], *args: Any, **kwargs: Any) -> Any:
    check(kwargs)
    return handler(*args, **kwargs)


async def _arun(handler: Callable[..., Any], check: Callable[..., None], *args: Any, **kwargs: Any) -> Any:
    await sync_to_async(check)(kwargs)
    return await handler(*args, **kwargs)


def _handle_exception(state: ViewState, handle: Callable[..., Any], request: Request, error: Exception) -> Any:
    # The core doesn't import DRF's exceptions.
    if state.is_guarded and isinstance(error, NotAllowed):
        error = refused(error, request.auth, request)
    try:
        return complete(handle(error), error)
    finally:
        state.close()


def guard_options(view: APIView, request: Request, token: PersonalAccessToken) -> None:
    """Limit `view` to describing itself, whatever its OPTIONS handler does."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise _undeclared(request, token)

    for name in (*view.http_method_names, "http_method_not_allowed"):
        if name != "options" and hasattr(view, name):
            setattr(view, name, refuse)
    allowed = ", ".join(view.allowed_methods)
    # Otherwise DRF would load the object, and the choices of its related fields.
    view.http_method_names = ["options"]
    finalize = view.finalize_response

    def finalize_response(request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        data = getattr(response, "data", None)
        if response.status_code < 400:
            described = data if isinstance(data, Mapping) else {}
            response.data = {name: described[name] for name in _DESCRIPTION if name in described}
            response["Allow"] = view.headers["Allow"] = allowed
        return finalize(request, response, *args, **kwargs)

    view.finalize_response = finalize_response  # type: ignore[method-assign]


def _hide_forms(view: Any, response: Any) -> None:
    renderer: Any = _without_forms(getattr(response, "accepted_renderer", None))
    if hasattr(renderer, "get_default_renderer"):  # of the content of the page
        renderer.get_default_renderer = partial(_content_without_forms, renderer.get_default_renderer)
    if hasattr(renderer, "get_context"):
        renderer.get_context = partial(_context_without_forms, renderer.get_context)
        if hasattr(view, "get"):
            # DRF's AdminRenderer gets the rows in addition to the errors of a form, as if by another request.
            view.get = partial(_same_response, response)


def _without_forms(renderer: Any) -> Any:
    for name in _FORMS:
        if hasattr(renderer, name):
            setattr(renderer, name, _no_form)
    return renderer


def _content_without_forms(get_renderer: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return _without_forms(get_renderer(*args, **kwargs))


def _same_response(response: Any, *args: Any, **kwargs: Any) -> Any:
    return response


def _context_without_forms(get_context: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return {**get_context(*args, **kwargs), "display_edit_forms": False}


def _no_form(*args: Any, **kwargs: Any) -> str:
    return ""


def _guard_list(view: APIView, request: Request, rows: LimitedList) -> None:
    own: Any = view

    def get_object(*args: Any, **kwargs: Any) -> Any:
        # get_object() also filters, but for a single object.
        rows.in_object = True
        try:
            return found_object(*args, **kwargs)
        finally:
            rows.in_object = False

    async def aget_object(*args: Any, **kwargs: Any) -> Any:
        rows.in_object = True
        try:
            return await found_aobject(*args, **kwargs)
        finally:
            rows.in_object = False

    def paginate_queryset(queryset: Any, *args: Any, **kwargs: Any) -> Any:
        rows.note(queryset)  # paginators don't read empty pages
        return page(queryset, *args, **kwargs)

    if has_limited_list(type(view)) and hasattr(own, "filter_queryset") and not has_backend(ViewInfo.of(view)):
        add_backend(own)
    if hasattr(own, "get_object"):
        found_object, own.get_object = own.get_object, get_object
    if hasattr(own, "aget_object"):
        found_aobject, own.aget_object = own.aget_object, aget_object
    if hasattr(own, "paginate_queryset"):
        page, own.paginate_queryset = own.paginate_queryset, paginate_queryset


def _guard_entity(
    view: APIView,
    request: Request,
    token: PersonalAccessToken,
    resolution: Resolution,
    state: ViewState,
    requirement: Requirement,
    position: int,
) -> None:
    # The decision is about the key in the URL, but a view can find its object in another way: by a slug that two
    # tenants use, by the query string, or by keywords that it has changed. So the object is checked again.
    if resolution.known and requirement.entity is not None:
        state.needs_object = True
    get_object, get_queryset = getattr(view, "get_object", None), getattr(view, "get_queryset", None)
    aget_object = getattr(view, "aget_object", None)
    if get_object is get_queryset is aget_object is None:
        return
    model: Any = requirement.get_entity_type().model._meta.concrete_model
    is_strict = resolution.known or resolution.bound_model is model
    is_its_object = resolution.known or _is_its_object(view, requirement)

    def check(found: Any) -> None:
        if isinstance(found, model):
            _check_entity(found, model, request, token, position)
        elif resolution.known:
            # For example a queryset. None isn't an object: unless one is loaded, the response has to be an error.
            if found is not None:
                raise _undeclared(request, token)
            return
        elif isinstance(found, Model):
            if is_strict:
                raise _undeclared(request, token)
            # The requirement can come from a parent class that doesn't name its model.
            entity_id = deferred.guards.parts_of(token, resolution.requirement)[position][1]
            if resolution.is_inherited and not deferred.guards.is_related(found, model, entity_id):
                raise InheritanceNotAllowed
        state.needs_object = False

    def check_model(found: Any) -> None:
        its_model = getattr(found, "model", None)
        if isinstance(its_model, type) and not issubclass(its_model, model):
            if is_strict:
                raise _undeclared(request, token)
            if not deferred.guards.has_same_keys(its_model, model):
                raise InheritanceNotAllowed

    if is_its_object:
        if get_object is not None:
            view.get_object = deferred.guards.checked_loader(get_object, check)  # type: ignore[attr-defined]
        if aget_object is not None:
            view.aget_object = deferred.guards.checked_loader(aget_object, check)  # type: ignore[attr-defined]
    # DRF's own get_object() compares the keyword with the key of any model.
    looks_up = is_list(requirement) or (is_its_object and _has_own_lookup(view))
    is_of_model = is_strict or (resolution.is_inherited and looks_up)
    if get_queryset is not None and is_of_model and (resolution.known or requirement.filter_by == "pk"):
        view.get_queryset = deferred.guards.checked_loader(get_queryset, check_model)  # type: ignore[attr-defined]


def _has_own_lookup(view: APIView) -> bool:
    return getattr(getattr(type(view), "get_object", None), "__module__", None) == "rest_framework.generics"


def _is_its_object(view: APIView, requirement: Requirement) -> bool:
    # Otherwise the view loads an object that belongs to the entity, or that the entity belongs to.
    facts = ViewInfo.of(view)
    if isinstance(requirement.entity, EntityLookup):
        names_itself = any("__" not in field for field, _keyword in requirement.entity.fields)
        return names_itself and set(view.kwargs) - facts.harmless_keywords <= set(requirement.keywords)
    return requirement.keywords == (facts.lookup_keyword,)


def _check_entity(
    found: Model, model: type[Model], request: Request, token: PersonalAccessToken, position: int
) -> None:
    decision = token.decision
    if decision is None or decision.required_scope is None:
        return
    entity_id, allowed = str(getattr(found, model._meta.pk.attname)), decision.required_scope.scopes[position].entity_id
    if entity_id == allowed or (allowed == ALL and not (decision.limited and position == 0)):
        return
    try:
        deferred.authentication.require_entity(token, entity_id, position=position, request=request._request)
    except TokenError as error:
        raise TokenAPIException(error) from error


def _undeclared(request: Request, token: PersonalAccessToken) -> TokenAPIException:
    return refused(ScopeNotDeclared(), token, request)


def _finalize_response(
    view: APIView,
    state: ViewState,
    finalize: Callable[..., Any],
    request: Request,
    response: Any,
    *args: Any,
    **kwargs: Any,
) -> Any:
    state.close()
    rows = state.limited_list
    if (state.needs_object or rows is not None) and _has_content(response):
        if state.needs_object:
            # The handler didn't use get_object(), so the decision doesn't cover what it returns.
            token: Any = view.request.auth
            response = view.handle_exception(_undeclared(request, token))
        elif rows is not None and not _is_made_of(rows, response):
            response = view.handle_exception(refused(rows.refusal(), rows.token, request))
    response = finalize(request, response, *args, **kwargs)
    if state.is_guarded:
        deferred.guards.set_cache_headers(request._request, response)
    deferred.guards.add_sunset(request._request, response)
    _hide_forms(view, response)
    return response


def _has_content(response: Any) -> bool:
    status = getattr(response, "status_code", 200)
    return bool(status < 400 and status != HTTPStatus.NOT_MODIFIED)


def _is_made_of(rows: LimitedList, response: Any) -> bool:
    return deferred.filtering.is_made_of(rows, response, getattr(response, "data", None), find=_serialized)


def _serialized(value: Any) -> Any:
    # Values that DRF's serializers return have a reference to their serializer.
    serializer = getattr(value, "serializer", None)
    return value if serializer is None else getattr(serializer, "instance", value)
