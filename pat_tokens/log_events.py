"""All log events in one table, and rate-limited logging of requests.

No record contains a secret, or a string that the client chose.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from pat_tokens.networks import network_of
from pat_tokens.policy import recorded_ip
from pat_tokens.rate_limits import RateLimiter, RateLimitResult

if TYPE_CHECKING:
    from django.http import HttpRequest

    from pat_tokens.exceptions import TokenError
    from pat_tokens.models import PersonalAccessToken


class Event(NamedTuple):
    """A kind of log record; its facts are attributes of the record, next to `event`, and part of its message."""

    logger: str
    level: int
    text: str
    facts: tuple[str, ...]


_ROOT = "pat_tokens"
_TOKENS = "pat_tokens.tokens"
_USE = "pat_tokens.use"
_REFUSED = "pat_tokens.refused"
_REAUTHENTICATION = "pat_tokens.reauthentication"
_WHOSE = ("token_id", "user_id")

EVENTS = {
    "token_created": Event(_TOKENS, logging.INFO, "Token created", _WHOSE),
    "token_imported": Event(_TOKENS, logging.INFO, "Token imported", _WHOSE),
    "token_updated": Event(_TOKENS, logging.INFO, "Token updated", (*_WHOSE, "fields")),
    "token_regenerated": Event(_TOKENS, logging.INFO, "Token regenerated", _WHOSE),
    "token_rotated": Event(_TOKENS, logging.INFO, "Token rotated", _WHOSE),
    "rotation_finished": Event(_TOKENS, logging.INFO, "Rotation finished", _WHOSE),
    "rotation_cancelled": Event(_TOKENS, logging.INFO, "Rotation canceled", _WHOSE),
    "token_revoked": Event(_TOKENS, logging.INFO, "Token revoked", _WHOSE),
    "token_deleted": Event(_TOKENS, logging.INFO, "Token deleted", (*_WHOSE, "pruned")),
    "scopes_added": Event(_TOKENS, logging.INFO, "Scopes added", (*_WHOSE, "scopes")),
    "scopes_deleted": Event(_TOKENS, logging.INFO, "Scopes deleted", (*_WHOSE, "scopes")),
    "token_expiring": Event(_TOKENS, logging.INFO, "Token expiring", (*_WHOSE, "days", "mailed")),
    "reminder_failed": Event(_TOKENS, logging.WARNING, "Reminder not sent", ("user_id", "count", "error")),
    "notice_failed": Event(_TOKENS, logging.WARNING, "Email about a token not sent", ("token_id", "kind", "error")),
    "token_authenticated": Event(_USE, logging.DEBUG, "Token authenticated", (*_WHOSE, "ip", "route")),
    "token_refused": Event(_REFUSED, logging.WARNING, "Token refused", ("reason", "token_id", "ip", "route")),
    "refusals_skipped": Event(_REFUSED, logging.WARNING, "More refusals, not logged", ("reason", "count")),
    "reauthenticated": Event(_REAUTHENTICATION, logging.INFO, "Reauthenticated", ("user_id", "ip")),
    "reauthentication_failed": Event(
        _REAUTHENTICATION, logging.WARNING, "Reauthentication failed", ("reason", "user_id", "ip")
    ),
    "last_use_failed": Event(_ROOT, logging.WARNING, "Use of a token not recorded", ("token_id", "error")),
    "watch_failed": Event(_ROOT, logging.WARNING, "Open connections not checked", ("error",)),
    "database_failed": Event(_ROOT, logging.ERROR, "Database did not answer", ("error",)),
}

WINDOW = 60  # seconds
LINES = 30  # per window, reason and token, or address if no token is known
JUNK_LINES = 10 * LINES  # per window and reason, if no token is known
_limiter = RateLimiter(LINES, WINDOW)
_junk_limiter = RateLimiter(JUNK_LINES, WINDOW)


def is_logged(name: str) -> bool:
    """Return whether a logger is enabled for this event."""
    event = EVENTS[name]
    return _logger(event.logger).isEnabledFor(event.level)


@cache
def _logger(name: str) -> logging.Logger:
    # Cached, because `logging.getLogger()` takes a lock.
    return logging.getLogger(name)


def log(name: str, **facts: object) -> None:
    """Log the event `name` with exactly its facts: strings, numbers, booleans or lists of strings."""
    event = EVENTS[name]
    values = {fact: facts[fact] for fact in event.facts}
    shown = " ".join(f"{fact.removesuffix('_id')}=%s" for fact in event.facts)
    extra = {"event": name, **values}
    texts = (_text(value) for value in values.values())
    # The format string is the same for all records of an event, so that log collectors can group by it.
    _logger(event.logger).log(event.level, f"{event.text}: {shown}", *texts, extra=extra)


def _text(value: object) -> object:
    if value is None:
        return "-"
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    # The key of an entity can be any string, but must not start a new line in the log.
    return "".join(character if character.isprintable() else "?" for character in text)


def log_use(token: PersonalAccessToken, request: HttpRequest | None) -> None:
    """Log that `token` was accepted, at the level DEBUG."""
    if is_logged("token_authenticated"):
        ip, route = _origin(request)
        log("token_authenticated", token_id=str(token.pk), user_id=str(token.user_id), ip=ip, route=route)


def log_refusal(
    error: TokenError, *, token: PersonalAccessToken | None = None, request: HttpRequest | None = None
) -> None:
    """Log that `error` refused a request: the reason, the token if it is known, the address and the route.

    The record doesn't contain the path or the header. Refusals of one token, or from one address, never hide those of
    another. After LINES records in WINDOW nothing is logged, and the next record says how many were left out.
    """
    ip, route = _origin(request)
    token_id = None if token is None else str(token.pk)
    taken = _limiter.take((error.reason, token_id or network_of(ip)))
    if token_id is None and taken.is_allowed:
        junk = _junk_limiter.take(error.reason)
        taken = RateLimitResult(junk.is_allowed, taken.missed + junk.missed)
    if taken.missed:
        log("refusals_skipped", reason=error.reason, count=taken.missed)
    if taken.is_allowed:
        log("token_refused", reason=error.reason, token_id=token_id, ip=ip, route=route)


def log_outage(error: Exception) -> None:
    """Log that the database didn't respond."""
    if _limiter.take("outage").is_allowed:
        log("database_failed", error=type(error).__name__)


def log_reauthentication(outcome: str, request: HttpRequest) -> None:
    """Log that a user was asked for their password, and the result, with the same rate limit."""
    user_id = str(request.user.pk)
    taken = _limiter.take((outcome, user_id))
    if taken.missed:
        log("refusals_skipped", reason=outcome, count=taken.missed)
    if not taken.is_allowed:
        return
    ip, _route = _origin(request)
    if outcome == "given":
        log("reauthenticated", user_id=user_id, ip=ip)
    else:
        log("reauthentication_failed", reason=outcome, user_id=user_id, ip=ip)


def _origin(request: HttpRequest | None) -> tuple[str | None, str | None]:
    if request is None:
        return None, None
    match = getattr(request, "resolver_match", None)
    return recorded_ip(request), None if match is None else f"/{match.route}"
