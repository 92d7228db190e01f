"""The admin of this site, for users without permissions, `is_staff` or a username."""

import pytest
from django.test import Client
from django.urls import reverse

from pat_tokens import services
from pat_tokens.activity import Actor
from pat_tokens.departures import find_departure
from pat_tokens.models import PersonalAccessToken
from tests.custom_user_site.models import Person

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return Person.objects.create(email="ada@example.org")


@pytest.fixture
def robot():
    return Person.objects.create(email="robot@example.org")


@pytest.fixture
def office():
    """The browser of somebody in the office."""
    client = Client()
    client.force_login(Person.objects.create(email="ada@office.example.org"))
    return client


def url(page, *args):
    return reverse(f"people:{page}", args=args)


def test_departure_names_tokens_and_known_secrets(ada, robot, office):
    services.create_token(ada, name="own")
    token, _secret = services.create_token(robot, name="deploy", actor=Actor(ada, "page"))
    departure = find_departure(ada)
    assert [one.name for one in departure.own] == ["own"]
    assert [secret.token for secret in departure.known] == [token]
    page = office.get(url("custom_user_site_person_change", ada.pk)).content.decode()
    departure_url = url("pat_tokens_personalaccesstoken_departure", ada.pk)
    assert "1 active token ends with this account." in page
    assert f'href="{departure_url}"' in page
    page = office.get(departure_url).content.decode()
    assert "What ada@example.org leaves behind" in page
    assert "robot@example.org" in page
    regenerate = url("pat_tokens_personalaccesstoken_regenerate", token.pk)
    assert f'href="{regenerate}"' in page
    assert office.post(regenerate, {"duration": ""}).status_code == 302
    assert find_departure(ada).known == []


def test_departure_needs_the_admin_and_an_existing_user(ada, office):
    visitor = Client()
    visitor.force_login(ada)
    departure_url = url("pat_tokens_personalaccesstoken_departure", ada.pk)
    assert visitor.get(departure_url).status_code == 302
    for key in ("x", "00000000-0000-0000-0000-000000000000"):
        assert office.get(departure_url.replace(str(ada.pk), key)).status_code == 404


def test_token_is_created_renewed_and_revoked(ada, office):
    add = url("pat_tokens_personalaccesstoken_add")
    data = {"user": ada.pk, "name": "printer", "description": "", "duration": "7d", "scopes": "folders:*:read"}
    assert office.post(add, data).status_code == 302
    token = PersonalAccessToken.objects.get()
    assert token.user == ada
    assert office.post(url("pat_tokens_personalaccesstoken_revoke", token.pk)).status_code == 302
    token.refresh_from_db()
    assert token.is_revoked
    activity = office.get(url("pat_tokens_personalaccesstoken_owner_activity"), {"owner": str(ada.pk)})
    assert "ada@office.example.org" in activity.content.decode()
