"""A site in a database that locks rows, and an arena."""

from __future__ import annotations

import pytest

from tests.races.runner import PROCESSES, Arena, processes, threads
from tests.races.site import Site

SERVERS = [
    pytest.param("PostgreSQL", marks=pytest.mark.postgres),
    pytest.param("MariaDB", marks=pytest.mark.mysql),
]


@pytest.fixture(params=SERVERS, autouse=True)
def server(request):
    """The database of the run. SQLite allows one write at a time, so there are no races."""
    return request.param


@pytest.fixture
def rounds(request):
    """How often each pair is tried."""
    return request.config.getoption("rounds")


@pytest.fixture(scope="session")
def _pool(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), processes(PROCESSES) as pool:
        yield pool


@pytest.fixture(params=["threads", "processes"])
def arena(request, transactional_db) -> Arena:
    """Runs requests at the same time; with -v it prints how many orders of statements occurred."""
    if request.param == "processes":
        arena = Arena(request.getfixturevalue("_pool"))
        yield arena
    else:
        with threads() as pool:
            arena = Arena(pool)
            yield arena
    if request.config.get_verbosity() > 0:
        plugins = request.config.pluginmanager
        with plugins.get_plugin("capturemanager").global_and_fixture_disabled():
            told = f" {arena.rounds} rounds, {len(arena.orders)} orders of statements"
            plugins.get_plugin("terminalreporter").write(told)


@pytest.fixture
def site(transactional_db) -> Site:
    """A user with a session, a channel, and tokens."""
    return Site()


@pytest.fixture
def each_round(rounds, site):
    """The rounds, each with no tokens there at its beginning."""

    def each():
        for _round in range(rounds):
            site.clear()
            yield

    return each
