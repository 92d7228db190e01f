"""gunicorn under load, on PostgreSQL with prepared statements: `make bench-load`; needs wrk."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.request import urlopen

from benchmarks import ANONYMOUS, AUTHTOKEN, OURS, page
from benchmarks.databases import POSTGRESQL, PREPARED, database

HOST = "127.0.0.1"
ROUNDS, WORKERS = 5, 2


def main() -> None:
    """Measure the throughput, and write the figures into the documentation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--seconds", type=int, default=4, help=f"for each view, {ROUNDS} times")
    parser.add_argument("--print", action="store_true", help="print the table and leave the documentation alone")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    with database(POSTGRESQL) as url:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "benchmarks.site.settings", "DATABASE_URL": url, **PREPARED}
        rates = _measure(options.seconds)
    shares = {
        name: statistics.median(mine / other for mine, other in zip(rate, rates[ANONYMOUS], strict=True))
        for name, rate in rates.items()
    }
    head = [f"gunicorn, {WORKERS} workers, 16 connections", "requests/s", "relative to anonymous"]
    table = page.table(head, [[name, f"{statistics.median(rates[name]):.0f}", f"{shares[name]:.0%}"] for name in rates])
    text = f"{table}\n\n{page.provenance('python -m benchmarks.load')}"
    print(text)
    if not options.print:
        page.write("load", text)


def _measure(seconds: int) -> dict[str, list[float]]:
    import django
    from django.core.management import call_command
    from django.db import connection

    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    from benchmarks.candidates import make_candidates

    chosen = [one for one in make_candidates() if one.name in (ANONYMOUS, OURS, AUTHTOKEN)]
    connection.close()
    rates: dict[str, list[float]] = {one.name: [] for one in chosen}
    with _served("--workers", str(WORKERS), "django.core.wsgi:get_wsgi_application()") as port:
        for _ in range(ROUNDS):
            for candidate in chosen:
                command = ["wrk", "-t1", "-c16", f"-d{seconds}s"]
                if candidate.authorization:
                    command += ["-H", f"Authorization: {candidate.authorization}"]
                command.append(f"http://{HOST}:{port}{candidate.path}")
                said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                assert "Non-2xx" not in said, said
                rates[candidate.name].append(float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]))  # type: ignore[index]
    return rates


@contextmanager
def _served(*args: str) -> Iterator[int]:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--bind", f"{HOST}:{port}", *args]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            time.sleep(0.1)
            with suppress(OSError), urlopen(f"http://{HOST}:{port}/anonymous/1/", timeout=20):
                break
        yield port
    finally:
        process.terminate()
        process.wait(20)


if __name__ == "__main__":
    main()
