"""Reads request bodies: JSON and nothing else, so that no body can bring a view down."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MAX_DEPTH = 100  # of objects and arrays inside one another


class StrictJSONParser(JSONParser):
    """DRF's parser with a limit of depth, and refusing what could not be sent back as JSON."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read()
        try:
            # The content type's charset is not asked: JSON is UTF-8, and not every codec of Python is one.
            data = json.loads(body.decode(), parse_float=finite_float, parse_constant=refuse_constant)
            refuse_depth(data)
            if b"\\u" in body:
                json.dumps(data, ensure_ascii=False).encode()  # fails for half a surrogate pair: that is no text
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
    """Raise ValueError for what could be read but would exceed the recursion limit when written again."""
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
