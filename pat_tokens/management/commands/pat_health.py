"""Say whether tokens work here."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError, no_translations

from pat_tokens.health import Level, check_health
from pat_tokens.management.base import TokenCommand


class Command(TokenCommand):
    """`pat_health --json`, for a monitor."""

    help = "Say whether personal access tokens work here: settings, tables, a look-up, clocks. Nothing is written."
    requires_system_checks = ()  # it runs those of ours itself, and says what they say

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what is a failure."""
        super().add_arguments(parser)
        parser.add_argument(
            "--fail-level",
            type=str.lower,
            choices=[str(Level.WARNING), str(Level.ERROR)],
            default=str(Level.ERROR),
            help="From which level on a finding makes the command fail (error).",
        )

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        """Print each finding; fail where one is bad enough."""
        health = check_health()
        if options["json"]:
            self.write_json(health.as_dict())
        else:
            for finding in health.findings:
                self.stdout.write(f"{finding.level:8} {finding.name:12} {finding.text}")
        bad = health.at_least(Level(options["fail_level"]))
        if bad:
            raise CommandError(f"Not healthy: {', '.join(dict.fromkeys(finding.name for finding in bad))}.")
