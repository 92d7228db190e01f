"""Whether users have recently confirmed their identity, and how they confirm it with their password.

For actions that give access: a new token, more scopes or networks, a new secret or a longer lifetime. An open
or stolen session is then not enough (OWASP ASVS 4.0.3 section 3.7.1, NIST SP 800-63B section 7.2).
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

STAMP = "pat_tokens_reauthenticated"  # session key: when the password was confirmed, and for which session
FAILURES = "pat_tokens_reauthentication_failures"  # session key: how many since the last success
MAX_FAILURES = 5  # wrong passwords until the session ends
WINDOW = 300  # seconds in which a user has that many attempts per process

clock = time.time
_attempts = RateLimiter(MAX_FAILURES, WINDOW)


class Proof(Enum):
    """The result of a password prompt."""

    GIVEN = "given"
    WRONG = "wrong"
    TOO_MANY_ATTEMPTS = "too_often"  # the password wasn't checked
    ENDED = "session_ended"


def require(request: HttpRequest) -> None:
    """Raise ReauthenticationRequired unless the user has recently confirmed their identity, or doesn't have to.

    The policy's `get_reauthentication` decides whether and how. If it asks for a password, users who have none are
    refused, and so are users who didn't log in to this session.
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
    # Counted before the check, so that concurrent requests don't get more attempts.
    if not _attempts.take(user.pk).is_allowed:
        return Proof.TOO_MANY_ATTEMPTS
    found = authenticate(request, username=user.get_username(), password=password)
    if found is None or found.pk != user.pk:
        failures = request.session.get(FAILURES, 0) + 1
        request.session[FAILURES] = failures
        return Proof.WRONG if failures < MAX_FAILURES else Proof.ENDED
    _attempts.forget(user.pk)
    request.session.pop(FAILURES, None)
    # The session can do more now, so its old key must not remain valid (OWASP Session Management).
    request.session.cycle_key()
    request.session[STAMP] = [clock(), _binding(request)]
    return Proof.GIVEN


def _has_password(request: HttpRequest) -> bool:
    # The stamp is stored in a session of this user; users of another scheme have none.
    user: Any = request.user
    if not has_own_session(request):
        return False
    # For models without passwords this is None, which Django considers usable.
    return bool(getattr(user, "password", None)) and user.has_usable_password()


def _has_fresh_stamp(request: HttpRequest, after: float) -> bool:
    try:
        when, binding = request.session[STAMP]
    except (KeyError, TypeError, ValueError):
        return False
    # A stamp in the future means that the clock was set back, so its age is unknown.
    return constant_time_compare(binding, _binding(request)) and 0 <= clock() - when < after


def _binding(request: HttpRequest) -> str:
    # A logout deletes the stamp. A login or a new password keeps the session's data and changes its key. Sessions in
    # signed cookies have a new key in each response, so the user and the password are used instead.
    session: Any = request.session
    key = "" if isinstance(session, CookieStore) else session.session_key
    return salted_hmac(
        STAMP, f"{request.user.pk}:{session.get(HASH_SESSION_KEY)}:{key}", algorithm="sha256"
    ).hexdigest()
