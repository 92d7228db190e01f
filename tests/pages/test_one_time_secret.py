"""A secret passes a redirect without being stored in plain text."""

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpResponse
from django.test import RequestFactory

from pat_tokens.pages import one_time_secret
from pat_tokens.services import regenerate_token

PATH = "/pats/1/"


@pytest.fixture
def request_with():
    def make(session=None, cookie=None, method="get", **headers):
        request = getattr(RequestFactory(), method)(PATH, headers=headers)
        request.session = SessionStore() if session is None else session
        if cookie is not None:
            request.COOKIES[one_time_secret.COOKIE_NAME] = cookie
        return request

    return make


@pytest.fixture
def hidden(request_with, token):
    """A request that hid the token's secret, and its response."""
    request, response = request_with(), HttpResponse()
    one_time_secret.hide(request, response, token, token.secret, path=PATH)
    return request, response


def test_shares_reveal_nothing(hidden, token):
    request, response = hidden
    stored = str(dict(request.session.items()))
    sent = response.cookies[one_time_secret.COOKIE_NAME].value
    for part in (token.secret, token.secret[4:14]):
        assert part not in stored
        assert part not in sent


def test_cookie_is_limited_to_one_page(hidden):
    cookie = hidden[1].cookies[one_time_secret.COOKIE_NAME]
    assert cookie["path"] == PATH
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert cookie["max-age"] == one_time_secret.COOKIE_AGE
    assert not cookie["secure"]


def test_cookie_is_secure_over_https(request_with, token):
    request, response = request_with(), HttpResponse()
    request.is_secure = lambda: True
    one_time_secret.hide(request, response, token, token.secret, path=PATH)
    assert response.cookies[one_time_secret.COOKIE_NAME]["secure"]


def test_cookie_follows_session_cookie_settings(request_with, token, settings):
    settings.SESSION_COOKIE_SECURE = True  # behind a proxy that terminates TLS without a header
    request, response = request_with(), HttpResponse()
    one_time_secret.hide(request, response, token, token.secret, path=PATH)
    assert response.cookies[one_time_secret.COOKIE_NAME]["secure"]


def test_secret_is_shown_once(hidden, request_with, token):
    session, cookie = hidden[0].session, hidden[1].cookies[one_time_secret.COOKIE_NAME].value
    first = one_time_secret.take(request_with(session, cookie), token)
    assert str(first.secret) == token.secret
    assert token.secret not in repr(first)
    assert one_time_secret.take(request_with(session, cookie), token) == one_time_secret.Revealed()
    assert one_time_secret.SESSION_KEY not in session


@pytest.mark.parametrize("cookie", [None, "", "not base64 ☃", "AAAA"])
def test_lost_share_is_reported(hidden, request_with, token, cookie):
    assert one_time_secret.take(request_with(hidden[0].session, cookie), token) == one_time_secret.Revealed(
        is_lost=True
    )


def test_replaced_secret_is_not_shown(hidden, request_with, token):
    session, cookie = hidden[0].session, hidden[1].cookies[one_time_secret.COOKIE_NAME].value
    token, _secret = regenerate_token(token)
    assert one_time_secret.take(request_with(session, cookie), token).is_lost


@pytest.mark.parametrize(
    "ahead",
    [
        {"method": "head"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"X-Moz": "prefetch"},
        {"Purpose": "Prefetch"},
        {"Purpose": "preview"},
        {"X-Purpose": "preview"},
    ],
)
def test_prefetch_does_not_use_up_secret(hidden, request_with, token, ahead):
    session, cookie = hidden[0].session, hidden[1].cookies[one_time_secret.COOKIE_NAME].value
    assert one_time_secret.take(request_with(session, cookie, **ahead), token) == one_time_secret.Revealed()
    assert one_time_secret.take(request_with(session, cookie), token).secret


def test_number_of_pads_is_limited(request_with, make_token):
    session = SessionStore()
    for _number in range(one_time_secret.MAX_WAITING + 2):
        token = make_token()
        one_time_secret.hide(request_with(session), HttpResponse(), token, token.secret, path=PATH)
    assert len(session[one_time_secret.SESSION_KEY]) == one_time_secret.MAX_WAITING
