"""Check that an operation of Django Ninja returns only rows of the limited queryset."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ninja.operation import Operation

from pat_tokens.contrib.ninja.exceptions import find_path_view
from pat_tokens.filtering import is_made_of
from pat_tokens.guards import add_sunset, set_cache_headers
from pat_tokens.request_state import state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

_STEPS = ("_result_to_response", "_stream_response", "_async_stream_response")


def find_operation(request: HttpRequest) -> Operation | None:
    """Return the operation that handles `request`, or None if a decorator hides it."""
    match = request.resolver_match
    path_view = find_path_view(match.func) if match else None
    if path_view is None:
        return None
    return next((one for one in path_view.operations if request.method in one.methods), None)


def can_be_bound(operation: Operation | None) -> bool:
    """Return whether the return value of `operation` can be checked before it becomes a response."""
    return operation is not None and hasattr(operation, _STEPS[0])


def bind_operation(operation: Operation) -> None:
    """Check what `operation` returns to a token, and add headers to its responses."""
    own: Any = operation
    for name in _STEPS:
        step = getattr(own, name, None)
        if step is not None and name not in vars(own):
            setattr(own, name, partial(_answer_token, own, step))


def _answer_token(
    operation: Any, step: Callable[..., Any], request: HttpRequest, result: Any, *args: Any, **kwargs: Any
) -> Any:
    rows = state_of(request).limited_list
    response = step(request, result, *args, **kwargs)
    if hasattr(response, "__await__"):
        return _answer_later(operation, request, response)
    _add_headers(request, response)
    if rows is None or getattr(response, "status_code", 500) >= 400:
        return response
    return response if is_made_of(rows, response, result) else operation.api.on_exception(request, rows.refusal())


def _add_headers(request: HttpRequest, response: Any) -> None:
    add_sunset(request, response)
    set_cache_headers(request, response)


async def _answer_later(operation: Any, request: HttpRequest, response: Any) -> Any:
    response, rows = await response, state_of(request).limited_list
    _add_headers(request, response)
    if rows is None or await rows.abind_stream(response):
        return response
    return operation.api.on_exception(request, rows.refusal())
