"""Staff whom middleware sets for another credential can't use the admin of tokens."""

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.test import Client
from django.urls import include, path, reverse

from pat_tokens.admin import DepartureMixin, PersonalAccessTokenAdmin
from pat_tokens.models import PersonalAccessToken
from tests.contrib.rest_framework.test_views_access import snapshot
from tests.factories import UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_admin_in_person")]

NAME = "pat_tokens_personalaccesstoken"


class Users(DepartureMixin, UserAdmin):
    pass


site = admin.AdminSite()
site.register(get_user_model(), Users)
site.register(PersonalAccessToken, PersonalAccessTokenAdmin)
urlpatterns = [path("admin/", site.urls), path("", include("tests.urls"))]


class KeyMiddleware:
    """Sets the user of an API key, with whose session or without one."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if "x-key" in request.headers:
            request.user = get_user_model().objects.get(username=request.headers["x-key"])
        return self.get_response(request)


@pytest.fixture
def boss(db):
    return UserFactory(username="boss", is_staff=True, is_superuser=True)


@pytest.fixture
def key(settings, boss):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.KeyMiddleware"]
    return {"x-key": "boss"}


@pytest.fixture(params=["no session", "another user's session", "a session before the password changed"])
def client(request, boss):
    client = Client()
    if request.param == "another user's session":
        client.force_login(UserFactory(is_staff=True))
    elif request.param != "no session":
        client.force_login(boss)
        boss.set_password("another")
        boss.save()
    return client


def pages(token):
    yield from (f"/admin/pat_tokens/personalaccesstoken/{name}" for name in ("", "add/", "search/"))
    yield f"/admin/pat_tokens/personalaccesstoken/activity/?owner={token.user.pk}"
    yield f"/admin/pat_tokens/personalaccesstoken/departures/{token.user.pk}/"
    for name in ("change", "history", "delete", "activity", "revoke", "regenerate", "rotate"):
        yield f"/admin/pat_tokens/personalaccesstoken/{token.pk}/{name}/"
    for name in ("finish", "cancel"):
        yield f"/admin/pat_tokens/personalaccesstoken/{token.pk}/rotate/{name}/"


def test_user_set_by_middleware_is_refused(case, client, key, token):
    before = snapshot()
    form = {"user": token.user.pk, "name": "stolen", "duration": "7d", "scopes": "channels:*:read", "post": "yes"}
    action = {"action": "revoke_selected", "_selected_action": [token.pk], "index": 0}
    for page in pages(token):
        with case(page):
            for answer in (client.get(page, headers=key), client.post(page, form | action, headers=key)):
                assert answer.status_code == 403
                assert "django.contrib.auth.login()" in answer.content.decode()
                assert token.name not in answer.content.decode()
            assert snapshot() == before


def test_user_set_by_middleware_sees_no_tokens_elsewhere(client, key, token):
    """On the admin's own pages, and on those of users; both are open."""
    index = client.get("/admin/", headers=key)
    assert index.status_code == 200
    assert "personalaccesstoken" not in index.content.decode()
    user = client.get(f"/admin/auth/user/{token.user.pk}/change/", headers=key)
    assert user.status_code == 200
    assert "active token" not in user.content.decode()
    deleted = client.post(f"/admin/auth/user/{token.user.pk}/delete/", {"post": "yes"}, headers=key)
    assert deleted.status_code == 403
    assert PersonalAccessToken.objects.filter(pk=token.pk).exists()


@pytest.mark.parametrize("logs_in", [False, True])
def test_permissions_need_own_session(boss, token, logs_in):
    """Site code can ask for them anywhere, not only in our views."""
    client = Client()
    if logs_in:
        client.force_login(boss)
    request = client.get("/admin/login/").wsgi_request
    request.user = boss
    model_admin = site.get_model_admin(PersonalAccessToken)
    assert set(model_admin.get_model_perms(request).values()) == {logs_in}
    assert model_admin.has_module_permission(request) is logs_in


def test_session_is_accepted(case, boss, key, token):
    person = Client()
    person.force_login(boss)
    for page in (reverse(f"admin:{NAME}_changelist"), reverse(f"admin:{NAME}_change", args=[token.pk])):
        for headers in ({}, key):
            with case(page, headers):
                answer = person.get(page, headers=headers)
                assert answer.status_code == 200
                assert token.name in answer.content.decode()
    assert "1 active token" in person.get(f"/admin/auth/user/{token.user.pk}/change/").content.decode()


def test_anonymous_user_is_sent_to_login(token):
    assert Client().get(reverse(f"admin:{NAME}_changelist")).status_code == 302


@pytest.mark.parametrize("kind", ["RemoteUserMiddleware", "PersistentRemoteUserMiddleware"])
@pytest.mark.parametrize("page", ["/admin/pat_tokens/personalaccesstoken/", "/pats/", "/api/pats/"])
def test_login_by_middleware_is_accepted(boss, settings, page, kind):
    """Also in the first request, which logs in."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"django.contrib.auth.middleware.{kind}"]
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
    person = Client()
    for _request in range(2):
        assert person.get(page, REMOTE_USER="boss").status_code == 200
