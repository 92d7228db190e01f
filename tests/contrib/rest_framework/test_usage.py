"""The API of missing and unused scopes: a token is left with exactly what is used."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from tests.factories import ChannelFactory

pytestmark = [pytest.mark.sql, pytest.mark.django_db]


class TestMissing:
    def test_rows(self, client, token, user, stranger, client_with):
        mine, other = ChannelFactory(owner=user), ChannelFactory(owner=stranger)
        for channel in (mine, other):
            assert client_with(token).get(f"/api/channels/{channel.pk}/").status_code == 403
        assert client_with(token).get("/api/channels/").status_code == 403
        answer = client.get(f"/api/pats/{token.pk}/missing/?page_size=1").json()
        assert (answer["count"], answer["previous"]) == (2, None)
        assert answer["results"] == [
            {
                "entity_type": "channels",
                "entity_id": "*",
                "operation": "list",
                "count": 1,
                "last_at": answer["results"][0]["last_at"],
            }
        ]
        assert datetime.fromisoformat(answer["results"][0]["last_at"]) <= timezone.now()
        (row,) = client.get(answer["next"]).json()["results"]
        assert (row["entity_id"], row["operation"]) == (str(mine.pk), "read")
        mine.delete()  # so that the owner can no longer grant it
        assert client.get(f"/api/pats/{token.pk}/missing/").json()["count"] == 1

    def test_invalid_page_and_others_tokens(self, client, token, stranger, make_token):
        for query, status in {"page=2": 404, "page_size=x": 400}.items():
            assert client.get(f"/api/pats/{token.pk}/missing/?{query}").status_code == status
        assert client.get(f"/api/pats/{make_token(user=stranger).pk}/missing/").status_code == 404

    def test_script_until_it_works(self, client, token, user, client_with):
        """A token without scopes, granted what it lacked, ends with exactly what the script uses."""
        channel = ChannelFactory(owner=user)
        calls = [
            ("get", "/api/channels/"), ("get", f"/api/channels/{channel.pk}/"),
            ("patch", f"/api/channels/{channel.pk}/"), ("post", f"/api/channels/{channel.pk}/publish/"),
            ("get", "/api/devices/"),
        ]  # fmt: skip
        script, rounds = client_with(token), 0
        while any(getattr(script, method)(path).status_code == 403 for method, path in calls):  # ends at the first
            rounds += 1
            rows = client.get(f"/api/pats/{token.pk}/missing/").json()["results"]
            scopes = [{name: row[name] for name in ("entity_type", "entity_id", "operation")} for row in rows]
            answer = client.post(f"/api/pats/{token.pk}/scopes/", {"scopes": scopes}, format="json")
            assert answer.status_code == 201
        assert rounds <= 5
        needed = {f"channels:{channel.pk}:{name}" for name in ("read", "update", "publish")}
        needed |= {"channels:*:list", "devices:*:list"}
        assert set(map(str, token.scope_set.all())) == needed
        assert all(scope["last_used_at"] for scope in client.get(f"/api/pats/{token.pk}/scopes/").json())
        assert client.get(f"/api/pats/{token.pk}/missing/").json()["count"] == 0
        acts = client.get(f"/api/pats/{token.pk}/activity/?kind=scopes_added").json()["results"]
        assert {scope for act in acts for scope in act["changes"]["scopes_added"]} == needed


class TestUnusedScopes:
    @pytest.fixture
    def token(self, make_token):
        """Scopes that were used 10 or 100 days ago, or never, while watched for 100 days or since today."""
        now = timezone.now()
        token = make_token("channels:*:read", "channels:*:list", "channels:*:update", "channels:*:delete")
        for name, used, watched in (("read", 10, 200), ("list", 100, 200), ("update", None, 100), ("delete", None, 0)):
            used_at = None if used is None else now - timedelta(days=used)
            token.scope_set.filter(operation=name).update(
                last_used_at=used_at, watched_since=now - timedelta(days=watched)
            )
        return token

    def test_deletes_what_is_unused(self, client, token):
        def delete(span):
            answer = client.delete(f"/api/pats/{token.pk}/scopes/?unused_for={span}")
            assert answer.status_code == 200
            return answer.json()["deleted"], {scope.operation for scope in token.scope_set.all()}

        assert delete("1y") == (0, {"read", "list", "update", "delete"})
        assert delete("90d") == (2, {"read", "delete"})
        assert delete("P9D") == (1, {"delete"})
        (act, _first) = client.get(f"/api/pats/{token.pk}/activity/?kind=scopes_deleted").json()["results"]
        assert act["changes"]["scopes_deleted"] == ["channels:*:read"]

    def test_unwatched_scope_counts_from_creation(self, client, token):
        token.scope_set.update(last_used_at=None, watched_since=None, created_at=timezone.now() - timedelta(days=100))
        assert client.delete(f"/api/pats/{token.pk}/scopes/?unused_for=90d").json() == {"deleted": 4}

    @pytest.mark.parametrize(
        "query",
        [
            "unused_for=", "unused_for=90", "unused_for=0d", "unused_for=-1d", "unused_for=never", "unused_for=%00",
            "unused_for=99999999999d", "unused_for=90d&unused_for=80d", "unused_since=90d", "unused_for=90d&page=1",
            "ordering=id", "unused_for=90d&x=",
        ],
    )  # fmt: skip
    def test_bad_parameters_delete_nothing(self, client, token, query):
        answer = client.delete(f"/api/pats/{token.pk}/scopes/?{query}")
        assert answer.status_code == 400
        assert set() < answer.json().keys() <= {"unused_for", "unused_since", "page", "ordering", "x"}
        assert token.scope_set.count() == 4
