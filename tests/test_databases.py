"""Sites with several databases: tokens are only in the one that the router returns."""

import re
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.db import connections, transaction
from django.test import Client
from django.urls import include, path, reverse
from django.utils import timezone
from rest_framework.test import APIClient

from pat_tokens import authentication, crypto, services, signals
from pat_tokens.filtering import LimitedList
from pat_tokens.inspection.explain import explain
from pat_tokens.models import PersonalAccessToken, Scope
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement
from tests.factories import ChannelFactory, UserFactory
from tests.faults.cases import SERVICES, Scene
from tests.models import Channel

# Not marked `django_db`, because Django's test case only knows the databases of the settings.
pytestmark = [pytest.mark.sql, pytest.mark.urls("tests.test_databases")]

urlpatterns = [path("admin/", admin.site.urls), path("", include("tests.urls"))]


class OnlyPrimary:
    """A router for sites whose rows aren't in the database `default`."""

    def db_for_read(self, model, **hints):
        return "primary"

    def db_for_write(self, model, **hints):
        return "primary"

    def allow_relation(self, one, other, **hints):
        return True


class PrimaryAndReplica(OnlyPrimary):
    def db_for_read(self, model, **hints):
        return "replica"


def refuse(execute, sql, params, many, context):
    """An execute wrapper that allows no statement."""
    raise AssertionError(f"asked of {context['connection'].alias}: {sql}")


class Statements:
    """An execute wrapper that records statements inside and outside of transactions."""

    def __init__(self):
        self.inside, self.outside = [], []

    def __call__(self, execute, sql, params, many, context):
        if sql.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            (self.inside if context["connection"].in_atomic_block else self.outside).append(sql)
        return execute(sql, params, many, context)


@contextmanager
def added(aliases):
    for alias, settings_dict in aliases.items():
        connections.settings[alias] = settings_dict
    try:
        yield
    finally:
        for alias in aliases:
            connections[alias].close()
            del connections[alias], connections.settings[alias]


@pytest.fixture(params=[OnlyPrimary, PrimaryAndReplica])
def databases(request, settings, tmp_path, django_db_blocker):
    """A primary and a read-only replica without delay; `default` must not be used."""
    sqlite = {
        **connections.settings["default"],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": tmp_path / "primary.sqlite3",
        "ATOMIC_REQUESTS": False,
    }
    options = {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"}
    read_only = {"init_command": "PRAGMA query_only=ON;"}
    with (
        added({"primary": {**sqlite, "OPTIONS": options}, "replica": {**sqlite, "OPTIONS": read_only}}),
        connections["default"].execute_wrapper(refuse),
        django_db_blocker.unblock(),
    ):
        settings.DATABASE_ROUTERS = [OnlyPrimary()]
        call_command("migrate", database="primary", run_syncdb=True, verbosity=0)
        settings.DATABASE_ROUTERS = [request.param()]
        yield


@pytest.fixture
def owner(databases):
    return UserFactory(username="owner", is_staff=True, is_superuser=True)


@pytest.fixture
def channel(owner):
    return ChannelFactory(owner=owner)


def make_old(owner, name, *, ends):
    """Create a token that was issued 90 days ago and expires in 90 days."""
    token, _secret = services.create_token(owner, name=name)
    now = timezone.now()
    rows = PersonalAccessToken.objects.using("primary").filter(pk=token.pk)
    rows.update(issued_at=now - timedelta(days=90), expires_at=now + ends)


def ask(channel, secret, method="get"):
    client = APIClient(headers={"authorization": f"Bearer {secret}"})
    return getattr(client, method)(f"/api/channels/{channel.pk}/").status_code


def test_token_lifecycle_by_api(owner, channel):
    client = APIClient()
    client.force_login(owner)
    scope = {"entity_type": "channels", "entity_id": str(channel.pk), "operation": "read"}
    made = client.post("/api/pats/", {"name": "deploy", "scopes": [scope]}, format="json")
    assert made.status_code == 201
    where, secret = f"/api/pats/{made.data['id']}/", made.data["secret"]
    assert ask(channel, secret) == 200
    assert ask(channel, secret, "delete") == 403
    assert client.get(where).data["last_used_at"] is not None
    assert client.patch(where, {"name": "other"}, format="json").status_code == 200
    more = client.post(f"{where}scopes/", {"scopes": [{**scope, "operation": "delete"}]}, format="json")
    assert more.status_code == 201
    assert [found["operation"] for found in client.get(where).data["scopes"]] == ["delete", "read"]
    assert client.post(f"{where}revoke/").status_code == 200
    assert ask(channel, secret) == 401
    again = client.post(f"{where}regenerate/").data["secret"]
    assert ask(channel, secret) == 401
    assert ask(channel, again) == 200
    assert client.delete(f"{where}scopes/").data == {"deleted": 2}
    assert ask(channel, again) == 403
    assert client.delete(where).status_code == 204
    assert ask(channel, again) == 401
    assert not Scope.objects.using("primary").exists()


def test_pages_and_admin(owner, channel):
    token, _secret = services.create_token(owner, name="deploy", scopes=[("channels", str(channel.pk), "read")])
    client = Client()
    client.force_login(owner)
    assert b"deploy" in client.get(reverse("pat_tokens:token_list")).content
    made = client.post(reverse("pat_tokens:token_create"), {"name": "made here", "duration": "30d"}, follow=True)
    assert re.search(rb"pat_[0-9A-Za-z]{49}", made.content)
    assert b"deploy" in client.get(reverse("admin:pat_tokens_personalaccesstoken_changelist")).content
    page = reverse("admin:pat_tokens_personalaccesstoken_change", args=[token.pk])
    assert client.get(page).status_code == 200
    assert PersonalAccessToken.objects.using("primary").count() == 2


def test_entity_lookup(owner, channel):
    _token, secret = services.create_token(owner, name="deploy", scopes=[("channels", str(channel.pk), "read")])
    by_name = Requirement("channels", "read", EntityLookup(name="name"))
    assert authentication.authenticate(secret, by_name, {"name": channel.name}).user == owner


def test_pepper_rotation(owner, channel, settings):
    settings.PAT_TOKENS_PEPPERS = ["old pepper of this test"]
    token, secret = services.create_token(owner, name="deploy", scopes=[("channels", "*", "read")])
    settings.PAT_TOKENS_PEPPERS = ["new pepper of this test", "old pepper of this test"]
    assert ask(channel, secret) == 200
    stored = PersonalAccessToken.objects.using("primary").get(pk=token.pk).digest
    assert stored == crypto.digest(secret, "new pepper of this test")


def test_commands(owner, capsys, mailoutbox):
    owner.email = "owner@example.org"
    owner.save()
    make_old(owner, "long dead", ends=-timedelta(days=80))
    make_old(owner, "soon", ends=timedelta(hours=12))
    call_command("pat_remind")
    assert [mail.to for mail in mailoutbox] == [["owner@example.org"]]
    call_command("pat_remind")
    assert len(mailoutbox) == 1
    call_command("pat_prune", days=10)
    assert [token.name for token in PersonalAccessToken.objects.all()] == ["soon"]
    call_command("pat_create", "owner", name="made here", scope=["channels:*:read"])
    call_command("pat_list", user="owner")
    assert "made here" in capsys.readouterr().out


def test_writes_are_in_one_transaction(subtests, databases):
    for service in sorted(SERVICES.keys() - {"record use", "redigest"}):  # these write one row, after the request
        with subtests.test(service=service):
            scene, statements = Scene(), Statements()
            with connections["primary"].execute_wrapper(statements):
                SERVICES[service](scene)
            assert [sql for sql in statements.outside if not sql.startswith("SELECT")] == []
            # Otherwise SQLite would allow another write between the read and the write.
            assert statements.inside[0].startswith("UPDATE")


def test_signals_are_sent_after_commit(owner):
    token, _secret = services.create_token(owner, name="deploy")
    heard = []

    def hear(**facts):
        heard.append(facts["token"])

    signals.token_revoked.connect(hear)
    try:
        with transaction.atomic(using="primary"):
            services.revoke_token(token)
            assert heard == []
        assert heard == [token]
    finally:
        signals.token_revoked.disconnect(hear)


def test_use_is_written_after_commit(owner):
    token, secret = services.create_token(owner, name="deploy")
    rows = PersonalAccessToken.objects.using("primary").filter(pk=token.pk)
    with transaction.atomic(using="primary"):
        authentication.authenticate(secret, ANY_TOKEN)
        assert rows.get().last_used_at is None
    assert rows.get().last_used_at is not None


@pytest.mark.parametrize("databases", [PrimaryAndReplica], indirect=True)
@pytest.mark.parametrize("from_replicas", [False, True])
def test_replica_is_used_only_if_configured(owner, channel, settings, from_replicas):
    """A lagging replica would still accept a revoked token."""
    settings.PAT_TOKENS_READ_FROM_REPLICAS = from_replicas
    _token, secret = services.create_token(owner, name="deploy", scopes=[("channels", str(channel.pk), "list")])
    statements = Statements()
    with connections["replica"].execute_wrapper(statements):
        found = authentication.authenticate(secret, Requirement("channels", "list"), {}, filtered=True)
        assert found.decision.limited
        LimitedList(found, Requirement("channels", "list")).limit(Channel.objects.using("primary"))
        authentication.authenticate_options(secret, [Requirement("channels", "list")], {})
    assert len(statements.inside + statements.outside) == (4 if from_replicas else 0)


@pytest.mark.parametrize("databases", [PrimaryAndReplica], indirect=True)
@pytest.mark.parametrize("from_replicas", [False, True])
def test_explanation_reads_what_authentication_reads(owner, channel, settings, from_replicas):
    settings.PAT_TOKENS_READ_FROM_REPLICAS = from_replicas
    made, _secret = services.create_token(owner, name="deploy", scopes=[("channels", str(channel.pk), "read")])
    tables = [PersonalAccessToken._meta.db_table, Scope._meta.db_table]
    for alias in ("primary", "replica"):
        token = PersonalAccessToken.objects.select_related("user").using(alias).get(pk=made.pk)
        statements = Statements()
        with connections["primary" if from_replicas else "replica"].execute_wrapper(statements):
            for method in ("GET", "OPTIONS"):
                assert explain(token, method, f"/api/channels/{channel.pk}/").allowed
        assert [sql for sql in statements.outside if any(table in sql for table in tables)] == []


@pytest.mark.parametrize("databases", [PrimaryAndReplica], indirect=True)
def test_replica_does_not_decide_what_is_written(owner, channel):
    """It can still have scopes that were deleted, and not yet those that were added."""
    token, _secret = services.create_token(owner, name="deploy", scopes=[("channels", str(channel.pk), "list")])
    statements = Statements()
    with connections["replica"].execute_wrapper(statements):
        services.add_scopes(token, [("channels", str(channel.pk), "read")])
        services.rotate_token(token)
        services.delete_scopes(token, token.scope_set.filter(operation="read"))
        services.delete_scopes(token)
    assert not Scope.objects.using("primary").exists()
    assert [sql for sql in statements.inside + statements.outside if Scope._meta.db_table in sql] == []
