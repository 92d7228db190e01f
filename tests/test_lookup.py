"""The compiled query and the ORM find the same token, and agree with decide()."""

import gc
from contextvars import ContextVar
from types import MethodType

import pytest
from django.contrib.auth.models import User, UserManager
from django.db import connection, connections
from django.db.models import CharField, QuerySet
from django.db.models.expressions import Col
from django.db.models.sql.compiler import SQLCompiler
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pat_tokens import crypto, filtering, lookup, services
from pat_tokens.authentication import find_entity_id
from pat_tokens.conf import conf
from pat_tokens.database.uncached import set_profiler, uncached
from pat_tokens.models import PersonalAccessToken, Scope
from pat_tokens.requirements import EntityLookup, Requirement
from pat_tokens.scopes import ALL, RequiredScope, ScopeKey, decide
from tests.factories import TokenFactory

pytestmark = [pytest.mark.sql, pytest.mark.django_db]

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
NEEDS = st.none() | st.builds(
    RequiredScope, TYPES, OPERATIONS, IDS | st.just(ALL), st.booleans(), st.lists(KEYS, max_size=2).map(tuple)
)


def digests_of(token):
    return crypto.digests(token.secret, conf.peppers)


def all_of(instance):
    """Return all attributes of an instance."""
    known = {name: value for name, value in vars(instance).items() if name != "_state"}
    return type(instance), known, instance._state.adding, instance._state.db


@pytest.fixture
def found_by_sql(monkeypatch):
    """Find a token with the compiled query; falling back to the ORM is an error."""

    def refuse(*args):
        raise AssertionError("the look-up was not compiled")

    def find(digests, required_scope):
        with monkeypatch.context() as patched:
            patched.setattr(lookup, "uncached", refuse)
            return lookup.find_token(digests, required_scope)

    return find


@pytest.fixture
def found_by_orm(monkeypatch):
    """Find a token as with a backend that builds SQL in its own way."""
    queries = {}

    def find(digests, required_scope):
        with monkeypatch.context() as patched:
            patched.setattr(lookup, "_queries", queries)
            patched.setattr(lookup, "_compile", lambda *args: None)
            return lookup.find_token(digests, required_scope)

    return find


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(held=st.sets(KEYS), required_scope=NEEDS)
def test_compiled_and_orm_agree_with_decide(db, held, required_scope, found_by_sql, found_by_orm):
    token = getattr(test_compiled_and_orm_agree_with_decide, "token", None)
    if token is None or not type(token).objects.filter(pk=token.pk).exists():
        token = TokenFactory()
        test_compiled_and_orm_agree_with_decide.token = token
    token.scope_set.all().delete()
    Scope.objects.bulk_create(Scope(token=token, **key._asdict()) for key in held)
    by_sql, by_orm = found_by_sql(digests_of(token), required_scope), found_by_orm(digests_of(token), required_scope)
    assert all_of(by_sql) == all_of(by_orm)
    assert all_of(by_sql.user) == all_of(by_orm.user)
    assert by_sql.decision == decide(held, required_scope)
    if required_scope is not None:
        assert lookup.decide_again(token, required_scope).decision == decide(held, required_scope)


@pytest.mark.parametrize(
    "required_scope", [RequiredScope("channels", "read", "1"), RequiredScope("channels", "list", filtered=True)]
)
def test_concurrently_deleted_token_is_refused(make_token, required_scope):
    token = make_token("channels:*:read", "channels:*:list")
    assert lookup.decide_again(token, required_scope).decision
    services.delete_token(token)
    assert not lookup.decide_again(token, required_scope).decision


def test_unknown_digest_finds_nothing(token, found_by_sql):
    assert found_by_sql(crypto.digests("pat_other", conf.peppers), None) is None


def test_one_select_loads_everything(case, make_token, found_by_sql):
    for count in [1, 3]:
        for required_scope in [
            None,
            RequiredScope("channels", "read"),
            RequiredScope("channels", "list", ALL, True),
            RequiredScope("channels", "list", ALL, True, (ScopeKey("devices", "1", "read"),)),
        ]:
            with case(required_scope, count):
                token = make_token("channels:*:read")
                digests = [*digests_of(token), *("0" * 64, "1" * 64)][:count]
                with CaptureQueriesContext(connection) as queries:
                    found = found_by_sql(digests, required_scope)
                    assert (found.user.username, found.name, found.decision) == (
                        token.user.username, token.name, decide([ScopeKey("channels", "*", "read")], required_scope),
                    )  # fmt: skip
                assert [query["sql"][:6] for query in queries] == ["SELECT"]


def test_sql_is_built_once(make_token, channel, monkeypatch):
    token = make_token(f"channels:{channel.pk}:read")
    required_scope = RequiredScope("channels", "read", str(channel.pk))
    lookup.find_token(digests_of(token), required_scope)
    monkeypatch.setattr(SQLCompiler, "as_sql", None)
    assert lookup.find_token(digests_of(token), required_scope).decision
    assert not lookup.find_token(digests_of(token), required_scope._replace(entity_id="0")).decision


def test_look_ups_can_be_nested(make_token, found_by_orm, monkeypatch):
    """An execute wrapper of a site can look up a token in another database."""
    outer, inner = make_token("channels:*:read"), make_token("channels:*:read")
    build, queries, nested = lookup._compile, {}, []

    def find(token):
        with monkeypatch.context() as patched:
            patched.setattr(lookup, "_compile", build)
            patched.setattr(lookup, "_queries", queries)
            return lookup.find_token(digests_of(token), None)

    def nest(execute, *args):
        if not nested:
            nested.append(None)
            nested[0] = find(inner)
        return execute(*args)

    with connection.execute_wrapper(nest):
        assert found_by_orm(digests_of(outer), None) == outer
    assert nested == [inner]
    assert find(outer) == outer


def test_each_value_is_passed_once(make_token, channel):
    """By its name; on SQLite, Django would search the whole SQL for other parameters each time."""
    token = make_token("channels:*:read")
    passed = []

    def note(execute, sql, params, *args):
        passed.append(params)
        return execute(sql, params, *args)

    with connection.execute_wrapper(note):
        lookup.find_token(digests_of(token), RequiredScope("channels", "read", str(channel.pk)))
    (params,) = passed
    assert [list(params.values()).count(value) for value in (token.digest, "channels", "read", str(channel.pk))] == [
        1
    ] * 4


@pytest.mark.parametrize(
    "required_scope", [RequiredScope("channels", "read", "1"), RequiredScope("channels", "list", ALL, True)]
)
def test_sqlite_builds_no_table_for_ids(make_token, required_scope):
    """SQLite would build one for an IN in each query; other databases would plan longer."""
    token = make_token("channels:*:read")
    with CaptureQueriesContext(connection) as queries:
        lookup.find_token(digests_of(token), required_scope)
    (query,) = queries
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + query["sql"].replace("%", "%%"), ())
            steps = {step for _, step, *_ in cursor.fetchall()}
        assert "SeekGE" in steps  # uses an index
        assert "OpenEphemeral" not in steps
    else:
        assert query["sql"].count("(SELECT ") == (2 if required_scope.filtered else 1)


TENANT = ContextVar("TENANT", default="")


def quote_for_tenant(self, name):
    if TENANT.get() and name == PersonalAccessToken._meta.db_table:
        name = TENANT.get() + name
    return QUOTE(self, name)


QUOTE = type(connection.ops).quote_name


def override_quoting(monkeypatch):
    operations = type("TenantOperations", (type(connection.ops),), {"quote_name": quote_for_tenant})
    monkeypatch.setattr(connection, "ops", operations(connection))


def patch_quoting(monkeypatch):
    monkeypatch.setattr(type(connection.ops), "quote_name", quote_for_tenant)


def replace_quoting_on_the_instance(monkeypatch):
    monkeypatch.setitem(vars(connection.ops), "quote_name", MethodType(quote_for_tenant, connection.ops))


class TenantName(str):
    """The name of a table, which depends on the tenant whenever it is formatted."""

    def __str__(self):
        return TENANT.get() + super().__str__()

    __hash__ = str.__hash__


def replace_the_name_of_the_table(monkeypatch):
    name = TenantName(PersonalAccessToken._meta.db_table)
    monkeypatch.setattr(PersonalAccessToken._meta, "db_table", name)
    for field in PersonalAccessToken._meta.concrete_fields:
        monkeypatch.setitem(vars(field), "cached_col", Col(name, field))


@pytest.mark.parametrize(
    "change", [override_quoting, patch_quoting, replace_quoting_on_the_instance, replace_the_name_of_the_table]
)
def test_other_backends_build_sql_each_time(make_token, monkeypatch, change):
    """Backends can use another tenant's tables for each request."""
    monkeypatch.setattr(lookup, "_queries", {})
    change(monkeypatch)
    token = make_token("channels:*:read")
    required_scope = RequiredScope("channels", "read", "1")
    with connection.cursor() as cursor:
        table = PersonalAccessToken._meta.db_table
        cursor.execute(f"CREATE TEMPORARY TABLE other_{table} AS SELECT * FROM {table} WHERE 1 = 0")
    assert lookup.find_token(digests_of(token), required_scope).decision
    tenant = TENANT.set("other_")
    try:
        assert lookup.find_token(digests_of(token), required_scope) is None
        assert not lookup.decide_again(token, required_scope).decision
    finally:
        TENANT.reset(tenant)
        with connection.cursor() as cursor:  # MariaDB doesn't roll this back
            cursor.execute(f"DROP {'TEMPORARY ' if connection.vendor == 'mysql' else ''}TABLE other_{table}")
    assert lookup.decide_again(token, required_scope).decision


def test_operations_can_be_replaced_later(token, monkeypatch, found_by_sql):
    assert found_by_sql(digests_of(token), None) == token
    replace_quoting_on_the_instance(monkeypatch)
    with pytest.raises(AssertionError, match="not compiled"):
        found_by_sql(digests_of(token), None)


def test_operations_can_be_replaced_for_a_new_connection(token, monkeypatch, found_by_sql):
    def replace(**kwargs):
        replace_quoting_on_the_instance(monkeypatch)

    monkeypatch.setattr(connection, "connection", None)
    monkeypatch.setattr(connection, "connect", replace)
    with pytest.raises(AssertionError, match="not compiled"):
        found_by_sql(digests_of(token), None)


def test_field_can_select_its_column_in_its_own_way(token, monkeypatch, found_by_sql):
    class TenantField(CharField):
        def select_format(self, compiler, sql, params):
            return f"COALESCE(%s, {sql})", (TENANT.get(), *params)

    assert found_by_sql(digests_of(token), None).user == token.user
    monkeypatch.setattr(lookup, "_queries", {})
    monkeypatch.setattr(User._meta.get_field("last_name"), "__class__", TenantField)
    for name in ("acme", "globex"):
        tenant = TENANT.set(name)
        try:
            assert lookup.find_token(digests_of(token), None).user.last_name == name
        finally:
            TENANT.reset(tenant)


def test_other_backends_build_queryset_once(make_token, monkeypatch, found_by_orm):
    tokens = {name: make_token(f"{name}:*:read") for name in ("channels", "devices")}
    build, built = lookup._build, []
    monkeypatch.setattr(lookup, "_build", lambda *args, **kwargs: built.append(args) or build(*args, **kwargs))
    for name, token in tokens.items():
        for needed in tokens:
            found = found_by_orm(digests_of(token), RequiredScope(needed, "read", "1"))
            assert found == token
            assert bool(found.decision) == (name == needed)
    assert len(built) == 1


def test_backend_can_change_parameters(make_token, monkeypatch):
    class OwnCompiler(SQLCompiler):
        def as_sql(self, *args, **kwargs):
            sql, params = super().as_sql(*args, **kwargs)
            return sql, tuple(f"{param}" if isinstance(param, str) else param for param in params)

    token = make_token("channels:*:read")
    monkeypatch.setattr(lookup, "_queries", {})
    monkeypatch.setitem(vars(connection.ops), "compiler", lambda name: OwnCompiler)
    for entity_id in ("1", "2"):
        assert lookup.find_token(digests_of(token), RequiredScope("channels", "read", entity_id)).decision


@pytest.mark.parametrize("name", ["cursor", "_cursor", "create_cursor"])
def test_each_look_up_opens_cursor(make_token, channel, monkeypatch, name):
    """Backends can choose the tenant there."""
    token = make_token(f"channels:{channel.pk}:list")
    make_cursor, made = getattr(connection, name), []

    def note(*args, **kwargs):
        made.append(name)
        return make_cursor(*args, **kwargs)

    monkeypatch.setitem(vars(connections["default"]), name, note)
    for _ in range(2):
        lookup.find_token(digests_of(token), None)
        lookup.decide_again(token, RequiredScope("channels", "read", "1"))
        filtering.find_uses(token, "channels", "list")
    assert len(made) == 6


@pytest.mark.parametrize(
    ("cls", "methods"),
    [(SQLCompiler, ["execute_sql"]), (QuerySet, ["_fetch_all", "aggregate", "count", "exists", "first", "get"])],
    ids=["execute_sql", "querysets"],
)
def test_patched_method_is_not_called(make_token, channel, monkeypatch, with_manager, found_by_orm, cls, methods):
    """Query caches patch them."""
    key = str(channel.pk)
    token = make_token(f"channels:{key}:list")
    required_scope = RequiredScope("channels", "list", key)
    with_manager(MANAGERS["queryset"])
    for method in methods:
        monkeypatch.setattr(cls, method, None)
    assert lookup.find_token(digests_of(token), required_scope).decision
    assert found_by_orm(digests_of(token), required_scope).user == token.user
    assert lookup.decide_again(token, required_scope).decision
    assert list(filtering.find_uses(token, "channels", "list")) == [key]
    assert token.scope_set.keys() == [ScopeKey("channels", key, "list")]
    assert find_entity_id(Requirement("channels", "list", EntityLookup(pk="pk")), {"pk": key}, token.user) == key
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {Scope._meta.db_table}")
    assert not uncached(token.scope_set.all()).exists()
    assert not lookup.decide_again(token, required_scope).decision
    assert list(filtering.find_uses(token, "channels", "list")) == []


def test_classes_of_querysets_do_not_pile_up(db):
    """Some managers make a class for each queryset."""
    for _ in range(300):
        uncached(type("Made", (QuerySet,), {})(Scope))
    gc.collect()
    alive = [cls for cls in QuerySet.__subclasses__() if cls.__name__ == "Made"]
    assert len(alive) < 200


def test_queryset_that_cannot_be_extended(db):
    class Strict(QuerySet):
        def __init_subclass__(cls, *, reason):
            pass

    assert uncached(Strict(Scope)).count() == 0


@pytest.mark.parametrize("way", ["found_by_sql", "found_by_orm"])
def test_profiler_sees_each_query(make_token, way, request):
    token, find = make_token("channels:*:read"), request.getfixturevalue(way)
    seen = []

    def profile(connection, sql, params, run):
        values = params.values() if isinstance(params, dict) else params
        seen.append((connection.alias, sql.partition(" ")[0], token.digest in values))
        return run()

    set_profiler(profile)
    try:
        assert find(digests_of(token), RequiredScope("channels", "read", "1")).decision
        assert not uncached(PersonalAccessToken.objects.filter(pk__in=[]))
    finally:
        set_profiler(None)
    assert find(digests_of(token), None).pk == token.pk
    assert seen == [("default", "SELECT", True)]


def test_custom_compiler_is_used(make_token, monkeypatch):
    executed = []

    class OwnCompiler(SQLCompiler):
        def execute_sql(self, *args, **kwargs):
            executed.append(self)
            return super().execute_sql(*args, **kwargs)

    token = make_token("channels:*:read")
    monkeypatch.setattr(lookup, "_queries", {})
    monkeypatch.setitem(vars(connection.ops), "compiler", lambda name: OwnCompiler)
    monkeypatch.setattr(SQLCompiler, "execute_sql", None)  # a query cache isn't called by super() either
    assert lookup.find_token(digests_of(token), RequiredScope("channels", "read", "1")).decision
    assert len(executed) == 1
    assert token.scope_set.keys() == [ScopeKey("channels", "*", "read")]
    assert uncached(token.scope_set.all()).exists()
    assert len(executed) == 3


class HidingManager(UserManager):
    use_in_migrations = True

    def get_queryset(self):
        return super().get_queryset().exclude(username__startswith="deleted")


class HidingQuerySet(QuerySet):
    def get(self, *args, **kwargs):
        return super().get(*args, **kwargs)

    def filter(self, *args, **kwargs):
        return super().filter(*args, **kwargs).exclude(username__startswith="deleted")


class Method:
    """A method that isn't a function, as some decorators make it."""

    def __init__(self, function):
        self.function = function

    def __get__(self, instance, owner):
        return self if instance is None else MethodType(self.function, instance)

    def __call__(self, *args):
        return self.function(*args)


class DecoratedManager(UserManager):
    use_in_migrations = True

    @Method
    def get_queryset(self):
        return UserManager.get_queryset(self).exclude(username__startswith="deleted")


class HarmlessManager(UserManager):
    use_in_migrations = True

    def get_by_natural_key(self, username):
        return self.get(username__iexact=username)

    def robots(self):
        return self.none()


MANAGERS = {
    "manager": HidingManager(),
    "queryset": UserManager.from_queryset(HidingQuerySet)(),
    "decorated": DecoratedManager(),
}


@pytest.fixture
def with_manager(monkeypatch):
    """Replace the default manager of the user model."""

    def replace(manager):
        manager.contribute_to_class(User, "objects")
        monkeypatch.setattr(lookup, "_queries", {})

    original = User.objects
    cached = "default_manager", "managers", "managers_map", "base_manager"
    local = list(User._meta.local_managers)
    User._meta.local_managers.clear()
    yield replace
    User._meta.local_managers[:] = local
    User.objects = original
    for name in cached:
        vars(User._meta).pop(name, None)
    lookup._queries.clear()


@pytest.mark.parametrize("kind", MANAGERS)
def test_hidden_user_cannot_use_token(make_token, with_manager, kind, client_with):
    with_manager(MANAGERS[kind])
    token = make_token("channels:*:list")
    with CaptureQueriesContext(connection) as queries:
        assert lookup.find_token(digests_of(token), None).user == token.user
    assert len(queries) == 2
    assert client_with(token).get("/api/channels/").status_code == 200
    User._base_manager.filter(pk=token.user_id).update(username="deleted_1")
    response = client_with(token).get("/api/channels/")
    assert (response.status_code, response.json()["code"]) == (401, "invalid_token")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)  # options are for new connections
def test_look_up_can_be_prepared(make_token, channel, client_with, monkeypatch):
    options = connection.settings_dict["OPTIONS"]
    tokens = [make_token(scope) for scope in ("channels:*:read", f"channels:{channel.pk}:read") for _ in range(3)]
    prepared = {**options, "server_side_binding": True, "prepare_threshold": 5}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", prepared)
    connection.close()
    try:
        for token in tokens:
            assert client_with(token).get(f"/api/channels/{channel.pk}/").status_code == 200
        with connection.cursor() as cursor:
            cursor.execute("SELECT statement FROM pg_prepared_statements")
            look_ups = [text for (text,) in cursor if "pat_tokens_scope" in text and "digest" in text]
        assert len(look_ups) == 1
    finally:
        connection.close()


def test_plain_manager_costs_no_query(make_token, with_manager):
    with_manager(HarmlessManager())
    token = make_token("channels:*:list")
    with CaptureQueriesContext(connection) as queries:
        assert lookup.find_token(digests_of(token), None).user == token.user
    assert len(queries) == 1


class Unrelated:
    """A router for which no two objects can be related."""

    def allow_relation(self, one, other, **hints):
        return False


@pytest.mark.parametrize("manager", [HarmlessManager, HidingManager])
def test_router_is_not_asked_about_loaded_owner(make_token, with_manager, settings, client_with, manager):
    with_manager(manager())
    token = make_token("channels:*:list")
    settings.DATABASE_ROUTERS = [Unrelated()]
    assert client_with(token).get("/api/channels/").status_code == 200


def test_invalid_scope_row_grants_nothing(case, token, found_by_sql, found_by_orm):
    rows = [
        (("channels", "1", "create"), RequiredScope("channels", "create")),
        (("pages", "A", "read"), RequiredScope("pages", "read", "a")),
        (("pages", "a ", "read"), RequiredScope("pages", "read", "a")),
        (("pages", "a", "read"), RequiredScope("pages", "read", "a ")),
        (("pages", "* ", "read"), RequiredScope("pages", "read", "a")),
        (("pages ", "*", "read"), RequiredScope("pages", "read", "a")),
        (("pages", "*", "read "), RequiredScope("pages", "read", "a")),
        (("pages", "*", "list "), RequiredScope("pages", "list", "*", filtered=True)),
        (("pages", "*", "READ"), RequiredScope("pages", "read", "a")),
        (("Pages", "*", "read"), RequiredScope("pages", "read", "a")),
        (("pages", "a%", "read"), RequiredScope("pages", "read", "ab")),
        (("channels", "%", "read"), RequiredScope("channels", "read", "1")),
        (("devices", "0" * 32, "read"), RequiredScope("devices", "read", "00000000-0000-0000-0000-000000000000")),
        (("channels", "01", "read"), RequiredScope("channels", "read", "1")),
        (("channels", "1", "*"), RequiredScope("channels", "read", "1")),
        (("*", "*", "*"), RequiredScope("channels", "read", "1")),
    ]
    for written, required_scope in rows:
        with case(written, required_scope):
            Scope.objects.create(token=token, **ScopeKey(*written)._asdict())
            assert not found_by_sql(digests_of(token), required_scope).decision
            assert not found_by_orm(digests_of(token), required_scope).decision
