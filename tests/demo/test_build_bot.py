"""The service account of the demo, whose tokens alice and bob look after, and what one of them leaves behind."""

import re
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from demo_project.devices.models import Channel
from demo_project.devices.seeds import seed
from pat_tokens.models import PersonalAccessToken
from tests.demo.conftest import log_in

pytestmark = pytest.mark.django_db

PATS = "/api/pats/"


@pytest.fixture(autouse=True)
def seeded(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    seed()


@pytest.fixture
def made() -> dict[str, Any]:
    """A token of the bot, in JSON with its secret, which alice has created."""
    channel = Channel.objects.get(owner__username="build-bot")
    scopes = [{"entity_type": "channels", "entity_id": str(channel.pk), "operation": "publish"}]
    alice = log_in(User.objects.get(username="alice"))
    response = alice.post(f"{PATS}?owner=build-bot", {"name": "deploy", "scopes": scopes}, format="json")
    assert response.status_code == 201
    return dict(response.json())


def browser(username: str, **headers: str) -> Client:
    client = Client(headers=headers)
    client.force_login(User.objects.get(username=username))
    return client


def test_bot_cannot_log_in() -> None:
    assert not User.objects.get(username="build-bot").has_usable_password()
    assert authenticate(username="build-bot", password="build-bot-demo") is None


def test_alice_and_bob_look_after_its_tokens(made: dict[str, Any]) -> None:
    channel = Channel.objects.get(owner__username="build-bot")
    robot = APIClient(headers={"authorization": f"Bearer {made['secret']}"})
    publish = f"/api/channels/{channel.pk}/publish/"
    assert robot.post(publish, {"payload": 1}, format="json").status_code in (200, 202, 204)
    assert made["owner"] == "build-bot"
    for username in ("alice", "bob"):
        page = browser(username).get("/pats/").text
        assert '<option value="build-bot">build-bot</option>' in page
        assert made["id"] not in page
        page = browser(username).get("/pats/?owner=build-bot").text
        assert "Personal Access Tokens of build-bot" in page
        assert made["id"] in page
    bob = log_in(User.objects.get(username="bob"))
    assert bob.post(f"{PATS}{made['id']}/revoke/").status_code == 200
    acts = bob.get(f"{PATS}{made['id']}/activity/").json()["results"]
    assert [(act["kind"], act["actor"]) for act in acts] == [("revoked", "bob"), ("created", "alice")]
    assert robot.post(publish, {"payload": 1}, format="json").status_code == 401


def test_nobody_else_finds_them(made: dict[str, Any]) -> None:
    User.objects.create(username="carol")
    for username in ("carol", "admin", "build-bot"):
        page = browser(username).get("/pats/").text
        assert "build-bot" not in page or username == "build-bot"
    for username in ("carol", "admin"):
        assert browser(username).get("/pats/?owner=build-bot").status_code == 404
        assert browser(username).get(f"/pats/{made['id']}/").status_code == 404
        client = log_in(User.objects.get(username=username))
        assert client.get(f"{PATS}{made['id']}/").status_code == 404
        assert client.post(f"{PATS}?owner=build-bot", {"name": "x"}, format="json").status_code == 404


@pytest.mark.parametrize(
    ("language", "direction", "is_english"),
    [("en", "ltr", True), ("ar", "rtl", False)],
)
def test_admin_says_what_alice_leaves_behind(
    made: dict[str, Any], language: str, direction: str, *, is_english: bool
) -> None:
    alice = User.objects.get(username="alice")
    log_in(alice).post(PATS, {"name": "own"}, format="json")
    admin = browser("admin", **{"accept-language": language})
    url = f"/admin/pat_tokens/personalaccesstoken/departures/{alice.pk}/"
    user_page = admin.get(f"/admin/auth/user/{alice.pk}/change/").text
    assert f'href="{url}"' in user_page
    page = admin.get(url).text
    assert f'<html lang="{language}" dir="{direction}"' in page
    own, known = (PersonalAccessToken.objects.get(name=name) for name in ("own", "deploy"))
    assert f"/{own.pk}/revoke/" in page
    assert f"/{known.pk}/regenerate/" in page
    assert "build-bot" in page
    shown = re.sub(r"<[^>]+>", " ", page.partition("pat-admin-page")[2].partition("<svg")[0])
    for text in ("1 active token ends with this account.", "Regenerate", "Revoke", "Owner", "Last Used", "Created"):
        assert (text in shown) is is_english, text
