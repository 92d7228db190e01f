"""Whole requests, from the WSGI handler to the last byte of the response."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory

Ask = Callable[[], int]  # sends the request and returns the status of the response


def by_wsgi(handler: WSGIHandler, path: str, authorization: str | None = None) -> Ask:
    """Return a function that sends this request through the handler."""
    headers = None if authorization is None else {"Authorization": authorization}
    environ = RequestFactory().get(path, headers=headers).environ
    status = ""

    def start_response(line: str, _headers: Any, _exc_info: Any = None) -> None:
        nonlocal status
        status = line

    def ask() -> int:
        response: Any = handler(dict(environ), start_response)  # type: ignore[arg-type]
        b"".join(response)
        response.close()
        return int(status[:3])

    return ask


def repeat(ask: Ask) -> Callable[[int], None]:
    """Return a function that sends the request so many times."""

    def run(count: int) -> None:
        for _ in range(count):
            assert ask() == 200

    return run
