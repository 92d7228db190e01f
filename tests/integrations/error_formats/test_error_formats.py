"""Responses to refused tokens on sites with their own error format."""

import pytest
from drf_standardized_errors.handler import exception_handler as standardized
from rest_framework.response import Response
from rest_framework.views import exception_handler as default

from pat_tokens import services
from tests.factories import ChannelFactory
from tests.views import ChannelViewSet

pytestmark = pytest.mark.django_db


def as_text(exc, context):
    return Response({"detail": str(exc)}, status=getattr(exc, "status_code", 500))


def as_envelope(exc, context):
    response = default(exc, context)
    response.data = {"ok": False, "error": {"message": str(exc), "type": type(exc).__name__}}
    return response


PLACES = {  # handler to the place of its error
    default: lambda data: data,
    standardized: lambda data: data["errors"][0],
    as_text: lambda data: data,
    as_envelope: lambda data: data["error"],
}


@pytest.fixture(params=PLACES, ids=lambda handler: handler.__module__.partition(".")[0] + "." + handler.__name__)
def ask(request, monkeypatch, client_with, user):
    """Send a token to a view, and return the response and its error object."""
    monkeypatch.setattr(ChannelViewSet, "get_exception_handler", lambda self: request.param)
    channel = ChannelFactory(owner=user)

    def send(token, form="Bearer {}", method="get"):
        client = client_with(token)
        client.credentials(HTTP_AUTHORIZATION=form.format(token.secret))
        response = getattr(client, method)(f"/api/channels/{channel.pk}/")
        return response, PLACES[request.param](response.json()), channel

    return send


def test_missing_scope_is_in_response(ask, make_token):
    response, error, channel = ask(make_token())
    assert response.status_code == 403
    assert error["code"] == "insufficient_scope"
    assert error["missing"] == [{"entity_type": "channels", "entity_id": str(channel.pk), "operation": "read"}]
    assert error["fix_url"].endswith(f"/scopes/add/?scope=channels:{channel.pk}:read")
    assert f"The token lacks the scope channels:{channel.pk}:read." in error.values()
    assert f'scope="channels:{channel.pk}:read"' in response["WWW-Authenticate"]


def test_codes_of_invalid_tokens_are_in_response(ask, make_token):
    revoked = make_token()
    services.revoke_token(revoked)
    for token, form, code in [(revoked, "Bearer {}", "invalid_token"), (make_token(), "Token <{}>", "malformed")]:
        response, error, _channel = ask(token, form)
        assert response.status_code == 401
        assert error["code"] == code
        assert 'error="invalid_token"' in response["WWW-Authenticate"]


def test_refusal_in_view_is_complete(ask, make_token, monkeypatch, user):
    other = ChannelFactory(owner=user)
    monkeypatch.setattr(ChannelViewSet, "get_object", lambda self: other)
    token = make_token(f"channels:{other.pk - 1}:read")
    response, error, channel = ask(token)
    assert channel.pk != other.pk
    assert (response.status_code, error["code"]) == (403, "insufficient_scope")
    assert error["missing"]
