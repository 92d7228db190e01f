"""Who may come in, for views that care which credentials a request has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from django.contrib.auth import get_user_model
from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:
    from rest_framework.views import APIView


class IsUser(BasePermission):
    """Allows a user of this site, and nobody whom the database does not know, as some stateless schemes have."""

    message = _("Personal access tokens belong to users of this site.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Tell whether the request comes from a user who can own tokens."""
        return bool(request.user) and request.user.is_authenticated and isinstance(request.user, get_user_model())


class HasToken(BasePermission):
    """Allows a request that came with a personal access token, and none with a session or another scheme."""

    message = _("This is for requests that carry a personal access token.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Tell whether the request was authenticated by a personal access token."""
        # DRF loads the classes that its settings name early, in some sites before there are models.
        return isinstance(request.auth, apps.get_model("pat_tokens", "PersonalAccessToken"))


__all__ = ["HasToken", "IsUser"]
