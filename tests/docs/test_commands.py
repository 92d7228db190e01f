"""Each command line that a page shows is one that the command takes."""

import re
import shlex
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from tests.docs.pages import DOCS, ROOT, read_blocks

PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("**/*.md")])
COMMAND = re.compile(r"(?:python )?manage\.py (pat_\w+)([^`\n]*)")
SHELL = re.compile(r"[|<>)].*")  # where the command ends and the shell goes on


def command_lines() -> list[tuple[str, str, str]]:
    """Page, command and arguments of all that can be copied from a page, in blocks and in the text."""
    found = []
    for page in PAGES:
        blocks = [block.text for block in read_blocks(page) if block.language in {"sh", "console"}]
        inline = re.findall(r"`((?:python )?manage\.py pat_[^`]*)`", page.read_text())
        for text in [*blocks, *inline]:
            found += [(page.name, name, SHELL.sub("", arguments)) for name, arguments in COMMAND.findall(text)]
    return found


@pytest.mark.parametrize(("page", "name", "arguments"), command_lines())
def test_a_command_line_of_the_docs_is_taken(page: str, name: str, arguments: str) -> None:
    assert get_commands().get(name) == "pat_tokens", f"{page}: there is no command {name}"
    command = load_command_class("pat_tokens", name)
    words = [word for word in shlex.split(arguments) if word != "..."]
    if not words:
        return  # named in a sentence
    placeholders = {"ID": "0b8c2f6e-6c1f-4a6e-9f6e-2f1d5f1f7a10"}
    command.create_parser("manage.py", name).parse_args([placeholders.get(word, word) for word in words])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_target_of_make_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text()
    named = {
        name for pattern in (r"`make ([a-z-]+)", r"^make ([a-z-]+)") for name in re.findall(pattern, text, re.MULTILINE)
    }
    assert named <= targets
