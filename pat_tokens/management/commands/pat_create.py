"""Create a token for a user."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError, no_translations

from pat_tokens import services
from pat_tokens.exceptions import InvalidInput
from pat_tokens.management.base import (
    ACTOR,
    TokenCommand,
    add_token_arguments,
    as_dict,
    find_user,
    format_datetime,
    input_lines,
    printable,
    token_fields,
)
from pat_tokens.models import owner_is_active


class Command(TokenCommand):
    help = "Create a personal access token for a user and print its secret, which is not shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("user", help="The username.")
        add_token_arguments(parser)

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        user = find_user(options["user"])
        texts = options["scopes"]
        fields = token_fields(options)
        try:
            token, secret = services.create_token(user, actor=ACTOR, **fields)
        except InvalidInput as error:
            raise CommandError("\n".join(input_lines(error, texts))) from None
        if options["json"]:
            self.write_json({**as_dict(token), "secret": secret})
        else:
            self.stdout.write(secret)
        expiry = format_datetime(token.expires_at, none="never")
        self.stderr.write(
            f"Created token {printable(token.name)} ({token.pk}) of {user.get_username()}, expires: {expiry}."
        )
        if not texts:
            self.stderr.write(self.style.WARNING("It has no scopes, so it can't do anything yet."))
        if not owner_is_active(user):
            self.stderr.write(self.style.WARNING("Its user is not active, so it will be rejected."))
        self.stderr.write(self.style.WARNING("Copy the secret now. It will not be shown again."))
