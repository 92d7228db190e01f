"""Read the fenced code blocks of the documentation, so that tests can follow its instructions.

A block of Python, HTML, ... is a file if the paragraph before it starts with its name: "`library/models.py`: ..." is
the whole file, "At the end of `mysite/settings.py`: ..." is appended to it. Blocks of `sh` are run, and a block of
`text` right after one is its output, in which `...` stands for anything.

Has no dependencies, because .ci/sites.py uses it too.
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
    """A fenced code block: its language and text, the paragraph before it and the heading above it."""

    language: str
    text: str
    lead: str
    heading: str

    @property
    def path(self) -> str | None:
        """The file that this block is, or is appended to."""
        found = _FILE.match(self.lead)
        return found[2] if found else None

    @property
    def is_addition(self) -> bool:
        """Whether the block is appended to the file."""
        found = _FILE.match(self.lead)
        return found is not None and found[1] == "At the end of "

    def write_to(self, directory: Path) -> None:
        """Create the file, or append to it."""
        assert self.path is not None, self.lead
        file = directory / self.path
        before = file.read_text() + "\n" if self.is_addition else ""
        file.write_text(before + self.text)


def read_blocks(page: str | Path) -> list[Block]:
    """Return the blocks of a page, given by its path below `docs/`, in order."""
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
    """Return the only block of a page that contains `part`."""
    found = [block for block in read_blocks(page) if part in block.text]
    assert len(found) == 1, f"{len(found)} blocks of {page} hold {part!r}"
    return found[0]


def fits(pattern: str, output: str) -> bool:
    """Return whether output matches a block, ignoring whitespace; `...` stands for anything."""
    parts = [re.escape(part) for part in _lines(pattern).split("...")]
    return re.fullmatch(".*?".join(parts), _lines(output), re.DOTALL) is not None


def _lines(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())
