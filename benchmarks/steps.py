"""What each step of authentication costs: whole requests, with one step at a time replaced by its result."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.utils import timezone

from benchmarks.asking import by_wsgi, repeat
from benchmarks.candidates import Candidate
from benchmarks.timing import Effort, measure
from pat_tokens import authentication, crypto, log_events, lookup, services
from pat_tokens.contrib.rest_framework import authentication as integration
from pat_tokens.models import PersonalAccessToken

WHOLE = "the whole request"

# The name of each step in the table, and its functions: their module and name.
STEPS: dict[str, tuple[tuple[Any, str], ...]] = {
    "the header's secret": ((authentication, "read_secret"),),
    "`Vary`": ((integration, "vary"),),
    "what the view requires": ((integration, "find_requirement"), (authentication, "required_scope_from_url")),
    "format and checksum of the secret": ((authentication, "has_secret_format"),),
    "its digest": ((crypto, "digests"),),
    "the SELECT, token, owner and decision": ((lookup, "find_token"),),
    "revoked, expired, owner inactive, refused by the site": ((authentication, "check_usable"),),
    "last use, and the log": ((services, "is_use_due"), (log_events, "log_use")),
    "guards of the view, `Cache-Control`": ((integration, "guard"),),
}


def measure_steps(candidate: Candidate, effort: Effort) -> dict[str, float]:
    """Return how many microseconds of CPU each step costs (median); the whole request first."""
    ask = by_wsgi(WSGIHandler(), candidate.path, candidate.authorization)
    # Otherwise the use becomes due within this minute, and a token that isn't looked up again would write each time.
    PersonalAccessToken.objects.update(last_used_at=timezone.now())
    variants: dict[str, list[tuple[Any, str, Any]]] = {WHOLE: []}
    for step, places in STEPS.items():
        variants[step] = [(place, name, _stand_in(place, name, ask)) for place, name in places]

    def run(changes: list[tuple[Any, str, Any]], count: int) -> None:
        with _changed(changes):
            repeat(ask)(count)

    costs = measure({step: partial(run, changes) for step, changes in variants.items()}, effort)
    whole = [cost.cpu for cost in costs.pop(WHOLE)]
    saved = {
        step: [seconds - one.cpu for seconds, one in zip(whole, rounds, strict=True)] for step, rounds in costs.items()
    }
    return {step: statistics.median(seconds) * 1e6 for step, seconds in {WHOLE: whole, **saved}.items()}


def _stand_in(place: Any, name: str, ask: Callable[[], int]) -> Any:
    """Return a replacement for a step, which returns the result of one request."""
    step = vars(place)[name]
    returned: list[Any] = []

    def noted(*args: Any, **kwargs: Any) -> Any:
        returned.append(step(*args, **kwargs))
        return returned[-1]

    with _changed([(place, name, noted)]):
        assert ask() == 200
    (known,) = returned
    return lambda *_args, **_kwargs: known


@contextmanager  # not unittest.mock, because its seven patches cost as much as a small step
def _changed(changes: list[tuple[Any, str, Any]]) -> Iterator[None]:
    before = [(place, name, vars(place)[name]) for place, name, _ in changes]
    for place, name, value in changes:
        setattr(place, name, value)
    try:
        yield
    finally:
        for place, name, value in before:
            setattr(place, name, value)
