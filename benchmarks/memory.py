"""How much the memory of a process grows with each candidate: a new process for each, on SQLite."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import django

REQUESTS = 2000


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1024 / 1024


def main() -> None:
    """Send requests to one candidate, and print the memory of the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("candidate")
    options = parser.parse_args()
    django.setup()
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.management import call_command

    from benchmarks.asking import by_wsgi, headers_of
    from benchmarks.candidates import make_candidates

    call_command("migrate", verbosity=0)
    handler = WSGIHandler()
    found = {candidate.name: candidate for candidate in make_candidates()}
    # Loads the whole site before the first measurement.
    by_wsgi(handler, found["anonymous"].path)()
    before = resident()
    candidate = found[options.candidate]
    ask = by_wsgi(handler, candidate.path, headers_of(candidate.authorization))
    for _ in range(REQUESTS):
        assert ask() == 200
    middle = resident()
    for _ in range(REQUESTS):
        ask()
    json.dump({"start": before, "growth": middle - before, "more": resident() - middle}, sys.stdout)


if __name__ == "__main__":
    main()
