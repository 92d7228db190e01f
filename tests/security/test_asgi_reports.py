"""Reports about requests under ASGI that Django refuses before this package has read the header."""

import asyncio
import logging

import pytest
from asgiref.sync import async_to_sync
from django.core import mail
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.utils.log import AdminEmailHandler

from pat_tokens import crypto

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]


class OwnRequest(ASGIRequest):
    """The request class of a site."""


class OwnHandler(ASGIHandler):
    request_class = OwnRequest


@pytest.fixture
def mailed(admins):
    """Let Django mail all responses with an error status, not only those of servers."""
    handler = AdminEmailHandler(include_html=True)
    logger = logging.getLogger("django")
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


@async_to_sync
async def send(application, path, headers):
    """Return the status of the response."""
    statuses = []
    messages = asyncio.Queue()
    await messages.put({"type": "http.request", "body": b"", "more_body": False})

    async def answer(message):
        statuses.append(message.get("status"))

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    await application(scope, messages.get, answer)
    return statuses[0]


@pytest.mark.parametrize("handler", [ASGIHandler, OwnHandler])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("host", "path", "status"), [(b"evil", "/api/channels/", 400), (b"testserver", "/no/", 404)])
@pytest.mark.parametrize("container", [list, tuple])
def test_report_has_no_secret(settings, mailed, handler, times, host, path, status, container):
    settings.PAT_TOKENS_HEADER = "X-Site-Credential"
    secret = str(crypto.make_secret("pat"))
    header = (b"x-site-credential", f"Bearer {secret}".encode())
    assert send(handler(), path, container([(b"host", host), *[header] * times])) == status
    text = "".join(report.body + str(report.alternatives) for report in mail.outbox)
    assert "HTTP_X_SITE_CREDENTIAL" in text
    assert secret[4:16] not in text
    assert secret[-16:] not in text
