import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command, execute_from_command_line

from pat_tokens.authentication import authenticate
from pat_tokens.exceptions import RevokedToken
from pat_tokens.requirements import ANY_TOKEN

pytestmark = pytest.mark.django_db


def run(*args):
    """Run the command and return its output."""
    out = StringIO()
    call_command("pat_revoke", *args, stdout=out)
    return out.getvalue()


def test_revokes_immediately(token):
    authenticate(token.secret, ANY_TOKEN)
    assert run(str(token.pk)) == f"Revoked token deploy ({token.pk}) of owner.\n"
    with pytest.raises(RevokedToken):
        authenticate(token.secret, ANY_TOKEN)


def test_second_run_changes_nothing(token):
    first = json.loads(run(str(token.pk), "--json"))
    assert first[0]["status"] == "revoked"
    assert json.loads(run(str(token.pk), "--json")) == first


@pytest.mark.parametrize("wrong", ["6f1f5d0c-8a53-4c1f-9d0e-3f5d8a4b7c21", "7", "", "pat_x\0"])
def test_wrong_id_revokes_nothing(token, wrong):
    with pytest.raises(CommandError, match="no token with this id") as caught:
        run(str(token.pk), wrong)
    assert caught.value.returncode == 1
    token.refresh_from_db()
    assert token.is_active


def test_error_does_not_show_secret_given_as_id(token):
    with pytest.raises(CommandError) as caught:
        run(token.secret)
    assert token.secret not in str(caught.value)


def test_runs_if_system_checks_fail(token, settings, capsys):
    settings.PAT_TOKENS_PREFIX = ""
    execute_from_command_line(["manage.py", "pat_revoke", str(token.pk)])
    assert "Revoked token" in capsys.readouterr().out


def test_exit_status_is_1(capsys):
    with pytest.raises(SystemExit) as caught:
        execute_from_command_line(["manage.py", "pat_revoke", "7"])
    assert caught.value.code == 1
