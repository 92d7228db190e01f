"""An OAuth token can't create a personal access token that can do more."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.module_loading import import_string
from oauth2_provider.models import get_access_token_model
from rest_framework.permissions import IsAuthenticated
from rest_framework.test import APIClient

from pat_tokens.models import PersonalAccessToken, Scope
from tests.views import ChannelViewSet

BODY = {
    "name": "wide",
    "duration": "7d",
    "scopes": [{"entity_type": "channels", "entity_id": "*", "operation": "delete"}],
}


@pytest.fixture
def oauth_client(user):
    """Return an API client with an OAuth token that has these scopes."""

    def make(scope):
        expires = timezone.now() + timedelta(hours=1)
        token = get_access_token_model().objects.create(
            user=user, token=get_random_string(30), scope=scope, expires=expires
        )
        return APIClient(headers={"authorization": f"Bearer {token.token}"})

    return make


@pytest.mark.parametrize("scope", ["read", "read write"])
def test_oauth_token_cannot_manage_tokens(oauth_client, make_token, scope):
    token = make_token("channels:*:read")
    before = PersonalAccessToken.objects.values().get()
    client = oauth_client(scope)
    for method, path, body in (
        ("get", "/api/pats/", None),
        ("post", "/api/pats/", BODY),
        ("post", f"/api/pats/{token.pk}/regenerate/", {"duration": "7d"}),
        ("post", f"/api/pats/{token.pk}/revoke/", {}),
        ("post", f"/api/pats/{token.pk}/scopes/", {"scopes": BODY["scopes"]}),
        ("delete", "/api/pats/", None),
    ):
        response = getattr(client, method)(path, body, format="json")
        assert response.status_code in (401, 403), (method, path, response.content)
    assert PersonalAccessToken.objects.values().get() == before
    assert Scope.objects.count() == 1


def test_session_can_manage_tokens(user):
    client = APIClient()
    client.force_login(user)
    assert client.post("/api/pats/", BODY, format="json").status_code == 201


def test_oauth_token_works_on_site_views(oauth_client, channel):
    assert oauth_client("read").get(f"/api/channels/{channel.pk}/").status_code == 200
    assert oauth_client("write").get(f"/api/channels/{channel.pk}/").status_code == 403


def test_the_permission_class_of_our_page_accepts_both(oauth_client, client_with, make_token, channel, monkeypatch):
    classes = [IsAuthenticated, import_string("accounts.permissions.HasScope")]
    monkeypatch.setattr(ChannelViewSet, "permission_classes", classes)
    path = f"/api/channels/{channel.pk}/"
    assert client_with(make_token(f"channels:{channel.pk}:read")).get(path).status_code == 200
    assert client_with(make_token(f"channels:{channel.pk}:update")).get(path).status_code == 403
    assert oauth_client("read").get(path).status_code == 200
    assert oauth_client("write").get(path).status_code == 403
