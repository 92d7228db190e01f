"""Audit packages record the token's owner as the actor."""

from importlib import import_module

import pytest
from auditlog.models import LogEntry
from django.test import AsyncClient, Client
from reversion.models import Revision

from pat_tokens.services import revoke_token
from tests.factories import ChannelFactory
from tests.models import Channel
from tests.plain_client import SERVERS

pytestmark = pytest.mark.django_db(transaction=True)

import_module("mysite.history")
import_module("mysite.revisions")

PATHS = ["/api/channels/{pk}/", "/plain/channels/{pk}/", "/ninja/channels/{pk}"]
History = Channel.history.model


@pytest.fixture
def channel(user):
    """A channel whose creation isn't recorded."""
    channel = ChannelFactory(owner=user)
    LogEntry.objects.all().delete()
    History.objects.all().delete()
    return channel


@pytest.fixture(params=SERVERS)
def client(request):
    return AsyncClient() if request.param == "asgi" else Client()


def patch(client, path, token=None):
    from asgiref.sync import async_to_sync

    send = async_to_sync(client.patch) if isinstance(client, AsyncClient) else client.patch
    headers = {"authorization": f"Bearer {token.secret}"} if token else {}
    return send(path, {"name": "new name"}, content_type="application/json", headers=headers)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("has_session", [False, True])
def test_owner_is_actor(make_token, channel, user, stranger, client, path, has_session):
    if has_session:
        client.force_login(stranger)
    token = make_token(f"channels:{channel.pk}:update")
    assert patch(client, path.format(pk=channel.pk), token).status_code == 200
    assert Channel.objects.get().name == "new name"
    assert [entry.actor for entry in LogEntry.objects.get_for_object(channel)] == [user]
    row = History.objects.get()
    assert (row.history_user, row.history_change_reason) == (user, f"token {token.pk}")
    revision = Revision.objects.get()
    assert (revision.user, revision.comment) == (user, f"token {token.pk}")


def test_session_user_is_actor(channel, user, client):
    client.force_login(user)
    assert patch(client, f"/api/channels/{channel.pk}/").status_code == 200
    assert [entry.actor for entry in LogEntry.objects.get_for_object(channel)] == [user]
    row = History.objects.get()
    assert (row.history_user, row.history_change_reason) == (user, None)
    assert (Revision.objects.get().user, Revision.objects.get().comment) == (user, "")


@pytest.mark.parametrize("path", PATHS)
def test_refused_token_has_no_actor(make_token, channel, client, path):
    revoked = make_token("channels:*:update")
    revoke_token(revoked)
    for token in (make_token("channels:*:read"), revoked):
        assert patch(client, path.format(pk=channel.pk), token).status_code in (401, 403)
    assert not LogEntry.objects.exists()
    assert not History.objects.exists()
    assert not Revision.objects.exists()
