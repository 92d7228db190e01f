"""A compiled queryset finds what the ORM finds, or is refused."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from types import MethodType
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, connections
from django.db.models import BinaryField, Exists, F, OuterRef, Value
from django.db.models.signals import post_init, pre_init
from django.db.models.sql.compiler import SQLCompiler

from pat_tokens.compiled import Slot, compile_queryset
from tests.models import Guest, Member, Person, Ticket

pytestmark = pytest.mark.django_db

CODE = Slot("code")
FIELDS = {
    "born": date(1999, 12, 31),
    "seen_at": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "wakes_at": time(6, 30, 0, 5),
    "nap": timedelta(days=1, microseconds=7),
    "balance": Decimal("12345.670"),
    "is_member": True,
    "likes": {"tea": [1, None, "ä"]},
}


@pytest.fixture
def ticket():
    guest = Guest.objects.create(nickname="nobody")
    person = Person.objects.create(nickname="somebody", **FIELDS)
    member = Member.objects.create(nickname="everybody", number=7, **FIELDS)
    return Ticket.objects.create(code="'; --%s", person=person, member=member, guest=guest)


def tickets(code, relation="person"):
    return Ticket.objects.filter(code=code).select_related(relation)


def compile_tickets(queryset, relation="person", slots=(CODE,)):
    return compile_queryset(queryset, relation=Ticket._meta.get_field(relation), slots=slots)


def all_of(instance):
    """Everything that an instance knows about itself."""
    state = instance._state
    known = {name: value for name, value in instance.__dict__.items() if name != "_state"}
    related = {name: all_of(value) for name, value in state.fields_cache.items()}
    return type(instance), known, state.adding, state.db, related


@pytest.mark.parametrize("relation", ["person", "member", "guest"])
def test_finds_what_the_orm_finds(ticket, relation, django_assert_num_queries):
    by_orm = tickets(ticket.code, relation).get()
    statement = compile_tickets(tickets(CODE, relation), relation)
    for _ in range(2):
        with django_assert_num_queries(1):
            found = statement.fetch(connection, (ticket.code,))
            assert all_of(found) == all_of(by_orm)
            assert type(getattr(found, relation)) is Ticket._meta.get_field(relation).related_model
    with django_assert_num_queries(1):
        assert statement.fetch(connection, ("another",)) is None


@pytest.mark.parametrize("zone", [UTC, ZoneInfo("Asia/Kolkata"), ZoneInfo("Europe/Berlin")], ids=str)
def test_a_moment_is_in_the_zone_of_the_database(ticket, monkeypatch, zone):
    # Berlin had this hour twice, so that the offset is not that of the time of the year.
    Person.objects.filter(pk=ticket.person_id).update(seen_at=datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    statement = compile_tickets(tickets(CODE))
    monkeypatch.setattr(connection, "timezone", zone)
    by_orm = tickets(ticket.code).get().person.seen_at
    found = statement.fetch(connection, (ticket.code,)).person.seen_at
    assert (found, found.tzinfo, found.utcoffset()) == (by_orm, by_orm.tzinfo, by_orm.utcoffset())


def test_a_moment_has_no_zone_where_the_site_has_none(ticket, settings):
    settings.USE_TZ = False
    by_orm = tickets(ticket.code).get().person.seen_at
    found = compile_tickets(tickets(CODE)).fetch(connection, (ticket.code,)).person.seen_at
    assert (found, found.tzinfo) == (by_orm, by_orm.tzinfo)


def test_a_moment_that_somebody_else_wrote_with_its_zone_keeps_it(ticket):
    """SQLite holds any text, and its driver reads an offset where there is one; others know no such rows."""
    written = "2026-10-25 00:30:00" + ("+05:30" if connection.vendor == "sqlite" else "")
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {Person._meta.db_table} SET seen_at = %s", [written])
    by_orm = tickets(ticket.code).get().person.seen_at
    found = compile_tickets(tickets(CODE)).fetch(connection, (ticket.code,)).person.seen_at
    assert (found, found.utcoffset()) == (by_orm, by_orm.utcoffset())


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_boolean_is_what_the_orm_makes_of_it(ticket, written):
    """SQLite and MariaDB hold any number; others know no such rows."""
    if connection.vendor == "postgresql":
        written = bool(written)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {Person._meta.db_table} SET is_member = %s", [written])
    by_orm = tickets(ticket.code).get().person.is_member
    found = compile_tickets(tickets(CODE)).fetch(connection, (ticket.code,)).person.is_member
    assert (found, type(found)) == (by_orm, type(by_orm))


def test_what_it_finds_can_be_written_back(ticket):
    found = compile_tickets(tickets(CODE)).fetch(connection, (ticket.code,))
    found.code = "new"
    found.save()
    found.person.is_member = False
    found.person.save(update_fields=["is_member"])
    assert Ticket.objects.get().code == "new"
    assert not Person.objects.get(pk=ticket.person_id).is_member


def test_deferred_columns_stay_deferred(ticket):
    queryset = tickets(CODE).defer("member", "person__likes", "person__born")
    found = compile_tickets(queryset).fetch(connection, (ticket.code,))
    assert found.get_deferred_fields() == {"member_id"}
    assert found.person.get_deferred_fields() == {"likes", "born"}
    assert (found.member_id, found.person.born) == (ticket.member_id, FIELDS["born"])


def test_annotations_and_constants_come_along(ticket):
    name = Slot("name")
    members = Member.objects.filter(pk=OuterRef("member"))
    queryset = tickets(CODE).annotate(
        exists=Exists(members), text=Value("100%"), upside=F("person__nickname"), nickname_is=Value(name)
    )
    found = compile_tickets(queryset, slots=(name, CODE)).fetch(connection, ("a name", ticket.code))
    by_orm = queryset.model.objects.filter(pk=ticket.pk).annotate(
        exists=Exists(members), text=Value("100%"), upside=F("person__nickname"), nickname_is=Value("a name")
    )
    assert all_of(found) == all_of(by_orm.select_related("person").get())
    assert found.exists is True


@pytest.mark.parametrize("signal", [pre_init, post_init])
def test_who_listens_to_the_making_of_a_model_hears_it(ticket, signal):
    heard = []

    def receiver(sender, **kwargs):
        heard.append(sender)

    statement = compile_tickets(tickets(CODE))
    signal.connect(receiver, sender=Person)
    try:
        statement.fetch(connection, (ticket.code,))
    finally:
        signal.disconnect(receiver, sender=Person)
    assert heard == [Person]
    statement.fetch(connection, (ticket.code,))
    assert heard == [Person]


@pytest.mark.parametrize(
    ("name", "replacement"),
    [
        ("__init__", lambda self, *args: setattr(self, "born", "made")),
        ("__setattr__", lambda self, name, value: vars(self).update({name: "made" if name == "born" else value})),
        ("born", property(lambda self: "made", lambda self, value: None)),
    ],
)
def test_a_model_with_a_mind_of_its_own_is_made_its_way(ticket, monkeypatch, name, replacement):
    original = Person.__init__
    if name == "__init__":
        own = replacement

        def replacement(self, *args):
            original(self, *args)
            own(self)

    monkeypatch.setattr(Person, name, replacement, raising=False)
    assert compile_tickets(tickets(CODE)).fetch(connection, (ticket.code,)).person.born == "made"


def test_builds_sql_only_once(ticket, monkeypatch):
    statement = compile_tickets(tickets(CODE))
    monkeypatch.setattr(SQLCompiler, "as_sql", None)
    assert statement.fetch(connection, (ticket.code,)).person == ticket.person


@pytest.mark.django_db(transaction=True)
def test_a_converter_has_the_connection_of_its_own_thread(ticket, monkeypatch):
    """A converter may remember the connection it was made for, and that belongs to one thread."""
    ops = type(connection.ops)

    def method(self, value, expression, connection):
        return value, self.connection, connection

    def converters(self, expression):
        def closure(value, expression, connection):
            return value, self.connection, connection

        made = {"born": [closure], "key": [partial(closure)], "wakes_at": [MethodType(method, self)]}
        return made.get(getattr(expression.output_field, "name", None), [])

    monkeypatch.setattr(ops, "get_db_converters", converters)
    statement = compile_tickets(tickets(CODE).defer("person__seen_at", "person__likes"))

    def look():
        person = statement.fetch(connections["default"], (ticket.code,)).person
        own = connections["default"]
        try:
            return [tuple(holder is own for holder in held[1:]) for held in (person.born, person.key, person.wakes_at)]
        finally:
            own.close()

    with ThreadPoolExecutor(1) as other_thread:
        assert other_thread.submit(look).result() == [(True, True)] * 3
    assert look() == [(True, True)] * 3


class TestIsRefused:
    def test_where_a_compiler_treats_rows_its_own_way(self, monkeypatch):
        class OwnCompiler(SQLCompiler):
            def execute_sql(self, *args, **kwargs):
                return super().execute_sql(*args, **kwargs)

        monkeypatch.setattr(connection.ops, "compiler", lambda name: OwnCompiler)
        assert compile_tickets(tickets(CODE)) is None

    def test_where_a_database_takes_parameters_by_place_alone(self, monkeypatch):
        monkeypatch.setattr(connection.features, "supports_paramstyle_pyformat", False)
        assert compile_tickets(tickets(CODE)) is None

    def test_where_a_queryset_gives_no_models(self):
        assert compile_tickets(tickets(CODE).values()) is None

    def test_where_a_slot_got_lost(self):
        assert compile_tickets(tickets(str(CODE))) is None
        assert compile_tickets(tickets(CODE), slots=(CODE, Slot("other"))) is None

    def test_where_a_parameter_is_something_that_may_change(self):
        queryset = tickets(CODE).annotate(data=Value(b"1", output_field=BinaryField()))
        assert compile_tickets(queryset) is None

    def test_where_columns_are_of_neither_model(self):
        assert compile_tickets(Ticket.objects.filter(code=CODE)) is None
        assert compile_tickets(tickets(CODE).select_related("person", "guest")) is None

    def test_where_a_model_is_made_with_more_than_a_row(self, monkeypatch):
        def from_db(cls, db, field_names, values, secret):
            raise AssertionError("not to be called")

        monkeypatch.setattr(Person, "from_db", classmethod(from_db))
        assert compile_tickets(tickets(CODE)) is None
