"""Register the integration with Django Ninja without importing the framework."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from pat_tokens.integrations import Integration, Route, RouteReport, register_integration


def _owns(view: Any) -> bool:
    # Views of Ninja can only be recognized by their module: they are functions, or methods in older versions.
    return getattr(view, "__module__", None) == "ninja.operation"


def _inspect(route: Route) -> RouteReport | None:
    if "pat_tokens.contrib.ninja.authentication" not in sys.modules:
        return None
    report: RouteReport | None = import_module("pat_tokens.contrib.ninja.inspection").inspect(route)
    return report


register_integration(Integration("Django Ninja", _owns, _inspect))
