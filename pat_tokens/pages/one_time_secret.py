"""A secret crosses a redirect and is shown once, while no place on the server ever holds it in the clear.

It is split in two shares of random noise: the pad rests in the session, the other share travels in a cookie that
lives for minutes and is sent to one page alone. That page joins and deletes them.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpResponse
from django.template.response import SimpleTemplateResponse
from django.utils.crypto import get_random_string
from django.views.decorators.debug import sensitive_variables

from pat_tokens.conf import conf
from pat_tokens.crypto import SecretBytes, SecretText, digests, is_among, join, split

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase
    from django.http import HttpRequest, HttpResponseBase

    from pat_tokens.models import PersonalAccessToken

SESSION_KEY = "pat_tokens_reveal"
COOKIE_NAME = "pat_tokens_reveal"
COOKIE_AGE = 300  # seconds
PREFETCH_HEADERS = ("Sec-Purpose", "Purpose", "X-Moz")  # the older ones are still sent by some browsers and proxies
MAX_WAITING = 5  # pads that one session keeps for pages that were never opened


class Secret:
    """A secret on its way to one page.

    Templates get a placeholder, because Django calls the callables that a template names, and `close()` replaces it by
    the secret once everything is rendered. So an error in a template, such as one that a site overrides, cannot report
    the secret with its context.
    """

    def __init__(self, text: str) -> None:
        self._text = SecretText(text)
        self._placeholder = f"secret-{get_random_string(32)}"

    def __call__(self) -> str:
        return self._placeholder

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "<Secret>"

    def fill_in(self, response: HttpResponse) -> None:
        """Replace the placeholder in what was rendered."""
        response.content = response.content.replace(self._placeholder.encode(), self._text.encode())


@dataclass(frozen=True)
class Revealed:
    """What a page may show: the secret; or that there was one which got lost on the way; or, mostly, nothing."""

    secret: Secret | None = None
    is_lost: bool = False


@sensitive_variables()
def hide(
    request: HttpRequest, response: HttpResponseBase, token: PersonalAccessToken, secret: str, *, path: str
) -> None:
    """Send `secret` along with the redirect `response`, for the page at `path` to show once."""
    pad, share = split(SecretText(secret))
    waiting = dict(request.session.get(SESSION_KEY, {}))
    waiting.pop(str(token.pk), None)
    waiting[str(token.pk)] = _to_text(pad)
    request.session[SESSION_KEY] = dict(list(waiting.items())[-MAX_WAITING:])
    response.set_cookie(
        COOKIE_NAME,
        _to_text(share),
        max_age=COOKIE_AGE,
        path=path,
        secure=request.is_secure() or settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )


@sensitive_variables()
def take(request: HttpRequest, token: PersonalAccessToken) -> Revealed:
    """Return what the page of `token` may show now, which it may not show again."""
    waiting = dict(request.session.get(SESSION_KEY, {}))
    pad = waiting.pop(str(token.pk), None)
    if pad is None or is_prefetch(request):
        return Revealed()
    if waiting:
        request.session[SESSION_KEY] = waiting
    else:
        del request.session[SESSION_KEY]
    secret = _join(SecretText(pad), SecretText(request.COOKIES.get(COOKIE_NAME, "")))
    # A share that belongs to an earlier secret of this token joins to something that opens nothing.
    if secret is None or not is_among(token.digest, digests(secret, conf.peppers)):
        return Revealed(is_lost=True)
    return Revealed(Secret(secret))


def is_waiting(session: SessionBase, token_pk: str) -> bool:
    """Whether `session` keeps its share of a secret that has not been shown yet."""
    return token_pk in session.get(SESSION_KEY, {})


def close(response: HttpResponseBase, revealed: Revealed, *, path: str) -> None:
    """Put the secret into the page, delete the cookie, and keep the page out of caches and Referer headers."""
    if revealed.secret or revealed.is_lost:
        response.delete_cookie(COOKIE_NAME, path=path, samesite="Strict")
    if revealed.secret:
        if isinstance(response, SimpleTemplateResponse):
            response.add_post_render_callback(revealed.secret.fill_in)  # at once, if it is rendered already
        elif isinstance(response, HttpResponse):
            revealed.secret.fill_in(response)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"


def is_prefetch(request: HttpRequest) -> bool:
    """Return whether a browser loads the page before anybody wants to see it. That must not use up the secret."""
    return request.method != "GET" or any(
        "prefetch" in request.headers.get(name, "").lower() for name in PREFETCH_HEADERS
    )


@sensitive_variables()
def _join(pad: str, share: str) -> str | None:
    try:
        return join(SecretBytes(urlsafe_b64decode(pad.encode())), SecretBytes(urlsafe_b64decode(share.encode())))
    except ValueError:
        return None


def _to_text(noise: bytes) -> str:
    return urlsafe_b64encode(noise).decode()
