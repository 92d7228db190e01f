"""A row comes the short way where nobody looks on, and by Django's cursor where anybody does."""

import asyncio
import functools
import threading
from contextlib import contextmanager

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError, ProgrammingError, connections, transaction
from django.db import connection as proxy
from django.db.backends import utils
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError
from django.db.utils import OperationalError
from django.test.utils import CaptureQueriesContext

from pat_tokens import cursors
from pat_tokens.cursors import fetch_row
from tests.queries import query

pytestmark = pytest.mark.django_db

QUERY, VALUES = query("SELECT %s, 'x'", 1), ("a '%s",)


@pytest.fixture
def connection():
    return connections["default"]


@pytest.fixture
def by_cursor(monkeypatch):
    """The cursors of Django's that were made."""
    made = []
    init = utils.CursorWrapper.__init__

    def noted(self, *args):
        made.append(self)
        init(self, *args)

    monkeypatch.setattr(utils.CursorWrapper, "__init__", noted)
    return made


def test_the_short_way_finds_what_the_cursor_finds(connection, by_cursor):
    assert tuple(fetch_row(connection, QUERY, VALUES)) == ("a '%s", "x")
    assert fetch_row(connection, query("SELECT %s FROM (SELECT 1 AS a) AS t WHERE a = 2", 1), VALUES) is None
    assert not by_cursor
    with connection.cursor() as cursor:
        cursor.execute(QUERY.sql, QUERY.by_name(VALUES))
        assert tuple(cursor.fetchone()) == ("a '%s", "x")
    assert by_cursor


# Who looks on: each a context in which all SQL is added to a list.


@contextmanager
def wrapper(connection, monkeypatch, seen):
    def note(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield


@contextmanager
def log_of_queries(connection, monkeypatch, seen):
    with CaptureQueriesContext(connection) as queries:
        yield
    seen += [query["sql"] for query in queries]


@contextmanager
def debug(connection, monkeypatch, seen):
    from django.conf import settings

    monkeypatch.setattr(settings, "DEBUG", True)
    connection.queries_log.clear()
    yield
    seen += [query["sql"] for query in connection.queries_log]


@contextmanager
def around_a_step(place, name, monkeypatch, seen):
    step = getattr(place, name)

    @functools.wraps(step)
    def note(*args, **kwargs):
        seen.append("SELECT somehow")
        return step(*args, **kwargs)

    monkeypatch.setattr(place, name, note)
    yield
    monkeypatch.undo()
    if name in OF_THE_CONNECTION and not isinstance(place, type):
        delattr(place, name)  # which pytest has put there, and was of the class before


@contextmanager
def another_cursor(connection, monkeypatch, seen):
    class Own(utils.CursorWrapper):
        def execute(self, sql, params=None):
            seen.append(sql)
            return super().execute(sql, params)

    monkeypatch.setattr(utils, "CursorWrapper", Own)
    yield


@contextmanager
def another_backend(connection, monkeypatch, seen):
    """As those of sites with a schema for each tenant, which choose it when a cursor is made."""

    class Own(type(connection)):
        def _cursor(self, name=None):
            seen.append("SELECT somehow")
            return super()._cursor(name)

    monkeypatch.setattr(connection, "__class__", Own)
    yield


OF_ALL_CONNECTIONS = ["cursor", "_cursor", "_prepare_cursor", "make_cursor"]
OF_THE_CONNECTION = [*OF_ALL_CONNECTIONS, "create_cursor"]
LOOKERS_ON = {
    "execute wrapper": wrapper,
    "log of queries": log_of_queries,
    "DEBUG": debug,
    "another cursor": another_cursor,
    "another backend": another_backend,
    **{
        f"{name} of the connection": lambda connection, *args, name=name: around_a_step(connection, name, *args)
        for name in OF_THE_CONNECTION
    },
    **{
        f"{name} of all connections": lambda _, *args, name=name: around_a_step(BaseDatabaseWrapper, name, *args)
        for name in OF_ALL_CONNECTIONS
    },
    "create_cursor of the backend": lambda connection, *args: around_a_step(type(connection), "create_cursor", *args),
    **{
        f"{name} of all cursors": lambda _, *args, name=name: around_a_step(utils.CursorWrapper, name, *args)
        for name in ("execute", "_execute_with_wrappers", "_execute", "__getattr__")
    },
}


@pytest.mark.parametrize("who", LOOKERS_ON)
def test_who_looks_on_sees_it(connection, monkeypatch, who):
    seen = []
    with LOOKERS_ON[who](connection, monkeypatch, seen):
        assert tuple(fetch_row(connection, QUERY, VALUES)) == ("a '%s", "x")
    assert [sql for sql in seen if sql.startswith("SELECT")]


def test_what_stands_around_a_connection_is_asked_for_its_cursor(by_cursor):
    fetch_row(proxy, QUERY, VALUES)
    assert by_cursor


def test_what_was_there_before_us_is_not_taken_for_djangos_own():
    execute = utils.CursorWrapper.execute

    @functools.wraps(execute)
    def patched(*args, **kwargs):
        return execute(*args, **kwargs)

    assert cursors._if_djangos_own((execute,)) == (execute,)
    assert cursors._if_djangos_own((execute, patched)) is None
    assert cursors._if_djangos_own((functools.partial(execute),)) is None


class TestIsAsCareful:
    """The short way refuses what Django's cursor refuses."""

    @pytest.fixture(autouse=True)
    def _nobody_looks_on(self, connection):
        assert not cursors._is_observed(connection)

    def test_an_error_is_djangos(self, connection):
        with pytest.raises((ProgrammingError, OperationalError)), transaction.atomic():
            fetch_row(connection, query("SELECT nothing FROM nowhere"), ())

    def test_nothing_is_asked_in_a_transaction_that_has_failed(self, connection, monkeypatch):
        monkeypatch.setattr(connection, "needs_rollback", True)
        with pytest.raises(TransactionManagementError):
            fetch_row(connection, QUERY, VALUES)

    def test_a_connection_is_of_its_thread(self, connection):
        raised = []

        def ask():
            try:
                fetch_row(connection, QUERY, VALUES)
            except DatabaseError as error:
                raised.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        assert len(raised) == 1

    def test_nothing_blocks_an_event_loop(self, connection):
        async def ask():
            fetch_row(connection, QUERY, VALUES)

        with pytest.raises(SynchronousOnlyOperation):
            asyncio.run(ask())

    @pytest.fixture
    def looks(self, connection, monkeypatch):
        """How often it was asked whether the connection, which has to be looked at, is usable."""
        monkeypatch.setattr(connection, "health_check_enabled", True)
        monkeypatch.setattr(connection, "health_check_done", False)
        return []

    def test_a_connection_that_has_to_be_looked_at_first_is(self, connection, monkeypatch, looks):
        monkeypatch.setattr(connection, "is_usable", lambda: looks.append(1) or True)
        for _ in range(2):
            fetch_row(connection, QUERY, VALUES)
        assert looks == [1]

    def test_a_connection_that_is_of_no_use_any_more_is_opened_anew(self, connection, monkeypatch, looks):
        opened = connection.connection
        monkeypatch.setattr(connection, "is_usable", lambda: looks.append(1) and False)
        monkeypatch.setattr(connection, "close", lambda: setattr(connection, "connection", None))
        monkeypatch.setattr(connection, "connect", lambda: setattr(connection, "connection", opened))
        assert fetch_row(connection, QUERY, VALUES)
        assert looks == [1]

    def test_an_event_loop_does_not_even_look_at_it(self, connection, monkeypatch, looks):
        async def ask():
            fetch_row(connection, QUERY, VALUES)

        monkeypatch.setattr(connection, "is_usable", lambda: looks.append(1) or True)
        with pytest.raises(SynchronousOnlyOperation):
            asyncio.run(ask())
        assert not looks
