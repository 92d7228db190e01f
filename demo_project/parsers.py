"""A strict JSON parser, so that no request body can make a view fail."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MAX_DEPTH = 100  # of nested objects and arrays


class StrictJSONParser(JSONParser):
    """DRF's parser with a maximum depth, which refuses values that couldn't be returned as JSON."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read()
        try:
            # The charset in the content type is ignored: JSON is UTF-8, and not every Python codec is for text.
            data = json.loads(body.decode(), parse_float=finite_float, parse_constant=refuse_constant)
            refuse_depth(data)
            if b"\\u" in body:
                json.dumps(data, ensure_ascii=False).encode()  # fails for lone surrogates
        except RecursionError:
            raise ParseError("JSON parse error - nested too deeply") from None
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from error
        return data


def finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is out of range")
    return number


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def refuse_depth(value: Any) -> None:
    """Raise ValueError for values that would exceed the recursion limit when they are serialized."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [child for parent in level for child in children(parent)]
        if not level:
            return
    raise ValueError("nested too deeply")


def children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
