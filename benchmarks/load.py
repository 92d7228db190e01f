"""Servers under load, on PostgreSQL and loopback: `make bench-load`; needs wrk.

First gunicorn with several workers: requests per second of a view with a token, compared to an anonymous one. Then one
ASGI process with many open subscriptions: how many connections it holds, how often it queries, and how fast all end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from statistics import median_low
from typing import Any
from urllib.request import urlopen

import psycopg

from benchmarks import page
from benchmarks.databases import POSTGRESQL, database

SETTINGS = "benchmarks.site.settings"
HOST = "127.0.0.1"
SESSIONS = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
CONNECTIONS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid()
AND backend_type = 'client backend'
"""


def main() -> None:
    """Measure both, and write the figures into the documentation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--seconds", type=int, default=8, help="for each view")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--print", action="store_true", help="print the tables and leave the documentation alone")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    with database(POSTGRESQL) as url:
        os.environ |= {"DJANGO_SETTINGS_MODULE": SETTINGS, "DATABASE_URL": url}
        import django
        from django.core.management import call_command
        from django.db import connection

        django.setup()
        call_command("migrate", verbosity=0)
        throughput = _measure_throughput(options.workers, options.seconds)
        connection.close()
        streams = _measure_streams(url, options.streams)
    text = f"{throughput}\n\n{streams}\n\n{page.provenance('python -m benchmarks.load')}"
    print(text)
    if not options.print:
        page.write("load", text)


def _measure_throughput(workers: int, seconds: int) -> str:
    from benchmarks.candidates import make_candidates

    chosen = [one for one in make_candidates() if one.name in ("anonymous", "pat_tokens, 50 scopes", "DRF authtoken")]
    rows = []
    with _served("gunicorn", "--workers", str(workers), "benchmarks.site.wsgi") as port:
        for candidate in chosen:
            command = ["wrk", "-t1", "-c16", f"-d{seconds}s", "--latency"]
            if candidate.authorization:
                command += ["-H", f"Authorization: {candidate.authorization}"]
            said = subprocess.run(
                [*command, f"http://{HOST}:{port}{candidate.path}"], check=True, stdout=subprocess.PIPE, text=True
            ).stdout
            assert "Non-2xx" not in said, said
            rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])
            slowest = re.search(r"99%\s+(\S+)", said)[1]
            rows.append([candidate.name, rate, slowest])
    first = rows[0][1]
    head = [f"gunicorn, {workers} workers, 16 connections", "requests/s", "of anonymous", "99% within"]
    return page.table(head, [[name, f"{rate:.0f}", f"{rate / first:.0%}", slowest] for name, rate, slowest in rows])


def _measure_streams(url: str, count: int) -> str:
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import override_settings

    from benchmarks.site.models import Channel
    from pat_tokens.services import create_token

    owner = User.objects.create(username="streams")
    channel = Channel.objects.create(owner=owner, name="streamed")
    scopes = [["channels", str(channel.pk), "read"]]
    with override_settings(PAT_TOKENS_MAX_TOKENS_PER_USER=count):
        secrets = [create_token(owner, name=f"stream {number}", scopes=scopes)[1] for number in range(count)]
    connection.close()
    with _served("uvicorn", "--log-level", "error", "benchmarks.site.asgi:application") as port:
        opened, held, rate, ended = asyncio.run(_watch(url, port, str(channel.pk), secrets))
    return (
        f"{opened:,} open subscriptions on one ASGI process (uvicorn): {held} connections to the database (median of "
        f"40 samples of `pg_stat_activity`), {rate:.2f} checks of the tokens per second for all of them together. "
        f"After all tokens were revoked, the last of them ended within {ended:.1f} s."
    )


async def _watch(url: str, port: int, channel: str, secrets: list[str]) -> tuple[int, int, float, float]:
    streams: list[Any] = []
    for start in range(0, len(secrets), 50):
        batch = secrets[start : start + 50]
        streams += await asyncio.gather(*(_open(port, channel, secret) for secret in batch))
    await asyncio.sleep(3)
    held = []
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as monitor:
        # Each check opens and closes a connection, so the number of sessions is the number of checks.
        sessions, at = await _ask(monitor, SESSIONS), time.monotonic()
        for _ in range(40):
            await asyncio.sleep(0.21)
            held.append(await _ask(monitor, CONNECTIONS))
        rate = (await _ask(monitor, SESSIONS) - sessions) / (time.monotonic() - at)
        await monitor.execute("UPDATE pat_tokens_personalaccesstoken SET revoked_at = now()")
        begin = time.monotonic()
        # The last chunk; the server keeps the connection open for another request.
        await asyncio.wait_for(asyncio.gather(*(reader.readuntil(b"\r\n0\r\n\r\n") for reader, _ in streams)), 60)
        ended = time.monotonic() - begin
    for _, writer in streams:
        writer.close()
    return len(streams), median_low(held), rate, ended


async def _ask(connection: Any, query: str) -> int:
    return int((await (await connection.execute(query)).fetchone())[0])


async def _open(port: int, channel: str, secret: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(f"GET /streams/{channel}/ HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {secret}\r\n\r\n".encode())
    line = await reader.readline()
    assert b"200" in line, line
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


@contextmanager
def _served(server: str, *args: str) -> Iterator[int]:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    at = ["--bind", f"{HOST}:{port}"] if server == "gunicorn" else ["--host", HOST, "--port", str(port)]
    process = subprocess.Popen([sys.executable, "-m", server, *at, *args], stderr=subprocess.DEVNULL)
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
