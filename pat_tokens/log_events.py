"""What is logged: each event with its name, logger, level and facts, in one table. No fact is ever a secret."""

from __future__ import annotations

import logging
from functools import cache
from typing import NamedTuple


class Event(NamedTuple):
    """One kind of line; its facts are attributes of the log record, beside `event`, and stand in its text."""

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
    "token_revoked": Event(_TOKENS, logging.INFO, "Token revoked", _WHOSE),
    "token_deleted": Event(_TOKENS, logging.INFO, "Token deleted", (*_WHOSE, "pruned")),
    "scopes_added": Event(_TOKENS, logging.INFO, "Scopes added", (*_WHOSE, "scopes")),
    "scopes_deleted": Event(_TOKENS, logging.INFO, "Scopes deleted", (*_WHOSE, "scopes")),
    "token_expiring": Event(_TOKENS, logging.INFO, "Token expiring", (*_WHOSE, "days", "mailed")),
    "reminder_failed": Event(_TOKENS, logging.WARNING, "Reminder not sent", ("user_id", "count", "error")),
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


def is_logged(name: str) -> bool:
    """Whether anybody listens to this event; a question that costs next to nothing."""
    event = EVENTS[name]
    return _logger(event.logger).isEnabledFor(event.level)


@cache
def _logger(name: str) -> logging.Logger:
    # Asked for at each request; `logging` itself takes a lock to find it.
    return logging.getLogger(name)


def log(name: str, **facts: object) -> None:
    """Log the event `name` with exactly its facts, each as a text, a number, a truth value or a list of texts."""
    event = EVENTS[name]
    values = {fact: facts[fact] for fact in event.facts}
    shown = " ".join(f"{fact.removesuffix('_id')}=%s" for fact in event.facts)
    extra = {"event": name, **values}
    texts = (_text(value) for value in values.values())
    # The line's pattern is the same for all lines of an event, so that collectors can group by it.
    _logger(event.logger).log(event.level, f"{event.text}: {shown}", *texts, extra=extra)


def _text(value: object) -> object:
    if value is None:
        return "-"
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    # A key of an entity may be any text; none can begin a line of its own.
    return "".join(character if character.isprintable() else "?" for character in text)
