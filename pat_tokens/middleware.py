"""The door to plain Django views that is always there: a token gets into a view that asked for it, and no other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http.response import HttpResponseBase

from pat_tokens import guarding
from pat_tokens.conf import conf
from pat_tokens.csrf import SAFE_METHODS, find_forgery, has_session, needs_csrf_cookie, set_csrf_cookie
from pat_tokens.guarding import Visit
from pat_tokens.plain_views import enforces_itself, is_guarded

if TYPE_CHECKING:
    from django.http import HttpRequest

_VISIT = "_pat_tokens_visit"  # attribute of an HttpRequest: how this middleware let it in


class PersonalAccessTokenMiddleware:
    """Answers a token with 401 or 403 unless the view declares `pat_requirements` that its scopes cover.

    With the token let in, `request.user` is its owner and `request.auth` the token. Requests without a token pass
    untouched, except that a declared view is protected against CSRF where a session lets them in; so do the views of
    DRF and Django Ninja, which look at tokens themselves. Its place is before `CsrfViewMiddleware` and
    `LoginRequiredMiddleware`.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._acall(request)
        response = self.get_response(request)
        error = self._find_refusal(request, response)
        return self._finish(request, self._refuse(request, error) if error else response)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        response = await self.get_response(request)
        error = self._find_refusal(request, response)
        response = await sync_to_async(self._refuse)(request, error) if error else response
        if needs_csrf_cookie(request):  # which may lie in the session
            return await sync_to_async(self._finish)(request, response)
        return self._finish(request, response)

    @property
    def process_view(self) -> Callable[..., Any]:
        """What Django calls once it knows the view."""
        return self._aenter if self.is_async else self._enter

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Answer a token with JSON where the view raised one of our refusals, or PermissionDenied."""
        visit = _visit(request)
        if visit.token is not None and isinstance(exception, guarding.REFUSALS):
            return self._refuse(request, exception)
        return None

    def _enter(
        self, request: HttpRequest, view: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        if enforces_itself(view):
            setattr(request, _VISIT, Visit(varies=conf.header_key in request.META))
            return None
        match = request.resolver_match
        url_name = match.view_name if match else None
        visit = guarding.enter(request, view, kwargs, url_name=url_name)
        setattr(request, _VISIT, visit)
        if visit.answer is None and visit.token is None:
            visit.answer = self._find_forgery(request, view, url_name)
        return visit.answer

    def _find_forgery(
        self, request: HttpRequest, view: Callable[..., Any], url_name: str | None
    ) -> HttpResponseBase | None:
        # Also on a site that leaves CSRF protection to decorators, a guarded view does not trust a session alone.
        if request.method in SAFE_METHODS or getattr(view, "csrf_exempt", False) or not has_session(request):
            return None
        return find_forgery(request) if is_guarded(view, url_name=url_name) else None

    async def _aenter(
        self, request: HttpRequest, view: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        # Without a secret nothing is asked of the database, and no thread is needed, unless CSRF_USE_SESSIONS is on.
        if conf.header_key not in request.META and request.method in SAFE_METHODS:
            return self._enter(request, view, args, kwargs)
        return await sync_to_async(self._enter)(request, view, args, kwargs)

    def _find_refusal(self, request: HttpRequest, response: HttpResponseBase) -> Exception | None:
        return guarding.find_refusal(request, _visit(request), response)

    def _refuse(self, request: HttpRequest, error: Exception) -> HttpResponseBase:
        return guarding.refuse(request, _visit(request), error)

    def _finish(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if needs_csrf_cookie(request):
            set_csrf_cookie(request, response)
        return guarding.finish(request, _visit(request), response)


def _visit(request: HttpRequest) -> Visit:
    visit: Visit = getattr(request, _VISIT, None) or Visit()
    return visit


__all__ = ["PersonalAccessTokenMiddleware"]
