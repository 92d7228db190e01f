"""Authenticate WebSocket handshakes, and close connections when their token stops working."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import Awaitable, Callable, MutableMapping
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from channels.db import database_sync_to_async  # type: ignore[import-untyped]
from channels.routing import URLRouter  # type: ignore[import-untyped]
from django.core.handlers.asgi import ASGIRequest
from django.views.decorators.debug import sensitive_variables

from pat_tokens import authentication
from pat_tokens.conf import conf
from pat_tokens.crypto import SecretBytes, SecretText, is_legacy_key
from pat_tokens.declarations import find_own, find_sources
from pat_tokens.exceptions import InvalidToken, ThirdPartyToken, TokenError
from pat_tokens.guards import add_sunset, refusal
from pat_tokens.http import error_status, hide_scope_headers, hide_secrets
from pat_tokens.request_state import state_of
from pat_tokens.requirements import Requirement
from pat_tokens.watcher import watch

if TYPE_CHECKING:
    from django.http import HttpRequest

    from pat_tokens.models import PersonalAccessToken

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Attributes in which middleware keeps the wrapped application; Channels' OriginValidator uses the second.
_INNER = ("inner", "application")
_CLOSE_CODES = 4000  # plus the corresponding HTTP status; RFC 6455 section 7.4.2 reserves 4000 to 4999 for applications
_ENDED = _CLOSE_CODES + error_status(InvalidToken())  # the token stopped working
_SCHEMES = {"ws": "http", "wss": "https"}  # by the scheme of the handshake


class PersonalAccessTokenMiddleware:
    """Wraps a `URLRouter`, or middleware around one, and guards all of its consumers.

    A consumer declares `pat_requirements = {"GET": Requirement(...)}`, because a WebSocket starts with a GET request,
    or is declared with `declare_view`. If the token is accepted, `scope["user"]` is its owner and `scope["token"]` is
    the token. The socket is closed with code 4401 within seconds after the token stops working. Consumers without a
    declaration refuse tokens. Handshakes without a token pass unchanged.
    """

    def __init__(self, inner: Application) -> None:
        self.inner = _guarded(inner)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _hide_secrets(scope)
        await self.inner(scope, receive, send)


class ConsumerGuard:
    """Authenticates handshakes for one consumer."""

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the consumer, or deny the handshake if its token is refused."""
        name = conf.header.lower().encode("latin-1")
        if scope["type"] != "websocket":
            return await self.app(scope, receive, send)
        _hide_secrets(scope)
        credentials = _Subprotocols.of(scope)
        if not credentials.value and all(key.lower() != name for key, _value in scope["headers"]):
            return await self.app(scope, receive, send)
        # The handshake as a request, for the site's callables and for recording the last use.
        scheme = _SCHEMES.get(scope.get("scheme", ""), "http")
        request = ASGIRequest({**scope, "type": "http", "method": "GET", "scheme": scheme}, BytesIO())
        if credentials.value:
            # Together with a header, this is like sending the header twice.
            given = filter(None, (request.META.get(conf.header_key), credentials.value))
            request.META[conf.header_key] = SecretText(", ".join(given))
        try:
            token = await database_sync_to_async(self.authenticate)(scope, request)
        except TokenError as error:
            return await _deny(error, request, scope, receive, send)
        if token is None:
            return await self.app(scope, receive, send)
        scope = {**scope, "user": token.user, "token": token, "subprotocols": credentials.others}
        send = _with_answer(send, credentials.keyword, state_of(request).sunset)
        return await _run_until_inactive(token, self.app, scope, receive, send)

    @sensitive_variables("secret")
    def authenticate(self, scope: Scope, request: HttpRequest) -> PersonalAccessToken | None:
        """Return the token of the handshake, or None if it has none. Raises TokenError."""
        secret = authentication.read_secret(request)
        if secret is None:
            return None
        kwargs = scope.get("url_route", {}).get("kwargs", {})
        requirement = self.find_requirement()
        # A consumer without a declaration can have keys of another scheme.
        third_party = requirement is None and is_legacy_key(secret)
        try:
            return authentication.authenticate(secret, requirement, kwargs, third_party=third_party, request=request)
        except ThirdPartyToken:
            return None

    def find_requirement(self) -> Requirement | None:
        """Return what the consumer declares, or None."""
        consumer = getattr(self.app, "consumer_class", self.app)
        given = getattr(self.app, "consumer_initkwargs", {})
        own = find_own(consumer, given) if isinstance(consumer, type) else getattr(consumer, "pat_requirements", None)
        declared = find_sources(view=consumer, url_name=None, own=own).find(("GET",))
        return declared.requirement if declared else None


class _Subprotocols(NamedTuple):
    """The subprotocols `bearer, <secret>`, which browsers send because they can't set a header."""

    value: SecretText  # as in a header; empty if no subprotocol contains a secret
    others: list[str]  # the subprotocols that a consumer can choose from
    keyword: str | None  # the subprotocol to confirm if the consumer chooses none

    @classmethod
    def of(cls, scope: Scope) -> _Subprotocols:
        offered = scope.get("subprotocols") or []
        keywords = [keyword.lower() for keyword in conf.keywords]
        values, others, keyword = [], [], None
        for before, text in zip([None, *offered], offered, strict=False):
            if not _may_hold_secret(text):
                others.append(text)
            elif before is not None and before.lower() in keywords:
                keyword = before
                values.append(SecretText(f"{before} {text}"))
            else:
                values.append(text)
        return cls(SecretText(", ".join(values)), others, keyword)


def _hide_secrets(scope: Scope) -> None:
    if scope["type"] != "websocket":
        return
    part = f"{conf.prefix}_".encode()
    others = [name.decode("latin-1") for name, value in scope.get("headers") or () if part in value]
    hide_scope_headers(scope, conf.header, "Sec-WebSocket-Protocol", *others)
    hide_secrets(scope.get("cookies") or {}, conf.prefix)
    if part in scope.get("query_string", b""):
        scope["query_string"] = SecretBytes(scope["query_string"])
    offered = scope.get("subprotocols") or []
    if any(map(_may_hold_secret, offered)):
        hidden = [SecretText(text) if _may_hold_secret(text) else text for text in offered]
        if isinstance(offered, list):
            offered[:] = hidden
        else:
            scope["subprotocols"] = hidden


def _may_hold_secret(text: str) -> bool:
    return f"{conf.prefix}_" in text or (conf.allow_legacy_keys and is_legacy_key(text))


def _guarded(app: Any) -> Any:
    if isinstance(app, ConsumerGuard | PersonalAccessTokenMiddleware):
        return app
    if isinstance(app, URLRouter):
        router = copy.copy(app)
        router.routes = [copy.copy(route) for route in app.routes]
        for route in router.routes:
            route.callback = _guarded(route.callback)
        return router
    for name in _INNER:
        if hasattr(app, name):
            middleware = copy.copy(app)
            setattr(middleware, name, _guarded(getattr(app, name)))
            return middleware
    return ConsumerGuard(app)


def _with_answer(send: Send, keyword: str | None, sunset: str | None) -> Send:
    """Return `send`, which confirms the subprotocol, unless the consumer has chosen another, and adds `Sunset`."""

    async def send_answer(message: Message) -> None:
        if message["type"] == "websocket.accept":
            if keyword is not None and not message.get("subprotocol"):
                message = {**message, "subprotocol": keyword}
            if sunset is not None:
                message = {**message, "headers": [*message.get("headers", ()), (b"sunset", sunset.encode())]}
        await send(message)

    return send_answer


async def _deny(error: TokenError, request: HttpRequest, scope: Scope, receive: Receive, send: Send) -> None:
    await receive()  # websocket.connect, which precedes any response
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        # Most servers turn this into a plain 403.
        await send({"type": "websocket.close", "code": _CLOSE_CODES + error_status(error), "reason": error.code})
        return
    response: Any = refusal(error)
    add_sunset(request, response)
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    await send({"type": "websocket.http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": response.content})


async def _run_until_inactive(
    token: PersonalAccessToken, app: Application, scope: Scope, receive: Receive, send: Send
) -> None:
    async with watch(token) as ended:
        socket = _Socket(receive, send, ended)
        closing = asyncio.ensure_future(socket.close_when_inactive())
        try:
            await app(scope, socket.receive, socket.send)
        finally:
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)


class _Socket:
    """A connection that is closed once `ended` is set, whatever its consumer is doing."""

    def __init__(self, receive: Receive, send: Send, ended: asyncio.Event) -> None:
        self._receive = receive
        self._send = send
        self.ended = ended
        self.closed = False

    async def receive(self) -> Message:
        message = asyncio.ensure_future(self._receive())
        end = asyncio.ensure_future(self.ended.wait())
        try:
            await asyncio.wait({message, end}, return_when=asyncio.FIRST_COMPLETED)
            if not self.ended.is_set():
                self.closed = self.closed or message.result()["type"] == "websocket.disconnect"
                return message.result()
        finally:
            for task in (message, end):
                task.cancel()
        await self.close()
        return {"type": "websocket.disconnect", "code": _ENDED}

    async def send(self, message: Message) -> None:
        if self.closed:
            return  # the consumer can keep sending until it receives `websocket.disconnect`
        self.closed = message["type"] == "websocket.close"
        await self._send(message)

    async def close_when_inactive(self) -> None:
        await self.ended.wait()
        await self.close()

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            with contextlib.suppress(OSError):  # the client has already disconnected
                await self._send({"type": "websocket.close", "code": _ENDED, "reason": InvalidToken.code})


__all__ = ["PersonalAccessTokenMiddleware"]
