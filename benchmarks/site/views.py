"""The same view, with each candidate; also the URLs of the site."""

from django.urls import path
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from rest_framework.authentication import BaseAuthentication, TokenAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTAuthentication

from pat_tokens import lookup
from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication
from pat_tokens.requirements import Requirement
from pat_tokens.scopes import RequiredScope


class LookUpAlone(BaseAuthentication):
    """Only the SELECT and the instances: the lower bound for any authentication that queries a database."""

    def authenticate(self, request):
        """Return user and token, given a digest."""
        digest = get_authorization_header(request)[len("Digest ") :].decode()
        if not digest:
            return None
        entity_id = str(request.parser_context["kwargs"]["pk"])
        token = lookup.find_token([digest], RequiredScope("channels", "read", entity_id))
        if token is None:
            raise AuthenticationFailed
        return token.user, token

    def authenticate_header(self, request):
        return "Digest"


class Anonymous(APIView):
    """The baseline: DRF without authentication."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request, pk):
        return Response({"channel": pk})


class Ours(Anonymous):
    """Also checks the scope on this channel."""

    authentication_classes = (PersonalAccessTokenAuthentication,)
    permission_classes = (IsAuthenticated,)
    pat_requirements = {"GET": Requirement("channels", "read", "pk")}


def view_with(authentication):
    """Return the view with another package's class."""
    attributes = {"authentication_classes": (authentication,), "permission_classes": (IsAuthenticated,)}
    return type("Other", (Anonymous,), attributes).as_view()


urlpatterns = [
    path("anonymous/<int:pk>/", Anonymous.as_view()),
    path("ours/<int:pk>/", Ours.as_view()),
    path("instances/<int:pk>/", view_with(LookUpAlone)),
    path("authtoken/<int:pk>/", view_with(TokenAuthentication)),
    path("knox/<int:pk>/", view_with(KnoxTokenAuthentication)),
    path("simplejwt/<int:pk>/", view_with(JWTAuthentication)),
]
