import io
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from pat_tokens.contrib.rest_framework.parsers import BodyTooLarge, StrictJSONParser

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def parse(body):
    return StrictJSONParser().parse(io.BytesIO(body), "application/json", {"encoding": "zlib"})


@given(values)
def test_reads_what_json_can_say(value):
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode("utf-8-sig")) == value


pieces = st.lists(st.sampled_from(list('[]{}",:\\0 1eE-+.NaInfty'))).map("".join)


@given(st.binary() | (st.text() | pieces).map(str.encode))
def test_any_bytes_are_json_or_an_error(body):
    with suppress(ParseError):
        parse(body)


def test_a_body_has_a_bound(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 4
    assert parse(b"1234") == 1234
    with pytest.raises(BodyTooLarge):
        parse(b"12345")
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
    assert parse(b"1" * 99) == int("1" * 99)


def test_a_body_that_is_too_large_is_not_read_to_its_end(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 4
    stream = io.BytesIO(b"1" * 100)
    with pytest.raises(BodyTooLarge):
        StrictJSONParser().parse(stream)
    assert stream.tell() == 5


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_constants_that_json_has_not(constant):
    with pytest.raises(ParseError, match=constant):
        parse(f"[{constant}]".encode())


def test_an_error_says_nothing_that_could_not_be_sent():
    with pytest.raises(ParseError) as caught:
        parse(b'{"\\ud800": 1, "\\ud800": 2}')
    str(caught.value).encode()
