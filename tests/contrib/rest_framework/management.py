"""Helpers for tests of the management API."""

from typing import Any

from rest_framework.test import APIClient

from pat_tokens.models import PersonalAccessToken, Scope

PATS = "/api/pats/"


def url(token: PersonalAccessToken, *rest: object) -> str:
    """Return the URL of a token, or of a route below it."""
    return PATS + "/".join([str(token.pk), *map(str, rest), ""])


def row(scope: str, **fields: Any) -> dict[str, Any]:
    """Return a scope such as `channels:*:read` in the format of the API."""
    return {**dict(zip(("entity_type", "entity_id", "operation"), scope.split(":"), strict=True)), **fields}


def snapshot() -> tuple[list[Any], list[Any]]:
    """Return all columns of all tokens and scopes."""
    tokens = PersonalAccessToken.objects.order_by("pk").values()
    return list(tokens), list(Scope.objects.order_by("pk").values())


def session_client(user: Any) -> APIClient:
    """Return a client with the session of `user`, which sends JSON."""
    client = APIClient()
    client.default_format = "json"
    client.force_login(user)
    return client
