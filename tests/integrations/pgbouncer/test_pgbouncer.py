"""Tokens behind PgBouncer in transaction mode: each transaction may run on another connection to the server."""

import io
import os
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp
from threading import Barrier

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection, transaction
from django.test import RequestFactory

from pat_tokens import services
from pat_tokens.models import PersonalAccessToken
from tests.factories import ChannelFactory, TokenFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

SERVER_CONNECTIONS = 2
CLIENTS = 5
ROUNDS = 30
CONFIG = """
[databases]
{NAME} = host={HOST} port={PORT} user={USER} {password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {free_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
log_connections = 0
log_disconnections = 0
"""


@pytest.fixture(scope="module", autouse=True)
def bouncer(django_db_setup):
    """PgBouncer between this process and the test database."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "PgBouncer is missing: apt-get install pgbouncer"
    original = dict(connection.settings_dict)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    password = f"password='{original['PASSWORD']}'" if original["PASSWORD"] else ""
    folder = Path(mkdtemp())
    folder.chmod(0o755)
    file = folder / "pgbouncer.ini"
    file.write_text(CONFIG.format(**original, password=password, free_port=port, size=SERVER_CONNECTIONS))
    # PgBouncer refuses to run as root.
    command = [program, *(["-u", "nobody"] if os.geteuid() == 0 else []), str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            said = []
            for line in process.stderr:
                said.append(line)
                if "process up" in line:
                    break
            else:
                pytest.fail("".join(said))
            connection.settings_dict.update(HOST="127.0.0.1", PORT=port)
            yield
        finally:
            connection.settings_dict.update(original)
            process.terminate()
            shutil.rmtree(folder)


@pytest.fixture
def tokens():
    """A token of each of several users, each for a channel of theirs."""
    made = []
    for number in range(CLIENTS):
        user = UserFactory(username=f"user{number}")
        channel = ChannelFactory(owner=user, name=user.username)
        made.append(TokenFactory(user=user, scopes=[("channels", str(channel.pk), "read")]))
        made[-1].path = f"/api/channels/{channel.pk}/"
    return made


@pytest.fixture
def in_threads():
    """Call a function with each of some arguments at the same time, each in a thread with a connection that is kept."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        yield lambda function, arguments: list(pool.map(function, arguments, timeout=120))
        barrier = Barrier(CLIENTS)
        list(pool.map(lambda _: (barrier.wait(30), connection.close()), range(CLIENTS), timeout=60))


def ask(token, path=None):
    environ = RequestFactory(headers={"authorization": f"Bearer {token.secret}"}).get(path or token.path).environ
    response = WSGIHandler()({**environ, "wsgi.input": io.BytesIO()}, lambda *args: None)
    content = b"".join(response).decode()
    response.close()
    return response.status_code, content


def test_clients_sharing_connections_get_own_data(tokens, in_threads):
    def run(token):
        others = [other.path for other in tokens if other is not token]
        answers = [(ask(token), ask(token, others[number % len(others)])) for number in range(ROUNDS)]
        return token, answers

    for token, answers in in_threads(run, tokens):
        for (status, content), (other_status, _content) in answers:
            assert (status, other_status) == (200, 403)
            assert f'"name":"{token.user.username}"' in content
    assert not PersonalAccessToken.objects.filter(last_used_at=None).exists()


def test_revoked_token_is_refused_immediately(tokens, in_threads):
    assert [status for status, _ in in_threads(ask, tokens)] == [200] * CLIENTS
    for token in tokens:
        services.revoke_token(token)
        assert [status for status, _ in in_threads(ask, [token] * CLIENTS)] == [401] * CLIENTS


def test_long_transaction_of_other_client(tokens, in_threads):
    with transaction.atomic():
        PersonalAccessToken.objects.filter(pk=tokens[0].pk).update(name="not committed")
        assert [status for status, _ in in_threads(ask, tokens[1:])] == [200] * (CLIENTS - 1)
