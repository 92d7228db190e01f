"""Last use and newer digests are written after the request, for any response, without delaying it."""

import threading
from datetime import timedelta
from io import BytesIO

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import OperationalError, connection, connections, transaction
from django.test import RequestFactory
from django.utils import timezone

from pat_tokens import activity, crypto, deferred_writes, lookup, rate_limits, scope_usage, services, signals
from pat_tokens.conf import MIDDLEWARE_PATH, conf
from pat_tokens.models import Activity, MissingScope, PersonalAccessToken, Scope
from pat_tokens.scopes import RequiredScope, ScopeKey

pytestmark = [pytest.mark.sql, pytest.mark.django_db(transaction=True)]

OLD, NEW = "o" * 40 + "lder pepper", "n" * 40 + "ewer pepper"


@pytest.fixture
def serve():
    """Handle requests like a server: with a transaction, and closing connections at the end."""

    def get(path, token, **extra):
        environ = RequestFactory().get(path, headers={"authorization": f"Bearer {token.secret}"}, **extra).environ
        environ["wsgi.input"] = BytesIO()
        status = []
        response = WSGIHandler()(environ, lambda line, headers: status.append(int(line[:3])))
        b"".join(response)
        response.close()
        return status[0]

    return get


@pytest.fixture(params=[False, True], ids=["autocommit", "ATOMIC_REQUESTS"])
def atomic_requests(request, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", request.param)
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)


def used(token):
    token.refresh_from_db()
    return token.last_used_at is not None


def test_query_for_due_uses_matches_is_due(token):
    now, interval, step = timezone.now(), timedelta(minutes=1), timedelta(microseconds=1)
    due = {
        None: True,
        now - interval: True,
        now - interval + step: False,
        now: False,
        now + interval - step: False,
        now + interval: True,
    }
    tokens = PersonalAccessToken.objects.all()
    for last, expected in due.items():
        tokens.update(last_used_at=last)
        assert deferred_writes.is_due(last, now, interval) is expected, last
        assert tokens.filter(deferred_writes.due_condition("last_used_at", now, interval)).exists() is expected, last


@pytest.mark.parametrize("path", ["/api/channels/{pk}/", "/api/channels/0/"])
def test_use_is_recorded_for_any_response(serve, make_token, channel, settings, path, atomic_requests):
    settings.PAT_TOKENS_PEPPERS = [OLD]
    token = make_token("channels:*:read")
    settings.PAT_TOKENS_PEPPERS = [NEW, OLD]
    status = serve(path.format(pk=channel.pk), token)
    assert status == (404 if "/0/" in path else 200)
    assert connection.connection is None or connection.vendor == "sqlite"
    assert used(token)
    assert token.digest == crypto.digest(token.secret, NEW)


def test_refused_requests_leave_no_connection_open(serve, make_token, atomic_requests):
    token = make_token("channels:*:read")
    for _ in range(10):
        PersonalAccessToken.objects.update(last_used_at=None)
        assert serve("/api/channels/0/", token) == 404
        assert connection.connection is None
        assert used(token)


@pytest.mark.parametrize(
    ("urls", "path", "usual"),
    [
        ("tests.urls", "/api/channels/{}/", 404),
        ("tests.plain_site", "/function/{}/", 200),
        ("tests.contrib.ninja.api", "/sync/{}", 200),
    ],
    ids=["DRF", "plain", "ninja"],
)
def test_everything_is_recorded_for_any_response(
    serve, make_token, channel, settings, atomic_requests, urls, path, usual
):
    settings.ROOT_URLCONF = urls
    if urls == "tests.plain_site":
        settings.MIDDLEWARE = [MIDDLEWARE_PATH, *settings.MIDDLEWARE]
    used, revoked, unscoped = make_token("channels:*:read", name="used"), make_token(name="revoked"), make_token()
    services.revoke_token(revoked)
    _token, used.secret = services.rotate_token(used)
    for token, status, pk in ((used, usual, 0), (revoked, 401, 0), (unscoped, 403, channel.pk)):
        assert serve(path.format(pk), token) == status
        assert connection.connection is None
    assert used.scope_set.get().last_used_at is not None
    assert PersonalAccessToken.objects.get(pk=used.pk).grace_started_at is not None
    assert Activity.objects.refusals().get().token_id == revoked.pk
    assert str(unscoped.missing_scopes.get()) == f"channels:{channel.pk}:read"


def test_use_is_recorded_after_request(token, rf):
    request = rf.get("/")
    with transaction.atomic():
        services.record_use(token, request=request)
        transaction.set_rollback(True)
    assert not used(token)
    request.close()
    assert used(token)


def test_use_is_recorded_once_on_commit(token, rf):
    request = rf.get("/")
    with transaction.atomic():
        services.record_use(token, ip="192.0.2.1", request=request)
    assert used(token)
    PersonalAccessToken.objects.update(last_used_at=None)
    request.close()
    assert not used(token)


@pytest.mark.parametrize("zone", ["fe80::1%eth0", "::ffff:192.0.2.1"])
def test_addresses_are_normalized(serve, make_token, channel, zone):
    token = make_token("channels:*:read")
    assert serve(f"/api/channels/{channel.pk}/", token, REMOTE_ADDR=zone) == 200
    assert used(token)
    assert token.last_used_ip == {"fe80::1%eth0": "fe80::1", "::ffff:192.0.2.1": "192.0.2.1"}[zone]


def test_read_only_database_is_tried_once_a_minute(serve, make_token, channel, caplog, monkeypatch):
    token = make_token("channels:*:read")
    now, tried = [1000.0], []
    monkeypatch.setattr(deferred_writes, "clock", lambda: now[0])

    def refuse(execute, sql, *args):
        if sql.startswith("UPDATE"):
            tried.append(sql)
            raise OperationalError("read-only")
        return execute(sql, *args)

    def ask(times):
        with connection.execute_wrapper(refuse):
            assert {serve(f"/api/channels/{channel.pk}/", token) for _ in range(times)} == {200}

    ask(20)
    assert len(tried) == 1
    assert [record.message.partition(":")[0] for record in caplog.records].count("Use of a token not recorded") == 1
    now[0] += deferred_writes.PAUSE
    ask(20)
    assert len(tried) == 2
    now[0] += deferred_writes.PAUSE
    serve(f"/api/channels/{channel.pk}/", token)
    assert used(token)


@pytest.mark.parametrize("ahead", [-0.001, 0.001, 5])
def test_servers_whose_clocks_differ_write_once(token, ahead, django_assert_num_queries):
    services.record_use(token)
    recorded = timezone.now() + timedelta(seconds=ahead)
    PersonalAccessToken.objects.update(last_used_at=recorded)
    services.record_use(token)
    token.refresh_from_db()
    assert token.last_used_at == recorded
    assert not services.is_use_due(token)


def use_scope(token):
    found = lookup.find_token(crypto.digests(token.secret, conf.peppers), RequiredScope("channels", "read", "1"))
    scope_usage.record_scope_use(found)


WRITES = {
    # what is written: whose row another transaction has locked, and how it is written
    "use": ("token", services.record_use),
    "digest": ("token", lambda token: services.redigest_token(token, "0" * 64)),
    "first use": ("token", services.record_first_use),
    "scope": ("scope", use_scope),
    "missing": ("token", lambda token: scope_usage.record_missing(token, [ScopeKey("channels", "*", "list")])),
    "refused": ("token", lambda token: activity.record_refusal(token, "revoked")),
    "refused, owner": ("owner", lambda token: activity.record_refusal(token, "revoked")),
}


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="not applicable: SQLite has one lock for the file")
@pytest.mark.parametrize("what", WRITES)
def test_locked_row_is_skipped(make_token, what):
    token, secret = services.rotate_token(make_token("channels:*:read"))
    token.secret = secret
    whose, write = WRITES[what]
    row = {"token": token, "scope": token.scope_set.get(), "owner": token.user}[whose]
    locked, release, failures = threading.Event(), threading.Event(), []

    def hold():
        try:
            with transaction.atomic():
                type(row)._base_manager.select_for_update().get(pk=row.pk)
                locked.set()
                release.wait(30)
        finally:
            connections.close_all()

    def hear(error, **kwargs):
        failures.append(error)

    def stored():
        models = (PersonalAccessToken, Scope, MissingScope, Activity)
        return [list(model.objects.order_by("pk").values()) for model in models]

    thread = threading.Thread(target=hold)
    thread.start()
    signals.last_use_failed.connect(hear)
    before = stored()
    try:
        assert locked.wait(30)
        with connection.cursor() as cursor:
            wait = {"postgresql": "SET lock_timeout = '1s'", "mysql": "SET innodb_lock_wait_timeout = 1"}
            cursor.execute(wait[connection.vendor])
        write(token)
        assert thread.is_alive()
        assert failures == [], "it waited for the lock"
        assert stored() == before
    finally:
        release.set()
        thread.join()
        signals.last_use_failed.disconnect(hear)
    rate_limits.clear_all()
    write(token)
    assert stored() != before


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="not applicable: SQLite has one lock for the file")
def test_writes_work_without_autocommit(token, user, rf):
    connection.set_autocommit(False)
    request = rf.get("/")
    try:
        type(user).objects.filter(pk=user.pk).update(first_name="not committed")
        services.record_use(token, request=request)
        request.close()
        connection.rollback()
    finally:
        connection.set_autocommit(True)
    user.refresh_from_db()
    assert user.first_name == ""
    assert used(token)
