"""Who may come in, for views that care which credentials a request has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from django.contrib.auth import get_user_model
from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from pat_tokens.policy import can_see_tokens, get_policy

if TYPE_CHECKING:
    from rest_framework.views import APIView


NOT_IN_PERSON = _(
    "This request has no credential that can manage personal access tokens. Log in. Sites accept other credentials by "
    "PAT_TOKENS_MANAGEMENT_AUTHENTICATION and their policy's can_manage_tokens()."
)


class IsUser(BasePermission):
    """Allows a user of this site, and nobody whom the database does not know, as some stateless schemes have."""

    message = _("Personal access tokens belong to users of this site.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Tell whether the request comes from a user who can own tokens."""
        return bool(request.user) and request.user.is_authenticated and isinstance(request.user, get_user_model())


class CanHaveTokens(BasePermission):
    """Allows a user who can have tokens according to the site's policy."""

    message = _("You can't have personal access tokens on this site.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the user has any tokens to look after."""
        return can_see_tokens(request.user)


class IsOwnerInPerson(BasePermission):
    """Allows a user who is there in person: by a credential that the site trusts to manage tokens, and by no token."""

    message = NOT_IN_PERSON

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the site's policy takes the credential for the user in person."""
        return get_policy().can_manage_tokens(request)


class HasToken(BasePermission):
    """Allows a request that came with a personal access token, and none with a session or another scheme."""

    message = _("This is for requests that carry a personal access token.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Tell whether the request was authenticated by a personal access token."""
        # DRF loads the classes that its settings name early, in some sites before there are models.
        return isinstance(request.auth, apps.get_model("pat_tokens", "PersonalAccessToken"))


__all__ = ["CanHaveTokens", "HasToken", "IsOwnerInPerson", "IsUser"]
