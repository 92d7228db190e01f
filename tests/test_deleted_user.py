"""A user is deleted while a token is created for them."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import reverse

from pat_tokens.entities import registry
from pat_tokens.models import PersonalAccessToken
from tests.contrib.rest_framework.management import PATS, row, session_client
from tests.factories import UserFactory
from tests.models import Channel

pytestmark = pytest.mark.django_db

MESSAGE = "The user was deleted in the meantime."


@pytest.fixture
def vanishing(user, channel, monkeypatch):
    """The owner, who is deleted after authentication, when their visible entities are looked up."""

    def get_queryset(self, asking):
        get_user_model().objects.filter(pk=user.pk).delete()
        return Channel.objects.all()

    monkeypatch.setattr(type(registry.get("channels")), "get_queryset", get_queryset)
    Channel.objects.filter(pk=channel.pk).update(owner=UserFactory())
    return user


def test_api_responds_with_400(vanishing, channel):
    answer = session_client(vanishing).post(PATS, {"name": "new", "scopes": [row(f"channels:{channel.pk}:read")]})
    assert answer.status_code == 400
    assert [MESSAGE] in answer.json().values()
    assert not PersonalAccessToken.objects.exists()


def test_page_shows_error(vanishing, channel, client):
    client.force_login(vanishing)
    rows = {"scopes-0-entity_type": "channels", "scopes-0-entity_id": channel.pk, "scopes-0-operations": "read"}
    answer = client.post(reverse("pat_tokens:token_create"), {"name": "new", "duration": "24h", **rows})
    assert MESSAGE in answer.content.decode()
    assert not PersonalAccessToken.objects.exists()


@pytest.mark.urls("tests.test_admin")
def test_admin_shows_error(vanishing, channel, client):
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    fields = {"user": vanishing.pk, "name": "new", "duration": "24h", "scopes": f"channels:{channel.pk}:read"}
    answer = client.post("/admin/pat_tokens/personalaccesstoken/add/", fields)
    assert MESSAGE in answer.content.decode()
    assert not PersonalAccessToken.objects.exists()


@pytest.mark.urls("tests.test_admin")
def test_staff_need_permission_to_delete_tokens(token, user, client):
    staff = UserFactory(is_staff=True)
    grant = Permission.objects.get
    staff.user_permissions.add(grant(codename="delete_user"), grant(codename="view_user"))
    client.force_login(staff)
    path = f"/admin/auth/user/{user.pk}/delete/"
    text = client.get(path).content.decode()
    assert "permission to delete the following types of objects" in text
    assert "personal access token" in text
    assert client.post(path, {"post": "yes"}).status_code == 403
    staff.user_permissions.add(grant(codename="delete_personalaccesstoken"))
    assert client.post(path, {"post": "yes"}).status_code == 302
    assert not PersonalAccessToken.objects.exists()
