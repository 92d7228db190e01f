import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from pat_tokens.models import Activity

pytestmark = pytest.mark.django_db


def run(token, *options):
    output = io.StringIO()
    call_command("pat_scopes", str(getattr(token, "pk", token)), *options, stdout=output, stderr=io.StringIO())
    return output.getvalue()


@pytest.fixture
def used(make_token, channel, client_with):
    """A token that uses one of two scopes, and lacks a third."""
    token = make_token("channels:*:list", "channels:*:delete", name="nightly")
    client = client_with(token)
    assert client.get("/api/channels/").status_code == 200
    assert client.get(f"/api/channels/{channel.pk}/").status_code == 403
    return token


def test_lists_uses_and_missing_scopes(used, channel):
    first, second, count, missing = run(used).splitlines()
    assert first.startswith("channels:*:delete  not used, recorded since 2")
    assert second.startswith("channels:*:list  used 2")
    assert count == "2 scopes."
    assert missing.startswith(f"missing  channels:{channel.pk}:read  at least 1 request, last on 2")
    found = json.loads(run(used, "--json"))
    assert (found["id"], found["name"]) == (str(used.pk), "nightly")
    rows = {row["operation"]: (row["last_used_at"] is not None, row["removed"]) for row in found["scopes"]}
    assert rows == {"list": (True, False), "delete": (False, False)}
    (row,) = found["missing"]
    assert (row["entity_type"], row["entity_id"], row["operation"], row["count"]) == (
        "channels", str(channel.pk), "read", 1,
    )  # fmt: skip


def test_secret_on_standard_input(used, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{used.secret}\n"))
    assert "2 scopes." in run("-")
    monkeypatch.setattr("sys.stdin", io.StringIO("pat_x\n"))
    with pytest.raises(CommandError, match="doesn't contain a secret"):
        run("-")


def test_adds_what_was_missing(used, channel):
    output = run(used, f"--add=channels:{channel.pk}:read")
    assert "3 scopes." in output
    assert "missing" not in output
    act = Activity.objects.for_token(used.pk).get(kind="scopes_added")
    assert (act.via, act.changes) == ("command", {"scopes_added": [f"channels:{channel.pk}:read"]})
    with pytest.raises(CommandError, match="--add channels:0:read: No such entity"):
        run(used, "--add=channels:0:read")


def test_removes_unused_scopes(used):
    assert run(used, "--unused-for=90d").startswith("0 scopes.")
    used.scope_set.filter(operation="delete").update(watched_since=timezone.now() - timedelta(days=90))
    assert "1 scope." in run(used, "--unused-for=90d")
    assert used.scope_set.count() == 2
    output = run(used, "--unused-for=90d", "--remove", "--no-input")
    assert "channels:*:delete  not used, recorded since" in output
    assert "(removed)" in output
    assert [str(scope) for scope in used.scope_set.all()] == ["channels:*:list"]
    assert Activity.objects.for_token(used.pk).get(kind="scopes_deleted").via == "command"
    assert json.loads(run(used, "--unused-for=90d", "--remove", "--json"))["scopes"] == []


def test_asks_before_removing(used, monkeypatch):
    used.scope_set.update(last_used_at=None, watched_since=timezone.now() - timedelta(days=90))
    monkeypatch.setattr("builtins.input", lambda _question: "no")
    with pytest.raises(CommandError, match="Nothing was changed"):
        run(used, "--unused-for=90d", "--remove")
    assert used.scope_set.count() == 2


def test_scope_that_is_used_before_the_answer_is_kept(used, monkeypatch):
    used.scope_set.update(last_used_at=None, watched_since=timezone.now() - timedelta(days=90))

    def answer(_question):
        used.scope_set.filter(operation="list").update(last_used_at=timezone.now())
        return "yes"

    monkeypatch.setattr("builtins.input", answer)
    removed, kept, _count, *_missing = run(used, "--unused-for=90d", "--remove").splitlines()
    assert removed.startswith("channels:*:delete")
    assert removed.endswith("(removed)")
    assert kept.startswith("channels:*:list")
    assert not kept.endswith("(removed)")
    assert [str(scope) for scope in used.scope_set.all()] == ["channels:*:list"]


def test_bad_options(used):
    with pytest.raises(CommandError, match="--remove needs --unused-for"):
        run(used, "--remove")
    with pytest.raises(CommandError, match="--unused-for: Enter a duration with a unit"):
        run(used, "--unused-for=90")
    with pytest.raises(CommandError, match="no token with this id"):
        run("x")
