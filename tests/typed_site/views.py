from typing import ClassVar

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.views import View
from rest_framework import generics, serializers, viewsets
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from pat_tokens import services
from pat_tokens.authentication import identify, require_scope
from pat_tokens.contrib.rest_framework.decorators import pat_requirements
from pat_tokens.contrib.rest_framework.filters import ScopeFilterBackend, ScopeFilterMixin
from pat_tokens.contrib.rest_framework.mixins import PersonalAccessTokenMixin
from pat_tokens.decorators import pat_requirements as plain_requirements
from pat_tokens.filtering import limit_to_token
from pat_tokens.mixins import PersonalAccessTokenMixin as PlainMixin
from pat_tokens.models import PersonalAccessToken
from pat_tokens.requirements import Requirement
from tests.typed_site.models import Book


class BookSerializer(serializers.Serializer[Book]):
    title = serializers.CharField()


class Own(PersonalAccessTokenMixin, APIView):
    pat_requirements = {"GET": Requirement("books", "read", "pk")}

    def get(self, request: Request, pk: int) -> Response:
        token = request.auth
        if isinstance(token, PersonalAccessToken):
            return Response({"token": token.name, "owner": token.user.get_username(), "id": str(token.pk)})
        return Response({})


class List(PersonalAccessTokenMixin, ScopeFilterMixin, generics.ListCreateAPIView[Book]):
    serializer_class = BookSerializer

    def get_queryset(self) -> QuerySet[Book]:
        return Book.objects.all()


class Detail(PersonalAccessTokenMixin, generics.RetrieveUpdateDestroyAPIView[Book]):
    queryset = Book.objects.all()
    serializer_class = BookSerializer
    filter_backends = [ScopeFilterBackend]


class Books(PersonalAccessTokenMixin, viewsets.ModelViewSet[Book]):
    queryset = Book.objects.all()
    serializer_class = BookSerializer
    pat_requirements: ClassVar = {"list": Requirement("books", "list"), "destroy": None}


@pat_requirements({"POST": Requirement("books", "lend", "pk")})
@api_view(["POST"])
def lend(request: Request, pk: int) -> Response:
    require_scope(request, "books", "read", request.query_params["other"])
    return Response({"lent": pk})


@plain_requirements({"GET": Requirement("books", "list")})
def titles(request: HttpRequest) -> HttpResponse:
    rows = limit_to_token(request, Book.objects.all())
    return HttpResponse(", ".join(book.title for book in rows))


class Page(PlainMixin, View):
    pat_requirements = {"GET": Requirement("books", "read", "pk")}

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        found = identify(request)
        return HttpResponse("" if found is None else found.name)


def make(request: HttpRequest) -> str:
    token = services.revoke_token(PersonalAccessToken.objects.get(name="x"))
    return f"{token.name} {token.hint} {token.expires_at}"
