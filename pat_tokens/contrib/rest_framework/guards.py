"""What is done to a view, for one request, so that it cannot do more than its token was found to be allowed.

Everything is set on the view object, which lives for one request. Nothing here calls the view.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db.models import Model
from rest_framework.request import Request

from pat_tokens.conf import conf
from pat_tokens.contrib.rest_framework.exceptions import TokenAPIException
from pat_tokens.contrib.rest_framework.introspection import ViewInfo
from pat_tokens.contrib.rest_framework.requirements import NO_METHOD
from pat_tokens.exceptions import ScopeNotDeclared, TokenError
from pat_tokens.filtering import needs_all
from pat_tokens.requirements import ANY_TOKEN, Requirement, Resolution
from pat_tokens.scopes import ALL, Decision

if TYPE_CHECKING:
    # Not at run time: the classes that DRF's own settings name are imported while `rest_framework.views` is.
    from rest_framework.views import APIView

    from pat_tokens.models import PersonalAccessToken

_REQUIREMENT = "_pat_tokens_requirement"  # attribute of a view: what its limited list was allowed for
_LIMITED = "_pat_tokens_limited"  # attribute of a view: it has limited its list


def vary(view: APIView | None) -> None:
    """Say that the answer depends on the header, so that a cache in front of the view keeps one for each."""
    headers = getattr(view, "headers", None)
    if isinstance(headers, dict):
        headers["Vary"] = f"{headers['Vary']}, {conf.header}" if headers.get("Vary") else conf.header


def guard(view: APIView, request: Request, method: str, token: PersonalAccessToken, resolution: Resolution) -> None:
    """Bind `view` to what `token` was allowed: this method, this entity, this list."""
    # What a view does later to the method of its request (as for X-HTTP-Method-Override) was not decided about.
    # Never more than the view had itself: a method that it does not have stays one.
    handler = method.lower()
    view.http_method_names = [handler] if handler in view.http_method_names else []
    if resolution is NO_METHOD:  # nor one that it makes up for itself later
        setattr(view, handler, view.http_method_not_allowed)
    requirement = resolution.requirement
    if requirement is not None and requirement is not ANY_TOKEN:
        _guard_entity(view, request, token, requirement, known=resolution.known)
        if token.decision is not None and token.decision.limited:
            setattr(view, _REQUIREMENT, requirement)
    _guard_answer(view, token)


def guard_options(view: APIView, request: Request, token: PersonalAccessToken) -> None:
    """Bind `view` to describing itself; what it can do besides stays in the description."""

    def refused(*args: Any, **kwargs: Any) -> Any:
        raise _undeclared(request, token)

    for name in (*view.http_method_names, "http_method_not_allowed"):
        if name != "options" and hasattr(view, name):
            setattr(view, name, refused)
    finalize = view.finalize_response

    def finalize_response(*args: Any, **kwargs: Any) -> Any:
        # The description is written. The browsable API would show forms for the rest, with what there is to choose.
        view.http_method_names = ["options"]
        return finalize(*args, **kwargs)

    view.finalize_response = finalize_response  # type: ignore[method-assign]


def limited_requirement(view: APIView) -> Requirement | None:
    """Return what the list of `view` was allowed for, where its token is limited to some ids."""
    found: Requirement | None = getattr(view, _REQUIREMENT, None)
    return found


def mark_limited(view: APIView) -> None:
    """Remember that `view` has limited its list."""
    setattr(view, _LIMITED, True)


def _guard_entity(
    view: APIView, request: Request, token: PersonalAccessToken, requirement: Requirement, *, known: bool
) -> None:
    # The key in the URL was decided about, and a view may find its object another way: by a slug that two tenants
    # have, by the query string, by keywords that it has changed. So what it has found is looked at again.
    get_object, get_queryset = getattr(view, "get_object", None), getattr(view, "get_queryset", None)
    if get_object is None and get_queryset is None:
        return
    model: Any = requirement.get_entity_type().model._meta.concrete_model
    is_its_object = known or requirement.keywords == (ViewInfo.of(view).lookup_keyword,)

    def checked_object(*args: Any, **kwargs: Any) -> Any:
        found = get_object(*args, **kwargs)  # type: ignore[misc]
        if isinstance(found, model):
            _check_entity(found, model, request, token)
        elif known and isinstance(found, Model):
            raise _undeclared(request, token)
        return found

    def checked_queryset(*args: Any, **kwargs: Any) -> Any:
        found = get_queryset(*args, **kwargs)  # type: ignore[misc]
        its_model = getattr(found, "model", None)
        if isinstance(its_model, type) and not issubclass(its_model, model):
            raise _undeclared(request, token)
        return found

    if get_object is not None and is_its_object:
        view.get_object = checked_object  # type: ignore[attr-defined]
    if get_queryset is not None and known:
        view.get_queryset = checked_queryset  # type: ignore[attr-defined]


def _check_entity(found: Model, model: type[Model], request: Request, token: PersonalAccessToken) -> None:
    decision = token.decision
    entity_id = str(getattr(found, model._meta.pk.attname))
    if decision is None or decision.required_scope is None or entity_id == decision.required_scope.entity_id:
        return
    if decision.required_scope.entity_id == ALL and not decision.limited:
        return
    from pat_tokens import authentication  # the models may not be loaded yet when DRF imports this module

    try:
        authentication.require_entity(token, entity_id, request=request._request)
    except TokenError as error:
        raise TokenAPIException(error) from error


def _undeclared(request: Request, token: PersonalAccessToken) -> TokenAPIException:
    from pat_tokens import authentication  # the models may not be loaded yet when DRF imports this module

    return TokenAPIException(authentication.refuse(ScopeNotDeclared(), token=token, request=request._request))


def _guard_answer(view: APIView, token: PersonalAccessToken) -> None:
    # A partial and no closure, whose cells would be so many more objects for the garbage collector at each request.
    view.finalize_response = partial(_finalize_response, view, view.finalize_response, token.decision)  # type: ignore[method-assign]


def _finalize_response(
    view: APIView,
    finalize: Callable[..., Any],
    decision: Decision | None,
    request: Request,
    response: Any,
    *args: Any,
    **kwargs: Any,
) -> Any:
    # A list() of its own may have ignored the filter, and shows everything to a token for some ids.
    if (
        decision is not None
        and decision.limited
        and not getattr(view, _LIMITED, False)
        and getattr(response, "status_code", 200) < 400
    ):
        response = view.handle_exception(TokenAPIException(needs_all(decision)))
    response = finalize(request, response, *args, **kwargs)
    # A cache would go on answering for a token that is revoked meanwhile.
    response.setdefault("Cache-Control", "private")
    return response
