import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pat_tokens import services, signals
from pat_tokens.models import Activity, PersonalAccessToken

pytestmark = pytest.mark.django_db


def run(*args):
    """Run the command and return its output."""
    out = StringIO()
    call_command("pat_prune", *args, stdout=out)
    return out.getvalue()


@pytest.fixture
def old(make_token):
    """An active token, and tokens that became inactive ten days ago in each way."""
    when = timezone.now() - timedelta(days=10)
    for name, fields in {
        "live": {},
        "expired": {"issued_at": when - timedelta(days=1), "expires_at": when},
        "revoked": {"revoked_at": when},
    }.items():
        PersonalAccessToken.objects.filter(pk=make_token(name=name).pk).update(**fields)


def names():
    return set(PersonalAccessToken.objects.values_list("name", flat=True))


def test_deletes_long_inactive_tokens(old):
    assert run("--days=11", "-v2") == "Deleted: 0\n"
    assert names() == {"live", "expired", "revoked"}
    assert run("--days=9", "-v2") == "Deleted: 2\n"
    assert names() == {"live"}


def test_prints_nothing_by_default(old):
    assert run("--days=9") == ""
    assert names() == {"live"}


def test_batch_option(old):
    sqlite = connection.vendor == "sqlite"  # which takes its lock with a separate statement
    with CaptureQueriesContext(connection) as queries:
        run("--days=9", "--batch=1")
    deletes = [query["sql"] for query in queries if query["sql"].startswith("DELETE") and "scope" not in query["sql"]]
    assert len([sql for sql in deletes if '"pat_tokens_personalaccesstoken"' in sql.replace("`", '"')]) == 2
    assert sum("UPDATE" in query["sql"][:6] for query in queries) == (3 if sqlite else 0)
    assert names() == {"live"}


def test_database_failure_is_one_line(old, monkeypatch):
    def fail(*args, **kwargs):
        raise OperationalError("gone")

    monkeypatch.setattr(services, "prune_tokens", fail)
    with pytest.raises(CommandError, match=r"failed \(OperationalError\)") as caught:
        run()
    assert caught.value.returncode == 1


@pytest.mark.django_db(transaction=True)
def test_concurrent_runs_delete_each_token_once(make_token):
    when = timezone.now() - timedelta(days=10)
    for number in range(30):
        make_token("channels:*:read", name=str(number))
    PersonalAccessToken.objects.update(issued_at=when - timedelta(days=1), expires_at=when)
    told = []

    def receiver(sender, token, pruned, **kwargs):
        told.append((token.pk, pruned))

    def prune(_number):
        try:
            return json.loads(run("--days=9", "--batch=3", "--json"))["deleted"]
        finally:
            connection.close()

    signals.token_deleted.connect(receiver)
    try:
        with ThreadPoolExecutor(2) as pool:
            counts = list(pool.map(prune, range(2)))
    finally:
        signals.token_deleted.disconnect(receiver)
    assert sum(counts) == len(told) == len(set(told)) == 30
    assert all(pruned for _pk, pruned in told)
    assert names() == set()


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_locked_tokens_are_left_to_next_run(old):
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        list(PersonalAccessToken.objects.select_for_update().filter(name="expired"))
        pool.submit(lambda: (run("--days=9"), connection.close())).result(timeout=30)
    assert names() == {"live", "expired"}


def test_unused_scopes_are_kept(make_token):
    token = make_token("channels:*:read")
    token.scope_set.update(watched_since=timezone.now() - timedelta(days=1000))
    run("--days=0")
    assert token.scope_set.count() == 1


def test_default_is_90_days(old):
    assert run("-v2") == "Deleted: 0\n"


def test_dry_run_option(old):
    assert run("--days=9", "--dry-run") == "Would delete: 2\n"
    assert json.loads(run("--days=9", "--dry-run", "--json")) == {"would_delete": 2, "would_delete_activity": 0}
    assert names() == {"live", "expired", "revoked"}


def test_json_output(old):
    assert json.loads(run("--days=0", "--json")) == {"deleted": 2, "deleted_activity": 0}


@pytest.mark.parametrize("batch", ["0", "-1", "x", ""])
def test_invalid_batch_is_reported(old, batch):
    with pytest.raises(CommandError, match="write a positive integer"):
        run(f"--batch={batch}", "--days=9")
    assert names() == {"live", "expired", "revoked"}


@pytest.mark.parametrize("days", ["-1", "x", "1.5", "", "999999999", "99999999999999"])
def test_invalid_input_is_reported(old, days):
    with pytest.raises(CommandError, match="write a whole number of days"):
        run(f"--days={days}")
    assert names() == {"live", "expired", "revoked"}


def test_old_activity_is_deleted_too(token, settings):
    settings.PAT_TOKENS_ACTIVITY_DAYS = 30
    services.update_token(token, name="renamed")
    for number in range(5):
        services.update_token(token, description=str(number))
    old = timezone.now() - timedelta(days=31)
    kept = Activity.objects.filter(kind="updated").earliest("pk")
    Activity.objects.exclude(pk=kept.pk).update(at=old)
    trail = Activity.objects.create(owner_id=token.user_id, token_id=token.pk, kind="refused", at=old)
    Activity.objects.filter(pk=trail.pk).update(last_at=timezone.now())
    assert json.loads(run("--dry-run", "--json")) == {"would_delete": 0, "would_delete_activity": 6}
    assert Activity.objects.count() == 8
    assert run("--batch=4", "-v2") == "Deleted: 0\nDeleted rows of activity: 6\n"
    assert set(Activity.objects.values_list("pk", flat=True)) == {kept.pk, trail.pk}
