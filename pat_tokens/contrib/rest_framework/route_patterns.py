"""Parse URL patterns of `path()` and `re_path()`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import NamedTuple

from pat_tokens.declarations import end_of_group

_CONVERTER = re.compile(r"<(?:[^<>:]*:)?([^<>:]+)>")
_KEYWORD = re.compile(r"\?P<(\w+)>")
_REPEATS = "*+?{"


class Shape(NamedTuple):
    """A route as literal text with at most one keyword."""

    before: str
    keyword: str | None
    after: str


@lru_cache(maxsize=4096)
def read_shape(route: str, harmless: Collection[str] = frozenset()) -> Shape | None:
    """Return the shape of `route` without `harmless` keywords, or None if the route is more complex."""
    texts, keywords = [""], []
    for text, keyword in _parts(route):
        if keyword is None:
            texts[-1] += text
        elif keyword == "":
            return None
        elif keyword not in harmless:
            keywords.append(keyword)
            texts.append("")
        else:
            texts[-1] = texts[-1].removesuffix(".")  # the dot before a format suffix
    if len(keywords) > 1:
        return None
    return Shape(texts[0], keywords[0] if keywords else None, texts[1] if keywords else "")


def is_plain(route: str, keyword: str | None, url_path: str | None, harmless: Collection[str] = frozenset()) -> bool:
    """Return whether `route` is `prefix/` or `prefix/{keyword}/`, optionally followed by `url_path`.

    If more follows a keyword, the key belongs to another object: in `projects/<pk>/tasks/` it is that of a project.
    """
    shape = read_shape(route, frozenset(harmless))
    end = None if url_path is None else read_shape(url_path)
    if shape is None or end is None or end.keyword or shape.keyword != keyword:
        return False
    wanted = end.before.strip("/")
    if keyword is not None:
        return shape.after.strip("/") == wanted
    return not wanted or f"/{shape.before.strip('/')}".endswith(f"/{wanted}")


def _parts(route: str) -> Iterator[tuple[str, str | None]]:
    """Yield literal text with None, and groups with their keyword, which is "" for anything else that varies."""
    position = 0
    while position < len(route):
        character = route[position]
        text: str = character
        keyword: str | None = None
        end = position + 1
        if character == "\\":
            escaped = route[end : end + 1]
            end += 1
            text = "" if escaped in "AZz" else escaped
            if escaped.isalnum() and text:  # such as \d, which matches many characters
                keyword = ""
        elif character in "^$":
            text = ""
        elif character == "<" and (converter := _CONVERTER.match(route, position)):
            keyword, end = converter[1], converter.end()
        elif character == "(":
            end = end_of_group(route, position)
            named = _KEYWORD.match(route, position + 1)
            keyword = named[1] if named else ""
        elif character in "[]){}|*+?":
            keyword = ""
        if end < len(route) and route[end] in _REPEATS:
            # Routers can have an optional slash at the end; any other repetition varies.
            if text == "/" and route[end] == "?":
                end += 1
            else:
                keyword = ""
        yield text, keyword
        position = end
