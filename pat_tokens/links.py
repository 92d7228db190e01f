"""Absolute links to the pages, for responses, emails and commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse

from pat_tokens.policy import get_policy
from pat_tokens.scopes import ScopeKey
from pat_tokens.validation import find_no_longer_grantable

if TYPE_CHECKING:
    from django.http import HttpRequest

    from pat_tokens.models import PersonalAccessToken


def page_url(name: str, *args: Any, user: Any, query: str = "", request: HttpRequest | None = None) -> str | None:
    """Return the absolute URL of the page `name`, for `user`.

    None if the site hasn't mounted the pages, or if its base URL is unknown.
    """
    path, base = page_path(name, *args, query=query), get_policy().get_site_url(user, request)
    return base.rstrip("/") + path if base and path else None


def page_path(name: str, *args: Any, query: str = "") -> str | None:
    """Return the path of the page `name`, or None if the site hasn't mounted the pages."""
    try:
        path = reverse(f"pat_tokens:{name}", args=args)
    except NoReverseMatch:
        return None
    return f"{path}?{query}" if query else path


def scopes_add_url(
    token: PersonalAccessToken, scopes: Iterable[ScopeKey], *, request: HttpRequest | None = None
) -> str | None:
    """Return the absolute URL of the page where the owner adds `scopes` to `token`, with these filled in."""
    return page_url("scopes_add", token.pk, user=token.user, query=scope_query(scopes), request=request)


def can_add(token: PersonalAccessToken, scopes: Iterable[ScopeKey]) -> bool:
    """Return whether the policy lets the owner of `token` grant all of `scopes`, so that a link has an effect."""
    return not find_no_longer_grantable(token, scopes)


def scope_query(scopes: Iterable[ScopeKey]) -> str:
    """Return a query string with `scopes`: `scope=channels:42:publish`, repeated for each."""
    return urlencode([("scope", str(scope)) for scope in scopes], safe=":*")
