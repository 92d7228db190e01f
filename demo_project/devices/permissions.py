from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from demo_project.devices.models import OwnedEntity


class OnlyOwnerChanges(BasePermission):
    """Whoever sees an entity may read it; only its owner may do more.

    This is the site's own rule about users. It knows nothing of tokens, and need not: a token can never do
    more than its owner, because both this and the token's scopes have to allow a request.
    """

    message = "Only the owner may do this."
    reading_actions = ("list", "retrieve", "metadata")

    def has_object_permission(self, request: Request, view: APIView, obj: OwnedEntity) -> bool:
        return getattr(view, "action", None) in self.reading_actions or obj.owner_id == request.user.pk
