"""Remind owners that their tokens expire, by email and signal, once for each number of days.

A reminder is claimed with a row before it is sent. If sending fails, the row is deleted and the next run tries again.
If a process is killed while sending, the reminders of one user stay claimed. They may have been sent, so they aren't
sent again, until the next number of days is reached. `pat_health` counts them.
"""

from __future__ import annotations

import random
import smtplib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.mail import EmailMultiAlternatives
from django.db import router
from django.utils import timezone

from pat_tokens import log_events, mail, services
from pat_tokens.activity import SYSTEM, Actor
from pat_tokens.conf import conf
from pat_tokens.durations import parse_duration
from pat_tokens.labels import TimeFormat, printable
from pat_tokens.links import page_url
from pat_tokens.models import PersonalAccessToken, PreviousSecret, Reminder, owner_is_active
from pat_tokens.policy import get_policy

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from pat_tokens.querysets import TokenQuerySet

PAGE = 100  # users in one query
_REJECTED = (400, 413, 422)  # HTTP statuses of mail services for one email; others are about the account or the service
MAX_FAILURES = 3  # emails in a row that fail because of the server; then the run stops


@dataclass
class Summary:
    """The result of a run: tokens and emails that were sent, and users that were skipped or whose email failed."""

    tokens: int = 0
    mails: int = 0
    skipped: int = 0
    failed: int = 0
    stopped: bool = False  # after MAX_FAILURES, with users left

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Line:
    """One token in an email."""

    token: PersonalAccessToken
    name: str  # on one line
    days: int
    time_left: str
    url: str

    @property
    def is_over(self) -> bool:
        return self.days == 0


def send_reminders(*, dry_run: bool = False, actor: Actor = SYSTEM) -> Summary:
    """Send all reminders that are due. Several runs at the same time share the work.

    Also mail the owners of rotated tokens whose previous secret is used shortly before it stops. Makes one query, two
    per page of users and six per user, one for all rotated tokens, and one for each mail about them. A dry run
    writes and sends nothing.
    """
    now = timezone.now()
    days = tuple(conf.reminder_days)
    summary = Summary()
    in_a_row = 0
    for user, count in _due_users(days, now):
        if not _is_reachable(user, count, summary):
            continue
        if dry_run:
            summary.tokens += count
            summary.mails += conf.reminder_mail
        else:
            failure = _remind(user, days, now, summary, actor)
            if failure and _is_about_one_mail(failure):
                continue
            in_a_row = in_a_row + 1 if failure else 0
            if in_a_row == MAX_FAILURES:
                summary.stopped = True
                break
    if not summary.stopped and conf.reminder_mail:
        _mail_about_previous_secrets(now, summary, dry_run=dry_run)
    return summary


def _mail_about_previous_secrets(now: datetime, summary: Summary, *, dry_run: bool) -> None:
    tokens = PersonalAccessToken.objects.using(router.db_for_write(PersonalAccessToken))
    tokens = tokens.with_previous_secret_in_use(now - parse_duration(conf.max_overlap))
    in_a_row = 0
    for token in tokens.select_related("user", "previous").order_by("?"):
        secret = token.get_previous_secret(now)
        if secret is None or not secret.is_used_late:
            continue
        if not _is_reachable(token.user, 1, summary):
            continue
        if dry_run:
            summary.mails += 1
            continue
        if not services.claim_overlap_mail(token, now=now):  # another run was faster
            continue
        error = _send(build_previous_secret_mail, token, secret, now=now)
        if error is None:
            summary.mails += 1
            in_a_row = 0
            continue
        services.release_overlap_mail(token)
        _log_failure(token.user, 1, error, summary)
        in_a_row += not _is_about_one_mail(error)
        if in_a_row == MAX_FAILURES:
            summary.stopped = True
            return


def _is_reachable(user: AbstractBaseUser, count: int, summary: Summary) -> bool:
    """Return whether `user` can be reminded of `count` tokens; otherwise count the user in `summary`."""
    try:
        if owner_is_active(user) and (not conf.reminder_mail or get_policy().get_email_addresses(user)):
            return True
    except Exception as error:  # noqa: BLE001 -- the site's policy can raise anything
        _log_failure(user, count, error, summary)
    else:
        summary.skipped += 1
    return False


def _is_about_one_mail(error: Exception) -> bool:
    # Otherwise a few addresses or token names that a server rejects would stop all later reminders, in every run.
    if isinstance(error, smtplib.SMTPDataError):
        return error.smtp_code >= 500  # rejected for its content; 4xx is about the server
    if isinstance(error, smtplib.SMTPRecipientsRefused | smtplib.SMTPNotSupportedError):
        return True
    if _http_status(error) in _REJECTED:
        return True
    # All other errors of smtplib, sockets and HTTP clients are OSErrors; any other error is about building the email.
    return not isinstance(error, OSError)


def _http_status(error: Exception) -> Any:
    # requests and httpx have a response, urllib has a code.
    return getattr(getattr(error, "response", None), "status_code", getattr(error, "code", None))


def build_mail(user: AbstractBaseUser, reminders: Sequence[Reminder], *, now: datetime) -> EmailMultiAlternatives:
    """Return the mail about all of `reminders`, in the language of `user`: plain text, and the same as HTML."""

    def get_context() -> dict[str, Any]:
        lines = [_line(user, reminder, now) for reminder in reminders]
        return {"lines": lines, "count": len(lines), "all_over": all(line.is_over for line in lines)}

    return mail.build_mail("reminder", user, get_context)


def build_previous_secret_mail(
    token: PersonalAccessToken, secret: PreviousSecret, *, now: datetime
) -> EmailMultiAlternatives:
    """Return the mail that says that the previous secret of `token` is still in use."""

    def get_context() -> dict[str, Any]:
        return {
            "token": token,
            "name": printable(token.name),
            "secret": secret,
            "agent": printable(secret.last_used_agent),
            "time_left": TimeFormat().span(secret.expires_at - now),
            "url": page_url("token_detail", token.pk, user=token.user) or "",
        }

    return mail.build_mail("previous_secret", token.user, get_context)


def _remind(
    user: AbstractBaseUser, days: Sequence[int], now: datetime, summary: Summary, actor: Actor
) -> Exception | None:
    """Remind one user; return the error if that failed."""
    reminders = services.claim_reminders(user, days=days, now=now)
    if not reminders:  # another run has claimed them
        return None
    if conf.reminder_mail:
        error = _send(build_mail, user, reminders, now=now)
        if error is not None:
            services.release_reminders(reminders)
            _log_failure(user, len(reminders), error, summary)
            return error
        summary.mails += 1
    services.finish_reminders(reminders, mailed=conf.reminder_mail, actor=actor)
    summary.tokens += len(reminders)
    return None


def _send(build: Callable[..., EmailMultiAlternatives], *args: Any, **kwargs: Any) -> Exception | None:
    try:
        if not build(*args, **kwargs).send():
            raise smtplib.SMTPException("nothing was sent")
    except Exception as error:  # noqa: BLE001 -- the site's templates and mail backend can raise anything
        return error
    return None


def _log_failure(user: AbstractBaseUser, count: int, error: Exception, summary: Summary) -> None:
    log_events.log("reminder_failed", user_id=str(user.pk), count=count, error=type(error).__name__)
    summary.failed += 1


def _due_users(days: Sequence[int], now: datetime) -> Iterator[tuple[Any, int]]:
    alias = router.db_for_write(PersonalAccessToken)
    due: TokenQuerySet = PersonalAccessToken.objects.using(alias).expiring(days, now)
    users = get_user_model()._base_manager.using(alias)
    ids = list(due.order_by().values_list("user_id", flat=True).distinct())
    # Otherwise a few emails that break the connection would stop those of the same users in each run.
    random.shuffle(ids)
    for start in range(0, len(ids), PAGE):
        page = ids[start : start + PAGE]
        found = users.in_bulk(page)
        counts = Counter(due.filter(user_id__in=page).values_list("user_id", flat=True))
        yield from ((found[pk], counts[pk]) for pk in page if pk in found and counts[pk])


def _line(user: AbstractBaseUser, reminder: Reminder, now: datetime) -> Line:
    token = reminder.token
    left = (token.expires_at or now) - now  # tokens without an expiration date get no reminder
    url = page_url("token_detail", token.pk, user=user)
    return Line(token, printable(token.name), reminder.days, TimeFormat().span(left), url or "")


__all__ = ["Summary", "send_reminders"]
