"""A token with networks behind the real nginx: on TCP, on a Unix socket, and through two of them."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from django.core.asgi import get_asgi_application

CLIENT, ELSEWHERE = "127.0.0.7", "127.0.0.8"  # each address of the loopback network can be that of a client
PATIENCE = 30  # seconds
FORGED = (
    *("x-forwarded-for", "x_forwarded_for", "x-real-ip", "forwarded", "forwarded-for", "x-forwarded", "via"),
    *("x-client-ip", "client-ip", "true-client-ip", "cf-connecting-ip", "x-cluster-client-ip", "x-originating-ip"),
    *("remote-addr", "x-remote-addr", "proxy-protocol"),
)
CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {listen};
        location / {{
            proxy_pass http://{upstream};
            proxy_set_header Host localhost;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _nginx_is_installed() -> None:
    if shutil.which("nginx") is None:
        pytest.skip("no nginx: apt-get install nginx")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(address: str) -> None:
    """Wait until something listens at host:port or unix:path."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        kind, _colon, rest = address.partition(":")
        with socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET) as probe:
            if probe.connect_ex(rest if kind == "unix" else (kind, int(rest))) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens at {address}")


@contextmanager
def site(address: str) -> Iterator[None]:
    """Serve the site of the tests at an address, without uvicorn's own reading of headers."""
    kind, _colon, rest = address.partition(":")
    place: dict[str, Any] = {"uds": rest} if kind == "unix" else {"port": int(rest)}
    config = uvicorn.Config(get_asgi_application(), proxy_headers=False, lifespan="off", log_level="error", **place)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(address)
        yield
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


@contextmanager
def nginx(folder: Path, listen: str, upstream: str) -> Iterator[None]:
    folder.mkdir()
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, listen=listen, upstream=upstream))
    process = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(config)])
    try:
        wait_for(listen)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture(params=["tcp", "socket", "nested", "nested sockets"])
def ask(request: Any, tmp_path: Path, settings: Any, token: Any) -> Iterator[Callable[..., httpx.Response]]:
    """Ask the site for the token of the request, from an address, through nginx."""
    settings.PAT_TOKENS_TRUSTED_PROXIES = ["127.0.0.1"]
    settings.ALLOWED_HOSTS = ["localhost"]
    uses_sockets = "socket" in request.param

    def address(name: str) -> str:
        # A short path: the name of a socket has at most 107 characters.
        return f"unix:{tmp_path}/{name}" if uses_sockets else f"127.0.0.1:{free_port()}"

    def upstream(address: str) -> str:
        return f"{address}:" if uses_sockets else address

    with ExitStack() as stack:
        inner, front = address("s"), f"127.0.0.1:{free_port()}"
        stack.enter_context(site(inner))
        if "nested" in request.param:
            middle = address("m")
            stack.enter_context(nginx(tmp_path / "inner", middle, upstream(inner)))
            inner = middle
        stack.enter_context(nginx(tmp_path / "outer", front, upstream(inner)))

        def ask(source: str, **headers: str) -> httpx.Response:
            transport = httpx.HTTPTransport(local_address=source)
            with httpx.Client(transport=transport, headers={"authorization": f"Bearer {token.secret}"}) as client:
                return client.get(f"http://{front}/api/pats/current/", headers=headers)

        yield ask


@pytest.fixture
def token(make_token: Any) -> Any:
    """A token for one client."""
    return make_token(allowed_networks=[CLIENT])


def test_forged_header_does_not_change_the_client(ask):
    assert ask(CLIENT).json()["allowed_networks"] == [f"{CLIENT}/32"]
    response = ask(ELSEWHERE)
    assert (response.status_code, response.json()["detail"]) == (403, f"The token can't be used from {ELSEWHERE}.")
    for name in FORGED:
        for value in (CLIENT, f"{CLIENT}, 127.0.0.1", f"{CLIENT}, unix:", f"for={CLIENT}"):
            assert ask(ELSEWHERE, **{name: value}).json()["detail"].endswith(f"from {ELSEWHERE}.")
            assert ask(CLIENT, **{name: value}).status_code == 200


def test_token_is_refused_without_trusted_proxies(ask, settings):
    settings.PAT_TOKENS_TRUSTED_PROXIES = ()
    assert ask(CLIENT).json()["code"] == "network_not_allowed"
