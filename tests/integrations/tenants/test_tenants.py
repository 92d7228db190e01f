"""Tokens of one tenant are unknown to all others, although users and entities have the same keys."""

import pytest
from django.core.management import call_command, execute_from_command_line
from django.db import connection, connections
from django_tenants.utils import schema_context

from pat_tokens import services
from tests.factories import ChannelFactory, TokenFactory, UserFactory
from tests.integrations.tenants.cases import TENANTS, ask, check_that_tokens_work_for_their_tenant_alone
from tests.integrations.tenants.models import Domain, Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module", autouse=True)
def schemas(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        for name in TENANTS:
            tenant = Tenant.objects.create(schema_name=name)
            Domain.objects.create(domain=f"{name}.example.org", tenant=tenant)
            connection.cursor().execute(f"CREATE SCHEMA {name}")
        call_command("migrate_schemas", tenant=True, run_syncdb=True, verbosity=0)


@pytest.fixture
def tokens():
    """A token in each tenant, with the same keys of user and channel."""
    made = {}
    for name in TENANTS:
        with schema_context(name):
            user = UserFactory(pk=1, username="owner")
            ChannelFactory(pk=1, owner=user, name=name, slug="mine")
            made[name] = TokenFactory(
                user=user, name=name, scopes=[("channels", "1", "read"), ("channels", "1", "list")]
            )
    return made


@pytest.fixture(params=[False, True], ids=["set for each cursor", "set once a request"])
def search_path(request, settings):
    settings.TENANT_LIMIT_SET_CALLS = request.param


def test_token_works_only_for_its_tenant(tokens, search_path):
    check_that_tokens_work_for_their_tenant_alone(tokens)


def test_revoking_affects_only_one_tenant(tokens):
    with schema_context("acme"):
        services.revoke_token(tokens["acme"])
    assert ask("acme", tokens["acme"], "/api/channels/1/").status_code == 401
    assert ask("globex", tokens["globex"], "/api/channels/1/").status_code == 200


def test_use_is_recorded_in_tenant(tokens):
    for name in TENANTS:
        ask(name, tokens[name], "/api/channels/1/")
    for name in TENANTS:
        with schema_context(name):
            tokens[name].refresh_from_db()
            assert tokens[name].last_used_at is not None


def test_commands_for_one_and_all_tenants(tokens, capsys, monkeypatch):
    monkeypatch.setattr(connections, "close_all", lambda: None)  # would end the test's transaction
    execute_from_command_line(["manage.py", "tenant_command", "pat_list", "--schema=acme"])
    listed = capsys.readouterr().out
    assert "acme" in listed
    assert "globex" not in listed
    execute_from_command_line(["manage.py", "all_tenants_command", "pat_list", "--no-public"])
    listed = capsys.readouterr().out
    assert all(name in listed for name in TENANTS)
