"""Explain why a token is allowed to make a request, or refused."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import no_translations

from pat_tokens.inspection.explain import METHODS, Explanation, explain
from pat_tokens.management.base import TokenCommand, find_or_read_token, printable

_SIGNS = {True: "yes", False: "NO", None: "?"}


class Command(TokenCommand):
    help = (
        "Explain why a personal access token is allowed to make a request, or refused. Doesn't run the view, and "
        "writes nothing."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("token", help="The token's id, or - to read its secret from standard input.")
        parser.add_argument("method", type=str.upper, choices=METHODS, help="The HTTP method.")
        parser.add_argument("path", help="The path of the request, such as /api/channels/42/.")

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        token = find_or_read_token(options["token"])
        explanation = explain(token, options["method"], options["path"])
        if options["json"]:
            self.write_json(explanation.as_dict())
        else:
            self._print(explanation)

    def _print(self, explanation: Explanation) -> None:
        for step in explanation.steps:
            self.stdout.write(f"{_SIGNS[step.ok]:4} {step.name:12} {printable(step.text)}")
        if explanation.allowed and explanation.suggested:
            self.stdout.write("It depends on the view whether this is allowed.")
        elif explanation.allowed:
            self.stdout.write("Allowed, unless the view itself refuses the request.")
        elif explanation.status is None:
            self.stdout.write("Not read: the view treats the request as if it had no token.")
        else:
            self.stdout.write(f"Refused: {explanation.status} {explanation.code}")
        if explanation.fix_url:
            self.stdout.write(f"To add what is missing: {explanation.fix_url}")
