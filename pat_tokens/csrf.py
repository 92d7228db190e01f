"""CSRF protection for pages and guarded views that does not depend on the site's middleware."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.signals import got_request_exception
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.decorators import decorator_from_middleware

from pat_tokens.conf import site_middleware
from pat_tokens.http import SAFE_METHODS

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

# Attributes of a request that disable Django's check. Any middleware can set them.
_SWITCHES = ("_dont_enforce_csrf_checks", "csrf_processing_done")


def find_forgery(request: HttpRequest) -> HttpResponseBase | None:
    """Return the response to a request that fails Django's CSRF check, or None.

    `request._dont_enforce_csrf_checks` is ignored, except for Django's test client: middleware that sets it for its own
    credentials would otherwise also disable the check for sessions.
    """
    if request.method in SAFE_METHODS or _is_exempt_test_client():
        return None
    checker = _make_checker()
    checker.process_request(request)
    switches = {name: request.__dict__.pop(name) for name in _SWITCHES if name in request.__dict__}
    # Django's own method: a site's subclass can change which origins are trusted, but not skip the check.
    refusal = CsrfViewMiddleware.process_view(checker, request, _protected, (), {})
    request.__dict__.update(switches)
    return refusal


def needs_csrf_cookie(request: HttpRequest) -> bool:
    """Return whether the response contains a CSRF token without the cookie that it is compared with."""
    return bool(request.META.get("CSRF_COOKIE_NEEDS_UPDATE"))


def set_csrf_cookie(request: HttpRequest, response: HttpResponseBase) -> None:
    """Set the CSRF cookie that a form in `response` needs on a site without Django's middleware."""
    _make_checker().process_response(request, response)


def has_session(request: HttpRequest) -> bool:
    """Return whether `request` has a session, which browsers also send with requests from other sites."""
    session = getattr(request, "session", None)
    return settings.SESSION_COOKIE_NAME in request.COOKIES or not (session is None or session.is_empty())


class _AlwaysProtected(CsrfViewMiddleware):
    def process_view(
        self,
        request: HttpRequest,
        callback: Callable[..., Any] | None,
        callback_args: Sequence[Any],
        callback_kwargs: Mapping[str, Any],
    ) -> Any:
        return find_forgery(request)


always_csrf_protect = decorator_from_middleware(_AlwaysProtected)


def _make_checker() -> CsrfViewMiddleware:
    # A site's subclass can trust more origins.
    for _path, middleware in site_middleware("django.middleware.csrf.CsrfViewMiddleware"):
        if isinstance(middleware, type) and issubclass(middleware, CsrfViewMiddleware):
            return middleware(_no_response)
    return CsrfViewMiddleware(_no_response)


def _is_exempt_test_client() -> bool:
    # Django's test clients set the same attribute that middleware can set. A client is connected to this signal while
    # it waits for its response, so its own setting can be read from it.
    testing = sys.modules.get("django.test.client")
    if testing is None:
        return False
    receivers, _async_receivers = got_request_exception._live_receivers(None)
    owners = [getattr(receiver, "__self__", None) for receiver in receivers]
    clients = [owner for owner in owners if isinstance(owner, testing.ClientMixin)]
    return bool(clients) and not any(client.handler.enforce_csrf_checks for client in clients)


def _protected(request: HttpRequest) -> HttpResponseBase:
    raise NotImplementedError


def _no_response(request: HttpRequest) -> HttpResponseBase:
    raise NotImplementedError
