"""Reads the catalogues of translations, as text and compiled, without gettext's tools."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from gettext import GNUTranslations, c2py
from pathlib import Path

import pat_tokens

PACKAGE = Path(pat_tokens.__file__).parent
LANGUAGES = ("ar", "de", "fr")
# What has to stay as it is: places for values, `code`, and characters that mean something.
_FIXED = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\}|`[^`]+`|\*|\b(?:https?|JSON|CSRF|OPTIONS)\b")
_FIELD = re.compile(r'(msgid|msgid_plural|msgstr|msgstr\[\d\]) (".*")')


@dataclass
class Message:
    """A text and its translation, one for each plural form."""

    fields: dict[str, str] = field(default_factory=dict)
    is_fuzzy: bool = False

    @property
    def text(self) -> str:
        """The text in the code."""
        return self.fields["msgid"]

    @property
    def plural(self) -> str | None:
        """The text in the code for several, if there is one."""
        return self.fields.get("msgid_plural")

    @property
    def translations(self) -> list[str]:
        """The translation, one for each plural form."""
        return [text for name, text in self.fields.items() if name.startswith("msgstr")]


def path(language: str, ending: str) -> Path:
    """Return where a catalogue lies; `ending` is `po` or `mo`."""
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
    """Return the messages of a compiled catalogue by their text, or by text and number of the plural form."""
    with file.open("rb") as stream:
        catalogue = GNUTranslations(stream)._catalog
    return {text: translation for text, translation in catalogue.items() if text}


def compiled(messages: list[Message]) -> dict[str | tuple[str, int], str]:
    """Return `messages` as `read_mo` would."""
    return dict(_entries(messages))


def _entries(messages: list[Message]) -> Iterator[tuple[str | tuple[str, int], str]]:
    for message in messages:
        if message.plural is None:
            yield message.text, message.translations[0]
        else:
            yield from (((message.text, form), text) for form, text in enumerate(message.translations))


def plural_rule(header: Message) -> tuple[int, Callable[[int], int]]:
    """Return how many plural forms there are, and the function that tells which one a number takes."""
    found = re.search(r"nplurals=(\d+); plural=(.+);", header.translations[0])
    assert found is not None
    return int(found[1]), c2py(found[2])


def fixed_parts(text: str) -> list[str]:
    """Return what a translation of `text` must have too, in any order."""
    return sorted(_FIXED.findall(text))
