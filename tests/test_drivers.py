"""Each driver's shortest way gives what the backend's cursor gives, and is left where that cursor is not Django's."""

import functools
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.db import connections
from django.db.backends.sqlite3.base import DatabaseWrapper, SQLiteCursorWrapper

from pat_tokens import drivers
from pat_tokens.compiled import Slot, make_query
from pat_tokens.drivers import by_new_cursor, find_way
from tests.queries import query

pytestmark = pytest.mark.django_db

QUERY, VALUES = query("SELECT %s, '%%s', %s, %s, 1.5, NULL", 2, [7]), ("a '%s", "ä?")
SLOT = Slot("slot")
TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.fixture
def connection():
    connection = connections["default"]
    connection.ensure_connection()
    vars(connection).pop(drivers._KEPT, None)
    return connection


@pytest.fixture
def cursors_of(monkeypatch):
    """What lists the cursors of the driver that Django makes from now on."""

    def listed(connection):
        made = []
        create = connection.create_cursor

        def noted():
            made.append(create())
            return made[-1]

        monkeypatch.setitem(vars(connection), "create_cursor", noted)
        return made

    return listed


def fetch(connection, query, *values):
    return find_way(connection)(connection, query, values)


def both(connection, query, *values):
    """The rows of the way and of a cursor, which have to be equal, each value with its type and its zone."""
    rows = [
        [(type(value), value, getattr(value, "tzinfo", None)) for value in way(connection, query, values)]
        for way in (find_way(connection), by_new_cursor)
    ]
    assert rows[0] == rows[1]
    return [value for _, value, _ in rows[0]]


def test_gives_what_a_cursor_gives(connection):
    found = both(connection, QUERY, *VALUES)
    assert found[:3] == ["a '%s", "%s", "ä?"]
    assert fetch(connection, query("SELECT 1 FROM (SELECT 1 AS a) AS t WHERE a = 2")) is None


def test_a_slot_may_be_used_many_times_and_in_any_order(connection):
    one, two = Slot("one"), Slot("two")
    asked = make_query("SELECT %s, %s, %s, %s", [two, 5, one, two], [one, two])
    assert tuple(map(str, both(connection, asked, "1", "2"))) == ("2", "5", "1", "2")


TEXTS = ["", "*", "a_Word-1", "don't", "\\' OR 1=1 --", "100%", "%s", "?", "%(slot0)s", "ä", "a b"]
CONSTANTS = [*TEXTS, 0, 7, -1, 2**31, 2**40, True]


def test_constants_are_what_parameters_would_be(connection):
    sql = "SELECT 5-%s, %s, " + ", ".join(["%s"] * len(CONSTANTS))
    found = both(connection, make_query(sql, [-1, SLOT, *CONSTANTS], [SLOT]), "slot")
    with connection.cursor() as cursor:
        cursor.execute(sql, [-1, "slot", *CONSTANTS])
        expected = cursor.fetchone()
    assert found == list(expected)
    assert [*map(type, found)] == [*map(type, expected)]


def test_a_cursor_of_the_backend_is_closed(connection, cursors_of):
    made = cursors_of(connection)
    by_new_cursor(connection, QUERY, VALUES)
    with pytest.raises(connection.Database.Error):
        made[0].execute("SELECT 1")
    assert len(made) == 1


def test_a_cursor_that_cannot_be_closed_hides_no_other_error(connection, monkeypatch):
    class Broken:
        def execute(self, sql, params):
            raise connection.Database.OperationalError("first")

        def close(self):
            raise connection.Database.InterfaceError("second")

    monkeypatch.setitem(vars(connection), "create_cursor", Broken)
    with pytest.raises(connection.Database.OperationalError, match="first"):
        by_new_cursor(connection, QUERY, VALUES)


def test_a_backend_with_cursors_of_its_own_is_asked_for_one(connection, monkeypatch):
    made = []

    class Own(type(connection)):
        def create_cursor(self, name=None):
            made.append(super().create_cursor(name))
            return made[-1]

    monkeypatch.setattr(connection, "__class__", Own)
    for _ in range(2):
        assert tuple(fetch(connection, QUERY, *VALUES))[:2] == ("a '%s", "%s")
    assert len(made) == 2


class TestSQLite:
    """In any run, with a file of its own."""

    @pytest.fixture
    def connection(self, tmp_path):
        settings = {**connections["default"].settings_dict, "NAME": tmp_path / "db.sqlite3", "OPTIONS": {}}
        connection = DatabaseWrapper(settings, alias="file")
        connection.connect()
        for sql in ("CREATE TABLE t (at datetime, yes bool)", *2 * ["INSERT INTO t VALUES ('2026-11-27 10:11:12', 1)"]):
            connection.connection.execute(sql)
        yield connection
        connection.close()

    def test_converts_as_the_connection_does(self, connection, cursors_of):
        made = cursors_of(connection)
        row = fetch(connection, query("SELECT at, yes FROM t WHERE yes = %s", 1), "1")
        assert row == (datetime.fromisoformat("2026-11-27 10:11:12"), True)
        assert not made
        both(connection, query("SELECT at, yes FROM t WHERE yes = %s", 1), "1")

    def test_leaves_no_lock_behind(self, connection):
        assert fetch(connection, query("SELECT * FROM t"))  # there is a second row
        with closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=0)) as other:
            other.execute("DELETE FROM t")

    def test_a_patched_cursor_is_asked(self, connection, monkeypatch):
        seen = []
        execute = SQLiteCursorWrapper.execute

        @functools.wraps(execute)
        def noted(self, *args):
            seen.append(args)
            return execute(self, *args)

        fetch(connection, QUERY, *VALUES)
        monkeypatch.setattr(SQLiteCursorWrapper, "execute", noted)
        fetch(connection, QUERY, *VALUES)
        assert len(seen) == 1
        monkeypatch.setattr(drivers, "_ways", {})  # nor is one that was patched before us Django's own
        fetch(connection, QUERY, *VALUES)
        assert len(seen) == 2

    def test_a_connection_of_its_own_class_gives_a_cursor(self, connection, cursors_of):
        class Own(sqlite3.Connection):
            pass

        connection.close()
        connection.settings_dict["OPTIONS"] = {"factory": Own}
        connection.connect()
        made = cursors_of(connection)
        fetch(connection, QUERY, *VALUES)
        assert len(made) == 1


MOMENTS = query(
    "SELECT at, ARRAY[at], tstzrange(at, NULL), NULL::timestamptz, at::timestamp, at::date FROM (SELECT "
    "'2026-07-01 10:11:12.12345+00'::timestamptz AS at) AS t"
)
MOMENT = datetime(2026, 7, 1, 10, 11, 12, 123450, tzinfo=UTC)


@pytest.mark.postgres
class TestPsycopg:
    """A cursor is used again, and loads moments by compiled code."""

    @pytest.fixture(params=["compiled", "plain Python"])
    def loaders(self, request, monkeypatch):
        if request.param != "compiled":
            monkeypatch.setattr(drivers, "_COMPILED_LOADERS", ())

    @pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "America/New_York"])
    @pytest.mark.parametrize("use_tz", [True, False])
    def test_moments_are_as_django_has_them(self, connection, settings, loaders, zone, use_tz):
        connection = connection.copy()
        connection.settings_dict = {**connection.settings_dict, "TIME_ZONE": zone if use_tz else None}
        settings.USE_TZ, settings.TIME_ZONE = use_tz, zone
        connection.connect()
        try:
            found = both(connection, MOMENTS)
        finally:
            connection.close()
        assert found[0] == (MOMENT if use_tz else MOMENT.astimezone(ZoneInfo(zone)).replace(tzinfo=None))

    def test_its_loader_is_compiled(self, connection, monkeypatch):
        from django.db.backends.postgresql.psycopg_any import BaseTzLoader

        asked = []
        load = BaseTzLoader.load
        monkeypatch.setattr(BaseTzLoader, "load", lambda self, data: asked.append(1) or load(self, data))
        monkeypatch.setattr(drivers, "is_djangos_own", lambda function: True)
        assert fetch(connection, MOMENTS)[0] == MOMENT
        assert not asked

    def test_a_loader_of_the_site_is_asked(self, connection):
        from psycopg.adapt import Loader

        class Own(Loader):
            def load(self, data):
                return "own"

        adapters = connection.connection.adapters
        before = adapters.get_loader(1184, 0)
        Own.timezone = before.timezone  # which Django looks at
        adapters.register_loader("timestamptz", Own)
        try:
            assert fetch(connection, MOMENTS)[0] == "own"
        finally:
            adapters.register_loader("timestamptz", before)

    def test_a_patched_loader_of_django_is_asked(self, connection, monkeypatch):
        from django.db.backends.postgresql.psycopg_any import BaseTzLoader

        monkeypatch.setattr(BaseTzLoader, "load", lambda self, data: "patched")
        assert fetch(connection, MOMENTS)[0] == "patched"

    def test_a_session_of_another_zone_tells_the_same_moment(self, connection):
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'Asia/Tokyo'")
        try:
            assert fetch(connection, MOMENTS)[0] == MOMENT
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SET TIME ZONE 'UTC'")
        assert fetch(connection, MOMENTS)[0] == MOMENT

    def test_one_cursor_is_used_again(self, connection, cursors_of):
        made = cursors_of(connection)
        for number in "123":
            assert fetch(connection, query("SELECT %s", 1), number) == (number,)
        assert len(made) == 1

    def test_another_zone_has_another_cursor(self, connection, cursors_of, monkeypatch):
        made = cursors_of(connection)
        assert fetch(connection, MOMENTS)[0].tzinfo is UTC
        monkeypatch.setattr(connection, "timezone", TOKYO)
        assert fetch(connection, MOMENTS)[0].tzinfo is TOKYO
        assert len(made) == 2

    def test_another_connection_to_the_database_has_another_cursor(self, connection, cursors_of, monkeypatch):
        other = connection.copy()
        other.connect()
        try:
            made = cursors_of(connection)
            asked = query("SELECT pg_backend_pid()")
            first = fetch(connection, asked)
            with monkeypatch.context() as patch:
                patch.setattr(connection, "connection", other.connection)
                assert fetch(connection, asked) != first
            assert fetch(connection, asked) == first
            assert len(made) == 3
        finally:
            other.close()

    def test_goes_on_after_an_error(self, connection):
        from django.db import transaction

        fetch(connection, QUERY, *VALUES)
        with pytest.raises(connection.Database.Error), transaction.atomic():
            fetch(connection, query("SELECT nothing FROM nowhere"))
        both(connection, QUERY, *VALUES)

    def test_no_two_have_a_cursor_at_the_same_time(self, connection, monkeypatch):
        asked, inner = query("SELECT %s", 1), []
        cursor_class = type(connection.create_cursor())
        execute = cursor_class.execute

        def interrupted(self, *args, **kwargs):
            execute(self, *args, **kwargs)
            if not inner:
                inner.append(None)
                inner.append(fetch(connection, asked, "inner"))
            return self

        fetch(connection, asked, "first")
        monkeypatch.setattr(cursor_class, "execute", interrupted)
        assert fetch(connection, asked, "outer") == ("outer",)
        assert inner[1] == ("inner",)
