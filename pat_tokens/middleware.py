"""The door to plain Django views that is always there: a token gets into a view that asked for it, and no other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http.response import HttpResponseBase

from pat_tokens.conf import conf
from pat_tokens.django_views import guards
from pat_tokens.django_views.guards import GuardResult
from pat_tokens.integrations import integration_of
from pat_tokens.request_state import state_of

if TYPE_CHECKING:
    from django.http import HttpRequest


class PersonalAccessTokenMiddleware:
    """Answers a token with 401 or 403 unless the view declares `pat_requirements` that its scopes cover.

    With the token let in, `request.user` is its owner and `request.auth` the token. Requests without a token, and the
    views of DRF and Django Ninja, which look at tokens themselves, pass untouched. Its place is before
    `CsrfViewMiddleware` and `LoginRequiredMiddleware`.
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
        return self._finalize_response(request, self._refuse(request, error) if error else response)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        response = await self.get_response(request)
        error = self._find_refusal(request, response)
        return self._finalize_response(
            request, await sync_to_async(self._refuse)(request, error) if error else response
        )

    @property
    def process_view(self) -> Callable[..., Any]:
        """What Django calls once it knows the view."""
        return self._aauthenticate if self.is_async else self._authenticate

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Answer a token with JSON where the view raised one of our refusals, or PermissionDenied."""
        guard_result = _guard_result(request)
        if guard_result.token is not None and isinstance(exception, guards.REFUSALS):
            return self._refuse(request, exception)
        return None

    def _authenticate(
        self, request: HttpRequest, view: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        if integration_of(view) is not None:
            state_of(request).guard_result = GuardResult(varies=conf.header_key in request.META)
            return None
        match = request.resolver_match
        guard_result = guards.authenticate_request(request, view, kwargs, url_name=match.view_name if match else None)
        state_of(request).guard_result = guard_result
        return guard_result.response

    async def _aauthenticate(
        self, request: HttpRequest, view: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        if conf.header_key not in request.META:  # then nothing is asked of the database, and no thread is needed
            return self._authenticate(request, view, args, kwargs)
        return await sync_to_async(self._authenticate)(request, view, args, kwargs)

    def _find_refusal(self, request: HttpRequest, response: HttpResponseBase) -> Exception | None:
        return guards.find_refusal(request, _guard_result(request), response)

    def _refuse(self, request: HttpRequest, error: Exception) -> HttpResponseBase:
        return guards.refuse(request, _guard_result(request), error)

    def _finalize_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return guards.finalize_response(request, _guard_result(request), response)


def _guard_result(request: HttpRequest) -> GuardResult:
    return state_of(request).guard_result or GuardResult()


__all__ = ["PersonalAccessTokenMiddleware"]
