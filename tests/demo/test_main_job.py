"""The main tasks of the demo's users: create, use, revoke and regenerate a token."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from demo_project.devices.models import Channel
from tests.demo.factories import ChannelFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def channel(alice: User) -> Channel:
    return ChannelFactory(owner=alice)


def with_secret(secret: str) -> APIClient:
    return APIClient(headers={"authorization": f"Bearer {secret}"})


def publish(secret: str, channel: Channel) -> Any:
    return with_secret(secret).post(f"/api/channels/{channel.pk}/publish/", {"payload": 1})


def create(as_user: APIClient, *scopes: tuple[str, str, str]) -> dict[str, Any]:
    names = ("entity_type", "entity_id", "operation")
    response = as_user.post(
        "/api/pats/",
        {"name": "publisher", "duration": "7d", "scopes": [dict(zip(names, s, strict=True)) for s in scopes]},
    )
    assert response.status_code == 201
    return dict(response.json())


def test_create_to_regenerate(as_alice: APIClient, alice: User, channel: Channel) -> None:
    other = ChannelFactory(owner=alice)
    token = create(as_alice, ("channels", str(channel.pk), "publish"))
    url = f"/api/pats/{token['id']}/"
    assert "secret" not in as_alice.get(url).json()

    assert publish(token["secret"], channel).status_code == 202
    refused = publish(token["secret"], other)
    assert refused.status_code == 403
    assert refused.json()["missing"] == [
        {"entity_type": "channels", "entity_id": str(other.pk), "operation": "publish"}
    ]

    as_alice.post(f"{url}revoke/")
    assert publish(token["secret"], channel).status_code == 401

    renewed = as_alice.post(f"{url}regenerate/", {"duration": "24h"}).json()
    assert renewed["id"] == token["id"]
    assert publish(token["secret"], channel).status_code == 401
    assert publish(renewed["secret"], channel).status_code == 202
    assert publish(renewed["secret"], other).status_code == 403


def test_token_manages_only_itself(as_alice: APIClient, alice: User) -> None:
    token = create(as_alice, *[("channels", "*", operation) for operation in ("create", "read", "delete")])
    client = with_secret(token["secret"])

    for method, path in (
        ("get", ""),
        ("post", ""),
        ("delete", ""),
        ("get", f"{token['id']}/"),
        ("post", f"{token['id']}/regenerate/"),
        ("post", f"{token['id']}/scopes/"),
        ("get", "entities/"),
    ):
        assert getattr(client, method)(f"/api/pats/{path}").status_code == 403

    assert client.get("/api/pats/current/").json()["name"] == "publisher"
    assert client.post("/api/pats/current/revoke/").status_code == 204
    assert client.get("/api/pats/current/").status_code == 401


def test_picker_offers_visible_entities(as_bob: APIClient, alice: User, bob: User, channel: Channel) -> None:
    mine = ChannelFactory(owner=bob)

    types = {row["name"]: [o["name"] for o in row["operations"]] for row in as_bob.get("/api/pats/entities/").json()}
    assert list(types) == ["clients", "channels", "groups", "dashboards"]
    assert types["channels"] == ["create", "read", "list", "update", "delete", "publish", "subscribe"]
    assert types["dashboards"] == ["create", "read", "list", "update", "delete", "share", "unshare"]
    assert [row["id"] for row in as_bob.get("/api/pats/entities/channels/").json()["results"]] == [str(mine.pk)]
    scope = {"entity_type": "channels", "entity_id": str(channel.pk), "operation": "read"}
    assert as_bob.post("/api/pats/", {"name": "x", "scopes": [scope]}).status_code == 400
