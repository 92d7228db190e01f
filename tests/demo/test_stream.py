"""Server-sent events in this process; test_server.py tests a real server."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import User
from django.http import StreamingHttpResponse
from django.test import AsyncClient
from rest_framework.test import APIClient

from demo_project.devices import streams, views
from demo_project.devices.broker import MAX_BACKLOG, Broker, LocalBroker, RedisBroker, make_broker
from demo_project.devices.models import Channel
from demo_project.devices.streams import events
from tests.demo.factories import ChannelFactory

pytestmark = pytest.mark.django_db(transaction=True)  # the view closes its connection

NOBODY_LISTENS = "redis://127.0.0.1:1/0"
ACCEPT = {"Accept": "text/event-stream"}


@pytest.fixture
def channel(alice: User) -> Channel:
    return ChannelFactory(owner=alice)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = make_broker("")
    monkeypatch.setattr(views, "broker", broker)
    return broker


def subscribed(
    user: User,
    channel: Channel,
    scenario: Callable[[StreamingHttpResponse, AsyncIterator[bytes]], Awaitable[None]],
) -> None:
    """Run `scenario` with the response and the chunks of a subscription of `user` under ASGI."""

    async def run() -> None:
        client = AsyncClient()
        await client.aforce_login(user)
        response = await client.get(f"/api/channels/{channel.pk}/subscribe/", headers=ACCEPT)
        chunks = aiter(response.streaming_content)
        async with contextlib.aclosing(chunks):
            await scenario(response, chunks)

    async_to_sync(run)()


def parsed(chunk: bytes) -> tuple[str, Any]:
    name, data = chunk.decode().strip().split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def test_messages_are_streamed(alice: User, channel: Channel, broker: Broker) -> None:
    async def scenario(response: StreamingHttpResponse, chunks: AsyncIterator[bytes]) -> None:
        assert response.status_code == 200
        assert response["Content-Type"] == "text/event-stream"
        assert response["Cache-Control"] == "no-store"
        # Already subscribed: no message is missed, although nothing has been read from the stream.
        for payload in ("first\nwith a second line", {"second": None}):
            await sync_to_async(broker.publish)(channel.pk, {"payload": payload})

        assert await anext(chunks) == b": subscribed\n\n"
        assert parsed(await anext(chunks)) == ("message", {"payload": "first\nwith a second line"})
        assert parsed(await anext(chunks)) == ("message", {"payload": {"second": None}})

    subscribed(alice, channel, scenario)


def test_message_has_publisher_and_time(alice: User, as_alice: APIClient, channel: Channel, broker: Broker) -> None:
    async def scenario(response: StreamingHttpResponse, chunks: AsyncIterator[bytes]) -> None:
        publish = sync_to_async(as_alice.post)
        published = await publish(f"/api/channels/{channel.pk}/publish/", {"payload": {"temperature": 21.5}})
        assert published.json() == {"receivers": 1}

        await anext(chunks)
        name, data = parsed(await anext(chunks))
        assert (name, data["payload"], data["published_by"]) == ("message", {"temperature": 21.5}, "alice")
        assert data["published_at"].endswith("+00:00")

    subscribed(alice, channel, scenario)


def test_heartbeat_is_sent(alice: User, channel: Channel, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.01)

    async def scenario(response: StreamingHttpResponse, chunks: AsyncIterator[bytes]) -> None:
        assert [await anext(chunks) for _ in range(3)][1:] == [b": heartbeat\n\n"] * 2
        # The pending read hasn't lost a message.
        await sync_to_async(broker.publish)(channel.pk, {"payload": 1})
        while (chunk := await anext(chunks)) == b": heartbeat\n\n":
            pass
        assert parsed(chunk) == ("message", {"payload": 1})

    subscribed(alice, channel, scenario)


def test_disconnecting_unsubscribes(alice: User, channel: Channel, broker: Broker) -> None:
    async def scenario(response: StreamingHttpResponse, chunks: AsyncIterator[bytes]) -> None:
        await anext(chunks)
        assert await sync_to_async(broker.publish)(channel.pk, {"payload": 1}) == 1
        await anext(chunks)

        await chunks.aclose()
        del response
        await asyncio.sleep(0)
        while await sync_to_async(broker.publish)(channel.pk, {"payload": 1}):
            pass  # the event loop closes the inner generator a little later

    subscribed(alice, channel, scenario)


def test_stream_ends_with_token(broker: Broker, channel: Channel) -> None:
    async def scenario() -> None:
        ended = asyncio.Event()
        chunks = events(await broker.subscribe(channel.pk), contextlib.nullcontext(ended))
        assert await anext(chunks) == b": subscribed\n\n"

        ended.set()

        assert [parsed(chunk) async for chunk in chunks] == [("end", {"reason": "token_ended"})]
        assert broker.publish(channel.pk, {"payload": 1}) == 0

    async_to_sync(scenario)()


def test_nothing_is_sent_after_token_ended(broker: Broker, channel: Channel) -> None:
    async def scenario() -> None:
        ended = asyncio.Event()
        chunks = events(await broker.subscribe(channel.pk), contextlib.nullcontext(ended))
        await anext(chunks)

        broker.publish(channel.pk, {"payload": "a secret"})
        ended.set()

        assert [parsed(chunk)[0] async for chunk in chunks] == ["end"]

    async_to_sync(scenario)()


def test_slow_subscriber_gets_error(broker: Broker, channel: Channel) -> None:
    async def scenario() -> None:
        chunks = events(await broker.subscribe(channel.pk), contextlib.nullcontext(asyncio.Event()))
        await anext(chunks)
        for _ in range(MAX_BACKLOG + 1):
            broker.publish(channel.pk, {"payload": 1})

        *messages, last = [parsed(chunk) async for chunk in chunks]

        assert len(messages) == MAX_BACKLOG
        assert last == ("end", {"reason": "too_slow"})

    async_to_sync(scenario)()


class TestRefusals:
    def test_wsgi_is_refused(self, as_alice: APIClient, channel: Channel) -> None:
        for accept in ("text/event-stream", "*/*"):
            response = as_alice.get(f"/api/channels/{channel.pk}/subscribe/", HTTP_ACCEPT=accept)

            assert response.status_code == 501
            assert "ASGI" in response.json()["detail"]

    @pytest.mark.parametrize("path", ["subscribe/", "publish/"])
    def test_are_json_whatever_accept_header(self, alice: User, path: str) -> None:
        async def scenario() -> None:
            client = AsyncClient()
            await client.aforce_login(alice)
            method = client.get if path == "subscribe/" else client.post
            response = await method(f"/api/channels/no-such-channel/{path}", headers={"Accept": "*/*"})
            assert (response.status_code, response["Content-Type"]) == (404, "application/json")

            response = await client.get("/api/channels/no-such-channel/subscribe/", headers=ACCEPT)
            assert (response.status_code, response["Content-Type"]) == (404, "application/json")
            assert "detail" in response.json()

        async_to_sync(scenario)()

    def test_unsupported_accept_header_is_406(self, as_alice: APIClient, channel: Channel) -> None:
        response = as_alice.get(f"/api/channels/{channel.pk}/subscribe/", HTTP_ACCEPT="image/png")

        assert response.status_code == 406

    def test_missing_redis_is_503(
        self, alice: User, as_alice: APIClient, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(views, "broker", RedisBroker(NOBODY_LISTENS))

        async def scenario() -> None:
            client = AsyncClient()
            await client.aforce_login(alice)
            response = await client.get(f"/api/channels/{channel.pk}/subscribe/", headers=ACCEPT)
            assert (response.status_code, response["Content-Type"]) == (503, "application/json")

        async_to_sync(scenario)()
        response = as_alice.post(f"/api/channels/{channel.pk}/publish/", {"payload": 1})
        assert response.status_code == 503
        assert "Redis does not answer" in response.json()["detail"]
        assert as_alice.get(f"/api/channels/{channel.pk}/").status_code == 200

    def test_head_does_not_stream(self, alice: User, channel: Channel, broker: LocalBroker) -> None:
        async def scenario() -> None:
            client = AsyncClient()
            await client.aforce_login(alice)
            response = await client.head(f"/api/channels/{channel.pk}/subscribe/", headers=ACCEPT)
            assert (response.status_code, response.content) == (200, b"")
            assert response["Content-Type"] == "text/event-stream"

        async_to_sync(scenario)()
        assert broker.publish(channel.pk, {"payload": 1}) == 0
