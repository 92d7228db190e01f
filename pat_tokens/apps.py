"""Wiring: sees every room, is seen by none."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from django.apps import AppConfig, apps
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class PatTokensConfig(AppConfig):
    """The app; once all apps are loaded it imports each one's `pat_entities` module."""

    name = "pat_tokens"
    verbose_name = _("Personal access tokens")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Discover what the site registers, register the checks, and extend drf-spectacular where it is installed."""
        from pat_tokens import checks  # noqa: PLC0415 -- it needs the models, which are there only now

        autodiscover_modules("pat_entities")
        checks.register_checks()
        _register_inspectors()
        if apps.is_installed("drf_spectacular"):
            for module in ("schema", "schema_views"):
                import_module(f"pat_tokens.contrib.rest_framework.{module}")


def _register_inspectors() -> None:
    routes = import_module("pat_tokens.inspection.routes")
    routes.register_inspector(_inspect_drf)


def _inspect_drf(route: Any) -> Any:
    # A site may have views of DRF without it among its apps; whoever has none need not load it.
    if "rest_framework.views" not in sys.modules:
        return None
    return import_module("pat_tokens.contrib.rest_framework.inspection").inspect(route)
