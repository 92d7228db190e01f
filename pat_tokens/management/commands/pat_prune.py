"""Delete tokens that have been inactive for a long time."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, no_translations
from django.db import DatabaseError
from django.utils import timezone

from pat_tokens import services
from pat_tokens.activity import prune_activity
from pat_tokens.conf import conf
from pat_tokens.management.base import ACTOR, TokenCommand
from pat_tokens.models import Activity, PersonalAccessToken
from pat_tokens.scope_usage import prune_missing

DEFAULT_DAYS = 90


class Command(TokenCommand):
    help = (
        "Delete personal access tokens that have been revoked or expired for a number of days, and activity that is "
        "older than PAT_TOKENS_ACTIVITY_DAYS."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--days", default=DEFAULT_DAYS, help=f"Only tokens inactive for at least this many days ({DEFAULT_DAYS})."
        )
        parser.add_argument(
            "--batch",
            default=services.PRUNE_BATCH,
            help=f"How many to delete per transaction ({services.PRUNE_BATCH}). Small batches hold locks more briefly.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Count the tokens without deleting them.")

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        inactive_for = _parse_days(options["days"])
        batch = _parse_batch(options["batch"])
        kept_since = timezone.now() - timedelta(days=conf.activity_days)
        try:
            if options["dry_run"]:
                count = PersonalAccessToken.objects.inactive_since(timezone.now() - inactive_for).count()
                rows = Activity.objects.older_than(kept_since).count()
            else:
                count = services.prune_tokens(inactive_for=inactive_for, batch=batch, actor=ACTOR)
                rows = prune_activity(kept_since, batch=batch)
                prune_missing(batch=batch)
        except DatabaseError as error:
            raise CommandError(
                f"The database failed ({type(error).__name__}). Deleted tokens stay deleted. Run this again."
            ) from error
        name = "would_delete" if options["dry_run"] else "deleted"
        if options["json"]:
            self.write_json({name: count, f"{name}_activity": rows})
        elif options["dry_run"] or options["verbosity"] > 1:
            verb = "Would delete" if options["dry_run"] else "Deleted"
            self.stdout.write(f"{verb}: {count}")
            if rows:
                self.stdout.write(f"{verb} rows of activity: {rows}")


def _parse_days(value: str | int) -> timedelta:
    try:
        days = timedelta(days=int(value))
        if days < timedelta():
            raise ValueError
        timezone.now() - days
    except (ValueError, OverflowError):
        raise CommandError(f"--days {value}: write a whole number of days, zero or more.") from None
    return days


def _parse_batch(value: str | int) -> int:
    try:
        batch = int(value)
        if batch < 1:
            raise ValueError
    except ValueError:
        raise CommandError(f"--batch {value}: write a positive integer.") from None
    return batch
