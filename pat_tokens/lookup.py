"""Load a token, its owner and the decision in one SELECT.

Building the SQL of a queryset costs several times as much as executing it, so it is built once for each kind of query
and then executed through Django's cursor. This is only done if Django's own code builds the SQL. A backend that
overrides how names are quoted or queries are compiled could build different SQL for each request, so it compiles the
query each time; only the queryset is built once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import cache
from itertools import chain
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.signals import setting_changed
from django.db import connections, router
from django.db.models import Model

from pat_tokens.conf import conf
from pat_tokens.crypto import is_among
from pat_tokens.djangos_code import makes_djangos_sql
from pat_tokens.models import PersonalAccessToken
from pat_tokens.owners import load_owners, with_owner
from pat_tokens.scopes import Decision, RequiredScope, ScopeKey, decide_from_facts
from pat_tokens.uncached import execute, uncached

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from pat_tokens.querysets import TokenQuerySet

Converter = tuple[int, Callable[..., Any], bool, Any]  # position in the row, function, takes operations, expression


class _Slot(str):
    """A parameter of a queryset whose value is replaced each time its SQL is executed."""

    __slots__ = ()


class _Columns(NamedTuple):
    model: type[Model]
    names: Sequence[str]
    positions: Sequence[int]

    def make_instance(self, alias: str, row: Sequence[Any]) -> Any:
        return self.model.from_db(alias, self.names, [row[position] for position in self.positions])


class _Statement(NamedTuple):
    """The SQL of a queryset, and how its rows become model instances."""

    sql: str
    params: Sequence[Any]  # a value, or a slot
    slots: Sequence[_Slot]
    converters: Sequence[Converter]
    token: _Columns
    user: _Columns | None
    annotations: dict[str, int]

    def fetch(self, connection: BaseDatabaseWrapper, values: Sequence[str]) -> PersonalAccessToken | None:
        params = _fill(self.params, dict(zip(self.slots, values, strict=True)))
        with connection.cursor() as cursor:
            execute(cursor, self.sql, params)
            found = cursor.fetchone()
        if found is None:
            return None
        row, ops = list(found), connection.ops
        for position, convert, takes_ops, expression in self.converters:
            args = (row[position], expression, connection)
            row[position] = convert(ops, *args) if takes_ops else convert(*args)
        token: PersonalAccessToken = self.token.make_instance(connection.alias, row)
        if self.user is not None:
            token.user = self.user.make_instance(connection.alias, row)
        for name, position in self.annotations.items():
            setattr(token, name, row[position])
        return token


class _Template(NamedTuple):
    """A queryset with slots, which the database backend compiles for each request."""

    tokens: TokenQuerySet
    slots: Sequence[_Slot]

    def fill(self, values: Sequence[str]) -> TokenQuerySet:
        tokens = uncached(self.tokens)
        query: Any = tokens.query
        query.__class__ = _slotted_class(query.__class__)
        query.by_slot = dict(zip(self.slots, values, strict=True))
        return tokens


@cache
def _slotted_class(cls: Any) -> Any:
    return type(cls.__name__, (_SlottedQuery, cls), {})


class _SlottedQuery:
    by_slot: dict[_Slot, str]

    def get_compiler(self, *args: Any, **kwargs: Any) -> Any:
        compiler = super().get_compiler(*args, **kwargs)  # type: ignore[misc]
        make_sql = compiler.as_sql

        def as_sql(*args: Any, **kwargs: Any) -> tuple[str, tuple[Any, ...]]:
            sql, params = make_sql(*args, **kwargs)
            return sql, _fill(params, self.by_slot)

        compiler.as_sql = as_sql
        return compiler


def _fill(params: Sequence[Any], by_slot: dict[_Slot, str]) -> tuple[Any, ...]:
    return tuple(by_slot[param] if type(param) is _Slot else param for param in params)


_statements: dict[tuple[Any, ...], _Statement | None] = {}
_templates: dict[tuple[Any, ...], _Template | None] = {}


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
    key = (connection.alias, type(connection), type(connection.ops), *_form(digests, required_scope, previous))
    if key not in _statements:
        _statements[key] = _compile(connection, len(digests), required_scope, previous=previous)
    statement = _statements[key]
    if statement is None:
        return find_token_by_orm(digests, required_scope, previous=previous)
    found = statement.fetch(connection, _values(digests, required_scope))
    return _complete(found, digests, required_scope, previous=previous)


def find_token_by_orm(
    digests: Sequence[str], required_scope: RequiredScope | None, *, previous: bool = False
) -> PersonalAccessToken | None:
    """Like `find_token`, with the plain ORM. Used for backends that build SQL in their own way."""
    alias = token_database()
    key = (alias, *_form(digests, required_scope, previous))
    if key not in _templates:
        _templates[key] = _make_template(alias, len(digests), required_scope, previous=previous)
    template = _templates[key]
    if template is None:
        tokens = uncached(_queryset(alias, digests, required_scope, previous=previous))
    else:
        tokens = template.fill(_values(digests, required_scope))
    return _complete(next(iter(tokens), None), digests, required_scope, previous=previous)


def _form(digests: Sequence[str], required_scope: RequiredScope | None, previous: bool) -> tuple[Any, ...]:
    """Return what the SQL depends on: among others, which facts about the required scope are needed."""
    facts = required_scope and (required_scope.filtered, len(required_scope.also))
    return len(digests), previous, facts, conf.read_from_replicas


def _values(digests: Sequence[str], required_scope: RequiredScope | None) -> list[str]:
    return [*digests, *(chain.from_iterable(required_scope.scopes) if required_scope else ())]


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


def _queryset(
    alias: str, digests: Sequence[str], required_scope: RequiredScope | None, *, previous: bool
) -> TokenQuerySet:
    # Not ordered or sliced, because at most one row matches: digests are unique, and all of them are of one secret.
    tokens = PersonalAccessToken.objects.using(alias)
    tokens = tokens.with_any_digest(list(digests)) if previous else tokens.with_digest(list(digests))
    return with_owner(tokens.with_facts(required_scope).order_by())


def _complete(
    token: PersonalAccessToken | None, digests: Sequence[str], required_scope: RequiredScope | None, *, previous: bool
) -> PersonalAccessToken | None:
    if token is None:
        return None
    facts = vars(token)
    if required_scope is None:
        token.decision = Decision()
    else:
        token.scope_uses = [facts.pop(f"scope_use_{number}") for number in range(len(required_scope.scopes))]
        covered = [use is not None for use in token.scope_uses]
        token.decision = decide_from_facts(required_scope, covered=covered, some=facts.pop("scope_some", False))
    token.candidate_digests = tuple(digests)
    token.is_previous = previous and not is_among(token.digest, digests)
    load_owners([token])
    return token


def _compile(
    connection: BaseDatabaseWrapper, count: int, required_scope: RequiredScope | None, *, previous: bool
) -> _Statement | None:
    """Return the statement of such a query, or None if it can't be reused."""
    tokens, slots = _with_slots(connection.alias, count, required_scope, previous=previous)
    compiler: Any = tokens.query.get_compiler(using=connection.alias)
    if not makes_djangos_sql(connection.ops, compiler):
        return None
    sql, params = compiler.as_sql()
    if not _has_all(params, slots):
        return None
    columns = [expression for expression, _sql, _alias in compiler.select]
    converters = list(_find_converters(compiler, columns))
    if any(_may_hold(convert, connection) for _position, convert, _takes_ops, _expression in converters):
        return None
    info = compiler.klass_info
    related = [_find_columns(one, columns) for one in info.get("related_klass_infos", ())]
    return _Statement(
        sql,
        tuple(params),
        tuple(slots),
        converters,
        _find_columns(info, columns),
        related[0] if related else None,
        dict(compiler.annotation_col_map or {}),
    )


def _make_template(alias: str, count: int, required_scope: RequiredScope | None, *, previous: bool) -> _Template | None:
    """Return such a query, or None if its parameters don't remain what they are."""
    tokens, slots = _with_slots(alias, count, required_scope, previous=previous)
    _sql, params = tokens.query.get_compiler(using=alias).as_sql()
    return _Template(tokens, slots) if _has_all(params, slots) else None


def _with_slots(
    alias: str, count: int, required_scope: RequiredScope | None, *, previous: bool
) -> tuple[TokenQuerySet, list[_Slot]]:
    digest_slots = [_Slot(f"digest {number}") for number in range(count)]
    scope_slots = [
        [_Slot(f"{name} {number}") for name in ScopeKey._fields]
        for number in range(len(required_scope.scopes) if required_scope else 0)
    ]
    scopes = [ScopeKey(*texts) for texts in scope_slots]
    example = required_scope and required_scope._replace(**scopes[0]._asdict(), also=tuple(scopes[1:]))
    tokens = _queryset(alias, digest_slots, example, previous=previous)
    return tokens, [*digest_slots, *chain.from_iterable(scope_slots)]


def _has_all(params: Sequence[Any], slots: Sequence[_Slot]) -> bool:
    return {param for param in params if type(param) is _Slot} == set(slots)


def _find_converters(compiler: Any, columns: Sequence[Any]) -> Iterator[Converter]:
    for position, (converters, expression) in compiler.get_converters(columns).items():
        for converter in converters:
            # A method of the operations is called with those of the current connection: each thread has its own.
            takes_ops = isinstance(converter, MethodType) and converter.__self__ is compiler.connection.ops
            yield position, converter.__func__ if takes_ops else converter, takes_ops, expression


def _may_hold(convert: Any, connection: BaseDatabaseWrapper) -> bool:
    """Return whether the function can hold a reference to a connection, which belongs to the compiling thread."""
    if not isinstance(convert, (FunctionType, MethodType)):
        return True
    held = [getattr(convert, "__self__", None), *(cell.cell_contents for cell in convert.__closure__ or ())]
    return any(
        thing is connection
        or thing is connection.ops
        or (callable(thing) and thing is not convert and _may_hold(thing, connection))
        for thing in held
        if thing is not None
    )


def _find_columns(info: dict[str, Any], columns: Sequence[Any]) -> _Columns:
    positions = {columns[position].target.attname: position for position in info["select_fields"]}
    fields = [field.attname for field in info["model"]._meta.concrete_fields if field.attname in positions]
    return _Columns(info["model"], fields, [positions[name] for name in fields])


def _forget_statements(**_kwargs: object) -> None:
    # Settings only change in tests, among them DATABASES and USE_TZ.
    _statements.clear()
    _templates.clear()


setting_changed.connect(_forget_statements, dispatch_uid="pat_tokens.lookup")
