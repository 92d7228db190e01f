"""All places on a server where a secret could be stored."""

import base64
import logging
import pickle
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import caches
from django.db import connection


def needles(secret: str) -> list[str]:
    """Return the secret, its body, and long parts of the body."""
    body = secret.partition("_")[2][:-6]
    parts = [secret, body, *(body[start : start + 12] for start in range(0, len(body) - 11, 4))]
    return [*parts, body.encode().hex(), *_in_base64(body)]


def _in_base64(text: str) -> list[str]:
    """Return what `text` contains if it is part of any Base64 string."""
    found = []
    for before in range(3):
        code = base64.b64encode(bytes(before) + text.encode()).decode().rstrip("=")
        # The first and last characters can overlap with adjacent data.
        found.append(code[(0, 2, 3)[before] : -1])
    return found


def found(secret: str, places: dict[str, str]) -> list[str]:
    """Return the names of the places that contain any part of the secret."""
    return [name for name, text in places.items() if any(needle in text for needle in needles(secret))]


def database() -> dict[str, str]:
    """Return every column of every table, as strings."""
    tables = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            tables[f"table {table}"] = "\n".join(_text(value) for row in cursor.fetchall() for value in row)
    return tables


def sessions(session: SessionBase, folder: Path) -> dict[str, str]:
    """Return the session as code reads it, and all sessions as they are stored."""
    decoded = [str(one.get_decoded()) for one in Session.objects.all()]
    files = [_text(path.read_bytes()) for path in folder.iterdir()]
    return {"session": str(dict(session.items())), "sessions": "\n".join(decoded), "session files": "\n".join(files)}


def cache() -> dict[str, str]:
    """Return the content of this process's cache."""
    values = getattr(caches["default"], "_cache", {})
    return {"cache": "\n".join(f"{key} {_text(value)} {_unpickled(value)}" for key, value in values.items())}


def outbox() -> dict[str, str]:
    """Return all emails, with their HTML."""
    texts = []
    for message in mail.outbox:
        texts += [message.subject, message.body, str(message.extra_headers)]
        texts += [str(content) for content, _kind in getattr(message, "alternatives", ())]
    return {f"mail {number}": text for number, text in enumerate(texts)}


class Memory(logging.Handler):
    """Stores each log record, with its arguments and exception."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{self.format(record)} {vars(record)!r}")


def without_lines_of_code(report: str) -> str:
    """Return an exception report without quoted source code."""
    return re.sub(r'<ol start="\d+" class="(?:pre|post)-context".*?</ol>', "", report, flags=re.DOTALL)


def _text(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("latin-1")
    return str(value)


def _unpickled(value: Any) -> Iterator[str] | str:
    try:
        return str(pickle.loads(value))
    except (pickle.UnpicklingError, TypeError, zlib.error, EOFError):
        return ""
