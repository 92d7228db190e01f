"""The decorator by itself, on a site without the middleware; test_middleware.py has the two together."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from ninja import NinjaAPI
from rest_framework.decorators import api_view

from pat_tokens import services
from pat_tokens.decorators import pat_requirements
from pat_tokens.requirements import ANY_TOKEN, Requirement
from tests import plain_site
from tests.factories import ChannelFactory, DeviceFactory, UserFactory
from tests.plain_client import GET_TABLE, LOGIN_REQUIRED, POST_TABLE, SERVERS, Asker, expire

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.plain_site")]
# Both kinds of function, and both kinds of class with a decorated `dispatch`.
KINDS = ["function", "async-function", "dispatch", "async-dispatch"]


@pytest.fixture(autouse=True)
def calls():
    plain_site.calls.clear()
    return plain_site.calls


@pytest.fixture(params=SERVERS)
def ask(request):
    """Make a client of each kind of server."""
    return lambda *args, **kwargs: Asker(request.param, *args, **kwargs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_does_exactly_what_its_scopes_say(ask, make_token, user, kind, method, calls):
    entities = ChannelFactory(owner=user).pk, ChannelFactory(owner=user).pk, DeviceFactory(owner=user).pk
    for text, status in (POST_TABLE if method == "POST" else GET_TABLE).items():
        token = make_token(*text.format(*entities).split())
        calls.clear()
        response = ask(token.secret)(f"/{kind}/{entities[0]}/", method)
        assert response.status_code == status, (kind, method, text)
        assert "Authorization" in response["Vary"]
        assert len(calls) == (status == 200)
        assert response.json().get("user") == ("owner" if status == 200 else None)
        assert response.json().get("code") == (None if status == 200 else "insufficient_scope")


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
    assert ask(make_token("channels:*:delete").secret)(path, "DELETE").json()["code"] == "scope_not_declared"
    assert ask(make_token("channels:*:delete").secret)(path, "OPTIONS")["Allow"] == "GET, POST, HEAD, OPTIONS"


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_without_a_token_gets_what_it_got_before(ask, user, channel, kind, calls):
    asker = ask()
    assert asker(f"/{kind}/{channel.pk}/").status_code == (200 if "dispatch" in kind else 302)
    asker.client.force_login(user)
    assert asker(f"/{kind}/{channel.pk}/").json()["user"] == "owner"
    calls.clear()
    assert asker(f"/{kind}/{channel.pk}/", "POST").status_code == 403
    assert not calls
    asker.client.cookies["csrftoken"] = "x" * 32
    assert asker(f"/{kind}/{channel.pk}/", "POST", {"csrfmiddlewaretoken": "x" * 32}).status_code == 200


def test_a_session_beside_the_token_is_asked_for_a_csrf_token(ask, user, make_token, channel, calls):
    asker = ask(make_token("channels:*:publish").secret)
    asker.client.force_login(user)
    assert asker(f"/function/{channel.pk}/", "POST").status_code == 403
    assert not calls


def test_with_a_middleware_that_requires_a_login(ask, make_token, channel, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, LOGIN_REQUIRED]
    asker = ask(make_token("channels:*:read").secret)
    for kind in KINDS:
        assert asker(f"/{kind}/{channel.pk}/").status_code == 200
        assert ask()(f"/{kind}/{channel.pk}/").status_code == 302
        assert ask()(f"/{kind}/{channel.pk}/")["Location"].startswith("/accounts/login/")
    assert ask()("/open/").status_code == 200


@pytest.mark.parametrize("path", ["/denied/", "/async-denied/", "/needs-permission/"])
def test_what_its_owner_may_not_do_is_told_as_json(ask, token, path):
    assert ask(token.secret)(path).json()["code"] == "permission_denied"


@pytest.mark.parametrize("kind", plain_site.INSIDE_OUT)
def test_inside_a_decorator_that_asks_for_a_login_no_token_gets_in(ask, make_token, channel, kind, calls):
    """Nothing of ours is asked before it; with the middleware something is, and then the token gets in."""
    response = ask(make_token("channels:*:read", "channels:*:publish").secret)(f"/{kind}/{channel.pk}/")
    assert response.status_code == 302
    assert not calls


def test_lists(ask, make_token, user):
    first, _second = ChannelFactory(owner=user, name="a"), ChannelFactory(owner=user, name="b")
    asker = ask(make_token(f"channels:{first.pk}:list").secret)
    for path in ("/limited/", "/async-limited/"):
        assert asker(path).json()["names"] == ["a"]
    for path in ("/unlimited/", "/async-unlimited/", "/limits-too-late/", "/limits-another-model/"):
        assert asker(path).json()["code"] == "insufficient_scope"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("server", SERVERS)
def test_reads_once(make_token, channel, kind, server, django_assert_num_queries):
    asker = Asker(server, make_token("channels:*:read").secret)
    asker(f"/{kind}/{channel.pk}/")
    with django_assert_num_queries(1):
        assert asker(f"/{kind}/{channel.pk}/").status_code == 200


def test_keeps_the_name_of_the_view_and_what_is_said_on_it():
    def view(request):
        """Say what it does."""

    view.tag = "kept"
    guarded = pat_requirements({"GET": ANY_TOKEN})(view)
    assert (guarded.__name__, guarded.__doc__, guarded.tag) == ("view", "Say what it does.", "kept")
    assert guarded.pat_requirements == {"GET": ANY_TOKEN}


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        ANY_TOKEN,
        [ANY_TOKEN],
        "channels:*:read",
        {"get": ANY_TOKEN},
        {"HEAD": ANY_TOKEN},
        {"GET": "read"},
        {1: None},
    ],
)
def test_a_declaration_of_another_shape_is_an_error(wrong):
    with pytest.raises(ImproperlyConfigured):
        pat_requirements(wrong)(lambda request: HttpResponse())


def test_views_with_a_door_of_their_own_are_an_error():
    @api_view(["GET"])
    def view(request):
        raise NotImplementedError

    with pytest.raises(ImproperlyConfigured, match="declare_view"):
        pat_requirements({"GET": ANY_TOKEN})(view)
    api = NinjaAPI(urls_namespace="decorated")
    api.get("/")(lambda request: None)
    operation = next(one for one in api.urls[0] if one.name not in ("openapi-json", "openapi-view", "api-root"))
    with pytest.raises(ImproperlyConfigured):
        pat_requirements({"GET": ANY_TOKEN})(operation.callback)


def test_a_view_that_returns_nothing_is_django_s_to_report(rf, token):
    guarded = pat_requirements({"GET": Requirement("channels", "read")})(lambda request: None)
    assert guarded(rf.get("/")) is None
    guarded = pat_requirements({"GET": ANY_TOKEN})(lambda request: None)
    assert guarded(rf.get("/", headers={"authorization": f"Bearer {token.secret}"})) is None
