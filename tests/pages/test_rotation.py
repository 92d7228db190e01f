"""The rotation pages, without a script."""

import re

import pytest
from django.urls import reverse

from pat_tokens import services
from pat_tokens.authentication import authenticate
from pat_tokens.exceptions import InvalidToken
from pat_tokens.models import PersonalAccessToken
from pat_tokens.requirements import ANY_TOKEN, Requirement
from tests.clock import clock

__all__ = ["clock"]

pytestmark = pytest.mark.django_db
BUTTONS = ("Rotate", "Regenerate", "More time", "Finish now", "Cancel")


@pytest.fixture
def reader(make_token, channel):
    return make_token(f"channels:{channel.pk}:read")


@pytest.fixture
def use(channel, django_capture_on_commit_callbacks):
    def use(secret):
        with django_capture_on_commit_callbacks(execute=True):
            authenticate(secret, Requirement("channels", "read", "pk"), {"pk": str(channel.pk)})

    return use


def url(name, token):
    return reverse(f"pat_tokens:{name}", args=[token.pk])


def stored():
    return PersonalAccessToken.objects.get()


def buttons(page):
    found = re.findall(r"<button[^>]*>(.*?)</button>", page.content.decode(), re.DOTALL)
    texts = [re.sub(r"<[^>]*>", "", text).strip() for text in found]
    return [text for text in texts if text in BUTTONS]


def test_rotating_shows_secret_once_and_both_hints(person, reader):
    page = person.get(url("token_detail", reader))
    assert buttons(page) == ["Rotate", "Regenerate"]
    form = person.get(url("token_rotate", reader)).context["form"]
    offered = [value for value, _label in form.fields["grace_period"].widget.choices]
    assert offered == ["0", "1h", "6h", "24h", "2d", "3d", "7d"]
    assert form.fields["grace_period"].initial == "24h"
    response = person.post(url("token_rotate", reader), {"duration": "60d", "grace_period": "6h"})
    assert (response.status_code, response.url) == (302, url("token_detail", reader))
    page = person.get(response.url)
    secret = str(page.context["revealed"].secret)
    text = page.content.decode()
    assert secret in text
    assert reader.hint in text
    assert stored().hint in text
    assert "Stops in" in text
    assert "cancel the rotation" in text
    assert "If you lose it, regenerate" not in text
    assert buttons(page) == ["Regenerate", "More time", "Finish now", "Cancel"]
    assert stored().previous.grace_period == "6h"
    for each in (reader.secret, secret):
        authenticate(each, ANY_TOKEN)
    assert secret not in person.get(response.url).content.decode()


def test_rotation_cannot_be_canceled_after_first_use(person, reader, use):
    _token, new = services.rotate_token(reader)
    text = person.get(url("token_detail", reader)).content.decode()
    assert "The new secret has not been used yet. After its first use, this one works for 24 hours more." in text
    assert "has never been used" in person.get(url("rotation_finish", reader)).content.decode()
    use(new)
    page = person.get(url("token_detail", reader))
    assert "The new secret is in use." in page.content.decode()
    assert buttons(page) == ["Regenerate", "More time", "Finish now"]
    assert "has never been used" not in person.get(url("rotation_finish", reader)).content.decode()
    for method in (person.get, person.post):
        response = method(url("rotation_cancel", reader), follow=True)
        assert "already in use" in response.content.decode()


def test_more_time(person, reader, clock):
    services.rotate_token(reader)
    assert person.get(url("rotation_grace_period", reader)).context["form"]["grace_period"].value() == "24h"
    response = person.post(url("rotation_grace_period", reader), {"grace_period": "7d"}, follow=True)
    assert "The grace period was changed." in response.content.decode()
    assert stored().previous.grace_period == "7d"
    for wrong in ("8d", "24", ""):
        response = person.post(url("rotation_grace_period", reader), {"grace_period": wrong})
        assert response.status_code == 200
        assert response.context["form"].errors["grace_period"]
        assert stored().previous.grace_period == "7d"


@pytest.mark.parametrize("page", ["rotation_finish", "rotation_cancel"])
def test_asks_for_confirmation(person, reader, page):
    _token, new = services.rotate_token(reader)
    stops, stays = (reader.secret, new) if page == "rotation_finish" else (new, reader.secret)
    assert reader.hint in person.get(url(page, reader)).content.decode()
    authenticate(stops, ANY_TOKEN)
    response = person.post(url(page, reader), follow=True)
    assert response.redirect_chain == [(url("token_detail", reader), 302)]
    assert stored().previous_secret is None
    authenticate(stays, ANY_TOKEN)
    with pytest.raises(InvalidToken):
        authenticate(stops, ANY_TOKEN)
    assert buttons(response) == ["Rotate", "Regenerate"]


def test_outdated_page_redirects_with_reason(case, person, reader):
    for name in ("rotation_finish", "rotation_cancel", "rotation_grace_period"):
        for method in (person.get, person.post):
            with case(name, method.__name__):
                response = method(url(name, reader), follow=True)
                assert response.redirect_chain == [(url("token_detail", reader), 302)]
                assert "no previous secret that still works" in response.content.decode()
    services.rotate_token(reader)
    before = PersonalAccessToken.objects.values().get()
    for method in (person.get, person.post):
        response = method(url("token_rotate", reader), follow=True)
        assert "previous secret of this token still works" in response.content.decode()
    response = person.post(url("token_rotate", reader), headers={"accept": "application/json"})
    assert response.json()["location"] == url("token_detail", reader)
    assert PersonalAccessToken.objects.values().get() == before
    services.revoke_token(reader)
    assert "Only active tokens" in person.get(url("token_rotate", reader), follow=True).content.decode()
    assert buttons(person.get(url("token_detail", reader))) == ["Regenerate"]


def test_errors_are_shown_at_their_field(person, reader):
    response = person.post(url("token_rotate", reader), {"duration": "x", "grace_period": "9d"})
    assert set(response.context["form"].errors) == {"duration", "grace_period"}
    assert stored().previous_secret is None


def test_other_users_tokens_are_not_found(client, stranger, reader):
    services.rotate_token(reader)
    client.force_login(stranger)
    for name in ("token_rotate", "rotation_finish", "rotation_cancel", "rotation_grace_period"):
        for method in (client.get, client.post):
            assert method(url(name, reader)).status_code == 404
    assert stored().previous_secret is not None


def test_rotating_requires_password(person, reader, settings):
    settings.PAT_TOKENS_REAUTHENTICATE_AFTER = 60
    response = person.get(url("token_rotate", reader))
    assert "pat_tokens/reauthenticate.html" in [template.name for template in response.templates]
    person.post(url("token_rotate", reader), {"duration": "", "grace_period": "1h"})
    assert stored().previous_secret is None


def test_null_character_in_grace_period(person, token):
    services.rotate_token(token)
    url = reverse("pat_tokens:rotation_grace_period", args=[token.pk])
    answer = person.post(url, {"grace_period": "\0"})
    assert answer.status_code == 200
    assert "grace_period" in answer.context["form"].errors
