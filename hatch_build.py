"""Make the long description of wheel and sdist: the README, without links that are dead outside of the repository."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from hatchling.metadata.plugin.interface import MetadataHookInterface

README = "README.md"
# Blocks of code are left alone. An address without a scheme is relative, one that begins with # as well: package
# indexes give headings no names.
_CODE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
_PICTURE = re.compile(r"!\[([^\]]*)\]\((?![a-z]+:)([^)\s]+)\)\n*")
_LINK = re.compile(r"\[([^\]]*)\]\((?![a-z]+:)([^)\s]+)\)")
_WHERE = "\nThe pages that are named here are in the source distribution, in `docs/`.\n"


class Description(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        """Set the field that the README would be in."""
        text = Path(self.root, README).read_text(encoding="utf-8")
        repository = metadata.get("urls", {}).get("Repository")
        metadata["readme"] = {"content-type": "text/markdown", "text": describe(text, repository)}


def describe(readme: str, repository: str | None) -> str:
    """Lead relative links and pictures to the repository; where there is none, keep their words and no picture."""
    parts = _CODE.split(readme)
    parts[::2] = [_without_relative(part, repository) for part in parts[::2]]
    return "".join(parts) + ("" if repository else _WHERE)


def _without_relative(text: str, repository: str | None) -> str:
    if repository is None:
        return _LINK.sub(r"\1", _PICTURE.sub("", text))
    text = _PICTURE.sub(lambda found: _lead(found, f"{repository}/raw/HEAD/{README}"), text)
    return _LINK.sub(lambda found: _lead(found, f"{repository}/blob/HEAD/{README}"), text)


def _lead(found: re.Match[str], base: str) -> str:
    start, end = (at - found.start() for at in found.span(2))
    return found[0][:start] + urljoin(base, found[2]) + found[0][end:]
