"""No integration makes queries in the event loop's thread, or blocks the loop while the database is slow."""

import asyncio
import threading

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import SynchronousOnlyOperation
from django.db.backends.utils import CursorWrapper
from django.test import AsyncClient
from django.urls import include, path

from pat_tokens import lookup
from pat_tokens.authentication import aauthenticate, authenticate
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement
from tests import plain_site
from tests.contrib.channels import consumers
from tests.contrib.channels.communicator import WebsocketCommunicator
from tests.contrib.ninja import api as ninja_site
from tests.factories import ChannelFactory
from tests.plain_client import OURS

# Other threads only see committed rows.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.test_async")]
PATIENCE = 10  # seconds, on a busy machine

READ = Requirement("channels", "read", "pk")


urlpatterns = [path("ninja/", include(ninja_site.urlpatterns)), *plain_site.urlpatterns]


@pytest.fixture(autouse=True)
def guarded_by_django(monkeypatch):
    """Enable Django's check for queries in the event loop's thread."""
    monkeypatch.delenv("DJANGO_ALLOW_ASYNC_UNSAFE", raising=False)


@pytest.fixture
def in_loop(monkeypatch):
    """Record for each statement whether its thread runs an event loop."""
    found = []
    execute = CursorWrapper.execute

    def spy(self, sql, params=None):
        found.append(asyncio._get_running_loop() is not None)
        return execute(self, sql, params)

    monkeypatch.setattr(CursorWrapper, "execute", spy)
    return found


def by_url(path):
    async def get(secret, pk):
        response = await AsyncClient().get(path.format(pk), headers={"authorization": f"Bearer {secret}"})
        return response.status_code

    return get


async def by_socket(secret, pk):
    headers = [(b"authorization", f"Bearer {secret}".encode())]
    communicator = WebsocketCommunicator(consumers.websockets, f"/ws/channels/{pk}/", headers=headers)
    connected = await communicator.connect()
    if connected is True:
        await communicator.disconnect()
    return 200 if connected is True else connected - 4000


async def by_hand(secret, pk):
    await aauthenticate(secret, READ, {"pk": pk})
    return 200


async def by_hand_and_name(secret, pk):
    await aauthenticate(secret, Requirement("channels", "read", EntityLookup(name="name")), {"name": "here"})
    return 200


# How to send a request, and whether the site has the middleware.
INTEGRATIONS = {
    "aauthenticate": (by_hand, False),
    "aauthenticate by a name": (by_hand_and_name, False),
    "decorator": (by_url("/async-function/{}/"), True),
    "method decorator": (by_url("/async-dispatch/{}/"), True),
    "mixin": (by_url("/async-class/{}/"), True),
    "inner decorator": (by_url("/async-inside-out/{}/"), True),
    "list": (by_url("/async-limited/"), True),
    "ninja": (by_url("/ninja/async/{}"), False),
    "ninja list": (by_url("/ninja/async-limited"), False),
    "channels": (by_socket, False),
}


@pytest.fixture(params=INTEGRATIONS)
def integration(request, settings):
    visit, middleware = INTEGRATIONS[request.param]
    if middleware:
        settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]
    return visit


@pytest.fixture
def channel(user):
    return ChannelFactory(owner=user, name="here")


@pytest.fixture
def good(make_token, channel):
    return make_token(*[f"channels:{channel.pk}:{operation}" for operation in ("read", "list", "subscribe")])


def test_queries_run_in_another_thread(integration, good, channel, in_loop):
    assert async_to_sync(integration)(good.secret, channel.pk) == 200
    assert in_loop
    assert not any(in_loop)


def test_slow_database_does_not_block_event_loop(integration, good, channel, monkeypatch):
    asked, went_on, waits = threading.Event(), threading.Event(), []
    find = lookup.find_token

    def slow(*args, **kwargs):
        asked.set()
        waits.append(went_on.wait(PATIENCE))  # waits for the event loop to run
        return find(*args, **kwargs)

    async def go_on():
        while not asked.is_set():  # noqa: ASYNC110 -- set in another thread
            await asyncio.sleep(0.001)
        went_on.set()

    async def visit():
        status, _nothing = await asyncio.gather(integration(good.secret, channel.pk), go_on())
        return status

    monkeypatch.setattr(lookup, "find_token", slow)
    assert async_to_sync(visit)() == 200
    assert waits
    assert all(waits)


def test_sync_function_raises_in_event_loop(good):
    """Proves that the tests above can fail."""

    async def blocks():
        authenticate(good.secret, ANY_TOKEN)

    with pytest.raises(SynchronousOnlyOperation):
        async_to_sync(blocks)()
