"""Unknown secrets cost a query each; a site can limit how many an address sends."""

import pytest

from pat_tokens import authentication, rate_limits
from pat_tokens.crypto import make_secret

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(rate_limits, "clock", lambda: now[0])
    authentication._failures.clear()
    yield now
    authentication._failures.clear()


@pytest.fixture
def ask(client):
    def send(secret, address="203.0.113.9"):
        headers = {"authorization": f"Bearer {secret}"}
        return client.get("/api/channels/", headers=headers, REMOTE_ADDR=address)

    return send


def test_address_is_refused_without_query(ask, make_token, settings, clock, django_assert_num_queries):
    settings.PAT_TOKENS_MAX_FAILED_LOOKUPS = 3
    token = make_token("channels:*:list")
    for _ in range(3):
        with django_assert_num_queries(2):
            assert ask(make_secret("pat")).status_code == 401
    with django_assert_num_queries(0):
        answer = ask(make_secret("pat"))
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_failures")
    assert answer["Retry-After"] == "60"
    assert ask(token.secret).status_code == 429, "whether a secret works is not told either"
    assert ask(token.secret, "203.0.113.10").status_code == 200
    clock[0] += 60
    assert ask(token.secret).status_code == 200


def test_only_unknown_secrets_count(ask, make_token, settings):
    settings.PAT_TOKENS_MAX_FAILED_LOOKUPS = 1
    token = make_token("channels:*:list")
    for secret in ("pat_junk", make_token().secret, token.secret):
        for _ in range(3):
            assert ask(secret).status_code in (200, 401, 403)
    assert ask(token.secret).status_code == 200


def test_no_limit_by_default(ask, make_token):
    for _ in range(100):
        assert ask(make_secret("pat")).status_code == 401
    assert ask(make_token("channels:*:list").secret).status_code == 200


def test_clients_without_address_are_not_limited(ask, make_token, settings):
    settings.PAT_TOKENS_MAX_FAILED_LOOKUPS = 1
    for _ in range(3):
        assert ask(make_secret("pat"), "").status_code == 401
