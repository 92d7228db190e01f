"""Middleware that authenticates tokens for plain Django views."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http.response import HttpResponseBase

from pat_tokens.conf import conf
from pat_tokens.csrf import find_forgery, has_session, needs_csrf_cookie, set_csrf_cookie
from pat_tokens.django_views import guards
from pat_tokens.django_views.bound_views import guard_class_based_views, use_url_keywords
from pat_tokens.django_views.requirements import is_guarded
from pat_tokens.guards import REFUSALS, refuse, release_request
from pat_tokens.http import SAFE_METHODS
from pat_tokens.integrations import integration_of
from pat_tokens.request_state import GuardResult, state_of

if TYPE_CHECKING:
    from django.http import HttpRequest


class PersonalAccessTokenMiddleware:
    """Refuses a token with 401 or 403 unless the view declares `pat_requirements` that its scopes cover.

    If the token is accepted, `request.user` is its owner and `request.auth` is the token. Requests without a token are
    unaffected, except that declared views check CSRF for requests with a session. Views of DRF and Django Ninja read
    tokens themselves. List the middleware before `CsrfViewMiddleware` and `LoginRequiredMiddleware`.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        guard_class_based_views()
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if conf.header_key in request.META:
            use_url_keywords(request)
        if self.is_async:
            return self._acall(request)
        response = self.get_response(request)
        guard_result = _guard_result(request)
        error = guards.find_refusal(request, guard_result, response)
        return self._finalize_response(request, guard_result, self._refuse(request, error) if error else response)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        response = await self.get_response(request)
        guard_result = _guard_result(request)
        error = await guards.afind_refusal(request, guard_result, response)
        response = await sync_to_async(self._refuse)(request, error) if error else response
        if needs_csrf_cookie(request):  # which can be in the session
            return await sync_to_async(self._finalize_response)(request, guard_result, response)
        return self._finalize_response(request, guard_result, response)

    @property
    def process_view(self) -> Callable[..., Any]:
        """Called by Django when the view is known."""
        return self._aauthenticate if self.is_async else self._authenticate

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Return JSON to a token if the view raised PermissionDenied or an error of this package."""
        guard_result = _guard_result(request)
        if guard_result.token is not None and isinstance(exception, REFUSALS):
            return self._refuse(request, exception)
        return None

    def _authenticate(
        self, request: HttpRequest, view: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        if integration_of(view) is not None:
            state_of(request).guard_result = GuardResult(varies=conf.header_key in request.META)
            return None
        match = request.resolver_match
        url_name, route = (match.view_name, match.route) if match else (None, None)
        guard_result = guards.authenticate_request(request, view, kwargs, url_name=url_name, route=route)
        state_of(request).guard_result = guard_result
        if guard_result.response is None and guard_result.token is None:
            guard_result.response = self._find_forgery(request, view, url_name, route)
        return guard_result.response

    def _find_forgery(
        self, request: HttpRequest, view: Callable[..., Any], url_name: str | None, route: str | None
    ) -> HttpResponseBase | None:
        # Even on a site that leaves CSRF protection to decorators, a guarded view doesn't trust a session alone.
        if request.method in SAFE_METHODS or getattr(view, "csrf_exempt", False) or not has_session(request):
            return None
        return find_forgery(request) if is_guarded(view, url_name=url_name, route=route) else None

    async def _aauthenticate(
        self, request: HttpRequest, view: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        # Without a secret there is no query, so no thread is needed, unless CSRF_USE_SESSIONS is on.
        if conf.header_key not in request.META and request.method in SAFE_METHODS:
            return self._authenticate(request, view, args, kwargs)
        return await sync_to_async(self._authenticate)(request, view, args, kwargs)

    def _refuse(self, request: HttpRequest, error: Exception) -> HttpResponseBase:
        return refuse(request, _guard_result(request).token, error)

    def _finalize_response(
        self, request: HttpRequest, guard_result: GuardResult, response: HttpResponseBase
    ) -> HttpResponseBase:
        if guard_result.token is not None:
            release_request(request)
        if needs_csrf_cookie(request):
            set_csrf_cookie(request, response)
        return guards.finalize_response(request, guard_result, response)


def _guard_result(request: HttpRequest) -> GuardResult:
    return state_of(request).guard_result or GuardResult()


__all__ = ["PersonalAccessTokenMiddleware"]
