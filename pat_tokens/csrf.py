"""CSRF protection for pages and guarded views that does not depend on the site's middleware."""

from __future__ import annotations

import sys
from functools import cache
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
_djangos: Any = CsrfViewMiddleware  # some methods are private


def find_forgery(request: HttpRequest) -> HttpResponseBase | None:
    """Return the response to a request that fails Django's CSRF check, or None.

    `request._dont_enforce_csrf_checks` is ignored, except for Django's test client: middleware that sets it for its own
    credentials would otherwise also disable the check for sessions.
    """
    if request.method in SAFE_METHODS or _is_of_exempt_test_client(request):
        return None
    checker = _make_checker()
    checker.process_request(request)
    switches = {name: request.__dict__.pop(name) for name in _SWITCHES if name in request.__dict__}
    refusal = checker.process_view(request, _not_called, (), {})
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
    def process_view(self, request: HttpRequest, *args: Any) -> Any:
        return find_forgery(request)


always_csrf_protect = decorator_from_middleware(_AlwaysProtected)


def _make_checker() -> CsrfViewMiddleware:
    for _path, middleware in site_middleware("django.middleware.csrf.CsrfViewMiddleware"):
        if isinstance(middleware, type) and issubclass(middleware, CsrfViewMiddleware):
            return _checker_of(middleware)(_not_called)  # type: ignore[arg-type]  # types are hashable
    return CsrfViewMiddleware(_not_called)


@cache
def _checker_of(middleware: Any) -> type[CsrfViewMiddleware]:
    """Return a subclass of a site's middleware with Django's own check.

    A site's subclass can change which origins are trusted, where the CSRF token is stored and how a refusal looks, but
    not skip the check, for example for its own credentials or to only log what it would refuse.
    """

    class Checker(middleware):  # type: ignore[misc]
        process_view = _djangos.process_view
        _check_token = _djangos._check_token

        def _reject(self, request: HttpRequest, reason: str) -> Any:
            return super()._reject(request, reason) or _djangos._reject(self, request, reason)

    return Checker


def _is_of_exempt_test_client(request: HttpRequest) -> bool:
    # Django's test clients set the same attribute that middleware can set. A client is connected to this signal while
    # it waits for its response, so its own setting can be read from it. If a site uses a test client itself, it can
    # handle other requests at the same time, so only requests that a client created count.
    testing = sys.modules.get("django.test.client")
    if testing is None or not _is_from_memory(request, testing):
        return False
    receivers, _async_receivers = got_request_exception._live_receivers(None)
    owners = [getattr(receiver, "__self__", None) for receiver in receivers]
    clients = [owner for owner in owners if isinstance(owner, testing.ClientMixin)]
    return bool(clients) and not any(client.handler.enforce_csrf_checks for client in clients)


def _is_from_memory(request: Any, testing: Any) -> bool:
    """Return whether `request` was created by a test client, and not received by a server."""
    if isinstance(getattr(request, "environ", {}).get("wsgi.input"), testing.FakePayload):
        return True
    _host, port = getattr(request, "scope", {}).get("server") or (None, None)
    return isinstance(port, str)  # servers use numbers


def _not_called(request: HttpRequest) -> HttpResponseBase:
    raise NotImplementedError
