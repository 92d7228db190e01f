"""The same view, with each candidate."""

from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from oauth2_provider.contrib.rest_framework import OAuth2Authentication, TokenHasScope
from rest_framework.authentication import TokenAuthentication
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_api_key.permissions import HasAPIKey
from rest_framework_simplejwt.authentication import JWTAuthentication

from benchmarks.site.floor import SelectAlone, SelectAndInstances
from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication
from pat_tokens.requirements import Requirement


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


class Select(Anonymous):
    authentication_classes = (SelectAlone,)
    permission_classes = (IsAuthenticated,)


class Instances(Select):
    authentication_classes = (SelectAndInstances,)


class AuthToken(Anonymous):
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)


class Knox(Anonymous):
    authentication_classes = (KnoxTokenAuthentication,)
    permission_classes = (IsAuthenticated,)


class SimpleJWT(Anonymous):
    authentication_classes = (JWTAuthentication,)
    permission_classes = (IsAuthenticated,)


class APIKey(Anonymous):
    """Has keys, but no users."""

    permission_classes = (HasAPIKey,)


class OAuth(Anonymous):
    authentication_classes = (OAuth2Authentication,)
    permission_classes = (TokenHasScope,)
    required_scopes = ("read",)
