"""Make a token for a user."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError, no_translations

from pat_tokens import services
from pat_tokens.exceptions import InvalidInput
from pat_tokens.management.base import (
    TokenCommand,
    add_expiration_arguments,
    add_scope_argument,
    as_dict,
    find_user,
    format_datetime,
    input_lines,
    parse_scope,
    printable,
)
from pat_tokens.models import owner_is_active


class Command(TokenCommand):
    """`pat_create alice --name deploy --scope channels:42:publish`."""

    help = "Make a personal access token for a user and print its secret, which is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add whose token, its name, its life and its scopes."""
        super().add_arguments(parser)
        parser.add_argument("user", help="What the user logs in with.")
        parser.add_argument("--name", required=True, help="What the token is called, unique for its user.")
        parser.add_argument("--description", default="", help="What the token is for.")
        add_expiration_arguments(parser)
        add_scope_argument(parser)

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        """Make the token and print its secret on standard output, all else on standard error."""
        user = find_user(options["user"])
        texts = options["scopes"]
        scopes = [parse_scope(text) for text in texts]
        try:
            token, secret = services.create_token(
                user,
                name=options["name"],
                description=options["description"],
                duration=options["duration"],
                expires_at=options["expires_at"],
                scopes=scopes,
            )
        except InvalidInput as error:
            raise CommandError("\n".join(input_lines(error, texts))) from None
        if options["json"]:
            self.write_json({**as_dict(token), "secret": secret})
        else:
            self.stdout.write(secret)
        expiry = format_datetime(token.expires_at, none="never")
        self.stderr.write(f"Token {printable(token.name)} ({token.pk}) of {user.get_username()}, expires: {expiry}.")
        if not texts:
            self.stderr.write(self.style.WARNING("It has no scopes, so it may do nothing yet."))
        if not owner_is_active(user):
            self.stderr.write(self.style.WARNING("Its user is not active, so it will be refused."))
        self.stderr.write(self.style.WARNING("The secret is shown this once: keep it safe now."))
