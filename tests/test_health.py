from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pat_tokens import health, lookup, services
from pat_tokens.health import Level, check_health
from pat_tokens.models import PersonalAccessToken, Reminder, Scope
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

ALL = ["settings", "peppers", "tables", "look_up", "clock", "legacy_keys", "reminders", "dead_tokens"]
KEY = "0123456789abcdef0123456789abcdef01234567"


def level_of(name, **kwargs):
    levels = [finding.level for finding in check_health(**kwargs).findings if finding.name == name]
    assert len(levels) == 1
    return levels[0]


def finding(name):
    (found,) = [one for one in check_health().findings if one.name == name]
    return found


def test_a_site_that_works_is_healthy(token):
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


def test_a_site_without_a_token_is_healthy(db):
    assert level_of("look_up") == Level.OK


def test_nothing_is_written_and_little_is_asked(token):
    for counts, most in ((False, 8), (True, 11)):
        with CaptureQueriesContext(connection) as queries:
            check_health(counts=counts)
        asked = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
        assert {sql.split()[0].upper() for sql in asked} == {"SELECT"}
        assert len(asked) <= most


def test_no_secret_pepper_or_digest_is_shown(token, settings):
    settings.PAT_TOKENS_PEPPERS = ["short"]
    text = str(check_health())
    for hidden in ("short'", token.digest, settings.SECRET_KEY):
        assert hidden not in text


def test_what_the_checks_say_is_said(settings):
    settings.PAT_TOKENS_PREFIX = "my_site"
    found = check_health()
    assert not found.ok
    assert [one.facts for one in found.findings if one.name == "settings"] == [{"id": "pat_tokens.E001"}]
    settings.PAT_TOKENS_PREFIX, settings.PAT_TOKENS_PREFX = "pat", "x"
    assert level_of("settings") == Level.WARNING
    settings.SILENCED_SYSTEM_CHECKS = ["pat_tokens.W001"]
    assert level_of("settings") == Level.OK


@pytest.mark.parametrize("key", ["", None])
def test_no_pepper_is_an_error(settings, key):
    settings.SECRET_KEY = key
    found = check_health()
    assert [one.name for one in found.at_least(Level.ERROR)] == ["peppers"]


@pytest.mark.parametrize("model", [PersonalAccessToken, Scope, Reminder])
def test_a_table_that_is_not_migrated_is_an_error(model, monkeypatch):
    monkeypatch.setattr(model._meta, "db_table", "pat_tokens_gone")
    found = check_health()
    assert [(one.name, one.facts) for one in found.at_least(Level.ERROR)] == [("tables", {"table": "pat_tokens_gone"})]
    assert UserFactory().pk, "the transaction around it goes on"


@pytest.mark.parametrize(
    "find", [lambda digests, required_scope: None, lambda digests, required_scope: PersonalAccessToken()]
)
def test_a_look_up_that_fails_is_an_error(token, monkeypatch, find):
    monkeypatch.setattr(lookup, "find_token", find)
    assert level_of("look_up") == Level.ERROR


def test_a_database_that_fails_on_the_way_is_an_error(monkeypatch):
    def fail():
        raise DatabaseError("gone")

    fail.__name__ = "_check_clock"
    monkeypatch.setattr(health, "_check_clock", fail)
    assert finding("clock").text == "The database failed: DatabaseError."


@pytest.mark.parametrize(("off", "level"), [(0, Level.OK), (29, Level.OK), (31, Level.WARNING), (-31, Level.WARNING)])
def test_clocks_that_differ_are_a_warning(monkeypatch, off, level):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(seconds=off)

    monkeypatch.setattr(health, "datetime", Clock)
    found = finding("clock")
    assert found.level == level
    assert abs(found.facts["drift_seconds"] + off) < 0.9


def test_a_database_whose_clock_is_not_known_is_no_failure(monkeypatch):
    monkeypatch.setattr(health, "_CLOCKS", {})
    assert level_of("clock") == Level.INFO


def test_imported_keys_and_their_setting_go_together(user, settings):
    assert level_of("legacy_keys") == Level.OK
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = True
    assert level_of("legacy_keys") == Level.WARNING
    token, _made = services.import_token(user, KEY, name="old", scopes=[])
    assert level_of("legacy_keys") == Level.OK
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = False
    assert level_of("legacy_keys") == Level.WARNING
    services.revoke_token(token)
    assert level_of("legacy_keys") == Level.OK


def test_reminders_that_are_due_or_stuck_are_counted(token):
    end = timezone.now() + timedelta(days=2)
    PersonalAccessToken.objects.filter(pk=token.pk).update(issued_at=end - timedelta(days=90), expires_at=end)
    found = finding("reminders")
    assert (found.level, found.facts) == (Level.INFO, {"due": 1, "stuck": 0})
    token.refresh_from_db()
    long_ago = timezone.now() - timedelta(hours=2)
    Reminder.objects.create(token=token, issued_at=token.issued_at, days=3, claimed_at=long_ago)
    found = finding("reminders")
    assert (found.level, found.facts) == (Level.WARNING, {"due": 0, "stuck": 1})


def test_dead_tokens_are_counted_with_the_first(make_token):
    for name, days in (("a", 100), ("b", 95), ("c", 80)):
        moment = datetime.now(UTC) - timedelta(days=days)
        PersonalAccessToken.objects.filter(pk=make_token(name=name).pk).update(
            issued_at=moment - timedelta(days=1), expires_at=moment
        )
    found = finding("dead_tokens")
    assert found.level == Level.INFO
    assert found.facts["count"] == 2
    assert (datetime.now(UTC) - datetime.fromisoformat(found.facts["oldest"])).days == 100
