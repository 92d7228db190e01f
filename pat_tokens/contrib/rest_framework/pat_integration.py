"""Register the integration with Django REST framework without importing the framework."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from django.apps import apps

from pat_tokens.contrib.rest_framework.checks import SETTINGS_CHECKS
from pat_tokens.integrations import Integration, Route, RouteReport, register_integration


def _owns(view: Any) -> bool:
    return hasattr(getattr(view, "cls", None), "authentication_classes")


def _inspect(route: Route) -> RouteReport | None:
    # A site can have DRF views without DRF among its apps; a site that has none does not load DRF for this.
    if "rest_framework.views" not in sys.modules:
        return None
    report: RouteReport | None = import_module("pat_tokens.contrib.rest_framework.inspection").inspect(route)
    return report


register_integration(Integration("DRF", _owns, _inspect, checks=SETTINGS_CHECKS))

if apps.is_installed("drf_spectacular"):
    for module in ("schema", "schema_views"):
        import_module(f"pat_tokens.contrib.rest_framework.{module}")
