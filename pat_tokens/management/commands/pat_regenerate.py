"""Regenerate a token."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import no_translations

from pat_tokens import services
from pat_tokens.management.base import (
    ACTOR,
    TokenCommand,
    add_expiration_arguments,
    find_token,
    print_new_secret,
    refusals_as_command_errors,
)


class Command(TokenCommand):
    help = "Give a personal access token a new secret and print it once. The old secret stops working immediately."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("id", help="The id of a token, as `pat_list` shows it.")
        add_expiration_arguments(parser)

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        token = find_token(options["id"])
        with refusals_as_command_errors():
            token, secret = services.regenerate_token(
                token, duration=options["duration"], expires_at=options["expires_at"], actor=ACTOR
            )
        print_new_secret(self, "Regenerated", token, secret, in_json=options["json"])
