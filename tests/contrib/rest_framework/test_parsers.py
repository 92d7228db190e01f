import io
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from pat_tokens.contrib.rest_framework.parsers import BodyTooLarge, StrictJSONParser

DEEP = 100_000
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def parse(body):
    return StrictJSONParser().parse(io.BytesIO(body), "application/json", {"encoding": "zlib"})


@given(values)
def test_parses_any_json(value):
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode("utf-8-sig")) == value


pieces = st.lists(st.sampled_from(list('[]{}",:\\0 1eE-+.NaInfty'))).map("".join)


@given(st.binary() | (st.text() | pieces).map(str.encode))
def test_any_bytes_are_parsed_or_rejected(body):
    with suppress(ParseError):
        parse(body)


def test_body_size_is_limited(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 4
    assert parse(b"1234") == 1234
    with pytest.raises(BodyTooLarge):
        parse(b"12345")
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
    assert parse(b"1" * 99) == int("1" * 99)


def test_large_body_is_not_read_completely(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 4
    stream = io.BytesIO(b"1" * 100)
    with pytest.raises(BodyTooLarge):
        StrictJSONParser().parse(stream)
    assert stream.tell() == 5


BROKEN = {
    "empty braces cut": b"{",
    "no json": b"name=x",
    "not utf-8": b'{"name": "\xff"}',
    "utf-16": '{"name": "x"}'.encode("utf-16"),
    "two documents": b'{"name": "x"} {"name": "y"}',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": "x", "scopes": [Infinity]}',
    "minus Infinity": b'{"name": "x", "duration": -Infinity}',
    "a key twice": b'{"name": "x", "name": "y"}',
    "a key twice inside": b'{"name": "x", "scopes": [{"entity_type": "a", "entity_type": "b"}]}',
    "a surrogate key twice": b'{"name": "x", "\\ud800": 1, "\\ud800": 2}',
    "deep lists": b"[" * DEEP,
    "deep lists, closed": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"name":' * DEEP,
    "a number too long": b'{"name": "x", "duration": ' + b"9" * 10_000 + b"}",
    "single quotes": b"{'name': 'x'}",
    "trailing comma": b'{"name": "x",}',
    "control character": b'{"name": "a\x00b"}',
}


def test_invalid_json_is_rejected(case):
    for body in BROKEN.values():
        with case(body), pytest.raises(ParseError):
            parse(body)


def test_error_message_can_be_encoded():
    with pytest.raises(ParseError) as caught:
        parse(b'{"\\ud800": 1, "\\ud800": 2}')
    str(caught.value).encode()
