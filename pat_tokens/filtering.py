"""Limit lists to the ids that a token has scopes for, or refuse them.

A view limits its list by limiting a queryset. The response is then compared with that queryset: it can contain the
queryset, a slice of it, a further filter of it, or rows that it returned, and nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, sync_to_async
from django.core.paginator import Page
from django.db.models import Count, Exists, Manager, Model, QuerySet, Value
from django.db.models.sql import AggregateQuery, DeleteQuery, InsertQuery, Query, UpdateQuery
from django.db.models.sql.where import AND, NothingNode, WhereNode
from django.utils.functional import Promise

from pat_tokens import scope_usage
from pat_tokens.database.statements import Observer, Statement, observe
from pat_tokens.database.uncached import uncached
from pat_tokens.exceptions import InsufficientScope
from pat_tokens.lookup import token_database
from pat_tokens.models import PersonalAccessToken
from pat_tokens.request_state import state_of
from pat_tokens.requirements import Requirement
from pat_tokens.scopes import Decision

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest


def find_uses(token: PersonalAccessToken, entity_type: str, operation: str) -> dict[str, datetime | None]:
    """Return the entity ids of the token's scopes for this operation, and when each scope was last used.

    Bypasses the compiler's `execute_sql()`, which query caches replace, because a deleted scope must not count.
    """
    scopes = uncached(token.scope_set.using(token_database()).matching(entity_type, operation))
    return dict(iter(scopes.values_list("entity_id", "last_used_at")))


class LimitedList(Observer):
    """The list that one view returns to a token with scopes for some ids.

    It knows the ids once a queryset was limited, and which rows have been read since.
    """

    def __init__(self, token: PersonalAccessToken, requirement: Requirement) -> None:
        self.token = token
        self.requirement = requirement
        self.in_object = False  # get_object() is filtering, not the list
        self.keys: frozenset[str] | None = None  # the ids; None until a queryset is limited
        self.use: scope_usage.ListUse | None = None  # what is recorded if the list is returned
        self.model: type[Model] | None = None  # the listed model
        self.was_read = False  # rows of the limited queryset were read
        self.leaked = False  # other rows of the same model were read
        self._read_before: set[Any] = set()  # what was read before a queryset was limited: models, or SQL
        observe(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> LimitedList:
        return self  # copies of a queryset belong to the same list

    def limit(self, queryset: QuerySet[Any], *, request: HttpRequest | None = None) -> QuerySet[Any]:
        """Return the rows of `queryset` that the token can list. Makes one query, for the ids.

        Their use is recorded when `request` is closed, if its response is the list. Raises InsufficientScope if
        `queryset` can't be limited.
        """
        path = self.requirement.filter_by
        if not _can_be_limited(queryset, self.requirement, path):
            raise self.refusal()
        entity_type = self.requirement.get_entity_type()
        uses = find_uses(self.token, entity_type.name, self.requirement.operation)
        # `scopes.decide` ignores ids that aren't canonical, so they are ignored here too.
        keys = [key for key in uses if entity_type.to_id(key) == key and entity_type.is_storable(key)]
        values = entity_type.as_values(keys, queryset.db)
        if path == "pk":
            # By name, because a child model can have its own primary key.
            limited = queryset.filter(**{f"{entity_type.model._meta.pk.name}__in": values})
        else:
            # Without a join, which would return a row once for each related entity.
            rows = queryset.model._base_manager.using(queryset.db).filter(**{f"{path}__in": values})
            limited = queryset.filter(pk__in=rows.values("pk"))
        if not self.in_object:
            if request is not None and self.use is None:
                self.use = scope_usage.ListUse(self.token, entity_type.name, self.requirement.operation)
                scope_usage.record_list_use(self.use, uses.values(), request=request)
            _mark(limited, self)
            self.model = queryset.model
            self.keys = frozenset(keys)
            self.leaked = self.leaked or any(map(self._was_read_from, self._read_before))
        return limited

    def refusal(self) -> InsufficientScope:
        """Return the error for a list that isn't limited."""
        decision: Decision = self.token.decision or Decision()
        return needs_all(decision)

    def allows(
        self, answer: Any = None, *, is_whole: bool = True, find: Callable[[Any], Any] = lambda value: value
    ) -> bool:
        """Return whether `answer` consists only of rows of the limited queryset.

        `answer` is what a view returns before rendering: a mapping or rows. `find` returns the object behind a value in
        it. If the rows can't be identified in `answer`, or it is only a part of the response, only rows of that
        queryset may have been read.
        """
        is_allowed = self.keys is not None and self._consists_of_rows(answer, is_whole, find)
        if is_allowed and self.use is not None:
            self.use.was_returned = True
        return is_allowed

    def _consists_of_rows(self, answer: Any, is_whole: bool, find: Callable[[Any], Any]) -> bool:
        found: list[Any] = []
        is_complete = _find_rows(answer, find, found)
        covered = [self._covers(rows) for rows in found]
        if False in covered:
            return False
        if is_whole and is_complete and True in covered:
            return True
        return self.was_read and not self.leaked

    def note(self, rows: Any) -> None:
        """Remember that the view uses `rows`, if they are limited."""
        if isinstance(rows, QuerySet) and self._is_limited(rows.query):
            self.was_read = True

    def bind_stream(self, response: Any) -> bool:
        """Return whether a streaming response starts with rows of the list, and end it at any other row."""
        held: list[Any] = []
        chunks = iter(response.streaming_content)
        while not self.was_read and not self.leaked:
            try:
                held.append(next(chunks))
            except StopIteration:
                break
        response.streaming_content = self._checked(chain(held, chunks))
        return self.allows()

    async def abind_stream(self, response: Any) -> bool:
        """Like `bind_stream`, for async streams."""
        held: list[Any] = []
        chunks = aiter(response.streaming_content)
        while not self.was_read and not self.leaked:
            try:
                held.append(await anext(chunks))
            except StopAsyncIteration:
                break
        response.streaming_content = self._achecked(held, chunks)
        return self.allows()

    def _checked(self, chunks: Iterable[Any]) -> Iterator[Any]:
        for chunk in chunks:
            if self.leaked:
                raise self.refusal()
            yield chunk
        self.close()

    async def _achecked(self, held: Iterable[Any], chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        for chunk in held:
            yield chunk
        async for chunk in chunks:
            if self.leaked:
                raise self.refusal()
            yield chunk
        self.close()

    def _is_about(self, model: Any) -> bool:
        mine = self.model._meta.concrete_model if self.model else None
        if mine is None or not isinstance(model, type) or not issubclass(model, Model):
            return False
        return issubclass(model, mine) or (model._meta.concrete_model is not None and issubclass(mine, model))

    def _covers(self, rows: Any) -> bool | None:
        # None if it can't be determined.
        if isinstance(rows, Manager):
            return False if self._is_about(rows.model) else None
        if isinstance(rows, QuerySet):
            if not self._is_about(rows.model):
                return None
            if self._is_limited(rows.query):
                return True
            if rows._result_cache is None:
                return False
            rows = rows._result_cache
        mine = [row for row in rows if self._is_about(type(row))]
        if not mine or self.requirement.filter_by != "pk":
            return None
        key = self.requirement.get_entity_type().model._meta.pk.attname
        return all(str(getattr(row, key, None)) in (self.keys or ()) for row in mine)

    def _is_limited(self, query: Any) -> bool:
        if not isinstance(query, Query):
            return False
        if query.combinator:
            if query.combinator == "union":
                return all(map(self._is_limited, query.combined_queries))
            return self._is_limited(query.combined_queries[0])  # an intersection, or a difference
        return self._has_limit(query.where, query)

    def _has_limit(self, node: Any, query: Query) -> bool:
        if isinstance(node, WhereNode):
            limits = [self._has_limit(child, query) for child in node.children]
            return not node.negated and bool(limits) and (all(limits) if node.connector != AND else any(limits))
        if isinstance(node, NothingNode) or getattr(node, "limited_list", None) is self:
            return True
        # Rows of the list that are loaded again by key.
        inner = getattr(node, "rhs", None)
        target = getattr(getattr(node, "lhs", None), "target", None)
        return (
            isinstance(inner, Query)
            and getattr(node, "lookup_name", "") in ("in", "exact")
            and target is query.get_meta().pk
            and inner.get_meta().concrete_model is query.get_meta().concrete_model
            and [getattr(column, "target", None) for column in inner.select] in ([], [target])
            and not inner.annotation_select
            and self._is_limited(inner)
        )

    def compiles(self, query: Query) -> None:
        """Record that `query`, which contains the limit, is about to read rows of the list."""
        if not query.subquery and _reads_rows(query) and self._is_limited(query):
            self.was_read = True

    def executes(self, statement: Statement) -> None:
        """Record whether `statement` reads rows of the list, or other rows of its model."""
        query = statement.query
        if query is not None and _reads_rows(query) and self._is_limited(query):
            self.was_read = True
        elif not (self._is_look_up(statement) or self._is_of_row(statement.queryset)):
            read = [statement.sql] if query is None else [*_find_models(query)]
            if self.model is None:
                self._read_before.update(read)
            else:
                self.leaked = self.leaked or any(map(self._was_read_from, read))

    def _was_read_from(self, source: Any) -> bool:
        # A model, or SQL that no queryset compiled.
        if isinstance(source, str):
            return (
                self.model is not None
                and _reads_table(source, self.model)
                and not _reads_table(source, PersonalAccessToken)
            )
        return self._is_about(source)

    def _is_look_up(self, statement: Statement) -> bool:
        # Views look up an object, such as the parent of the rows, before they limit the list. After that, they could
        # return what they look up.
        return (self.model is None or self.in_object) and statement.loads_one

    def _is_of_row(self, queryset: QuerySet[Any] | None) -> bool:
        # Whether these rows belong to a row of the list, such as its parent.
        row = getattr(queryset, "_hints", {}).get("instance")
        return self._is_about(type(row)) and self._covers([row]) is not False


def _reads_rows(query: Query) -> bool:
    if isinstance(query, DeleteQuery | InsertQuery | UpdateQuery):
        return False
    if query.combinator:
        return any(map(_reads_rows, query.combined_queries))
    if not isinstance(query, AggregateQuery) and (query.default_cols or query.select or query.extra_select):
        return True
    # False for count() and exists().
    return any(not isinstance(one, Value | Count | Exists) for one in query.annotation_select.values())


def _find_models(query: Query) -> Iterator[type[Model]]:
    # The models whose rows are read: its own, and those of related columns.
    if _reads_rows(query) and query.model is not None:
        yield query.model
        for expression in (*query.select, *query.annotation_select.values()):
            if not isinstance(expression, Count):
                for part in getattr(expression, "flatten", tuple)():
                    target = getattr(part, "target", None)
                    if target is not None:
                        yield target.model


def _reads_table(sql: str, model: type[Model]) -> bool:
    return sql.lstrip("( \n").upper().startswith(("SELECT", "WITH")) and any(
        one._meta.db_table in sql for one in (model, *model._meta.get_parent_list())
    )


class _Limit:
    """A mixin for the lookup that limits a queryset."""

    limited_list: LimitedList

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        self.limited_list.compiles(compiler.query)
        parent: Any = super()
        return parent.as_sql(compiler, connection)

    def __copy__(self) -> Any:
        return _copy_as(self, type(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        made = _copy_as(self, type(self))
        vars(made).update(deepcopy(vars(self), memo))
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        plain: Any = _copy_as(self, type(self).__bases__[1])
        vars(plain).pop("limited_list", None)
        return _same, (plain,)  # a pickled queryset isn't limited


def _same(value: Any) -> Any:
    return value


def _copy_as(thing: Any, cls: Any) -> Any:
    made = cls.__new__(cls)
    vars(made).update(vars(thing))
    return made


@cache
def _limit_class(lookup: Hashable) -> type:
    return type("Limit", (_Limit, lookup), {})  # type: ignore[arg-type]


def _mark(queryset: QuerySet[Any], limited_list: LimitedList) -> None:
    # The condition that was added last. It is moved to the front, so that it is compiled even if another condition
    # matches nothing.
    where = queryset.query.where
    holder: Any = where
    while isinstance(holder.children[-1], WhereNode):
        holder = holder.children[-1]
    condition = holder.children.pop()
    kind: Any = type(condition)
    limit = _copy_as(condition, _limit_class(kind))
    limit.limited_list = limited_list
    where.children.insert(0, limit)


def _find_rows(value: Any, find: Callable[[Any], Any], found: list[Any]) -> bool:
    # Returns whether every value is known to be a row of the list.
    value = find(value)
    if isinstance(value, Page):
        value = value.object_list
    if isinstance(value, QuerySet | Manager):
        found.append(value)
        return True
    if isinstance(value, Model):
        found.append([value])
        return True
    if isinstance(value, Mapping):
        complete = [_find_rows(one, find, found) for one in value.values()]  # a list, so that all values are searched
        return all(complete)
    if isinstance(value, list | tuple):
        rows = [one for one in value if isinstance(one, Model)]
        if rows:
            found.append(rows)
        return len(rows) == len(value)
    return value is None or isinstance(value, str | bytes | int | float | Promise)


def limit_to_token(request: HttpRequest, queryset: QuerySet[Any], *, filter_by: str = "pk") -> QuerySet[Any]:
    """Return the rows of `queryset` that the token of `request` can list, or all rows if there is no token.

    A view outside DRF has to return the result, or rows of it; any other list needs a scope on `*`. `filter_by` is the
    field path from the listed model to the entity's key.
    """
    token: Any = getattr(request, "auth", None)
    decision = getattr(token, "decision", None)
    if not isinstance(decision, Decision) or not decision.limited or decision.required_scope is None:
        return queryset
    limited_list = state_of(request).limited_list
    if limited_list is None or limited_list.token is not token:
        requirement = Requirement(decision.required_scope.entity_type, str(decision.required_scope.operation))
        limited_list = LimitedList(token, requirement)
    limited_list.requirement = Requirement(
        limited_list.requirement.entity_type, limited_list.requirement.operation, filter_by=filter_by
    )
    return limited_list.limit(queryset, request=getattr(request, "_request", request))  # of DRF's request, Django's


async def alimit_to_token(request: HttpRequest, queryset: QuerySet[Any], *, filter_by: str = "pk") -> QuerySet[Any]:
    """Like `limit_to_token`, without blocking the event loop."""
    return await sync_to_async(limit_to_token)(request, queryset, filter_by=filter_by)


def is_made_of(limited_list: LimitedList, response: Any, answer: Any = None, **options: Any) -> bool:
    """Return whether `response`, a stream or the rendered `answer`, consists only of rows of the limited list."""
    if getattr(response, "streaming", False):
        bind = async_to_sync(limited_list.abind_stream) if response.is_async else limited_list.bind_stream
        return bind(response)
    limited_list.close()
    return limited_list.allows(answer, **options)


def needs_all(decision: Decision) -> InsufficientScope:
    """Return the error for a list that isn't limited: the scope on `*` is missing."""
    return InsufficientScope(() if decision.required_scope is None else (decision.required_scope.scope,))


def _can_be_limited(queryset: object, requirement: Requirement, path: str) -> bool:
    # Slices and unions can't be filtered, and ids of one model don't apply to rows of another.
    if not isinstance(queryset, QuerySet) or queryset.query.is_sliced or queryset.query.combinator:
        return False
    model = requirement.get_entity_type().model._meta.concrete_model
    return path != "pk" or (model is not None and issubclass(queryset.model, model))


__all__ = ["alimit_to_token", "limit_to_token"]
