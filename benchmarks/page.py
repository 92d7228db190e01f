"""The page of the documentation with the figures: each command writes its own part."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "explanation" / "performance.md"
PACKAGES = ("Django", "djangorestframework", "django-rest-knox", "djangorestframework-simplejwt", "psycopg")


def write(part: str, text: str) -> None:
    """Replace the text between the markers of `part` with `text`."""
    page = PAGE.read_text()
    begin, end = f"<!-- {part}: generated -->", f"<!-- /{part} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    assert pattern.search(page), f"{PAGE} has no part {part}"
    PAGE.write_text(pattern.sub(lambda _: f"{begin}\n{text.strip()}\n{end}", page))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def provenance(command: str, *, python: bool = True) -> str:
    """Return a sentence with the date, the command, the machine and the versions."""
    packages = [f"{name} {version(name)}" for name in PACKAGES]
    if python:
        packages.insert(0, f"Python {platform.python_version()}")
    return f"Measured on {datetime.now(UTC):%B %d, %Y} by `{command}`: {_cpu()}, {', '.join(packages)}."


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} cores of {names[0]}" if names else platform.machine()
