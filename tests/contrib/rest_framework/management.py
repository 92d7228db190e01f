"""What the tests of the management API share."""

from typing import Any

from rest_framework.test import APIClient

from pat_tokens.models import PersonalAccessToken, Scope

PATS = "/api/pats/"


def url(token: PersonalAccessToken, *rest: object) -> str:
    """The address of a token, or of something of it."""
    return PATS + "/".join([str(token.pk), *map(str, rest), ""])


def row(scope: str, **fields: Any) -> dict[str, Any]:
    """A scope written as `channels:*:read` as the API takes it."""
    return {**dict(zip(("entity_type", "entity_id", "operation"), scope.split(":"), strict=True)), **fields}


def snapshot() -> tuple[list[Any], list[Any]]:
    """All tokens and scopes with all their columns."""
    tokens = PersonalAccessToken.objects.order_by("pk").values()
    return list(tokens), list(Scope.objects.order_by("pk").values())


def session_client(user: Any) -> APIClient:
    """A client with the session of `user`, which sends JSON."""
    client = APIClient()
    client.default_format = "json"
    client.force_login(user)
    return client
