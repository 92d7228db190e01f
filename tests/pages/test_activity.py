"""The activity page, and that of the admin, which has the same filter."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from pat_tokens import services
from pat_tokens.models import Activity
from pat_tokens.pages import activity
from tests.factories import TokenFactory, UserFactory
from tests.interfaces import admin_url

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_admin")]

DAY = datetime(2026, 3, 4, tzinfo=UTC)


@pytest.fixture
def rows(user: Any, stranger: Any) -> dict[str, Activity]:
    """Rows of two tokens of the user, one on each of five days; and one of somebody else."""
    first, other = TokenFactory(user=user, name="first"), TokenFactory(user=user, name="other")
    services.revoke_token(first)
    services.delete_token(other)
    services.update_token(first, name="renamed")
    TokenFactory(user=stranger)
    found = {}
    for number, row in enumerate(Activity.objects.for_owner(user).order_by("pk")):
        Activity.objects.filter(pk=row.pk).update(at=DAY + timedelta(days=number))
        found[f"{row.kind} {row.token_name}"] = row
    return found


@pytest.fixture(params=["page", "admin"])
def ask(request: Any, user: Any) -> Any:
    """Get a page of activity with parameters."""
    client, url, owner = Client(), "/pats/activity/", {}
    if request.param == "page":
        client.force_login(user)
    else:
        client.force_login(UserFactory(is_staff=True, is_superuser=True))
        url = admin_url("owner_activity")
        owner = {"owner": str(user.pk)}
    return lambda query, more=owner: client.get(url, {**more, **query})


def shown(response: Any) -> list[str]:
    return [f"{act.row.kind} {act.row.token_name}" for act in response.context["rows"]]


@pytest.mark.parametrize("zone", [True, False])
def test_filters_select_rows(ask, rows, case, settings, zone):
    names = ["updated renamed", "deleted other", "revoked first", "created other", "created first"]
    settings.TIME_ZONE = "UTC"
    settings.USE_TZ = zone
    for query, expected in (
        ({}, names),
        ({"kind": "created"}, names[3:]),
        ({"kind": ["created", "deleted"]}, [names[1], *names[3:]]),
        ({"token": str(rows["created other"].token_id)}, [names[1], names[3]]),
        ({"since": "2026-03-05"}, names[:4]),
        ({"until": "2026-03-05"}, names[3:]),
        ({"since": "2026-03-05", "until": "2026-03-06", "kind": "revoked"}, [names[2]]),
        ({"since": "2027-01-01"}, []),
        ({"kind": "x", "token": "x", "since": "x", "until": "0000-00-00", "before": "x", "after": "-1"}, names),
    ):
        with case(query):
            response = ask(query)
            assert shown(response) == expected
            assert ("Clear the filters" in response.content.decode()) == (len(expected) < 5)
            assert ("Nothing matches these filters." in response.content.decode()) == (not expected)


def test_filters_stay_on_the_next_page(ask, rows, monkeypatch):
    monkeypatch.setattr(activity, "SIZE", 1)
    response = ask({"kind": "created", "since": "2026-03-01", "until": "2026-03-31"})
    seen = [*shown(response)]
    while url := response.context["older_url"]:
        response = ask(dict(part.split("=") for part in url.removeprefix("?").split("&")), {})
        seen += shown(response)
        assert response.context["kind"] == "created"
    assert seen == ["created other", "created first"]
    assert response.context["newer_url"]
