from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pat_tokens import health, lookup, services
from pat_tokens.health import Level, check_health
from pat_tokens.models import PersonalAccessToken, Reminder, Scope
from tests.factories import UserFactory

pytestmark = [pytest.mark.sql, pytest.mark.django_db]

ALL = ["settings", "peppers", "tables", "look_up", "clock", "legacy_keys", "digests", "reminders", "dead_tokens"]
KEY = "0123456789abcdef0123456789abcdef01234567"


def level_of(name, **kwargs):
    levels = [finding.level for finding in check_health(**kwargs).findings if finding.name == name]
    assert len(levels) == 1
    return levels[0]


def finding(name):
    (found,) = [one for one in check_health().findings if one.name == name]
    return found


def test_working_site_is_healthy(token):
    found = check_health()
    assert found.ok
    assert [one.name for one in found.findings] == ALL
    assert {one.level for one in found.findings} == {Level.OK, Level.INFO}
    assert found.as_dict()["ok"] is True
    assert found.as_dict()["findings"][1] == {
        "name": "peppers",
        "level": "ok",
        "text": "Peppers: 1.",
        "facts": {"count": 1},
    }


def test_site_without_tokens_is_healthy(db):
    assert level_of("look_up") == Level.OK


def test_nothing_is_written(token):
    for counts, most in ((False, 9), (True, 14)):
        with CaptureQueriesContext(connection) as queries:
            check_health(counts=counts)
        asked = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
        assert {sql.split()[0].upper() for sql in asked} == {"SELECT"}
        assert len(asked) <= most


def test_secrets_peppers_and_digests_are_not_shown(token, settings):
    settings.PAT_TOKENS_PEPPERS = ["short"]
    text = str(check_health())
    for hidden in ("short'", token.digest, settings.SECRET_KEY):
        assert hidden not in text


def test_check_messages_are_findings(settings):
    settings.PAT_TOKENS_PREFIX = "my_site"
    found = check_health()
    assert not found.ok
    assert [one.facts for one in found.findings if one.name == "settings"] == [{"id": "pat_tokens.E001"}]
    settings.PAT_TOKENS_PREFIX, settings.PAT_TOKENS_PREFX = "pat", "x"
    assert level_of("settings") == Level.WARNING
    settings.SILENCED_SYSTEM_CHECKS = ["pat_tokens.W001"]
    assert level_of("settings") == Level.OK


@pytest.mark.parametrize("key", ["", None])
def test_missing_pepper_is_an_error(settings, key):
    settings.SECRET_KEY = key
    found = check_health()
    assert [one.name for one in found.at_least(Level.ERROR)] == ["peppers"]


class TestDigests:
    """How many active tokens have a digest under each kind of pepper."""

    @pytest.fixture
    def peppered(self, make_token, settings):
        """Two tokens under the newest pepper, one under the previous one, and one without a recorded pepper."""
        settings.PAT_TOKENS_PEPPERS = ["old"]
        make_token(name="old"), services.revoke_token(make_token(name="revoked"))
        settings.PAT_TOKENS_PEPPERS = ["new", "old"]
        tokens = [make_token(name="new"), make_token(name="newer"), make_token(name="unrecorded")]
        PersonalAccessToken.objects.filter(pk=tokens[-1].pk).update(pepper_id="")

    def test_fallback_is_old_pepper(self, peppered):
        found = finding("digests")
        assert (found.level, found.facts) == (Level.INFO, {"current": 2, "old": 1, "unknown": 0, "unrecorded": 1})

    def test_removed_pepper_is_a_warning(self, peppered, settings):
        settings.PAT_TOKENS_PEPPERS = ["new"]
        found = finding("digests")
        assert (found.level, found.facts["unknown"]) == (Level.WARNING, 1)

    def test_previous_secrets_count_while_they_work(self, make_token, settings):
        settings.PAT_TOKENS_PEPPERS = ["old"]
        rotated, finished = make_token(name="rotated"), make_token(name="finished")
        settings.PAT_TOKENS_PEPPERS = ["new", "old"]
        services.rotate_token(rotated)
        services.rotate_token(finished, grace_period="0")
        assert finding("digests").facts == {"current": 2, "old": 1, "unknown": 0, "unrecorded": 0}
        settings.PAT_TOKENS_PEPPERS = ["new"]
        assert finding("digests").facts == {"current": 2, "old": 0, "unknown": 1, "unrecorded": 0}
        PersonalAccessToken.objects.update(rotated_at=timezone.now() - timedelta(days=31))
        assert finding("digests").facts["unknown"] == 0

    def test_replaced_secret_key_is_an_error(self, token, settings):
        assert finding("digests").level == Level.OK
        settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another key"
        assert finding("digests").facts == {"current": 0, "old": 1, "unknown": 0, "unrecorded": 0}
        settings.SECRET_KEY_FALLBACKS = []
        assert not check_health().ok
        found = finding("digests")
        assert (found.level, found.facts["unknown"]) == (Level.ERROR, 1)
        services.regenerate_token(token)
        assert finding("digests").level == Level.OK


@pytest.mark.parametrize("model", [PersonalAccessToken, Scope, Reminder])
def test_missing_migration_is_an_error(model, monkeypatch):
    monkeypatch.setattr(model._meta, "db_table", "pat_tokens_gone")
    found = check_health()
    assert [(one.name, one.facts) for one in found.at_least(Level.ERROR)] == [("tables", {"table": "pat_tokens_gone"})]
    assert UserFactory().pk, "the transaction around it goes on"


@pytest.mark.parametrize(
    "find", [lambda digests, required_scope: None, lambda digests, required_scope: PersonalAccessToken()]
)
def test_failed_look_up_is_an_error(token, monkeypatch, find):
    monkeypatch.setattr(lookup, "find_token", find)
    assert level_of("look_up") == Level.ERROR


def test_database_failure_is_an_error(monkeypatch):
    def fail():
        raise DatabaseError("gone")

    fail.__name__ = "_check_clock"
    monkeypatch.setattr(health, "_check_clock", fail)
    assert finding("clock").text == "The database failed: DatabaseError."


@pytest.mark.parametrize(("off", "level"), [(0, Level.OK), (29, Level.OK), (31, Level.WARNING), (-31, Level.WARNING)])
def test_different_clocks_are_a_warning(monkeypatch, off, level):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(seconds=off)

    monkeypatch.setattr(health, "datetime", Clock)
    found = finding("clock")
    assert found.level == level
    assert abs(found.facts["drift_seconds"] + off) < 0.9


def test_unknown_database_clock_is_not_a_failure(monkeypatch):
    monkeypatch.setattr(health, "_CLOCKS", {})
    assert level_of("clock") == Level.INFO


def test_imported_keys_need_setting(user, settings):
    assert level_of("legacy_keys") == Level.OK
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = True
    assert level_of("legacy_keys") == Level.WARNING
    token, _made = services.import_token(user, KEY, name="old", scopes=[])
    assert level_of("legacy_keys") == Level.OK
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = False
    assert level_of("legacy_keys") == Level.WARNING
    services.revoke_token(token)
    assert level_of("legacy_keys") == Level.OK


def test_due_and_stuck_reminders_are_counted(token):
    end = timezone.now() + timedelta(days=2)
    PersonalAccessToken.objects.filter(pk=token.pk).update(issued_at=end - timedelta(days=90), expires_at=end)
    found = finding("reminders")
    assert (found.level, found.facts) == (Level.INFO, {"due": 1, "stuck": 0})
    token.refresh_from_db()
    long_ago = timezone.now() - timedelta(hours=2)
    Reminder.objects.create(token=token, issued_at=token.issued_at, days=3, claimed_at=long_ago)
    found = finding("reminders")
    assert (found.level, found.facts) == (Level.WARNING, {"due": 0, "stuck": 1})


def test_inactive_tokens_are_counted(make_token):
    for name, days in (("a", 100), ("b", 95), ("c", 80)):
        when = datetime.now(UTC) - timedelta(days=days)
        PersonalAccessToken.objects.filter(pk=make_token(name=name).pk).update(
            issued_at=when - timedelta(days=1), expires_at=when
        )
    found = finding("dead_tokens")
    assert found.level == Level.INFO
    assert found.facts["count"] == 2
    assert (datetime.now(UTC) - datetime.fromisoformat(found.facts["oldest"])).days == 100
