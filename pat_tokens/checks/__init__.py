"""System checks: settings, entity types, routes, and what only a deployment needs."""

from pat_tokens.checks.settings import register_checks

__all__ = ["register_checks"]
