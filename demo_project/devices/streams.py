"""Server-sent events of a subscription, which end when the token stops working."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

from django.http import StreamingHttpResponse

from demo_project.devices.broker import BrokerUnavailableError, SubscriberTooSlowError, Subscription
from pat_tokens.models import PersonalAccessToken
from pat_tokens.watcher import watch

CONTENT_TYPE = "text/event-stream"
HEARTBEAT_SECONDS = (
    15  # without messages; a comment then keeps proxies from closing the connection, and detects disconnected clients
)


def stream_response(subscription: Subscription, auth: Any) -> StreamingHttpResponse:
    """Return a response with the messages of `subscription`; `auth` is `request.auth`, of any scheme."""
    return StreamingHttpResponse(
        events(subscription, watching(auth)),
        content_type=CONTENT_TYPE,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def watching(auth: Any) -> AbstractAsyncContextManager[asyncio.Event]:
    """Return a context with an event that is set when the token of a request stops working."""
    if isinstance(auth, PersonalAccessToken):
        return watch(auth)
    return contextlib.nullcontext(asyncio.Event())  # sessions aren't watched


async def events(
    subscription: Subscription, watched: AbstractAsyncContextManager[asyncio.Event]
) -> AsyncIterator[bytes]:
    """Yield messages until the client disconnects, the token stops working or the broker fails."""
    try:
        async with watched as ended:
            yield b": subscribed\n\n"
            async for chunk in merge(subscription, ended):
                yield chunk
    finally:
        await subscription.close()


async def merge(subscription: Subscription, ended: asyncio.Event) -> AsyncIterator[bytes]:
    message = asyncio.ensure_future(subscription.get())
    end = asyncio.ensure_future(ended.wait())
    try:
        while True:
            # `wait` doesn't cancel the tasks after the timeout: a cancelled read could lose a message.
            done, _ = await asyncio.wait({message, end}, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if end in done:
                yield event("end", {"reason": "token_ended"})
                return
            if message in done:
                yield event("message", message.result())
                message = asyncio.ensure_future(subscription.get())
            else:
                yield b": heartbeat\n\n"
    except BrokerUnavailableError:
        yield event("end", {"reason": "broker_unavailable"})
    except SubscriberTooSlowError:
        yield event("end", {"reason": "too_slow"})
    finally:
        message.cancel()
        end.cancel()
        await asyncio.gather(message, end, return_exceptions=True)


def event(name: str, data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
