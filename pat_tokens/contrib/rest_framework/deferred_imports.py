"""Modules that need the models, imported when they are first used.

DRF imports the classes that its settings name together with `rest_framework.views`. Some sites do that before the
models are loaded.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from django.utils.functional import SimpleLazyObject

if TYPE_CHECKING:
    from pat_tokens import authentication, filtering, guards
else:
    authentication = SimpleLazyObject(partial(import_module, "pat_tokens.authentication"))
    filtering = SimpleLazyObject(partial(import_module, "pat_tokens.filtering"))
    guards = SimpleLazyObject(partial(import_module, "pat_tokens.guards"))

__all__: list[str] = ["authentication", "filtering", "guards"]  # for type checkers: the module is not public
