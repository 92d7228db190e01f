"""Middleware for all requests of the site."""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

CSP_HEADER = "Content-Security-Policy"
CSP = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

Handler = Callable[[HttpRequest], Any]


@sync_and_async_middleware
def site(get_response: Handler) -> Handler:
    """Set the strict policy on every response, unless its view has set another one."""
    if iscoroutinefunction(get_response):
        respond: Callable[[HttpRequest], Awaitable[HttpResponseBase]] = get_response

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            prepare(request)
            return finish(await respond(request))

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        prepare(request)
        return finish(get_response(request))

    return middleware


def prepare(request: HttpRequest) -> None:
    # PostgreSQL raises an error for session keys with a NUL, and Django doesn't validate them.
    request.COOKIES = {name: value for name, value in request.COOKIES.items() if "\0" not in value}


def finish(response: HttpResponseBase) -> HttpResponseBase:
    # Django 6.0 has a middleware for this, but Django 5.2 doesn't.
    response.headers.setdefault(CSP_HEADER, CSP)
    return response
