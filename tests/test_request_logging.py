"""Log records of refused tokens: the reason and the token, never a secret, at a limited rate."""

import logging

import pytest
from django.test import Client
from rest_framework.test import APIClient

from pat_tokens import log_events, rate_limits, services
from pat_tokens.crypto import make_secret
from pat_tokens.exceptions import MalformedToken, RevokedToken
from tests.policies import policy_with

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def lines(caplog):
    """The log records."""
    caplog.set_level(logging.DEBUG, logger="pat_tokens")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "pat_tokens.refused"]


@pytest.fixture
def turn_clock(monkeypatch):
    """Move the clock by some seconds."""
    now = [0.0]
    monkeypatch.setattr(rate_limits, "clock", lambda: now[0])

    def turn(seconds):
        now[0] += seconds

    return turn


def ask(secret, path="/api/channels/", **extra):
    return APIClient(headers={"authorization": f"Bearer {secret}"}).get(path, **extra)


def test_refusal_is_logged_with_reason_and_token(lines, make_token):
    narrow, dead = make_token("devices:*:read"), make_token()
    services.revoke_token(dead)
    where = "ip=127.0.0.1 route=/api/channels/$"
    for secret, path, line in [
        (make_secret("pat"), "/api/channels/", f"reason=unknown token=- {where}"),
        ("pat_junk", "/api/channels/", f"reason=malformed token=- {where}"),
        (dead.secret, "/api/channels/", f"reason=revoked token={dead.pk} {where}"),
        (narrow.secret, "/api/channels/", f"reason=insufficient_scope token={narrow.pk} {where}"),
        (
            narrow.secret,
            "/api/undeclared/",
            f"reason=scope_not_declared token={narrow.pk} ip=127.0.0.1 route=/api/undeclared/",
        ),
    ]:
        assert ask(secret, path).status_code in (401, 403)
        assert lines()[-1] == f"Token refused: {line}"


def test_allowed_token_is_not_logged_as_refused(lines, make_token):
    assert ask(make_token("channels:*:list").secret).status_code == 200
    assert lines() == []


def test_records_have_no_client_strings(lines, make_token):
    secret, forged = make_secret("pat"), "reason=none\nToken refused: forged"
    for header in (secret, f"{secret} {forged}", f"pat_{forged}", f"pat_{'x' * 60}"):
        client = Client(headers={"authorization": f"Bearer {header}", "user-agent": forged, "x-forwarded-for": forged})
        client.get(f"/api/channels/{secret}%0Aforged/", {"secret": secret})
    text = "\n".join(lines())
    assert text.count("Token refused") == len(lines()) == 4
    for part in (secret, secret[4:20], "forged", "x" * 20):
        assert part not in text


def test_junk_is_limited_and_counted(lines, turn_clock):
    for _ in range(log_events.LINES + 500):
        log_events.log_refusal(MalformedToken())
    assert len(lines()) == log_events.LINES
    log_events.log_refusal(RevokedToken())
    assert len(lines()) == log_events.LINES + 1, "junk hides no other reason"
    turn_clock(log_events.WINDOW)
    log_events.log_refusal(MalformedToken())
    assert lines()[-2:] == [
        "More refusals, not logged: reason=malformed count=500",
        "Token refused: reason=malformed token=- ip=- route=-",
    ]
    log_events.log_refusal(MalformedToken())
    assert "More refusals" not in lines()[-1]


def test_limit_is_per_token(lines, make_token):
    mine, stolen = make_token(), make_token()
    for token in (mine, stolen):
        services.revoke_token(token)
    for _ in range(log_events.LINES + 1):
        log_events.log_refusal(RevokedToken(), token=mine)
    assert len(lines()) == log_events.LINES
    ask(stolen.secret)
    assert f"token={stolen.pk}" in lines()[-1]


def test_limit_is_per_address(lines, rf):
    here, there = (rf.get("/", REMOTE_ADDR=address) for address in ("2001:db8::1", "203.0.113.9"))
    for number in range(log_events.LINES + 1):
        here.META["REMOTE_ADDR"] = f"2001:db8::{number:x}"  # one client can have any number
        log_events.log_refusal(MalformedToken(), request=here)
    assert len(lines()) == log_events.LINES
    log_events.log_refusal(MalformedToken(), request=there)
    assert "ip=203.0.113.9" in lines()[-1]


def test_total_limit_for_all_addresses(lines, rf, turn_clock):
    for number in range(log_events.JUNK_LINES + 100):
        request = rf.get("/", REMOTE_ADDR=f"10.0.{number // 256}.{number % 256}")
        log_events.log_refusal(MalformedToken(), request=request)
    assert len(lines()) == log_events.JUNK_LINES
    turn_clock(log_events.WINDOW)
    log_events.log_refusal(MalformedToken(), request=request)
    assert lines()[-2] == "More refusals, not logged: reason=malformed count=100"


def test_address_comes_from_setting(lines, settings):
    settings.PAT_TOKENS_POLICY = policy_with(get_client_ip=lambda request: "203.0.113.9")
    ask("pat_junk")
    assert " ip=203.0.113.9 " in lines()[0]
