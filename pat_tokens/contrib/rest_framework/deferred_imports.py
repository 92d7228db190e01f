"""Modules that need the models, imported when they are first used.

DRF imports the classes that its settings name together with `rest_framework.views`. Some sites do that before the
models are loaded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pat_tokens import authentication, filtering, guards

__all__: list[str] = ["authentication", "filtering", "guards"]  # the module is not public


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(name)
    # Kept, so that this function is called once for each module (PEP 562).
    module = globals()[name] = import_module(f"pat_tokens.{name}")
    return module
