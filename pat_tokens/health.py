"""Check whether tokens work on this site, without writing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections, router, transaction
from django.db.models import Count, Min, Q
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from pat_tokens import crypto, lookup
from pat_tokens.conf import conf
from pat_tokens.models import PersonalAccessToken, Reminder, Scope

SETTINGS_TAG = "pat_tokens_settings"  # the tag of checks that only validate settings
MAX_DRIFT = timedelta(seconds=30)  # between the clock of this process and that of the database
SLOW = timedelta(hours=1)  # a reminder claimed this long ago is no longer being sent
LONG_INACTIVE = timedelta(days=90)  # the default of `pat_prune`

_CLOCKS = {
    "sqlite": "SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')",
    "postgresql": "SELECT clock_timestamp()",
    "mysql": "SELECT utc_timestamp(6)",
}


class Level(StrEnum):
    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """The result of one check: `text` in English, `facts` for scripts. Contains no secret, pepper or digest."""

    name: str
    level: Level
    text: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Health:
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return not self.at_least(Level.ERROR)

    def at_least(self, level: Level) -> list[Finding]:
        order = list(Level)
        return [finding for finding in self.findings if order.index(finding.level) >= order.index(level)]

    def as_dict(self) -> dict[str, Any]:
        """Return the findings for JSON: `{"ok", "findings": [{"name", "level", "text", "facts"}]}`."""
        return {"ok": self.ok, "findings": [asdict(found) for found in self.findings]}


def check_health(*, counts: bool = True) -> Health:
    """Check settings, peppers, tables, a look-up, the clock and imported keys; with `counts`, also count rows.

    Makes eight queries, and four more for `counts`. Problems become findings; no exception is raised.
    """
    checks: list[Callable[[], Iterator[Finding]]] = [_check_settings, _check_peppers, _check_tables]
    findings = [finding for look in checks for finding in look()]
    if not any(finding.level == Level.ERROR for finding in findings):
        rest = [_check_look_up, _check_clock, _check_legacy_keys]
        if counts:
            rest += [_look_at_digests, _check_reminders, _check_dead_tokens]
        for look in rest:
            try:
                with transaction.atomic(using=_alias()):  # so that a failing query doesn't break an outer transaction
                    findings += look()
            except DatabaseError as error:
                name = look.__name__.removeprefix("_check_")
                findings.append(Finding(name, Level.ERROR, f"The database failed: {type(error).__name__}."))
    return Health(tuple(findings))


def _check_settings() -> Iterator[Finding]:
    messages = [message for message in checks.run_checks(tags=[SETTINGS_TAG]) if not message.is_silenced()]
    for message in messages:
        level = Level.ERROR if message.is_serious() else Level.WARNING
        yield Finding("settings", level, message.msg, {"id": message.id})
    if not messages:
        yield Finding("settings", Level.OK, "The settings and entity types pass their checks.")


def _check_peppers() -> Iterator[Finding]:
    try:
        count = len(conf.peppers)
    except (ImproperlyConfigured, TypeError):
        count = 0
    if count:
        yield Finding("peppers", Level.OK, f"Peppers: {count}.", {"count": count})
    else:
        text = "There is no pepper: set SECRET_KEY or PAT_TOKENS_PEPPERS."
        yield Finding("peppers", Level.ERROR, text)


def _check_tables() -> Iterator[Finding]:
    for model in (PersonalAccessToken, Scope, Reminder):
        try:
            with transaction.atomic(using=_alias()):
                list(model._base_manager.using(_alias()).values()[:1])
        except DatabaseError as error:
            text = f"The table {model._meta.db_table} is missing or outdated ({type(error).__name__}): run migrate."
            yield Finding("tables", Level.ERROR, text, {"table": model._meta.db_table})
            return
    yield Finding("tables", Level.OK, "All tables and columns exist.")


@sensitive_variables()
def _check_look_up() -> Iterator[Finding]:
    secret = crypto.make_secret(conf.prefix)
    found = lookup.find_token(crypto.digests(secret, conf.peppers), None)
    row = PersonalAccessToken.objects.using(_alias()).order_by("pk").values_list("pk", "digest").first()
    again = None if row is None else lookup.find_token([row[1]], None)
    if not crypto.is_well_formed(secret, conf.prefix) or found is not None:
        yield Finding("look_up", Level.ERROR, "A new secret is malformed, or belongs to a token.")
    elif row is not None and (again is None or again.pk != row[0]):
        yield Finding("look_up", Level.ERROR, "A token cannot be found by its digest.")
    else:
        yield Finding("look_up", Level.OK, "An unknown secret is not found, and a digest finds its token.")


def _check_clock() -> Iterator[Finding]:
    connection = connections[_alias()]
    if connection.vendor not in _CLOCKS:
        yield Finding("clock", Level.INFO, "The clock of this database can't be read.")
        return
    with connection.cursor() as cursor:
        before = datetime.now(UTC)
        cursor.execute(_CLOCKS[connection.vendor])
        (database_time,) = cursor.fetchone()
        after = datetime.now(UTC)
    when = datetime.fromisoformat(database_time) if isinstance(database_time, str) else database_time
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    drift = when - (before + (after - before) / 2)
    facts = {"drift_seconds": round(drift.total_seconds(), 3)}
    if abs(drift) > MAX_DRIFT:
        text = f"The clocks of this process and the database differ by {facts['drift_seconds']} s."
        yield Finding("clock", Level.WARNING, text, facts)
    else:
        yield Finding("clock", Level.OK, "The clocks of this process and the database agree.", facts)


def _check_legacy_keys() -> Iterator[Finding]:
    tokens = PersonalAccessToken.objects.using(_alias()).filter(is_legacy=True)
    alive = tokens.active().count()
    facts = {"alive": alive, "allowed": conf.allow_legacy_keys}
    if alive and not conf.allow_legacy_keys:
        text = f"{alive} imported keys have not expired, but are refused: PAT_TOKENS_ALLOW_LEGACY_KEYS is False."
        yield Finding("legacy_keys", Level.WARNING, text, facts)
    elif conf.allow_legacy_keys and not alive:
        text = "PAT_TOKENS_ALLOW_LEGACY_KEYS is True, but all imported keys have expired: set it to False."
        yield Finding("legacy_keys", Level.WARNING, text, facts)
    else:
        yield Finding("legacy_keys", Level.OK, f"Imported keys that have not expired: {alive}.", facts)


@sensitive_variables()
def _look_at_digests() -> Iterator[Finding]:
    tokens = PersonalAccessToken.objects.using(_alias()).active()
    counts = tokens.count_by_pepper(conf.peppers)
    facts = counts._asdict()
    if counts.unknown:
        # If SECRET_KEY was replaced by mistake, every token is refused; if an old key was removed, only some are.
        level = Level.WARNING if counts.current or counts.old else Level.ERROR
        text = (
            f"{counts.unknown} secrets of active tokens have digests under a pepper that is no longer configured, so "
            "they are refused. Add the previous key to SECRET_KEY_FALLBACKS or PAT_TOKENS_PEPPERS, or regenerate the "
            "tokens."
        )
        yield Finding("digests", level, text, facts)
    elif counts.old or counts.unrecorded:
        text = (
            f"Secrets of active tokens under an older pepper: {counts.old}; not recorded: {counts.unrecorded}. They "
            "move to the newest pepper when they are used. Keep the older peppers until then."
        )
        yield Finding("digests", Level.INFO, text, facts)
    else:
        yield Finding(
            "digests", Level.OK, f"Secrets of active tokens under the newest pepper: {counts.current}.", facts
        )


def _check_reminders() -> Iterator[Finding]:
    now = timezone.now()
    due = PersonalAccessToken.objects.using(_alias()).expiring(tuple(conf.reminder_days), now).count()
    stuck = Reminder.objects.using(_alias()).unfinished(now - SLOW).count()
    facts = {"due": due, "stuck": stuck}
    if stuck:
        text = f"{stuck} reminders were started and not finished; they may not have been sent."
        yield Finding("reminders", Level.WARNING, text, facts)
    else:
        yield Finding("reminders", Level.INFO, f"Reminders that are due: {due}.", facts)


def _check_dead_tokens() -> Iterator[Finding]:
    since = timezone.now() - LONG_INACTIVE
    inactive = PersonalAccessToken.objects.using(_alias()).inactive_since(since)
    found = inactive.aggregate(
        count=Count("pk"), revoked=Min("revoked_at"), expired=Min("expires_at", filter=Q(expires_at__lte=since))
    )
    datetimes = [when for when in (found["revoked"], found["expired"]) if when is not None]
    oldest = min(datetimes).isoformat() if datetimes else None
    text = f"Tokens inactive for {LONG_INACTIVE.days} days: {found['count']}" + (
        f", the oldest since {oldest}." if oldest else "."
    )
    yield Finding("dead_tokens", Level.INFO, text, {"count": found["count"], "oldest": oldest})


def _alias() -> str:
    return router.db_for_read(PersonalAccessToken)


__all__ = ["Finding", "Health", "Level", "check_health"]
