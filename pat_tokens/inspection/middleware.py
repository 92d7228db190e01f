"""Middleware that responds before a view is called."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from pat_tokens.conf import MIDDLEWARE_PATH, site_middleware

CSRF = "django.middleware.csrf.CsrfViewMiddleware"
LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"  # by name: it imports the user model


def middleware_before_ours() -> Iterator[str]:
    """Return the middleware that can respond before ours reads the token, by dotted path; without ours, all of them."""
    ours = next((path for path, _middleware in site_middleware(MIDDLEWARE_PATH)), None)
    place = len(settings.MIDDLEWARE) if ours is None else settings.MIDDLEWARE.index(ours)
    for path, _middleware in site_middleware(CSRF, LOGIN_REQUIRED):
        if settings.MIDDLEWARE.index(path) < place:
            yield path


def middleware_that_refuses(name: str, *, is_ours: bool) -> str | None:
    """Return the middleware of the class `name` that responds before the token of a request is read, or None.

    `is_ours`: our middleware reads the token, and not the view itself.
    """
    found = (path for path, _middleware in site_middleware(name))
    return next((path for path in found if not is_ours or path in middleware_before_ours()), None)
