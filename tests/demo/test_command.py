import io
import re
import shlex
import socket
from typing import Any

import pytest
import uvicorn
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import override_settings

from demo_project.devices.models import Channel, Client, Dashboard, DashboardShare, Group
from demo_project.devices.seeds import seed
from tests.demo.servers import free_port

pytestmark = pytest.mark.django_db

MODELS = (User, Client, Channel, Group, Dashboard, DashboardShare)


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def demo(*arguments: str) -> str:
    out = io.StringIO()
    call_command("demo", "--no-serve", *arguments, stdout=out)
    return out.getvalue()


def snapshot() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in MODELS]


def test_seeded_users_can_log_in() -> None:
    seed()

    for username in ("alice", "bob", "admin"):
        user = authenticate(username=username, password=f"{username}-demo")
        assert user is not None
        assert user.is_superuser == user.is_staff == (username == "admin")


def test_seeded_users_have_own_and_shared_entities() -> None:
    seed()

    alice, bob = User.objects.get(username="alice"), User.objects.get(username="bob")
    for model in (Client, Channel, Group, Dashboard):
        for user in (alice, bob):
            assert model.objects.filter(owner=user).count() >= 2
    assert Dashboard.objects.visible_to(bob).filter(owner=alice).exists()
    assert Dashboard.objects.visible_to(alice).filter(owner=bob).exists()


def test_seeding_is_idempotent() -> None:
    seed()
    before = snapshot()

    assert seed() == []
    assert snapshot() == before


def test_seeding_keeps_changes() -> None:
    seed()
    alice = User.objects.get(username="alice")
    alice.set_password("a better one")
    alice.is_active = False
    alice.save()
    Channel.objects.filter(owner=alice).first().delete()
    Client.objects.filter(owner=alice).update(name="renamed")
    Group.objects.filter(owner=alice).delete()
    DashboardShare.objects.all().delete()
    before = snapshot()

    demo()

    assert snapshot() == before


def test_seeding_restores_missing_user() -> None:
    seed()
    User.objects.get(username="bob").delete()

    assert seed() == ["bob"]
    assert Channel.objects.filter(owner__username="bob").count() >= 2
    assert DashboardShare.objects.get(dashboard__owner__username="bob").user.username == "alice"


def test_prints_address_logins_and_commands() -> None:
    text = demo("--port", "8123")

    assert "http://127.0.0.1:8123/" in text
    for login in ("alice   alice-demo", "bob     bob-demo", "admin   admin-demo"):
        assert login in text
    channel = Channel.objects.filter(owner__username="alice").first()
    commands = [shlex.split(line) for line in text.replace("\\\n", " ").splitlines() if "curl" in line]
    assert [command[-1] for command in commands] == [
        f"http://127.0.0.1:8123/api/channels/{channel.pk}/{operation}/" for operation in ("subscribe", "publish")
    ]
    assert all("Authorization: Bearer $SECRET" in command for command in commands)
    assert '{"payload": {"temperature": 21.5}}' in commands[1]
    assert not re.search(r"pat_\w{20}", text)


def test_prints_commands_without_channels() -> None:
    seed()
    Channel.objects.all().delete()

    assert "/api/channels/<channel id>/publish/" in demo()


def test_port_is_read_from_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8124")
    assert "http://127.0.0.1:8124/" in demo()
    assert "http://127.0.0.1:8125/" in demo("--port", "8125")

    monkeypatch.setenv("PORT", "")
    assert "http://127.0.0.1:8000/" in demo()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "0"], "0 is not a port"),
        (["--port", "70000"], "70000 is not a port"),
        (["--port", "http"], "invalid int"),
        (["--workers", "0"], "1 or more"),
        (["--workers", "2"], "REDIS_URL"),
    ],
)
@override_settings(REDIS_URL="")
def test_invalid_arguments_are_reported_first(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        demo(*arguments)

    assert not User.objects.exists()


def test_used_port_is_reported_first() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        output = io.StringIO()
        with pytest.raises(CommandError, match=f"make demo PORT={port + 1}"):
            call_command("demo", "--port", str(port), stdout=output)

    assert output.getvalue() == ""
    assert not User.objects.exists()


def test_serves_asgi_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    served: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda application, **options: served.update(options, app=application))

    port = free_port()
    call_command("demo", "--port", str(port), stdout=io.StringIO())

    assert served["app"] == "demo_project.asgi:application"
    assert (served["host"], served["port"], served["workers"]) == ("127.0.0.1", port, 1)
    assert served["timeout_graceful_shutdown"] == 2


def test_migrations_are_complete() -> None:
    call_command("makemigrations", "--check", "--dry-run", stdout=io.StringIO())
