"""Register the integration with Channels, whose consumers aren't in the URLconf."""

from __future__ import annotations

from typing import Any

from pat_tokens.integrations import Integration, Route, register_integration


def _owns(view: Any) -> bool:
    return hasattr(view, "as_asgi")


def _inspect(route: Route) -> None:
    return None


register_integration(Integration("Channels", _owns, _inspect, has_own_routes=True))
