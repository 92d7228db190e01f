import pytest
from django.db import connection

from tests.skips import not_applicable


@pytest.fixture
def own_database() -> None:
    """For tests whose sites have their own SQLite databases, so that one run is enough."""
    if connection.vendor != "sqlite":
        not_applicable("the sites that are made from the documentation have SQLite databases of their own")
