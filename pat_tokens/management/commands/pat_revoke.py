"""Revoke tokens."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import datetime, time
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, no_translations
from django.utils import timezone

from pat_tokens import services
from pat_tokens.durations import parse_expiry
from pat_tokens.management.base import (
    ACTOR,
    TokenCommand,
    add_confirmation_argument,
    as_dict,
    confirm,
    counted,
    find_token,
    find_user,
    printable,
)
from pat_tokens.models import PersonalAccessToken


class Command(TokenCommand):
    help = "Revoke personal access tokens. They stop working immediately, in every process."
    requires_system_checks = ()  # leaked tokens have to be revoked on a broken site, too

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("ids", nargs="*", metavar="id", help="The id of a token, as `pat_list` shows it.")
        parser.add_argument("--user", help="All active tokens of this user, given by username.")
        parser.add_argument("--issued-before", help="All active tokens whose secret was issued before this date.")
        parser.add_argument("--all", action="store_true", help="All active tokens.")
        add_confirmation_argument(parser)

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        selects = options["all"] or options["user"] is not None or options["issued_before"] is not None
        if bool(options["ids"]) == selects:
            raise CommandError("Give ids, or select tokens with --user, --issued-before or --all.")
        if options["ids"]:
            tokens = [find_token(token_id) for token_id in options["ids"]]
        else:
            tokens = self.select(options)
            confirm(self, f"This revokes {counted(len(tokens), 'active token')}.", options)
        self.revoke(tokens, options)

    def select(self, options: dict[str, Any]) -> list[PersonalAccessToken]:
        """Return the active tokens that the options select."""
        found = PersonalAccessToken.objects.active().select_related("user").order_by("issued_at", "pk")
        if options["user"] is not None:
            found = found.for_user(find_user(options["user"]))
        if options["issued_before"] is not None:
            found = found.filter(issued_at__lt=_read_date(options["issued_before"]))
        return list(found)

    def revoke(self, tokens: Sequence[PersonalAccessToken], options: dict[str, Any]) -> None:
        """Revoke these tokens, and say which."""
        try:
            revoked = [services.revoke_token(token, actor=ACTOR) for token in tokens]
        except PersonalAccessToken.DoesNotExist:
            raise CommandError(
                "A token was deleted in the meantime. Those before it in the list have been revoked."
            ) from None
        if options["json"]:
            self.write_json([as_dict(token) for token in revoked])
            return
        for token in revoked:
            owner = printable(token.user.get_username())
            self.stdout.write(f"Revoked token {printable(token.name)} ({token.pk}) of {owner}.")


def _read_date(text: str) -> datetime:
    try:
        found = parse_expiry(text)
    except ValueError:
        message = f"--issued-before {text}: use a date such as 2030-12-31 or 2030-12-31T18:00+01:00."
        raise CommandError(message) from None
    if isinstance(found, datetime):
        return found
    start = datetime.combine(found, time.min)
    return timezone.make_aware(start, timezone.get_default_timezone()) if settings.USE_TZ else start
