"""Check whether tokens work on this site."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError, no_translations

from pat_tokens.health import Level, check_health
from pat_tokens.management.base import TokenCommand


class Command(TokenCommand):
    help = "Check whether personal access tokens work: settings, tables, a look-up, clocks, peppers. Writes nothing."
    requires_system_checks = ()  # the command runs ours itself and reports the results

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--fail-level",
            type=str.lower,
            choices=[str(Level.WARNING), str(Level.ERROR)],
            default=str(Level.ERROR),
            help="The lowest level of findings that makes the command fail (error).",
        )

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        health = check_health()
        if options["json"]:
            self.write_json(health.as_dict())
        else:
            for finding in health.findings:
                self.stdout.write(f"{finding.level:8} {finding.name:12} {finding.text}")
        bad = health.at_least(Level(options["fail_level"]))
        if bad:
            raise CommandError(f"Not healthy: {', '.join(dict.fromkeys(finding.name for finding in bad))}.")
