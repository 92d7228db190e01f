"""The demo as served by `manage.py demo`, with real processes and connections."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from demo_project.devices.models import Channel
from pat_tokens.services import create_token, revoke_token
from tests.demo.factories import ChannelFactory
from tests.demo.servers import PATIENCE_SECONDS, Server, serve, wait_until
from tests.skips import not_applicable

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def channel(alice: User) -> Channel:
    return ChannelFactory(owner=alice)


@contextlib.contextmanager
def browser(user: User, server: Server) -> Iterator[httpx.Client]:
    session = Client()
    session.force_login(user)
    cookies = {settings.SESSION_COOKIE_NAME: session.cookies[settings.SESSION_COOKIE_NAME].value}
    with httpx.Client(base_url=server.address, cookies=cookies, timeout=PATIENCE_SECONDS) as client:
        form = client.get("/").text
        token = form.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        client.headers["X-CSRFToken"] = token
        yield client


@contextlib.contextmanager
def subscribed(client: httpx.Client, channel: Channel) -> Iterator[Iterator[str]]:
    with client.stream("GET", f"/api/channels/{channel.pk}/subscribe/") as response:
        assert response.status_code == 200
        yield (line for line in response.iter_lines() if line)


def publish(client: httpx.Client, channel: Channel, payload: object) -> int:
    response = client.post(f"/api/channels/{channel.pk}/publish/", json={"payload": payload})
    assert response.status_code == 202
    return int(response.json()["receivers"])


def test_forwarded_headers_are_not_believed(server: Server, alice: User) -> None:
    forged = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    with browser(alice, server) as client:
        created = client.post("/api/pats/", json={"name": "job"}, headers=forged)
        (row,) = client.get("/api/pats/activity/").json()["results"]
        assert row["ip"] == "127.0.0.1"
        with httpx.Client(base_url=server.address, headers=forged) as script:
            script.headers["Authorization"] = f"Bearer {created.json()['secret']}"
            assert script.get("/api/clients/").json()["fix_url"].startswith(server.address)


def test_messages_reach_subscriber(server: Server, alice: User, channel: Channel) -> None:
    with browser(alice, server) as client, subscribed(client, channel) as lines:
        assert publish(client, channel, "hello") == 1

        assert [next(lines) for _ in range(2)] == [": subscribed", "event: message"]
        assert '"payload": "hello"' in next(lines)


def test_disconnected_client_is_unsubscribed(server: Server, alice: User, channel: Channel) -> None:
    with browser(alice, server) as client:
        with subscribed(client, channel) as lines:
            next(lines)
            assert publish(client, channel, 1) == 1

        wait_until(lambda: publish(client, channel, 1) == 0, "the subscription outlived its client")


def test_revoking_ends_stream_of_other_process(server: Server, alice: User, channel: Channel) -> None:
    token, secret = create_token(alice, name="subscriber", scopes=[("channels", "*", "subscribe")])
    with (
        httpx.Client(base_url=server.address, headers={"Authorization": f"Bearer {secret}"}) as client,
        subscribed(client, channel) as lines,
    ):
        assert next(lines) == ": subscribed"

        revoke_token(token)

        assert list(lines) == ["event: end", 'data: {"reason": "token_ended"}']


def test_open_streams_hold_no_database_connection(server: Server, alice: User, channel: Channel) -> None:
    with browser(alice, server) as client, contextlib.ExitStack() as streams:
        _, secret = create_token(alice, name="subscriber", scopes=[("channels", "*", "subscribe")])
        opened = [streams.enter_context(subscribed(client, channel)) for _ in range(5)]
        client.headers["Authorization"] = f"Bearer {secret}"
        opened += [streams.enter_context(subscribed(client, channel)) for _ in range(5)]
        assert [next(lines) for lines in opened] == [": subscribed"] * 10

        # The watcher uses a connection for each check, so one can be open.
        counts = {database_connections(server) for _ in range(20) if not time.sleep(0.02)}
        assert min(counts) == 0
        assert max(counts) <= 1
        del client.headers["Authorization"]
        assert publish(client, channel, "all are open still") == 10


def database_connections(server: Server) -> int:
    """Return the number of the server's open connections to the test database."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        files = Path(f"/proc/{server.process.pid}/fd")
        if not files.is_dir():
            not_applicable("only Linux tells which files a process has open")
        targets = [os.readlink(file) for file in files.iterdir()]
        return sum(target == str(Path(name).resolve()) for target in targets)
    table = {
        "postgresql": "pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
        "mysql": "information_schema.processlist WHERE db = %s AND id <> connection_id()",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}", [name])
        return int(cursor.fetchone()[0])


def test_server_stops_with_open_stream(alice: User, channel: Channel) -> None:
    with serve() as server, browser(alice, server) as client, subscribed(client, channel) as lines:
        next(lines)

        server.stop()

        with contextlib.suppress(httpx.TransportError):  # closed with or without an error
            assert list(lines) == []


@pytest.mark.redis
def test_redis_shares_messages_between_processes(alice: User, channel: Channel) -> None:
    with (
        serve(REDIS_URL=settings.REDIS_URL) as here,
        serve(REDIS_URL=settings.REDIS_URL) as there,
        browser(alice, here) as subscriber,
        browser(alice, there) as publisher,
        subscribed(subscriber, channel) as lines,
    ):
        assert publish(publisher, channel, "across") == 1

        assert [next(lines) for _ in range(2)] == [": subscribed", "event: message"]
        assert '"payload": "across"' in next(lines)


@pytest.mark.redis
def test_demo_command_starts_several_workers(alice: User, channel: Channel) -> None:
    with serve("--workers", "2", REDIS_URL=settings.REDIS_URL) as server, contextlib.ExitStack() as stack:
        # Connections are distributed between the workers, so with this many, some messages pass between them.
        clients = [stack.enter_context(browser(alice, server)) for _ in range(6)]
        streams = [stack.enter_context(subscribed(client, channel)) for client in clients[:3]]
        for client in clients:
            assert publish(client, channel, "hello") == 3

        for lines in streams:
            received = [next(lines) for _ in range(1 + 2 * len(clients))]
            assert sum('"payload": "hello"' in line for line in received) == len(clients)
