"""Whether a class runs Django's own code, or code that a site, a backend or another package replaced it with."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

import django

_DJANGO = str(Path(django.__file__).parent)


def has_replaced_methods(thing: object) -> bool:
    """Return whether a method of this object, not of its class, was replaced."""
    return any(isinstance(value, (FunctionType, MethodType)) for value in vars(thing).values())


def is_in_django(cls: type[Any]) -> bool:
    return cls is object or cls.__module__.partition(".")[0] == "django"


def is_djangos(cls: type[Any], *, like: type[Any], besides: Collection[str] = ()) -> bool:
    """Return whether all methods that `cls` shares with `like` are Django's own, without overrides or patches."""
    methods = (inspect.getattr_static(cls, name) for name in dir(like) if name not in besides)
    return all(_is_djangos_method(method) for method in methods)


def makes_djangos_sql(ops: Any, compiler: Any) -> bool:
    """Return whether Django's own code builds the SQL with these operations of a connection and this compiler."""
    # Profilers and query caches replace `execute_sql()` in Django's own class, which doesn't change the SQL. A subclass
    # that overrides it can.
    classes, kind = type(compiler).__mro__, type(ops)
    overrides_execution = any("execute_sql" in vars(cls) for cls in classes if not is_in_django(cls))
    are_djangos = is_djangos(kind, like=kind) and is_djangos(classes[0], like=classes[0], besides={"execute_sql"})
    return are_djangos and not overrides_execution and not has_replaced_methods(ops)


def selects_fixed_columns(compiler: Any) -> bool:
    """Return whether the tables and columns of a compiled query can't have another name or SQL next time.

    A name that isn't a plain string, and a field that adds SQL to its column, can depend on the tenant.
    """
    targets = [one.target for one, _sql, _alias in compiler.select if hasattr(one, "target")]
    names = [*(join.table_name for join in compiler.query.alias_map.values()), *(one.column for one in targets)]
    methods = [getattr(type(one), name) for one in targets for name in ("get_col", "select_format")]
    return all(type(name) is str for name in names) and all(map(_is_djangos_method, methods))


def can_hold(function: Any, connection: Any) -> bool:
    """Return whether the function can hold a reference to a connection, which belongs to the compiling thread."""
    if not isinstance(function, (FunctionType, MethodType)):
        return True
    held = [getattr(function, "__self__", None), *(cell.cell_contents for cell in function.__closure__ or ())]
    return any(
        thing is connection
        or thing is connection.ops
        or (callable(thing) and thing is not function and can_hold(thing, connection))
        for thing in held
        if thing is not None
    )


def _is_djangos_method(method: Any) -> bool:
    function = getattr(method, "fget", None) or getattr(method, "func", None) or getattr(method, "__func__", method)
    if isinstance(function, FunctionType):
        return function.__code__.co_filename.startswith(_DJANGO)
    # Attributes of the class, and methods of Python's own; everything else that can be called replaces a method.
    return not callable(function) or isinstance(function, type) or type(function).__module__ == "builtins"
