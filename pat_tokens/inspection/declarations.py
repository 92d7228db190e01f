"""Generate a module of declarations for undeclared views, to be reviewed line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import Any, NamedTuple

from django.db.models import Model
from django.utils.module_loading import import_string

from pat_tokens.declarations import class_of, plain_route
from pat_tokens.inspection.proposals import BY_NAMES, CERTAIN, Lookups, Proposal, ViewHints, guess
from pat_tokens.integrations import MethodReport, RouteReport

_NAMES = {"declarations": ("declare_route", "declare_view"), "requirements": ("EntityLookup", "Requirement")}
_UNKNOWN = 'Requirement("?", "?")'


class Operation(NamedTuple):
    """An undeclared method of a route, and what it most likely requires."""

    report: RouteReport
    method: MethodReport
    proposal: Proposal

    @property
    def key(self) -> str:
        action = self.method.action
        if action is None:
            return self.method.method
        methods = [one.method for one in self.report.methods if one.action == action]
        return action if len(methods) == 1 else f"{self.method.method} {action}"

    def as_call(self) -> str:
        """Return code that declares the method for this route alone."""
        return f'declare_route("{plain_route(self.report.route.pattern)}", {{{self.line.rstrip(",")}}})'

    @property
    def line(self) -> str:
        requirement = self.proposal.requirement
        return f'"{self.key}": {requirement.as_code() if requirement else _UNKNOWN},'


def find_lookups(reports: Iterable[RouteReport]) -> Lookups:
    """Return the field by which the views of a site look up entities, by model and URL keyword; None where they differ.

    The meaning of keywords of nested routes follows from it.
    """
    lookups: dict[type[Model], dict[str, str | None]] = {}
    for model, keyword, field in (report.lookup for report in reports if report.lookup is not None):
        by_keyword = lookups.setdefault(model, {})
        by_keyword[keyword] = field if by_keyword.get(keyword, field) == field else None
    return lookups


def propose(report: RouteReport, method: MethodReport, lookups: Lookups) -> Operation | None:
    """Return what a method most likely requires, or None if it is declared, inferred or refused."""
    if method.status != "undeclared" or not (report.reads_tokens and method.reads_tokens):
        return None
    if report.propose is not None:
        return Operation(report, method, report.propose(method, lookups))
    return Operation(report, method, guess(ViewHints(), method.method, report.route, lookups))


def write_module(reports: Sequence[RouteReport], lookups: Lookups) -> str:
    """Return the source of a module: certain declarations are code, and guesses are comments."""
    found = [one for report in reports for method in report.methods if (one := propose(report, method, lookups))]
    by_view: dict[tuple[str, int], list[Operation]] = {}
    for operation in found:
        report = operation.report
        by_view.setdefault((report.route.view_name, id(report.dispatcher)), []).append(operation)
    blocks = [_write_view(name, operations) for (name, _dispatcher), operations in by_view.items()]
    unread = sum(not (report.reads_tokens and method.reads_tokens) for report in reports for method in report.methods)
    return "\n\n".join((_write_head(found, "\n".join(blocks), unread), *blocks))


def _write_head(operations: Sequence[Operation], body: str, unread: int) -> str:
    imports = [
        f"from pat_tokens.{module} import {', '.join(used)}"
        for module, names in _NAMES.items()
        if (used := [name for name in names if f"{name}(" in body])
    ]
    certain = sum(operation.proposal.is_certain for operation in operations)
    lines = _comment(
        f"{len(operations)} operations; {certain} of them are certain: {CERTAIN}. The others are guesses {BY_NAMES}. "
        "Review them: a line that is a comment declares nothing, so tokens are refused. To refuse them on purpose, "
        "write None instead of the requirement."
    )
    if unread:
        lines += _comment(
            f"{unread} operations don't read tokens, so a declaration has no effect and they are not listed here. "
            "manage.py pat_routes --only not-read lists them."
        )
    if imports:
        lines += ["", *imports]
    models = sorted({_name_of(one.proposal.model) for one in operations if one.proposal.model is not None})
    if models:
        lines += [
            "",
            *_comment(f"No entity type has these models; register them in pat_entities.py: {', '.join(models)}"),
        ]
    return "\n".join(lines)


def _comment(text: str) -> list[str]:
    return wrap(text, 120, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False)


def _name_of(model: type[Model] | None) -> str:
    return model._meta.label if model is not None else ""


def _write_view(name: str, operations: Sequence[Operation]) -> str:
    by_route: dict[str, list[Operation]] = {}
    for operation in operations:
        by_route.setdefault(plain_route(operation.report.route.pattern), []).append(operation)
    functions = dict.fromkeys(operation.method.function or name for operation in operations)
    lines = [f"# {', '.join(functions)} ({operations[0].report.kind})"]
    for route, of_route in by_route.items():
        methods = ", ".join(operation.method.method for operation in of_route)
        lines.append(f"#   {methods} /{route}")
    by_key: dict[str, set[tuple[str, bool]]] = {}
    for operation in operations:
        # What is certain for one route can be a guess for another one, which it must not open.
        by_key.setdefault(operation.key, set()).add((operation.line, operation.proposal.is_certain))
    if _is_importable(name, operations[0].report.route.view) and all(len(found) == 1 for found in by_key.values()):
        unique = list({operation.key: operation for operation in operations}.values())
        lines += _write_call("declare_view", name, unique)
    else:
        for route, of_route in by_route.items():
            lines += _write_call("declare_route", route, of_route)
    return "\n".join(lines)


def _is_importable(name: str, view: Any) -> bool:
    try:
        return class_of(import_string(name)) is class_of(view)
    except ImportError:
        return False


def _write_call(function: str, target: str, operations: Sequence[Operation]) -> Iterator[str]:
    lines = [f"{function}(", f"    {target!r},".replace("'", '"'), "    {"]
    for operation in operations:
        proposal = operation.proposal
        word = "certain" if proposal.is_certain else "a guess" if proposal.requirement else "unknown"
        why = "" if proposal.reason in (BY_NAMES, CERTAIN) else f": {proposal.reason}"
        lines.append(f"        {'' if proposal.is_certain else '# '}{operation.line}  # {word}{why}")
    yield from (*lines, "    },", ")")
