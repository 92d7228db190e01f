"""A token of one tenant is unknown to all others where a context variable decides which tables are asked."""

from contextlib import contextmanager

import pytest
from django.db import connection

from pat_tokens import services
from tests.factories import ChannelFactory, TokenFactory, UserFactory
from tests.integrations.quoting.tenants import SCHEMA
from tests.integrations.tenants.cases import TENANTS, ask, check_that_tokens_work_for_their_tenant_alone

pytestmark = pytest.mark.django_db


@contextmanager
def schema(name):
    before = SCHEMA.set(name)
    try:
        yield
    finally:
        SCHEMA.reset(before)


@pytest.fixture
def tokens(db):
    """A token in each tenant, of the user and for the channel with the same keys."""
    made = {}
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        for name in TENANTS:
            cursor.execute(f"CREATE SCHEMA {name}")
            for table in tables:
                cursor.execute(f'CREATE TABLE {name}."{table}" (LIKE public."{table}" INCLUDING ALL)')
    for name in TENANTS:
        with schema(name):
            user = UserFactory(pk=1, username="owner")
            ChannelFactory(pk=1, owner=user, name=name, slug="mine")
            scopes = [("channels", "1", "read"), ("channels", "1", "list")]
            made[name] = TokenFactory(user=user, name=name, scopes=scopes)
    return made


def test_token_works_only_for_its_tenant(tokens):
    check_that_tokens_work_for_their_tenant_alone(tokens)


def test_revoking_in_one_tenant_leaves_the_other(tokens):
    with schema("acme"):
        services.revoke_token(tokens["acme"])
    assert ask("acme", tokens["acme"], "/api/channels/1/").status_code == 401
    assert ask("globex", tokens["globex"], "/api/channels/1/").status_code == 200
