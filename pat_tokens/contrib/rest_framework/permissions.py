"""Permission classes that check which kind of credential a request has."""

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
    """Allows users in this site's database, but not the stateless users of other schemes."""

    message = _("Personal access tokens belong to users of this site.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(request.user) and request.user.is_authenticated and isinstance(request.user, get_user_model())


class CanHaveTokens(BasePermission):
    """Allows a user who can have tokens according to the site's policy."""

    message = _("You can't have personal access tokens on this site.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        return can_see_tokens(request.user)


class IsOwnerInPerson(BasePermission):
    """Allows users in person, with a credential that the site trusts to manage tokens. Refuses tokens."""

    message = NOT_IN_PERSON

    def has_permission(self, request: Request, view: APIView) -> bool:
        return get_policy().can_manage_tokens(request)


class HasToken(BasePermission):
    """Allows requests with a personal access token, and no other credentials."""

    message = _("This is for requests that carry a personal access token.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        # DRF loads the classes that its settings name early, in some sites before there are models.
        return isinstance(request.auth, apps.get_model("pat_tokens", "PersonalAccessToken"))


__all__ = ["CanHaveTokens", "HasToken", "IsOwnerInPerson", "IsUser"]
