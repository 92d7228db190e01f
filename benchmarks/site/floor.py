"""Only the SELECT of authentication: the lower bound for any authentication that queries a database."""

from django.contrib.auth.models import User
from django.db import connection
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from pat_tokens import lookup
from pat_tokens.scopes import RequiredScope


class SelectAlone(BaseAuthentication):
    """Looks up the given digest and ignores the row: the user is always the same."""

    user = User(pk=1)
    statement = None

    def authenticate(self, request):
        """Return the user where there is a row."""
        digest = get_authorization_header(request)[len("Digest ") :].decode()
        if not digest:
            return None
        found = self.find(digest, str(request.parser_context["kwargs"]["pk"]))
        if found is None:
            raise AuthenticationFailed
        return found

    def authenticate_header(self, request):
        return "Digest"

    def find(self, digest, entity_id):
        """Return user and token, or None where there is no row."""
        required_scope = RequiredScope("channels", "read", entity_id)
        statement = (
            lookup._compile(connection, 1, required_scope, previous=False) if self.statement is None else self.statement
        )
        type(self).statement = statement
        by_slot = dict(zip(statement.slots, (digest, "channels", "read", entity_id), strict=True))
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, [by_slot.get(param, param) for param in statement.params])
            return cursor.fetchone() and (self.user, None)


class SelectAndInstances(SelectAlone):
    """Also creates the token and its user from the row, for `request.user` and `request.auth`."""

    def find(self, digest, entity_id):
        """Return user and token, or None where there is no row."""
        token = lookup.find_token([digest], RequiredScope("channels", "read", entity_id))
        return token and (token.user, token)
