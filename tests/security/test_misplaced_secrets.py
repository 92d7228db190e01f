"""Error reports have no secrets that a client sent in another header or in a cookie."""

import pytest
from asgiref.sync import async_to_sync
from channels.routing import URLRouter
from django.core import mail
from django.test import AsyncClient, Client
from django.urls import path
from rest_framework.views import APIView

from pat_tokens.contrib.channels.middleware import PersonalAccessTokenMiddleware
from pat_tokens.crypto import make_secret

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

SECRET = "".join(make_secret("pat"))  # a plain string, as a server passes it
HEADERS = {
    "cookie": f"first=1; pasted={SECRET}",
    "referer": f"https://testserver/?secret={SECRET}",
    "user-agent": SECRET,
    "origin": f"https://{SECRET}",
    "x-forwarded-for": f"10.0.0.1, {SECRET}",
    "x-other": f"Bearer {SECRET}",
    "accept-language": SECRET,
}


class Rest(APIView):
    permission_classes = []

    def get(self, request):
        raise RuntimeError


urlpatterns = [path("plain/", lambda request: 1 / 0), path("rest/", Rest.as_view())]


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("client_class", [Client, AsyncClient])
@pytest.mark.parametrize("url", ["/plain/", "/rest/"])
def test_report_of_request_has_no_secret(settings, admins, url, client_class, debug):
    settings.DEBUG = debug
    client = client_class(raise_request_exception=False)
    ask = async_to_sync(client.get) if client_class is AsyncClient else client.get
    response = ask(url, headers=HEADERS)
    assert response.status_code == 500
    reports = [response.content.decode(), *(text for message in mail.outbox for text in _texts(message))]
    assert any("Traceback" in report and "HTTP_X_OTHER" in report for report in reports)
    assert not [report for report in reports if SECRET in report]


def _texts(message):
    return [message.body, *(content for content, _kind in message.alternatives)]


async def show_scope(scope, receive, send):
    raise RuntimeError


@pytest.mark.parametrize("name", ["cookie", "x-other", "query", "cookies"])
def test_scope_of_websocket_shows_no_secret(name):
    application = URLRouter([path("ws/", show_scope)])
    scope = {"type": "websocket", "path": "/ws/", "query_string": b"", "headers": [], "subprotocols": []}
    if name == "query":
        scope["query_string"] = f"secret={SECRET}".encode()
    elif name == "cookies":
        scope["cookies"] = {"pasted": SECRET}
    else:
        scope["headers"] = [(name.encode(), HEADERS[name].encode())]
    with pytest.raises(RuntimeError) as raised:
        async_to_sync(PersonalAccessTokenMiddleware(application))(scope, None, None)
    frames = [entry.locals for entry in raised.traceback]
    assert "show_scope" in [entry.name for entry in raised.traceback]
    assert not [frame for frame in frames if SECRET in repr(frame.get("scope"))]
