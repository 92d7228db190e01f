"""Pass a secret through a redirect and show it once, without storing it on the server in plain text.

The secret is split into two shares of random noise. The pad is stored in the session; the other share is in a cookie
that expires within minutes and is only sent to one page. That page joins and deletes them.
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
from pat_tokens.crypto import HiddenRepr, SecretBytes, SecretText, digests, is_among, join, split

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase

    from pat_tokens.models import PersonalAccessToken

SESSION_KEY = "pat_tokens_reveal"
COOKIE_NAME = "pat_tokens_reveal"
COOKIE_AGE = 300  # seconds
# Some browsers, apps and proxies still send the older ones.
PREFETCH_HEADERS = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
MAX_WAITING = 5  # pads that a session keeps for pages that were never opened


class Secret(HiddenRepr):
    """A secret on its way to one page.

    Templates get a placeholder, because Django calls callables in templates, and `close()` replaces it with the secret
    after rendering. So an error in a template, for example in an overridden one, can't report the secret.
    """

    def __init__(self, text: str) -> None:
        self._text = SecretText(text)
        self._placeholder = f"secret-{get_random_string(32)}"

    def __call__(self) -> str:
        return self._placeholder

    def __str__(self) -> str:
        return self._text

    def fill_in(self, response: HttpResponse) -> None:
        """Replace the placeholder in the rendered response."""
        response.content = response.content.replace(self._placeholder.encode(), self._text.encode())


@dataclass(frozen=True)
class Revealed:
    """What a page can show: the secret, or that it was lost on the way, or, most of the time, neither."""

    secret: Secret | None = None
    is_lost: bool = False


@sensitive_variables()
def hide(
    request: HttpRequest, response: HttpResponseBase, token: PersonalAccessToken, secret: str, *, path: str
) -> None:
    """Add the shares of `secret` to the session and to the redirect `response`; the page at `path` shows it once."""
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
    """Return what the page of `token` can show. The secret can't be taken again."""
    waiting = dict(request.session.get(SESSION_KEY, {}))
    pad = waiting.pop(str(token.pk), None)
    if pad is None or is_prefetch(request):
        return Revealed()
    if waiting:
        request.session[SESSION_KEY] = waiting
    else:
        del request.session[SESSION_KEY]
    secret = _join(SecretText(pad), SecretText(request.COOKIES.get(COOKIE_NAME, "")))
    # With a share of an earlier secret of this token, the result isn't the token's secret.
    if secret is None or not is_among(token.digest, digests(secret, conf.peppers)):
        return Revealed(is_lost=True)
    return Revealed(Secret(secret))


def close(response: HttpResponseBase, revealed: Revealed, *, path: str) -> None:
    """Insert the secret, delete the cookie, and keep the page out of caches and Referer headers."""
    if revealed.secret or revealed.is_lost:
        response.delete_cookie(COOKIE_NAME, path=path, samesite="Strict")
    if revealed.secret:
        if isinstance(response, SimpleTemplateResponse):
            response.add_post_render_callback(revealed.secret.fill_in)  # called immediately if it is already rendered
        elif isinstance(response, HttpResponse):
            revealed.secret.fill_in(response)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"


def is_prefetch(request: HttpRequest) -> bool:
    """Return whether a browser prefetches or previews the page, which must not use up the secret."""
    purposes = " ".join(request.headers.get(name, "").lower() for name in PREFETCH_HEADERS)
    return request.method != "GET" or "prefetch" in purposes or "preview" in purposes


@sensitive_variables()
def _join(pad: str, share: str) -> str | None:
    try:
        return join(SecretBytes(urlsafe_b64decode(pad.encode())), SecretBytes(urlsafe_b64decode(share.encode())))
    except ValueError:
        return None


def _to_text(noise: bytes) -> str:
    return urlsafe_b64encode(noise).decode()
