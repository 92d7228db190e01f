"""Revoke tokens."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError, no_translations

from pat_tokens import services
from pat_tokens.management.base import ACTOR, TokenCommand, as_dict, find_token, printable
from pat_tokens.models import PersonalAccessToken


class Command(TokenCommand):
    help = "Revoke personal access tokens. They stop working immediately, in every process."
    requires_system_checks = ()  # leaked tokens have to be revoked on a broken site, too

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("ids", nargs="+", metavar="id", help="The id of a token, as `pat_list` shows it.")

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        tokens = [find_token(token_id) for token_id in options["ids"]]
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
