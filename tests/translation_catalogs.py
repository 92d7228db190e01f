"""Read translation catalogs, as text and compiled, and collect the strings that belong into them."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from gettext import GNUTranslations, c2py
from pathlib import Path

import pytest

import pat_tokens

PACKAGE = Path(pat_tokens.__file__).parent
LANGUAGES = ("ar", "de", "fr")
# Parts that must not be translated: placeholders, `code` and special characters.
_FIXED = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\}|`[^`]+`|\*|\b(?:https?|JSON|CSRF|OPTIONS)\b")
_FIELD = re.compile(r'(msgctxt|msgid|msgid_plural|msgstr|msgstr\[\d\]) (".*")')


@dataclass
class Message:
    """A string and its translation, with one string per plural form."""

    fields: dict[str, str] = field(default_factory=dict)
    is_fuzzy: bool = False

    @property
    def text(self) -> str:
        return self.fields["msgid"]

    @property
    def context(self) -> str:
        """The context, which distinguishes the string from the same one of a site."""
        return self.fields.get("msgctxt", "")

    @property
    def key(self) -> str:
        """The string as in a compiled catalog."""
        return f"{self.context}\4{self.text}" if self.context else self.text

    @property
    def plural(self) -> str | None:
        """The plural string in the code, if any."""
        return self.fields.get("msgid_plural")

    @property
    def translations(self) -> list[str]:
        """The translation, with one string per plural form."""
        return [text for name, text in self.fields.items() if name.startswith("msgstr")]


def path(language: str, ending: str) -> Path:
    """Return the path of a catalog; `ending` is `po` or `mo`."""
    return PACKAGE / "locale" / language / "LC_MESSAGES" / f"django.{ending}"


def read_po(file: Path) -> list[Message]:
    """Return the messages of a `.po` file, the header first."""
    return [message for message in map(_read_block, file.read_text("utf-8").split("\n\n")) if message.fields]


def _read_block(block: str) -> Message:
    message = Message()
    name = ""
    for line in block.splitlines():
        if line.startswith("#,"):
            message.is_fuzzy = "fuzzy" in line
        elif line.startswith('"'):
            message.fields[name] += ast.literal_eval(line)
        elif found := _FIELD.fullmatch(line):
            name = found[1]
            message.fields[name] = ast.literal_eval(found[2])
    return message


def read_mo(file: Path) -> dict[str | tuple[str, int], str]:
    """Return the messages of a compiled catalog, by string, or by string and plural form."""
    with file.open("rb") as stream:
        catalogue = GNUTranslations(stream)._catalog
    return {text: translation for text, translation in catalogue.items() if text}


def compiled(messages: list[Message]) -> dict[str | tuple[str, int], str]:
    """Return `messages` as `read_mo` would."""
    return dict(_entries(messages))


def _entries(messages: list[Message]) -> Iterator[tuple[str | tuple[str, int], str]]:
    for message in messages:
        if message.plural is None:
            yield message.key, message.translations[0]
        else:
            yield from (((message.key, form), text) for form, text in enumerate(message.translations))


def plural_rule(header: Message) -> tuple[int, Callable[[int], int]]:
    """Return the number of plural forms, and the function that chooses one for a number."""
    found = re.search(r"nplurals=(\d+); plural=(.+);", header.translations[0])
    assert found is not None
    return int(found[1]), c2py(found[2])


def collect(package: Path, folder: Path) -> list[Message]:
    """Return the strings in the code and templates of `package`, of which a copy is made in `folder`.

    Skips the test if gettext isn't installed.
    """
    if shutil.which("xgettext") is None:
        pytest.skip("gettext is not installed")
    copy = folder / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__", "locale"))
    (copy / "locale").mkdir()
    command = [sys.executable, "-m", "django", "makemessages", "--locale=de", "--no-location"]
    environment = {name: text for name, text in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run(command, cwd=copy, env=environment, check=True, capture_output=True, timeout=120)
    # Nothing separates the first string from the header of a new catalog.
    return [message for message in read_po(copy / "locale/de/LC_MESSAGES/django.po") if message.text]


def fixed_parts(text: str) -> list[str]:
    """Return the parts of `text` that a translation must contain, in any order."""
    return sorted(_FIXED.findall(text))
