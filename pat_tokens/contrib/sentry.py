"""Keep secrets out of Sentry events. Sentry's own filter doesn't know the site's header.

There is nothing to configure: it is used for each request if `sentry_sdk` is loaded.
"""

from __future__ import annotations

import re
from typing import Any

import sentry_sdk  # type: ignore[import-not-found,unused-ignore]

from pat_tokens.conf import conf
from pat_tokens.crypto import SecretText

FILTERED = "[Filtered]"


def protect_request() -> None:
    """Scrub each event of the current request, after Sentry has added request data."""
    sentry_sdk.get_isolation_scope().add_event_processor(scrub)


def scrub(event: Any, hint: dict[str, Any] | None = None) -> Any:
    """Return the event without secrets. Can also be called from a site's own `before_send`."""
    secrets = re.compile(rf"{re.escape(conf.prefix)}_[A-Za-z0-9]{{20,}}")
    return _scrub(event, conf.header.lower().replace("-", "_"), secrets)


def _scrub(value: Any, header: str, secrets: re.Pattern[str]) -> Any:
    if isinstance(value, dict):
        return {
            key: FILTERED if _names(key, header) else _scrub(inner, header, secrets) for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_scrub(inner, header, secrets) for inner in value]
    if isinstance(value, SecretText):
        return FILTERED
    return secrets.sub(FILTERED, value) if isinstance(value, str) else value


def _names(key: object, header: str) -> bool:
    return isinstance(key, str) and key.lower().replace("-", "_").removeprefix("http_") == header
