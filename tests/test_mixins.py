"""The mixin by itself, on a site without the middleware; test_middleware.py has the two together."""

import pytest
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.views import View
from rest_framework.views import APIView

from pat_tokens import services
from pat_tokens.mixins import PersonalAccessTokenMixin
from pat_tokens.requirements import ANY_TOKEN, Requirement
from tests import plain_site
from tests.factories import ChannelFactory, DeviceFactory, UserFactory
from tests.plain_client import GET_TABLE, POST_TABLE, SERVERS, Asker, expire

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.plain_site")]
KINDS = ["class", "async-class"]


@pytest.fixture(autouse=True)
def calls():
    plain_site.calls.clear()
    return plain_site.calls


@pytest.fixture(params=SERVERS)
def ask(request):
    """Make a client of each kind of server."""
    return lambda *args, **kwargs: Asker(request.param, *args, **kwargs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_does_exactly_what_its_scopes_say(ask, make_token, user, kind, method, calls):
    entities = ChannelFactory(owner=user).pk, ChannelFactory(owner=user).pk, DeviceFactory(owner=user).pk
    for text, status in (POST_TABLE if method == "POST" else GET_TABLE).items():
        token = make_token(*text.format(*entities).split())
        calls.clear()
        response = ask(token.secret)(f"/{kind}/{entities[0]}/", method)
        assert response.status_code == status, (kind, method, text)
        assert "Authorization" in response["Vary"]
        assert len(calls) == (status == 200)


@pytest.mark.parametrize("kind", KINDS)
def test_whose_token_and_which(ask, make_token, channel, kind):
    path = f"/{kind}/{channel.pk}/"
    expired, revoked = make_token("channels:*:read"), make_token("channels:*:read")
    expire(expired)
    services.revoke_token(revoked)
    superuser = make_token(user=UserFactory(is_superuser=True))
    for secret, status in [
        (expired.secret, 401),
        (revoked.secret, 401),
        ("pat_garbage", 401),
        (superuser.secret, 403),
    ]:
        assert ask(secret)(path).status_code == status
    assert ask(make_token("channels:*:update").secret)(path, "PUT").json()["code"] == "scope_not_declared"


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_without_a_token_gets_what_it_got_before(ask, user, channel, kind, calls):
    asker = ask()
    assert asker(f"/{kind}/{channel.pk}/").status_code == (302 if kind == "class" else 200)
    asker.client.force_login(user)
    assert asker(f"/{kind}/{channel.pk}/").json()["user"] == "owner"
    calls.clear()
    assert asker(f"/{kind}/{channel.pk}/", "POST").status_code == 403
    assert not calls


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_reads_once(make_token, channel, kind, server, django_assert_num_queries):
    asker = Asker(server, make_token("channels:*:read").secret)
    asker(f"/{kind}/{channel.pk}/")
    with django_assert_num_queries(1):
        assert asker(f"/{kind}/{channel.pk}/").status_code == 200


class Plain(View):
    def get(self, request):
        return HttpResponse(request.user.get_username())


class Mixed(PersonalAccessTokenMixin, LoginRequiredMixin, Plain):
    pat_requirements = {"GET": ANY_TOKEN}


class MixedLater(LoginRequiredMixin, PersonalAccessTokenMixin, Plain):
    pat_requirements = {"GET": ANY_TOKEN}


class Child(MixedLater):
    pass


class Undeclared(PersonalAccessTokenMixin, Plain):
    pass


@pytest.mark.parametrize("view", [Mixed, MixedLater, Child])
def test_its_place_among_the_bases_does_not_matter(rf, token, view):
    response = view.as_view()(rf.get("/", headers={"authorization": f"Bearer {token.secret}"}))
    assert (response.status_code, response.content) == (200, b"owner")


def test_what_declares_nothing_lets_no_token_in(rf, make_token):
    token = make_token("channels:*:read")
    request = rf.get("/", headers={"authorization": f"Bearer {token.secret}"})
    assert Undeclared.as_view()(request).status_code == 403
    assert Undeclared.as_view(pat_requirements={"GET": ANY_TOKEN})(request).status_code == 200


def test_as_view_is_still_a_view_of_its_class():
    view = Mixed.as_view()
    assert (view.view_class, view.view_initkwargs) == (Mixed, {})


def test_a_view_of_drf_is_an_error():
    class Rest(PersonalAccessTokenMixin, APIView):
        pat_requirements = {"GET": Requirement("channels", "read")}

    with pytest.raises(ImproperlyConfigured, match="DRF"):
        Rest.as_view()
