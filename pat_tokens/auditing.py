"""What the log says about requests: who was let in, and who was turned away, but never enough to fill a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pat_tokens import log_events
from pat_tokens.conf import conf
from pat_tokens.http import client_ip
from pat_tokens.rate_limits import RateLimiter

if TYPE_CHECKING:
    from django.http import HttpRequest

    from pat_tokens.exceptions import TokenError
    from pat_tokens.models import PersonalAccessToken

WINDOW = 60  # seconds
LINES = 30  # for each reason in a window; a process that gets junk alone writes 1,800 lines an hour
_rate = RateLimiter(LINES, WINDOW)


def log_use(token: PersonalAccessToken, request: HttpRequest | None) -> None:
    """Write down that `token` was let in, for a site that asks for lines of the level DEBUG."""
    if log_events.is_logged("token_authenticated"):
        ip, route = _origin(request)
        log_events.log("token_authenticated", token_id=str(token.pk), user_id=str(token.user_id), ip=ip, route=route)


def log_refusal(
    error: TokenError, *, token: PersonalAccessToken | None = None, request: HttpRequest | None = None
) -> None:
    """Write down that `error` refused a request: why, which token where it is known, from where and on which route.

    Nothing that a client chose is in the line, neither its path nor its header. Past LINES of a reason in WINDOW
    nothing is written, and the next line that is says how many those were.
    """
    taken = _rate.take(error.reason)
    if taken.missed:
        log_events.log("refusals_skipped", reason=error.reason, count=taken.missed)
    if not taken.is_allowed:
        return
    ip, route = _origin(request)
    token_id = None if token is None else str(token.pk)
    log_events.log("token_refused", reason=error.reason, token_id=token_id, ip=ip, route=route)


def log_outage(error: Exception) -> None:
    """Write down that the database did not answer, so that somebody was turned away."""
    if _rate.take("outage").is_allowed:
        log_events.log("database_failed", error=type(error).__name__)


def log_reauthentication(outcome: str, request: HttpRequest) -> None:
    """Write down that a person was asked for the password once more, and what came of it; bounded in the same way."""
    user_id = str(request.user.pk)
    taken = _rate.take((outcome, user_id))
    if taken.missed:
        log_events.log("refusals_skipped", reason=outcome, count=taken.missed)
    if not taken.is_allowed:
        return
    ip, _route = _origin(request)
    if outcome == "given":
        log_events.log("reauthenticated", user_id=user_id, ip=ip)
    else:
        log_events.log("reauthentication_failed", reason=outcome, user_id=user_id, ip=ip)


def _origin(request: HttpRequest | None) -> tuple[str | None, str | None]:
    if request is None:
        return None, None
    match = getattr(request, "resolver_match", None)
    return client_ip(request, conf.client_ip), None if match is None else f"/{match.route}"
