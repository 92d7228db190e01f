"""Prevent framing of pages (clickjacking), whatever middleware a site has."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.http import HttpResponseBase
from django.http.response import ResponseHeaders

CSP = "Content-Security-Policy"
NO_FRAMES = "frame-ancestors 'none'"


def never_framed(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Decorate a view so that browsers don't show its responses in a frame."""

    @functools.wraps(view)
    def call(*args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(*args, **kwargs)
        response.headers = _UnframedHeaders(dict(response.headers))
        response.headers["X-Frame-Options"] = "DENY"
        return response

    return call


class _UnframedHeaders(ResponseHeaders):
    """Adds our policy to the site's policy, which its middleware sets later. Browsers enforce both.

    Browsers ignore X-Frame-Options if a policy has frame-ancestors. Middleware doesn't change a policy that is already
    set, so ours is hidden from it.
    """

    def __init__(self, data: dict[str, str]) -> None:
        super().__init__(data)
        if CSP not in self:
            self[CSP] = ""

    def __setitem__(self, key: str, value: Any) -> None:
        if key.lower() == CSP.lower():
            value = f"{value}, {NO_FRAMES}" if value else NO_FRAMES
        super().__setitem__(key, value)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) and not self._is_ours_alone(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the header, unless it is our hidden policy."""
        return default if self._is_ours_alone(key) else super().get(key, default)

    def _is_ours_alone(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() == CSP.lower() and self._store.get(key.lower()) == (CSP, NO_FRAMES)
