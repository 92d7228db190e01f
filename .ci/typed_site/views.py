"""Each way to declare a requirement, as a site with strict types writes it."""

from typing import assert_type

from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.views import View
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication
from pat_tokens.contrib.rest_framework.filters import ScopeFilterBackend
from pat_tokens.decorators import pat_requirements
from pat_tokens.entities import EntityType, Operation, register
from pat_tokens.filtering import limit_to_token
from pat_tokens.mixins import PersonalAccessTokenMixin
from pat_tokens.models import PersonalAccessToken
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement, declare_url


@register
class Groups(EntityType):
    """What tokens can be for."""

    name = "groups"
    model = Group
    operations = (*EntityType.operations, Operation("rename", "Rename", dangerous=True))

    def get_queryset(self, user: object) -> QuerySet[Group]:
        return Group.objects.all()


declare_url("admin:index", {"GET": None})
declare_url("groups", {"GET": Requirement("groups", "read", EntityLookup(name="name"))})


@pat_requirements({"GET": Requirement("groups", "read", "pk"), "POST": None})
def show(request: HttpRequest, pk: int) -> HttpResponse:
    return HttpResponse(str(pk))


class MixedView(PersonalAccessTokenMixin, View):
    """A class-based view."""

    pat_requirements = {"GET": Requirement("groups", "list")}

    def get(self, request: HttpRequest) -> HttpResponse:
        groups = limit_to_token(request, Group.objects.all())
        return HttpResponse(str(groups.count()))


class ApiView(APIView):
    """A view of DRF."""

    authentication_classes = [PersonalAccessTokenAuthentication]
    filter_backends = [ScopeFilterBackend]
    pat_requirements = {"GET": ANY_TOKEN}

    def get(self, request: Request) -> Response:
        token = request.auth
        assert isinstance(token, PersonalAccessToken)
        assert_type(token.name, str)
        assert_type(token.is_active, bool)
        return Response({"scopes": [str(scope.key) for scope in token.scope_set.all()]})
