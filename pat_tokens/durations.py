"""Parse and format durations and expiration dates."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1), "y": timedelta(days=365)}
# `labels.duration_label` has the name of each unit.
_SHORT = re.compile(rf"([0-9]{{1,9}})([{''.join(_UNITS)}])", re.ASCII | re.IGNORECASE)
_NUMBER = r"([0-9]{1,9}(?:[.,][0-9]{1,6})?)"
# ISO 8601-1 section 5.5.2.3. A year is 365 days and a month 30 days, because a duration has no start date.
_ISO = re.compile(
    rf"P(?=[0-9T])(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=[0-9])(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.ASCII | re.IGNORECASE,
)
_ROUNDING = ((_UNITS["d"], timedelta(hours=1)), (timedelta(minutes=1), timedelta(minutes=1)))
_ZERO = re.compile(
    rf"0+[{''.join(_UNITS)}]?|P(?=[0T])(?:0+Y)?(?:0+M)?(?:0+W)?(?:0+D)?(?:T(?=0)(?:0+H)?(?:0+M)?(?:0+S)?)?",
    re.ASCII | re.IGNORECASE,
)
_ISO_PARTS = (
    timedelta(days=365),
    timedelta(days=30),
    timedelta(weeks=1),
    timedelta(days=1),
    timedelta(hours=1),
    timedelta(minutes=1),
    timedelta(seconds=1),
)

NEVER = "never"  # the duration of tokens without an expiration date, if the site allows them
MAX_LENGTH = 40  # characters of a duration that is stored as it was given


def split_short(text: str) -> tuple[int, str] | None:
    """Return `30d` as `(30, "d")`, or None if `text` doesn't have this format."""
    short = _SHORT.fullmatch(text)
    return None if short is None else (int(short[1]), short[2].lower())


def parse_duration(text: str) -> timedelta:
    """Return the duration in `text`: `24h`, `30d`, `2w`, `1y`, or an ISO 8601 duration, longer than zero.

    Raises ValueError for anything else.
    """
    text = text.strip()
    try:
        if short := split_short(text):
            number, unit = short
            span = number * _UNITS[unit]
        elif iso := _ISO.fullmatch(text):
            span = sum(
                (float(n.replace(",", ".")) * part for n, part in zip(iso.groups(), _ISO_PARTS, strict=True) if n),
                timedelta(),
            )
        else:
            raise ValueError(f"not a duration: {text[:40]!r}")
    except OverflowError:
        raise ValueError(f"the duration is too long: {text[:40]!r}") from None
    if span <= timedelta():
        raise ValueError("a duration must be longer than zero")
    return span


def parse_grace_period(text: str) -> timedelta:
    """Return the duration that `text` names, or zero for `0`, `0h`, `PT0S` and the like.

    Raises ValueError for anything else.
    """
    text = text.strip()
    if _ZERO.fullmatch(text):
        return timedelta()
    return parse_duration(text)


def format_duration(span: timedelta) -> str:
    """Return `span`, which is not negative, as text that `parse_grace_period` reads."""
    for unit, length in (("d", _UNITS["d"]), ("h", _UNITS["h"])):
        # A day is written as 24h, as the pages do.
        if span and span % length == timedelta() and (unit, span) != ("d", length):
            return f"{span // length}{unit}"
    seconds = f"{span.total_seconds():.6f}".rstrip("0").rstrip(".")
    return f"PT{seconds}S"


def parse_iso_datetime(text: str) -> datetime:
    """Return the datetime in an ISO 8601 `text`; without an offset it is in the current time zone.

    Raises ValueError for anything else, and if it is out of range in UTC.
    """
    when = parse_datetime(text)
    if when is None:
        raise ValueError("not a date and time")
    try:
        if timezone.is_naive(when):
            when = timezone.make_aware(when)
        when = when.astimezone(UTC)
        return when if settings.USE_TZ else timezone.make_naive(when, timezone.get_default_timezone())
    except OverflowError:
        raise ValueError("out of range") from None


def as_aware(when: datetime) -> datetime:
    """Return `when` with a time zone, which datetimes lack on sites without `USE_TZ`."""
    return timezone.make_aware(when, timezone.get_default_timezone()) if timezone.is_naive(when) else when


def parse_expiry(text: str) -> datetime | date:
    """Return the date or datetime in an ISO 8601 `text`. Raises ValueError for anything else."""
    return parse_date(text) or parse_iso_datetime(text)


def add_duration(start: datetime, span: timedelta) -> datetime:
    """Return `start` plus `span`. Raises ValueError if the result is out of range."""
    try:
        return start + span
    except OverflowError:
        raise ValueError("the duration is too long") from None


def round_rest(span: timedelta) -> timedelta:
    """Return `span`, which is left of a lifetime, rounded to the smallest unit that `split_span` shows of it.

    Right after 30 days were chosen, 30 days are left, and not 29 days and 23 hours.
    """
    step = next((step for least, step in _ROUNDING if span >= least), timedelta(seconds=1))
    return (span + step / 2) // step * step


def split_span(span: timedelta) -> list[tuple[int, str]]:
    """Return `span` as its two largest parts of `d`, `h` and `min`, rounded down; in `s` if it is under a minute."""
    seconds = max(0, int(span.total_seconds()))
    parts = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    first = next((position for position, (number, _unit) in enumerate(parts) if number), len(parts) - 1)
    second = [part for part in parts[first + 1 : first + 2] if part[0] and part[1] != "s"]
    return [parts[first], *second]
