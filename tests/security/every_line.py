"""Raise an exception at each line of this package that is executed while a secret is in memory."""

import linecache
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pat_tokens

FOLDER = str(Path(pat_tokens.__file__).parent) + "/"


class Raised(Exception):
    """The exception at the chosen line."""


class Line:
    """Traces the executed lines, and raises at the one after `skip` others."""

    def __init__(self, skip: int, begins: Callable[[], bool]) -> None:
        self.skip = skip
        self.begins = begins
        self.seen: set[tuple[str, int]] = set()
        self.where: tuple[str, int] | None = None
        self.frames: list[str] = []

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(FOLDER):
            return None
        frame.f_trace_lines = True
        return self.trace_line

    def trace_line(self, frame: FrameType, event: str, argument: Any) -> Any:
        place = frame.f_code.co_filename, frame.f_lineno
        if event == "line" and self.where is None and place not in self.seen and not _leaves(place) and self.begins():
            self.seen.add(place)
            if len(self.seen) > self.skip:
                self.where = place
                self.frames = list(local_variables(frame))
                raise Raised
        return self.trace_line


def _leaves(place: tuple[str, int]) -> bool:
    # A tracer that raises at the end of a block would prevent its __exit__(), which can't happen otherwise.
    return linecache.getline(*place).strip().startswith(("with ", "async with "))


def local_variables(frame: FrameType | None) -> Iterator[str]:
    """Return the local variables of this package's and Django's frames, as error trackers collect them."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(FOLDER) or ("/site-packages/" in name and "/django/test/" not in name):
            yield from (f"{variable}={capture(value)}" for variable, value in list(frame.f_locals.items()))
        frame = frame.f_back


def capture(value: Any, depth: int = 4) -> str:
    """Return the repr of `value`, or of its items if it is a container."""
    if depth and isinstance(value, dict):
        pairs = list(value.items())[:100]
        return "{" + ", ".join(f"{capture(key, depth - 1)}: {capture(one, depth - 1)}" for key, one in pairs) + "}"
    if depth and isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(capture(one, depth - 1) for one in list(value)[:100]) + "]"
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 -- as of a form that is half made
        return f"<broken: {type(error).__name__}>"


@contextmanager
def tracing(line: Line) -> Iterator[None]:
    before, before_in_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(line)
    threading.settrace(line)
    try:
        yield
    finally:
        sys.settrace(before)
        threading.settrace(before_in_threads)  # type: ignore[arg-type]
