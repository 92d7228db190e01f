import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command, execute_from_command_line

from pat_tokens.authentication import authenticate
from pat_tokens.requirements import ANY_TOKEN

pytestmark = pytest.mark.django_db


def run(*args):
    """Run the command and return its output."""
    out = StringIO()
    call_command("pat_health", *args, stdout=out)
    return out.getvalue()


def test_prints_a_line_per_finding(token):
    lines = run("--fail-level=warning").splitlines()
    assert len(lines) == 9
    assert lines[2] == "ok       tables       All tables and columns exist."


def test_json_output(token):
    found = json.loads(run("--json"))
    assert found["ok"] is True
    assert {one["name"] for one in found["findings"]} >= {"settings", "look_up", "clock"}


def test_fail_level_option(settings):
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = True
    assert "set it to False" in run()
    with pytest.raises(CommandError, match=r"Not healthy: legacy_keys\.") as caught:
        run("--fail-level=warning")
    assert caught.value.returncode == 1


def test_runs_if_system_checks_fail(settings, capsys):
    settings.PAT_TOKENS_PREFIX = ""
    with pytest.raises(SystemExit) as caught:
        execute_from_command_line(["manage.py", "pat_health"])
    assert caught.value.code == 1
    assert "which no secret can start with" in capsys.readouterr().out


def test_does_not_record_use(token):
    authenticate(token.secret, ANY_TOKEN)
    token.refresh_from_db()
    run()
    before = token.last_used_at
    token.refresh_from_db()
    assert token.last_used_at == before
