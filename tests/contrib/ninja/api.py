"""A test site's API with Django Ninja; it doesn't check scopes itself."""

from django.urls import path
from ninja import NinjaAPI, Router
from ninja.security import django_auth

from pat_tokens.contrib.ninja.authentication import (
    AsyncPersonalAccessTokenAuthentication,
    PersonalAccessTokenAuthentication,
)
from pat_tokens.filtering import alimit_to_token, limit_to_token
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement
from tests.models import Channel

READ = Requirement("channels", "read", "pk")
PUBLISH = Requirement("channels", "publish", "pk")
LIST = Requirement("channels", "list")
calls = []  # the requests that reached an operation


def needs(requirement=None, **options):
    return [PersonalAccessTokenAuthentication(requirement, **options), django_auth]


def aneeds(requirement=None, **options):
    return [AsyncPersonalAccessTokenAuthentication(requirement, **options), django_auth]


api = NinjaAPI(auth=needs(), urls_namespace="ninja-host")


def answer(request, user):
    calls.append(request)
    return {"user": user.get_username(), "auth": str(request.auth)}


@api.get("/sync/{int:pk}", auth=needs(READ))
def read(request, pk: int):
    return answer(request, request.user)


@api.post("/sync/{int:pk}", auth=needs(PUBLISH))
def publish(request, pk: int):
    return answer(request, request.user)


@api.get("/text/{pk}", auth=needs(READ))
def read_text(request, pk: str):
    return answer(request, request.user)


@api.get("/async/{int:pk}", auth=aneeds(READ))
async def aread(request, pk: int):
    return answer(request, await request.auser())


@api.post("/async/{int:pk}", auth=aneeds(PUBLISH))
async def apublish(request, pk: int):
    return answer(request, await request.auser())


@api.get("/mixed/{int:pk}", auth=needs(READ))
async def mixed_read(request, pk: int):
    return answer(request, await request.auser())


@api.post("/mixed/{int:pk}", auth=aneeds(PUBLISH))
def mixed_publish(request, pk: int):
    return answer(request, request.user)


@api.get("/foreign/{int:pk}", url_name="foreign")
def foreign(request, pk: int):
    return answer(request, request.user)


@api.post("/foreign/{int:pk}", url_name="foreign")
def foreign_publish(request, pk: int):
    return answer(request, request.user)


@api.get("/undeclared/{int:pk}")
def undeclared(request, pk: int):
    return answer(request, request.user)


@api.post("/undeclared/{int:pk}")
async def async_undeclared(request, pk: int):
    return answer(request, await request.auser())


@api.get("/by-slug/{slug}", auth=needs(Requirement("channels", "read", EntityLookup(slug="slug"))))
def by_slug(request, slug: str):
    return answer(request, request.user)


@api.get("/anything", auth=needs(ANY_TOKEN))
def anything(request):
    return answer(request, request.user)


@api.get("/open", auth=None)
def open_to_all(request):
    return {"user": request.user.get_username()}


@api.get("/limited", auth=needs(LIST, limits_list=True))
def limited(request):
    return [row.name for row in limit_to_token(request, Channel.objects.order_by("pk"))]


@api.get("/async-limited", auth=aneeds(LIST, limits_list=True))
async def async_limited(request):
    return [row.name async for row in await alimit_to_token(request, Channel.objects.order_by("pk"))]


@api.get("/unlimited", auth=needs(LIST))
def unlimited(request):
    return [row.name for row in Channel.objects.order_by("pk")]


@api.get("/limits-too-late", auth=needs(LIST, limits_list=True))
def limits_too_late(request):
    return [row.name for row in limit_to_token(request, Channel.objects.order_by("pk")[:10])]


router = Router(auth=needs(READ))


@router.get("/{int:pk}")
def routed(request, pk: int):
    return answer(request, request.user)


api.add_router("/router", router)

urlpatterns = [path("", api.urls)]
