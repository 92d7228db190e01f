"""A rotation as a client with the old secret sees it, which sends requests to a real server all the time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import httpx
import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from pat_tokens.services import create_token
from tests.demo.factories import ChannelFactory
from tests.demo.servers import PATIENCE_SECONDS, Server
from tests.demo.test_server import browser

pytestmark = pytest.mark.django_db(transaction=True)

INTERVAL = 0.2  # seconds between two requests
DEPLOYMENT = 10  # requests with the old secret until the new one is deployed
GRACE_PERIOD = "PT3S"


class Poller:
    """Sends requests with one secret; keeps when each was sent and answered, and the response."""

    def __init__(self, client: httpx.Client, path: str) -> None:
        self.client, self.path = client, path
        self.seen: list[tuple[datetime, datetime, httpx.Response]] = []
        self.changed, self.is_done = threading.Condition(), threading.Event()

    def run(self) -> None:
        while not self.is_done.wait(INTERVAL):
            sent = timezone.now()
            response = self.client.get(self.path)
            with self.changed:
                self.seen.append((sent, timezone.now(), response))
                self.changed.notify()

    def wait_for(self, count: int, status: int) -> None:
        with self.changed:
            assert self.changed.wait_for(
                lambda: sum(response.status_code == status for *_times, response in self.seen) >= count,
                PATIENCE_SECONDS,
            )

    @classmethod
    @contextmanager
    def running(cls, server: Server, secret: str, path: str) -> Iterator["Poller"]:
        headers = {"Authorization": f"Bearer {secret}"}
        with httpx.Client(base_url=server.address, headers=headers, timeout=PATIENCE_SECONDS) as client:
            poller = cls(client, path)
            thread = threading.Thread(target=poller.run)
            thread.start()
            try:
                yield poller
            finally:
                poller.is_done.set()
                thread.join()


def test_old_secret_works_until_its_grace_period_ends(server: Server, alice: User) -> None:
    channel = ChannelFactory(owner=alice)
    token, old = create_token(alice, name="poller", scopes=[("channels", "*", "read")])
    path, url = f"/api/channels/{channel.pk}/", f"/api/pats/{token.pk}/"
    with browser(alice, server) as person, Poller.running(server, old, path) as poller:
        poller.wait_for(2, 200)
        rotated = person.post(f"{url}rotate/", json={"grace_period": GRACE_PERIOD})
        new = {"Authorization": f"Bearer {rotated.json()['secret']}"}
        assert httpx.get(f"{server.address}/api/pats/current/", headers=new).status_code == 200
        poller.wait_for(2 + DEPLOYMENT, 200)
        assert person.get(url).json()["previous_secret"]["grace_started_at"] is None
        assert httpx.get(server.address + path, headers=new).status_code == 200
        previous = person.get(url).json()["previous_secret"]
        poller.wait_for(2, 401)
        assert httpx.get(server.address + path, headers=new).status_code == 200
        assert person.get(url).json()["previous_secret"] is None
    started, end = [datetime.fromisoformat(previous[name]) for name in ("grace_started_at", "expires_at")]
    statuses = {
        "before": {response.status_code for _sent, answered, response in poller.seen if answered < end},
        "after": {response.status_code for sent, _answered, response in poller.seen if sent >= end},
    }
    assert statuses == {"before": {200}, "after": {401}}
    assert all("Sunset" not in response.headers for _sent, answered, response in poller.seen if answered < started)
