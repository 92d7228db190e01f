"""Passes messages from publishers to subscribers: in the process, or through Redis between processes."""

import asyncio
import contextlib
import json
import threading
from collections import defaultdict
from typing import Any, Protocol
from uuid import UUID
from weakref import WeakSet

import redis
import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

Message = dict[str, Any]

MAX_BACKLOG = 100  # messages that wait for one slow subscriber
REDIS_TIMEOUT = 3  # seconds, for connecting and for one command


class BrokerUnavailableError(Exception):
    """Messages can't be passed on, because Redis doesn't respond."""


class SubscriberTooSlowError(Exception):
    """The backlog of a subscriber is full, so messages for it are lost."""


class Subscription(Protocol):
    async def get(self) -> Message:
        """Wait for the next message. Raises one of the errors above if there won't be any."""

    async def close(self) -> None:
        """Stop receiving. Can be called several times."""


class Broker(Protocol):
    def publish(self, channel_id: UUID, message: Message) -> int:
        """Send a message from a thread without an event loop, and return the number of subscribers."""

    async def subscribe(self, channel_id: UUID) -> Subscription:
        """Subscribe. Messages that are published after this returns are received."""


class LocalBroker:
    """Queues in this process, for sites with a single process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Weak references, for clients that disconnect before their stream starts.
        self._subscriptions: defaultdict[UUID, WeakSet[LocalSubscription]] = defaultdict(WeakSet)

    def publish(self, channel_id: UUID, message: Message) -> int:
        with self._lock:
            subscriptions = list(self._subscriptions.get(channel_id, ()))
        return sum(subscription.offer(message) for subscription in subscriptions)

    async def subscribe(self, channel_id: UUID) -> "LocalSubscription":
        subscription = LocalSubscription(self, channel_id)
        with self._lock:
            self._subscriptions[channel_id].add(subscription)
        return subscription

    def discard(self, subscription: "LocalSubscription") -> None:
        with self._lock:
            subscriptions = self._subscriptions.get(subscription.channel_id, WeakSet())
            subscriptions.discard(subscription)
            if not subscriptions:
                self._subscriptions.pop(subscription.channel_id, None)


class LocalSubscription:
    def __init__(self, broker: LocalBroker, channel_id: UUID) -> None:
        self.channel_id = channel_id
        self._broker = broker
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Message] = asyncio.Queue(MAX_BACKLOG)
        self._overflown = asyncio.Event()

    def offer(self, message: Message) -> bool:
        """Add a message from any thread."""
        try:
            # The queue belongs to the subscriber's event loop, but publishers run in other threads.
            self._loop.call_soon_threadsafe(self._put, message)
        except RuntimeError:  # the loop is closed
            self._broker.discard(self)
            return False
        return True

    def _put(self, message: Message) -> None:
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._overflown.set()
            self._broker.discard(self)

    async def get(self) -> Message:
        if self._overflown.is_set() and self._queue.empty():
            raise SubscriberTooSlowError
        return await self._queue.get()

    async def close(self) -> None:
        self._broker.discard(self)


class RedisBroker:
    """Redis publish/subscribe, for sites with several processes."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._publisher = redis.Redis.from_url(
            url,
            socket_connect_timeout=REDIS_TIMEOUT,
            socket_timeout=REDIS_TIMEOUT,
            retry=Retry(NoBackoff(), 1),  # immediately, for pooled connections that were closed since their last use
        )

    def publish(self, channel_id: UUID, message: Message) -> int:
        try:
            return int(self._publisher.publish(topic(channel_id), json.dumps(message)))
        except (redis.RedisError, OSError) as error:
            raise BrokerUnavailableError from error

    async def subscribe(self, channel_id: UUID) -> "RedisSubscription":
        # A client per stream, because connections of redis.asyncio belong to one event loop.
        client = redis.asyncio.Redis.from_url(
            self._url,
            socket_connect_timeout=REDIS_TIMEOUT,
            # No retry: a new connection has missed messages, so the stream ends instead.
            retry=AsyncRetry(NoBackoff(), 0),
        )
        subscription = RedisSubscription(client)
        try:
            await subscription.open(topic(channel_id))
        except (redis.RedisError, OSError) as error:
            await subscription.close()
            raise BrokerUnavailableError from error
        return subscription


class RedisSubscription:
    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._pubsub = client.pubsub()

    async def open(self, topic: str) -> None:
        await self._pubsub.subscribe(topic)
        # Messages are only received after the confirmation.
        confirmation = await self._pubsub.get_message(timeout=REDIS_TIMEOUT)
        if confirmation is None:
            raise redis.TimeoutError("Redis did not confirm the subscription.")

    async def get(self) -> Message:
        try:
            while True:
                received = await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=None)
                if received is not None:
                    message: Message = json.loads(received["data"])
                    return message
        except (redis.RedisError, OSError) as error:
            raise BrokerUnavailableError from error

    async def close(self) -> None:
        with contextlib.suppress(redis.RedisError, OSError):
            await self._pubsub.aclose()
        with contextlib.suppress(redis.RedisError, OSError):
            await self._client.aclose()


def topic(channel_id: UUID) -> str:
    return f"devices.channel.{channel_id}"


def make_broker(url: str) -> Broker:
    """Return the broker for a Redis URL, or the local one where there is none."""
    return RedisBroker(url) if url else LocalBroker()


broker = make_broker(settings.REDIS_URL)
