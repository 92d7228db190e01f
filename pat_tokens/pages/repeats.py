"""The same form sent twice, as by a double click without our script: the browser drops the first answer.

The first request makes the token, and its secret waits in the session for a page that is never opened. The second one
is then given the same token with another secret, instead of the complaint that its name is taken.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted

from pat_tokens.pages import one_time_secret, password_prompt

if TYPE_CHECKING:
    from django.http import HttpRequest

    from pat_tokens.models import PersonalAccessToken
    from pat_tokens.querysets import TokenQuerySet

SESSION_KEY = "pat_tokens_sent"
MAX_REMEMBERED = 5  # as many as there are secrets that wait


def remember(request: HttpRequest, token: PersonalAccessToken) -> None:
    """Store at once that what was sent with `request` has made `token`; in its transaction, so that both are seen."""
    sent = {**request.session.get(SESSION_KEY, {}), _fingerprint(request): str(token.pk)}
    request.session[SESSION_KEY] = dict(list(sent.items())[-MAX_REMEMBERED:])
    if request.session.session_key == request.COOKIES.get(settings.SESSION_COOKIE_NAME):
        # Not once more with the response, which may end after another request has put a newer pad there. A session
        # that travels in its cookie says by itself that it has to be sent; one with a new key has to be, too.
        request.session.modified = False
    try:
        request.session.save()
    except UpdateError:  # a logout in another window; as Django's middleware says it
        raise SessionInterrupted("The session was ended while the request was being answered.") from None


def find(request: HttpRequest, tokens: TokenQuerySet) -> PersonalAccessToken | None:
    """Return the one of `tokens` that the very same form has made, if nobody has seen its secret or revoked it."""
    # Read anew: the other request may have ended after this one had begun.
    session = type(request.session)(request.session.session_key)
    made = session.get(SESSION_KEY, {}).get(_fingerprint(request))
    return (
        tokens.filter(pk=made, revoked_at=None).first() if made and one_time_secret.is_waiting(session, made) else None
    )


def _fingerprint(request: HttpRequest) -> str:
    fields = sorted(item for item in request.POST.lists() if item[0] not in password_prompt.NOT_KEPT)
    return sha256(json.dumps(fields).encode()).hexdigest()
