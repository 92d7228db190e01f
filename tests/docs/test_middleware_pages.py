"""The middleware and the exception handler of four how-to pages do what their pages say."""

import sys

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from pat_tokens.services import revoke_token
from tests.docs.pages import read_blocks
from tests.factories import ChannelFactory
from tests.models import Channel
from tests.views import ChannelViewSet

pytestmark = [pytest.mark.docs, pytest.mark.django_db]

PAGES = ("how-to/user-in-middleware.md", "how-to/idempotency-and-caches.md", "how-to/error-envelopes.md")


@pytest.fixture(autouse=True)
def site(tmp_path, monkeypatch):
    """The files of the pages, in a package of this test."""
    for page in PAGES:
        for block in read_blocks(page):
            if block.language == "python" and block.path and not block.is_addition:
                (tmp_path / block.path).parent.mkdir(exist_ok=True)
                block.write_to(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "mysite"]:
        del sys.modules[name]
    cache.clear()


def send(path, token=None, method="get", **headers):
    if token:
        headers["authorization"] = f"Bearer {token.secret}"
    return getattr(Client(), method)(path, {"name": "new"}, content_type="application/json", headers=headers)


def test_middleware_activates_the_time_zone_of_the_owner(make_token, channel, settings, monkeypatch, user):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "mysite.middleware.TimeZoneMiddleware"]
    monkeypatch.setattr(type(user), "time_zone", "Pacific/Auckland", raising=False)
    seen = []
    get_object = ChannelViewSet.get_object

    def note(self):
        seen.append(timezone.get_current_timezone_name())
        return get_object(self)

    monkeypatch.setattr(ChannelViewSet, "get_object", note)
    assert send(f"/api/channels/{channel.pk}/", make_token("channels:*:read")).status_code == 200
    assert seen == ["Pacific/Auckland"]


def test_middleware_refuses_only_anonymous_requests(make_token, channel, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "mysite.members.MembersOnlyMiddleware"]
    path, token = f"/api/channels/{channel.pk}/", make_token("channels:*:read")
    assert send(path).status_code == 401
    assert send(path, token).status_code == 200
    assert send("/api/undeclared/", token).status_code == 401
    revoke_token(token)
    assert send(path, token).json() == {"detail": "Log in, or send a token."}


def test_idempotency_key_is_bound_to_its_token(make_token, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "mysite.idempotency.IdempotencyMiddleware"]
    token, other = make_token("channels:*:create"), make_token("channels:*:create")
    headers = {"idempotency-key": "1"}
    first, again = (send("/api/channels/", token, "post", **headers) for _ in range(2))
    assert (first.status_code, again.json()) == (201, first.json())
    assert Channel.objects.count() == 1
    assert send("/api/channels/", other, "post", **headers).json() != first.json()
    revoke_token(token)
    assert send("/api/channels/", token, "post", **headers).status_code == 401
    assert Channel.objects.count() == 2


def test_envelope_has_what_the_client_needs(make_token, user, settings):
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "EXCEPTION_HANDLER": "mysite.errors.envelope"}
    channel = ChannelFactory(owner=user)
    error = send(f"/api/channels/{channel.pk}/", make_token()).json()["error"]
    assert error["code"] == "insufficient_scope"
    assert error["missing"] == [{"entity_type": "channels", "entity_id": str(channel.pk), "operation": "read"}]
