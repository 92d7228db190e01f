"""`GET /api/pats/`: filters, ordering and pages."""

from datetime import UTC, datetime, timedelta

import pytest

from pat_tokens import services
from pat_tokens.models import PersonalAccessToken
from pat_tokens.querysets import SORTABLE
from tests.contrib.rest_framework.management import PATS

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def names(client):
    """Return the names of the tokens that a query string selects, in order."""

    def names(**query):
        answer = client.get(PATS, query)
        assert answer.status_code == 200, answer.content
        return [token["name"] for token in answer.json()["results"]]

    return names


@pytest.fixture
def set_datetimes():
    """Set datetime columns that no interface can set."""

    def set_datetimes(token, **fields):
        PersonalAccessToken.objects.filter(pk=token.pk).update(**fields)

    return set_datetimes


@pytest.fixture
def dead(make_token, set_datetimes):
    """An expired, a revoked, an expired and revoked, and an active token."""
    make_token(name="active")
    revoked, expired, both = make_token(name="revoked"), make_token(name="expired"), make_token(name="both")
    for token in (revoked, both):
        services.revoke_token(token)
    for token in (expired, both):
        set_datetimes(token, issued_at=NOW - timedelta(days=9), expires_at=NOW - timedelta(days=1))


def test_status(case, names, dead):
    rows = [
        ("active", {"active"}),
        ("expired", {"expired"}),
        ("revoked", {"revoked", "both"}),
        ("", {"active", "expired", "revoked", "both"}),
        (None, {"active", "expired", "revoked", "both"}),
    ]
    for status, found in rows:
        with case(status, found):
            assert set(names() if status is None else names(status=status)) == found


def test_status_filter_matches_status_field(client, dead):
    for status in ("active", "expired", "revoked"):
        found = client.get(PATS, {"status": status}).json()["results"]
        assert {token["status"] for token in found} == {status}


def test_name_contains(names, make_token):
    make_token(name="Deploy the site"), make_token(name="backup", description="deploy"), make_token(name="100%_sure")
    assert names(name="DEPLOY") == ["Deploy the site"]
    assert names(name="%") == names(name="_") == ["100%_sure"]
    assert names(name="nothing") == []


def test_search_in_name_and_description(names, make_token):
    make_token(name="one", description="for the Backup"), make_token(name="backup"), make_token(name="other")
    assert set(names(search="backup")) == {"one", "backup"}
    assert names(search="nothing") == []


@pytest.mark.parametrize("method", ["get", "delete", "post", "patch", "options"])
def test_secret_in_url_is_refused(client, user, make_token, method):
    token = make_token()
    client.force_login(user)
    for query in (
        *({name: token.secret} for name in ("search", "name", "entity_type", "status", "page", "owner", "unknown")),
        *(
            {"search": f"Bearer {token.secret}"},
            {"search": token.secret[:30]},
            {token.secret: ""},
            {"a": ["b", token.secret]},
        ),
    ):
        for path in (PATS, f"{PATS}{token.pk}/", f"{PATS}entities/channels/", f"{PATS}activity/", f"{PATS}nothing/"):
            answer = getattr(client, method)(path, query_params=query)
            said = answer.content.decode()
            assert answer.status_code in (400, 404, 405), (path, query)
            assert token.secret[:30] not in said + str(answer.headers)
            if answer.status_code == 400:
                assert "send it in the header Authorization to current/" in said
    assert type(token).objects.filter(pk=token.pk).exists()


def test_secret_in_url_of_token_is_refused(client_with, make_token):
    token = make_token()
    answer = client_with(token).get(f"{PATS}current/", {"token": token.secret})
    assert answer.status_code == 400
    assert token.secret not in answer.content.decode()


def test_entity_type_and_operation_match_one_scope(names, make_token, channel):
    make_token("channels:*:read", "devices:*:list", name="crossed")
    make_token(f"channels:{channel.pk}:list", name="one")
    make_token(name="none")
    assert set(names(entity_type="channels")) == {"crossed", "one"}
    assert set(names(operation="list")) == {"crossed", "one"}
    assert names(entity_type="channels", operation="list") == ["one"]
    assert names(entity_type="devices", operation="read") == []
    assert names(entity_type="unknown") == names(operation="unknown") == names(entity_type="CHANNELS") == []


def test_token_with_many_matching_scopes_is_listed_once(client, make_token, channel):
    make_token("channels:*:read", "channels:*:list", "channels:*:update")
    assert client.get(PATS, {"entity_type": "channels"}).json()["count"] == 1


def test_expires_before_and_after(names, make_token, settings):
    settings.PAT_TOKENS_ALLOW_NO_EXPIRY = True
    soon, late = NOW + timedelta(days=1), NOW + timedelta(days=9)
    make_token(name="soon", expires_at=soon), make_token(name="late", expires_at=late)
    make_token(name="never", duration="never")
    middle = (NOW + timedelta(days=5)).isoformat()
    assert names(expires_before=middle) == ["soon"]
    assert names(expires_after=middle) == ["late"]
    assert names(expires_after=soon.isoformat(), expires_before=late.isoformat()) == []
    assert names(expires_after=soon.replace(microsecond=0).isoformat()) == ["late"]


def test_datetime_filter_accepts_zones_and_dates(names, make_token):
    make_token(name="soon", expires_at=NOW + timedelta(days=1))
    # Three days, because a day starts up to 14 hours earlier in the site's time zone.
    when = (NOW + timedelta(days=3)).replace(tzinfo=None)
    for text in (f"{when.isoformat()}Z", f"{when.isoformat()}-11:00", when.isoformat(), str(when.date())):
        assert names(expires_before=text) == ["soon"]
        assert names(expires_after=text) == []


def test_last_used_before_and_never_used(names, make_token, set_datetimes):
    make_token(name="never")
    set_datetimes(make_token(name="old"), last_used_at=NOW - timedelta(days=9))
    set_datetimes(make_token(name="new"), last_used_at=NOW)
    when = (NOW - timedelta(days=5)).isoformat()
    assert names(last_used_before=when) == ["old"]
    assert names(never_used="true") == names(never_used="1") == ["never"]
    assert set(names(never_used="false")) == {"old", "new"}
    assert set(names(never_used="")) == {"old", "new", "never"}


def test_filters_are_combined(names, make_token):
    make_token("channels:*:read", name="deploy one"), make_token("channels:*:read", name="other")
    make_token(name="deploy two")
    assert names(name="deploy", entity_type="channels", status="active", never_used="true") == ["deploy one"]


def test_invalid_value_is_field_error(case, client, token):
    rows = [
        ({"status": "dead"}, "status"),
        ({"status": "Active"}, "status"),
        ({"status": "null"}, "status"),
        ({"status": "a\0b"}, "status"),
        ({"ordering": "secret"}, "ordering"),
        ({"ordering": "digest"}, "ordering"),
        ({"ordering": "user__password"}, "ordering"),
        ({"ordering": "name,--name"}, "ordering"),
        ({"ordering": "?"}, "ordering"),
        ({"expires_before": "soon"}, "expires_before"),
        ({"expires_before": "iso-8601"}, "expires_before"),
        ({"expires_after": "2030-13-01"}, "expires_after"),
        ({"expires_after": "\r"}, "expires_after"),
        ({"last_used_before": " "}, "last_used_before"),
        ({"expires_after": "0001-01-01T00:00:00+14:00"}, "expires_after"),
        ({"expires_before": "9999-12-31T23:59:59-14:00"}, "expires_before"),
        ({"last_used_before": "2030-01-01T00:00:00 02:00"}, "last_used_before"),
        ({"last_used_before": "1\0"}, "last_used_before"),
        ({"never_used": "maybe"}, "never_used"),
        ({"never_used": "null"}, "never_used"),
        ({"ordering": ","}, "ordering"),
        ({"ordering": "name,"}, "ordering"),
        ({"ordering": "name,,-issued_at"}, "ordering"),
        ({"name": "a\0b"}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"search": "\0"}, "search"),
        ({"search": "x" * 60_000}, "search"),
        ({"entity_type": "\0"}, "entity_type"),
        ({"operation": "x" * 256}, "operation"),
        ({"page_size": "0"}, "page_size"),
        ({"page_size": "-1"}, "page_size"),
        ({"page_size": "many"}, "page_size"),
        ({"page_size": "1.5"}, "page_size"),
        ({"page_size": "١"}, "page_size"),
        ({"page_size": "²"}, "page_size"),
    ]
    for query, field in rows:
        with case(query, field):
            answer = client.get(PATS, query)
            assert answer.status_code == 400
            assert list(answer.json()) == [field]
            assert all(isinstance(message, str) for message in answer.json()[field])


def test_earliest_and_latest_datetimes(names, token, settings):
    for zone in ("UTC", "Asia/Tokyo", "America/New_York"):
        settings.TIME_ZONE = zone
        assert names(expires_after="0001-01-02T00:00:00") == names(expires_before="9999-12-30T00:00:00") == ["deploy"]


def test_invalid_page_is_404(case, client, token):
    for page in ["0", "-1", "2", "abc", "9" * 5000, "1.5", "\0", "²"]:
        with case(page):
            answer = client.get(PATS, {"page": page})
            assert answer.status_code == 404
            assert list(answer.json()) == ["detail"]


def test_page_size_is_at_most_100(client, make_token, settings):
    settings.PAT_TOKENS_MAX_TOKENS_PER_USER = 200
    for _ in range(101):
        make_token()
    for size, rows in ((None, 20), ("100", 100), ("101", 100), ("0101", 100), ("9" * 5000, 100), ("7", 7), ("007", 7)):
        found = client.get(PATS, {"page_size": size} if size else {}).json()
        assert (found["count"], len(found["results"])) == (101, rows)


def test_unknown_filter_is_ignored(names, token):
    assert names(colour="red") == ["deploy"]


def sort_key(token, field):
    value = getattr(token, field)
    if field in ("name", "description"):
        return value.lower()
    if value is None:
        return datetime.min.replace(tzinfo=UTC) if field == "last_used_at" else datetime.max.replace(tzinfo=UTC)
    return value


def test_ordering(case, names, make_token, set_datetimes, settings):
    for field in ["name", "description", "issued_at", "expires_at", "last_used_at"]:
        for minus in ["", "-"]:
            with case(minus, field):
                settings.PAT_TOKENS_ALLOW_NO_EXPIRY = True
                for number, name in enumerate(["b", "A", "c", "D", "e"]):
                    duration = "never" if number == 2 else f"{9 - number}d"
                    token = make_token(name=name, description="zYxWv"[number], duration=duration)
                    issued_at = NOW - timedelta(hours=(number * 7) % 5)
                    set_datetimes(
                        token,
                        issued_at=issued_at,
                        last_used_at=None if number in (1, 3) else NOW - timedelta(days=number),
                    )
                tokens = list(PersonalAccessToken.objects.order_by("-issued_at"))
                expected = sorted(tokens, key=lambda token: sort_key(token, field), reverse=bool(minus))
                if minus:  # equal values stay newest first
                    expected.sort(key=lambda token: -tokens.index(token), reverse=True)
                    expected.sort(key=lambda token: sort_key(token, field), reverse=True)
                assert names(ordering=minus + field) == [token.name for token in expected]


def test_ordering_by_several_fields(names, make_token):
    for name, description in (("a", "x"), ("b", "y"), ("c", "x")):
        make_token(name=name, description=description)
    assert names(ordering="description,-name") == ["c", "a", "b"]
    assert names(ordering="-description,name") == ["b", "a", "c"]
    assert names(ordering="") == names(ordering="-issued_at") == ["c", "b", "a"]


def test_empty_ordering_field_is_an_error(client):
    answer = client.get(PATS, {"ordering": "name,,description"})
    assert answer.json() == {"ordering": ["Enter a field to sort by on each side of a comma."]}


def test_ordering_by_repeated_field(names, make_token):
    make_token(name="a"), make_token(name="b")
    assert names(ordering=",".join(["name", "-name"] * 1500)) == ["a", "b"]


def test_equal_values_have_stable_order(client, make_token, set_datetimes):
    for _ in range(7):
        set_datetimes(make_token(), issued_at=NOW, expires_at=NOW + timedelta(days=1))
    for ordering in SORTABLE:
        pages = [client.get(PATS, {"ordering": ordering, "page_size": 2, "page": page}) for page in range(1, 5)]
        ids = [token["id"] for page in pages for token in page.json()["results"]]
        assert len(set(ids)) == 7
