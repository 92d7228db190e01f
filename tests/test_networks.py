"""Client addresses."""

import pytest
from django.test import RequestFactory

from pat_tokens.networks import network_of
from pat_tokens.policy import client_ip
from tests.policies import policy_with


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::1"),
        ("", None),
        ("unix:", None),
        ("<script>", None),
    ],
)
def test_client_address_is_normalized_or_none(address, expected):
    assert client_ip(RequestFactory().get("/", REMOTE_ADDR=address)) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (None, None),
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_network_of_one_client(address, expected):
    assert network_of(address) == expected


def test_policy_returns_client_address(settings):
    settings.PAT_TOKENS_POLICY = policy_with(get_client_ip=lambda request: request.headers["x-real-ip"])
    assert client_ip(RequestFactory().get("/", headers={"x-real-ip": "10.0.0.9"})) == "10.0.0.9"
