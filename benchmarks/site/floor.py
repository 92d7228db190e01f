"""The one SELECT of a token check and nothing else, which no check that asks a database can go below."""

from functools import cache

from django.contrib.auth.models import User
from django.db import connections
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from pat_tokens.compiled import Slot, Statement, compile_queryset
from pat_tokens.cursors import fetch_row
from pat_tokens.models import PersonalAccessToken
from pat_tokens.scopes import RequiredScope


@cache
def statement() -> Statement:
    """Return the SELECT as the check itself executes it, for the scope to read one channel."""
    slots = Slot("digest"), Slot("entity id")
    tokens = PersonalAccessToken.objects.with_digest([slots[0]]).with_facts(RequiredScope("channels", "read", slots[1]))
    found = compile_queryset(
        tokens.select_related("user").order_by(), relation=PersonalAccessToken._meta.get_field("user"), slots=slots
    )
    assert found is not None
    return found


class SelectAlone(BaseAuthentication):
    """Looks up the digest that it is given, and makes nothing of the row: the user is always the same."""

    user = User(pk=1)

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
        return fetch_row(connections["default"], statement().query, (digest, entity_id)) and (self.user, None)


class SelectAndInstances(SelectAlone):
    """Makes the token and its user of the row, too, as whoever reads `request.user` expects; decides nothing."""

    def find(self, digest, entity_id):
        """Return user and token, or None where there is no row."""
        token = statement().fetch(connections["default"], (digest, entity_id))
        return token and (token.user, token)
