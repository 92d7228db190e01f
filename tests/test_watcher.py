import asyncio
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User, UserManager
from django.db import DatabaseError, connections
from django.db.models import Q
from django.db.models.signals import post_init
from django.db.models.sql.compiler import SQLCompiler
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pat_tokens import services, watcher
from pat_tokens.authentication import authenticate
from pat_tokens.models import PersonalAccessToken
from pat_tokens.requirements import ANY_TOKEN, Requirement
from tests.policies import policy_with

pytestmark = pytest.mark.django_db(transaction=True)
SUBSCRIBE = Requirement("channels", "subscribe", "pk")


@pytest.fixture
def opened(make_token, channel):
    """A token as authentication returns it for a connection that stays open."""
    return authenticate(make_token(f"channels:{channel.pk}:subscribe").secret, SUBSCRIBE, {"pk": channel.pk})


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(watcher, "INTERVAL", 0.01)


def expire(token):
    now = timezone.now()
    PersonalAccessToken.objects.filter(pk=token.pk).update(issued_at=now - timedelta(days=1), expires_at=now)


def lock_out(token):
    token.user.is_active = False
    token.user.save()


def ends(token, act):
    """Return whether a watch of `token` ends after `act`, and not before."""

    def act_and_close():
        try:
            act()
        finally:
            connections.close_all()  # connections of this thread

    async def run():
        async with watcher.watch(token) as ended:
            await asyncio.sleep(0.1)
            assert not ended.is_set()
            await sync_to_async(act_and_close, thread_sensitive=False)()
            try:
                await asyncio.wait_for(ended.wait(), 60)
            except TimeoutError:
                return False
            return True

    try:
        return asyncio.run(run())
    finally:
        connections.close_all()


@pytest.mark.parametrize(
    "act",
    [
        services.revoke_token,
        services.regenerate_token,
        services.delete_token,
        services.delete_scopes,
        expire,
        lock_out,
    ],
)
def test_connection_ends_with_token_or_scope(opened, act):
    assert ends(opened, lambda: act(opened))


def test_any_token_connection_ignores_scopes(make_token, monkeypatch):
    token = authenticate(make_token("channels:*:read").secret, ANY_TOKEN)
    assert watcher.find_ended([watcher.Watch(token.pk, (token.digest,), None)]) == []
    services.delete_scopes(token)
    assert watcher.find_ended([watcher.Watch(token.pk, (token.digest,), None)]) == []


def test_connection_ends_without_either_scope(make_token, channel):
    both = Requirement("channels", "subscribe", "pk") & Requirement("channels", "read", "other")
    for operation in ("subscribe", "read"):
        token = make_token(f"channels:{channel.pk}:subscribe", "channels:*:read")
        opened = authenticate(token.secret, both, {"pk": channel.pk, "other": 2})
        watch = watcher.Watch(opened.pk, (opened.digest,), opened.decision.required_scope)
        assert watcher.find_ended([watch]) == []
        services.delete_scope(token.scope_set.get(operation=operation))
        assert watcher.find_ended([watch]) == [watch]


def test_use_and_rename_do_not_end_connection(opened):
    watch = watcher.Watch(opened.pk, (opened.digest,), opened.decision.required_scope)
    services.update_token(opened, name="other")
    services.record_use(opened)
    assert watcher.find_ended([watch]) == []


@pytest.fixture
def instances():
    """The models of which instances are made."""
    made = []

    def note(sender, **_kwargs):
        made.append(sender)

    post_init.connect(note)
    yield made
    post_init.disconnect(note)


def selects(watches):
    """Return the SELECTs of our tables that one check makes, of which no watch ends."""
    with CaptureQueriesContext(connections["default"]) as queries:
        assert watcher.find_ended(watches) == []
    return [query["sql"] for query in queries if query["sql"].startswith("SELECT") and "pat_tokens" in query["sql"]]


def test_check_makes_one_query_and_no_instances(make_token, channel, instances):
    tokens = [make_token(f"channels:{channel.pk}:subscribe") for _ in range(20)]
    opened = [authenticate(token.secret, SUBSCRIBE, {"pk": channel.pk}) for token in tokens]
    watches = [watcher.Watch(token.pk, (token.digest,), token.decision.required_scope) for token in opened * 5]
    instances.clear()
    assert len(selects(watches)) == 1
    assert instances == []


def test_previous_secret_is_checked_with_instance(opened, instances):
    watch = watcher.Watch(opened.pk, (opened.digest,), opened.decision.required_scope)
    services.rotate_token(opened)
    instances.clear()
    assert len(selects([watch])) == 3
    assert instances.count(PersonalAccessToken) == 1
    services.finish_rotation(opened)
    assert watcher.find_ended([watch]) == [watch]


@pytest.mark.parametrize(
    "method", [{"can_have_tokens": lambda user: user.pk}, {"refuse_token": lambda token, request: not token.user.pk}]
)
def test_policy_gets_instances(opened, settings, instances, method):
    settings.PAT_TOKENS_POLICY = policy_with(**method)
    watch = watcher.Watch(opened.pk, (opened.digest,), opened.decision.required_scope)
    instances.clear()
    assert len(selects([watch])) == 2
    assert instances.count(PersonalAccessToken) == instances.count(get_user_model()) == 1
    name, answer = method.popitem()
    settings.PAT_TOKENS_POLICY = policy_with(**{name: lambda *args: not answer(*args)})
    assert watcher.find_ended([watch]) == [watch]


def test_connection_ends_if_manager_hides_owner(opened, monkeypatch):
    class Present(UserManager):
        def get_queryset(self):
            return super().get_queryset().exclude(first_name="deleted")

    present = Present()
    present.model = User
    monkeypatch.setattr(User._meta, "default_manager", present)
    watch = watcher.Watch(opened.pk, (opened.digest,), opened.decision.required_scope)
    assert watcher.find_ended([watch]) == []
    User.objects.filter(pk=opened.user_id).update(first_name="deleted")
    assert watcher.find_ended([watch]) == [watch]


def test_only_user_model_without_rules_has_condition(monkeypatch):
    assert watcher._condition_of_active_owner() == Q(user__is_active=True)
    monkeypatch.setattr(User._meta, "concrete_fields", [])
    monkeypatch.setattr(User, "is_active", True)
    assert watcher._condition_of_active_owner() == Q()
    monkeypatch.setattr(User, "is_active", property(bool))
    assert watcher._condition_of_active_owner() is None


def test_patched_execute_sql_is_not_called(opened, monkeypatch):
    monkeypatch.setattr(SQLCompiler, "execute_sql", None)
    watch = watcher.Watch(opened.pk, (opened.digest,), opened.decision.required_scope)
    assert watcher.find_ended([watch]) == []


def test_connections_end_after_repeated_failures(opened, monkeypatch):
    looks = []

    def fail(watches):
        looks.append(watches)
        raise DatabaseError

    def act():
        monkeypatch.setattr(watcher, "find_ended", fail)

    assert ends(opened, act)
    assert len(looks) == watcher.PATIENCE


def test_task_ends_with_last_connection(opened):
    async def run():
        async with watcher.watch(opened):
            (running,) = [running for running in watcher._watchers.values() if running.watches]
            task = running.task
        await asyncio.sleep(0.05)
        return task.done(), running.watches

    try:
        assert asyncio.run(run()) == (True, set())
    finally:
        connections.close_all()
