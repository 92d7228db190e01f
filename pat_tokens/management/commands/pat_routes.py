"""List what each route requires of a token."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, no_translations

from pat_tokens.inspection.routes import inspect_all
from pat_tokens.integrations import MethodReport, RouteReport
from pat_tokens.management.base import TokenCommand

_HEAD = ("METHOD", "ROUTE", "KIND", "TOKENS", "REQUIRES, OR WHY NOT")


class Command(TokenCommand):
    """`pat_routes --fail-undeclared`."""

    help = (
        "List every route with its kind of view, and what it requires of a personal access token or why it refuses all."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add which routes, and whether undeclared ones are an error."""
        super().add_arguments(parser)
        parser.add_argument("--urlconf", help="The dotted path of another URLconf than ROOT_URLCONF.")
        parser.add_argument(
            "--fail-undeclared",
            action="store_true",
            help="Fail where a view looks at tokens and nobody has said what it requires, nor that it refuses them.",
        )

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        """Print a table or a JSON array, one row for each route and method."""
        try:
            reports = inspect_all(options["urlconf"])
        except ImportError as error:
            raise CommandError(f"The URLconf cannot be read: {error}") from error
        rows = [row for report in reports for row in _rows(report)]
        if options["json"]:
            self.write_json(rows)
        else:
            self._print_table(rows)
        failed = [row for row in rows if row["tokens"] in ("undeclared", "broken")]
        if options["fail_undeclared"] and failed:
            raise CommandError(f"{len(failed)} of {len(rows)} operations are undeclared or broken.")

    def _print_table(self, rows: list[dict[str, Any]]) -> None:
        table = [_HEAD]
        for row in rows:
            said = row["requirement"] or row["reason"]
            if row["requirement"] and row["limits"]:
                said += " (or ids, which limit the list)"
            table.append((row["method"] or "-", f"/{row['route']}", row["kind"], row["tokens"], said))
        widths = [max(len(line[column]) for line in table) for column in range(len(_HEAD) - 1)]
        for line in table:
            cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
            self.stdout.write("  ".join((*cells, line[-1])).rstrip())


def _rows(report: RouteReport) -> Iterator[dict[str, Any]]:
    for method in report.methods:
        yield _row(report, method)
    if not report.methods:
        yield _row(report, None)


def _word(report: RouteReport, method: MethodReport | None) -> str:
    if not report.reads_tokens or not (method is None or method.reads_tokens):
        return "not read"
    return "refused" if method is None else method.status


def _row(report: RouteReport, method: MethodReport | None) -> dict[str, Any]:
    requirement = method.resolution.requirement if method else None
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
    }
