"""Rotation with the management API, and the header `Sunset`."""

from datetime import datetime, timedelta

import pytest
from django.utils.http import http_date
from rest_framework.test import APIClient

from pat_tokens import services
from pat_tokens.models import PersonalAccessToken
from tests.clock import clock
from tests.contrib.rest_framework.management import PATS, snapshot, url
from tests.factories import TokenFactory

__all__ = ["clock"]

pytestmark = pytest.mark.django_db


def bearer(secret):
    return APIClient(headers={"authorization": f"Bearer {secret}"})


@pytest.fixture
def reader(make_token, channel):
    return make_token(f"channels:{channel.pk}:read")


@pytest.fixture
def read(channel, django_capture_on_commit_callbacks):
    def read(secret):
        with django_capture_on_commit_callbacks(execute=True):
            return bearer(secret).get(f"/api/channels/{channel.pk}/")

    return read


def test_rotate_returns_secret_and_previous_secret(client, reader, read, clock):
    response = client.post(url(reader, "rotate"), {"grace_period": "1h", "duration": "60d"})
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    rotated = response.json()
    assert [read(secret).status_code for secret in (reader.secret, rotated["secret"])] == [200, 200]
    assert rotated["id"] == str(reader.pk)
    assert datetime.fromisoformat(rotated["expires_at"]) == clock.now + timedelta(days=60)
    assert rotated["previous_secret"] == {
        "hint": reader.hint,
        "expires_at": rotated["previous_secret"]["expires_at"],
        "last_used_at": None,
        "grace_period": "1h",
        "grace_started_at": None,
    }
    assert datetime.fromisoformat(rotated["previous_secret"]["expires_at"]) == reader.expires_at
    found = client.get(url(reader)).json()["previous_secret"]
    assert datetime.fromisoformat(found["grace_started_at"]) == clock.now
    assert datetime.fromisoformat(found["expires_at"]) == clock.now + timedelta(hours=1)
    assert client.get(PATS).json()["results"][0]["previous_secret"] == found
    current = bearer(reader.secret).get("/api/pats/current/")
    assert current.json()["previous_secret"] == found
    clock.move(hours=1)
    assert client.get(url(reader)).json()["previous_secret"] is None
    assert read(reader.secret).status_code == 401


def test_finish_and_cancel(client, reader, read):
    new = client.post(url(reader, "rotate")).json()["secret"]
    assert bearer(new).get("/api/pats/current/").status_code == 200
    response = client.post(url(reader, "rotate", "cancel"))
    assert (response.status_code, response.json()["previous_secret"]) == (200, None)
    assert [response.json()[field] for field in ("hint", "id")] == [reader.hint, str(reader.pk)]
    assert [datetime.fromisoformat(response.json()[field]) for field in ("issued_at", "expires_at")] == [
        reader.issued_at,
        reader.expires_at,
    ]
    assert [read(secret).status_code for secret in (reader.secret, new)] == [200, 401]
    new = client.post(url(reader, "rotate"), {}).json()["secret"]
    response = client.post(url(reader, "rotate", "finish"))
    assert (response.status_code, response.json()["previous_secret"]) == (200, None)
    assert [read(secret).status_code for secret in (reader.secret, new)] == [401, 200]


def test_wrong_state_is_409(client, reader, read):
    def refusal(*path, method="post", **body):
        before = snapshot()
        response = getattr(client, method)(url(reader, *path), body)
        assert response.status_code == 409
        assert snapshot() == before
        assert set(response.json()) == {"detail", "code"}
        assert "WWW-Authenticate" not in response
        return response.json()["code"]

    nothing = [
        refusal("rotate", "finish"),
        refusal("rotate", "cancel"),
        refusal(method="patch", grace_period="1h", name="not saved"),
    ]
    assert nothing == ["no_rotation"] * 3
    new = client.post(url(reader, "rotate")).json()["secret"]
    assert refusal("rotate") == refusal("rotate", grace_period="0") == "rotation_in_progress"
    read(new)
    assert refusal("rotate", "cancel") == "rotation_in_use"
    client.post(url(reader, "revoke"))
    assert refusal("rotate") == "not_active"


def test_patch_changes_grace_period(client, reader):
    client.post(url(reader, "rotate"))
    response = client.patch(url(reader), {"grace_period": "7d", "name": "renamed"})
    assert response.status_code == 200
    assert (response.json()["name"], response.json()["previous_secret"]["grace_period"]) == ("renamed", "7d")
    response = client.patch(url(reader), {"grace_period": "0"})
    assert response.json()["previous_secret"] is None


def test_invalid_grace_periods_are_errors(case, client, reader):
    services.rotate_token(reader)
    fresh = TokenFactory(user=reader.user)
    for value in ("8d", "-1h", "24", "", 24, ["1h"], "1h\0"):
        for method, path in (("post", url(fresh, "rotate")), ("patch", url(reader))):
            with case(value, method):
                before = snapshot()
                response = getattr(client, method)(path, {"grace_period": value, "typo": 1})
                assert response.status_code == 400
                assert set(response.json()) == {"grace_period", "typo"}
                assert snapshot() == before
    assert client.patch(url(reader), {"grace_period": None}).status_code == 400
    assert client.post(url(fresh, "rotate"), {"grace_period": None}).json()["previous_secret"]["grace_period"] == "24h"


def test_finish_and_cancel_take_no_fields(client, reader):
    services.rotate_token(reader)
    for action in ("finish", "cancel"):
        response = client.post(url(reader, "rotate", action), {"grace_period": "1h"})
        assert (response.status_code, list(response.json())) == (400, ["grace_period"])


def test_rotation_requires_owner_in_person(client, reader, stranger):
    services.rotate_token(reader)
    foreign = TokenFactory(user=stranger)
    for path in (["rotate"], ["rotate", "finish"], ["rotate", "cancel"]):
        assert client.post(url(foreign, *path)).status_code == 404
        assert bearer(reader.secret).post(url(reader, *path)).status_code == 403
        assert APIClient().post(url(reader, *path)).status_code in (401, 403)
        assert client.get(url(reader, *path)).status_code == 405


def test_rotating_requires_reauthentication(client, reader, settings):
    settings.PAT_TOKENS_REAUTHENTICATE_AFTER = 60
    response = client.post(url(reader, "rotate"))
    assert (response.status_code, response.json()["code"]) == (403, "reauthentication_required")
    services.rotate_token(reader)
    assert client.post(url(reader, "rotate", "cancel")).status_code == 200


def test_sunset_header_for_previous_secret(client, reader, read, channel, clock):
    _token, new = services.rotate_token(reader, grace_period="1h")
    assert "Sunset" not in read(reader.secret), "its end is not known before the first use of the new one"
    assert "Sunset" not in read(new)
    end = PersonalAccessToken.objects.get().previous_secret.expires_at
    assert end == clock.now + timedelta(hours=1)
    paths = {
        f"/api/channels/{channel.pk}/": 200,
        "/api/channels/0/": 403,
        "/api/undeclared/": 403,
        "/api/pats/current/": 200,
        "/api/pats/": 403,
    }
    for path, status in paths.items():
        response = bearer(reader.secret).get(path)
        assert (response.status_code, response.get("Sunset")) == (status, http_date(end.timestamp())), path
    clock.move(hours=1)
    assert "Sunset" not in read(reader.secret)


def test_lists_need_no_extra_query_during_overlap(client, reader, make_token, django_assert_num_queries):
    services.rotate_token(reader)
    services.rotate_token(make_token())
    with django_assert_num_queries(5):  # session, user, count, tokens, scopes
        assert all(found["previous_secret"] for found in client.get(PATS).json()["results"])
