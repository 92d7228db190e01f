"""Keep secrets out of Sentry events. Sentry's own filter doesn't know the site's header.

There is nothing to configure: this module is used for each request if `sentry_sdk` is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import sentry_sdk  # type: ignore[import-not-found,unused-ignore]

from pat_tokens.conf import conf
from pat_tokens.crypto import SecretText, part_pattern

FILTERED = "[Filtered]"


class _BeforeSend:
    """Scrubs events last: Sentry adds the body of a request after it has called the processors of the request."""

    def __init__(self, site: Callable[..., Any] | None) -> None:
        self._site = site

    def __call__(self, event: Any, hint: dict[str, Any]) -> Any:
        event = event if self._site is None else self._site(event, hint)
        return event if event is None else scrub(event)


def protect_request() -> None:
    """Scrub each event of the current request, before and after Sentry calls what the site has configured."""
    sentry_sdk.get_isolation_scope().add_event_processor(scrub)
    options = sentry_sdk.get_client().options
    for name in ("before_send", "before_send_transaction"):
        if not isinstance(options.get(name), _BeforeSend):
            options[name] = _BeforeSend(options.get(name))


def scrub(event: Any, hint: dict[str, Any] | None = None) -> Any:
    """Return the event without secrets. Can also be called from a site's own `before_send`."""
    # Imported keys are left in, because they look like the commit hashes that Sentry uses as releases.
    secrets = re.compile(part_pattern(conf.prefix, legacy=False))
    return _scrub(event, conf.header.lower().replace("-", "_"), secrets)


def _scrub(value: Any, header: str, secrets: re.Pattern[str]) -> Any:
    if isinstance(value, dict):
        # A key can be a secret too, in the data of a form or a query string.
        return {
            _scrub(key, header, secrets): FILTERED if _names(key, header) else _scrub(inner, header, secrets)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_scrub(inner, header, secrets) for inner in value]
    if isinstance(value, SecretText):
        return FILTERED
    return secrets.sub(FILTERED, value) if isinstance(value, str) else value


def _names(key: object, header: str) -> bool:
    return isinstance(key, str) and key.lower().replace("-", "_").removeprefix("http_") == header
