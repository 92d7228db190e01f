"""Authentication classes for Django Ninja, which also enforce scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.views.decorators.debug import sensitive_variables
from ninja.security.base import SecuritySchema
from ninja.security.http import HttpAuthBase

from pat_tokens import authentication
from pat_tokens.conf import conf
from pat_tokens.contrib.ninja.exceptions import TokenRefused, answer_for
from pat_tokens.contrib.ninja.lists import bind_operation, can_be_bound, find_operation
from pat_tokens.crypto import is_legacy_key
from pat_tokens.declarations import find_sources
from pat_tokens.exceptions import ThirdPartyToken, TokenError
from pat_tokens.guards import bind_request, set_token_user
from pat_tokens.requirements import Requirement, Resolution, is_list

if TYPE_CHECKING:
    from django.http import HttpRequest

    from pat_tokens.models import PersonalAccessToken


class PersonalAccessTokenAuthentication(HttpAuthBase):
    """Authenticates a token and refuses it unless its scopes cover `requirement`.

    `@api.get("/channels/{pk}", auth=[PersonalAccessTokenAuthentication(Requirement("channels", "read", "pk")), ...])`
    takes the channel's id from the path parameter `pk`. Without a requirement, for example in the `auth` of the whole
    API, every token is refused, unless `declare_url` declares the URL name of the operation. Pass `limits_list=True` if
    the operation returns rows of `limit_to_token(request, queryset)`; any other list needs a scope on `*`.
    `request.user` is the token's owner and `request.auth` is the token.
    """

    openapi_scheme = "bearer"

    def __init__(self, requirement: Requirement | None = None, *, limits_list: bool = False) -> None:
        if requirement is not None and not isinstance(requirement, Requirement):
            raise ImproperlyConfigured(f"{requirement!r} is not a Requirement.")
        super().__init__()
        if (conf.header.title(), conf.keyword.lower()) != ("Authorization", "bearer"):
            self.openapi_security_schema = SecuritySchema(
                "apiKey",
                **{"in": "header", "name": conf.header},
                description=f"Required prefix: enter `{conf.keyword} {conf.prefix}_…`, not only the secret.",
            )
        self.requirement = requirement
        self.limits_list = limits_list

    def __call__(self, request: HttpRequest) -> PersonalAccessToken | None:
        operation = find_operation(request)
        if operation is not None:
            bind_operation(operation)
        if conf.header_key not in request.META:
            return None
        if operation is not None:  # otherwise, the response is that of any HttpError: status and detail
            answer_for(operation.api)
        try:
            token = self.get_token(request)
        except TokenError as error:
            raise TokenRefused(error) from error
        if token is not None:
            set_token_user(request, token)
        return token

    @sensitive_variables("secret")
    def get_token(self, request: HttpRequest) -> PersonalAccessToken | None:
        """Return the token if it meets the operation's requirement, or None without a token. Raises TokenError."""
        secret = authentication.read_secret(request)
        if secret is None:
            return None
        match = request.resolver_match
        named = (match.view_name, match.route) if match else (None, None)
        requirement = self.resolve(str(request.method), *named).requirement
        operation = find_operation(request)
        is_bound = request.method == "GET" and can_be_bound(operation)
        try:
            token = authentication.authenticate(
                secret,
                requirement,
                match.kwargs if match else {},
                filtered=is_bound and self.is_filtered(requirement),
                third_party=requirement is None and is_legacy_key(secret),
                request=request,
            )
        except ThirdPartyToken:
            return None
        bind_request(request, token, requirement)
        return token

    def resolve(self, method: str, url_name: str | None, route: str | None = None) -> Resolution:
        """Return what is declared for the route or URL name, otherwise what the operation declares."""
        method = "GET" if method == "HEAD" else method
        own = None if self.requirement is None else {method: self.requirement}
        declared = find_sources(view=None, url_name=url_name, own=own, route=route).find((method,))
        return declared or Resolution(None, "not declared: the operation's auth has no requirement")

    def is_filtered(self, requirement: Requirement | None) -> bool:
        """Return whether the operation limits its list to ids, so that scopes for some ids are enough."""
        return self.limits_list and requirement is not None and is_list(requirement)


class AsyncPersonalAccessTokenAuthentication(PersonalAccessTokenAuthentication):
    """The same for `async def` operations, without blocking the event loop in any version of Ninja."""

    async def __call__(self, request: HttpRequest) -> PersonalAccessToken | None:  # type: ignore[override]
        return await sync_to_async(super().__call__)(request)


__all__ = ["AsyncPersonalAccessTokenAuthentication", "PersonalAccessTokenAuthentication"]
