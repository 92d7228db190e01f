"""Reads the fenced blocks of the documentation, so that tests can do what a reader is told to do.

A block of Python, HTML, ... is a file where the paragraph before it begins by naming one: "`library/models.py`: ..." is
the whole file, "At the end of `mysite/settings.py`: ..." is added to it. A block of `sh` is run, and a block of `text`
right after it is what that prints, in which `...` stands for anything.

It needs nothing but Python, since the script that tries the package on sites of others uses it as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FILE = re.compile(r"(At the end of )?`([\w./-]+\.(?:py|html|conf))`")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and text, the paragraph before it and the heading above it."""

    language: str
    text: str
    lead: str
    heading: str

    @property
    def path(self) -> str | None:
        """The file that this is, or is a part of."""
        found = _FILE.match(self.lead)
        return found[2] if found else None

    @property
    def is_addition(self) -> bool:
        """Whether it is added to the end of the file."""
        found = _FILE.match(self.lead)
        return found is not None and found[1] == "At the end of "

    def write_to(self, directory: Path) -> None:
        """Make the file, or add to it, as the page says."""
        assert self.path is not None, self.lead
        file = directory / self.path
        before = file.read_text() + "\n" if self.is_addition else ""
        file.write_text(before + self.text)


def read_blocks(page: str | Path) -> list[Block]:
    """Return the blocks of a page, whose path is given below `docs/`, in order."""
    return list(_read_blocks((DOCS / page).read_text()))


def _read_blocks(text: str) -> Iterator[Block]:
    end = 0
    for fence in _FENCE.finditer(text):
        between = text[end : fence.start()].strip()
        headings = _HEADING.findall(_FENCE.sub("", text[: fence.start()]))
        indent = re.compile(rf"^{fence[1]}", re.MULTILINE)
        lead = between.rpartition("\n\n")[2] if between else ""
        yield Block(fence[2], indent.sub("", fence[3]), lead.strip(), headings[-1] if headings else "")
        end = fence.end()


def find_block(page: str | Path, part: str) -> Block:
    """Return the one block of a page that holds `part`."""
    found = [block for block in read_blocks(page) if part in block.text]
    assert len(found) == 1, f"{len(found)} blocks of {page} hold {part!r}"
    return found[0]


def fits(pattern: str, output: str) -> bool:
    """Tell whether what was printed is what a page shows, but for spaces; `...` stands for anything."""
    parts = [re.escape(part) for part in _lines(pattern).split("...")]
    return re.fullmatch(".*?".join(parts), _lines(output), re.DOTALL) is not None


def _lines(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())
