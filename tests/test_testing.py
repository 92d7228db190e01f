import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from pat_tokens.exceptions import InvalidInput
from pat_tokens.models import PersonalAccessToken
from pat_tokens.testing import client_with, headers_with, make_token
from tests.factories import PageFactory

pytestmark = pytest.mark.django_db


def test_make_token_with_scopes(user, channel):
    token, secret = make_token(user, f"channels:{channel.pk}:read", ("channels", "*", "list"), duration="7d")
    assert {str(key) for key in token.scope_set.keys()} == {f"channels:{channel.pk}:read", "channels:*:list"}  # noqa: SIM118
    assert client_with(secret).get("/api/channels/").status_code == 200
    assert (token.user, (token.expires_at - token.issued_at).days) == (user, 7)


def test_id_can_contain_colons(user):
    page = PageFactory(owner=user, path="a:b")
    token, _secret = make_token(user, "pages:a:b:read")
    assert [key.entity_id for key in token.scope_set.keys()] == [page.pk]  # noqa: SIM118


def test_names_are_generated(user):
    make_token(user)
    make_token(user)
    make_token(user, name="deploy")
    assert PersonalAccessToken.objects.filter(name="deploy").count() == 1


@pytest.mark.parametrize("scope", ["channels:*:fly", "channels", "nothings:*:read", ""])
def test_invalid_scope_is_an_error(user, scope):
    with pytest.raises(InvalidInput):
        make_token(user, scope)


def test_settings_apply(user, settings):
    settings.PAT_TOKENS_HEADER = "X-Token"
    settings.PAT_TOKENS_KEYWORDS = ["Pat"]
    token, secret = make_token(user)
    assert headers_with(secret) == {"X-Token": f"Pat {secret}"}
    assert client_with(secret, Client).get("/api/anything/").json() == {"user": "owner"}
    assert token.is_active


def test_async_client_needs_headers_per_request(user):
    _token, secret = make_token(user)
    response = async_to_sync(AsyncClient().get)("/api/anything/", headers=headers_with(secret))
    assert response.json() == {"user": "owner"}
