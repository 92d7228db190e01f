"""Fixtures for tests of the demo, which run with its own settings."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from tests.cases import case
from tests.chromium import browser_type_launch_args
from tests.demo.servers import Server, serve

__all__ = ["browser_type_launch_args", "case"]  # fixtures

if os.environ["DJANGO_SETTINGS_MODULE"] != "demo_project.settings":
    collect_ignore_glob = ["*"]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Use a test database that a server in another process can open."""
    database = settings.DATABASES["default"]
    name = f"demo_test_{os.getpid()}"
    if database["ENGINE"].endswith("sqlite3"):
        name = str(Path(tmp_path_factory.mktemp("database"), f"{name}.sqlite3"))
    database.setdefault("TEST", {})["NAME"] = name


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.get_or_create(username="alice")[0]  # a server can have created her


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.get_or_create(username="bob")[0]


@pytest.fixture(scope="session")
def server(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Server]:
    """The demo in a separate process, on the test database. For tests with `transaction=True`."""
    with django_db_blocker.unblock(), serve() as server:
        yield server


def log_in(user: User) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


@pytest.fixture
def as_alice(alice: User) -> APIClient:
    """Alice's browser, with a session."""
    return log_in(alice)


@pytest.fixture
def as_bob(bob: User) -> APIClient:
    return log_in(bob)
