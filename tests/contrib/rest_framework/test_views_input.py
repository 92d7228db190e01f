"""Invalid input to the management API gets a 4xx in DRF's format, and changes nothing."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.settings import api_settings
from rest_framework.test import APIClient

from pat_tokens.contrib.rest_framework.filtersets import TokenFilterSet
from tests.contrib.rest_framework.management import PATS, snapshot
from tests.factories import ChannelFactory, DeviceFactory, PageFactory

pytestmark = pytest.mark.django_db

SURROGATE = "\ud800"
FUTURE = (datetime.now(UTC) + timedelta(days=5)).isoformat()


def brief(value):
    return repr(value)[:30]


@pytest.fixture
def target(make_token):
    """The token that receives invalid input."""
    return make_token("channels:*:read", name="target")


@pytest.fixture
def paths(target):
    """The routes that read a body, with their method."""
    return [
        ("post", PATS),
        ("patch", f"{PATS}{target.pk}/"),
        ("post", f"{PATS}{target.pk}/regenerate/"),
        ("post", f"{PATS}{target.pk}/scopes/"),
    ]


def send(client, method, path, body):
    return getattr(client, method)(path, body, content_type="application/json")


def test_invalid_json(client, paths):
    before = snapshot()
    for method, path in paths:
        answer = send(client, method, path, b"name=x")
        assert answer.status_code == 400, path
        assert list(answer.json()) == ["detail"]
    assert snapshot() == before


def test_json_is_not_an_object(case, client, paths):
    for body in ["[]", "[1]", "null", "true", "1", "1.5", '"text"', "1e999", '"\\ud800"']:
        with case(body):
            before = snapshot()
            for method, path in paths:
                answer = send(client, method, path, body)
                assert answer.status_code == 400, path
                assert list(answer.json()) == [api_settings.NON_FIELD_ERRORS_KEY]
            assert snapshot() == before


def test_other_media_type_is_415(case, client, paths):
    for body in [b'{"name": "x"}', b"name=x&duration=7d", b"--x\r\njunk"]:
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/xml",
            "x",
        ]:
            with case(kind, body):
                before = snapshot()
                for method, path in paths:
                    answer = getattr(client, method)(path, body, content_type=kind)
                    assert answer.status_code in (400, 415), path
                    assert list(answer.json()) == ["detail"]
                assert snapshot() == before


@pytest.mark.parametrize("enforced", [False, True])
def test_form_read_by_csrf_check_is_415(user, target, enforced):
    client = APIClient(enforce_csrf_checks=enforced)
    client.force_login(user)
    before = snapshot()
    path = f"{PATS}{target.pk}/regenerate/"
    for answer in [
        client.post(path, {"duration": "7d"}, format="multipart"),
        client.post(path, b"--x\r\nContent-Disposition: broken", content_type="multipart/form-data; boundary=x"),
    ]:
        assert answer.status_code == (403 if enforced else 415)
        assert list(answer.json()) == ["detail"]
    assert snapshot() == before


def test_form_with_csrf_token_is_415(user, target, settings):
    client = APIClient(enforce_csrf_checks=True, headers={"x-csrftoken": "a" * 32})
    client.force_login(user)
    client.cookies["csrftoken"] = "a" * 32
    path, before = f"{PATS}{target.pk}/regenerate/", snapshot()
    assert client.post(path, {"duration": "7d"}, format="multipart").status_code == 415
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    answer = client.post(path, b"a=" + b"b" * 99, content_type="application/x-www-form-urlencoded")
    assert 400 <= answer.status_code < 500
    assert list(answer.json()) == ["detail"]
    assert snapshot() == before


def test_large_body_is_413(client, paths, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    before = snapshot()
    for method, path in paths:
        answer = send(client, method, path, json.dumps({"name": "x", "junk": "y" * 1000}))
        assert answer.status_code == 413, path
        assert answer.json() == {"detail": "The body is too large: at most 1000 bytes."}
    assert snapshot() == before


def test_large_form_is_an_error(client, target, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    kind = "application/x-www-form-urlencoded"
    answer = client.post(f"{PATS}{target.pk}/regenerate/", b"a=" + b"b" * 2000, content_type=kind)
    assert 400 <= answer.status_code < 500
    assert list(answer.json()) == ["detail"]


JUNK = [None, True, False, 0, -1, 1.5, 10**400, [], {}, ["x"], {"a": 1}, [[[[]]]], [None], {"": None}]
BAD_TEXT = ["a\0b", SURROGATE, f"x{SURROGATE}y", "\udfff", "x" * 100_000]


def test_invalid_name(case, client, target):
    for value in [*JUNK, *BAD_TEXT, "", " \t\n", "\u200b", "x" * 256]:
        with case(value):
            before = snapshot()
            for method, path in (("post", PATS), ("patch", f"{PATS}{target.pk}/")):
                answer = send(client, method, path, json.dumps({"name": value}))
                assert answer.status_code == 400
                assert list(answer.json()) == ["name"]
                assert [type(message) for message in answer.json()["name"]] == [str]
            assert snapshot() == before


def test_invalid_description(case, client, target):
    for value in [*JUNK, *BAD_TEXT, "x" * 1001]:
        with case(value):
            before = snapshot()
            for method, path in (("post", PATS), ("patch", f"{PATS}{target.pk}/")):
                answer = send(client, method, path, json.dumps({"name": "new", "description": value}))
                assert answer.status_code == 400
                assert list(answer.json()) == ["description"]
            assert snapshot() == before


def test_duplicate_name(case, client, target, make_token):
    for name in ["target", "TARGET", " Target "]:
        with case(name):
            other = make_token(name="other")
            before = snapshot()
            for method, path in (("post", PATS), ("patch", f"{PATS}{other.pk}/")):
                answer = send(client, method, path, json.dumps({"name": name}))
                assert answer.status_code == 400
                assert list(answer.json()) == ["name"]
            assert snapshot() == before


def test_name_of_other_user_is_available(other_client, target):
    assert other_client.post(PATS, {"name": "target"}).status_code == 201


def test_missing_name(client):
    assert client.post(PATS, {}).json() == {"name": ["This field is required."]}


def test_invalid_duration(case, client, target):
    rows = [
        *(value for value in JUNK if value is not None),
        *BAD_TEXT,
        *["", " ", "0", "30", "0d", "-1d", "1.5d", "1m", "30 d", "367d", "2y", "9" * 30 + "d", "999999999y", "P", "PT"],
        *["P0D", "P2Y", "P999999999Y", "never", "NEVER", "next week", "٣d", "٣٠d", "d", "1dd", "1e3d", "+1d"],
    ]
    for value in rows:
        with case(value):
            before = snapshot()
            for path, body in ((PATS, {"name": "new"}), (f"{PATS}{target.pk}/regenerate/", {})):
                answer = send(client, "post", path, json.dumps({**body, "duration": value}))
                assert answer.status_code == 400
                assert list(answer.json()) == ["duration"]
            assert snapshot() == before


def test_invalid_expiration(case, client, target):
    rows = [
        *(value for value in JUNK if value is not None),
        *BAD_TEXT,
        *["", " ", "soon", "iso-8601", "2030-13-01T00:00:00Z", "2030-02-30T00:00:00Z", "2001-01-01T00:00:00Z"],
        *["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z", "10000-01-01T00:00:00Z"],
        *["0001-01-01T00:00:00Z", "2030-01-01T00:00:00+99:99", "24:00", "1e9", "2999-01-01T00:00:00Z"],
    ]
    for value in rows:
        with case(value):
            before = snapshot()
            for path, body in ((PATS, {"name": "new"}), (f"{PATS}{target.pk}/regenerate/", {})):
                answer = send(client, "post", path, json.dumps({**body, "expires_at": value}))
                assert answer.status_code == 400
                assert list(answer.json()) == ["expires_at"]
            assert snapshot() == before


def test_unknown_and_read_only_fields_are_errors(case, client, paths):
    rows = [
        {"expires_in": 3600},
        {"expiry": "1h", "scope": []},
        {"id": str(uuid.uuid4()), "user": 1, "owner": "x", "secret": "x"},
        {"status": "revoked", "hint": None, "created_at": None, "last_used_at": None, "revoked_at": None},
        {"": 2, "Name": "x", "name ": "x", "csrfmiddlewaretoken": "x", "non_field_errors": 1},
    ]
    for wrong in rows:
        with case(wrong):
            before = snapshot()
            known = [
                "name, description, allowed_networks, duration, expires_at, scopes",
                "name, description, allowed_networks, grace_period",
                "duration, expires_at",
                "scopes",
            ]
            for (method, path), fields in zip(paths, known, strict=True):
                answer = send(client, method, path, json.dumps(wrong))
                assert answer.status_code == 400, path
                message = f"Unknown or read-only field. You can set: {fields}."
                assert {field: [message] for field in wrong}.items() <= answer.json().items()
            assert snapshot() == before


def test_routes_without_fields_reject_input(case, client, target):
    scope = target.scope_set.get()
    path = f"{PATS}{target.pk}/"
    before = snapshot()
    routes = [
        ("post", f"{path}revoke/"),
        ("delete", path),
        ("delete", f"{path}scopes/"),
        ("delete", f"{path}scopes/{scope.pk}/"),
    ]
    for method, route in routes:
        for body in ({"reason": "lost"}, {"id": "x", "status": "active"}):
            with case(method, route, body):
                answer = send(client, method, route, json.dumps(body))
                assert answer.status_code == 400
                assert answer.json() == {field: ["This request takes no fields."] for field in body}
                assert snapshot() == before
        for query in ("?status=expired", "?all=1&x="):
            with case(method, route, query):
                if method == "delete":
                    assert send(client, method, route + query, "").status_code == 400
                assert snapshot() == before
    for body in ([1], "x", 5):
        assert send(client, "post", f"{path}revoke/", json.dumps(body)).status_code == 400
    assert snapshot() == before
    assert send(client, "post", f"{path}revoke/", "{}").status_code == 200
    assert client.delete(path).status_code == 204


def test_field_name_with_surrogates(client, paths):
    for method, path in paths:
        assert "\\ud800" in send(client, method, path, b'{"\\ud800": 1}').json()


def test_all_errors_are_reported_together(client, target):
    bad = {"name": "Target", "description": 1, "duration": "soon", "scopes": [1], "expires_in": 5}
    answer = client.post(PATS, bad)
    assert set(answer.json()) == set(bad)
    assert set(client.patch(f"{PATS}{target.pk}/", {"name": 1, "description": 1, "x": 1}).json()) == {
        "name",
        "description",
        "x",
    }
    assert set(client.post(f"{PATS}{target.pk}/regenerate/", {"duration": "x", "y": 1}).json()) == {"duration", "y"}
    row = {"entity_type": "channels", "entity_id": "*", "operation": "read", "expires_at": None}
    answer = client.post(f"{PATS}{target.pk}/scopes/", {"scopes": [row], "x": 1})
    assert set(answer.json()) == {"scopes", "x"}
    assert list(answer.json()["scopes"][0]) == ["expires_at"]


def test_number_of_unknown_field_errors_is_limited(client, paths):
    for method, path in paths:
        answer = send(client, method, path, json.dumps({f"field{number}" * 20: 1 for number in range(1000)}))
        assert len(answer.json()) <= 22
        assert len(answer.content) < 10_000


def test_duration_and_expiration_together(client, target):
    before = snapshot()
    paths = [f"{PATS}{target.pk}/{act}/" for act in ("regenerate", "rotate")]
    for path, body in ((PATS, {"name": "new"}), *((path, {}) for path in paths)):
        answer = client.post(path, {**body, "duration": "7d", "expires_at": FUTURE})
        assert answer.status_code == 400
        assert list(answer.json()) == ["duration"]
    assert snapshot() == before


class TestScopes:
    @pytest.fixture
    def add(self, client, target):
        """Send scopes to both routes that take them, and return the errors, which have to be equal."""

        def add(scopes):
            before = snapshot()
            answers = [
                send(client, "post", path, json.dumps({**body, "scopes": scopes}))
                for path, body in ((PATS, {"name": "new"}), (f"{PATS}{target.pk}/scopes/", {}))
            ]
            assert [answer.status_code for answer in answers] == [400, 400]
            assert answers[0].json() == answers[1].json()
            assert list(answers[0].json()) == ["scopes"]
            assert snapshot() == before
            return answers[0].json()["scopes"]

        return add

    def test_scopes_are_not_a_list(self, case, add):
        for value in [None, True, 0, 1.5, "x", {}, {"entity_type": "channels"}, 10**400]:
            with case(value):
                (message,) = add(value)
                assert isinstance(message, str)

    def test_row_is_not_an_object(self, case, add):
        for value in [None, True, 0, 1.5, "channels:*:read", [], ["channels", "*", "read"], [[]]]:
            with case(value):
                errors = add([{"entity_type": "channels", "entity_id": "*", "operation": "read"}, value])
                assert errors[0] == {}
                assert list(errors[1]) == [api_settings.NON_FIELD_ERRORS_KEY]

    def test_invalid_field(self, case, add):
        rows_value = [
            *(value for value in JUNK if value not in (0, -1, 10**400) or isinstance(value, bool)),
            *BAD_TEXT,
            *["", " ", "nope", "%", "_", "' OR 1=1 --"],
        ]
        for value in rows_value:
            for field in ["entity_type", "entity_id", "operation"]:
                with case(field, value):
                    row = {"entity_type": "channels", "entity_id": "*", "operation": "read", field: value}
                    (errors,) = add([row])
                    assert list(errors) == [field]

    def test_missing_field_is_named(self, case, add):
        for field in ["entity_type", "entity_id", "operation"]:
            with case(field):
                row = {"entity_type": "channels", "entity_id": "*", "operation": "read"}
                del row[field]
                assert add([row]) == [{field: ["This field is required."]}]

    def test_missing_entity(self, case, add):
        rows_entity_id = [
            *[0, -1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, "0", "9" * 255, "1e3", "0x1", "1.0", " 1", "１"],
            *["0" * 32, str(uuid.UUID(int=0)), "{x}", "x" * 255, "x" * 256, "**", "* ", *BAD_TEXT],
        ]
        for entity_id in rows_entity_id:
            for entity_type in ["channels", "devices", "pages"]:
                with case(entity_type, entity_id):
                    (errors,) = add([{"entity_type": entity_type, "entity_id": entity_id, "operation": "read"}])
                    assert list(errors) == ["entity_id"]

    def test_other_users_entity_looks_missing(self, add, stranger):
        theirs = [
            ("channels", ChannelFactory(owner=stranger), 10**6),
            ("devices", DeviceFactory(owner=stranger), str(uuid.uuid4())),
            ("pages", PageFactory(owner=stranger), "none"),
        ]
        for entity_type, entity, none in theirs:
            row = {"entity_type": entity_type, "operation": "read"}
            assert add([{**row, "entity_id": str(entity.pk)}]) == add([{**row, "entity_id": none}])

    def test_impossible_pair(self, add, channel):
        rows = [
            {"entity_type": "channels", "entity_id": channel.pk, "operation": "create"},
            {"entity_type": "devices", "entity_id": "*", "operation": "publish"},
        ]
        assert [list(errors) for errors in add(rows)] == [["entity_id"], ["operation"]]

    def test_errors_are_listed_by_row(self, add, channel):
        fine = {"entity_type": "channels", "entity_id": channel.pk, "operation": "read"}
        bad = [{**fine, "entity_type": "x"}, {**fine, "entity_id": 0}, {**fine, "operation": "x"}]
        assert [list(errors) for errors in add([fine, *bad, fine])] == [
            [],
            ["entity_type"],
            ["entity_id"],
            ["operation"],
            [],
        ]

    @pytest.mark.parametrize(
        "row", [{}, 1, {"entity_type": "channels", "entity_id": "*", "operation": "read"}], ids=str
    )
    def test_ten_thousand_rows_are_refused(self, add, row, django_assert_max_num_queries):
        with django_assert_max_num_queries(20):
            add([row] * 10_000)

    @pytest.mark.parametrize("row", [1, {}, {"a": 1}, {str(n): n for n in range(50)}, [], None], ids=brief)
    def test_response_is_short_for_many_invalid_rows(self, client, target, row, settings):
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
        for path, body in ((PATS, {"name": "new"}), (f"{PATS}{target.pk}/scopes/", {})):
            for count in (500, 20_000):
                answer = send(client, "post", path, json.dumps({**body, "scopes": [row] * count}))
                assert answer.status_code == 400
                assert len(answer.json()["scopes"]) == (20 if count == 500 else 1)
                assert len(answer.content) < 100_000

    def test_empty_scopes_can_be_created_not_added(self, client, target):
        assert client.post(PATS, {"name": "new", "scopes": []}).status_code == 201
        answer = client.post(f"{PATS}{target.pk}/scopes/", {"scopes": []})
        assert answer.status_code == 400
        assert answer.json() == {"scopes": ["Add at least one scope."]}
        assert client.post(f"{PATS}{target.pk}/scopes/", {}).json() == {"scopes": ["This field is required."]}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
rows = st.fixed_dictionaries(
    {},
    optional={
        "entity_type": st.sampled_from(["channels", "devices", "pages"]) | json_values,
        "entity_id": st.just("*") | st.integers() | json_values,
        "operation": st.sampled_from(["read", "create", "list", "publish"]) | json_values,
    },
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text() | json_values,
        "description": st.text() | json_values,
        "duration": st.from_regex(r"[0-9]{1,4}[hdwy]|P[0-9]{1,3}D", fullmatch=True) | json_values,
        "expires_at": st.datetimes().map(datetime.isoformat) | json_values,
        "scopes": st.lists(rows | json_values, max_size=4) | json_values,
    },
)


@pytest.mark.thorough
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(body=bodies | json_values)
def test_any_json_is_accepted_or_refused_completely(client, paths, body):
    for method, path in paths:
        before = snapshot()
        answer = send(client, method, path, json.dumps(body))
        assert answer.status_code in (200, 201, 400), answer.content
        if answer.status_code == 400:
            assert isinstance(answer.json(), dict)
            assert snapshot() == before


@pytest.mark.thorough
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    query=st.dictionaries(
        st.sampled_from(
            [*TokenFilterSet.base_filters, "page", "page_size", "method", "path"],
        ),
        st.text(st.characters(exclude_categories=["Cs"]))
        | st.integers().map(str)
        | st.datetimes().map(datetime.isoformat),
        max_size=4,
    )
)
def test_any_query_string_gets_a_response(client, target, query):
    for path in (PATS, f"{PATS}entities/channels/", f"{PATS}{target.pk}/explain/"):
        answer = client.get(path, query)
        assert answer.status_code in (200, 400, 404)
        assert isinstance(answer.json(), dict)


def test_percent_sign_in_error_message(client, target):
    # REST framework 3.15.0 used the message about an invalid choice as a format string.
    answer = client.get(f"{PATS}{target.pk}/explain/", {"path": "/", "method": "%E"})
    assert answer.status_code == 400
    assert answer.json() == {"method": ['"%E" is not a valid choice.']}
