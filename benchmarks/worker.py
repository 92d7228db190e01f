"""What is measured in one process with one database; prints its results as JSON, for the command to collect."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings, setup_test_environment

from benchmarks import OURS


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--check", action="store_true", help="measure nothing")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--steps", action="store_true", help="measure where the time of a check goes, and nothing else")
    options = parser.parse_args()
    django.setup()
    setup_test_environment()
    call_command("migrate", verbosity=0)

    from benchmarks import candidates, pages, rows, steps, timing

    results: dict[str, Any]
    if options.check:
        found = candidates.make_candidates()
        results = {"queries": check(found)}
        steps.measure_steps(_ours(found), timing.ONCE)
        pages.check()
        json.dump(results, sys.stdout)
        return
    effort = timing.QUICK if options.quick else timing.Effort()
    few = min(1000, options.rows)
    found = candidates.make_candidates()
    _say(f"{connection.vendor}: {few:,} rows")
    rows.fill(1, few)
    if options.steps:
        # More rounds, since a step is a few microseconds of some hundred.
        json.dump(steps.measure_steps(_ours(found), replace(effort, rounds=3 * effort.rounds)), sys.stdout)
        return
    results = {"queries": check(found), "requests": {str(few): _measure_wsgi(found, effort)}}
    _say(f"{connection.vendor}: ASGI")
    results["asgi"] = _measure_asgi(found, effort)
    _say(f"{connection.vendor}: usual middleware")
    with override_settings(MIDDLEWARE=settings.USUAL_MIDDLEWARE):
        results["usual"] = _measure_wsgi(found, effort)
    if options.rows > few:
        _say(f"{connection.vendor}: filling to {options.rows:,} rows")
        rows.fill(few + 1, options.rows)
        _say(f"{connection.vendor}: {options.rows:,} rows")
        results["requests"][str(options.rows)] = _measure_wsgi(found, effort)
    _say(f"{connection.vendor}: pages and management API")
    results["pages"] = pages.measure(effort)
    json.dump(results, sys.stdout)


def check(found: list[Any]) -> dict[str, int]:
    """Return how many queries each candidate takes; raises AssertionError unless its credentials decide the answer."""
    from benchmarks.asking import by_asgi, by_wsgi, headers_of

    handler = WSGIHandler()
    queries = {}
    for candidate in found:
        ask = by_wsgi(handler, candidate.path, headers_of(candidate.authorization))
        assert ask() == 200, candidate
        if candidate.authorization is not None:
            for wrong in (None, candidate.authorization[:-4] + "AAAA"):
                assert by_wsgi(handler, candidate.path, headers_of(wrong))() in (401, 403), candidate
        with CaptureQueriesContext(connection) as captured:
            ask()
        queries[candidate.name] = len(captured)
        by_other_way = by_asgi(ASGIHandler(), candidate.path, headers_of(candidate.authorization))
        assert asyncio.run(by_other_way()) == 200, candidate  # type: ignore[arg-type]
    return queries


def _ours(found: list[Any]) -> Any:
    return next(one for one in found if one.name == OURS)


def _measure_wsgi(found: list[Any], effort: Any) -> dict[str, Any]:
    from benchmarks import timing
    from benchmarks.asking import by_wsgi, headers_of

    handler = WSGIHandler()

    def repeat(ask: Callable[[], int]) -> Callable[[int], None]:
        def run(count: int) -> None:
            for _ in range(count):
                assert ask() == 200

        return run

    asks = {one.name: repeat(by_wsgi(handler, one.path, headers_of(one.authorization))) for one in found}
    return _as_json(timing.measure(asks, effort))


def _measure_asgi(found: list[Any], effort: Any) -> dict[str, Any]:
    from benchmarks import timing
    from benchmarks.asking import by_asgi, headers_of

    handler = ASGIHandler()
    loop = asyncio.new_event_loop()

    def repeat(ask: Any) -> Callable[[int], None]:
        async def run(count: int) -> None:
            for _ in range(count):
                assert await ask() == 200

        return lambda count: loop.run_until_complete(run(count))

    asks = {one.name: repeat(by_asgi(handler, one.path, headers_of(one.authorization))) for one in found}
    try:
        return _as_json(timing.measure(asks, effort))
    finally:
        loop.close()


def _as_json(costs: Any) -> dict[str, Any]:
    return {name: [asdict(cost) for cost in rounds] for name, rounds in costs.items()}


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
