"""PostgreSQL, with names that depend on a context variable."""

from django.db.backends.postgresql.base import DatabaseWrapper as PostgreSQLWrapper
from django.db.backends.postgresql.operations import DatabaseOperations as PostgreSQLOperations

from tests.integrations.quoting.tenants import SCHEMA


class DatabaseOperations(PostgreSQLOperations):
    def quote_name(self, name):
        quoted = super().quote_name(name)
        if SCHEMA.get() and name.startswith(("auth_", "pat_tokens_", "tests_", "django_session")):
            return f'"{SCHEMA.get()}".{quoted}'
        return quoted


class DatabaseWrapper(PostgreSQLWrapper):
    ops_class = DatabaseOperations
