"""Measure everything and write the figures into the documentation: `make bench`, or `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from benchmarks import FEW, OURS, page, plot
from benchmarks.databases import POSTGRESQL, SQLITE, database
from benchmarks.timing import Cost, Spread, ratios

SETTINGS = {"DJANGO_SETTINGS_MODULE": "benchmarks.site.settings"}
AUTHTOKEN = "DRF authtoken"
FLOORS = "its SELECT alone", "its SELECT and instances"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few requests and 10,000 rows: does it work at all?")
    parser.add_argument("--rows", type=int, help="how many rows the large table has (default 1,000,000)")
    parser.add_argument("--database", choices=[SQLITE, POSTGRESQL], action="append", help="default: both")
    parser.add_argument("--print", action="store_true", help="print the tables and leave the documentation alone")
    parser.add_argument("--steps", action="store_true", help="only where the time of a check goes, on SQLite")
    parser.add_argument("--check", action="store_true", help="only whether each candidate answers as it should")
    options = parser.parse_args()
    if options.check:
        with database(SQLITE) as url:
            print(_work(url, "--check"))
        return
    if options.steps:
        _measure_steps(quick=options.quick, write=not options.print)
        return
    rows = options.rows or (10_000 if options.quick else 1_000_000)
    kinds = options.database or [SQLITE, POSTGRESQL]
    results = {kind: _measure(kind, rows, quick=options.quick) for kind in kinds}
    memory = _measure_memory(results)
    command = "python -m benchmarks" + (f" --rows {rows}" if rows != 1_000_000 else "")
    texts = {
        "requests": f"{_requests(results)}\n\n{page.provenance(command)}",
        "bounds": _bounds(results),
        "pages": _pages(results),
        "memory": _memory(memory),
    }
    for part, text in texts.items():
        print(f"\n{text}")
        if not options.print:
            page.write(part, text)
    if not options.print:
        plot.draw({kind: _cpu_ratios(_first(result["requests"])) for kind, result in results.items()}, page.PLOT)


def _measure(kind: str, rows: int, *, quick: bool) -> dict[str, Any]:
    with database(kind) as url, database(kind) as many:
        arguments = ["--rows", str(rows), *(["--many", many] if rows > FEW else []), *(["--quick"] if quick else [])]
        results: dict[str, Any] = json.loads(_work(url, *arguments))
        return results


def _work(url: str, *arguments: str, module: str = "worker") -> str:
    return page.run_worker(module, *arguments, env={**os.environ, **SETTINGS, "DATABASE_URL": url})


def _measure_memory(results: dict[str, Any]) -> dict[str, Any]:
    names = next(iter(results.values()))["queries"]
    return {name: json.loads(_work("sqlite://:memory:", name, module="memory")) for name in names}


def _measure_steps(*, quick: bool, write: bool) -> None:
    with database(SQLITE) as url:
        measured = json.loads(_work(url, "--steps", *(["--quick"] if quick else [])))
    steps = page.table(["", "µs of CPU"], [[name, f"{micros:.0f}"] for name, micros in measured.items()])
    print(steps)
    if write:
        page.write("steps", f"{steps}\n\n{page.provenance('python -m benchmarks --steps')}")


def _costs(measured: dict[str, Any]) -> dict[str, list[Cost]]:
    return {name: [Cost(**cost) for cost in rounds] for name, rounds in measured.items()}


def _first(measured: dict[str, Any]) -> dict[str, list[Cost]]:
    return _costs(next(iter(measured.values())))


def _cpu_ratios(costs: dict[str, list[Cost]]) -> dict[str, Spread]:
    return {name: ratios(rounds, costs["anonymous"])[0] for name, rounds in costs.items() if name != "anonymous"}


def _show(spread: Spread) -> str:
    return f"**{spread.median:.2f}** ({spread.low:.2f} to {spread.high:.2f})"


def _requests(results: dict[str, Any]) -> str:
    parts = []
    for kind, result in results.items():
        measured = {f"{int(rows):,} rows": _costs(costs) for rows, costs in result["requests"].items()}
        measured["ASGI"] = _costs(result["asgi"])
        measured["usual middleware"] = _costs(result["usual"])
        small = next(iter(measured.values()))
        head = [kind, "queries", *(f"CPU, {name}" for name in measured), "wall", "µs of CPU"]
        lines = []
        for name, rounds in small.items():
            cpu = [_show(ratios(costs[name], costs["anonymous"])[0]) for costs in measured.values()]
            wall = ratios(rounds, small["anonymous"])[1]
            micros = Spread.of([cost.cpu * 1e6 for cost in rounds])
            lines.append([name, result["queries"][name], *cpu, f"{wall.median:.2f}", f"{micros.median:.0f}"])
        parts.append(page.table(head, lines))
    return "\n\n".join(parts)


def _bounds(results: dict[str, Any]) -> str:
    rows = []
    for kind, result in results.items():
        small, *large = [_costs(costs) for costs in result["requests"].values()]
        usual = _costs(result["usual"])
        over = {
            "50 scopes, to an anonymous request": ratios(small[OURS], small["anonymous"]),
            "50 scopes, to anonymous, usual middleware": ratios(usual[OURS], usual["anonymous"]),
            "50 scopes, to DRF authtoken": ratios(small[OURS], small[AUTHTOKEN]),
            **{f"{floor}, to DRF authtoken": ratios(small[floor], small[AUTHTOKEN]) for floor in FLOORS},
            "500 scopes, to 1 scope": ratios(small["pat_tokens, 500 scopes"], small["pat_tokens, 1 scope"]),
        }
        for costs in large:
            over["50 scopes, many rows, to few"] = ratios(costs[OURS], small[OURS])
        rows += [[kind, question, _show(cpu), f"{wall.median:.2f}"] for question, (cpu, wall) in over.items()]
    return page.table(["", "in this run", "CPU", "wall"], rows)


def _pages(results: dict[str, Any]) -> str:
    head = [""]
    for kind in results:
        head += [f"{kind}: queries", "ms, little", "ms, much"]
    rows = []
    for name in next(iter(results.values()))["pages"]["little"]:
        row: list[object] = [name]
        for result in results.values():
            little, much = result["pages"]["little"][name], result["pages"]["much"][name]
            queries = {little["queries"], much["queries"]}
            row += [" to ".join(map(str, sorted(queries))), f"{little['ms']:.1f}", f"{much['ms']:.1f}"]
        rows.append(row)
    return page.table(head, rows)


def _memory(memory: dict[str, Any]) -> str:
    rows = [[name, f"{m['start']:.0f}", f"{m['growth']:.1f}", f"{m['more']:.1f}"] for name, m in memory.items()]
    return page.table(["MiB, resident", "before", "2,000 requests", "2,000 more"], rows)


if __name__ == "__main__":
    main()
