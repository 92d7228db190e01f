from datetime import datetime, time, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pat_tokens import crypto, services, signals
from pat_tokens.conf import conf
from pat_tokens.exceptions import InvalidInput
from pat_tokens.models import PersonalAccessToken, Scope
from tests.factories import ChannelFactory, DeviceFactory, TokenFactory

pytestmark = [pytest.mark.sql, pytest.mark.django_db]


def keys(token):
    return {str(scope) for scope in token.scope_set.all()}


def errors_of(call, *args, check=True, **kwargs):
    before = check and (PersonalAccessToken.objects.count(), Scope.objects.count())
    with pytest.raises(InvalidInput) as caught:
        call(*args, **kwargs)
    assert not check or (PersonalAccessToken.objects.count(), Scope.objects.count()) == before
    return caught.value.errors


@pytest.fixture
def heard():
    """The signals, as (name, arguments)."""
    told = []
    names = [name for name in vars(signals) if name.startswith(("token_", "scopes_"))]
    receivers = []
    for name in names:

        def receiver(sender, signal, name=name, **facts):
            told.append((name, facts))

        getattr(signals, name).connect(receiver, sender=PersonalAccessToken)
        receivers.append((getattr(signals, name), receiver))
    yield told
    for signal, receiver in receivers:
        signal.disconnect(receiver, sender=PersonalAccessToken)


class TestCreate:
    def test_returns_token_and_secret(self, user, channel):
        before = timezone.now()
        token, secret = services.create_token(
            user,
            name="  deploy  ",
            description=" from CI ",
            duration="24h",
            scopes=[
                ("channels", str(channel.pk), "publish"),
                {"entity_type": "channels", "entity_id": "*", "operation": "list"},
            ],
        )
        token.refresh_from_db()
        assert (token.name, token.description, token.user) == ("deploy", "from CI", user)
        assert before <= token.issued_at == token.created_at <= timezone.now()
        assert token.expires_at == token.issued_at + timedelta(hours=24)
        assert (token.revoked_at, token.last_used_at) == (None, None)
        assert keys(token) == {f"channels:{channel.pk}:publish", "channels:*:list"}
        assert crypto.is_well_formed(secret, "pat")

    def test_stores_digest_and_hint_only(self, user, settings):
        settings.PAT_TOKENS_PEPPERS = ["new", "old"]
        token, secret = services.create_token(user, name="deploy")
        row = PersonalAccessToken.objects.filter(pk=token.pk).values().get()
        assert row["digest"] == crypto.digest(secret, "new")
        assert row["pepper_id"] == crypto.pepper_id("new") != crypto.pepper_id("old")
        assert row["hint"] == f"pat_…{secret[-4:]}"
        assert not [value for value in row.values() if secret in str(value) or secret[4:-6] in str(value)]
        assert secret not in repr(token) + str(token) + str(vars(token))

    def test_uses_configured_prefix(self, user, settings):
        settings.PAT_TOKENS_PREFIX = "dop"
        assert services.create_token(user, name="deploy")[1].startswith("dop_")

    def test_invalid_name_is_refused(self, case, user):
        for name in [
            "",
            "   ",
            "\t\n",
            "\u200b",
            "x" * 256,
            "a\0b",
            "\ud800",
            None,
            5,
            f"is {crypto.make_secret('pat')}!",
        ]:
            with case(name):
                assert set(errors_of(services.create_token, user, name=name)) == {"name"}

    def test_name_can_have_255_characters(self, user):
        assert services.create_token(user, name=" " + "ß" * 255 + " ")[0].name == "ß" * 255

    @pytest.mark.parametrize(("first", "second"), [("Deploy", " dEPLOY "), ("straße", "STRASSE"), ("é", "é")])
    def test_duplicate_name_is_refused_ignoring_case(self, user, first, second):
        services.create_token(user, name=first)
        assert set(errors_of(services.create_token, user, name=second)) == {"name"}

    def test_name_is_unique_per_user(self, user, stranger):
        services.create_token(user, name="deploy")
        services.create_token(stranger, name="deploy")

    def test_accents_make_names_different(self, user):
        services.create_token(user, name="cafe")
        services.create_token(user, name="café")

    def test_default_duration_applies(self, user, settings):
        settings.PAT_TOKENS_DEFAULT_DURATION = "5d"
        token, _secret = services.create_token(user, name="deploy")
        assert token.expires_at - token.issued_at == timedelta(days=5)

    def test_expiration_date_is_used(self, user):
        when = timezone.now() + timedelta(days=3)
        assert services.create_token(user, name="deploy", expires_at=when)[0].expires_at == when

    def test_maximum_duration_is_allowed(self, user, settings):
        settings.PAT_TOKENS_MAX_DURATION = "48h"
        services.create_token(user, name="deploy", duration="2d")
        assert set(errors_of(services.create_token, user, name="other", duration="49h")) == {"duration"}
        late = timezone.now() + timedelta(days=2, minutes=1)
        assert set(errors_of(services.create_token, user, name="other", expires_at=late)) == {"expires_at"}

    def test_invalid_duration_is_refused(self, case, user):
        for duration in ["0d", "-1d", "30", "367d", "2y", "99999999999d", "soon", "", "never", 5, b"1d"]:
            with case(duration):
                assert set(errors_of(services.create_token, user, name="deploy", duration=duration)) == {"duration"}

    def test_past_expiration_is_refused(self, user):
        for when in (timezone.now(), timezone.now() - timedelta(days=1)):
            assert set(errors_of(services.create_token, user, name="deploy", expires_at=when)) == {"expires_at"}

    def test_naive_expiration_is_refused(self, user):
        naive = timezone.now().replace(tzinfo=None) + timedelta(days=1)
        assert set(errors_of(services.create_token, user, name="deploy", expires_at=naive)) == {"expires_at"}

    def test_date_means_end_of_day_in_site_time_zone(self, user, settings):
        settings.TIME_ZONE = "America/New_York"
        day = timezone.localdate() + timedelta(days=40)
        for number, value in enumerate([day, day.isoformat()]):
            with timezone.override("Asia/Tokyo"):
                token, _secret = services.create_token(user, name=str(number), expires_at=value)
            local = token.expires_at.astimezone(timezone.get_default_timezone())
            assert local.replace(tzinfo=None) == datetime.combine(day, time(23, 59, 59))

    def test_last_day_is_cut_to_maximum(self, user, settings):
        settings.PAT_TOKENS_MAX_DURATION = "10d"
        last = timezone.localdate(timezone.now() + timedelta(days=10))
        token, _secret = services.create_token(user, name="deploy", expires_at=last)
        assert token.expires_at == token.issued_at + timedelta(days=10)
        day = timedelta(days=1)
        assert set(errors_of(services.create_token, user, name="late", expires_at=last + day)) == {"expires_at"}
        yesterday = timezone.localdate() - day
        assert set(errors_of(services.create_token, user, name="past", expires_at=yesterday)) == {"expires_at"}

    def test_duration_and_expiration_are_exclusive(self, user):
        when = timezone.now() + timedelta(days=1)
        errors = errors_of(services.create_token, user, name="deploy", duration="1d", expires_at=when)
        assert set(errors) == {"duration"}

    def test_no_expiration_only_if_allowed(self, user, settings):
        settings.PAT_TOKENS_ALLOW_NO_EXPIRY = True
        assert services.create_token(user, name="deploy", duration="never")[0].expires_at is None

    def test_maximum_number_of_tokens(self, user, stranger, settings):
        settings.PAT_TOKENS_MAX_TOKENS_PER_USER = 2
        TokenFactory.create_batch(2, user=user)
        assert set(errors_of(services.create_token, user, name="third")) == {"non_field_errors"}
        services.create_token(stranger, name="third")

    def test_all_errors_are_raised_together(self, user):
        errors = errors_of(
            services.create_token, user, name="", description="\0", duration="x", scopes=[("a", "b", "c")]
        )
        assert set(errors) == {"name", "description", "duration", "scopes"}

    def test_duplicate_and_limit_are_raised_together(self, user, settings):
        settings.PAT_TOKENS_MAX_TOKENS_PER_USER = 1
        services.create_token(user, name="deploy")
        assert set(errors_of(services.create_token, user, name="Deploy")) == {"name", "non_field_errors"}
        bad = {"description": "\0", "expires_at": "soon", "scopes": [1]}
        errors = errors_of(services.create_token, user, name="Deploy", **bad)
        assert set(errors) == {"name", "non_field_errors", *bad}

    def test_limit_error_counts_inactive_tokens(self, make_token, user, settings):
        settings.PAT_TOKENS_MAX_TOKENS_PER_USER = 3
        tokens = [make_token() for _ in range(3)]

        def message():
            return errors_of(services.create_token, user, name="fourth")["non_field_errors"]

        start = "This user has reached the maximum number of tokens (3). "
        assert message() == [start + "All of them are active. Delete one that is no longer needed."]
        services.revoke_token(tokens[0])
        assert message() == [start + "1 of them is inactive and can be deleted."]
        past = timezone.now() - timedelta(days=1)
        PersonalAccessToken.objects.filter(pk=tokens[1].pk).update(issued_at=past, expires_at=timezone.now())
        assert message() == [start + "2 of them are inactive and can be deleted."]

    def test_deleted_user_is_an_error(self, user):
        get_user_model().objects.filter(pk=user.pk).delete()
        assert set(errors_of(services.create_token, user, name="deploy")) == {"non_field_errors"}

    def test_description_length_is_limited(self, user, settings):
        settings.PAT_TOKENS_MAX_DESCRIPTION_LENGTH = 10
        services.create_token(user, name="deploy", description="x" * 10)
        assert set(errors_of(services.create_token, user, name="other", description="x" * 11)) == {"description"}


class TestScopes:
    def test_create_operation_needs_star(self, token, channel):
        assert errors_of(services.add_scopes, token, [("channels", str(channel.pk), "create")]) == {
            "scopes": [{"entity_id": ["create is not about a single entity. Use * instead of an id."]}]
        }
        assert not token.scope_set.exists()
        services.add_scopes(token, [("channels", "*", "create")])
        assert list(map(str, token.scope_set.all())) == ["channels:*:create"]

    def test_invalid_row_is_refused(self, case, token):
        rows = [
            (("rooms", "*", "read"), "entity_type"),
            (("channels", "*", "share"), "operation"),
            (("channels", "999999", "read"), "entity_id"),
            (("channels", "not a number", "read"), "entity_id"),
            (("channels", str(10**30), "read"), "entity_id"),
            (("devices", "1", "read"), "entity_id"),
            (("channels", "", "read"), "entity_id"),
            (("", "*", "read"), "entity_type"),
            (("channels", "*", None), "operation"),
            (("channels", "1\0", "read"), "entity_id"),
            (("\ud800", "*", "read"), "entity_type"),
            (("channels", "*"), "non_field_errors"),
            ("channels:*:read", "non_field_errors"),
            (None, "non_field_errors"),
            (5, "non_field_errors"),
            ({}, "entity_type"),
        ]
        for row, field in rows:
            with case(row, field):
                errors = errors_of(services.add_scopes, token, [("channels", "*", "read"), row])["scopes"]
                assert errors[0] == {}
                assert field in errors[1]

    def test_invisible_entity_looks_missing(self, token, stranger):
        theirs = ChannelFactory(owner=stranger)
        hidden = errors_of(services.add_scopes, token, [("channels", str(theirs.pk), "read")])
        theirs.delete()
        assert hidden == errors_of(services.add_scopes, token, [("channels", str(theirs.pk), "read")])

    def test_ids_are_stored_in_canonical_form(self, token, user):
        device = DeviceFactory(owner=user)
        services.add_scopes(token, [("devices", str(device.pk).upper(), "read"), ("devices", device.pk.hex, "read")])
        assert keys(token) == {f"devices:{device.pk}:read"}

    def test_scope_on_all_absorbs_single_scopes(self, token, user, heard, django_capture_on_commit_callbacks):
        one, two = ChannelFactory.create_batch(2, owner=user)
        services.add_scopes(token, [("channels", str(c.pk), o) for c in (one, two) for o in ("read", "update")])
        with django_capture_on_commit_callbacks(execute=True):
            services.add_scopes(token, [("channels", "*", "read")])
        assert keys(token) == {"channels:*:read", f"channels:{one.pk}:update", f"channels:{two.pk}:update"}
        assert [name for name, _facts in heard] == ["scopes_added"]

    def test_covered_scope_changes_nothing(self, token, channel):
        services.add_scopes(token, [("channels", "*", "read")])
        row = token.scope_set.get()
        assert services.add_scopes(token, [("channels", str(channel.pk), "read"), ("channels", "*", "read")]) == []
        assert token.scope_set.get() == row

    def test_maximum_number_of_scopes(self, token, user, settings):
        settings.PAT_TOKENS_MAX_SCOPES_PER_TOKEN = 2
        one, two, three = (str(channel.pk) for channel in ChannelFactory.create_batch(3, owner=user))
        services.add_scopes(token, [("channels", one, "read"), ("channels", two, "read")])
        errors_of(services.add_scopes, token, [("channels", three, "read")])
        services.add_scopes(token, [("channels", "*", "read")])
        assert keys(token) == {"channels:*:read"}

    def test_too_many_rows_are_refused_unread(self, token, settings, django_assert_num_queries):
        settings.PAT_TOKENS_MAX_SCOPES_PER_TOKEN = 5
        rows = (("channels", str(number), "read") for number in range(10_000))
        with django_assert_num_queries(0):
            assert errors_of(services.add_scopes, token, rows, check=False)["scopes"][0].startswith("A token can have")
        assert len(list(rows)) == 10_000 - 6

    def test_errors_end_with_20th_invalid_row(self, token):
        fine, wrong = ("channels", "*", "read"), ("channels", "*", "fly")
        errors = errors_of(services.add_scopes, token, [fine, *[wrong, fine] * 30])["scopes"]
        assert [bool(problems) for problems in errors] == [False, *[True, False] * 19, True]
        errors = errors_of(services.add_scopes, token, [*[wrong] * 19, fine])["scopes"]
        assert [bool(problems) for problems in errors] == [*[True] * 19, False]

    def test_number_of_queries_is_constant(self, make_token, user):
        channels = [("channels", str(c.pk), "read") for c in ChannelFactory.create_batch(20, owner=user)]
        devices = [("devices", str(d.pk), "read") for d in DeviceFactory.create_batch(20, owner=user)]
        counts = []
        for rows in (channels[:1] + devices[:1], channels + devices):
            token = make_token()
            with CaptureQueriesContext(connection) as queries:
                services.add_scopes(token, rows)
            counts.append(len(queries))
        assert counts[0] == counts[1]

    def test_delete_one_and_all_scopes(self, token, channel):
        services.add_scopes(token, [("channels", str(channel.pk), "read"), ("channels", "*", "list")])
        services.delete_scope(token.scope_set.get(operation="read"))
        assert keys(token) == {"channels:*:list"}
        assert services.delete_scopes(token) == 1
        assert keys(token) == set()
        assert services.delete_scopes(token) == 0


class TestLifecycle:
    def test_revoke_is_idempotent(self, make_token):
        token = make_token("channels:*:read", description="CI")
        rows = PersonalAccessToken.objects.filter(pk=token.pk)
        rows.update(last_used_at=timezone.now(), last_used_ip="192.0.2.7", last_used_agent="curl")
        before = rows.values().get()
        once = services.revoke_token(token)
        twice = services.revoke_token(token)
        assert once.revoked_at == twice.revoked_at != None  # noqa: E711
        assert rows.values().get() == {**before, "revoked_at": once.revoked_at}
        assert keys(twice) == {"channels:*:read"}

    @pytest.mark.parametrize("state", ["active", "revoked", "expired"])
    def test_regenerate_changes_only_secret(self, make_token, state):
        token = make_token("channels:*:read", description="CI", duration="1h")
        if state == "revoked":
            services.revoke_token(token)
        if state == "expired":
            past = timezone.now() - timedelta(days=1)
            PersonalAccessToken.objects.filter(pk=token.pk).update(issued_at=past, expires_at=past + timedelta(hours=1))
        before = timezone.now()
        after, secret = services.regenerate_token(token, duration="7d")
        after.refresh_from_db()
        assert after.digest == crypto.digest(secret, conf.peppers[0]) != token.digest
        assert after.status == "active"
        assert after.issued_at >= before
        assert after.expires_at == after.issued_at + timedelta(days=7)
        kept = ("pk", "name", "description", "user_id", "created_at")
        assert [getattr(after, field) for field in kept] == [getattr(token, field) for field in kept]
        assert keys(after) == {"channels:*:read"}

    @pytest.mark.parametrize(
        ("lifetime", "allowed", "renewed"),
        [
            (timedelta(days=1), False, timedelta(days=1)),
            (timedelta(days=365), True, timedelta(days=365)),
            (timedelta(days=900), False, timedelta(days=366)),
            (None, True, None),
            (None, False, timedelta(days=366)),
        ],
    )
    def test_regenerate_keeps_lifetime_up_to_maximum(self, token, settings, lifetime, allowed, renewed):
        settings.PAT_TOKENS_ALLOW_NO_EXPIRY = allowed
        issued_at = timezone.now() - timedelta(days=40)
        expires_at = lifetime and issued_at + lifetime
        PersonalAccessToken.objects.filter(pk=token.pk).update(issued_at=issued_at, expires_at=expires_at)
        after, _secret = services.regenerate_token(token)
        assert (after.expires_at and after.expires_at - after.issued_at) == renewed

    def test_invalid_duration_does_not_regenerate(self, token):
        digest = token.digest
        assert set(errors_of(services.regenerate_token, token, duration="0d")) == {"duration"}
        token.refresh_from_db()
        assert token.digest == digest

    def test_update_changes_name_and_description(self, token, stranger, django_assert_num_queries):
        services.revoke_token(token)  # this instance is outdated, and still active
        rows = PersonalAccessToken.objects.filter(pk=token.pk).values()
        before = rows.get()
        after = services.update_token(token, name=" Other ", description="New")
        changed = {"name": "Other", "name_key": after.name_key, "description": "New"}
        assert rows.get() == {**before, **changed}
        assert after.name_key != token.name_key
        services.create_token(token.user, name="deploy")
        assert set(errors_of(services.update_token, after, name="DEPLOY")) == {"name"}
        services.update_token(after, name="OTHER")

    def test_invalid_update_changes_nothing(self, token):
        assert set(errors_of(services.update_token, token, name=" ", description="x" * 1001)) == {"name", "description"}
        assert set(errors_of(services.update_token, token, name="other", description="x" * 1001)) == {"description"}
        token.refresh_from_db()
        assert (token.name, token.description) == ("deploy", "")

    def test_delete_removes_scopes(self, make_token):
        token, other = make_token("channels:*:read"), make_token("channels:*:read")
        services.delete_token(token)
        assert list(PersonalAccessToken.objects.all()) == [other]
        assert Scope.objects.count() == 1

    def test_delete_all_own_tokens(self, make_token, stranger):
        active, revoked, expired = make_token("channels:*:read"), make_token("channels:*:read"), make_token()
        services.revoke_token(revoked)
        past = timezone.now() - timedelta(days=1)
        PersonalAccessToken.objects.filter(pk=expired.pk).update(issued_at=past, expires_at=past + timedelta(hours=1))
        theirs = TokenFactory(user=stranger)
        assert services.delete_tokens(active.user) == 3
        assert list(PersonalAccessToken.objects.all()) == [theirs]

    def test_deleted_token_cannot_be_changed(self, token):
        services.delete_token(token)
        for service in (services.revoke_token, services.regenerate_token, services.delete_scopes):
            with pytest.raises(PersonalAccessToken.DoesNotExist):
                service(token)

    def test_prune_deletes_long_inactive_tokens(self, user):
        now = timezone.now()

        def make(**fields):
            token = TokenFactory(user=user)
            PersonalAccessToken.objects.filter(pk=token.pk).update(issued_at=now - timedelta(days=90), **fields)
            return token.pk

        alive = make(expires_at=now + timedelta(days=1))
        forever = make(expires_at=None)
        just_expired = make(expires_at=now - timedelta(days=9))
        just_revoked = make(revoked_at=now - timedelta(days=9), expires_at=None)
        make(expires_at=now - timedelta(days=11))
        make(revoked_at=now - timedelta(days=11), expires_at=now + timedelta(days=1))
        make(revoked_at=now - timedelta(days=11), expires_at=None)
        assert services.prune_tokens(inactive_for=timedelta(days=10), batch=2) == 3
        left = set(PersonalAccessToken.objects.values_list("pk", flat=True))
        assert left == {alive, forever, just_expired, just_revoked}

    def test_changes_send_signals_without_secret(self, user, heard, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            token, secret = services.create_token(user, name="deploy", scopes=[("channels", "*", "read")])
            services.update_token(token, name="other")
            services.update_token(token, name="other")
            _token, second = services.regenerate_token(token)
            services.revoke_token(token)
            services.revoke_token(token)
            services.add_scopes(token, [("channels", "*", "list")])
            services.delete_scope(token.scope_set.get(operation="list"))
            services.delete_scopes(token)
            services.delete_token(token)
        assert [name for name, _facts in heard] == [
            "token_created", "token_updated", "token_regenerated", "token_revoked", "scopes_added", "scopes_deleted",
            "scopes_deleted", "token_deleted",
        ]  # fmt: skip
        scopes = [[str(scope) for scope in facts["scopes"]] for _name, facts in heard if "scopes" in facts]
        assert scopes == [["channels:*:list"], ["channels:*:list"], ["channels:*:read"]]
        assert all(facts["token"].pk == token.pk for _name, facts in heard)
        assert secret not in str(heard) + str([vars(facts["token"]) for _name, facts in heard])
        assert second not in str(heard) + str([vars(facts["token"]) for _name, facts in heard])

    def test_rolled_back_changes_send_no_signal(self, user, heard, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
            services.create_token(user, name="deploy")
            transaction.set_rollback(True)
        assert heard == []


class TestUse:
    def test_use_is_written_at_most_once_a_minute(self, token, django_capture_on_commit_callbacks):
        def record(**fields):
            with django_capture_on_commit_callbacks(execute=True):
                services.record_use(token, **fields)
            token.refresh_from_db()
            return token.last_used_at

        first = record(ip="127.0.0.1", agent="curl/8" + "x" * 500)
        assert (token.last_used_ip, token.last_used_agent) == ("127.0.0.1", ("curl/8" + "x" * 500)[:200])
        assert not services.is_use_due(token)
        assert record() == first
        PersonalAccessToken.objects.filter(pk=token.pk).update(last_used_at=first - timedelta(seconds=61))
        token.refresh_from_db()
        assert services.is_use_due(token)
        assert record() > first

    def test_use_is_written_after_clock_change(self, token, django_capture_on_commit_callbacks):
        ahead = timezone.now() + timedelta(days=1)
        PersonalAccessToken.objects.filter(pk=token.pk).update(last_used_at=ahead)
        token.refresh_from_db()
        assert services.is_use_due(token)
        with django_capture_on_commit_callbacks(execute=True):
            services.record_use(token)
        token.refresh_from_db()
        assert token.last_used_at < ahead

    def test_use_affects_only_one_token(self, token, make_token, django_capture_on_commit_callbacks):
        other = make_token()
        with django_capture_on_commit_callbacks(execute=True):
            services.record_use(token)
        other.refresh_from_db()
        assert other.last_used_at is None

    def test_only_use_is_written(self, token, django_capture_on_commit_callbacks):
        services.revoke_token(token)
        with django_capture_on_commit_callbacks(execute=True):
            services.record_use(token)
        token.refresh_from_db()
        assert token.is_revoked

    def test_redigest_does_not_undo_regenerate(self, token, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            regenerated, _secret = services.regenerate_token(token)
            services.redigest_token(token, "0" * 64)
        token.refresh_from_db()
        assert token.digest == regenerated.digest


class TestConstraints:
    """The database enforces what the services promise."""

    def test_token_constraints(self, token):
        twin = {"user": token.user, "name": "x", "name_key": "x", "digest": "x", "hint": "x"}
        for wrong in (
            {"name_key": token.name_key},
            {"digest": token.digest},
            {"name": ""},
            {"expires_at": timezone.now() - timedelta(days=1)},
        ):
            with pytest.raises(IntegrityError), transaction.atomic():
                PersonalAccessToken.objects.create(**{**twin, **wrong})

    def test_scope_constraints(self, make_token):
        token = make_token("channels:*:read")
        for wrong in (("channels", "*", "read"), ("", "*", "read"), ("channels", "", "read"), ("channels", "*", "")):
            with pytest.raises(IntegrityError), transaction.atomic():
                Scope.objects.create(
                    token=token, **dict(zip(("entity_type", "entity_id", "operation"), wrong, strict=True))
                )

    def test_scopes_distinguish_case_and_accents(self, token):
        for entity_id in ("a", "A", "á"):
            Scope.objects.create(token=token, entity_type="pages", entity_id=entity_id, operation="read")
        assert token.scope_set.filter(entity_id="a").count() == 1
