"""List tokens."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError, no_translations

from pat_tokens.activity import Refusals, find_refusals
from pat_tokens.management.base import TokenCommand, as_dict, as_json, find_user, format_datetime, printable
from pat_tokens.models import PersonalAccessToken
from pat_tokens.querysets import Status, TokenQuerySet

CHUNK = 100  # tokens in memory at a time, each with up to hundreds of scopes
ROW = "{:36}  {:7}  {:16}  {:22}  {:22}  {:20}  {}"


class Command(TokenCommand):
    help = "List personal access tokens, newest first."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", help="Only the tokens of this user, given by username.")
        parser.add_argument(
            "--refused", action="store_true", help="Only tokens with secrets that are refused and still sent."
        )
        parser.add_argument("--status", help=f"Only tokens with this status: {', '.join(Status.values)}.")

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        tokens = PersonalAccessToken.objects.select_related("user", "previous").order_by("-issued_at", "pk")
        if options["user"] is not None:
            tokens = tokens.for_user(find_user(options["user"]))
        if options["status"] is not None:
            if options["status"] not in Status.values:
                raise CommandError(f"--status {options['status']}: choose one of {', '.join(Status.values)}.")
            tokens = tokens.with_status(options["status"])
        if options["refused"]:
            tokens = tokens.refused()
        if options["json"]:
            self.print_json(tokens, refusals=options["refused"])
        else:
            self.print_table(tokens, refusals=options["refused"])

    def print_json(self, tokens: TokenQuerySet, *, refusals: bool) -> None:
        separator = "["
        for token in tokens.prefetch_related("scope_set").iterator(CHUNK):
            values = as_dict(token)
            if refusals:
                values["refused"] = [_as_dict(one) for one in find_refusals(token)]
            self.stdout.write(separator + as_json(values), ending="")
            separator = ",\n"
        self.stdout.write("[]" if separator == "[" else "]")

    def print_table(self, tokens: TokenQuerySet, *, refusals: bool) -> None:
        self.stdout.write(ROW.format("ID", "STATUS", "HINT", "EXPIRES", "LAST USED", "USER", "NAME"))
        for token in tokens.iterator(CHUNK):
            self.stdout.write(
                ROW.format(
                    str(token.pk),
                    token.status,
                    token.hint,
                    format_datetime(token.expires_at, none="never"),
                    format_datetime(token.last_used_at, none="not used yet"),
                    printable(token.user.get_username()),
                    printable(token.name),
                )
            )
            for one in find_refusals(token) if refusals else ():
                client = printable(" ".join(filter(None, (one.row.ip, one.row.agent)))) or "unknown"
                last_at = format_datetime(one.row.last_at, none="")
                self.stdout.write(f"  {one.row.reason}: at least {one.count} requests, last on {last_at} from {client}")


def _as_dict(refusals: Refusals) -> dict[str, Any]:
    row = refusals.row
    return {"reason": row.reason, "count": refusals.count, "last_at": row.last_at, "ip": row.ip, "agent": row.agent}
