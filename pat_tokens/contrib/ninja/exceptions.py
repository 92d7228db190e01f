"""Convert token errors to responses of Django Ninja."""

from __future__ import annotations

from inspect import unwrap
from typing import TYPE_CHECKING, Any

from ninja.errors import HttpError
from ninja.operation import PathView

from pat_tokens.exceptions import InsufficientScope, KeyNotAllowed, TokenError
from pat_tokens.guards import add_sunset, refusal, refuse
from pat_tokens.http import error_status

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from ninja import NinjaAPI


class TokenRefused(HttpError):
    """A refused token: a 401, 403 or 503 with headers and a JSON body. An API can have its own handler."""

    def __init__(self, error: TokenError) -> None:
        super().__init__(error_status(error), error.message)
        self.error = error


def answer_for(api: NinjaAPI) -> None:
    """Register handlers for refused tokens with `api`, unless it has its own."""
    known = getattr(api, "_exception_handlers", {})
    if TokenRefused not in known:
        api.add_exception_handler(TokenRefused, _answer)
    for error in (InsufficientScope, KeyNotAllowed):
        if error not in known:
            api.add_exception_handler(error, _answer_view)


def _answer(request: HttpRequest, refused: Any) -> HttpResponse:
    response = refusal(refused.error)
    add_sunset(request, response)
    return response


def _answer_view(request: HttpRequest, error: Any) -> HttpResponse:
    # Raised by the operation itself: a list that couldn't be limited, or a refused write.
    return refuse(request, getattr(request, "auth", None), error)


def find_path_view(view: Any) -> PathView | None:
    """Return the Ninja PathView behind `view`, or None if it isn't a view of Ninja."""
    if getattr(view, "__module__", None) != PathView.__module__:
        return None
    view = unwrap(view)  # a closure, or in older versions a method
    holders = [getattr(view, "__self__", None)]
    holders += [cell.cell_contents for cell in getattr(view, "__closure__", None) or ()]
    return next((holder for holder in holders if isinstance(holder, PathView)), None)


__all__ = ["TokenRefused"]
