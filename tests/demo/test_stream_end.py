"""A stream ends when its token stops working."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import User
from django.test import AsyncClient
from django.utils import timezone

from demo_project.devices import views
from demo_project.devices.broker import LocalBroker
from demo_project.devices.models import Channel
from pat_tokens import watcher
from pat_tokens.models import PersonalAccessToken
from pat_tokens.services import (
    add_scopes,
    create_token,
    delete_scopes,
    delete_token,
    regenerate_token,
    revoke_token,
    update_token,
)
from tests.demo.factories import ChannelFactory
from tests.demo.servers import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)

Change = Callable[[PersonalAccessToken], object]


@pytest.fixture
def channel(alice: User) -> Channel:
    return ChannelFactory(owner=alice)


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch) -> LocalBroker:
    broker = LocalBroker()
    monkeypatch.setattr(views, "broker", broker)
    monkeypatch.setattr(watcher, "INTERVAL", 0.02)
    return broker


def expire(token: PersonalAccessToken) -> None:
    now = timezone.now()
    PersonalAccessToken.objects.filter(pk=token.pk).update(issued_at=now - timedelta(hours=1), expires_at=now)


def deactivate_owner(token: PersonalAccessToken) -> None:
    User.objects.filter(pk=token.user_id).update(is_active=False)


def delete_owner(token: PersonalAccessToken) -> None:
    Channel.objects.update(owner=User.objects.create(username="heir"))
    User.objects.filter(pk=token.user_id).delete()


def rename(token: PersonalAccessToken) -> None:
    update_token(token, name="another name")


def add_another_scope(token: PersonalAccessToken) -> None:
    add_scopes(token, [("clients", "*", "read")])


async def looks_go_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait until the watcher has checked the open streams once."""
    find_ended, seen = watcher.find_ended, asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()

    def counted(watches: Iterable[watcher.Watch]) -> list[watcher.Watch]:
        ended = find_ended(watches)
        loop.call_soon_threadsafe(seen.release)
        return ended

    with monkeypatch.context() as patched:
        patched.setattr(watcher, "find_ended", counted)
        # The streams know the result of the first check when the second has started.
        await seen.acquire()
        await seen.acquire()


async def subscribe(channel: Channel, secret: str) -> AsyncIterator[bytes]:
    """Return the chunks of a stream after the greeting."""
    response = await AsyncClient().get(
        f"/api/channels/{channel.pk}/subscribe/", headers={"Authorization": f"Bearer {secret}"}
    )
    assert response.status_code == 200
    stream = aiter(response.streaming_content)
    assert await anext(stream) == b": subscribed\n\n"
    return stream


@pytest.mark.parametrize(
    "change", [revoke_token, regenerate_token, delete_token, delete_scopes, expire, deactivate_owner, delete_owner]
)
def test_stream_ends(alice: User, channel: Channel, change: Change) -> None:
    token, secret = create_token(alice, name="subscriber", scopes=[("channels", str(channel.pk), "subscribe")])

    async def run() -> list[bytes]:
        stream = await subscribe(channel, secret)
        await sync_to_async(change)(token)
        return [chunk async for chunk in stream]

    received = async_to_sync(asyncio.wait_for)(run(), PATIENCE_SECONDS)

    assert received == [b'event: end\ndata: {"reason": "token_ended"}\n\n']


@pytest.mark.parametrize("change", [rename, add_another_scope])
def test_stream_continues(
    alice: User, channel: Channel, broker: LocalBroker, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    token, secret = create_token(alice, name="subscriber", scopes=[("channels", "*", "subscribe")])

    async def run() -> bytes:
        stream = await subscribe(channel, secret)
        await sync_to_async(change)(token)
        await looks_go_by(monkeypatch)
        await sync_to_async(broker.publish)(channel.pk, {"payload": "after"})
        received = await anext(stream)
        await stream.aclose()
        return received

    assert b"after" in async_to_sync(asyncio.wait_for)(run(), PATIENCE_SECONDS)


def test_session_stream_ignores_tokens(alice: User, channel: Channel, broker: LocalBroker) -> None:
    token, _ = create_token(alice, name="unrelated", scopes=[("channels", "*", "subscribe")])

    async def run() -> bytes:
        client = AsyncClient()
        await client.aforce_login(alice)
        response = await client.get(f"/api/channels/{channel.pk}/subscribe/")
        stream = aiter(response.streaming_content)
        await anext(stream)
        await sync_to_async(revoke_token)(token)
        await asyncio.sleep(0.1)
        await sync_to_async(broker.publish)(channel.pk, {"payload": "after"})
        received = await anext(stream)
        await stream.aclose()
        return received

    assert b"after" in async_to_sync(run)()
