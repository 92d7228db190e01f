"""The routes of the management API and their responses."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.test import override_settings
from rest_framework.settings import api_settings
from rest_framework.test import APIClient, APIRequestFactory, force_authenticate

from pat_tokens import services
from pat_tokens.contrib.rest_framework import views
from pat_tokens.entities import Preset, registry
from pat_tokens.models import PersonalAccessToken, Scope
from tests.contrib.rest_framework.management import PATS, row, session_client, snapshot, url
from tests.factories import ChannelFactory, DeviceFactory, PageFactory, TokenFactory, UserFactory

pytestmark = pytest.mark.django_db

FIELDS = [
    "id",
    "owner",
    "name",
    "description",
    "allowed_networks",
    "status",
    "hint",
    "created_at",
    "issued_at",
    "expires_at",
    "last_used_at",
    "revoked_at",
    "previous_secret",
    "scope_count",
    "scopes",
]


class TestList:
    def test_own_tokens_newest_first(self, client, make_token, stranger):
        TokenFactory(user=stranger)
        first, second = make_token(), make_token()
        answer = client.get(PATS)
        assert answer.status_code == 200
        assert list(answer.json()) == ["count", "next", "previous", "results"]
        assert answer.json()["count"] == 2
        assert [found["id"] for found in answer.json()["results"]] == [str(second.pk), str(first.pk)]

    def test_token_fields(self, client, channel, make_token):
        token = make_token(f"channels:{channel.pk}:publish", name="deploy", description="the pipeline")
        (found,) = client.get(PATS).json()["results"]
        assert list(found) == FIELDS
        answer = client.get(url(token))
        assert answer.status_code == 200
        assert found == answer.json()
        (scope,) = token.scope_set.all()
        assert found["id"] == str(token.pk)
        assert found["owner"] == "owner"
        assert found["scope_count"] == 1
        assert found["name"] == "deploy"
        assert found["description"] == "the pipeline"
        assert found["status"] == "active"
        assert found["hint"] == "pat_…" + token.secret[-4:]
        assert datetime.fromisoformat(found["issued_at"]) == token.issued_at
        assert datetime.fromisoformat(found["expires_at"]) == token.expires_at
        assert found["issued_at"] == found["created_at"]
        assert found["last_used_at"] is found["revoked_at"] is None
        assert found["scopes"] == [
            {"id": str(scope.pk), "entity_type": "channels", "entity_id": str(channel.pk), "operation": "publish"}
            | {"last_used_at": None}
        ]

    def test_at_most_20_scopes_per_token(self, client, make_token, user, django_assert_num_queries):
        channels = [ChannelFactory(owner=user) for _ in range(25)]
        scopes = [f"channels:{channel.pk}:{operation}" for channel in channels for operation in ("read", "update")]
        large = [make_token(*scopes), make_token(*scopes[:21])]
        small = [make_token(*scopes[:20]), make_token()]
        with django_assert_num_queries(5) as queries:  # session, user, count, tokens, scopes
            listed = {found["id"]: found for found in client.get(PATS).json()["results"]}
        assert "ROW_NUMBER" in queries[-1]["sql"]
        for token in large + small:
            shown, listing = client.get(url(token)).json(), listed[str(token.pk)]
            assert listing == {**shown, "scopes": shown["scopes"][:20]}
            assert shown["scope_count"] == len(shown["scopes"]) == token.scope_set.count()

    def test_datetimes_are_in_utc(self, client, token, settings):
        settings.TIME_ZONE = "Asia/Kathmandu"
        found = client.get(url(token)).json()
        assert found["issued_at"].endswith("Z")
        assert datetime.fromisoformat(found["issued_at"]) == token.issued_at

    def test_no_expiration_is_null(self, client, make_token, settings):
        settings.PAT_TOKENS_ALLOW_NO_EXPIRY = True
        assert client.get(url(make_token(duration="never"))).json()["expires_at"] is None

    def test_pages(self, client, make_token):
        tokens = [make_token() for _ in range(5)][::-1]
        found = client.get(PATS, {"page_size": 2, "page": 2}).json()
        assert found["count"] == 5
        assert [one["id"] for one in found["results"]] == [str(token.pk) for token in tokens[2:4]]
        assert found["next"] == f"http://testserver{PATS}?page=3&page_size=2"
        assert found["previous"] == f"http://testserver{PATS}?page_size=2"
        last = client.get(PATS, {"page_size": 2, "page": 3}).json()
        assert last["next"] is None
        assert [one["id"] for one in last["results"]] == [str(tokens[4].pk)]


class TestCreate:
    def test_returns_secret_once(self, client, user, channel):
        scopes = [row(f"channels:{channel.pk}:publish"), row("devices:*:create")]
        answer = client.post(PATS, {"name": " deploy ", "description": " x ", "duration": "7d", "scopes": scopes})
        assert answer.status_code == 201
        assert answer["Cache-Control"] == "no-store"
        created = answer.json()
        assert list(created) == [*FIELDS, "secret"]
        assert (created["name"], created["description"], created["status"]) == ("deploy", "x", "active")
        assert datetime.fromisoformat(created["expires_at"]) - datetime.fromisoformat(
            created["issued_at"]
        ) == timedelta(days=7)
        assert [{key: scope[key] for key in scopes[0]} for scope in created["scopes"]] == scopes
        token = PersonalAccessToken.objects.get()
        assert token.user == user
        bearer = APIClient(headers={"authorization": f"Bearer {created['secret']}"})
        assert bearer.get(PATS + "current/").json()["id"] == str(token.pk) == created["id"]
        for path in (PATS, url(token), url(token, "scopes")):
            text = client.get(path).content.decode()
            assert '"secret"' not in text
            assert created["secret"] not in text

    def test_only_name_is_required(self, client):
        created = client.post(PATS, {"name": "deploy"})
        assert created.status_code == 201
        token = PersonalAccessToken.objects.get()
        assert token.expires_at - token.issued_at == timedelta(days=30)
        assert created.json()["scopes"] == []
        bearer = APIClient(headers={"authorization": f"Bearer {created.json()['secret']}"})
        assert bearer.get("/api/channels/").status_code == 403

    @pytest.mark.parametrize(
        ("text", "when"),
        [
            ("2999-01-01T00:00:00Z", "2999-01-01T00:00:00Z"),
            ("2999-01-01T00:00:00+05:45", "2998-12-31T18:15:00Z"),
            ("2999-01-01T00:00:00", "2999-01-01T05:00:00Z"),
            ("2999-01-01 00:00", "2999-01-01T05:00:00Z"),
            ("2999-01-01", "2999-01-02T04:59:59Z"),
        ],
    )
    def test_expiration_without_offset_is_local(self, client, settings, text, when):
        settings.PAT_TOKENS_MAX_DURATION = "1000y"
        settings.TIME_ZONE = "America/New_York"
        assert client.post(PATS, {"name": "x", "expires_at": text}).json()["expires_at"] == when

    @pytest.mark.parametrize("empty", ["duration", "expires_at"])
    def test_null_duration_and_expiration_are_ignored(self, client, empty):
        other = {"duration": "7d", "expires_at": (datetime.now(UTC) + timedelta(days=7)).isoformat()}
        answer = client.post(PATS, {"name": "x", **other, empty: None})
        assert answer.status_code == 201

    def test_entity_ids_are_numbers_or_strings(self, client, user, channel):
        device, page = DeviceFactory(owner=user), PageFactory(owner=user)
        scopes = [
            row("channels:?:publish", entity_id=channel.pk),
            row("devices:?:read", entity_id=str(device.pk).upper()),
            row("pages:?:read", entity_id=page.path),
        ]
        created = client.post(PATS, {"name": "x", "scopes": scopes}).json()
        assert [scope["entity_id"] for scope in created["scopes"]] == [str(channel.pk), str(device.pk), page.path]

    def test_scope_on_all_absorbs_single_scopes(self, client, channel):
        scopes = [row(f"channels:{channel.pk}:read"), row("channels:*:read"), row("channels:*:read")]
        created = client.post(PATS, {"name": "x", "scopes": scopes}).json()
        assert [scope["entity_id"] for scope in created["scopes"]] == ["*"]

    def test_maximum_number_of_tokens(self, client, make_token, settings):
        settings.PAT_TOKENS_MAX_TOKENS_PER_USER = 2
        make_token()
        assert client.post(PATS, {"name": "second"}).status_code == 201
        answer = client.post(PATS, {"name": "third"})
        assert answer.status_code == 400
        assert list(answer.json()) == [api_settings.NON_FIELD_ERRORS_KEY]
        assert PersonalAccessToken.objects.count() == 2


class TestChange:
    def test_name_and_description(self, client, scoped):
        for fields in ({"name": "other"}, {"description": ""}, {"name": " SCOPED ", "description": "b"}, {}):
            before = client.get(url(scoped)).json()
            answer = client.patch(url(scoped), fields)
            assert answer.status_code == 200
            expected = {**before, **{field: text.strip() for field, text in fields.items()}}
            assert answer.json() == client.get(url(scoped)).json() == expected

    def test_other_fields_are_errors(self, case, client, scoped):
        rows = [
            *["id", "user", "secret", "digest", "hint", "status", "created_at", "issued_at", "last_used_at"],
            *["revoked_at", "expires_at", "duration", "scopes"],
        ]
        for field in rows:
            with case(field):
                before = snapshot()
                answer = client.patch(url(scoped), {"name": "other", field: None})
                assert answer.status_code == 400
                assert list(answer.json()) == [field]
                assert snapshot() == before

    def test_secret_keeps_working(self, client, scoped, client_with):
        client.patch(url(scoped), {"name": "other"})
        assert client_with(scoped).get(PATS + "current/").json()["name"] == "other"


class TestRevokeAndRegenerate:
    def test_revoke_stops_next_request_only(self, client, scoped, client_with):
        before = client.get(url(scoped)).json()
        answer = client.post(url(scoped, "revoke"))
        assert answer.status_code == 200
        assert answer.json() == {**before, "status": "revoked", "revoked_at": answer.json()["revoked_at"]}
        assert answer.json()["revoked_at"] is not None
        assert client_with(scoped).get(PATS + "current/").status_code == 401

    def test_revoking_twice_changes_nothing(self, client, scoped):
        first = client.post(url(scoped, "revoke"))
        again = client.post(url(scoped, "revoke"))
        assert again.status_code == 200
        assert again.json() == first.json()

    @pytest.mark.parametrize("state", ["active", "revoked", "expired"])
    def test_regenerate_changes_secret_and_expiration(self, client, scoped, client_with, state):
        if state == "revoked":
            services.revoke_token(scoped)
        if state == "expired":
            past = datetime.now(UTC) - timedelta(days=2)
            PersonalAccessToken.objects.update(issued_at=past, expires_at=past + timedelta(days=1))
        before = client.get(url(scoped)).json()
        assert before["status"] == state
        answer = client.post(url(scoped, "regenerate"), {"duration": "24h"})
        assert answer.status_code == 200
        assert answer["Cache-Control"] == "no-store"
        after = answer.json()
        assert list(after) == [*FIELDS, "secret"]
        kept = ("id", "name", "description", "created_at", "scopes")
        assert [after[field] for field in kept] == [before[field] for field in kept]
        assert (after["status"], after["revoked_at"]) == ("active", None)
        issued, expires = (datetime.fromisoformat(after[field]) for field in ("issued_at", "expires_at"))
        assert expires - issued == timedelta(hours=24)
        assert issued > datetime.fromisoformat(before["issued_at"])
        assert client_with(scoped).get(PATS + "current/").status_code == 401
        scoped.secret = after.pop("secret")
        current = client_with(scoped).get(PATS + "current/").json()
        assert {**current, "last_used_at": None} == {**after, "last_used_at": None}

    @pytest.mark.parametrize("body", [None, {}, {"duration": None, "expires_at": None}])
    def test_regenerate_keeps_lifetime_by_default(self, client, make_token, body):
        token = make_token(duration="77d")
        assert client.post(url(token, "regenerate"), body).status_code == 200
        token.refresh_from_db()
        assert token.expires_at - token.issued_at == timedelta(days=77)

    def test_regenerate_with_expiration_date(self, client, token):
        when = datetime.now(UTC) + timedelta(days=3)
        answer = client.post(url(token, "regenerate"), {"expires_at": when.isoformat()})
        assert datetime.fromisoformat(answer.json()["expires_at"]) == when

    def test_invalid_regenerate_keeps_old_secret(self, client, token, client_with):
        before = snapshot()
        for body in ({"duration": "0d"}, {"duration": "9999d"}, {"expires_at": "2001-01-01T00:00:00Z"}):
            assert client.post(url(token, "regenerate"), body).status_code == 400
        assert snapshot() == before
        assert client_with(token).get(PATS + "current/").status_code == 200


class TestDelete:
    def test_deletes_one_token(self, client, scoped, token, client_with):
        answer = client.delete(url(scoped))
        assert answer.status_code == 204
        assert answer.content == b""
        assert client.get(url(scoped)).status_code == client.delete(url(scoped)).status_code == 404
        assert client_with(scoped).get(PATS + "current/").status_code == 401
        assert list(PersonalAccessToken.objects.all()) == [token]
        assert not Scope.objects.exists()

    def test_deletes_all_own_tokens(self, client, scoped, token, stranger):
        theirs = TokenFactory(user=stranger, scopes=[("channels", "*", "read")])
        answer = client.delete(PATS)
        assert answer.status_code == 200
        assert answer.json() == {"deleted": 2}
        assert list(PersonalAccessToken.objects.all()) == [theirs]
        assert theirs.scope_set.count() == 1
        assert client.delete(PATS).json() == {"deleted": 0}

    @pytest.mark.parametrize(
        ("query", "left"),
        [
            ("status=revoked", {"plain", "scoped"}),
            ("status=active", {"revoked"}),
            ("name=SCOPE", {"plain", "revoked"}),
            ("search=with+scopes", {"plain", "revoked"}),
            ("entity_type=channels&operation=read", {"plain", "revoked"}),
            ("entity_type=devices&operation=read", {"plain", "revoked", "scoped"}),
            ("expires_before=2001-01-01", {"plain", "revoked", "scoped"}),
            ("expires_after=2001-01-01", set()),
            ("last_used_before=2001-01-01", {"plain", "revoked", "scoped"}),
            ("never_used=true", set()),
            ("never_used=false", {"plain", "revoked", "scoped"}),
        ],
    )
    def test_deletes_filtered_tokens(self, client, scoped, make_token, stranger, query, left):
        make_token(name="plain"), services.revoke_token(make_token(name="revoked"))
        theirs = TokenFactory(user=stranger, name="theirs", scopes=[("channels", "*", "read")])
        answer = client.delete(f"{PATS}?{query}")
        assert answer.status_code == 200
        assert answer.json() == {"deleted": 3 - len(left)}
        assert set(PersonalAccessToken.objects.values_list("name", flat=True)) == {*left, theirs.name}

    @pytest.mark.parametrize(
        ("query", "fields"),
        [
            *[(f"{name}={name}", {name}) for name in ("colour", "Status", "ordering", "page", "page_size", "", "id")],
            *[(f"{name}=1&status=revoked", {name}) for name in ("ordering", "page", "page_size")],
            *[("status=", {"status"}), ("status", {"status"}), ("name=%20%09", {"name"}), ("search=+", {"search"})],
            *[
                ("never_used=", {"never_used"}),
                ("never_used=maybe", {"never_used"}),
                ("expires_after=", {"expires_after"}),
            ],
            *[("status=revoked&status=active", {"status"}), ("name=a&name=a", {"name"})],
            *[("status=dead", {"status"}), ("expires_before=soon", {"expires_before"}), ("name=%00", {"name"})],
            ("status=dead&colour=red&name=&search=x", {"status", "colour", "name"}),
            ("&".join(f"p{number}=1" for number in range(30)), {f"p{number}" for number in range(20)}),
        ],
    )
    def test_invalid_parameter_deletes_nothing(self, client, scoped, token, query, fields):
        before = snapshot()
        answer = client.delete(f"{PATS}?{query}")
        assert answer.status_code == 400
        assert set(answer.json()) == fields
        assert snapshot() == before

    def test_filters_in_the_body_delete_nothing(self, client, scoped):
        before = snapshot()
        for path in (PATS, url(scoped, "scopes")):
            answer = client.delete(path, {"status": "revoked"})
            assert answer.status_code == 400
            assert answer.json() == {"status": ["This request takes no fields."]}
        assert snapshot() == before


class TestScopes:
    def test_list(self, client, scoped):
        answer = client.get(url(scoped, "scopes"))
        assert answer.status_code == 200
        assert answer.json() == client.get(url(scoped)).json()["scopes"]
        assert [list(scope) for scope in answer.json()] == [
            ["id", "entity_type", "entity_id", "operation", "last_used_at"]
        ] * 2

    def test_add_several_and_list_all(self, client, scoped, channel):
        before = client.get(url(scoped, "scopes")).json()
        added = [row(f"channels:{channel.pk}:publish"), row("pages:*:read")]
        answer = client.post(url(scoped, "scopes"), {"scopes": added})
        assert answer.status_code == 201
        assert answer.json() == client.get(url(scoped, "scopes")).json()
        assert [scope for scope in answer.json() if scope in before] == before
        rest = [scope for scope in answer.json() if scope not in before]
        assert [{key: scope[key] for key in added[0]} for scope in rest] == added

    def test_all_scopes_are_added_or_none(self, client, scoped, stranger):
        theirs = ChannelFactory(owner=stranger)
        before = snapshot()
        rows = [row("pages:*:read"), row(f"channels:{theirs.pk}:read"), row("channels:*:fly")]
        answer = client.post(url(scoped, "scopes"), {"scopes": rows})
        assert answer.status_code == 400
        assert [list(errors) for errors in answer.json()["scopes"]] == [[], ["entity_id"], ["operation"]]
        assert snapshot() == before

    def test_scope_on_all_replaces_single_scopes(self, client, make_token, channel):
        token = make_token(f"channels:{channel.pk}:read")
        scopes = client.post(url(token, "scopes"), {"scopes": [row("channels:*:read")]}).json()
        assert [scope["entity_id"] for scope in scopes] == ["*"]
        again = client.post(url(token, "scopes"), {"scopes": [row(f"channels:{channel.pk}:read")]})
        assert again.status_code == 201
        assert again.json() == scopes

    def test_maximum_number_of_scopes(self, client, scoped, settings):
        settings.PAT_TOKENS_MAX_SCOPES_PER_TOKEN = 3
        before = snapshot()
        rows = [row("pages:*:read"), row("pages:*:list")]
        answer = client.post(url(scoped, "scopes"), {"scopes": rows})
        assert answer.status_code == 400
        assert list(answer.json()) == ["scopes"]
        assert snapshot() == before
        assert client.post(url(scoped, "scopes"), {"scopes": rows[:1]}).status_code == 201

    def test_delete_one(self, client, scoped, client_with):
        scope = scoped.scope_set.get(entity_type="devices")
        bearer = client_with(scoped)
        assert bearer.get("/api/devices/").status_code == 200
        answer = client.delete(url(scoped, "scopes", scope.pk))
        assert answer.status_code == 204
        assert bearer.get("/api/devices/").status_code == 403
        assert client.delete(url(scoped, "scopes", scope.pk)).status_code == 404
        assert scoped.scope_set.count() == 1

    def test_scope_of_other_token_is_not_found(self, client, scoped, make_token, stranger):
        mine = make_token("pages:*:read")
        theirs = TokenFactory(user=stranger, scopes=[("channels", "*", "read")])
        for other in (mine, theirs):
            answer = client.delete(url(scoped, "scopes", other.scope_set.get().pk))
            assert answer.status_code == 404
            assert other.scope_set.count() == 1

    def test_delete_all(self, client, scoped, make_token):
        other = make_token("pages:*:read")
        answer = client.delete(url(scoped, "scopes"))
        assert answer.status_code == 200
        assert answer.json() == {"deleted": 2}
        assert client.get(url(scoped, "scopes")).json() == []
        assert other.scope_set.count() == 1
        assert client.delete(url(scoped, "scopes")).json() == {"deleted": 0}

    @pytest.mark.parametrize("query", ["operation=read", "page=1", "unused=", "entity_type=channels&operation=list"])
    def test_delete_all_takes_no_parameters(self, client, scoped, query):
        before = snapshot()
        answer = client.delete(f"{url(scoped, 'scopes')}?{query}")
        assert answer.status_code == 400
        assert set(answer.json()) == {part.partition("=")[0] for part in query.split("&")}
        assert snapshot() == before


class TestEntities:
    def test_entity_types(self, client):
        answer = client.get(PATS + "entities/")
        assert answer.status_code == 200
        types = {found["name"]: found for found in answer.json()}
        assert list(types) == [entity_type.name for entity_type in registry]
        channels = types["channels"]
        assert list(channels) == ["name", "label", "operations", "presets"]
        assert channels["label"] == "Channels"
        operations = {operation["name"]: operation for operation in channels["operations"]}
        assert list(operations) == ["create", "read", "list", "update", "delete", "publish", "subscribe"]
        assert operations["delete"] == {
            "name": "delete",
            "label": "Delete",
            "description": "Delete channel",
            "dangerous": True,
            "per_entity": True,
        }
        assert operations["create"]["per_entity"] is False

    def test_presets_are_listed(self, client, presets):
        registry.register_preset(Preset("publisher", "Publisher", ["channels:?:publish", "devices:*:read"], "Sends."))
        types = {found["name"]: found["presets"] for found in client.get(PATS + "entities/").json()}
        publisher = {
            "name": "publisher",
            "label": "Publisher",
            "description": "Sends.",
            "scopes": [
                {"entity_type": "channels", "entity_id": None, "operation": "publish"},
                {"entity_type": "devices", "entity_id": "*", "operation": "read"},
            ],
        }
        read_only = {
            "name": "channels-read-only",
            "label": "Read only: Channels",
            "description": "",
            "scopes": [
                {"entity_type": "channels", "entity_id": "*", "operation": "list"},
                {"entity_type": "channels", "entity_id": "*", "operation": "read"},
            ],
        }
        assert types["channels"] == [publisher, read_only]
        assert [preset["name"] for preset in types["devices"]] == ["publisher", "devices-read-only"]
        assert [preset["name"] for preset in types["pages"]] == ["pages-read-only"]

    def test_type_without_label_uses_name(self, client, monkeypatch):
        monkeypatch.setattr(type(registry.get("pages")), "label", "")
        assert "pages" in [found["label"] for found in client.get(PATS + "entities/").json()]

    def test_own_entities(self, client, user, channel, stranger):
        ChannelFactory(owner=stranger)
        second = ChannelFactory(owner=user, name="Second")
        answer = client.get(PATS + "entities/channels/")
        assert answer.status_code == 200
        assert answer.json() == {
            "next": None,
            "previous": None,
            "results": [
                {"id": str(channel.pk), "label": channel.name},
                {"id": str(second.pk), "label": "Second"},
            ],
        }

    def test_ids_can_be_used_for_scopes(self, client, user):
        DeviceFactory(owner=user), PageFactory(owner=user), ChannelFactory(owner=user)
        for name in ("channels", "devices", "pages"):
            (found,) = client.get(f"{PATS}entities/{name}/").json()["results"]
            scope = row(f"{name}:?:read", entity_id=found["id"])
            assert client.post(PATS, {"name": name, "scopes": [scope]}).status_code == 201

    def test_entity_with_key_star_is_not_offered(self, client, user):
        PageFactory(owner=user, path="*")
        assert client.get(PATS + "entities/pages/").json()["results"] == []
        assert client.get(PATS + "entities/pages/", {"search": "*"}).json()["results"] == []

    def test_search_by_words_and_id(self, client, user, stranger):
        red, blue = (ChannelFactory(owner=user, name=f"{color} light") for color in ("Red", "Blue"))
        theirs = ChannelFactory(owner=stranger, name="White lamp")

        def search(term):
            found = client.get(PATS + "entities/channels/", {"search": term}).json()
            return [int(one["id"]) for one in found["results"]]

        assert search("light RED") == [red.pk]
        assert search("light") == [red.pk, blue.pk]
        assert search(str(blue.pk)) == [blue.pk]
        assert search("green") == search("lamp") == search(str(theirs.pk)) == []
        assert search("") == [red.pk, blue.pk]

    def test_pages_without_counting(self, client, user, django_assert_num_queries):
        channels = [ChannelFactory(owner=user) for _ in range(5)]
        path = PATS + "entities/channels/"
        with django_assert_num_queries(3) as queries:  # session, user, entities
            first = client.get(path, {"page_size": 2, "search": "c"}).json()
        assert "COUNT" not in queries[-1]["sql"]
        assert [int(one["id"]) for one in first["results"]] == [channel.pk for channel in channels[:2]]
        assert first["previous"] is None
        second = client.get(first["next"]).json()
        assert [int(one["id"]) for one in second["results"]] == [channel.pk for channel in channels[2:4]]
        assert client.get(second["previous"]).json() == first
        last = client.get(second["next"]).json()
        assert [int(one["id"]) for one in last["results"]] == [channels[4].pk]
        assert last["next"] is None
        assert client.get(path, {"page": "", "page_size": "5"}).json()["next"] is None

    @pytest.mark.parametrize("page", ["0", "-1", "4", "abc", "9" * 5000, "9" * 9, "1.5", "\0", "²", "last"])
    def test_missing_page_is_404(self, client, channel, page):
        answer = client.get(PATS + "entities/channels/", {"page": page})
        assert answer.status_code == 404
        assert answer.json() == {"detail": "Invalid page."}

    def test_entities_are_in_site_order_then_by_key(self, client, user, monkeypatch):
        from tests.models import Channel

        later, earlier, twin = (ChannelFactory(owner=user, name=name) for name in ("b", "a", "b"))
        monkeypatch.setattr(
            type(registry.get("channels")), "get_queryset", lambda self, user: Channel.objects.order_by("name")
        )
        found = client.get(PATS + "entities/channels/").json()["results"]
        assert [int(one["id"]) for one in found] == [earlier.pk, later.pk, twin.pk]

    @pytest.mark.parametrize("name", ["nope", "*", "%00", "Channels", "channels "])
    def test_unknown_type_is_not_found(self, client, name):
        answer = client.get(f"{PATS}entities/{name}/")
        assert answer.status_code == 404
        assert answer.json() == {"detail": "Not found."}

    @pytest.mark.parametrize("term", ["x" * 256, "a\0b"])
    def test_invalid_search_is_an_error(self, client, term):
        answer = client.get(PATS + "entities/channels/", {"search": term})
        assert answer.status_code == 400
        assert list(answer.json()) == ["search"]

    def test_search_with_maximum_number_of_words(self, client, channel):
        for name in ("channels", "devices", "pages"):
            answer = client.get(f"{PATS}entities/{name}/", {"search": "z " * 127})
            assert answer.json()["results"] == []


class TestCurrent:
    def test_shows_token_and_scopes(self, client, scoped, client_with):
        answer = client_with(scoped).get(PATS + "current/")
        assert answer.status_code == 200
        assert answer["Cache-Control"] == "no-store"
        mine = client.get(url(scoped)).json()
        assert {**answer.json(), "last_used_at": None} == {**mine, "last_used_at": None}
        assert len(answer.json()["scopes"]) == 2

    def test_shows_token_without_scopes(self, token, client_with):
        assert client_with(token).get(PATS + "current/").json()["scopes"] == []

    def test_token_revokes_only_itself(self, scoped, token, client_with):
        bearer = client_with(scoped)
        answer = bearer.post(PATS + "current/revoke/")
        assert answer.status_code == 204
        assert answer.content == b""
        assert bearer.get(PATS + "current/").status_code == 401
        assert bearer.post(PATS + "current/revoke/").status_code == 401
        scoped.refresh_from_db()
        assert scoped.status == "revoked"
        assert client_with(token).get(PATS + "current/").status_code == 200

    def test_revoke_ignores_invalid_body(self, token, client_with):
        answer = client_with(token).post(PATS + "current/revoke/", b"\xff{", content_type="text/plain")
        assert answer.status_code == 204

    @pytest.mark.parametrize("method", ["put", "patch", "delete", "post"])
    def test_other_methods_are_405(self, token, client_with, method):
        assert getattr(client_with(token), method)(PATS + "current/").status_code == 405

    def test_options(self, token, client, client_with):
        assert client_with(token).options(PATS + "current/").status_code == 200
        assert client_with(token).options(PATS).json()["code"] == "scope_not_declared"
        assert client.options(PATS).status_code == 200


class TestSecrets:
    def test_logs_have_no_secret(self, client, channel, client_with, caplog):
        caplog.set_level(logging.DEBUG)
        created = client.post(PATS, {"name": "deploy"}).json()
        regenerated = client.post(f"{PATS}{created['id']}/regenerate/").json()
        for secret in (created["secret"], regenerated["secret"]):
            APIClient(headers={"authorization": f"Bearer {secret}"}).get(PATS + "current/")
        for secret in (created["secret"], regenerated["secret"]):
            assert secret not in caplog.text

    def test_reprs_have_no_secret(self, user):
        request = APIRequestFactory().post(PATS, {"name": "deploy"}, format="json")
        force_authenticate(request, user)
        answer = views.TokenViewSet.as_view({"post": "create"})(request)
        secret = answer.data["secret"]
        assert secret not in repr(answer)
        assert secret not in repr(PersonalAccessToken.objects.get())
        assert secret not in repr(PersonalAccessToken.objects.get().__dict__)

    @pytest.mark.parametrize("path", [PATS, PATS + "{token}/regenerate/"])
    def test_exception_reports_have_no_secret(self, user, token, monkeypatch, path):
        """The report that admins get, of an exception raised after the secret was created."""
        from django.views.debug import ExceptionReporter

        from pat_tokens.contrib.rest_framework import serializers

        secrets, reports = [], []

        def fail(self, instance):
            raise RuntimeError("boom")

        def remember(prefix):
            secrets.append(make(prefix))
            return secrets[-1]

        make = services.make_secret
        monkeypatch.setattr(services, "make_secret", remember)
        monkeypatch.setattr(serializers.PersonalAccessTokenSerializer, "to_representation", fail)
        client = session_client(user)
        client.raise_request_exception = False
        from django.core.signals import got_request_exception

        def report(sender, request, **kwargs):
            import sys

            reporter = ExceptionReporter(request, *sys.exc_info())
            reports.extend([reporter.get_traceback_text(), reporter.get_traceback_html()])

        got_request_exception.connect(report)
        try:
            body = {"name": "x"} if path == PATS else {}
            assert client.post(path.format(token=token.pk), body).status_code == 500
        finally:
            got_request_exception.disconnect(report)
        assert len(secrets) == 1
        assert len(reports) == 2
        assert "boom" in reports[0]
        assert not [report for report in reports if secrets[0] in report]


class TestFormat:
    def test_responses_are_json_and_not_cached(self, client, scoped):
        for answer in [
            client.get(PATS),
            client.get(PATS, headers={"accept": "text/html,*/*;q=0.1"}),
            client.get(PATS + "zzz/"),
            client.post(PATS, {}),
            client.post(url(scoped, "revoke")),
            APIClient().get(PATS),
        ]:
            assert answer["Content-Type"] == "application/json"
            assert answer["Cache-Control"] == "no-store"

    def test_responses_are_always_json(self, client):
        assert client.get(PATS, headers={"accept": "text/html"}).status_code == 406

    def test_invalid_charset_is_ignored(self, client, token):
        for charset in ("zlib", "hex", "utf-7", "nope", "idna"):
            kind = f"application/json; charset={charset}"
            answer = client.post(PATS, b'{"name": "\xc3\xbc %s"}' % charset.encode(), content_type=kind)
            assert answer.status_code == 201, charset
            assert answer.json()["name"] == f"ü {charset}"


class TestWithoutTimeZones:
    @override_settings(USE_TZ=False, TIME_ZONE="America/New_York")
    def test_datetimes_are_in_utc(self, client):
        when = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
        answer = client.post(PATS, {"name": "x", "expires_at": when.isoformat()})
        assert answer.status_code == 201
        assert datetime.fromisoformat(answer.json()["expires_at"]) == when
        assert client.get(PATS, {"expires_after": (when - timedelta(hours=1)).isoformat()}).json()["count"] == 1
        assert client.get(PATS, {"expires_before": (when - timedelta(hours=1)).isoformat()}).json()["count"] == 0


def test_concurrently_deleted_row_is_404(client, token, monkeypatch):
    def gone(*args, **kwargs):
        raise PersonalAccessToken.DoesNotExist

    monkeypatch.setattr(services, "revoke_token", gone)
    answer = client.post(url(token, "revoke"))
    assert answer.status_code == 404
    assert answer.json() == {"detail": "Not found."}


def test_users_without_tokens_are_refused(client, user):
    UserFactory()
    assert client.get(PATS).json() == {"count": 0, "next": None, "previous": None, "results": []}
