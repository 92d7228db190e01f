"""The DRF authentication class, which also enforces scopes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request

from pat_tokens.conf import conf
from pat_tokens.contrib.rest_framework import deferred_imports as deferred
from pat_tokens.contrib.rest_framework.exceptions import TokenAPIException
from pat_tokens.contrib.rest_framework.filters import is_filtered
from pat_tokens.contrib.rest_framework.guards import guard, guard_options, observe_errors, observe_responses, vary
from pat_tokens.contrib.rest_framework.introspection import ViewInfo
from pat_tokens.contrib.rest_framework.requirements import NO_METHOD, find_requirement, find_requirements
from pat_tokens.crypto import is_legacy_key
from pat_tokens.exceptions import ThirdPartyToken, TokenError
from pat_tokens.http import challenge
from pat_tokens.request_state import ViewState
from pat_tokens.requirements import is_list

if TYPE_CHECKING:
    # Not at run time: the classes that DRF's own settings name are imported while `rest_framework.views` is.
    from rest_framework.views import APIView

    from pat_tokens.models import PersonalAccessToken


class PersonalAccessTokenAuthentication(BaseAuthentication):
    """Authenticates `Authorization: Bearer <secret>`, and refuses requests that the token's scopes don't cover.

    Scopes are enforced here, so they also apply to views that set their own permission classes. A view without a
    requirement refuses every token. `request.auth` is the token. An authtoken key that wasn't imported is passed on if
    another class challenges for the same scheme, such as TokenAuthentication, and refused otherwise.
    """

    def authenticate(self, request: Request) -> tuple[Any, PersonalAccessToken] | None:
        """Return the token's owner and the token, or None if the header has no secret of ours."""
        view = (request.parser_context or {}).get("view")
        vary(view)
        if conf.header_key not in request._request.META:
            return None
        state = ViewState()
        observe_errors(view, state, request)
        try:
            secret = deferred.authentication.read_secret(request._request)
            if secret is None:
                return None
            observe_responses(view, state)
            token = self.get_token(request, secret, view, state)
        except ThirdPartyToken:
            return None
        except TokenError as error:
            raise TokenAPIException(error) from error
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of the next class that has one, followed by ours (RFC 6750 section 3).

        DRF only calls the first class of a view, and clients expect the challenge that they got before it was added.
        """
        ours = challenge(None, keyword=conf.keyword, realm=conf.realm)
        theirs = next(self._find_challenges(request), ours)
        return ours if theirs == ours else f"{theirs}, {ours}"

    def get_token(self, request: Request, secret: str, view: APIView | None, state: ViewState) -> PersonalAccessToken:
        """Return the token if it meets the view's requirement.

        Raises TokenError, ThirdPartyToken, and MethodNotAllowed if the view has no such method.
        """
        third_party = is_legacy_key(secret) and self._is_for_another(request)
        if view is None:
            return deferred.authentication.authenticate(secret, None, third_party=third_party, request=request._request)
        method = str(request.method)  # read once, because each access goes through Django's request
        if method == "OPTIONS" and not ViewInfo.of(view).has_own_options:
            token = deferred.authentication.authenticate_options(
                secret, find_requirements(view, request), view.kwargs, third_party=third_party, request=request._request
            )
            guard_options(view, request, token)
            return token
        resolution = find_requirement(view, request, method)
        if resolution is NO_METHOD:
            # Raised here, so that permissions, throttles and middleware don't see the owner, whom a 405 doesn't need.
            deferred.authentication.authenticate_for_scope(
                secret, None, third_party=third_party, request=request._request
            )
            raise MethodNotAllowed(method)
        requirement = resolution.requirement
        token = deferred.authentication.authenticate(
            secret,
            requirement,
            view.kwargs,
            # Only GET and HEAD: what other methods have written couldn't be undone if their list were refused.
            filtered=method in ("GET", "HEAD")
            and requirement is not None
            and is_list(requirement)
            and is_filtered(ViewInfo.of(view), requirement),
            third_party=third_party,
            request=request._request,
        )
        guard(view, state, request, method, token, resolution)
        return token

    def _is_for_another(self, request: Request) -> bool:
        scheme = deferred.authentication.legacy_scheme(request._request)
        return any(text.partition(" ")[0].lower() == scheme for text in self._find_challenges(request))

    def _find_challenges(self, request: Request) -> Iterator[str]:
        for one in request.authenticators or ():
            if isinstance(one, BaseAuthentication) and not isinstance(one, PersonalAccessTokenAuthentication):
                text = str(one.authenticate_header(request) or "")
                if text:
                    yield text


__all__ = ["PersonalAccessTokenAuthentication"]
