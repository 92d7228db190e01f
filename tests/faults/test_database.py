"""A database that is down or read-only: nothing is allowed, nothing is partially changed, and it recovers."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from io import StringIO

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.db import (
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
    close_old_connections,
    connection,
    transaction,
)
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils import timezone
from rest_framework.test import APIClient

import tests.urls
from pat_tokens import authentication, deferred_writes, log_events, services, signals, watcher
from pat_tokens.conf import MIDDLEWARE_PATH
from pat_tokens.models import PersonalAccessToken
from pat_tokens.pages.errors import show_outages
from pat_tokens.requirements import ANY_TOKEN
from tests import plain_site
from tests.contrib.ninja.api import api
from tests.contrib.rest_framework.management import snapshot, url
from tests.factories import ChannelFactory, TokenFactory, UserFactory
from tests.skips import not_applicable

pytestmark = pytest.mark.django_db(transaction=True)

INTEGRATIONS = {  # with the number of statements about the token
    "DRF": ("/api/channels/{0.pk}/", 1),
    "DRF, by slug": ("/api/by-slug/{0.slug}/", 3),
    "DRF, any token": ("/api/anything/", 1),
    "DRF, undeclared": ("/api/undeclared/", 1),
    "management": ("/api/pats/current/", 1),
    "plain": ("/plain/{0.pk}/", 1),
    "plain, by slug": ("/plain-by-slug/{0.slug}/", 3),
    "ninja": ("/ninja/sync/{0.pk}", 1),
}


@pytest.fixture(autouse=True)
def _doors(settings):
    class Doors:
        urlpatterns = [
            *tests.urls.urlpatterns,
            path("plain/<int:pk>/", plain_site.function),
            path("plain-async/<int:pk>/", plain_site.async_function),
            path("plain-by-slug/<slug:slug>/", plain_site.by_slug),
            path("ninja/", api.urls),
        ]

    settings.ROOT_URLCONF = Doors
    settings.MIDDLEWARE = [MIDDLEWARE_PATH, *settings.MIDDLEWARE]  # for plain views


@pytest.fixture
def channel(transactional_db):
    return ChannelFactory(owner=UserFactory(), slug="one")


@pytest.fixture
def token(channel):
    return TokenFactory(user=channel.owner, scopes=[("channels", str(channel.pk), "read")])


def ask(address, secret, client_class=APIClient):
    client = client_class(headers={"authorization": f"Bearer {secret}"}, raise_request_exception=False)
    return client.get(address)


def assert_unavailable(response):
    assert response.status_code == 503
    assert response.json() == {
        "detail": "The service is temporarily unavailable. Try again later.",
        "code": "temporarily_unavailable",
    }
    assert response["Retry-After"] == "5"
    assert "WWW-Authenticate" not in response
    assert "Authorization" in response["Vary"]


@contextlib.contextmanager
def failing_at(number, error):
    """Make this statement fail; the returned list has one entry per statement."""
    asked = []

    def fail(execute, sql, *args):
        asked.append(sql)
        if len(asked) == number:
            raise error("gone")
        return execute(sql, *args)

    with connection.execute_wrapper(fail):
        yield asked


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
@pytest.mark.parametrize("integration", INTEGRATIONS)
def test_every_integration_refuses_without_database(integration, error, token, channel):
    address, count = INTEGRATIONS[integration]
    address = address.format(channel)
    usual = None
    number = 0
    while True:
        number += 1
        PersonalAccessToken.objects.update(last_used_at=None)
        deferred_writes.forget_failures()
        with failing_at(number, error) as asked:
            response = ask(address, token.secret)
        if len(asked) < number:
            usual = response.status_code
            break
        if number <= count:
            assert_unavailable(response)
        elif asked[number - 1].startswith(("BEGIN", "UPDATE")) or " UPDATE" in asked[number - 1]:
            assert response.status_code == 200  # a failure to record the use doesn't fail the request
        else:
            assert response.status_code >= 500
    assert usual == (403 if "undeclared" in integration else 200)
    assert number > count


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_async_view_refuses_without_database(error, token, channel):
    ask = async_to_sync(AsyncClient(raise_request_exception=False).get)
    with failing_at(1, error):
        assert_unavailable(ask(f"/plain-async/{channel.pk}/", headers={"authorization": f"Bearer {token.secret}"}))


def test_undeclared_page_without_database(token):
    with failing_at(1, OperationalError):
        assert ask("/pats/", token.secret, Client).status_code in (302, 500, 503)


def test_outage_is_signaled_and_logged(token, channel, caplog):
    told = []

    def hear(sender, reason, **facts):
        told.append(reason)

    log_events._limiter.__init__(log_events.LINES, log_events.WINDOW)
    signals.token_refused.connect(hear)
    try:
        with failing_at(1, OperationalError):
            ask(f"/api/channels/{channel.pk}/", token.secret)
    finally:
        signals.token_refused.disconnect(hear)
    assert told == ["unavailable"]
    assert "Database did not answer: error=OperationalError" in caplog.text
    assert "reason=unavailable" in caplog.text
    assert token.secret not in caplog.text


MANAGE = {
    "create": ("post", lambda token: "/api/pats/", {"name": "new", "scopes": []}),
    "list": ("get", lambda token: "/api/pats/", None),
    "delete all": ("delete", lambda token: "/api/pats/", None),
    "change": ("patch", url, {"name": "other"}),
    "revoke": ("post", lambda token: url(token, "revoke"), {}),
    "regenerate": ("post", lambda token: url(token, "regenerate"), {}),
    "delete all scopes": ("delete", lambda token: url(token, "scopes"), None),
    "entities": ("get", lambda token: "/api/pats/entities/channels/", None),
}


@pytest.mark.parametrize("error", [OperationalError, InternalError])
@pytest.mark.parametrize("what", MANAGE)
def test_management_api_is_503_and_atomic(what, error, token):
    method, address, body = MANAGE[what]
    client = APIClient(raise_request_exception=False)
    client.force_login(token.user)
    before = snapshot()
    number = 0
    while True:
        number += 1
        with failing_at(number, error) as asked:
            response = getattr(client, method)(address(token), body, format="json")
        if len(asked) < number:
            break
        assert response.status_code == 503
        assert response.json()["code"] == "temporarily_unavailable"
        if snapshot() != before:  # the change was made, but the response failed
            assert asked[number - 1].startswith("SELECT")
            break
    assert number > 1


PAGES = {
    "create": ("/pats/create/", {"name": "new", "duration": "30d"}),
    "revoke": ("/pats/{0}/revoke/", {}),
    "regenerate": ("/pats/{0}/regenerate/", {"duration": "30d"}),
    "delete": ("/pats/{0}/delete/", {}),
    "delete all": ("/pats/delete/", {"ids": "{0}", "active": "{0}", "number": "1"}),
    "revoke selected": ("/pats/selected/revoke/", {"ids": "{0}"}),
}


ADMIN = "admin/pat_tokens/personalaccesstoken/"


@pytest.mark.parametrize("error", [OperationalError, InternalError])
@pytest.mark.parametrize("what", PAGES)
def test_pages_are_503_and_atomic(what, error, token):
    address, fields = PAGES[what]
    body = {field: value.format(token.pk) for field, value in fields.items()}
    client = Client(raise_request_exception=False)
    client.force_login(token.user)
    before = snapshot()
    number = 0
    while True:
        number += 1
        with failing_at(number, error) as asked:
            response = client.post(address.format(token.pk), body)
        if len(asked) < number:
            break
        if snapshot() != before:  # the change was made, but the response or an email failed
            break
        assert response.status_code == 503
        assert "temporarily unavailable" in response.content.decode()
    assert number > 1
    assert snapshot() != before


@pytest.mark.urls("tests.test_admin")
@pytest.mark.parametrize("address", ["pats/", "pats/{0}/", ADMIN, ADMIN + "{0}/change/"])
def test_opened_pages_are_503(address, token, settings):
    settings.ROOT_URLCONF = "tests.test_admin"
    client = Client(raise_request_exception=False)
    user = token.user
    user.is_staff = user.is_superuser = True
    user.save()
    client.force_login(user)
    path = f"/{address.format(token.pk)}"
    client.get(path)  # content types are cached
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    for number in range(1, 1 + len(queries)):
        with failing_at(number, OperationalError):
            assert client.get(path).status_code == 503, number


def test_transaction_of_request_is_rolled_back(token, monkeypatch):
    def view(request):
        PersonalAccessToken.objects.filter(pk=token.pk).update(description="changed")
        raise OperationalError

    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    with transaction.atomic():
        response = show_outages(view)(RequestFactory().get("/"))
    assert response.status_code == 503
    token.refresh_from_db()
    assert token.description == ""


def test_debug_page_is_kept(token, settings):
    settings.DEBUG = True
    client = Client(raise_request_exception=False)
    client.force_login(token.user)
    with failing_at(1, OperationalError):
        response = client.get(f"/pats/{token.pk}/")
    assert response.status_code == 500
    assert "OperationalError" in response.content.decode()


@pytest.mark.urls("tests.test_admin")
@pytest.mark.parametrize("what", ["add", "{0}/revoke", "{0}/regenerate", "{0}/delete", "{0}/change"])
def test_admin_is_503_and_atomic(what, token, settings):
    settings.ROOT_URLCONF = "tests.test_admin"
    client = Client(raise_request_exception=False)
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    fields = {"name": "other", "post": "yes", "duration": "30d" if what == "add" else "", "user": token.user_id}
    before = snapshot()
    number = 0
    while True:
        number += 1
        with failing_at(number, OperationalError) as asked:
            response = client.post(f"/admin/pat_tokens/personalaccesstoken/{what.format(token.pk)}/", fields)
        if len(asked) < number:
            break
        if snapshot() != before:
            break
        assert response.status_code == 503
    assert number > 1
    assert snapshot() != before


def cut_off():
    """Let the server close our connection, as it does when it stops."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
            elif connection.vendor == "mysql":
                cursor.execute("KILL CONNECTION %s", [connection.connection.thread_id()])
            else:
                not_applicable("SQLite has no server")
    finally:
        other.close()


@pytest.mark.parametrize("integration", ["DRF", "plain", "ninja", "management"])
def test_lost_connection_is_503_once(integration, token, channel):
    address = INTEGRATIONS[integration][0].format(channel)
    connection.ensure_connection()
    cut_off()
    assert_unavailable(ask(address, token.secret))
    close_old_connections()  # like a server between requests
    assert ask(address, token.secret).status_code == 200


def test_lost_connection_before_recording_use(token, channel):
    def cut(execute, sql, *args):
        if sql.startswith("UPDATE"):
            cut_off()
        return execute(sql, *args)

    services.record_use(token)
    with connection.execute_wrapper(cut):
        try:
            services.record_use(token)
        finally:
            close_old_connections()
    assert ask(f"/api/channels/{channel.pk}/", token.secret).status_code == 200


@pytest.mark.parametrize("integration", ["DRF", "plain", "ninja", "management"])
def test_unreachable_server_is_503(integration, token, channel, monkeypatch):
    connection.close()
    with monkeypatch.context() as patch:
        for name, value in {"NAME": "/nowhere/at/all", "HOST": "127.0.0.1", "PORT": "1"}.items():
            patch.setitem(connection.settings_dict, name, value)
        assert_unavailable(ask(INTEGRATIONS[integration][0].format(channel), token.secret))
    assert ask(INTEGRATIONS[integration][0].format(channel), token.secret).status_code == 200


def test_replica_serves_requests_without_primary(token, channel, monkeypatch):
    """The use is recorded in another database than the one that was read."""

    class Gone:
        in_atomic_block = False
        alias = "default"

        def get_autocommit(self):
            raise OperationalError

    class Connections(dict):
        def __getitem__(self, alias):
            return Gone()

    monkeypatch.setattr(deferred_writes, "connections", Connections())
    assert ask(f"/api/channels/{channel.pk}/", token.secret).status_code == 200


@pytest.fixture
def read_only():
    """Make writes fail, as on a replica or a full disk."""
    connection.ensure_connection()
    with connection.cursor() as cursor:
        match connection.vendor:
            case "postgresql":
                cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
            case "mysql":
                cursor.execute("SET SESSION TRANSACTION READ ONLY")
            case "sqlite":
                cursor.execute("PRAGMA query_only = ON")
    yield
    connection.close()


def test_read_only_database_still_authenticates(token, channel, request):
    revoked = TokenFactory(user=channel.owner, scopes=[("channels", "*", "read")])
    services.revoke_token(revoked)
    client = APIClient()
    client.force_login(channel.owner)
    before = snapshot()
    request.getfixturevalue("read_only")
    address = f"/api/channels/{channel.pk}/"
    assert ask(address, token.secret).status_code == 200
    assert ask(address, revoked.secret).status_code == 401
    for method, path_, body in (
        ("post", url(token, "regenerate"), {}),
        ("post", url(token, "revoke"), {}),
        ("delete", "/api/pats/", None),
    ):
        response = getattr(client, method)(path_, body, format="json")
        assert (response.status_code, response.json()["code"]) == (503, "temporarily_unavailable")
    assert snapshot() == before


def test_read_only_database_is_logged_once(channel, request, caplog):
    scopes = [("channels", "*", "read"), ("channels", "*", "list")]
    allowed, listing = (TokenFactory(user=channel.owner, scopes=scopes) for _ in range(2))
    revoked, unscoped = TokenFactory(user=channel.owner), TokenFactory(user=channel.owner)
    services.revoke_token(revoked)
    request.getfixturevalue("read_only")
    address = f"/api/channels/{channel.pk}/"
    failed = []

    def watch(execute, sql, *args):
        try:
            return execute(sql, *args)
        except DatabaseError:
            failed.append(sql)
            raise

    with connection.execute_wrapper(watch):
        for _ in range(20):
            assert ask(address, allowed.secret).status_code == 200
            assert ask("/api/channels/", listing.secret).status_code == 200
            assert ask(address, revoked.secret).status_code == 401
            assert ask(address, unscoped.secret).status_code == 403
    assert len(failed) == 1
    lines = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert lines.count("Use of a token not recorded") == 1
    output = StringIO()
    call_command("pat_list", refused=True, stdout=output)
    assert len(output.getvalue().splitlines()) == 1


def test_open_connections_close_in_long_outage(token, monkeypatch):
    opened = authentication.authenticate(token.secret, ANY_TOKEN)
    monkeypatch.setattr(watcher, "INTERVAL", 0.01)
    for error in (OperationalError, InterfaceError, RuntimeError):

        def fail(watches, error=error):
            raise error

        async def run():
            async with watcher.watch(opened) as ended:
                await asyncio.wait_for(ended.wait(), 10)

        monkeypatch.setattr(watcher, "find_ended", fail)
        asyncio.run(run())


def test_clock_change_does_not_undo_revocation(token, channel, monkeypatch):
    real = timezone.now
    address = f"/api/channels/{channel.pk}/"

    def at(**span):
        monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(**span))
        return ask(address, token.secret).status_code

    assert [at(days=0), at(days=40), at(days=-400), at(days=29)] == [200, 401, 200, 200]
    services.revoke_token(token)
    assert [at(days=0), at(days=-400), at(days=40)] == [401, 401, 401]
    # Regenerated with a wrong clock, it is valid from that time, and its uses are recorded.
    monkeypatch.setattr(timezone, "now", lambda: real() - timedelta(days=400))
    token, token.secret = services.regenerate_token(token)
    assert [at(days=-400), at(days=-371), at(days=-369), at(days=0)] == [200, 200, 401, 401]
    token.refresh_from_db()
    assert token.last_used_at < real() - timedelta(days=370)
