"""The demo's API with a session; test_tokens.py tests tokens."""

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as DjangoClient
from rest_framework.test import APIClient

from demo_project.devices.models import Channel, Dashboard
from demo_project.parsers import MAX_DEPTH
from tests.cases import Case
from tests.demo.factories import FACTORIES, ChannelFactory, DashboardFactory

pytestmark = pytest.mark.django_db

COLLECTIONS = list(FACTORIES)
each_collection = pytest.mark.parametrize("collection", COLLECTIONS)


@each_collection
def test_only_name_is_required(as_alice: APIClient, alice: User, collection: str) -> None:
    response = as_alice.post(f"/api/{collection}/", {"name": "New one"})

    assert response.status_code == 201
    assert response.json()["name"] == "New one"
    assert response.json()["owner"] == "alice"
    entity = FACTORIES[collection]._meta.model.objects.get()
    assert str(entity.pk) == str(response.json()["id"])
    assert entity.owner == alice


@each_collection
def test_owner_reads_lists_updates_and_deletes(as_alice: APIClient, alice: User, collection: str) -> None:
    entity = FACTORIES[collection](owner=alice, name="before")
    url = f"/api/{collection}/{entity.pk}/"

    assert as_alice.get(url).json()["name"] == "before"
    assert [row["name"] for row in as_alice.get(f"/api/{collection}/").json()["results"]] == ["before"]
    assert as_alice.patch(url, {"name": "patched"}).json()["name"] == "patched"
    assert as_alice.put(url, {"name": "put"}).json()["name"] == "put"
    assert as_alice.delete(url).status_code == 204
    assert as_alice.get(url).status_code == 404


@each_collection
def test_strangers_get_404(as_bob: APIClient, alice: User, collection: str) -> None:
    entity = FACTORIES[collection](owner=alice)
    url = f"/api/{collection}/{entity.pk}/"

    assert as_bob.get(f"/api/{collection}/").json()["count"] == 0
    assert as_bob.get(url).status_code == 404
    assert as_bob.patch(url, {"name": "mine"}).status_code == 404
    assert as_bob.put(url, {"name": "mine"}).status_code == 404
    assert as_bob.delete(url).status_code == 404


@each_collection
def test_anonymous_requests_are_refused(db: None, collection: str) -> None:
    entity = FACTORIES[collection]()

    for url in (f"/api/{collection}/", f"/api/{collection}/{entity.pk}/"):
        assert APIClient().get(url).status_code in (401, 403)


def test_owner_cannot_be_chosen(as_alice: APIClient, alice: User, bob: User) -> None:
    created = as_alice.post("/api/channels/", {"name": "x", "owner": "bob"}).json()

    as_alice.patch(f"/api/channels/{created['id']}/", {"owner": "bob"})

    assert Channel.objects.get().owner == alice


def test_lists_are_paginated_searched_and_ordered(as_alice: APIClient, alice: User) -> None:
    for number in range(30):
        ChannelFactory(owner=alice, name=f"channel {number:02}")

    first = as_alice.get("/api/channels/").json()
    assert (first["count"], len(first["results"])) == (30, 25)
    assert len(as_alice.get("/api/channels/", {"page": 2}).json()["results"]) == 5
    assert len(as_alice.get("/api/channels/", {"page_size": 3}).json()["results"]) == 3
    assert as_alice.get("/api/channels/", {"search": "07"}).json()["count"] == 1
    newest = as_alice.get("/api/channels/", {"ordering": "-name"}).json()["results"][0]
    assert newest["name"] == "channel 29"


def test_lists_make_constant_queries(
    as_alice: APIClient, alice: User, bob: User, django_assert_num_queries: Any
) -> None:
    for dashboard in DashboardFactory.create_batch(5, owner=alice):
        dashboard.shared_with.add(bob)

    with django_assert_num_queries(5):  # session, user, count, dashboards, shares
        as_alice.get("/api/dashboards/")


class TestSharing:
    def test_other_user_can_read(self, as_alice: APIClient, as_bob: APIClient, alice: User, bob: User) -> None:
        dashboard = DashboardFactory(owner=alice)

        response = as_alice.post(f"/api/dashboards/{dashboard.pk}/share/", {"user": "bob"})

        assert response.status_code == 200
        assert response.json()["shared_with"] == ["bob"]
        assert as_bob.get(f"/api/dashboards/{dashboard.pk}/").json()["owner"] == "alice"
        assert as_bob.get("/api/dashboards/").json()["count"] == 1

    def test_other_user_can_do_nothing_else(self, as_bob: APIClient, alice: User, bob: User) -> None:
        dashboard = DashboardFactory(owner=alice, name="hers")
        dashboard.shared_with.add(bob)
        url = f"/api/dashboards/{dashboard.pk}/"

        assert as_bob.patch(url, {"name": "mine"}).status_code == 403
        assert as_bob.put(url, {"name": "mine"}).status_code == 403
        assert as_bob.delete(url).status_code == 403
        assert as_bob.post(f"{url}share/", {"user": "alice"}).status_code == 403
        assert as_bob.post(f"{url}unshare/", {"user": "bob"}).status_code == 403
        dashboard.refresh_from_db()
        assert dashboard.name == "hers"
        assert list(dashboard.shared_with.all()) == [bob]

    def test_is_undone_by_unshare(self, as_alice: APIClient, as_bob: APIClient, alice: User, bob: User) -> None:
        dashboard = DashboardFactory(owner=alice)
        dashboard.shared_with.add(bob)

        response = as_alice.post(f"/api/dashboards/{dashboard.pk}/unshare/", {"user": "bob"})

        assert response.json()["shared_with"] == []
        assert as_bob.get(f"/api/dashboards/{dashboard.pk}/").status_code == 404

    def test_is_idempotent(self, as_alice: APIClient, alice: User, bob: User) -> None:
        dashboard = DashboardFactory(owner=alice)

        for action, shared_with in (("share", ["bob"]), ("share", ["bob"]), ("unshare", []), ("unshare", [])):
            response = as_alice.post(f"/api/dashboards/{dashboard.pk}/{action}/", {"user": "bob"})
            assert (response.status_code, response.json()["shared_with"]) == (200, shared_with)

    def test_does_not_duplicate_rows(self, as_alice: APIClient, alice: User) -> None:
        dashboard = DashboardFactory(owner=alice)
        for number in range(3):
            dashboard.shared_with.add(User.objects.create(username=f"reader{number}"))

        assert as_alice.get("/api/dashboards/").json()["count"] == 1

    def test_rejects_invalid_body(self, case: Case, as_alice: APIClient, alice: User, bob: User) -> None:
        rows_body = [
            {"user": "nobody"},
            {"user": "alice"},
            {"user": "bob\0"},
            {"user": ""},
            {"user": None},
            {"user": ["bob"]},
            {"user": {"name": "bob"}},
            {"user": "b" * 10_000},
            {},
            [],
            None,
            "bob",
            7,
        ]
        for body in rows_body:
            for action in ["share", "unshare"]:
                with case(action, body):
                    dashboard = DashboardFactory(owner=alice)
                    dashboard.shared_with.add(bob)

                    response = as_alice.post(f"/api/dashboards/{dashboard.pk}/{action}/", body, format="json")

                    assert response.status_code == 400
                    assert list(dashboard.shared_with.all()) == [bob]


BAD_NAMES = [
    {"name": ""},
    {"name": "   "},
    {"name": None},
    {"name": "nul\0byte"},
    {"name": "x" * 256},
    {"name": ["x"]},
    {"name": {"x": "y"}},
    {"name": True},
    {},
    [],
    [{"name": "x"}],
    None,
    "name",
    3,
]


@each_collection
def test_invalid_names_are_refused(case: Case, as_alice: APIClient, alice: User, collection: str) -> None:
    for body in BAD_NAMES:
        with case(body):
            assert as_alice.post(f"/api/{collection}/", body, format="json").status_code == 400
            assert not FACTORIES[collection]._meta.model.objects.exists()

            entity = FACTORIES[collection](owner=alice, name="as it was")
            assert as_alice.put(f"/api/{collection}/{entity.pk}/", body, format="json").status_code == 400
            entity.refresh_from_db()
            assert entity.name == "as it was"


BAD_BODIES = {
    "broken": b'{"name": ',
    "empty": b"",
    "half a surrogate pair": b'{"name": "\\ud800", "payload": "\\ud800"}',
    "not UTF-8": b'{"name": "\xff"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "NaN": b'{"payload": NaN}',
    "infinite": b'{"payload": 1e999}',
    "endless digits": b'{"payload": ' + b"9" * 5_000 + b"}",
    "too deep": b'{"payload": ' + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1) + b"}",
    "beyond any stack": b"[" * 200_000,
    "two values": b'{"payload": 1} {"payload": 2}',
}


def test_invalid_bodies_are_refused(case: Case, as_alice: APIClient, alice: User) -> None:
    for body in BAD_BODIES.values():
        with case(body):
            channel = ChannelFactory(owner=alice)

            for url in ("/api/channels/", f"/api/channels/{channel.pk}/publish/"):
                response = as_alice.generic("POST", url, body, content_type="application/json")
                assert response.status_code == 400
                assert response.json()


def test_large_body_is_refused(as_alice: APIClient, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100

    response = as_alice.post("/api/channels/", {"name": "x" * 100})

    assert response.status_code == 413


def test_charset_is_ignored(case: Case, as_alice: APIClient) -> None:
    for charset in ["utf-16", "rot13", "zlib", "no-such-thing"]:
        with case(charset):
            response = as_alice.generic(
                "POST", "/api/channels/", b'{"name": "x"}', content_type=f"application/json; charset={charset}"
            )

            assert response.status_code == 201


def test_other_media_types_are_refused(case: Case, as_alice: APIClient) -> None:
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]:
        with case(content_type):
            response = as_alice.generic("POST", "/api/channels/", b"name=x", content_type=content_type)

            assert response.status_code in (400, 415)


@each_collection
def test_missing_ids_are_not_found(case: Case, as_alice: APIClient, collection: str) -> None:
    rows = [
        "nonsense",
        "0",
        "-1",
        "1.5",
        "9" * 30,
        "9" * 5_000,
        "%00",
        "%F0%9F%92%A5",
        "*",
        str(uuid.uuid4()),
        "null",
    ]
    for key in rows:
        with case(key):
            assert as_alice.get(f"/api/{collection}/{key}/").status_code == 404
            assert as_alice.delete(f"/api/{collection}/{key}/").status_code == 404


def test_odd_query_strings_get_a_response(case: Case, as_alice: APIClient) -> None:
    rows = [
        *("page=0", "page=x", "page=%00", "page=99999999999999999999", "page_size=-1", "page_size=x"),
        *("ordering=%00", "ordering=owner__password", "search=%00", "search=%FF", "format=nonsense"),
    ]
    for query in rows:
        with case(query):
            assert as_alice.get(f"/api/dashboards/?{query}").status_code in (200, 400, 404)


class TestPublish:
    def test_accepts_any_json(self, case: Case, as_alice: APIClient, alice: User) -> None:
        for payload in [None, 0, False, "text", "\0", [], {"a": {"b": [1.5]}}]:
            with case(payload):
                channel = ChannelFactory(owner=alice)

                response = as_alice.post(f"/api/channels/{channel.pk}/publish/", {"payload": payload})

                assert response.status_code == 202
                assert response.json() == {"receivers": 0}

    def test_rejects_other_bodies(self, case: Case, as_alice: APIClient, alice: User) -> None:
        for body in [{}, {"message": 1}, [], None, "payload", {"payload": "x" * 70_000}]:
            with case(body):
                channel = ChannelFactory(owner=alice)

                response = as_alice.post(f"/api/channels/{channel.pk}/publish/", body, format="json")

                assert response.status_code == 400

    def test_requires_access_to_channel(self, as_bob: APIClient, alice: User) -> None:
        channel = ChannelFactory(owner=alice)

        assert as_bob.post(f"/api/channels/{channel.pk}/publish/", {"payload": 1}).status_code == 404

    def test_is_not_allowed_with_get(self, as_alice: APIClient, alice: User) -> None:
        channel = ChannelFactory(owner=alice)

        assert as_alice.get(f"/api/channels/{channel.pk}/publish/").status_code == 405


def test_session_can_read_undeclared_status(as_alice: APIClient) -> None:
    assert as_alice.get("/api/status/").json() == {"status": "ok"}
    assert APIClient().get("/api/status/").status_code in (401, 403)


def test_session_needs_csrf_token(alice: User) -> None:
    client = DjangoClient(enforce_csrf_checks=True)
    client.force_login(alice)

    response = client.post("/api/channels/", {"name": "x"}, content_type="application/json")

    assert response.status_code == 403
    assert not Channel.objects.exists()


def test_deleting_user_deletes_entities(alice: User, bob: User) -> None:
    DashboardFactory(owner=alice).shared_with.add(bob)

    bob.delete()
    assert Dashboard.objects.get().shares.count() == 0

    alice.delete()
    assert not Dashboard.objects.exists()
