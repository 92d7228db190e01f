"""The measurements in one process with one database, printed as JSON for the command."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.test.utils import CaptureQueriesContext, override_settings, setup_test_environment

from benchmarks import COMPARED, FEW, OURS, databases
from benchmarks.asking import by_wsgi, repeat

MIDDLEWARE = "with our middleware"
OWN_SQL = "with SQL of the backend"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=FEW, help="rows of the large tables, in the database `--many`")
    parser.add_argument("--many", metavar="URL")
    parser.add_argument("--compared", action="store_true", help="measure only the compared candidates")
    parser.add_argument("--check", action="store_true", help="measure nothing")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--steps", action="store_true", help="measure where the time of a check goes, and nothing else")
    options = parser.parse_args()
    django.setup()
    setup_test_environment()

    from benchmarks import rows, steps, timing

    small = connections[DEFAULT_DB_ALIAS]
    found = _make_candidates()
    effort = timing.ONCE if options.check else timing.QUICK if options.quick else timing.Effort()
    rows.fill(1 if options.check else FEW)
    if options.steps:
        # More rounds, because a step takes a few microseconds of some hundred.
        results = steps.measure_steps(found[OURS], replace(effort, rounds=3 * effort.rounds))
        json.dump(results, sys.stdout)
        return
    queries = _check(found)
    if options.check:
        steps.measure_steps(found[OURS], effort)
    chosen = {name: one for name, one in found.items() if name in COMPARED or not options.compared}
    handler = WSGIHandler()
    asks = {("few", name): _asker(small, handler, one) for name, one in chosen.items()}
    with override_settings(MIDDLEWARE=["pat_tokens.middleware.PersonalAccessTokenMiddleware"]):
        asks["few", MIDDLEWARE] = _asker(small, WSGIHandler(), found[OURS])
    asks["few", OWN_SQL] = _asker(databases.open_with_own_sql(os.environ["DATABASE_URL"]), handler, found[OURS])
    if options.many:
        large = databases.open_another(options.many)
        databases.use(large)
        many = _make_candidates()
        rows.fill(options.rows)
        asks |= {("many", name): _asker(large, handler, many[name]) for name in COMPARED}
    costs: dict[str, dict[str, Any]] = {"few": {}, "many": {}}
    for (table, name), spent in timing.measure(asks, effort).items():
        costs[table][name] = [asdict(cost) for cost in spent]
    json.dump({"python": platform.python_version(), "queries": queries, "costs": costs}, sys.stdout)


def _make_candidates() -> dict[str, Any]:
    """Return the candidates in the current database by name, with its tables."""
    from benchmarks.candidates import make_candidates

    call_command("migrate", run_syncdb=True, verbosity=0)
    return {one.name: one for one in make_candidates()}


def _check(found: dict[str, Any]) -> dict[str, int]:
    """Return the number of queries of each candidate. Raises AssertionError unless credentials are required."""
    handler = WSGIHandler()
    queries = {}
    for name, one in found.items():
        ask = by_wsgi(handler, one.path, one.authorization)
        assert ask() == 200, one
        if one.authorization is not None:
            for wrong in (None, one.authorization[:-4] + "AAAA"):
                assert by_wsgi(handler, one.path, wrong)() in (401, 403), one
        with CaptureQueriesContext(connection) as captured:
            ask()
        queries[name] = len(captured)
    return queries


def _asker(used: Any, handler: WSGIHandler, candidate: Any) -> Callable[[int], None]:
    ask = repeat(by_wsgi(handler, candidate.path, candidate.authorization))

    def run(count: int) -> None:
        databases.use(used)
        ask(count)

    return run


if __name__ == "__main__":
    main()
