import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from pat_tokens import reminders
from pat_tokens.management.commands import pat_remind
from pat_tokens.reminders import Summary

pytestmark = pytest.mark.django_db


def run(*args):
    """Run the command and return its output."""
    out = StringIO()
    call_command("pat_remind", *args, stdout=out)
    return out.getvalue()


@pytest.fixture
def summary(monkeypatch):
    """Return the summary of a dry run."""
    found = Summary(tokens=3, mails=2, skipped=1)
    monkeypatch.setattr(pat_remind, "send_reminders", lambda **options: found)
    return found


def test_prints_nothing_by_default(summary):
    assert run() == ""


def test_verbose_and_json_output(summary):
    assert run("-v2").startswith("Reminded of 3 tokens in 2 mails. Skipped 1 users")
    assert run("--dry-run").startswith("Would remind of 3 tokens in 2 mails.")
    assert json.loads(run("--json")) == {
        "dry_run": False,
        "tokens": 3,
        "mails": 2,
        "skipped": 1,
        "failed": 0,
        "stopped": False,
    }


@pytest.mark.parametrize("stopped", [False, True])
def test_fails_if_an_email_fails(summary, stopped):
    summary.failed, summary.stopped = 3, stopped
    with pytest.raises(CommandError, match="3 mails could not be sent") as caught:
        run()
    assert ("with the rest" in str(caught.value)) is stopped
    assert caught.value.returncode == 1


def test_database_failure_is_one_line(monkeypatch):
    def fail(**options):
        raise OperationalError("no such table")

    monkeypatch.setattr(pat_remind, "send_reminders", fail)
    with pytest.raises(CommandError, match=r"failed \(OperationalError\)") as caught:
        run()
    assert caught.value.returncode == 1


def test_runs_without_reminders():
    assert json.loads(run("--json", "--dry-run"))["tokens"] == 0
    assert reminders.send_reminders() == Summary()
