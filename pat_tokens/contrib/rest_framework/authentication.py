"""The authentication class for DRF, which authenticates a token and enforces its scopes.

DRF imports the classes named in its settings early, in some sites before the models are loaded. Whatever needs models
is therefore imported when a request comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from pat_tokens.conf import conf
from pat_tokens.contrib.rest_framework.exceptions import TokenAPIException
from pat_tokens.contrib.rest_framework.filters import is_filtered
from pat_tokens.contrib.rest_framework.guards import guard, guard_options, vary
from pat_tokens.contrib.rest_framework.introspection import ViewInfo
from pat_tokens.contrib.rest_framework.requirements import find_requirement, required_scopes_for_options
from pat_tokens.crypto import is_legacy_key
from pat_tokens.exceptions import InsufficientScope, ScopeNotDeclared, ThirdPartyToken, TokenError
from pat_tokens.filtering import is_list
from pat_tokens.http import challenge

if TYPE_CHECKING:
    # Not at run time: the classes that DRF's own settings name are imported while `rest_framework.views` is.
    from rest_framework.views import APIView

    from pat_tokens.models import PersonalAccessToken


class PersonalAccessTokenAuthentication(BaseAuthentication):
    """Authenticates `Authorization: Bearer <secret>` and refuses what the token's scopes do not cover.

    All of the enforcement is here, so that it also holds on views which name their own permission classes. A view
    without a requirement refuses every token. `request.auth` is the token. A key of DRF's authtoken that was not
    imported is left to a class that challenges for the same scheme, as TokenAuthentication does, and else refused.
    """

    def authenticate(self, request: Request) -> tuple[Any, PersonalAccessToken] | None:
        """Return the token's owner and the token; None where the header is not for us."""
        from pat_tokens import authentication

        view = (request.parser_context or {}).get("view")
        vary(view)
        try:
            secret = authentication.read_secret(request._request)
            if secret is None:
                return None
            token = self.get_token(request, secret, view)
        except ThirdPartyToken:
            return None
        except TokenError as error:
            raise TokenAPIException(error) from error
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401 to a request without credentials (RFC 6750 section 3)."""
        return challenge(None, keyword=conf.keyword, realm=conf.realm)

    def get_token(self, request: Request, secret: str, view: APIView | None) -> PersonalAccessToken:
        """Return the token, if it may do what the view requires; raises TokenError, and ThirdPartyToken."""
        from pat_tokens import authentication

        third_party = is_legacy_key(secret) and self._is_for_another(request)
        if view is None:
            return authentication.authenticate(secret, None, third_party=third_party, request=request._request)
        method = str(request.method)  # asked for once: it is a way round to Django's request each time
        if method == "OPTIONS" and not ViewInfo.of(view).has_own_options:
            return self._get_token_for_options(request, secret, view, third_party)
        resolution = find_requirement(view, request, method)
        requirement = resolution.requirement
        token = authentication.authenticate(
            secret,
            requirement,
            view.kwargs,
            filtered=requirement is not None and is_list(requirement) and is_filtered(ViewInfo.of(view), requirement),
            third_party=third_party,
            request=request._request,
        )
        guard(view, request, method, token, resolution)
        return token

    def _get_token_for_options(
        self, request: Request, secret: str, view: APIView, third_party: bool
    ) -> PersonalAccessToken:
        from pat_tokens import authentication

        refusal: TokenError = ScopeNotDeclared()
        token = None
        for required_scope in required_scopes_for_options(view, request):
            token = authentication.authenticate_for_scope(
                secret, required_scope, third_party=third_party, request=request._request
            )
            if token.decision is not None and not token.decision:
                refusal = InsufficientScope(token.decision.missing)
                continue
            authentication.allow(token, request=request._request)
            guard_options(view, request, token)
            return token
        token = token or authentication.authenticate_for_scope(
            secret, None, third_party=third_party, request=request._request
        )
        raise authentication.refuse(refusal, token=token, request=request._request)

    def _is_for_another(self, request: Request) -> bool:
        from pat_tokens import authentication

        scheme = authentication.legacy_scheme(request._request)
        challenges = (
            str(one.authenticate_header(request) or "")
            for one in request.authenticators or ()
            if isinstance(one, BaseAuthentication) and not isinstance(one, PersonalAccessTokenAuthentication)
        )
        return any(text.partition(" ")[0].lower() == scheme for text in challenges)


__all__ = ["PersonalAccessTokenAuthentication"]
