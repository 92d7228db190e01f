"""Load a token, its owner and the decision in one SELECT.

Building the SQL of a queryset costs several times as much as executing it, so it is built once for each kind of query
and then executed through Django's cursor. This is only done if Django's own code builds the SQL. A backend that
overrides how names are quoted or queries are compiled could build different SQL for each request, so it compiles the
query each time; only the queryset is built once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import Context, ContextVar
from copy import copy
from itertools import chain
from types import MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.signals import setting_changed
from django.db import connections, router
from django.db.models import Model, Value

from pat_tokens.conf import conf
from pat_tokens.crypto import is_among
from pat_tokens.database.djangos_code import can_hold, has_replaced_methods, makes_djangos_sql, selects_fixed_columns
from pat_tokens.database.uncached import execute, uncached
from pat_tokens.models import PersonalAccessToken
from pat_tokens.owners import load_owners, with_owner
from pat_tokens.scopes import Decision, RequiredScope, ScopeKey, decide_from_facts

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from pat_tokens.querysets import TokenQuerySet

_Related = tuple["_Columns", Callable[..., None], Callable[..., None]]  # how to set it on the token, and vice versa
Converter = tuple[int, Callable[..., Any], bool, Any]  # position in the row, function, takes operations, expression


# The values of the slots in the query that is being compiled, by name.
_values: ContextVar[Mapping[str, str] | None] = ContextVar("pat_tokens_lookup_values", default=None)


class _Slot(Value):
    """A parameter of a queryset that gets its value when the SQL is built. Without one, it stands for itself."""

    def as_sql(self, *args: Any, **kwargs: Any) -> tuple[str, tuple[Any]]:
        values = _values.get()
        return "%s", (self if values is None else values[self.value],)

    def resolve_expression(self, *args: Any, **kwargs: Any) -> _Slot:
        return self  # Django's makes a copy each time the SQL is built


class _Columns(NamedTuple):
    model: type[Model]
    names: Sequence[str]
    part: slice  # of the row
    key: int  # position of the primary key in the row

    def make_instance(self, alias: str, row: Sequence[Any]) -> Any:
        return None if row[self.key] is None else self.model.from_db(alias, self.names, row[self.part])


class _Statement(NamedTuple):
    """The SQL of a queryset, with named parameters, and how its rows become model instances."""

    sql: str
    constants: Mapping[str, Any]  # parameters that aren't slots
    converters: Sequence[Converter]
    token: _Columns
    related: Sequence[_Related]
    annotations: Mapping[str, int]

    def load(self, connection: BaseDatabaseWrapper, values: Mapping[str, str]) -> PersonalAccessToken | None:
        with connection.cursor() as cursor:
            execute(cursor, self.sql, {**self.constants, **values})
            found = cursor.fetchone()
        if found is None:
            return None
        row, ops = list(found), connection.ops
        for position, convert, takes_ops, expression in self.converters:
            if takes_ops:
                row[position] = convert(ops, row[position], expression, connection)
            else:
                row[position] = convert(row[position], expression, connection)
        token: PersonalAccessToken = self.token.make_instance(connection.alias, row)
        for columns, set_on_token, set_on_related in self.related:
            instance = columns.make_instance(connection.alias, row)
            set_on_token(token, instance)
            if instance is not None:
                set_on_related(instance, token)
        for name, position in self.annotations.items():
            setattr(token, name, row[position])
        return token


class _Query(NamedTuple):
    """A queryset with slots, and its SQL, or None if the database backend has to build the SQL each time."""

    slots: Sequence[str]
    tokens: TokenQuerySet
    statement: _Statement | None

    def load(self, connection: BaseDatabaseWrapper, values: Mapping[str, str]) -> PersonalAccessToken | None:
        if self.statement is not None:
            return self.statement.load(connection, values)
        before = _values.set(values)
        try:
            return next(iter(uncached(self.tokens)), None)
        finally:
            _values.reset(before)


_queries: dict[tuple[Any, ...], _Query] = {}


def find_token(
    digests: Sequence[str], required_scope: RequiredScope | None, *, is_previous: bool = False
) -> PersonalAccessToken | None:
    """Return the token with one of these digests, with its `user` and its `decision` about `required_scope`.

    If the site's user manager hides the owner, `owner_is_hidden` is set instead of `user`.
    """
    token = None if is_previous else _find_token(digests, required_scope, previous=False)
    return token or _find_token(digests, required_scope, previous=True)


def _find_token(
    digests: Sequence[str], required_scope: RequiredScope | None, *, previous: bool
) -> PersonalAccessToken | None:
    connection = connections[token_database()]
    if connection.connection is None:
        connection.ensure_connection()  # receivers of `connection_created` can replace methods of its operations
    # The key has everything that the SQL depends on, such as the facts about the required scope that are needed.
    facts = required_scope and (required_scope.filtered, len(required_scope.also))
    ops = connection.ops
    key = connection.alias, type(connection), type(ops), has_replaced_methods(ops), len(digests), facts, previous
    query = _queries.get(key)
    if query is None:
        query = _queries[key] = _build(connection, len(digests), required_scope, previous=previous)
    scopes = required_scope.scopes if required_scope else ()
    token = query.load(connection, dict(zip(query.slots, chain(digests, *scopes), strict=True)))
    return token and _complete(token, digests, required_scope, previous=previous)


def decide_again(token: PersonalAccessToken, required_scope: RequiredScope) -> PersonalAccessToken:
    """Return a copy of a loaded token with the decision about another `required_scope`, with one query."""
    found = find_token(token.candidate_digests or (token.digest,), required_scope, is_previous=token.is_previous)
    decided = copy(token)
    decided.decision = decide_from_facts(required_scope) if found is None else found.decision
    decided.scope_uses = () if found is None else found.scope_uses
    return decided


def token_database() -> str:
    """Return the alias of the database in which tokens are looked up."""
    # A lagging replica would still accept a revoked token.
    if conf.read_from_replicas:
        return router.db_for_read(PersonalAccessToken)
    return router.db_for_write(PersonalAccessToken)


def _complete(
    token: PersonalAccessToken, digests: Sequence[str], required_scope: RequiredScope | None, *, previous: bool
) -> PersonalAccessToken:
    facts = vars(token)
    if required_scope is None:
        token.decision = Decision()
    else:
        token.scope_uses = [facts.pop(f"scope_use_{number}") for number in range(1 + len(required_scope.also))]
        covered = [use is not None for use in token.scope_uses]
        token.decision = decide_from_facts(required_scope, covered=covered, some=facts.pop("scope_some", False))
    token.candidate_digests = tuple(digests)
    token.is_previous = previous and not is_among(token.digest, digests)
    if not PersonalAccessToken.user.is_cached(token):
        load_owners([token])
    return token


def _build(
    connection: BaseDatabaseWrapper, count: int, required_scope: RequiredScope | None, *, previous: bool
) -> _Query:
    digests: list[Any] = [_Slot(f"digest_{number}") for number in range(count)]
    scopes: list[Any] = [
        ScopeKey(*(_Slot(f"{name}_{number}") for name in ScopeKey._fields))  # type: ignore[arg-type]
        for number in range(len(required_scope.scopes) if required_scope else 0)
    ]
    example = required_scope and required_scope._replace(**scopes[0]._asdict(), also=tuple(scopes[1:]))
    tokens = with_owner(PersonalAccessToken.objects.using(connection.alias))
    tokens = tokens.with_any_digest(digests).select_related("previous") if previous else tokens.with_digest(digests)
    # Not ordered or sliced, because at most one row matches: digests are unique, and all of them are of one secret.
    tokens = tokens.with_facts(example).order_by()
    return _Query([slot.value for slot in chain(digests, *scopes)], tokens, _compile(tokens.all(), connection))


def _compile(tokens: TokenQuerySet, connection: BaseDatabaseWrapper) -> _Statement | None:
    """Return the statement of a queryset, or None if it can't be reused."""
    compiler: Any = tokens.query.get_compiler(using=connection.alias)
    if not makes_djangos_sql(connection.ops, compiler):
        return None
    sql, params = Context().run(compiler.as_sql)  # without the values of a look-up that this one is nested in
    if not selects_fixed_columns(compiler):
        return None
    columns = [expression for expression, _sql, _alias in compiler.select]
    converters = list(_find_converters(compiler, columns))
    if any(can_hold(convert, connection) for _position, convert, _takes_ops, _expression in converters):
        return None
    info = compiler.klass_info
    related = [
        (_find_columns(one, columns), one["local_setter"], one["remote_setter"])
        for one in info.get("related_klass_infos", ())
    ]
    named = {f"constant_{number}": param for number, param in enumerate(params)}
    names = [param.value if isinstance(param, _Slot) else name for name, param in named.items()]
    return _Statement(
        # Named, because on SQLite Django searches the SQL for positional parameters each time.
        sql.replace("%%", "%%%%") % tuple(f"%({name})s" for name in names),
        {name: param for name, param in named.items() if not isinstance(param, _Slot)},
        converters,
        _find_columns(info, columns),
        related,
        dict(compiler.annotation_col_map or {}),
    )


def _find_converters(compiler: Any, columns: Sequence[Any]) -> Iterator[Converter]:
    for position, (converters, expression) in compiler.get_converters(columns).items():
        for converter in converters:
            # Methods of `connection.ops` are called on that of the current connection, because each thread has its own.
            takes_ops = isinstance(converter, MethodType) and converter.__self__ is compiler.connection.ops
            yield position, converter.__func__ if takes_ops else converter, takes_ops, expression


def _find_columns(info: dict[str, Any], columns: Sequence[Any]) -> _Columns:
    # Django selects the columns of a model one after the other, and its own iterable relies on that.
    part = slice(info["select_fields"][0], info["select_fields"][-1] + 1)
    names = [column.target.attname for column in columns[part]]
    return _Columns(info["model"], names, part, part.start + names.index(info["model"]._meta.pk.attname))


def _forget_queries(**_kwargs: object) -> None:
    # Settings only change in tests, among them DATABASES and USE_TZ.
    _queries.clear()


setting_changed.connect(_forget_queries, dispatch_uid="pat_tokens.lookup")
