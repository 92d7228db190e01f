"""Find routes that requests never reach, because an earlier route matches all of their paths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from django.urls.converters import StringConverter
from django.urls.resolvers import RegexPattern, RoutePattern

from pat_tokens.declarations import end_of_group
from pat_tokens.integrations import Route

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# Regular expressions of one keyword, each with others that match all that it matches.
_WIDER = {
    _UUID: ("[-a-zA-Z0-9_]+",),
    "[0-9]+": (r"\d+", "[a-z0-9]+"),
    "[a-z0-9]+": ("[-a-zA-Z0-9_]+",),
    "[-a-zA-Z0-9_]+": (r"[\w-]+",),
    r"\d+": (r"\w+",),
    r"\w+": (r"[\w-]+",),
    r"[\w-]+": ("[^/.]+",),
    "[^/.]+": ("[^/]+",),
    "[^/]+": (),
}
_SPELLINGS = {
    "[a-zA-Z0-9_-]+": "[-a-zA-Z0-9_]+",
    r"[-\w]+": r"[\w-]+",
    r"[\w\-]+": r"[\w-]+",
    r"[^/\.]+": "[^/.]+",
    "[^./]+": "[^/.]+",
    r"[\d]+": r"\d+",
}
_ANYTHING = (".*", ".+")
_GROUP = re.compile(r"\(\?P<\w+>")
_CONVERTER = re.compile(r"<(?:[^<>:]*:)?([^<>:]+)>")
_SPECIAL = frozenset(".^$*+?{}[]|()")


class _Keyword(NamedTuple):
    """A keyword of a route. `converter` is a class that can refuse what `regex` matches, or None."""

    regex: str
    converter: type[Any] | None = None


class _Locale(NamedTuple):
    """The language prefix of `i18n_patterns()`, which depends on the request and can be empty."""

    pattern: int


_Segment = tuple[Any, ...]  # strings, keywords and language prefixes between two slashes
_OPTIONAL_SLASH: _Segment = (None,)


class _Shape(NamedTuple):
    """The segments of a route. `end` is where its number is kept in a _Node."""

    segments: tuple[_Segment, ...]
    end: Literal["end", "rest", "more"]


@dataclass
class _Node:
    """How earlier routes continue at one point of the path: their next segments, and the first route that ends here."""

    children: dict[_Segment, _Node] = field(default_factory=dict)
    end: int | None = None
    rest: int | None = None  # matches whatever follows, or nothing
    more: int | None = None  # matches whatever follows, but not nothing

    def add(self, shape: _Shape, number: int) -> None:
        node = self
        for segment in shape.segments:
            node = node.children.setdefault(segment, _Node())
        if getattr(node, shape.end) is None:
            setattr(node, shape.end, number)

    def find(self, shape: _Shape) -> Iterator[int]:
        """Return the numbers of the routes that match every path that `shape` matches."""
        segments, end = shape
        found = [self.rest]
        if end == "more" or any(segments):
            found.append(self.more)
        if not segments and end == "end":
            optional = self.children.get(_OPTIONAL_SLASH)
            found += [self.end, optional.end if optional else None]
        yield from (number for number in found if number is not None)
        for theirs, node in self.children.items() if segments else ():
            if _covers(theirs, segments[0]):
                yield from node.find(_Shape(segments[1:], end))


def find_shadows(routes: Iterable[Route]) -> list[str | None]:
    """Return, for each route of `walk()`, the pattern of an earlier one that handles all of its requests, or None.

    None also if that is uncertain, because it depends on regular expressions that can't be compared.
    """
    tree = _Node()
    known: list[Route] = []
    unreadable: list[Route] = []
    found: list[str | None] = []
    for number, route in enumerate(routes):
        known.append(route)
        shape = _read(route)
        if shape is None:
            unreadable.append(route)
            found.append(None)
            continue
        earlier = min(tree.find(shape), default=None)
        shadow = None if earlier is None else known[earlier].pattern
        if shadow is None and unreadable and (path := _path(shape)) is not None:
            shadow = next((one.pattern for one in unreadable if _matches(one, path)), None)
        found.append(shadow)
        tree.add(shape, number)
    return found


def _path(shape: _Shape) -> str | None:
    """Return the only path that a route matches, or None if there are several."""
    texts = [segment[0] if segment else "" for segment in shape.segments if len(segment) < 2]
    is_literal = len(texts) == len(shape.segments) and all(isinstance(text, str) for text in texts)
    return "/".join(texts) if is_literal and shape.end == "end" else None


def _matches(route: Route, path: str) -> bool:
    for part in route.parts:
        match = part.match(path)
        if match is None:
            return False
        path = match[0]
    return True


def _covers(theirs: _Segment, ours: _Segment) -> bool:
    if theirs == ours:
        return True
    if theirs == _OPTIONAL_SLASH:
        return ours == ()
    if len(theirs) != 1 or not isinstance(theirs[0], _Keyword) or not ours:
        return False
    regex, converter = theirs[0]
    if len(ours) == 1 and isinstance(ours[0], str):
        return re.fullmatch(regex, ours[0]) is not None and _accepts(converter, ours[0])
    if converter is not None or (len(ours) > 1 and not (regex in _WIDER and regex.endswith("+"))):
        return False
    return all(
        re.fullmatch(regex, one) is not None
        if isinstance(one, str)
        else isinstance(one, _Keyword) and _is_wider(regex, one.regex)
        for one in ours
    )


def _is_wider(regex: str, than: str) -> bool:
    return regex == than or any(_is_wider(regex, wider) for wider in _WIDER.get(than, ()))


def _accepts(converter: type[Any] | None, text: str) -> bool:
    try:
        return converter is None or converter().to_python(text) is not None
    except ValueError:
        return False


def _read(route: Route) -> _Shape | None:
    """Return the shape of a route, or None if it can't be read."""
    tokens: list[Any] = []
    end: Literal["end", "rest", "more"] = "end"
    for part in route.parts:
        if isinstance(part, RoutePattern):
            tokens += _read_path(str(part), part.converters)
        elif isinstance(part, RegexPattern):
            is_last = part is route.parts[-1]
            end = "rest" if is_last and not str(part).endswith(("$", r"\Z")) else "end"
            inner = _read_regex(str(part), is_last=is_last)
            if inner is None:
                return None
            tokens += inner
        else:
            tokens += (_Locale(id(part)), "/")
    tokens = [token for token in tokens if token != ""]
    if tokens and isinstance(tokens[-1], _Keyword) and tokens[-1].regex in _ANYTHING:
        end = "more" if tokens.pop().regex == ".+" and end == "end" else "rest"
    segments = tuple(_split(tokens))
    if end == "end":
        return _Shape(segments, end)
    # Only at the start of a segment, because `^api` also matches `apis/`.
    return None if segments[-1] else _Shape(segments[:-1], end)


def _read_path(route: str, converters: dict[str, Any]) -> Iterator[Any]:
    position = 0
    for match in _CONVERTER.finditer(route):
        yield route[position : match.start()]
        converter = converters[match[1]]
        is_text = type(converter).to_python is StringConverter.to_python
        yield _keyword(converter.regex, None if is_text else type(converter))
        position = match.end()
    yield route[position:]


def _read_regex(regex: str, *, is_last: bool) -> list[Any] | None:
    if not regex.startswith("^"):
        return None  # it matches anywhere in the path
    text = regex.removeprefix("^")
    text = text.removesuffix("$").removesuffix(r"\Z") if is_last else text
    tokens: list[Any] = []
    position = 0
    while position < len(text):
        character, end = text[position], position + 1
        if text[position:] in _ANYTHING:
            tokens.append(_Keyword(text[position:]))
            break
        if text[position:] == "/?" and is_last:
            tokens.append(None)
            break
        if group := _GROUP.match(text, position):
            end = end_of_group(text, position)
            tokens.append(_keyword(text[group.end() : end - 1]))
        elif character == "\\" and not text[end : end + 1].isalnum():
            tokens.append(text[end : end + 1])
            end += 1
        elif character in _SPECIAL or character == "\\":
            return None
        else:
            tokens.append(character)
        if text[end : end + 1] in tuple("*+{") or (text[end : end + 1] == "?" and text[position:] != "/?"):
            return None
        position = end
    return tokens


def _keyword(regex: str, converter: type[Any] | None = None) -> _Keyword:
    return _Keyword(_SPELLINGS.get(regex, regex), converter)


def _split(tokens: list[Any]) -> Iterator[_Segment]:
    segment: list[Any] = []
    for token in tokens:
        if token is None:
            yield tuple(segment)
            yield _OPTIONAL_SLASH
            return
        if not isinstance(token, str):
            segment.append(token)
            continue
        for place, text in enumerate(token.split("/")):
            if place:
                yield tuple(segment)
                segment = []
            if text and segment and isinstance(segment[-1], str):
                segment[-1] += text
            elif text:
                segment.append(text)
    yield tuple(segment)
