"""Questions that a site answers with code: one class, named by `PAT_TOKENS_POLICY`, whose methods a site overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import SESSION_KEY
from django.core.exceptions import DisallowedHost
from django.utils.module_loading import import_string

from pat_tokens.conf import conf

if TYPE_CHECKING:
    from django.http import HttpRequest


class Policy:
    """The default answers. Override the methods that your site needs and leave the others."""

    def can_manage_tokens(self, request: HttpRequest) -> bool:
        """Return whether the credential of `request` stands for the user in person, so that it can manage tokens.

        The management API asks this once one of `PAT_TOKENS_MANAGEMENT_AUTHENTICATION` has authenticated the request.
        `request` is REST framework's: `request.user`, and `request.auth` with what the authentication class returned.
        Refuse a credential that is limited to a part of what its user can do: it could otherwise create a token that
        does more than itself. The default trusts every class that the setting names, and sessions only where the user
        is the one who logged in to the session, not one whom a middleware set for an API key or an OAuth token.
        """
        authentication = getattr(request, "successful_authenticator", None)
        # A class that checks CSRF takes the user of Django's request, whoever set it there.
        takes_users_of_middleware = authentication is None or hasattr(authentication, "enforce_csrf")
        return not takes_users_of_middleware or has_own_session(request)

    def get_site_url(self, request: HttpRequest | None) -> str:
        """Return the address of this site for links to the pages, such as `https://example.org`.

        `request` is None for mails and commands. The default is `PAT_TOKENS_SITE_URL`, else the host of the request. An
        empty string means that the address is unknown, so there is no link.
        """
        if conf.site_url or request is None:
            return conf.site_url
        try:
            return f"{request.scheme}://{request.get_host()}"
        except DisallowedHost:  # a view may answer without asking for the host
            return ""


def has_own_session(request: HttpRequest) -> bool:
    """Return whether the user of `request` is the one who logged in to its session."""
    user: Any = request.user
    session = getattr(request, "session", None)
    return session is not None and session.get(SESSION_KEY) == user._meta.pk.value_to_string(user)


def get_policy() -> Policy:
    """Return the site's policy."""
    policy_class: type[Policy] = import_string(conf.policy) if isinstance(conf.policy, str) else conf.policy
    return policy_class()


__all__ = ["Policy", "get_policy", "has_own_session"]
