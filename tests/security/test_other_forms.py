"""A secret in an unsupported form is never treated as a request without a token."""

import pytest
from django.conf import settings as django_settings
from django.urls import include, path

from pat_tokens.middleware import PersonalAccessTokenMiddleware
from tests.contrib.channels.test_middleware import path_of, shake
from tests.contrib.ninja.api import api as ninja_api
from tests.factories import ChannelFactory, TokenFactory, UserFactory
from tests.plain_site import function

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.security.test_other_forms")]

urlpatterns = [
    path("decorated/<int:pk>/", function),
    path("ninja/", ninja_api.urls),
    path("", include("tests.urls")),
]

OTHER_FORMS = ['Bearer "{}"', "Bearer <{}>", "Bearer  {}", "Bearer: {}", "Token {}", "Bearer {0}, Bearer {0}", "{}"]
JUNK = [
    "",
    "Bearer",
    "\0",
    "Bearer \0",
    "Bearer  pat_x",
    "Bearer pätt",
    "\xff\xfe",
    "Bearer " + "a" * 1_000_000,
    "x" * 1_000_000,
]
OURS = f"{PersonalAccessTokenMiddleware.__module__}.{PersonalAccessTokenMiddleware.__qualname__}"
PATHS = ["/api/channels/{}/", "/api/undeclared/", "/ninja/sync/{}", "/ninja/async/{}"]


@pytest.fixture(params=["alone", "with the middleware"], autouse=True)
def paths(request, settings):
    """The guarded views; plain ones need the middleware."""
    if request.param == "alone":
        return PATHS
    settings.MIDDLEWARE = [OURS, *django_settings.MIDDLEWARE]
    return [*PATHS, "/decorated/{}/"]


@pytest.fixture
def token():
    owner = UserFactory()
    ChannelFactory(owner=owner)
    return TokenFactory(user=owner, scopes=[("channels", "*", "read"), ("channels", "*", "subscribe")])


@pytest.mark.parametrize("form", [*OTHER_FORMS, *JUNK])
def test_malformed_header_ignores_session(client, token, form, paths):
    client.force_login(token.user)
    pk = token.user.channel_set.get().pk
    for path_template in paths:
        url = path_template.format(pk)
        response = client.get(url, headers={"authorization": form.format(token.secret)})
        assert response.status_code == 401, url
        assert response.json()["code"] == "malformed"
        assert "Authorization: Bearer pat_..." in response.json()["detail"]
        assert response["WWW-Authenticate"].startswith('Bearer realm="api", error="invalid_token"')


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_malformed_handshake_is_denied(token, form):
    headers = [(b"authorization", form.format(token.secret).encode())]
    pk = token.user.channel_set.get().pk
    assert shake(path_of("channels", pk), headers=headers) == 4401


@pytest.mark.parametrize("header", ["Basic dXNlcjpwYXNz", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", "Token pat_0123456789"])
def test_other_credentials_are_passed_on(client, token, header, paths):
    client.force_login(token.user)
    pk = token.user.channel_set.get().pk
    for path_template in paths:
        url = path_template.format(pk)
        assert client.get(url, headers={"authorization": header}).status_code == 200, url


def test_keyword_setting_is_used(client, token, settings, paths):
    settings.PAT_TOKENS_KEYWORDS = ["Bearer", "Token"]
    pk = token.user.channel_set.get().pk
    for path_template in paths:
        if "undeclared" not in path_template:
            headers = {"authorization": f"Token {token.secret}"}
            assert client.get(path_template.format(pk), headers=headers).status_code == 200, path_template
