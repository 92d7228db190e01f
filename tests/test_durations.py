import contextlib
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pat_tokens.durations import add_duration, parse_duration, parse_expiry, parse_iso_datetime, round_rest, split_span


def test_valid_durations(subtests):
    rows = [
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("1y", timedelta(days=365)),
        (" 30D ", timedelta(days=30)),
        ("P30D", timedelta(days=30)),
        ("PT36H", timedelta(hours=36)),
        ("P1DT12H", timedelta(hours=36)),
        ("P2W", timedelta(weeks=2)),
        ("P1Y", timedelta(days=365)),
        ("P1M", timedelta(days=30)),
        ("PT1M", timedelta(minutes=1)),
        ("PT0.5H", timedelta(minutes=30)),
        ("PT0,5H", timedelta(minutes=30)),
        ("p1d", timedelta(days=1)),
    ]
    for text, span in rows:
        with subtests.test(text=text, span=span):
            assert parse_duration(text) == span


def test_invalid_durations(subtests):
    rows = [
        "",
        " ",
        "0d",
        "0h",
        "-1d",
        "30",
        "d",
        "30 d",
        "30m",
        "1.5d",
        "3d4h",
        "P",
        "PT",
        "P1",
        "P-1D",
        "-P1D",
        "P0D",
        "PT0.0000001S",
        "P1H",
        "PT1D",
        "٣d",
        "1e3d",
        "999999999y",
        "P999999999Y",
        "30 00:00:00",
        "forever",
        "30d\0",
    ]
    for text in rows:
        with subtests.test(text=text), pytest.raises(ValueError, match="duration"):
            parse_duration(text)


@given(st.text())
def test_any_string_is_duration_or_value_error(text):
    with contextlib.suppress(ValueError):
        assert parse_duration(text) > timedelta()


@given(st.integers(1, 10_000), st.sampled_from("hdwy"))
def test_units_are_multiplied(n, unit):
    assert parse_duration(f"{n}{unit}") == n * parse_duration(f"1{unit}")


def test_out_of_range_result_is_value_error():
    with pytest.raises(ValueError, match="too long"):
        add_duration(datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=9_999_999))


@given(st.text() | st.datetimes().map(str) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]*", fullmatch=True))
def test_any_string_is_datetime_or_value_error(text):
    with contextlib.suppress(ValueError):
        assert parse_iso_datetime(text).utcoffset() == timedelta()


@given(st.text() | st.dates().map(str) | st.from_regex(r"[0-9]{4}-?[0-9W]{2,3}-?[0-9]{1,2}", fullmatch=True))
def test_any_string_is_expiry_or_value_error(text):
    with contextlib.suppress(ValueError):
        assert isinstance(parse_expiry(text), date)


def test_date_without_time_is_a_date():
    assert parse_expiry("2030-12-31") == date(2030, 12, 31)
    assert parse_expiry("2030-12-31T00:00Z") == datetime(2030, 12, 31, tzinfo=UTC)


def test_remaining_time_is_rounded_to_shown_units(subtests):
    rows = [
        (timedelta(days=29, hours=23, minutes=59, seconds=58), [(30, "d")]),
        (timedelta(days=29, hours=23, minutes=29), [(29, "d"), (23, "h")]),
        (timedelta(hours=23, minutes=59, seconds=58), [(1, "d")]),
        (timedelta(hours=23, minutes=54, seconds=10), [(23, "h"), (54, "min")]),
        (timedelta(minutes=59, seconds=40), [(1, "h")]),
        (timedelta(minutes=1, seconds=20), [(1, "min")]),
        (timedelta(seconds=59.4), [(59, "s")]),
        (timedelta(0), [(0, "s")]),
    ]
    for span, parts in rows:
        with subtests.test(span=span):
            assert split_span(round_rest(span)) == parts


def test_seconds_are_shown_only_without_minutes(subtests):
    rows = [
        (timedelta(minutes=2, seconds=5), [(2, "min")]),
        (timedelta(hours=23, minutes=54, seconds=5), [(23, "h"), (54, "min")]),
        (timedelta(days=1, seconds=5), [(1, "d")]),
        (timedelta(seconds=45.9), [(45, "s")]),
        (timedelta(), [(0, "s")]),
        (-timedelta(hours=1), [(0, "s")]),
    ]
    for span, parts in rows:
        with subtests.test(span=span):
            assert split_span(span) == parts
