"""A rate of requests for each token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

if TYPE_CHECKING:
    from rest_framework.views import APIView


class TokenRateThrottle(SimpleRateThrottle):
    """Counts the requests of each token by itself, at the rate `DEFAULT_THROTTLE_RATES["pat"]`, such as `1000/hour`.

    Requests without a token are left to the site's other throttles. A regenerated token keeps its count.
    """

    scope = "pat"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        """Return the key of the token's count, or None where the request has no token."""
        token = request.auth
        # DRF loads the classes that its settings name early, in some sites before there are models.
        if not isinstance(token, apps.get_model("pat_tokens", "PersonalAccessToken")):
            return None
        return self.cache_format % {"scope": self.scope, "ident": token.pk}


__all__ = ["TokenRateThrottle"]
