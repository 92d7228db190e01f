"""Rotate a token, or finish or cancel its rotation."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError, no_translations

from pat_tokens import services
from pat_tokens.management.base import (
    ACTOR,
    TokenCommand,
    add_expiration_arguments,
    as_dict,
    find_token,
    format_datetime,
    print_new_secret,
    printable,
    refusals_as_command_errors,
)

_OPTIONS = ("duration", "expires_at", "grace_period")  # of a rotation


class Command(TokenCommand):
    help = (
        "Give a personal access token a new secret and print it once. The previous secret keeps working for a grace "
        "period after the first use of the new one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("id", help="The id of a token, as `pat_list` shows it.")
        add_expiration_arguments(parser)
        parser.add_argument(
            "--grace-period",
            help="How long the previous secret works after the first use of the new one, such as 24h or 7d; 0: not at "
            "all. Default: 24h.",
        )
        ends = parser.add_mutually_exclusive_group()
        ends.add_argument("--finish", action="store_true", help="Stop the previous secret now, instead of rotating.")
        ends.add_argument(
            "--cancel",
            action="store_true",
            help="Stop the new secret, if it was never used, and keep the previous one, instead of rotating.",
        )

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        token = find_token(options["id"])
        if options["finish"] or options["cancel"]:
            self._end(token, options)
            return
        with refusals_as_command_errors(hint="Run this command with --finish or --cancel."):
            token, secret = services.rotate_token(token, **{name: options[name] for name in _OPTIONS}, actor=ACTOR)
        print_new_secret(self, "Rotated", token, secret, in_json=options["json"])
        if (previous := token.previous_secret) is not None:
            end = format_datetime(previous.expires_at, none="never")
            self.stderr.write(
                f"The previous secret {previous.hint} works for {previous.grace_period} after the first use of the new "
                f"one, until {end} at the latest."
            )

    def _end(self, token: Any, options: dict[str, Any]) -> None:
        if any(options[name] is not None for name in _OPTIONS):
            raise CommandError("--finish and --cancel take no other options.")
        with refusals_as_command_errors():
            if options["finish"]:
                token, verb = services.finish_rotation(token, actor=ACTOR), "Finished"
            else:
                token, verb = services.cancel_rotation(token, actor=ACTOR), "Canceled"
        if options["json"]:
            self.write_json(as_dict(token))
        else:
            self.stdout.write(f"{verb} the rotation of token {printable(token.name)} ({token.pk}): {token.hint} works.")
