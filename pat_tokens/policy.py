"""The site's own rules: a class, set by `PAT_TOKENS_POLICY`, whose methods a site overrides."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.contrib import auth
from django.contrib.auth import SESSION_KEY, get_user_model
from django.core.exceptions import DisallowedHost
from django.utils.module_loading import import_string

from pat_tokens.conf import conf
from pat_tokens.entities import EntityType, Operation, Preset, registry
from pat_tokens.networks import Address, address_headers, find_client, parse_address

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    from pat_tokens.models import PersonalAccessToken


class Policy:
    """The default rules. Override the methods that your site needs."""

    # Called at each request

    def can_have_tokens(self, user: Any) -> bool:
        """Return whether `user` can have tokens at all.

        If not, the menu entry and the pages are hidden, the API responds with 403, nothing can be created, and no token
        of this user works.
        """
        return True

    def refuse_token(self, token: PersonalAccessToken, request: HttpRequest | None) -> str | bool | None:
        """Return whether to refuse `token` now, with a 401; a string is the reason that the client sees.

        `request` is None where the token is used without one, and when an open stream is checked again.
        """
        return None

    # Called when something is created, widened or renewed; `token` is None if it doesn't exist yet

    def get_max_tokens(self, user: Any) -> int:
        """Return how many tokens `user` can have, including inactive ones."""
        return conf.max_tokens_per_user

    def get_default_duration(self, user: Any, token: PersonalAccessToken | None = None) -> str:
        """Return how long a token lives if none is given, such as `30d`. Cut to the maximum."""
        return conf.default_duration

    def get_max_duration(self, user: Any, token: PersonalAccessToken | None = None) -> str:
        """Return the longest duration that can be chosen, such as `366d`."""
        return conf.max_duration

    def allows_no_expiration(self, user: Any, token: PersonalAccessToken | None = None) -> bool:
        """Return whether tokens without an expiration date are allowed."""
        return conf.allow_no_expiry

    def can_grant(
        self, user: Any, entity_type: EntityType, operation: Operation, token: PersonalAccessToken | None = None
    ) -> bool:
        """Return whether `user` can give a token scopes for `operation` on this entity type."""
        return True

    def requires_networks(self, user: Any, token: PersonalAccessToken | None = None) -> bool:
        """Return whether a token has to be limited to networks."""
        return bool(self.get_network_limits(user, token))

    def get_network_limits(self, user: Any, token: PersonalAccessToken | None = None) -> Sequence[str]:
        """Return the networks that those of a token have to lie in, such as `["10.0.0.0/8"]`; empty for any."""
        return ()

    # Called to find out who manages tokens

    def can_manage_tokens(self, request: HttpRequest) -> bool:
        """Return whether the credential of `request` stands for the user in person, so that it can manage tokens.

        The management API calls this after one of `PAT_TOKENS_MANAGEMENT_AUTHENTICATION` has authenticated the request.
        `request` is REST framework's, with `request.user` and `request.auth`. Refuse credentials that can do less than
        their user: they could otherwise create a token that can do more. The default trusts every class in the setting.
        It accepts sessions only if the user is the one who logged in, not one that middleware set for an API key or an
        OAuth token.
        """
        authentication = getattr(request, "successful_authenticator", None)
        # A class that checks CSRF uses the user of Django's request, which middleware can have set.
        takes_users_of_middleware = authentication is None or hasattr(authentication, "enforce_csrf")
        return not takes_users_of_middleware or has_own_session(request)

    def get_managed_users(self, user: Any) -> QuerySet[Any]:
        """Return the other users whose tokens `user` manages, such as service accounts.

        Those tokens are then listed, created, edited and deleted by pages and API with `?owner=<username>`. A token of
        an account with more rights can't be created, renewed or widened: that of a superuser unless `user` is one too,
        or of a staff member unless `user` is one too. The queryset must support `filter()`, so don't slice it.
        """
        return get_user_model()._base_manager.none()

    def get_reauthentication(self, request: HttpRequest) -> float | str | None:
        """Return how the user of `request` has to confirm their identity before a sensitive action.

        None: not at all. A number: by their password, which then counts for this number of seconds. A string: on the
        page of the site with this URL; an empty one refuses the action.
        """
        return conf.reauthenticate_after

    # Requests, emails and links

    def get_client_ip(self, request: HttpRequest) -> str | None:
        """Return the address of the client, or None if it can't be known for sure.

        Tokens with allowed networks are refused where it is unknown. The default is `REMOTE_ADDR`, or what a proxy in
        `PAT_TOKENS_TRUSTED_PROXIES` has added to `X-Forwarded-For`.
        """
        return find_client(address_headers(request), conf.trusted_proxies)

    def get_language(self, user: Any) -> str | None:
        """Return the language of emails to `user`, such as `de`; None is `LANGUAGE_CODE`."""
        return None

    def get_email_addresses(self, user: Any) -> Sequence[str]:
        """Return the addresses that get the emails about the tokens of `user`."""
        field = user.get_email_field_name() if hasattr(user, "get_email_field_name") else "email"
        address = str(getattr(user, field, None) or "")
        return [address] if address else []

    def get_site_url(self, user: Any, request: HttpRequest | None = None) -> str:
        """Return the address of this site for links to the pages of `user`, such as `https://example.org`.

        `request` is None for mails and commands. The default is `PAT_TOKENS_SITE_URL`, else the host of the request. An
        empty string means that the address is unknown, so there is no link.
        """
        if conf.site_url or request is None:
            return conf.site_url
        try:
            return f"{request.scheme}://{request.get_host()}"
        except DisallowedHost:  # a view can respond without reading the host
            return ""


def client_ip(request: HttpRequest) -> str | None:
    """Return the client's address in the form that databases need, or None if it is unknown."""
    return _normalized(client_address(request))


def client_address(request: HttpRequest) -> Address | None:
    """Return the client's address for comparisons with networks, or None if it is unknown."""
    return parse_address(get_policy().get_client_ip(request))


def recorded_ip(request: HttpRequest) -> str | None:
    """Return the address for logs and limits: the client's, or that of the peer if the client's is unknown.

    Otherwise, a client could leave no trace by adding a header.
    """
    return client_ip(request) or _normalized(parse_address(request.META.get("REMOTE_ADDR")))


def _normalized(address: Address | None) -> str | None:
    return None if address is None else str(address)


def can_see_tokens(user: Any) -> bool:
    """Return whether `user` can have tokens, or manages those of other users."""
    policy = get_policy()
    return policy.can_have_tokens(user) or policy.get_managed_users(user).exists()


def has_own_session(request: HttpRequest) -> bool:
    """Return whether the user of `request` is the one who logged in to its session."""
    user: Any = getattr(request, "user", None)
    session = getattr(request, "session", None)
    if session is None or not isinstance(user, get_user_model()):
        return False
    if session.get(SESSION_KEY) != user._meta.pk.value_to_string(user):
        return False
    if not hasattr(request, "_cached_user"):
        # Django's middleware hasn't done this, because other middleware has set a user. `get_user()` ends the session
        # if the password has changed.
        request._cached_user = auth.get_user(request)  # type: ignore[attr-defined]
    return SESSION_KEY in session


def get_policy() -> Policy:
    """Return an instance of the site's policy class."""
    chosen: Any = conf.policy
    return _make(chosen)


@lru_cache(maxsize=8)
def _make(policy: Any) -> Policy:
    policy_class: type[Policy] = import_string(policy) if isinstance(policy, str) else policy
    return policy_class()


def is_overridden(method: str) -> bool:
    """Return whether the site's policy overrides this method."""
    return getattr(type(get_policy()), method) is not getattr(Policy, method)


def grantable_operations(
    user: Any, entity_type: EntityType, token: PersonalAccessToken | None = None
) -> list[Operation]:
    """Return the operations on `entity_type` that `user` can grant."""
    policy = get_policy()
    return [operation for operation in entity_type.operations if policy.can_grant(user, entity_type, operation, token)]


def grantable_types(user: Any, token: PersonalAccessToken | None = None) -> list[EntityType]:
    """Return the entity types of which `user` can grant any operation."""
    return [entity_type for entity_type in registry if grantable_operations(user, entity_type, token)]


def grantable_presets(user: Any) -> list[Preset]:
    """Return the presets of which `user` can grant every scope."""
    grantable = {
        (entity_type.name, operation.name)
        for entity_type in registry
        for operation in grantable_operations(user, entity_type)
    }
    return [
        preset
        for preset in registry.presets
        if all((scope.entity_type, scope.operation) in grantable for scope in preset.scopes)
    ]


__all__ = ["Policy", "get_policy", "has_own_session"]
