"""The request that the page of a new token suggests."""

import pytest

from pat_tokens.declarations import declare_url
from pat_tokens.inspection import examples
from pat_tokens.inspection.examples import find_example_call
from pat_tokens.inspection.routes import inspect_all
from tests.factories import ChannelFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        ((), None),
        (("channels:*:list",), ("GET", "/api/channels/")),
        (("channels:{}:list",), ("GET", "/api/channels/")),
        (("channels:{}:read",), ("GET", "/api/channels/{}/")),
        (("channels:{}:update", "channels:{}:read"), ("GET", "/api/channels/{}/")),
        (("devices:*:create",), ("POST", "/api/devices/")),
        (("channels:*:read",), None),  # the id of a channel isn't known
        (("channels:{}:delete", "channels:*:delete"), None),  # dangerous
        (("rockets:*:list",), None),
    ],
)
def test_example_is_covered_and_harmless(make_token, user, client, scopes, expected):
    channel = ChannelFactory(owner=user)
    token = make_token()
    for scope in scopes:
        entity_type, entity_id, operation = scope.format(channel.pk).split(":")
        token.scope_set.create(entity_type=entity_type, entity_id=entity_id, operation=operation)
    call = find_example_call(token)
    assert call == (expected and (expected[0], expected[1].format(channel.pk)))
    if call and call.method == "GET":
        assert client.get(call.path, headers={"authorization": f"Bearer {token.secret}"}).status_code == 200


def test_no_example_for_token_that_no_longer_works(make_token, user):
    token = make_token("channels:*:list")
    user.is_active = False
    user.save()
    token.refresh_from_db()
    assert find_example_call(token) is None


def test_entity_that_owner_cannot_see_is_no_example(token, stranger):
    for pk in (ChannelFactory(owner=stranger).pk, 999):
        token.scope_set.create(entity_type="channels", entity_id=str(pk), operation="read")
    assert find_example_call(token) is None


def test_routes_are_cached_until_a_declaration(make_token, monkeypatch, declarations):
    inspected = []
    monkeypatch.setattr(examples, "inspect_all", lambda urlconf: inspected.append(urlconf) or inspect_all(urlconf))
    declare_url("anything", {})  # what was inspected before doesn't count
    token = make_token("channels:*:list")
    found = [find_example_call(token) for _ in range(3)]
    assert len(inspected) == 1
    declare_url("channel-list", {"GET": None})
    found.append(find_example_call(token))
    assert len(inspected) == 2
    assert found == [("GET", "/api/channels/")] * 3 + [None]
