"""Sentry events never contain a secret, whatever header it is in."""

import io

import pytest
import sentry_sdk
from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.transport import Transport

from tests.factories import ChannelFactory
from tests.views import ChannelViewSet

pytestmark = [
    pytest.mark.django_db(transaction=True),  # the handler closes its connections
    pytest.mark.filterwarnings("ignore:The send_default_pii option is deprecated"),  # the usual setting
]


class Kept(Transport):
    """Stores the events."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def capture_envelope(self, envelope):
        self.texts += [str(item.payload.json) for item in envelope.items]


@pytest.fixture
def kept():
    transport = Kept()
    sentry_sdk.init(
        dsn="https://key@sentry.invalid/1",
        transport=transport,
        send_default_pii=True,
        before_send=lambda event, hint: {**event, "tags": {"added": "by the site"}},
        integrations=[DjangoIntegration()],
    )
    yield transport
    sentry_sdk.init()


def fail(self, *args, **kwargs):
    raise RuntimeError("broken")


@pytest.mark.parametrize("header", ["Authorization", "X-Site-Credential"])
@pytest.mark.parametrize("form", ["Bearer {}", "Bearer <{}>"])
def test_events_have_no_secret(kept, settings, monkeypatch, make_token, user, header, form):
    settings.PAT_TOKENS_HEADER = header
    token = make_token("channels:*:read")
    pk = ChannelFactory(owner=user).pk
    name = "get_object" if form == "Bearer {}" else "finalize_response"
    monkeypatch.setattr(ChannelViewSet, name, fail)
    environ = RequestFactory(headers={header: form.format(token.secret)}).get(f"/api/channels/{pk}/").environ
    environ = {**environ, "wsgi.input": io.BytesIO(), header_key(header): form.format(str(token.secret))}
    assert type(environ[header_key(header)]) is str
    b"".join(WSGIHandler()(environ, lambda *args: None))
    sent = "\n".join(kept.texts)
    assert "RuntimeError" in sent
    assert token.secret[4:24] not in sent
    assert token.secret[-24:] not in sent


@pytest.mark.parametrize("query", ["{}", "q={}", "q=Bearer+{}", "{}=1&x=2"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_events_have_no_secret_from_data(kept, monkeypatch, make_token, query, method):
    monkeypatch.setattr(ChannelViewSet, "initial", fail)
    secret = str(make_token().secret)
    text = query.format(secret)
    url, body = ("/api/channels/", text) if method == "post" else (f"/api/channels/?{text}", "")
    environ = {
        **RequestFactory().generic(method.upper(), url).environ,
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body.encode()),
    }
    b"".join(WSGIHandler()(environ, lambda *args: None))
    sent = "\n".join(kept.texts)
    assert "RuntimeError" in sent
    assert "by the site" in sent
    assert secret[4:24] not in sent
    assert secret[-24:] not in sent


def header_key(header):
    return "HTTP_" + header.upper().replace("-", "_")
