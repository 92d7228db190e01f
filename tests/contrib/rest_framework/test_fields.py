from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from pat_tokens.contrib.rest_framework.fields import StrictDateTimeField
from pat_tokens.durations import parse_iso_datetime

offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=offsets))  # noqa: DTZ001 -- hypothesis adds it
def test_datetime_keeps_precision(when):
    text = StrictDateTimeField().to_representation(when)
    assert parse_iso_datetime(text) == parse_iso_datetime(when.isoformat()) == when
    assert text.endswith("Z")
