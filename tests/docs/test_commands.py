"""Command lines in the documentation are valid."""

import re
import shlex

import pytest
from django.core.management import get_commands, load_command_class

from tests.docs.pages import DOCS, ROOT, read_blocks

pytestmark = pytest.mark.docs

PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("**/*.md")])
COMMAND = re.compile(r"(?:python )?manage\.py (pat_\w+)([^`\n]*)")
SHELL = re.compile(r"[|<>)].*")  # the end of the command


def command_lines() -> list[tuple[str, str, str]]:
    """Return page, command and arguments of all command lines, in blocks and in the text."""
    found = []
    for page in PAGES:
        blocks = [block.text for block in read_blocks(page) if block.language in {"sh", "console"}]
        inline = re.findall(r"`((?:python )?manage\.py pat_[^`]*)`", page.read_text())
        for text in [*blocks, *inline]:
            found += [(page.name, name, SHELL.sub("", arguments)) for name, arguments in COMMAND.findall(text)]
    return found


def test_documented_command_lines_are_valid(subtests: pytest.Subtests) -> None:
    for page, name, arguments in command_lines():
        with subtests.test(page=page, name=name, arguments=arguments):
            assert get_commands().get(name) == "pat_tokens"
            command = load_command_class("pat_tokens", name)
            words = [word for word in shlex.split(arguments) if word != "..."]
            placeholders = {"ID": "0b8c2f6e-6c1f-4a6e-9f6e-2f1d5f1f7a10"}
            if words:  # otherwise it is mentioned in a sentence
                command.create_parser("manage.py", name).parse_args([placeholders.get(word, word) for word in words])


def test_documented_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE)}
    assert named <= targets
