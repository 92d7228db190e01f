"""Whether users have confirmed their identity lately, and how they confirm it with their password.

For actions that give access: a new token, more scopes, a new secret or a longer lifetime. An open or stolen session is
then not enough (OWASP ASVS 4.0.3 section 3.7.1, NIST SP 800-63B section 7.2).
"""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING, Any

from django.contrib.auth import HASH_SESSION_KEY, authenticate, logout
from django.contrib.sessions.backends.signed_cookies import SessionStore as CookieStore
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.debug import sensitive_variables

from pat_tokens import log_events
from pat_tokens.exceptions import ReauthenticationRequired
from pat_tokens.policy import get_policy, has_own_session
from pat_tokens.rate_limits import RateLimiter

if TYPE_CHECKING:
    from django.http import HttpRequest

STAMP = "pat_tokens_reauthenticated"  # in the session: when, and for which session
FAILURES = "pat_tokens_reauthentication_failures"  # in the session: how many since the last success
MAX_FAILURES = 5  # wrong passwords, after which a session ends
WINDOW = 300  # seconds in which a user has as many tries in one process, however many requests come at once

clock = time.time
_attempts = RateLimiter(MAX_FAILURES, WINDOW)


class Proof(Enum):
    """The result of a password prompt."""

    GIVEN = "given"
    WRONG = "wrong"
    TOO_MANY_ATTEMPTS = "too_often"  # nothing was looked at
    ENDED = "session_ended"


def require(request: HttpRequest) -> None:
    """Raise ReauthenticationRequired unless the user confirmed their identity lately, or doesn't have to.

    The site's `PAT_TOKENS_REAUTHENTICATE` is called first: True allows, None means that the password counts, a string
    is the URL of a page where users confirm their identity, and anything else refuses.
    """
    answer = get_policy().get_reauthentication(request)
    if answer is None:
        return
    if isinstance(answer, str) or not _has_password(request):
        raise ReauthenticationRequired(url=answer if isinstance(answer, str) and answer else None)
    if not _has_fresh_stamp(request, answer):
        raise ReauthenticationRequired(by_password=True)


@sensitive_variables()
def confirm(request: HttpRequest, password: str) -> Proof:
    """Check the password with the site's authentication backends. A correct one counts for this session only."""
    proof = _try(request, password)
    log_events.log_reauthentication(proof.value, request)
    if proof is Proof.ENDED:
        logout(request)
    return proof


@sensitive_variables()
def _try(request: HttpRequest, password: str) -> Proof:
    user: Any = request.user
    # Counted before it is looked at: requests that come all at once get no more tries than those in a row.
    if not _attempts.take(user.pk).is_allowed:
        return Proof.TOO_MANY_ATTEMPTS
    found = authenticate(request, username=user.get_username(), password=password)
    if found is None or found.pk != user.pk:
        failures = request.session.get(FAILURES, 0) + 1
        request.session[FAILURES] = failures
        return Proof.WRONG if failures < MAX_FAILURES else Proof.ENDED
    _attempts.forget(user.pk)
    request.session.pop(FAILURES, None)
    # The session can do more now, so whoever knows its old key shall not have it (OWASP Session Management).
    request.session.cycle_key()
    request.session[STAMP] = [clock(), _binding(request)]
    return Proof.GIVEN


def _has_password(request: HttpRequest) -> bool:
    # A stamp needs a session of this very user; one who came by another scheme has none.
    user: Any = request.user
    if not has_own_session(request):
        return False
    # A model without passwords has None there, which Django takes for usable.
    return bool(getattr(user, "password", None)) and user.has_usable_password()


def _has_fresh_stamp(request: HttpRequest, after: float) -> bool:
    try:
        when, binding = request.session[STAMP]
    except (KeyError, TypeError, ValueError):
        return False
    # A stamp from the future is of a clock that was put back, and nobody knows how old it is.
    return constant_time_compare(binding, _binding(request)) and 0 <= clock() - when < after


def _binding(request: HttpRequest) -> str:
    # A logout deletes the stamp; a login and a change of the password keep what is in the session and give it another
    # key. With signed cookies a session has a new key in every answer; there its user and password have to do.
    session: Any = request.session
    key = "" if isinstance(session, CookieStore) else session.session_key
    return salted_hmac(
        STAMP, f"{request.user.pk}:{session.get(HASH_SESSION_KEY)}:{key}", algorithm="sha256"
    ).hexdigest()
