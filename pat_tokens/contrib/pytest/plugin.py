"""Fixtures for the tests of a site; pytest finds them by itself where this package is installed.

They need pytest-django, and turn on the database as its fixture `db` does:

    def test_publishes(pat_api_client, alice, channel):
        client = pat_api_client(alice, f"channels:{channel.pk}:publish")
        assert client.post(f"/api/channels/{channel.pk}/publish/", {"payload": 1}).status_code == 200
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from django.test import Client
    from rest_framework.test import APIClient

    from pat_tokens.models import PersonalAccessToken

# Pytest imports this in every run, of other projects too, and before Django is set up. So each fixture imports what it
# needs when a test asks for it.


@pytest.fixture
def make_pat_token(db: None) -> Callable[..., tuple[PersonalAccessToken, str]]:
    """Make a token of a user, and return it with its secret: `make_pat_token(user, "channels:*:read")`."""
    from pat_tokens.testing import make_token

    return make_token


@pytest.fixture
def pat_client(make_pat_token: Callable[..., Any]) -> Callable[..., Client]:
    """Make a client of Django that carries a new token of a user: `pat_client(user, "channels:*:read")`.

    The token itself is its attribute `pat_token`.
    """
    from pat_tokens.testing import client_with

    return _client_factory(make_pat_token, client_with)


@pytest.fixture
def pat_api_client(make_pat_token: Callable[..., Any]) -> Callable[..., APIClient]:
    """Make a client of DRF that carries a new token of a user: `pat_api_client(user, "channels:*:read")`.

    The token itself is its attribute `pat_token`.
    """
    from pat_tokens.contrib.rest_framework.testing import api_client_with

    return _client_factory(make_pat_token, api_client_with)


def _client_factory(make: Callable[..., Any], carry: Callable[[str], Any]) -> Callable[..., Any]:
    def make_client(user: Any, *scopes: Any, **fields: Any) -> Any:
        token, secret = make(user, *scopes, **fields)
        client = carry(secret)
        client.pat_token = token
        return client

    return make_client
