"""Remind users that their tokens expire."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError, no_translations
from django.db import DatabaseError

from pat_tokens.management.base import ACTOR, TokenCommand
from pat_tokens.reminders import send_reminders


class Command(TokenCommand):
    help = "Remind owners that their personal access tokens expire, once for each of PAT_TOKENS_REMINDER_DAYS."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="Count the reminders without sending them.")

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            summary = send_reminders(dry_run=options["dry_run"], actor=ACTOR)
        except DatabaseError as error:
            raise CommandError(
                f"The database failed ({type(error).__name__}). No reminder is sent twice. Run this again."
            ) from error
        if options["json"]:
            self.write_json({"dry_run": options["dry_run"], **summary.as_dict()})
        elif options["dry_run"] or options["verbosity"] > 1:
            self.stdout.write(
                f"{'Would remind' if options['dry_run'] else 'Reminded'} of {summary.tokens} tokens in {summary.mails} "
                f"mails. Skipped {summary.skipped} users who are inactive or have no address."
            )
        if summary.failed:
            rest = " The next run continues with the rest." if summary.stopped else ""
            raise CommandError(f"{summary.failed} mails could not be sent. The next run tries again.{rest}")
