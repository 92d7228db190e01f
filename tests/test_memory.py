"""Requests with a token don't leak memory, whether connections stay open or not.

Objects are counted instead of bytes: a class or a closure per connection shows as more objects of its type.
"""

import gc
import io
from collections import Counter

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.http import HttpResponse, JsonResponse
from django.test import RequestFactory
from django.urls import path

from pat_tokens.decorators import pat_requirements
from pat_tokens.filtering import limit_to_token
from pat_tokens.requirements import Requirement
from tests.factories import ChannelFactory
from tests.models import Channel
from tests.skips import not_applicable
from tests.views import ChannelViewSet

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.django_db(transaction=True),  # the handler closes its connections
    pytest.mark.urls(__name__),
]

REQUESTS = 5000
PATHS = ["/channels/{}/", "/channels/", "/api/channels/{}/"]  # usually only the first
NOISE = 50  # objects of one type, for caches of Django and drivers that fill up slowly


@pytest.fixture(params=["closed after each request", "kept", "from a pool"])
def connections_are(request, monkeypatch):
    """How long a connection stays open."""
    if connection.vendor == "mysql":
        not_applicable("PyMySQL opens thousands of connections too slowly")
    options = dict(connection.settings_dict["OPTIONS"])
    if request.param == "from a pool":
        if connection.vendor != "postgresql":
            not_applicable("only Django's PostgreSQL backend has a pool")
        options["pool"] = {"min_size": 1, "max_size": 2}
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 60 if request.param == "kept" else 0)
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    yield request.param
    connection.close()
    if request.param == "from a pool":
        connection.close_pool()


def count_objects():
    gc.collect()
    return Counter(f"{type(found).__module__}.{type(found).__qualname__}" for found in gc.get_objects())


@pat_requirements({"GET": Requirement("channels", "read", "pk")})
def read(request, pk):
    return HttpResponse(request.user.get_username())


@pat_requirements({"GET": Requirement("channels", "list")})
def list_all(request):
    return JsonResponse(list(limit_to_token(request, Channel.objects.order_by("pk")).values("pk")), safe=False)


urlpatterns = [
    path("channels/<int:pk>/", read),
    path("channels/", list_all),
    path("api/channels/<pk>/", ChannelViewSet.as_view({"get": "retrieve"})),
]


def test_request_leaves_no_objects_in_memory(connections_are, make_token, user, settings):
    settings.MIDDLEWARE = ["pat_tokens.middleware.PersonalAccessTokenMiddleware"]
    handler = WSGIHandler()
    channel = ChannelFactory(owner=user)
    token = make_token(f"channels:{channel.pk}:read", f"channels:{channel.pk}:list")
    requests = RequestFactory(headers={"authorization": f"Bearer {token.secret}"})
    often, *seldom = [requests.get(path.format(channel.pk)).environ for path in PATHS]

    def send(count):
        for number in range(count):
            environ = seldom[number // 20 % len(seldom)] if number % 20 == 0 else often
            response = handler({**environ, "wsgi.input": io.BytesIO()}, lambda *args: None)
            assert response.status_code == 200
            response.close()
            assert (connection.connection is None) == (connections_are != "kept")

    send(300)
    before = count_objects()
    send(REQUESTS)
    grown = {name: count for name, count in (count_objects() - before).items() if count > NOISE}
    assert grown == {}
