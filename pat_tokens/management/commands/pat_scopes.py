"""List, add and remove the scopes of a token, by what it uses and lacks."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, no_translations

from pat_tokens import services
from pat_tokens.exceptions import InvalidInput
from pat_tokens.management.base import (
    ACTOR,
    TokenCommand,
    add_confirmation_argument,
    confirm,
    counted,
    find_or_read_token,
    format_datetime,
    input_lines,
    parse_scope,
    printable,
)
from pat_tokens.scope_usage import find_missing
from pat_tokens.validation import clean_unused_for


class Command(TokenCommand):
    help = "List the scopes of a token, when each was last used, and the scopes that it recently lacked."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("id", help="The id of a token, as `pat_list` shows it; -: read its secret from stdin.")
        parser.add_argument(
            "--add",
            action="append",
            default=[],
            dest="scopes",
            metavar="TYPE:ID:OPERATION",
            help="Add a scope first, such as one that was missing. Can be repeated.",
        )
        parser.add_argument("--unused-for", help="Only scopes that have not been used for this duration, such as 90d.")
        parser.add_argument("--remove", action="store_true", help="Remove the scopes that --unused-for selects.")
        add_confirmation_argument(parser)

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        if options["remove"] and options["unused_for"] is None:
            raise CommandError("--remove needs --unused-for, such as --unused-for 90d.")
        token = find_or_read_token(options["id"])
        scopes = token.scope_set.sorted().with_use()
        try:
            if options["scopes"]:
                services.add_scopes(token, [parse_scope(text) for text in options["scopes"]], actor=ACTOR)
            if options["unused_for"] is not None:
                scopes = scopes.unused_since(clean_unused_for(options["unused_for"]))
        except InvalidInput as error:
            raise CommandError("\n".join(input_lines(error, options["scopes"], scope_option="--add"))) from None
        rows: list[Any] = list(scopes)
        removed: set[UUID] = set()
        if options["remove"] and rows:
            confirm(self, f"This removes {counted(len(rows), 'scope')} of token {printable(token.name)}.", options)
            services.delete_scopes(token, scopes, actor=ACTOR)
            # Scopes that were used before the question was answered are kept.
            removed = {row.pk for row in rows} - set(token.scope_set.values_list("pk", flat=True))
        missing = find_missing(token)
        if options["json"]:
            self.write_json(
                {
                    "id": token.pk,
                    "name": token.name,
                    "scopes": [
                        {
                            "id": row.pk,
                            **row.key._asdict(),
                            "last_used_at": row.last_used_at,
                            "removed": row.pk in removed,
                        }
                        for row in rows
                    ],
                    "missing": [{**row.key._asdict(), "count": row.count, "last_at": row.last_at} for row in missing],
                }
            )
            return
        for row in rows:
            used = "used" if row.last_used_at else "not used, recorded since"
            when = format_datetime(row.unused_since, none="")
            self.stdout.write(f"{printable(str(row))}  {used} {when}{'  (removed)' if row.pk in removed else ''}")
        self.stdout.write(f"{counted(len(rows), 'scope')}.")
        for lacked in missing:
            last_at = format_datetime(lacked.last_at, none="")
            requests = counted(lacked.count, "request")
            self.stdout.write(f"missing  {printable(str(lacked))}  at least {requests}, last on {last_at}")
