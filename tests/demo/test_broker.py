import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import uuid4

import pytest
import redis
from asgiref.sync import async_to_sync
from django.conf import settings

from demo_project.devices.broker import (
    MAX_BACKLOG,
    Broker,
    BrokerUnavailableError,
    LocalBroker,
    RedisBroker,
    SubscriberTooSlowError,
    make_broker,
)

NOBODY_LISTENS = "redis://127.0.0.1:1/0"
A, B = uuid4(), uuid4()


def in_thread(function: Callable[..., Any], *args: Any) -> Coroutine[Any, Any, Any]:
    """Run a blocking function in another thread, like views do."""
    return asyncio.to_thread(function, *args)


@pytest.fixture(params=["local", pytest.param("redis", marks=pytest.mark.redis)])
def broker(request: pytest.FixtureRequest) -> Broker:
    return make_broker(settings.REDIS_URL if request.param == "redis" else "")


def test_url_chooses_broker() -> None:
    assert isinstance(make_broker(""), LocalBroker)
    assert isinstance(make_broker(NOBODY_LISTENS), RedisBroker)


def test_messages_are_delivered_in_order(broker: Broker) -> None:
    async def scenario() -> None:
        first, second, other = [await broker.subscribe(channel) for channel in (A, A, B)]
        for number in range(3):
            assert await in_thread(broker.publish, A, {"payload": number}) == 2
        await in_thread(broker.publish, B, {"payload": "other"})

        for subscription in (first, second):
            assert [(await subscription.get())["payload"] for _ in range(3)] == [0, 1, 2]
        assert (await other.get())["payload"] == "other"
        for subscription in (first, second, other):
            await subscription.close()

    async_to_sync(scenario)()


@pytest.mark.parametrize("payload", [None, "\0\n\ud800", {"ü": [1.5]}], ids=repr)
def test_messages_are_unchanged(broker: Broker, payload: object) -> None:
    async def scenario() -> None:
        subscription = await broker.subscribe(A)
        await in_thread(broker.publish, A, {"payload": payload})

        assert await subscription.get() == {"payload": payload}
        await subscription.close()

    async_to_sync(scenario)()


def test_closed_subscription_receives_nothing(broker: Broker) -> None:
    async def scenario() -> None:
        subscription = await broker.subscribe(A)
        await subscription.close()
        await subscription.close()

        while await in_thread(broker.publish, A, {"payload": 1}):
            pass  # Redis notices it a little later

    async_to_sync(scenario)()


def test_publishing_without_subscribers(broker: Broker) -> None:
    assert broker.publish(A, {"payload": 1}) == 0


class TestLocal:
    def test_slow_subscriber_does_not_delay_others(self) -> None:
        async def scenario() -> None:
            broker = LocalBroker()
            slow = await broker.subscribe(A)
            for number in range(MAX_BACKLOG + 1):
                await in_thread(broker.publish, A, {"payload": number})

            assert [(await slow.get())["payload"] for _ in range(MAX_BACKLOG)] == list(range(MAX_BACKLOG))
            with pytest.raises(SubscriberTooSlowError):
                await slow.get()
            assert await in_thread(broker.publish, A, {"payload": 1}) == 0

        async_to_sync(scenario)()

    def test_unreferenced_subscription_is_removed(self) -> None:
        async def scenario() -> None:
            broker = LocalBroker()
            subscription = await broker.subscribe(A)
            assert broker.publish(A, {"payload": 1}) == 1
            await subscription.get()

            del subscription
            gc.collect()

            assert broker.publish(A, {"payload": 1}) == 0

        async_to_sync(scenario)()

    def test_subscriber_of_closed_loop_is_removed(self) -> None:
        broker = LocalBroker()
        subscription = async_to_sync(broker.subscribe)(A)

        assert broker.publish(A, {"payload": 1}) == 0
        assert subscription.channel_id == A

    def test_threads_publish_concurrently(self) -> None:
        async def scenario() -> None:
            broker = LocalBroker()
            subscription = await broker.subscribe(A)
            threads = [threading.Thread(target=broker.publish, args=(A, {"payload": n})) for n in range(MAX_BACKLOG)]
            for thread in threads:
                thread.start()
            for thread in threads:
                await in_thread(thread.join)

            received = {(await subscription.get())["payload"] for _ in range(MAX_BACKLOG)}
            assert received == set(range(MAX_BACKLOG))

        async_to_sync(scenario)()


class TestWithoutRedis:
    def test_publishing_raises_error(self) -> None:
        with pytest.raises(BrokerUnavailableError):
            RedisBroker(NOBODY_LISTENS).publish(A, {"payload": 1})

    def test_subscribing_raises_error(self) -> None:
        with pytest.raises(BrokerUnavailableError):
            async_to_sync(RedisBroker(NOBODY_LISTENS).subscribe)(A)


@pytest.mark.redis
class TestRedis:
    def test_brokers_of_several_processes_share_messages(self) -> None:
        async def scenario() -> None:
            here, there = RedisBroker(settings.REDIS_URL), RedisBroker(settings.REDIS_URL)
            subscription = await here.subscribe(A)

            assert await in_thread(there.publish, A, {"payload": 1}) == 1
            assert await subscription.get() == {"payload": 1}
            await subscription.close()

        async_to_sync(scenario)()

    def test_timeout_without_messages_is_not_an_error(self) -> None:
        async def scenario() -> None:
            broker = RedisBroker(f"{settings.REDIS_URL}?socket_timeout=0.1")
            subscription = await broker.subscribe(A)
            waiting = asyncio.ensure_future(subscription.get())
            await asyncio.wait({waiting}, timeout=0.5)
            await in_thread(broker.publish, A, {"payload": "late"})

            assert await waiting == {"payload": "late"}
            await subscription.close()

        async_to_sync(scenario)()

    def test_losing_redis_ends_subscription(self) -> None:
        async def scenario() -> None:
            name = uuid4().hex
            subscription = await RedisBroker(f"{settings.REDIS_URL}?client_name={name}").subscribe(A)
            with redis.Redis.from_url(settings.REDIS_URL) as client:
                [connection] = [row for row in client.client_list() if row["name"] == name]
                client.client_kill_filter(_id=connection["id"])

            with pytest.raises(BrokerUnavailableError):
                await subscription.get()
            await subscription.close()

        async_to_sync(scenario)()
