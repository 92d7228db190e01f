"""The app configuration: it alone imports from every layer."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class PatTokensConfig(AppConfig):
    """The app. When all apps are loaded, it imports their `pat_integration` and `pat_entities` modules."""

    name = "pat_tokens"
    verbose_name = _("Personal access tokens")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Find integrations and entity types, and register the checks."""
        from pat_tokens import checks, contrib  # noqa: PLC0415 -- the checks need the models

        for package in iter_modules(contrib.__path__, f"{contrib.__name__}."):
            module = f"{package.name}.pat_integration"
            if find_spec(module):
                import_module(module)
        autodiscover_modules("pat_integration")
        autodiscover_modules("pat_entities")
        checks.register_checks()
