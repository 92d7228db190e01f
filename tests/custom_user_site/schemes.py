"""Other credentials, and permissions that distinguish them by request.auth."""

from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, TokenAuthentication
from rest_framework.permissions import BasePermission

from tests.custom_user_site.models import Person


class JWT(str):
    """The content of a JWT: the email between two dots."""


class JWTAuthentication(BaseAuthentication):
    """`Bearer header.email.signature`."""

    def authenticate(self, request):
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        parts = value.split(".", 1)[-1].rpartition(".")
        if scheme != "Bearer" or not parts[0]:
            return None
        person = Person.objects.filter(email=parts[0]).first()
        if person is None:
            raise exceptions.AuthenticationFailed("The JWT is not valid.")
        return person, JWT(value)

    def authenticate_header(self, request):
        return 'Bearer realm="jwt"'


class GreedyJWTAuthentication(JWTAuthentication):
    """Treats every Bearer token as a JWT, and refuses all others."""

    def authenticate(self, request):
        found = super().authenticate(request)
        if found is None and request.headers.get("Authorization", "").startswith("Bearer "):
            raise exceptions.AuthenticationFailed("The JWT is not valid.")
        return found


class BearerTokenAuthentication(TokenAuthentication):
    keyword = "Bearer"


class InTeam(BasePermission):
    """Sessions and personal credentials act for their user; a team's credential only for its team."""

    def has_permission(self, request, view):
        if not request.user or not request.user.is_authenticated:
            return False
        for name in ("team", "organizer", "scopes", "allow_scopes"):
            if hasattr(request.auth, name):
                raise exceptions.PermissionDenied("A team's credential is for teams.")
        return not (request.method != "GET" and getattr(request.auth, "write_enabled", True) is False)
