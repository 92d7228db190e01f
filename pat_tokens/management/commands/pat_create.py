"""Create a token for a user."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import no_translations

from pat_tokens import services
from pat_tokens.management.base import (
    ACTOR,
    TokenCommand,
    add_token_arguments,
    find_user,
    print_new_secret,
    refusals_as_command_errors,
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
        fields = token_fields(options)
        with refusals_as_command_errors(scopes=options["scopes"]):
            token, secret = services.create_token(user, actor=ACTOR, **fields)
        warnings = []
        if not options["scopes"]:
            warnings.append("It has no scopes, so it can't do anything yet.")
        if not owner_is_active(user):
            warnings.append("Its user is not active, so it will be rejected.")
        print_new_secret(self, "Created", token, secret, in_json=options["json"], warnings=warnings)
