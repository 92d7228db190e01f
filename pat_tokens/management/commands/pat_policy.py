"""List the tokens that the current policy would not allow."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import no_translations

from pat_tokens import services
from pat_tokens.management.base import (
    ACTOR,
    TokenCommand,
    add_confirmation_argument,
    as_dict,
    confirm,
    counted,
    printable,
)
from pat_tokens.models import PersonalAccessToken
from pat_tokens.validation import find_policy_problems

CHUNK = 100  # tokens in memory at a time, each with up to hundreds of scopes


class Command(TokenCommand):
    help = "List active tokens that today's policy would not allow, with the reasons, or revoke them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--revoke", action="store_true", help="Revoke these tokens.")
        add_confirmation_argument(parser)

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        tokens = PersonalAccessToken.objects.active().select_related("user", "previous").prefetch_related("scope_set")
        found = []
        for token in tokens.order_by("user_id", "pk").iterator(CHUNK):
            problems = find_policy_problems(token, [scope.key for scope in token.scope_set.all()])
            if problems:
                found.append((token, problems))
        is_revoked = bool(options["revoke"] and found)
        if is_revoked:
            confirm(self, f"This revokes {counted(len(found), 'token')} that the policy doesn't allow.", options)
            for token, _problems in found:
                services.revoke_token(token, actor=ACTOR)
        if options["json"]:
            self.write_json([{**as_dict(token), "revoked": is_revoked, "problems": texts} for token, texts in found])
            return
        for token, problems in found:
            owner, name = printable(token.user.get_username()), printable(token.name)
            self.stdout.write(f"{token.pk}  {owner}  {name}{'  (revoked)' if is_revoked else ''}")
            for text in problems:
                self.stdout.write(f"    {printable(text)}")
        self.stdout.write(f"The policy doesn't allow {counted(len(found), 'active token')}.")
