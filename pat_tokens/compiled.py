"""A queryset's SQL made once and executed again with other parameters; real model instances come out.

Django builds the SQL of a queryset anew each time it is evaluated, which costs several times what the database
does with it. Here only parts that Django has for this are used again and again: a cursor, the columns' converters and
`Model.from_db()`. What they may not be enough for is refused by `compile_queryset`, and the caller uses the ORM.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import ForeignKey, Model, QuerySet
from django.db.models.base import ModelState
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query import ModelIterable
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_init, pre_init
from django.db.models.sql.compiler import SQLCompiler

from pat_tokens.cursors import fetch_row
from pat_tokens.drivers import Query, picker

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models.expressions import Expression

# What a field puts on its model to hold a value that was loaded, and no more.
_PLAIN = (DeferredAttribute, ForeignKeyDeferredAttribute)
_BITS = (1, 0)
_ROW_STEPS = ("execute_sql", "results_iter", "apply_converters")  # what the ORM does with a row, and we do instead
_WORD = re.compile(r"[A-Za-z0-9_*]*", re.ASCII)  # nothing that means anything within quotes


class Slot(str):
    """A parameter of a queryset that is to be compiled, in the place of a text that changes."""

    __slots__ = ()


class _Converter(NamedTuple):
    position: int
    convert: Callable[..., Any]  # (connection.ops, which each thread has one of, value, expression, connection)
    expression: Expression


class _Instance(NamedTuple):
    """How to make one model instance of a row."""

    model: type[Model]
    names: Sequence[str]
    pick: Callable[[Sequence[Any]], tuple[Any, ...]]
    is_plain: bool  # nothing of the model's own happens when it is made

    def make(self, alias: str, row: Sequence[Any]) -> Model:
        """Return the instance, as `Model.from_db()` makes it."""
        model = self.model
        if not self.is_plain or ((pre_init.receivers or post_init.receivers) and _is_heard(model)):
            return model.from_db(alias, self.names, self.pick(row))
        # What from_db() comes to where nobody listens, at a third of its price.
        instance = model.__new__(model)
        state = ModelState()
        state.adding = False
        state.db = alias
        attributes = vars(instance)
        attributes["_state"] = state
        attributes.update(zip(self.names, self.pick(row)))  # noqa: B905 -- as many by their making, and strict costs
        return instance


class Statement(NamedTuple):
    """A compiled queryset: a query, and what to do with the row that it finds."""

    alias: str
    query: Query  # its values are those of the slots
    moments: Sequence[_Converter]
    flags: Sequence[int]  # positions of booleans that come as numbers
    converters: Sequence[_Converter]  # of all other columns that have any
    main: _Instance
    related: _Instance
    relation: ForeignKey[Any, Any]
    annotations: Mapping[str, int]

    def fetch(self, connection: BaseDatabaseWrapper, values: tuple[str, ...]) -> Any:
        """Return the first row as its model, its relation loaded, or None; `values` take the places of the slots."""
        found = fetch_row(connection, self.query, values)
        if found is None:
            return None
        row = list(found)
        ops = connection.ops
        zone = connection.timezone  # None where the site has no zones
        combine = datetime.combine
        for position, convert, expression in self.moments:
            value = row[position]
            if type(value) is datetime and value.tzinfo is None:
                # What Django's converter comes to for what the drivers give, at a tenth of its price.
                row[position] = combine(value, value.time(), zone)
            elif value is not None:
                row[position] = convert(ops, value, expression, connection)
        for position in self.flags:
            if row[position] in _BITS:  # as Django's converter has it, again without a call
                row[position] = bool(row[position])
        for position, convert, expression in self.converters:
            row[position] = convert(ops, row[position], expression, connection)
        instance = self.main.make(self.alias, row)
        related = self.related.make(self.alias, row)
        self.relation.set_cached_value(instance, related)
        for name, position in self.annotations.items():
            setattr(instance, name, row[position])
        return instance


def compile_queryset(
    queryset: QuerySet[Any], *, relation: ForeignKey[Any, Any], slots: Sequence[Slot]
) -> Statement | None:
    """Return the statement that finds what `queryset` finds first, or None where that is not certain.

    `queryset` has `slots` among its parameters and selects `relation` and no other.
    """
    compiler: Any = queryset.query.get_compiler(using=queryset.db)
    if not compiler.connection.features.supports_paramstyle_pyformat:
        return None
    if queryset._iterable_class is not ModelIterable or any(
        getattr(type(compiler), step) is not getattr(SQLCompiler, step) for step in _ROW_STEPS
    ):
        return None
    sql, params = compiler.as_sql()
    query = make_query(sql, params, slots)
    columns = [expression for expression, _, _ in compiler.select]
    annotations = dict(compiler.annotation_col_map or {})
    converters = _find_converters(compiler, columns)
    main = _find_instance(queryset.model, columns, annotations)
    related = _find_instance(relation.remote_field.model, columns, annotations)
    if query is None or main is None or related is None:
        return None
    if len(main.names) + len(related.names) + len(annotations) != len(columns):
        return None
    moments = [one for one in converters if _is_of_backend(one.convert, "convert_datetimefield_value")]
    flags = [one for one in converters if _is_of_backend(one.convert, "convert_booleanfield_value")]
    others = [one for one in converters if one not in moments + flags]
    places = [one.position for one in flags]
    return Statement(queryset.db, query, moments, places, others, main, related, relation, annotations)


def make_query(sql: str, params: Sequence[Any], slots: Sequence[Slot]) -> Query | None:
    """Return SQL with `%s` for each of `params`, some of them slots, as a query; None for what cannot be a constant."""
    places: list[int | str] = []  # for each parameter: its number, the slots first, or what is written out
    constants: list[Any] = []
    for param in params:
        if isinstance(param, Slot):
            places.append(slots.index(param))
        elif literal := _literal(param):
            places.append(literal)
        elif isinstance(param, (bool, int, str)):
            places.append(len(slots) + len(constants))
            constants.append(param)
        else:
            return None
    used = [place for place in places if isinstance(place, int)]
    if not set(range(len(slots))) <= set(used):
        return None
    names = [f"slot{number}" for number in range(len(slots))]
    names += [f"constant{number}" for number in range(len(constants))]
    by_name = [place if isinstance(place, str) else f"%({names[place]})s" for place in places]
    by_place = [place if isinstance(place, str) else "?" for place in places]
    return Query(
        _with_places(sql, by_name, "%%"),
        tuple(names),
        tuple(constants),
        _with_places(sql, by_place, "%"),
        picker(used),
    )


def _literal(param: object) -> str | None:
    # A driver takes its time with each parameter, and every database reads a plain word or a small number so.
    if type(param) is str and _WORD.fullmatch(param):
        return f"'{param}'"
    if isinstance(param, int) and not isinstance(param, bool) and 0 <= param < 2**31:
        return str(int(param))
    return None


def _with_places(sql: str, places: Sequence[str], percent: str) -> str:
    rest = iter(places)
    return re.sub("%([s%])", lambda found: next(rest) if found[1] == "s" else percent, sql)


def _find_converters(compiler: Any, columns: Sequence[Any]) -> list[_Converter]:
    connection: BaseDatabaseWrapper = compiler.connection
    found = []
    for position, (converters, expression) in compiler.get_converters(columns).items():
        steps = []
        for converter in converters:
            of_backend = isinstance(converter, MethodType) and converter.__self__ is connection.ops
            convert = converter.__func__ if of_backend else converter
            if _may_hold(convert, connection):
                steps = [_Converter(position, _convert_anew, expression)]
                break
            if not of_backend:
                convert = _without_ops(convert)
            steps.append(_Converter(position, convert, expression))
        found += steps
    return found


def _may_hold(convert: Any, connection: BaseDatabaseWrapper) -> bool:
    # One that remembers the connection of the thread that compiled would use it in all others.
    if not isinstance(convert, (FunctionType, MethodType)):
        return True
    held = [getattr(convert, "__self__", None), *(cell.cell_contents for cell in convert.__closure__ or ())]
    return any(thing is connection or thing is connection.ops for thing in held)


def _is_of_backend(convert: Callable[..., Any], name: str) -> bool:
    backends = "django.db.backends.mysql.operations", "django.db.backends.sqlite3.operations"
    return convert.__name__ == name and convert.__module__ in backends


def _without_ops(convert: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _ops, value, expression, connection: convert(value, expression, connection)


def _convert_anew(ops: Any, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
    for converter in ops.get_db_converters(expression) + expression.get_db_converters(connection):
        value = converter(value, expression, connection)
    return value


def _find_instance(model: type[Model], columns: Sequence[Any], annotations: Mapping[str, int]) -> _Instance | None:
    fields = {id(field): place for place, field in enumerate(model._meta.concrete_fields)}
    places, positions, names = [], [], []
    for position, column in enumerate(columns):
        target = getattr(column, "target", None)
        if id(target) in fields and position not in annotations.values():
            places.append(fields[id(target)])
            positions.append(position)
            names.append(column.target.attname)
    if not places or places != sorted(set(places)):
        return None
    try:
        inspect.signature(model.from_db).bind("", names, ())
    except (TypeError, ValueError):
        return None
    return _Instance(model, names, picker(positions), _is_plain(model))


def _is_plain(model: type[Model]) -> bool:
    own: Any = model
    return (
        own.from_db.__func__ is vars(Model)["from_db"].__func__
        and own.__init__ is Model.__init__
        and own.__new__ is object.__new__
        and own.__setattr__ is object.__setattr__
        and all(type(inspect.getattr_static(model, f.attname)) in _PLAIN for f in model._meta.concrete_fields)
    )


def _is_heard(model: type[Model]) -> bool:
    return pre_init.has_listeners(model) or post_init.has_listeners(model)
