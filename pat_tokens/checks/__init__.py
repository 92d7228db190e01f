"""System checks. Each message has a hint, and an id that is never reused."""

from __future__ import annotations

from django.core.checks import Tags, register

from pat_tokens.checks.deployment import DEPLOYMENT_CHECKS
from pat_tokens.checks.entity_types import check_entity_types
from pat_tokens.checks.routes import check_routes
from pat_tokens.checks.settings import SETTINGS_CHECKS
from pat_tokens.health import SETTINGS_TAG
from pat_tokens.integrations import integration_checks

TAG = "pat_tokens"


def register_checks() -> None:
    """Register the checks, including those for `check --deploy`."""
    for check in (*SETTINGS_CHECKS, *integration_checks(), check_entity_types):
        register(check, TAG, SETTINGS_TAG)
    register(check_routes, TAG)
    for check in DEPLOYMENT_CHECKS:
        register(check, TAG, Tags.security, deploy=True)
