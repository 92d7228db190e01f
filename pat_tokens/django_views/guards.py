"""Authenticate tokens for plain Django views, and check their responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch
from django.views.decorators.debug import sensitive_variables

from pat_tokens import authentication
from pat_tokens.crypto import is_legacy_key
from pat_tokens.django_views.bound_views import BoundView
from pat_tokens.django_views.requirements import View, declared_methods, find_requirement
from pat_tokens.exceptions import (
    OwnerNotAllowed,
    ThirdPartyToken,
    TokenError,
)
from pat_tokens.filtering import is_made_of, needs_all
from pat_tokens.guards import add_sunset, bind_request, refusal, set_cache_headers, set_token_user
from pat_tokens.request_state import GuardResult, state_of
from pat_tokens.requirements import ANY_TOKEN, Requirement, is_list

if TYPE_CHECKING:
    from django.http import HttpRequest

    from pat_tokens.models import PersonalAccessToken

_REDIRECTS = {301, 302, 303, 307, 308}


@sensitive_variables()
def authenticate_request(
    request: HttpRequest,
    view: View,
    kwargs: Mapping[str, Any],
    *,
    url_name: str | None = None,
    route: str | None = None,
) -> GuardResult:
    """Set `request.user` and `request.auth` if `view` accepts the token; otherwise set the response to return."""
    resolution = find_requirement(view, str(request.method), url_name=url_name, route=route)
    requirement = resolution.requirement
    describes = request.method == "OPTIONS" and requirement is None
    methods = declared_methods(view, url_name=url_name, route=route) if describes else []
    try:
        secret = authentication.read_secret(request)
        if secret is None:
            return GuardResult(varies=requirement is not None or bool(methods))
        if describes:
            found = [find_requirement(view, method, url_name=url_name, route=route).requirement for method in methods]
            asked = [requirement for requirement in found if requirement is not None]
            token = authentication.authenticate_options(secret, asked, kwargs, request=request)
        else:
            token = _authenticate(request, secret, requirement, kwargs)
    except ThirdPartyToken:
        return GuardResult(varies=True)
    except TokenError as error:
        return GuardResult(response=refusal(error), varies=True)
    guard_result = GuardResult(token, varies=True)
    set_token_user(request, token)
    if describes:
        # A function could handle OPTIONS like another method that the token isn't allowed to use.
        guard_result.response = _describe(methods)
    elif requirement is not ANY_TOKEN:
        bind_request(request, token, requirement)
        view_class = getattr(view, "view_class", None)
        guard_result.bound_view = BoundView(token, resolution, view_class, dict(kwargs))
        guard_result.bound_view.bind_keywords(kwargs)
    return guard_result


def find_refusal(request: HttpRequest, guard_result: GuardResult, response: HttpResponseBase) -> TokenError | None:
    """Return why the token can't get this response, or None.

    Other middleware was stopped, or the response is an unlimited list or a redirect to the login page.
    """
    if guard_result.bound_view is not None and guard_result.bound_view.error is not None:
        return guard_result.bound_view.error
    decision = guard_result.token.decision if guard_result.token is not None else None
    if decision is None or getattr(response, "status_code", 500) >= 400:
        return None
    has_rows = response.status_code != HTTPStatus.NOT_MODIFIED
    if decision.limited and has_rows and not _is_limited(request, response):
        return needs_all(decision)
    return OwnerNotAllowed() if _is_to_login(request, response) else None


async def afind_refusal(
    request: HttpRequest, guard_result: GuardResult, response: HttpResponseBase
) -> TokenError | None:
    """Like `find_refusal`, without blocking the event loop if the response has to be rendered first."""
    if state_of(request).limited_list is None:
        return find_refusal(request, guard_result, response)
    return await sync_to_async(find_refusal)(request, guard_result, response)


def _is_limited(request: HttpRequest, response: Any) -> bool:
    limited_list = state_of(request).limited_list
    if limited_list is None:
        return False
    if not getattr(response, "is_rendered", True):
        response.render()  # the template reads the rows
    return is_made_of(limited_list, response, getattr(response, "context_data", None), is_whole=False)


def finalize_response(request: HttpRequest, guard_result: GuardResult, response: HttpResponseBase) -> HttpResponseBase:
    """Add `Vary` to `response` and, for a token, keep it out of caches, which would keep serving revoked tokens."""
    add_sunset(request, response)
    if guard_result.varies:
        set_cache_headers(request, response)
    return response


@sensitive_variables()
def _authenticate(
    request: HttpRequest, secret: str, requirement: Requirement | None, kwargs: Mapping[str, Any]
) -> PersonalAccessToken:
    known = state_of(request).allowed
    asked = None if requirement is None else (requirement, *(str(kwargs.get(word)) for word in requirement.keywords))
    if asked not in known:
        known[asked] = authentication.authenticate(
            secret,
            requirement,
            kwargs,
            # Whether a view limits its list is only known when it returns. Writes couldn't be undone then, so only GET
            # and HEAD are limited.
            filtered=requirement is not None and is_list(requirement) and request.method in ("GET", "HEAD"),
            # A view without a declaration can have its own keys in authtoken's format.
            third_party=requirement is None and is_legacy_key(secret),
            request=request,
        )
    return known[asked]


def _describe(methods: Sequence[str]) -> HttpResponseBase:
    allowed = [*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"]
    return HttpResponse(headers={"Allow": ", ".join(allowed)})


def _is_to_login(request: HttpRequest, response: HttpResponseBase) -> bool:
    if response.status_code not in _REDIRECTS:
        return False
    target = _split(response.get("Location", ""))
    for back in parse_qs(target.query).get(REDIRECT_FIELD_NAME, ()):
        if _split(back)._replace(scheme="", netloc="").geturl() == request.get_full_path():
            return True
    try:
        return target.path == _split(resolve_url(settings.LOGIN_URL)).path
    except NoReverseMatch:
        return False


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # for example http://[
        return SplitResult("", "", "", "", "")
