"""Measure everything and write the figures into the documentation: `make bench`, or `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from typing import Any

from benchmarks import ANONYMOUS, AUTHTOKEN, FEW, INSTANCES, OURS, page
from benchmarks.databases import POSTGRESQL, PREPARED, SQLITE, database
from benchmarks.timing import Cost, Spread, ratios
from benchmarks.worker import MIDDLEWARE, OWN_SQL

Costs = dict[str, list[Cost]]

# What is compared in the second table: a candidate and the one that it is divided by.
BOUNDS = {
    "50 scopes, to an anonymous request": (OURS, ANONYMOUS),
    "50 scopes, to DRF authtoken": (OURS, AUTHTOKEN),
    "500 scopes, to 1 scope": ("pat_tokens, 500 scopes", "pat_tokens, 1 scope"),
    "with networks, to without": ("with networks", OURS),
    "during an overlap, to without": ("during an overlap", OURS),
    "with our middleware, to without": (MIDDLEWARE, OURS),
    "with SQL of the backend, to DRF authtoken": (OWN_SQL, AUTHTOKEN),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few requests and 10,000 rows: does it work at all?")
    parser.add_argument("--rows", type=int, help="how many rows the large table has (default 1,000,000)")
    parser.add_argument("--python", action="append", default=[], help="another interpreter with the group `bench`")
    parser.add_argument("--print", action="store_true", help="print the tables and leave the documentation alone")
    parser.add_argument("--steps", action="store_true", help="only where the time of a check goes, on SQLite")
    parser.add_argument("--check", action="store_true", help="only whether each candidate answers as it should")
    options = parser.parse_args()
    quick = ["--quick"] if options.quick else []
    if options.check:
        _work(SQLITE, "--check")
        return
    if options.steps:
        measured = _work(SQLITE, "--steps", *quick)
        print(page.table(["", "µs of CPU"], [[name, f"{micros:.0f}"] for name, micros in measured.items()]))
        return
    rows = options.rows or (10_000 if options.quick else 1_000_000)
    results = {kind: _work(kind, *quick, rows=rows) for kind in (SQLITE, POSTGRESQL)}
    prepared = _work(POSTGRESQL, *quick, prepared=True)
    pythons = {}
    for python in (sys.executable, *options.python):
        measured = _work(SQLITE, "--compared", *quick, python=python)
        pythons[measured["python"]] = measured
    tables = [_table(kind, result) for kind, result in (*results.items(), (f"{POSTGRESQL}, prepared", prepared))]
    command = "python -m benchmarks" + (f" --rows {rows}" if rows != 1_000_000 else "")
    texts = {
        "requests": "\n\n".join([*tables, page.provenance(command)]),
        "bounds": _bounds(results, prepared, rows),
        "pythons": f"{_pythons(pythons)}\n\n{page.provenance(command, python=False)}",
    }
    for part, text in texts.items():
        print(f"\n{text}")
        if not options.print:
            page.write(part, text)


def _work(
    kind: str, *arguments: str, rows: int = FEW, prepared: bool = False, python: str = sys.executable
) -> dict[str, Any]:
    """Run the worker in a new process, and return its results."""
    with database(kind) as url, database(kind) as many:
        if rows > FEW:
            arguments = (*arguments, "--rows", str(rows), "--many", many)
        env = {**os.environ, "DJANGO_SETTINGS_MODULE": "benchmarks.site.settings", "DATABASE_URL": url}
        ran = subprocess.run(
            [python, "-m", "benchmarks.worker", *arguments],
            env={**env, **(PREPARED if prepared else {})},
            check=True,
            stdout=subprocess.PIPE,
        )
    results: dict[str, Any] = json.loads(ran.stdout or "{}")
    return results


def _costs(result: dict[str, Any], table: str = "few") -> Costs:
    return {name: [Cost(**cost) for cost in rounds] for name, rounds in result["costs"][table].items()}


def _show(spread: Spread) -> str:
    return f"**{spread.median:.2f}** ({spread.low:.2f} to {spread.high:.2f})"


def _table(title: str, result: dict[str, Any]) -> str:
    costs, lines = _costs(result), []
    for name, rounds in costs.items():
        cpu, wall = ratios(rounds, costs[ANONYMOUS])
        micros = Spread.of([cost.cpu * 1e6 for cost in rounds]).median
        lines.append([name, result["queries"].get(name, 1), _show(cpu), f"{wall.median:.2f}", f"{micros:.0f}"])
    return page.table([title, "queries", "CPU", "wall", "µs of CPU"], lines)


def _bounds(results: dict[str, Any], prepared: dict[str, Any], many: int) -> str:
    rows = []
    for kind, result in {**results, f"{POSTGRESQL}, prepared": prepared}.items():
        costs, large = _costs(result), _costs(result, "many")
        over = {question: ratios(costs[one], costs[other]) for question, (one, other) in BOUNDS.items()}
        if large:
            over[f"{many:,} rows, to {FEW:,}"] = ratios(large[OURS], costs[OURS])
        rows += [[kind, question, _show(cpu), _show(wall)] for question, (cpu, wall) in over.items()]
        above = Spread.of([(a.cpu - b.cpu) * 1e6 for a, b in zip(costs[OURS], costs[INSTANCES], strict=True)])
        rows.append([kind, "µs above the SELECT and the instances", f"**{above.median:.0f}**", ""])
    return page.table(["", "in this run", "CPU", "wall"], rows)


def _pythons(pythons: dict[str, Any]) -> str:
    rows = []
    for version, result in pythons.items():
        costs = _costs(result)
        anonymous, authtoken = (ratios(costs[OURS], costs[other])[0] for other in (ANONYMOUS, AUTHTOKEN))
        micros = Spread.of([cost.cpu * 1e6 for cost in costs[ANONYMOUS]]).median
        rows.append([version, f"{micros:.0f}", _show(anonymous), _show(authtoken)])
    head = ["Python, on SQLite", "anonymous, µs of CPU", "50 scopes, to anonymous", "50 scopes, to DRF authtoken"]
    return page.table(head, rows)


if __name__ == "__main__":
    main()
