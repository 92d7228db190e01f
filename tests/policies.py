"""Policies of test sites."""

from collections.abc import Callable
from typing import Any

from pat_tokens.policy import Policy


def policy_with(**methods: Callable[..., Any]) -> type[Policy]:
    """Make a policy that overrides these methods with functions, which take no `self`."""
    return type("SitePolicy", (Policy,), {name: staticmethod(method) for name, method in methods.items()})
