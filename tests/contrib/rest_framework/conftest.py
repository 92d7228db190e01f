"""Fixtures for the management API."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from tests.contrib.rest_framework.management import session_client


@pytest.fixture
def client(user: Any) -> APIClient:
    """A client with the owner's session, which sends JSON."""
    return session_client(user)


@pytest.fixture
def other_client(stranger: Any) -> APIClient:
    """A client with the stranger's session."""
    return session_client(stranger)


@pytest.fixture
def scoped(make_token: Any) -> Any:
    """A token with two scopes."""
    return make_token("channels:*:read", "devices:*:list", name="scoped", description="with scopes")
