from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from demo_project.devices.models import OwnedEntity


class OnlyOwnerChanges(BasePermission):
    """Users who see an entity can read it; only its owner can change it.

    This is the site's rule about users, and doesn't mention tokens: both this rule and the token's scopes have to allow
    a request, so a token can never do more than its owner.
    """

    message = "Only the owner may do this."
    reading_actions = ("list", "retrieve", "metadata")

    def has_object_permission(self, request: Request, view: APIView, obj: OwnedEntity) -> bool:
        return getattr(view, "action", None) in self.reading_actions or obj.owner_id == request.user.pk
