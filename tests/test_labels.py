"""What scopes allow together, in words."""

import pytest

from pat_tokens.labels import describe_scopes, summarize
from pat_tokens.scopes import ScopeKey
from tests.factories import ChannelFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(user):
    def told(*scopes):
        found = summarize(describe_scopes(user, [ScopeKey.parse(scope) for scope in scopes]))
        return [(one.entities, [label.operation for label in one.operations]) for one in found]

    return told


@pytest.fixture
def channels(user):
    return [ChannelFactory(owner=user, name=name) for name in ("Pump", "Lamp", "Fan")]


def test_entities_with_same_operations_are_together(told, channels):
    pump, lamp, fan = (one.pk for one in channels)
    scopes = [f"channels:{pk}:{name}" for pk in (pump, lamp, fan) for name in ("publish", "read")]
    assert told(*scopes) == [(["Pump", "Lamp", "Fan"], ["Read", "Publish"])]
    assert told(*scopes[:-1]) == [(["Pump", "Lamp"], ["Read", "Publish"]), (["Fan"], ["Publish"])]


def test_dangerous_operations_come_first(told, channels):
    pump, lamp, _fan = (one.pk for one in channels)
    assert told(f"channels:{pump}:read", f"channels:{lamp}:read", f"channels:{lamp}:delete", "devices:*:list") == [
        (["Lamp"], ["Delete", "Read"]),
        (["All Devices, now and in future"], ["List"]),
        (["Pump"], ["Read"]),
    ]


def test_included_and_ineffective_scopes_are_left_out(told, channels):
    pump = channels[0].pk
    scopes = [
        "channels:*:read",
        f"channels:{pump}:read",
        f"channels:{pump}:publish",
        "channels:987654:list",
        "x:*:read",
    ]
    assert told(*scopes) == [(["All Channels, now and in future"], ["Read"]), (["Pump"], ["Publish"])]
