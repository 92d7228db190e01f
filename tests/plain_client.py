"""A client for the plain test site, under WSGI or ASGI."""

from datetime import timedelta

from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from django.utils import timezone

from pat_tokens.models import PersonalAccessToken

OURS = "pat_tokens.middleware.PersonalAccessTokenMiddleware"
LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"
SERVERS = ["wsgi", "asgi"]

# The scopes of a token by expected response; `{0}` is the channel in the URL and `{1}` another one.
GET_TABLE = {
    "channels:{0}:read": 200,
    "channels:*:read": 200,
    "channels:{1}:read": 403,
    "channels:{0}:publish": 403,
    "channels:{0}:update": 403,
    "channels:*:list": 403,
    "devices:{2}:read": 403,
    "": 403,
}
POST_TABLE = {"channels:{0}:publish": 200, "channels:{1}:publish": 403, "channels:{0}:read": 403, "": 403}


class Asker:
    """A client that enforces CSRF and sends `secret` with each request."""

    def __init__(self, server, secret=None, **headers):
        if secret is not None:
            headers["authorization"] = f"Bearer {secret}"
        self.client = (AsyncClient if server == "asgi" else Client)(enforce_csrf_checks=True)
        self.headers = headers  # per request, because an AsyncClient doesn't keep its headers
        self.is_async = server == "asgi"

    def __call__(self, path, method="GET", data=None, **extra):
        send = getattr(self.client, method.lower())
        if data is not None:
            extra["data"] = data
        extra["headers"] = self.headers
        return async_to_sync(send)(path, **extra) if self.is_async else send(path, **extra)


def expire(token):
    then = timezone.now() - timedelta(days=1)
    PersonalAccessToken.objects.filter(pk=token.pk).update(issued_at=then - timedelta(days=1), expires_at=then)
