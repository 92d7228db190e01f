"""The activity routes of the management API."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from pat_tokens import services
from pat_tokens.activity import Actor
from pat_tokens.models import Activity
from tests.contrib.rest_framework.management import PATS, session_client, url
from tests.factories import TokenFactory
from tests.skips import not_applicable

pytestmark = pytest.mark.django_db
ACTIVITY = PATS + "activity/"


@pytest.fixture
def api(user):
    return session_client(user)


def ids(answer):
    return [row["id"] for row in answer.json()["results"]]


def test_row_has_actor_kind_and_time(api, user, make_token):
    token = make_token("channels:*:read", name="deploy")
    services.update_token(token, name="renamed", actor=Actor(user, "page", "2001:db8::1", "Firefox"))
    renamed, created = api.get(ACTIVITY).json()["results"]
    at = renamed.pop("at")
    assert at.endswith("Z")
    assert renamed == {
        "id": Activity.objects.latest("pk").pk,
        "kind": "updated",
        "actor": "owner",
        "via": "page",
        "ip": "2001:db8::1",
        "agent": "Firefox",
        "token": {"id": str(token.pk), "name": "renamed"},
        "changes": {"fields": ["name"], "scopes_added": [], "scopes_deleted": []},
    }
    assert (created["actor"], created["via"], created["ip"]) == (None, "system", None)
    assert created["changes"] == {"fields": [], "scopes_added": ["channels:*:read"], "scopes_deleted": []}


def test_pagination_covers_all_rows_once(api, token):
    for number in range(6):
        services.update_token(token, description=str(number))
    everything = list(Activity.objects.order_by("-pk").values_list("pk", flat=True))
    found, address = [], ACTIVITY + "?page_size=3"
    while address:
        answer = api.get(address)
        assert list(answer.json()) == ["next", "previous", "results"]
        found += ids(answer)
        last, address = answer, answer.json()["next"]
    assert found == everything
    assert ids(api.get(last.json()["previous"])) == everything[3:6]


def test_other_users_activity_is_not_found(api, token, stranger):
    foreign = TokenFactory(user=stranger)
    assert [row["token"]["id"] for row in api.get(ACTIVITY).json()["results"]] == [str(token.pk)]
    assert api.get(url(foreign, "activity")).status_code == 404
    assert ids(api.get(ACTIVITY, {"token": foreign.pk})) == []


def test_deleted_tokens_are_found_by_filter(api, token):
    services.delete_token(token)
    assert [row["kind"] for row in api.get(ACTIVITY, {"token": token.pk}).json()["results"]] == ["deleted", "created"]
    assert api.get(url(token, "activity")).status_code == 404


def test_filters(api, user, token, make_token):
    other = make_token(name="other")
    services.revoke_token(other)
    services.revoke_token(token)
    Activity.objects.filter(token_id=other.pk, kind="created").update(at=timezone.now() - timedelta(days=3))
    yesterday = (timezone.now() - timedelta(days=1)).isoformat()
    found = {
        query: [(row["kind"], row["token"]["name"]) for row in api.get(ACTIVITY, data).json()["results"]]
        for query, data in {
            "kinds": {"kind": ["revoked", "deleted"]},
            "empty": {"kind": "", "token": "", "since": "", "until": ""},
            "token": {"token": other.pk},
            "since": {"since": yesterday, "kind": "created"},
            "until": {"until": yesterday},
        }.items()
    }
    assert found == {
        "kinds": [("revoked", "deploy"), ("revoked", "other")],
        "empty": [("revoked", "deploy"), ("revoked", "other"), ("created", "other"), ("created", "deploy")],
        "token": [("revoked", "other"), ("created", "other")],
        "since": [("created", "deploy")],
        "until": [("created", "other")],
    }
    rows = api.get(url(other, "activity"), {"kind": "revoked"}).json()["results"]
    assert [(row["kind"], row["token"]["name"]) for row in rows] == [("revoked", "other")]


def test_first_and_last_datetime_are_accepted(api, token):
    first, last = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"
    for query, count in (
        ({"since": first}, 1),
        ({"until": last}, 1),
        ({"since": last}, 0),
        ({"until": first}, 0),
        ({"since": first, "until": last}, 1),
    ):
        assert len(ids(api.get(ACTIVITY, query))) == count, query


def test_invalid_filter_values_are_errors(api, token):
    for query in ("kind=made", "kind=created&kind=x", "token=1", "since=yesterday", "until=1", "page_size=0"):
        answer = api.get(f"{ACTIVITY}?{query}")
        assert answer.status_code == 400, query
        assert list(answer.json()) == [query.rpartition("&")[2].partition("=")[0]]
    for cursor in ("x", "cD14", "cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "cD0tMQ==", "cD3CsQ=="):  # invalid cursors
        assert api.get(ACTIVITY, {"cursor": cursor}).status_code == 404, cursor


def test_tokens_cannot_read_activity(client_with, token, django_assert_num_queries):
    for address in (ACTIVITY, url(token, "activity")):
        assert client_with(token).get(address).status_code == 403


@pytest.mark.parametrize("filters", [{}, {"kind": ["refused"]}])
def test_index_provides_order(api, user, token, filters):
    if connection.vendor != "sqlite":
        not_applicable("small tables are read without an index")
    rows = Activity.objects.for_owner(user).newest_first()
    if filters:
        rows = rows.refusals()
    plan = rows[:20].explain()
    assert "pat_tokens_act_owner" in plan
    assert "TEMP B-TREE" not in plan
    plan = Activity.objects.for_token(token.pk).newest_first()[:20].explain()
    assert "pat_tokens_act_token" in plan
    assert "TEMP B-TREE" not in plan
