"""Whole requests, from the WSGI or ASGI handler to the last byte of the response."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import AsyncRequestFactory, RequestFactory

Ask = Callable[[], int]  # sends the request and returns the status of the response


def by_wsgi(handler: WSGIHandler, path: str, headers: dict[str, str] | None = None) -> Ask:
    """Return a function that sends this request through the WSGI handler."""
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


def by_asgi(handler: ASGIHandler, path: str, headers: dict[str, str] | None = None) -> Callable[[], Awaitable[int]]:
    """Return a function that sends this request through the ASGI handler."""
    scope = AsyncRequestFactory().get(path, headers=headers).scope

    async def ask() -> int:
        received = 0
        status = 0

        async def receive() -> dict[str, Any]:
            nonlocal received
            received += 1
            if received > 1:
                await asyncio.Event().wait()  # the client stays connected
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)

        await handler(dict(scope), receive, send)  # type: ignore[arg-type]
        return status

    return ask


def headers_of(authorization: str | None) -> dict[str, str]:
    """Return the headers of a request with these credentials."""
    return {} if authorization is None else {"Authorization": authorization}
