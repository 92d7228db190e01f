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


def test_a_line_for_each_finding(token):
    lines = run("--fail-level=warning").splitlines()
    assert len(lines) == 9
    assert lines[2] == "ok       tables       All tables and columns exist."


def test_answers_in_json(token):
    found = json.loads(run("--json"))
    assert found["ok"] is True
    assert {one["name"] for one in found["findings"]} >= {"settings", "look_up", "clock"}


def test_fails_from_the_level_that_it_is_told(settings):
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = True
    assert "set it to False" in run()
    with pytest.raises(CommandError, match=r"Not healthy: legacy_keys\.") as caught:
        run("--fail-level=warning")
    assert caught.value.returncode == 1


def test_says_what_is_wrong_on_a_site_whose_checks_fail(settings, capsys):
    settings.PAT_TOKENS_PREFIX = ""
    with pytest.raises(SystemExit) as caught:
        execute_from_command_line(["manage.py", "pat_health"])
    assert caught.value.code == 1
    assert "which no secret can start with" in capsys.readouterr().out


def test_is_no_use_of_a_token(token):
    authenticate(token.secret, ANY_TOKEN)
    token.refresh_from_db()
    run()
    before = token.last_used_at
    token.refresh_from_db()
    assert token.last_used_at == before
