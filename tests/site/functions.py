"""Function views; DRF wraps each in a class called WrappedAPIView."""

from functools import wraps

from django.http import JsonResponse
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.response import Response

from pat_tokens.contrib.rest_framework.decorators import pat_requirements
from pat_tokens.requirements import ANY_TOKEN, Requirement
from tests.models import Channel


def either(view, other):
    """A view of one class that is really two, and looks like the first."""

    @wraps(view)
    def chosen(request, *args, **kwargs):
        return (other if "other" in request.GET else view)(request, *args, **kwargs)

    return chosen


def counted(view):
    """A decorator of a view that uses functools.wraps."""

    @wraps(view)
    def wrapper(request, *args, **kwargs):
        return view(request, *args, **kwargs)

    return wrapper


def hidden(view):
    """A decorator that hides the view."""

    def wrapper(request, *args, **kwargs):
        return view(request, *args, **kwargs)

    return wrapper


def say_channel(request, channel_id):
    return Response({"channel": Channel.objects.get(owner=request.user, pk=channel_id).pk})


@pat_requirements({"GET": ANY_TOKEN})
@api_view(["GET"])
def ping(request):
    return Response({"user": request.user.get_username()})


@pat_requirements(
    {"GET": Requirement("channels", "read", "channel_id"), "POST": Requirement("channels", "publish", "channel_id")}
)
@counted
@api_view(["GET", "POST", "DELETE"])
def summary(request, channel_id):
    return say_channel(request, channel_id)


@api_view(["GET"])
def undeclared(request, channel_id):
    return say_channel(request, channel_id)


@api_view(["GET"])
@permission_classes([AllowAny])
def public(request):
    return Response({})


@api_view(["GET"])
def legacy(request, channel_id):
    return say_channel(request, channel_id)


@api_view(["GET"])
def legacy_by_path(request, channel_id):
    return say_channel(request, channel_id)


@api_view(["GET"])
def legacy_by_url(request, channel_id):
    return say_channel(request, channel_id)


@pat_requirements({"OPTIONS": Requirement("channels", "update", "channel_id")})
@api_view(["OPTIONS"])
def own_options(request, channel_id):
    return say_channel(request, channel_id)


@api_view(["GET"])
@authentication_classes([])
@permission_classes([AllowAny])
def without_authentication(request):
    return Response({"user": str(request.user)})


def plain_django(request):
    return JsonResponse({})
