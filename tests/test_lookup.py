"""Secret to token, owner and decision: the compiled way and the ORM's find the same, and decide as decide() does."""

import pytest
from django.db import connection
from django.db.models.sql.compiler import SQLCompiler
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pat_tokens import crypto, lookup, services
from pat_tokens.conf import conf
from pat_tokens.models import Scope
from pat_tokens.scopes import ALL, Need, ScopeKey, decide
from tests.factories import TokenFactory

pytestmark = pytest.mark.django_db

TYPES = st.sampled_from(["channels", "pages", "Pages", "pages "])
TWISTED = [
    "1",
    "2",
    "01",
    "１",
    "a",
    "A",
    "a ",
    " a",
    "á",
    "a\u0301",
    "ß",
    "ss",
    "i",
    "İ",
    "ı",
    "%s",
    "%",
    "_",
    "'",
    "\\",
]
IDS = st.sampled_from(TWISTED) | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9)
OPERATIONS = st.sampled_from(["read", "list", "List", "list ", ALL])
KEYS = st.builds(ScopeKey, TYPES, IDS | st.just(ALL), OPERATIONS)
NEEDS = st.none() | st.builds(Need, TYPES, OPERATIONS | st.none(), IDS | st.just(ALL), st.booleans())


def digests_of(token):
    return crypto.digests(token.secret, conf.peppers)


def all_of(instance):
    """Everything that an instance knows about itself."""
    known = {name: value for name, value in vars(instance).items() if name != "_state"}
    return type(instance), known, instance._state.adding, instance._state.db


@pytest.fixture
def found_by_sql(monkeypatch):
    """The compiled way, which may not go back to the ORM here."""

    def refuse(*args):
        raise AssertionError("the look-up was not compiled")

    def find(digests, need):
        with monkeypatch.context() as patched:
            patched.setattr(lookup, "find_token_by_orm", refuse)
            return lookup.find_token(digests, need)

    return find


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(held=st.sets(KEYS), need=NEEDS)
def test_both_ways_find_the_same_and_decide_as_the_pure_function_does(db, held, need, found_by_sql):
    token = getattr(test_both_ways_find_the_same_and_decide_as_the_pure_function_does, "token", None)
    if token is None or not type(token).objects.filter(pk=token.pk).exists():
        token = TokenFactory()
        test_both_ways_find_the_same_and_decide_as_the_pure_function_does.token = token
    token.scope_set.all().delete()
    Scope.objects.bulk_create(Scope(token=token, **key._asdict()) for key in held)
    by_sql, by_orm = found_by_sql(digests_of(token), need), lookup.find_token_by_orm(digests_of(token), need)
    assert all_of(by_sql) == all_of(by_orm)
    assert all_of(by_sql.user) == all_of(by_orm.user)
    assert by_sql.decision == decide(held, need)
    if need is not None:
        assert lookup.decide_again(token, need) == decide(held, need)


@pytest.mark.parametrize("need", [Need("channels", "read", "1"), Need("channels", "list", filtered=True)])
def test_a_token_that_is_gone_meanwhile_may_do_nothing(make_token, need):
    token = make_token("channels:*:read", "channels:*:list")
    assert lookup.decide_again(token, need)
    services.delete_token(token)
    assert not lookup.decide_again(token, need)


def test_finds_nothing_for_the_digest_of_nobody(token, found_by_sql):
    assert found_by_sql(crypto.digests("pat_other", conf.peppers), None) is None


def test_one_select_brings_everything(case, make_token, found_by_sql):
    for count in [1, 3]:
        for need in [None, Need("channels", None), Need("channels", "read"), Need("channels", "list", ALL, True)]:
            with case(need, count):
                token = make_token("channels:*:read")
                digests = [*digests_of(token), *("0" * 64, "1" * 64)][:count]
                with CaptureQueriesContext(connection) as queries:
                    found = found_by_sql(digests, need)
                    assert (found.user.username, found.name, found.decision) == (
                        token.user.username, token.name, decide([ScopeKey("channels", "*", "read")], need),
                    )  # fmt: skip
                assert [query["sql"][:6] for query in queries] == ["SELECT"]


def test_the_sql_is_built_once(make_token, channel, monkeypatch):
    token = make_token(f"channels:{channel.pk}:read")
    need = Need("channels", "read", str(channel.pk))
    lookup.find_token(digests_of(token), need)
    monkeypatch.setattr(SQLCompiler, "as_sql", None)
    assert lookup.find_token(digests_of(token), need).decision
    assert not lookup.find_token(digests_of(token), need._replace(entity_id="0")).decision


@pytest.mark.parametrize("need", [Need("channels", "read", "1"), Need("channels", "list", ALL, True)])
def test_no_table_is_made_for_the_two_ids_that_would_do(make_token, need):
    """SQLite makes one for an IN of two, for each query anew; others would plan the two apart for longer."""
    token = make_token("channels:*:read")
    with CaptureQueriesContext(connection) as queries:
        lookup.find_token(digests_of(token), need)
    (query,) = queries
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + query["sql"].replace("%", "%%"), ())
            steps = {step for _, step, *_ in cursor.fetchall()}
        assert "SeekGE" in steps  # an index is asked
        assert "OpenEphemeral" not in steps
    else:
        assert query["sql"].count("EXISTS") == (2 if need.filtered else 1)


def test_goes_back_to_the_orm_where_a_model_cannot_be_compiled(make_token, monkeypatch):
    token = make_token("channels:*:read")
    monkeypatch.setattr(lookup, "_statements", {})
    monkeypatch.setattr(lookup, "compile_queryset", lambda *args, **kwargs: None)
    for _ in range(2):
        assert lookup.find_token(digests_of(token), Need("channels", "read", "1")).decision


def test_a_row_that_no_service_writes_widens_nothing(case, token, found_by_sql):
    rows = [
        (("channels", "1", "create"), Need("channels", "create")),
        (("pages", "A", "read"), Need("pages", "read", "a")),
        (("pages", "a ", "read"), Need("pages", "read", "a")),
        (("pages", "a", "read"), Need("pages", "read", "a ")),
        (("pages", "* ", "read"), Need("pages", "read", "a")),
        (("pages ", "*", "read"), Need("pages", "read", "a")),
        (("pages", "*", "read "), Need("pages", "read", "a")),
        (("pages", "*", "list "), Need("pages", "list", "*", filtered=True)),
        (("pages", "*", "READ"), Need("pages", "read", "a")),
        (("Pages", "*", "read"), Need("pages", "read", "a")),
        (("pages", "a%", "read"), Need("pages", "read", "ab")),
        (("channels", "%", "read"), Need("channels", "read", "1")),
        (("devices", "0" * 32, "read"), Need("devices", "read", "00000000-0000-0000-0000-000000000000")),
        (("channels", "01", "read"), Need("channels", "read", "1")),
        (("channels", "1", "*"), Need("channels", "read", "1")),
        (("*", "*", "*"), Need("channels", "read", "1")),
    ]
    for written, need in rows:
        with case(written, need):
            Scope.objects.create(token=token, **ScopeKey(*written)._asdict())
            assert not found_by_sql(digests_of(token), need).decision
            assert not lookup.find_token_by_orm(digests_of(token), need).decision
