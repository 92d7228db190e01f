"""Fixtures of all tests. skips.py decides which tests run where."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from hypothesis import HealthCheck, settings
from rest_framework.test import APIClient

from pat_tokens import deferred_writes, rate_limits
from pat_tokens.entities import registry
from pat_tokens.models import PersonalAccessToken
from tests.cases import case
from tests.chromium import browser_type_launch_args
from tests.factories import ChannelFactory, TokenFactory, UserFactory
from tests.services import strict

__all__ = ["browser_type_launch_args", "case"]  # fixtures

pytest_plugins = ["tests.skips", "tests.site.fixtures", "pytester"]

# No deadlines, because a busy machine isn't a failure.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=30)
settings.register_profile("ci", parent=settings.get_profile("default"), max_examples=100)
settings.register_profile("stress", parent=settings.get_profile("default"), max_examples=2000)
# The same examples for each mutant.
settings.register_profile("mutants", parent=settings.get_profile("default"), max_examples=30, derandomize=True)
settings.load_profile("ci" if strict() else "default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=10, help="of each race, in threads and in processes")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Name test databases by process, because several runs share the database servers."""
    for alias in connections:
        connection = connections[alias]
        name = f"pat_tokens_test_{os.getpid()}_{alias}"
        if connection.vendor == "sqlite":
            # A file instead of memory, so that threads wait for locks like on a real site.
            name = str(tmp_path_factory.mktemp(name) / "db.sqlite3")
        connection.settings_dict["TEST"]["NAME"] = name


@pytest.fixture(autouse=True)
def no_failed_writes() -> None:
    """Reset pauses of deferred writes, so that uses are recorded, and rate limits."""
    deferred_writes.forget_failures()
    rate_limits.clear_all()


@pytest.fixture
def user(db: None) -> Any:
    """The owner in most tests."""
    return UserFactory(username="owner")


@pytest.fixture
def stranger(db: None) -> Any:
    """Another user."""
    return UserFactory(username="stranger")


@pytest.fixture
def person(client: Client, user: Any) -> Client:
    """The owner's browser."""
    client.force_login(user)
    return client


@pytest.fixture
def channel(user: Any) -> Any:
    """An entity of the owner."""
    return ChannelFactory(owner=user)


@pytest.fixture
def make_token(user: Any) -> Callable[..., PersonalAccessToken]:
    """Create a token of the owner with scopes such as `channels:*:read`; `token.secret` is its secret."""

    def make(*scopes: str, **fields: Any) -> PersonalAccessToken:
        return TokenFactory(**{"user": user, "scopes": [scope.split(":") for scope in scopes], **fields})

    return make


@pytest.fixture
def token(make_token: Callable[..., PersonalAccessToken]) -> PersonalAccessToken:
    """A token of the owner without scopes."""
    return make_token(name="deploy")


@pytest.fixture
def presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the default presets; presets that a test registers are removed after it."""
    monkeypatch.setattr(registry, "_presets", {})


@pytest.fixture
def client_with() -> Callable[[PersonalAccessToken], APIClient]:
    """Return an API client that sends a token's secret."""

    def make(token: PersonalAccessToken) -> APIClient:
        return APIClient(headers={"authorization": f"Bearer {token.secret}"})

    return make
