"""The routes of the other tests, and a view for each other framework."""

from django.http import JsonResponse
from django.urls import include, path
from ninja import NinjaAPI

from pat_tokens.contrib.ninja.authentication import PersonalAccessTokenAuthentication
from pat_tokens.decorators import pat_requirements
from pat_tokens.requirements import Requirement
from tests.models import Channel

UPDATE = Requirement("channels", "update", "pk")
api = NinjaAPI(urls_namespace="audit")


def rename(pk):
    channel = Channel.objects.get(pk=pk)
    channel.name = "new name"
    channel.save()


@pat_requirements({"PATCH": UPDATE})
def plain(request, pk):
    rename(pk)
    return JsonResponse({})


@api.patch("/channels/{int:pk}", auth=PersonalAccessTokenAuthentication(UPDATE))
def ninja(request, pk: int):
    rename(pk)
    return {}


urlpatterns = [
    path("plain/channels/<int:pk>/", plain),
    path("ninja/", api.urls),
    path("", include("tests.urls")),
]
