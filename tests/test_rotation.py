"""Rotation: two secrets of one token, and when the previous one stops."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils.http import http_date

from pat_tokens import crypto, deferred_writes, lookup, services, signals
from pat_tokens.authentication import authenticate, authenticate_options
from pat_tokens.conf import conf
from pat_tokens.exceptions import (
    ExpiredToken,
    InsufficientScope,
    InvalidInput,
    InvalidToken,
    NoRotation,
    NotActive,
    ReplacedToken,
    RevokedToken,
    RotationInProgress,
    RotationInUse,
)
from pat_tokens.models import Activity, PersonalAccessToken, PreviousSecret
from pat_tokens.requirements import ANY_TOKEN, Requirement
from pat_tokens.watcher import Watch, find_ended
from tests.clock import clock

__all__ = ["clock"]

pytestmark = [pytest.mark.sql, pytest.mark.django_db]
READ = Requirement("channels", "read", "pk")
OLD, NEW = "o" * 40 + "lder pepper", "n" * 40 + "ewer pepper"
OTHER_SECRET = crypto.make_secret("pat")


@pytest.fixture
def reader(make_token, channel):
    return make_token(f"channels:{channel.pk}:read")


@pytest.fixture
def use(channel, django_capture_on_commit_callbacks):
    """Send a request that needs a scope, and return whether the secret works."""

    def use(secret):
        try:
            with django_capture_on_commit_callbacks(execute=True):
                authenticate(secret, READ, {"pk": str(channel.pk)})
        except InvalidToken:
            return False
        return True

    return use


def stored(token):
    return PersonalAccessToken.objects.get(pk=token.pk)


def test_both_secrets_work_during_grace_period(reader, use, clock):
    token, new = services.rotate_token(reader)
    assert new != reader.secret
    assert (token.pk, token.name, token.scope_set.count()) == (reader.pk, reader.name, 1)
    assert token.issued_at == clock.now
    clock.move(days=2)  # the grace period starts with the first use of the new secret
    assert use(reader.secret)
    assert stored(token).previous_secret.grace_started_at is None
    assert use(new)
    assert stored(token).previous_secret.grace_started_at == clock.now
    assert stored(token).previous_secret.expires_at == clock.now + timedelta(hours=24)
    clock.move(hours=24, microseconds=-1)
    assert use(reader.secret)
    assert use(new), "and no later use starts the period again"
    clock.move(microseconds=1)
    assert not use(reader.secret)
    assert use(new)
    assert stored(token).previous_secret is None


def test_previous_secret_fields(reader, use, clock):
    use(reader.secret)
    used_at = clock.now
    clock.move(hours=1)
    token, _new = services.rotate_token(reader, grace_period="48h")
    previous = token.previous_secret
    assert (previous.hint, previous.issued_at) == (reader.hint, reader.issued_at)
    assert (previous.grace_period, previous.grace_started_at) == ("48h", None)
    assert previous.expires_at == reader.expires_at, "the earliest: before the token's own and 30 days from now"
    assert previous.last_used_at == used_at
    assert token.hint != reader.hint


def test_previous_secret_stops_at_earliest_limit(case, make_token, channel, use, clock, settings):
    settings.PAT_TOKENS_MAX_OVERLAP = "5d"
    ends = {
        # the duration of the token, the arguments of the rotation, whether the new secret is used: when it stops
        ("30d", "1h", True): timedelta(hours=1),
        ("30d", "1h", False): timedelta(days=5),
        ("30d", "7d", True): timedelta(days=5),
        ("2d", "7d", True): timedelta(days=2),
        ("2d", "7d", False): timedelta(days=2),
    }
    for (duration, grace_period, is_used), end in ends.items():
        with case(duration, grace_period, is_used):
            token = make_token(f"channels:{channel.pk}:read", duration=duration)
            _token, new = services.rotate_token(token, duration="30d", grace_period=grace_period)
            if is_used:
                assert use(new)
            start = clock.now
            assert stored(token).previous_secret.expires_at == start + end
            clock.move(microseconds=end / timedelta(microseconds=1) - 1)
            assert use(token.secret)
            clock.move(microseconds=1)
            assert not use(token.secret)
            assert use(new)


def test_previous_secret_stops_with_token(reader, use, clock):
    _token, new = services.rotate_token(reader, duration="1h")
    clock.move(hours=1)
    for secret in (reader.secret, new):
        with pytest.raises(ExpiredToken):
            authenticate(secret, ANY_TOKEN)
    with pytest.raises(NotActive):
        services.rotate_token(reader)


def test_zero_grace_period_stops_previous_secret(case, make_token, channel, use):
    for zero in ("0", "0h", " 0d", "PT0S", "P0D", "P0DT0H", "00", timedelta()):
        with case(zero):
            token = make_token(f"channels:{channel.pk}:read")
            rotated, new = services.rotate_token(token, grace_period=zero)
            assert rotated.previous_secret is None
            assert (use(token.secret), use(new)) == (False, True)
            _token, newest = services.rotate_token(token, grace_period=zero)  # the last one wins
            assert (use(new), use(newest)) == (False, True)


def test_invalid_grace_periods_are_refused(case, reader, settings):
    settings.PAT_TOKENS_MAX_GRACE_PERIOD = "2d"
    for value in ("24", "-1h", "", "h", "P", "PT", "0x", "3d", "49h", 5, "1h" * 40, timedelta(hours=-1), timedelta(3)):
        with case(value):
            before = PersonalAccessToken.objects.values().get()
            with pytest.raises(InvalidInput) as caught:
                services.rotate_token(reader, grace_period=value, duration="x")
            assert set(caught.value.errors) == {"grace_period", "duration"}, "all errors together"
            assert PersonalAccessToken.objects.values().get() == before
    token, _secret = services.rotate_token(reader, grace_period=timedelta(hours=48))
    assert token.previous.grace_period == "2d"


@pytest.mark.parametrize(("longest", "default"), [("7d", "24h"), ("1h", "1h"), ("0", "0")])
def test_default_grace_period(reader, settings, longest, default):
    settings.PAT_TOKENS_MAX_GRACE_PERIOD = longest
    token, _secret = services.rotate_token(reader)
    assert token.previous.grace_period == default
    assert (token.previous_secret is None) == (longest == "0")


def test_default_duration_keeps_lifetime(make_token, clock, settings):
    token = make_token(duration="7d")
    clock.move(days=3)
    rotated, _secret = services.rotate_token(token)
    assert rotated.expires_at == clock.now + timedelta(days=7)
    assert services.rotate_token(make_token(), duration="24h")[0].expires_at == clock.now + timedelta(hours=24)
    token = make_token(duration="90d")
    settings.PAT_TOKENS_MAX_DURATION = "60d"
    assert services.rotate_token(token)[0].expires_at == clock.now + timedelta(days=60)


def test_third_secret_is_refused(reader, use, clock):
    _token, new = services.rotate_token(reader, grace_period="1h")
    for grace_period in ("1h", "0"):
        with pytest.raises(RotationInProgress) as caught:
            services.rotate_token(reader, grace_period=grace_period)
    assert "Finish" in caught.value.message
    assert "cancel" in caught.value.message
    assert use(new)
    clock.move(hours=1)  # an overlap that has ended doesn't count
    services.rotate_token(reader)
    assert use(new)
    assert not use(reader.secret)


def test_finish_stops_previous_secret(reader, use):
    _token, new = services.rotate_token(reader)
    finished = services.finish_rotation(reader)
    assert finished.previous_secret is None
    assert (use(reader.secret), use(new)) == (False, True)
    with pytest.raises(NoRotation):
        services.finish_rotation(reader)
    services.rotate_token(reader)


def test_cancel_restores_previous_secret(reader, use, clock):
    before = PersonalAccessToken.objects.values(*services._SECRET_FIELDS).get()
    clock.move(days=1)
    _token, new = services.rotate_token(reader, duration="60d")
    authenticate(new, ANY_TOKEN)  # a request to `current/` doesn't count as a use
    cancelled = services.cancel_rotation(reader)
    assert PersonalAccessToken.objects.values(*services._SECRET_FIELDS).get() == before
    assert cancelled.previous_secret is None
    assert (use(reader.secret), use(new)) == (True, False)
    with pytest.raises(ReplacedToken):
        authenticate(new, ANY_TOKEN)
    with pytest.raises(NoRotation):
        services.cancel_rotation(reader)


def test_cancel_after_first_use_is_refused(reader, use):
    _token, new = services.rotate_token(reader)
    assert use(new)
    with pytest.raises(RotationInUse):
        services.cancel_rotation(reader)
    assert use(reader.secret)
    assert use(new)


def test_first_use_needs_allowed_request_with_scope(reader, channel, use, django_capture_on_commit_callbacks):
    _token, new = services.rotate_token(reader)
    with django_capture_on_commit_callbacks(execute=True):
        authenticate(new, ANY_TOKEN)
        authenticate_options(new, [READ], {"pk": str(channel.pk)})
        with pytest.raises(InsufficientScope):
            authenticate(new, READ, {"pk": "0"})
    use(reader.secret)
    assert stored(reader).grace_started_at is None
    use(new)
    assert stored(reader).grace_started_at is not None


def test_grace_period_can_be_changed(reader, use, clock, settings):
    with pytest.raises(NoRotation):
        services.set_grace_period(reader, "1h")
    _token, new = services.rotate_token(reader, grace_period="1h")
    assert services.set_grace_period(reader, "2h").previous.grace_period == "2h"
    use(new)
    clock.move(minutes=90)
    assert use(reader.secret)
    with pytest.raises(InvalidInput):
        services.set_grace_period(reader, "8d")
    services.set_grace_period(reader, "7d")
    clock.move(days=6)
    assert use(reader.secret)
    services.set_grace_period(reader, "1h")  # which has passed
    assert not use(reader.secret)
    with pytest.raises(NoRotation):
        services.set_grace_period(reader, "7d")


def test_zero_grace_period_finishes_rotation(reader, use):
    _token, new = services.rotate_token(reader)
    token = services.update_token(reader, name="renamed", grace_period="0")
    assert (token.name, token.previous_secret, token.rotated_at) == ("renamed", None, None)
    assert (use(reader.secret), use(new)) == (False, True)


def test_revoke_and_regenerate_stop_both_secrets(reader, use):
    _token, new = services.rotate_token(reader)
    services.revoke_token(reader)
    for secret in (reader.secret, new):
        with pytest.raises(RevokedToken):
            authenticate(secret, ANY_TOKEN)
    assert stored(reader).previous_secret is None
    for action in (services.finish_rotation, services.cancel_rotation):
        with pytest.raises(NoRotation):
            action(reader)
    with pytest.raises(NotActive):
        services.rotate_token(reader)
    _token, regenerated = services.regenerate_token(reader)
    _token, rotated = services.rotate_token(reader)
    _token, newest = services.regenerate_token(reader)
    works = [use(secret) for secret in (reader.secret, new, regenerated, rotated, newest)]
    assert works == [False, False, False, False, True]


def test_deleting_stops_both_secrets(reader, use):
    _token, new = services.rotate_token(reader)
    services.delete_token(reader)
    assert (use(reader.secret), use(new)) == (False, False)


def test_replaced_secret_in_use_is_reported(
    client, user, reader, channel, use, clock, caplog, mailoutbox, django_capture_on_commit_callbacks
):
    user.email = "owner@example.com"
    user.save()
    _token, new = services.rotate_token(reader, grace_period="1h")
    use(new)
    clock.move(hours=1)
    heard = []

    def hear(sender, reason, token, **kwargs):
        heard.append((reason, token.pk))

    signals.token_refused.connect(hear)
    try:
        for _ in range(3):
            with django_capture_on_commit_callbacks(execute=True):
                headers = {"authorization": f"Bearer {reader.secret}"}
                assert client.get(f"/api/channels/{channel.pk}/", headers=headers).status_code == 401
    finally:
        signals.token_refused.disconnect(hear)
    assert heard == [("replaced", reader.pk)] * 3
    assert f"Token refused: reason=replaced token={reader.pk}" in caplog.text
    assert [(row.reason, row.at) for row in Activity.objects.refusals()] == [("replaced", clock.now)]
    assert [mail.to for mail in mailoutbox] == [["owner@example.com"]]
    assert "is still in use" in mailoutbox[0].subject


def test_signals_are_sent(reader, django_capture_on_commit_callbacks):
    heard = []
    names = ("token_rotated", "rotation_finished", "rotation_cancelled", "token_updated")
    receivers = {name: lambda name=name, **kwargs: heard.append(name) for name in names}
    for name, receiver in receivers.items():
        getattr(signals, name).connect(receiver)
    with django_capture_on_commit_callbacks(execute=True):
        services.rotate_token(reader)
        services.set_grace_period(reader, "1h")
        services.cancel_rotation(reader)
        services.rotate_token(reader)
        services.set_grace_period(reader, "0")
        services.rotate_token(reader, grace_period="0")
    assert heard == [
        *("token_rotated", "token_updated", "rotation_cancelled"),
        *("token_rotated", "rotation_finished", "token_rotated"),
    ]


def test_last_use_is_recorded_per_secret(reader, channel, use, clock):
    _token, new = services.rotate_token(reader, grace_period="7d")
    clock.move(minutes=5)
    use(reader.secret)
    token = stored(reader)
    assert token.previous_secret.last_used_at == token.last_used_at == clock.now
    previous_use = clock.now
    clock.move(minutes=5)
    use(new)
    token = stored(reader)
    assert (token.last_used_at, token.previous_secret.last_used_at) == (clock.now, previous_use)
    clock.move(seconds=59)
    use(reader.secret)
    assert stored(reader).previous_secret.last_used_at == clock.now, "the other secret's use is not its own"
    previous_use = clock.now
    clock.move(seconds=1)
    use(new)
    token = stored(reader)
    assert (token.last_used_at, token.previous_secret.last_used_at) == (clock.now, previous_use)
    recorded = clock.now
    clock.move(seconds=1)
    for secret in (new, reader.secret, new):
        use(secret)
    assert stored(reader).last_used_at == recorded, "once a minute for each of them"


def test_address_and_client_are_kept_per_secret(reader, clock, django_capture_on_commit_callbacks):
    _token, new = services.rotate_token(reader)
    for secret, ip, agent in ((reader.secret, "192.0.2.1", "old"), (new, "192.0.2.2", "new")):
        clock.move(minutes=1)
        found = lookup.find_token(crypto.digests(secret, conf.peppers), None)
        with django_capture_on_commit_callbacks(execute=True):
            services.record_use(found, ip=ip, agent=agent)
    token = stored(reader)
    assert (token.last_used_ip, token.last_used_agent) == ("192.0.2.2", "new")
    previous = token.previous_secret
    assert (previous.last_used_ip, previous.last_used_agent) == ("192.0.2.1", "old")
    assert previous.last_used_at == token.last_used_at - timedelta(minutes=1)


# Queries


def test_previous_secret_costs_one_more_query(reader, channel, use, clock, settings, django_assert_num_queries):
    _token, new = services.rotate_token(reader)
    for peppers in ([settings.SECRET_KEY], [settings.SECRET_KEY, OLD]):
        settings.PAT_TOKENS_PEPPERS = peppers
        for secret in (reader.secret, new):
            use(secret)  # which is recorded
        with django_assert_num_queries(1):
            found = authenticate(new, READ, {"pk": str(channel.pk)})
        assert not found.is_previous
        with django_assert_num_queries(2):
            found = authenticate(reader.secret, READ, {"pk": str(channel.pk)})
        assert found.is_previous
        with django_assert_num_queries(1):
            assert lookup.decide_again(found, found.decision.required_scope).decision


def test_orm_finds_previous_secret(reader, monkeypatch, django_assert_num_queries):
    services.rotate_token(reader)
    digests = crypto.digests(reader.secret, conf.peppers)
    by_sql = lookup.find_token(digests, None)
    monkeypatch.setattr(lookup, "_queries", {})
    monkeypatch.setattr(lookup, "_compile", lambda *args: None)
    with django_assert_num_queries(2):  # the first one doesn't find it
        by_orm = lookup.find_token(digests, None)
    assert by_sql == by_orm == reader
    assert by_sql.is_previous
    assert by_orm.is_previous


def test_cancel_between_queries_loses_no_request(reader, use, monkeypatch):
    services.rotate_token(reader)
    find, looked = lookup._find_token, []

    def find_and_cancel(*args, previous):
        found = find(*args, previous=previous)
        if not previous:
            looked.append(found)
            services.cancel_rotation(reader)
        return found

    monkeypatch.setattr(lookup, "_find_token", find_and_cancel)
    assert use(reader.secret)
    assert looked == [None]


# Peppers


def test_redigest_keeps_both_secrets(reader, use, settings):
    settings.PAT_TOKENS_PEPPERS = [OLD]
    _token, first = services.regenerate_token(reader)
    _token, second = services.rotate_token(reader)
    settings.PAT_TOKENS_PEPPERS = [NEW, OLD]
    assert use(first)
    token = stored(reader)
    assert (token.previous_digest, token.previous.pepper_id) == (crypto.digest(first, NEW), crypto.pepper_id(NEW))
    assert token.digest == crypto.digest(second, OLD)
    assert use(second)
    token = stored(reader)
    assert (token.digest, token.pepper_id) == (crypto.digest(second, NEW), crypto.pepper_id(NEW))
    assert token.previous_digest == crypto.digest(first, NEW)
    settings.PAT_TOKENS_PEPPERS = [NEW]
    assert use(first)
    assert use(second)
    settings.PAT_TOKENS_PEPPERS = [OLD]
    assert not use(second), "else nothing was tested"


@pytest.mark.parametrize("act", [services.rotate_token, services.regenerate_token, services.cancel_rotation])
def test_late_redigest_keeps_other_secret(reader, use, settings, act, monkeypatch, django_capture_on_commit_callbacks):
    settings.PAT_TOKENS_PEPPERS = [OLD]
    _token, secret = services.regenerate_token(reader)
    if act is services.cancel_rotation:
        services.rotate_token(reader)
    settings.PAT_TOKENS_PEPPERS = [NEW, OLD]
    late = []
    with monkeypatch.context() as patched:
        patched.setattr(services, "write_later", lambda *args, **kwargs: late.append((args, kwargs)))
        assert use(secret)
    assert late
    result = act(reader)
    before = PersonalAccessToken.objects.values("digest", "previous_digest").get()
    with django_capture_on_commit_callbacks(execute=True):
        for args, kwargs in late:
            deferred_writes.write_later(*args, **kwargs)
    assert PersonalAccessToken.objects.values("digest", "previous_digest").get() == before
    newest = secret if act is services.cancel_rotation else result[1]
    assert use(newest)


def test_digest_is_unique_across_both_columns(reader):
    for fields in (
        {"previous_digest": reader.digest},
        {"rotated_at": reader.issued_at},  # an overlap without a secret
    ):
        with pytest.raises((IntegrityError, OperationalError)), transaction.atomic():
            PersonalAccessToken.objects.filter(pk=reader.pk).update(**fields)


# First use


def test_first_use_is_retried_until_recorded(reader, use, monkeypatch):
    _token, new = services.rotate_token(reader)
    update, failures = QuerySet.update, []

    def fail(queryset, **fields):
        if "grace_started_at" in fields and len(failures) < 2:
            failures.append(fields)
            raise OperationalError("read-only")
        return update(queryset, **fields)

    monkeypatch.setattr(QuerySet, "update", fail)
    for expected in (None, None, "recorded"):
        assert use(new)
        assert bool(stored(reader).grace_started_at) == bool(expected)
    assert len(failures) == 2


def test_first_use_counts_for_one_rotation(reader, use, monkeypatch, django_capture_on_commit_callbacks):
    _token, new = services.rotate_token(reader)
    late = []
    with monkeypatch.context() as patched:
        patched.setattr(services, "write_later", lambda *args, **kwargs: late.append((args, kwargs)))
        assert use(new)
    assert late
    services.cancel_rotation(reader)
    services.rotate_token(reader)
    with django_capture_on_commit_callbacks(execute=True):
        for args, kwargs in late:
            deferred_writes.write_later(*args, **kwargs)
    assert stored(reader).grace_started_at is None


# Open connections


@pytest.mark.django_db(transaction=True)
def test_streams_end_with_their_secret(reader, channel, use, clock):
    def watch(secret):
        found = authenticate(secret, READ, {"pk": str(channel.pk)})
        return Watch(found.pk, found.candidate_digests, found.decision.required_scope)

    earlier = watch(reader.secret)
    _token, new = services.rotate_token(reader, grace_period="1h")
    previous = watch(reader.secret)
    assert find_ended([earlier, previous]) == []
    current = watch(new)
    assert find_ended([earlier, previous, current]) == []
    clock.move(hours=1)
    assert find_ended([earlier, previous, current]) == [earlier, previous]


@pytest.mark.django_db(transaction=True)
def test_streams_of_canceled_secret_end(reader):
    _token, new = services.rotate_token(reader)
    found = authenticate(new, ANY_TOKEN)
    one = Watch(found.pk, found.candidate_digests, None)
    services.cancel_rotation(reader)
    assert find_ended([one]) == [one]


# Imported keys


def test_imported_key_can_be_rotated_and_restored(user, channel, use, settings):
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = True
    key = "a1" * 20
    token, _created = services.import_token(user, key, name="old", scopes=[("channels", "*", "read")])
    rotated, new = services.rotate_token(token)
    assert not rotated.is_legacy
    assert rotated.previous_secret.hint == token.hint
    assert use(key)
    assert services.import_token(user, key, name="again") == (token, False), "one digest, one place"
    services.cancel_rotation(token)
    assert stored(token).is_legacy
    _token, new = services.rotate_token(token, grace_period="1h")
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = False
    assert not use(key)
    assert use(new)


def test_rotation_locks_rows(reader):
    if connection.features.has_select_for_update:
        services.rotate_token(reader)
        with CaptureQueriesContext(connection) as queries:
            services.cancel_rotation(reader)
        for table in ("personalaccesstoken", "previoussecret"):
            reads = [
                query["sql"]
                for query in queries
                if f"FROM {connection.ops.quote_name('pat_tokens_' + table)}" in query["sql"]
            ]
            assert " FOR " in reads[0], table


@pytest.mark.parametrize("is_in_use", [False, True])
@pytest.mark.parametrize("is_compiled", [True, False])
def test_previous_secret_without_its_row_has_stopped(reader, use, monkeypatch, is_compiled, is_in_use):
    """For example where only the tokens were copied to another database."""
    if not is_compiled:
        monkeypatch.setattr(lookup, "makes_djangos_sql", lambda *args: False)
        monkeypatch.setattr(lookup, "_queries", {})
    _token, new = services.rotate_token(reader)
    assert use(reader.secret)
    if is_in_use:
        assert use(new)
    PreviousSecret.objects.all().delete()
    assert not use(reader.secret)
    assert use(new)
    assert stored(reader).previous_secret is None
    with pytest.raises(NoRotation):
        services.cancel_rotation(reader)
    _token, newest = services.rotate_token(reader)
    assert (use(reader.secret), use(new), use(newest)) == (False, True, True)


# The header Sunset outside DRF


@pytest.mark.parametrize("urls", ["tests.plain_site", "tests.contrib.ninja.api"])
def test_other_integrations_say_when_the_secret_stops(client, reader, channel, use, clock, settings, urls):
    settings.ROOT_URLCONF = urls
    if urls == "tests.plain_site":
        settings.MIDDLEWARE = ["pat_tokens.middleware.PersonalAccessTokenMiddleware", *settings.MIDDLEWARE]
    path = {"tests.plain_site": "/function/", "tests.contrib.ninja.api": "/sync/"}[urls]
    _token, new = services.rotate_token(reader, grace_period="1h")

    def get(secret, pk=channel.pk):
        end = "/" if urls == "tests.plain_site" else ""
        return client.get(f"{path}{pk}{end}", headers={"authorization": f"Bearer {secret}"})

    assert get(reader.secret).status_code == 200
    assert "Sunset" not in get(reader.secret)
    use(new)
    end = http_date((clock.now + timedelta(hours=1)).timestamp())
    for pk, status in ((channel.pk, 200), (0, 403)):
        response = get(reader.secret, pk)
        assert (response.status_code, response.get("Sunset")) == (status, end)
    assert "Sunset" not in get(new)
