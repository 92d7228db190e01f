import pytest
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.test import APIClient

from pat_tokens import services
from pat_tokens.contrib.rest_framework.throttling import TokenRateThrottle
from tests.contrib.rest_framework.management import session_client
from tests.views import AnythingView

pytestmark = pytest.mark.django_db


class TwiceAnHour(TokenRateThrottle):
    rate = "2/hour"


@pytest.fixture(autouse=True)
def throttled(monkeypatch):
    """A view that allows each token two requests per hour."""
    monkeypatch.setattr(AnythingView, "throttle_classes", (TwiceAnHour,))
    cache.clear()
    yield
    cache.clear()


def ask(client, times):
    return [client.get("/api/anything/").status_code for _ in range(times)]


def test_tokens_are_counted_separately(make_token, client_with):
    one, other = client_with(make_token()), client_with(make_token())
    assert ask(one, 3) == [200, 200, 429]
    assert ask(other, 3) == [200, 200, 429]
    assert one.get("/api/anything/").json()["detail"].startswith("Request was throttled.")


def test_regenerated_token_keeps_count(token, client_with):
    assert ask(client_with(token), 2) == [200, 200]
    token, secret = services.regenerate_token(token)
    assert ask(APIClient(headers={"authorization": f"Bearer {secret}"}), 1) == [429]


def test_requests_without_token_are_not_limited(user):
    assert ask(session_client(user), 4) == [200] * 4


def test_rate_is_a_drf_setting(monkeypatch, token):
    monkeypatch.setattr(TokenRateThrottle, "THROTTLE_RATES", {"pat": "1/day"})
    monkeypatch.setattr(AnythingView, "throttle_classes", (TokenRateThrottle,))
    client = APIClient(headers={"authorization": f"Bearer {token.secret}"})
    assert ask(client, 2) == [200, 429]


def test_cache_key_has_id_not_secret(token, rf):
    request = Request(rf.get("/"))
    request.auth = token
    assert TwiceAnHour().get_cache_key(request, None) == f"throttle_pat_{token.pk}"
