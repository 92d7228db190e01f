"""Rate limits per token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

if TYPE_CHECKING:
    from rest_framework.views import APIView


class TokenRateThrottle(SimpleRateThrottle):
    """Limits the requests of each token to the rate `DEFAULT_THROTTLE_RATES["pat"]`, such as `1000/hour`.

    Requests without a token aren't limited. A regenerated token keeps its count.
    """

    scope = "pat"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        token = request.auth
        # DRF loads the classes that its settings name early, in some sites before there are models.
        if not isinstance(token, apps.get_model("pat_tokens", "PersonalAccessToken")):
            return None
        return self.cache_format % {"scope": self.scope, "ident": token.pk}


__all__ = ["TokenRateThrottle"]
