"""The measurements in one process with one database, printed as JSON for the command."""

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
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.test.utils import CaptureQueriesContext, override_settings, setup_test_environment

from benchmarks import FEW, OURS


def main() -> None:
    """Run the measurements that the command line selects."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=FEW)
    parser.add_argument("--many", metavar="URL", help=f"the database for all rows, if that is more than {FEW:,}")
    parser.add_argument("--check", action="store_true", help="measure nothing")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--steps", action="store_true", help="measure where the time of a check goes, and nothing else")
    options = parser.parse_args()
    django.setup()
    setup_test_environment()

    from benchmarks import databases, pages, rows, steps, timing

    results: dict[str, Any]
    few = min(FEW, options.rows)
    small = connections[DEFAULT_DB_ALIAS]
    found = _make_candidates()
    if options.check:
        results = {"queries": check(found)}
        steps.measure_steps(_ours(found), timing.ONCE)
        pages.check()
        json.dump(results, sys.stdout)
        return
    effort = timing.QUICK if options.quick else timing.Effort()
    rows.fill(1, few)
    if options.steps:
        # More rounds, because a step takes a few microseconds of some hundred.
        json.dump(steps.measure_steps(_ours(found), replace(effort, rounds=3 * effort.rounds)), sys.stdout)
        return
    results = {"queries": check(found)}
    tables = {few: (small, found)}
    if options.many:
        _say(f"{small.vendor}: filling {options.rows:,} rows")
        large = databases.open_another(options.many)
        databases.use(large)
        tables[options.rows] = large, _make_candidates()
        rows.fill(1, options.rows)
    _say(f"{small.vendor}: {' and '.join(f'{count:,} rows' for count in tables)}")
    results["requests"] = _measure_wsgi(tables, effort)
    databases.use(small)
    _say(f"{small.vendor}: ASGI")
    results["asgi"] = _measure_asgi(found, effort)
    _say(f"{small.vendor}: usual middleware")
    with override_settings(MIDDLEWARE=settings.USUAL_MIDDLEWARE):
        results["usual"] = _measure_wsgi({few: (small, found)}, effort)[few]
    _say(f"{small.vendor}: pages and management API")
    databases.use(tables[options.rows][0])
    results["pages"] = pages.measure(effort)
    json.dump(results, sys.stdout)


def _make_candidates() -> list[Any]:
    """Return the candidates in the current database, with its tables."""
    from benchmarks.candidates import make_candidates

    call_command("migrate", verbosity=0)
    return make_candidates()


def check(found: list[Any]) -> dict[str, int]:
    """Return the number of queries of each candidate. Raises AssertionError unless credentials are required."""
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


def _measure_wsgi(tables: dict[int, tuple[Any, list[Any]]], effort: Any) -> dict[int, dict[str, Any]]:
    """Alternate between the tables, so that the state of the machine doesn't affect ratios between them."""
    from benchmarks import databases, timing
    from benchmarks.asking import by_wsgi, headers_of

    handler = WSGIHandler()

    def repeat(connection: Any, ask: Callable[[], int]) -> Callable[[int], None]:
        def run(count: int) -> None:
            databases.use(connection)
            for _ in range(count):
                assert ask() == 200

        return run

    costs = timing.measure(
        {
            (count, one.name): repeat(connection, by_wsgi(handler, one.path, headers_of(one.authorization)))
            for count, (connection, found) in tables.items()
            for one in found
        },
        effort,
    )
    return {
        count: _as_json({one.name: costs[count, one.name] for one in found}) for count, (_, found) in tables.items()
    }


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
