import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command, execute_from_command_line

from pat_tokens.authentication import authenticate
from pat_tokens.exceptions import RevokedToken
from pat_tokens.models import PersonalAccessToken
from pat_tokens.requirements import ANY_TOKEN
from tests.factories import TokenFactory

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


class TestManyTokens:
    @pytest.fixture
    def tokens(self, user, stranger):
        """Two tokens of the owner, the first of them older, and one of somebody else."""
        found = [TokenFactory(user=user), TokenFactory(user=user), TokenFactory(user=stranger)]
        older = datetime(2020, 1, 1, 12, tzinfo=UTC)
        PersonalAccessToken.objects.filter(pk=found[0].pk).update(issued_at=older)
        return found

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"user": "owner"}, [0, 1]),
            ({"issued_before": "2020-01-02"}, [0]),
            ({"issued_before": "2020-01-01T13:00+02:00"}, []),
            ({"user": "stranger", "issued_before": "2020-01-02"}, []),
            ({"all": True}, [0, 1, 2]),
        ],
    )
    def test_selected_tokens_are_counted_and_then_revoked(self, tokens, monkeypatch, options, expected):
        errors = StringIO()
        monkeypatch.setattr("builtins.input", lambda prompt: "no")
        with pytest.raises(CommandError, match="Nothing was changed"):
            call_command("pat_revoke", **options, stderr=errors)
        number = "1 active token" if len(expected) == 1 else f"{len(expected)} active tokens"
        assert f"This revokes {number}." in errors.getvalue()
        assert PersonalAccessToken.objects.active().count() == 3
        call_command("pat_revoke", **options, interactive=False, stdout=StringIO(), stderr=StringIO())
        revoked = set(PersonalAccessToken.objects.revoked())
        assert revoked == {tokens[position] for position in expected}

    @pytest.mark.parametrize("arguments", [[], ["ID", "--all"], ["--issued-before", "soon"], ["--user", "nobody"]])
    def test_unclear_selection_revokes_nothing(self, tokens, arguments):
        arguments = [str(tokens[0].pk) if argument == "ID" else argument for argument in arguments]
        with pytest.raises(CommandError):
            call_command("pat_revoke", *arguments, "--no-input", stderr=StringIO())
        assert PersonalAccessToken.objects.active().count() == 3
