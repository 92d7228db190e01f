"""No cache answers a request in place of the check of its token."""

import pytest
from django.core.cache import cache
from django.urls import path
from django.views.decorators.cache import cache_page
from rest_framework.response import Response
from rest_framework.views import APIView

from pat_tokens import services
from pat_tokens.requirements import ANY_TOKEN

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.security.test_caching")]


class Cached(APIView):
    pat_requirements = {"GET": ANY_TOKEN}

    def get(self, request, control):
        headers = {"Cache-Control": control} if control != "none" else {}
        return Response({"user": request.user.get_username()}, headers=headers)


urlpatterns = [path("<path:control>/", cache_page(600)(Cached.as_view()))]


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()
    yield
    cache.clear()


@pytest.mark.parametrize("control", ["none", "max-age=600", "public, max-age=600", "private, max-age=600", "no-cache"])
def test_a_revoked_token_is_not_answered_from_a_cache(client_with, make_token, control):
    token = make_token()
    client = client_with(token)
    answer = client.get(f"/{control}/")
    assert answer.json() == {"user": "owner"}
    assert "private" in answer["Cache-Control"]
    assert "public" not in answer["Cache-Control"]
    services.revoke_token(token)
    assert client.get(f"/{control}/").status_code == 401
    assert client.get(f"/{control}/").status_code == 401
