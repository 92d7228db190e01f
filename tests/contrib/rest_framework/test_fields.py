from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from pat_tokens.contrib.rest_framework.fields import StrictDateTimeField, TextField, parse_iso_datetime

offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=offsets))  # noqa: DTZ001 -- hypothesis adds it
def test_a_moment_is_read_and_written_without_loss(moment):
    assert parse_iso_datetime(moment.isoformat()) == moment
    field = StrictDateTimeField()
    assert field.run_validation(field.to_representation(moment)) == moment
    assert field.to_representation(moment).endswith("Z")


@given(st.text() | st.datetimes().map(str) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]*", fullmatch=True))
def test_any_text_is_a_moment_in_utc_or_an_error(text):
    with suppress(ValueError):
        assert parse_iso_datetime(text).utcoffset() == timedelta()


@pytest.mark.parametrize("value", [None, 1, 1.5, [], {}, True, datetime(2030, 1, 1, tzinfo=UTC)])
def test_a_moment_is_text(value):
    with pytest.raises(ValidationError):
        StrictDateTimeField().run_validation(value)


def test_text_is_no_number_and_not_looked_at_when_it_is_no_text():
    class Bomb:
        def __str__(self):
            raise RecursionError

    for value in (1, 1.5, True, Bomb(), [Bomb()]):
        with pytest.raises(ValidationError):
            TextField().run_validation(value)
    assert TextField().run_validation(" x ") == "x"
