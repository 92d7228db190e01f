"""When scopes were last used, and which scopes tokens recently lacked."""

from collections import Counter

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pat_tokens import rate_limits, scope_usage, services
from pat_tokens.authentication import authenticate, authenticate_options, identify
from pat_tokens.entities import registry
from pat_tokens.exceptions import InsufficientScope
from pat_tokens.models import MissingScope
from pat_tokens.policy import Policy
from pat_tokens.requirements import EntityLookup, Requirement
from pat_tokens.scopes import ScopeKey
from tests.clock import clock
from tests.contrib.channels.test_middleware import path_of, shake
from tests.factories import ChannelFactory
from tests.limited_site import LOST
from tests.plain_client import OURS, SERVERS, Asker
from tests.policies import policy_with

pytestmark = [pytest.mark.sql, pytest.mark.django_db]

READ = Requirement("channels", "read", "pk")
TWO = Requirement("channels", "update", "pk") & Requirement("channels", "delete", "target")


__all__ = ["clock"]  # a fixture


@pytest.fixture
def channels(user):
    """Two entities, with the ids 1 and 2."""
    return [ChannelFactory(owner=user, pk=pk) for pk in (1, 2)]


@pytest.fixture
def use(django_capture_on_commit_callbacks):
    """Use or refuse a token, as one request would."""

    def request(token, requirement=READ, **kwargs):
        with django_capture_on_commit_callbacks(execute=True):
            try:
                authenticate(token.secret, requirement, kwargs)
            except InsufficientScope:
                return False
            return True

    return request


def used(token):
    return {str(scope) for scope in token.scope_set.all() if scope.last_used_at is not None}


def missing(token):
    return Counter({str(row): row.count for row in token.missing_scopes.all()})


class TestUse:
    def test_covering_scope_is_used(self, make_token, channel, use):
        own, wide = f"channels:{channel.pk}:read", "channels:*:read"
        for scope in (own, wide):
            token = make_token(scope, "channels:*:update", "channels:*:list")
            assert use(token, pk=channel.pk)
            assert used(token) == {scope}

    def test_each_part_of_a_requirement_is_used(self, make_token, channels, use):
        token = make_token("channels:1:update", "channels:*:delete", "channels:2:update")
        assert use(token, TWO, pk=1, target=2)
        assert used(token) == {"channels:1:update", "channels:*:delete"}

    def test_each_part_is_due_by_itself(self, make_token, channels, use, clock):
        token = make_token("channels:1:update", "channels:*:delete")
        assert use(token, Requirement("channels", "update", "pk"), pk=1)
        first = clock.now
        clock.move(minutes=59)
        assert use(token, TWO, pk=1, target=2)
        assert {str(scope): scope.last_used_at for scope in token.scope_set.all()} == {
            "channels:1:update": first, "channels:*:delete": clock.now,
        }  # fmt: skip

    def test_use_is_written_first_and_then_once_an_hour(self, make_token, channel, use, clock):
        token = make_token("channels:*:read")

        def written():
            with CaptureQueriesContext(connection) as queries:
                assert use(token, pk=channel.pk)
            assert len([one for one in queries if one["sql"].startswith("SELECT") and "digest" in one["sql"]]) == 1
            return any('UPDATE "pat_tokens_scope"' in one["sql"].replace("`", '"') for one in queries)

        assert [written(), written()] == [True, False]
        clock.move(minutes=59)
        assert not written()
        clock.move(minutes=1)
        assert [written(), written()] == [True, False]
        assert token.scope_set.get().last_used_at == clock.now

    def test_use_that_cannot_be_written_fails_no_request(self, make_token, channel, use):
        token = make_token("channels:*:read")

        def refuse(execute, sql, *args):
            if sql.startswith("UPDATE"):
                raise OperationalError("read-only")
            return execute(sql, *args)

        with connection.execute_wrapper(refuse):
            assert use(token, pk=channel.pk)

    def test_refusals_use_nothing(self, make_token, channels, use):
        token = make_token("channels:1:update")
        assert not use(token, TWO, pk=1, target=2)
        assert not use(token, READ, pk=1)
        assert used(token) == set()

    def test_options_and_identify_use_nothing(self, make_token, channel, rf, django_capture_on_commit_callbacks):
        token = make_token("channels:*:read")
        with django_capture_on_commit_callbacks(execute=True):
            assert authenticate_options(token.secret, [READ], {"pk": channel.pk})
            assert identify(rf.get(f"/api/channels/{channel.pk}/", headers={"authorization": f"Bearer {token.secret}"}))
        assert used(token) == set()

    def test_entity_found_by_slug(self, make_token, user, use):
        channel = ChannelFactory(owner=user, slug="one")
        token = make_token(f"channels:{channel.pk}:read")
        assert use(token, Requirement("channels", "read", EntityLookup(slug="slug")), slug="one")
        assert used(token) == {f"channels:{channel.pk}:read"}

    def test_recording_starts_when_scope_is_added(self, make_token):
        start = timezone.now()
        token = make_token("channels:*:read")
        services.add_scopes(token, [("channels", "*", "list")])
        assert all(start <= scope.watched_since <= timezone.now() for scope in token.scope_set.all())


@pytest.mark.urls("tests.test_two_scopes")
class TestBothScopes:
    @pytest.mark.parametrize("server", SERVERS)
    @pytest.mark.parametrize("framework", ["drf", "plain", "ninja"])
    def test_in_each_framework(
        self, make_token, channels, settings, framework, server, django_capture_on_commit_callbacks
    ):
        settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]
        both = {"channels:1:update", "channels:2:delete"}
        token = make_token()

        def status():
            with django_capture_on_commit_callbacks(execute=True):
                return Asker(server, token.secret)(f"/{framework}/1/to/2/", "POST").status_code

        assert status() == 403
        assert missing(token) == dict.fromkeys(both, 1)
        services.add_scopes(token, [scope.split(":") for scope in both])
        assert missing(token) == {}
        assert status() == 200
        assert used(token) == both

    @pytest.mark.parametrize("path", ["/body/drf/1/", "/body/plain/1/", "/body/async/1/", "/ninja/1/"])
    def test_scope_that_the_view_requires(self, make_token, channels, settings, path):
        settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]
        token = make_token("channels:1:update")
        ask = Asker("wsgi", token.secret)
        assert ask(f"{path}?target=2", "POST").status_code == 403
        assert missing(token) == {"channels:2:delete": 1}
        services.add_scopes(token, [("channels", "2", "delete")])
        assert ask(f"{path}?target=2", "POST").status_code == 200
        assert used(token) == {"channels:1:update", "channels:2:delete"}


@pytest.mark.urls("tests.limited_site")
class TestLimitedList:
    PATHS = ("/rest/serialized/", "/plain/", "/async/", "/streamed/", "/templated/", "/ninja/by-hand", "/ninja/async")

    @pytest.mark.parametrize("path", PATHS)
    def test_all_ids_of_the_operation_are_used(self, make_token, user, settings, path):
        settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]
        pks = [ChannelFactory(owner=user, name=name).pk for name in "abc"]
        listed = {f"channels:{pk}:list" for pk in pks[:2]}
        token = make_token(*listed, f"channels:{pks[0]}:read")
        ask = Asker("wsgi", token.secret)
        for name in ("limited and dropped", "never limited"):
            assert name in LOST
            response = ask(f"{path}?made={name}")
            if not response.streaming:
                assert response.status_code == 403
        assert used(token) == set()
        assert missing(token) == {"channels:*:list": 1}
        response = ask(f"{path}?made=itself")
        assert response.status_code == 200
        assert response.getvalue()  # closes it
        assert used(token) == listed

    def test_use_of_a_list_costs_one_write_an_hour(self, make_token, user, settings, clock):
        settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]
        token = make_token(*(f"channels:{ChannelFactory(owner=user).pk}:list" for _ in range(3)))

        def written():
            with CaptureQueriesContext(connection) as queries:
                assert Asker("wsgi", token.secret)("/plain/?made=itself").status_code == 200
            return len([one for one in queries if one["sql"].startswith("UPDATE") and "_scope" in one["sql"]])

        assert [written(), written()] == [1, 0]
        clock.move(hours=1)
        assert [written(), written()] == [1, 0]


@pytest.mark.django_db(transaction=True)
def test_handshakes_of_websockets(make_token, channel):
    token = make_token()
    needed = f"channels:{channel.pk}:subscribe"
    assert shake(path_of("channels", channel.pk), token.secret) == 4403
    assert missing(token) == {needed: 1}
    services.add_scopes(token, [needed.split(":")])
    assert shake(path_of("channels", channel.pk), token.secret) is True
    assert used(token) == {needed}


class TestMissing:
    def test_count_and_last_datetime(self, token, channel, use, clock, monkeypatch):
        now = [1000.0]
        monkeypatch.setattr("pat_tokens.rate_limits.clock", lambda: now[0])
        for _ in range(5):
            assert not use(token, pk=channel.pk)
        assert missing(token) == {f"channels:{channel.pk}:read": 1}  # written once a minute
        now[0] += 60
        clock.move(minutes=1)
        assert not use(token, pk=channel.pk)
        row = token.missing_scopes.get()
        assert (row.count, row.last_at) == (6, clock.now)

    def test_what_the_owner_cannot_grant_is_left_out(self, token, stranger, settings, use):
        other = ChannelFactory(owner=stranger)
        for pk in (other.pk, 0, 10**30, "x"):
            assert not use(token, pk=pk)
        assert not use(token, Requirement("channels", "read", EntityLookup(slug="slug")), slug="unknown")
        settings.PAT_TOKENS_POLICY = policy_with(can_grant=lambda *args: False)
        assert not use(token, Requirement("channels", "list"))
        assert missing(token) == {}
        rate_limits.clear_all()
        settings.PAT_TOKENS_POLICY = Policy
        assert not use(token, Requirement("channels", "list"))
        assert missing(token) == {"channels:*:list": 1}

    def test_client_that_guesses_ids(self, token, user, use, monkeypatch):
        """It fills no table, learns nothing, and costs ten look-ups a minute."""
        now, lookups = [1000.0], []
        monkeypatch.setattr("pat_tokens.rate_limits.clock", lambda: now[0])
        entity_type = registry.get("channels")
        get_visible = type(entity_type).get_visible
        monkeypatch.setattr(
            type(entity_type),
            "get_visible",
            lambda *args: lookups.append(args) or get_visible(*args),
        )
        first = ChannelFactory(owner=user).pk
        for pk in range(first + 1, first + 1001):
            assert not use(token, pk=pk)
        assert len(lookups) == scope_usage.MAX_LOOKUPS == 10
        assert missing(token) == {}
        now[0] += 60
        assert not use(token, pk=first)
        assert len(lookups) == 11
        assert missing(token) == {f"channels:{first}:read": 1}

    def test_responses_do_not_tell_which_ids_exist(self, token, client_with, user, stranger):
        client = client_with(token)
        mine, other = ChannelFactory(owner=user).pk, ChannelFactory(owner=stranger).pk
        answers = set()
        for pk in (mine, other, other + 1):
            response = client.get(f"/api/channels/{pk}/")
            body = response.content.decode().replace(f"channels:{pk}:", "channels:N:").replace(f'"{pk}"', '"N"')
            answers.add((response.status_code, body, *sorted(response.headers)))
        assert len(answers) == 1

    def test_oldest_is_replaced(self, token, user, use, clock):
        channels = [ChannelFactory(owner=user) for _ in range(52)]
        for channel in channels:
            rate_limits.clear_all()
            clock.move(seconds=1)
            assert not use(token, pk=channel.pk)
        assert missing(token) == {f"channels:{channel.pk}:read": 1 for channel in channels[2:]}

    def test_old_rows_start_again_and_are_pruned(self, make_token, channel, use, clock):
        token = make_token(duration="90d")
        assert not use(token, pk=channel.pk)
        clock.move(days=30)
        assert not token.missing_scopes.lately()
        rate_limits.clear_all()
        assert not use(token, pk=channel.pk)
        assert missing(token) == {f"channels:{channel.pk}:read": 1}
        assert scope_usage.prune_missing() == 0
        clock.move(days=30)
        call_command("pat_prune")
        assert missing(token) == {}

    def test_granted_scopes_are_no_longer_missing(self, token, user, use):
        one, two = ChannelFactory(owner=user), ChannelFactory(owner=user)
        for channel in (one, two):
            assert not use(token, pk=channel.pk)
            assert not use(token, Requirement("channels", "update", "pk"), pk=channel.pk)
        services.add_scopes(token, [("channels", str(one.pk), "read"), ("channels", "*", "update")])
        assert missing(token) == {f"channels:{two.pk}:read": 1}

    def test_scope_that_was_granted_meanwhile(self, token, channel, django_capture_on_commit_callbacks):
        services.add_scopes(token, [("channels", "*", "read")])
        with django_capture_on_commit_callbacks(execute=True):
            scope_usage.record_missing(token, [ScopeKey("channels", str(channel.pk), "read")])
        assert missing(token) == {}

    def test_deleted_with_its_token(self, token, channel, use):
        assert not use(token, pk=channel.pk)
        services.delete_token(token)
        assert not MissingScope.objects.exists()

    def test_options_are_not_recorded(self, make_token, client_with, channel):
        token = make_token("channels:*:list")
        assert client_with(token).options(f"/api/channels/{channel.pk}/").status_code == 403
        assert missing(token) == {}
