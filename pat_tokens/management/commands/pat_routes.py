"""List what each route requires."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, no_translations

from pat_tokens.declarations import plain_route
from pat_tokens.inspection.declarations import find_lookups, propose, write_module
from pat_tokens.inspection.proposals import Lookups
from pat_tokens.inspection.routes import inspect_all, without_format_suffixes
from pat_tokens.inspection.shadows import find_shadows
from pat_tokens.integrations import MethodReport, RouteReport
from pat_tokens.management.base import TokenCommand

WORDS = ("declared", "known", "refused", "undeclared", "broken", "not read")


class Command(TokenCommand):
    help = (
        "List every route with its view, and what each method requires of a personal access token or why it refuses "
        "all tokens."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--urlconf", help="The dotted path of a URLconf other than ROOT_URLCONF.")
        parser.add_argument("--under", default="", metavar="/PATH/", help="Only routes that begin with this path.")
        parser.add_argument(
            "--only",
            action="append",
            choices=[word.replace(" ", "-") for word in WORDS],
            help="Only methods with this status. Can be repeated.",
        )
        parser.add_argument(
            "--write",
            action="store_true",
            help="Print a Python module that declares the undeclared views. What is certain is code; what is guessed "
            "is a comment for you to review.",
        )
        parser.add_argument(
            "--fail-undeclared",
            action="store_true",
            help="Fail if a method is undeclared or its declaration can't work.",
        )

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        prefix = options["under"].lstrip("/")
        try:
            everything = inspect_all(options["urlconf"])
        except ImportError as error:
            raise CommandError(f"The URLconf cannot be read: {error}") from error
        shadows = dict(zip(map(id, everything), find_shadows(one.route for one in everything), strict=True))
        reports = [one for one in without_format_suffixes(everything) if _path(one).startswith(prefix)]
        only = {word.replace("-", " ") for word in options["only"] or WORDS}
        lookups = find_lookups(everything)
        rows = [
            row for report in reports for row in _rows(report, shadows[id(report)], lookups) if row["tokens"] in only
        ]
        if options["write"]:
            self.stdout.write(write_module(reports, lookups))
        elif options["json"]:
            self.write_json(rows)
        else:
            self._print_routes(rows)
        failed = [row for row in rows if row["tokens"] in ("undeclared", "broken")]
        if options["fail_undeclared"] and failed:
            raise CommandError(f"{len(failed)} of {len(rows)} operations are undeclared or broken.")

    def _print_routes(self, rows: list[dict[str, Any]]) -> None:
        by_route: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in rows:
            key = tuple(row[name] for name in ("route", "name", "view", "kind", "shadowed_by"))
            by_route.setdefault(key, []).append(row)
        for (route, name, view, kind, shadow), of_route in by_route.items():
            self.stdout.write(f"/{plain_route(route)}" + (f"  [{name}]" if name else ""))
            self.stdout.write(f"    {view} ({kind})")
            if shadow is not None:
                self.stdout.write(f"    never reached: /{plain_route(shadow)} comes first and matches the same paths")
            by_text: dict[tuple[str, str], list[dict[str, Any]]] = {}
            for row in of_route:
                by_text.setdefault((row["tokens"], _describe(row)), []).append(row)
            for (word, text), same in by_text.items():
                methods = ", ".join(row["method"] or "-" for row in same)
                self.stdout.write(f"    {methods}  {word}: {text}")
                for row in same:
                    if row["proposal"]:
                        self.stdout.write(f"        {'certain' if row['certain'] else 'a guess'}: {row['proposal']}")
            self.stdout.write("")


def _path(report: RouteReport) -> str:
    return report.route.pattern.removeprefix("^")


def _describe(row: dict[str, Any]) -> str:
    text = str(row["requirement"] or row["reason"])
    for status in ("not declared", "refused", "tokens are not read"):  # the line begins with the status
        text = text.removeprefix(f"{status}: ")
    return f"{text} (or ids, which limit the list)" if row["requirement"] and row["limits"] else text


def _rows(report: RouteReport, shadow: str | None, lookups: Lookups) -> Iterator[dict[str, Any]]:
    for method in report.methods or (None,):
        yield {**_row(report, method, lookups), "shadowed_by": shadow}


def _word(report: RouteReport, method: MethodReport | None) -> str:
    if not report.reads_tokens or not (method is None or method.reads_tokens):
        return "not read"
    return "refused" if method is None else method.status


def _row(report: RouteReport, method: MethodReport | None, lookups: Lookups) -> dict[str, Any]:
    requirement = method.resolution.requirement if method else None
    operation = propose(report, method, lookups) if method else None
    return {
        "method": method.method if method else None,
        "route": report.route.pattern,
        "name": report.route.url_name,
        "view": report.route.view_name,
        "kind": report.kind,
        "action": method.action if method else None,
        "tokens": _word(report, method),
        "requirement": str(requirement) if requirement else None,
        "limits": bool(method and method.limits),
        "reason": method.resolution.origin if method else report.note,
        "proposal": operation.line if operation and operation.proposal.requirement else None,
        "certain": bool(operation and operation.proposal.is_certain),
    }
