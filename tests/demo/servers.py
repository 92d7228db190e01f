"""Run `manage.py demo` in a separate process, on the test database."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60  # until a test gives up


@dataclass(frozen=True)
class Server:
    address: str
    process: subprocess.Popen[bytes]

    def stop(self) -> int:
        """Stop the server like Ctrl+C, and return its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE_SECONDS)


@contextlib.contextmanager
def serve(*arguments: str, **environment: str) -> Iterator[Server]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "demo", "--port", str(port), *arguments],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url(), "REDIS_URL": "", **environment},
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # so that its child processes can be stopped with it
    )
    server = Server(f"http://127.0.0.1:{port}", process)
    try:
        wait_until(lambda: answers(server), f"{server.address} did not come up")
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE_SECONDS)


def answers(server: Server) -> bool:
    assert server.process.poll() is None, "the server ended by itself"
    try:
        return httpx.get(f"{server.address}/accounts/login/").status_code == 200
    except httpx.TransportError:
        return False


def wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def database_url() -> str:
    """The URL of the test database."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))
