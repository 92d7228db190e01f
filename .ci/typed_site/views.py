"""Each way to declare a requirement, with strict types."""

from typing import assert_type

from django.contrib.auth.models import AbstractBaseUser, Group, User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.views import View
from rest_framework.authentication import SessionAuthentication
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication
from pat_tokens.contrib.rest_framework.filters import ScopeFilterBackend
from pat_tokens.contrib.rest_framework.mixins import PersonalAccessTokenMixin as ApiTokenMixin
from pat_tokens.declarations import declare_url
from pat_tokens.decorators import pat_requirements
from pat_tokens.entities import EntityType, Operation, register
from pat_tokens.filtering import limit_to_token
from pat_tokens.mixins import PersonalAccessTokenMixin
from pat_tokens.models import PersonalAccessToken
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement


@register
class Groups(EntityType):
    """What tokens can be for."""

    name = "groups"
    model = Group
    operations = (*EntityType.operations, "share", Operation("rename", "Rename", dangerous=True))

    def get_queryset(self, user: User) -> QuerySet[Group]:
        return user.groups.all()

    def get_label(self, entity: Group) -> str:
        return entity.name


@register
class Users(EntityType):
    """Operations by name."""

    name = "users"
    model = User
    operations = ("read", "list")

    def get_queryset(self, user: AbstractBaseUser) -> QuerySet[User]:
        return User.objects.filter(pk=user.pk)


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


class MixedApiView(ApiTokenMixin, APIView):
    """A view of DRF with its own authentication."""

    authentication_classes = [SessionAuthentication]
    pat_requirements = {"GET": Requirement("groups", "list")}


class MixedViewSet(ApiTokenMixin, ModelViewSet[Group]):
    """The same for a ViewSet."""

    queryset = Group.objects.all()


class MixedList(ApiTokenMixin, ListAPIView[Group]):
    """The same for a generic view."""

    queryset = Group.objects.all()


def owner_of(token: PersonalAccessToken) -> str:
    owner: AbstractBaseUser = token.user
    return owner.get_username()
