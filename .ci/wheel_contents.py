"""Assert that a wheel contains pat_tokens/ and nothing else, and an sdist everything that a packager needs.

`wheel_contents.py WHEEL SDIST`
"""

import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import IO, cast
from zipfile import ZipFile

PACKAGE = "pat_tokens/"
LANGUAGES = {"ar", "de", "fr"}
# What a packager needs for building, testing and documentation.
IN_SDIST = ("pat_tokens/", "benchmarks/", "tests/", "demo_project/", "docs/", ".ci/")
FILES_IN_SDIST = {
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "Makefile",
    "manage.py",
    "noxfile.py",
}


def tracked(*where: str) -> set[str]:
    found = subprocess.run(["git", "ls-files", "-z", *where], capture_output=True, text=True, check=True)
    return set(filter(None, found.stdout.split("\0")))


def problems_of_wheel(path: str) -> Iterator[str]:
    with ZipFile(path) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        infos = {name.partition(".dist-info/")[2]: name for name in wheel.namelist() if ".dist-info/" in name}
        metadata = message_from_bytes(wheel.read(infos["METADATA"]))
    print(*sorted(names), sep="\n")
    expected = tracked(PACKAGE)
    if names != expected:
        yield f"missing: {sorted(expected - names)}; too much: {sorted(names - expected)}"
    required = {".py", ".html", ".txt", ".css", ".js", "py.typed"}
    yield from (f"no file ends in {end}" for end in required if not any(name.endswith(end) for name in names))
    compiled = {name for name in names if name.endswith(".mo")}
    if compiled != {f"{PACKAGE}locale/{language}/LC_MESSAGES/django.mo" for language in LANGUAGES}:
        yield f"compiled translations: {sorted(compiled)}"
    if not any(name.startswith(f"{PACKAGE}migrations/0001_") for name in names):
        yield "there is no first migration"
    if "licenses/LICENSE" not in infos:
        yield "there is no licence"
    version = re.search(r'^__version__ = "(.+)"$', Path(PACKAGE, "__init__.py").read_text(), re.MULTILINE)
    if version is None or metadata["Version"] != version[1]:
        yield f"the version is {metadata['Version']}"
    if "Typing :: Typed" not in metadata.get_all("Classifier", []):
        yield "the classifier Typing :: Typed is missing"
    plain = sorted(one.split(">")[0].split("<")[0] for one in metadata.get_all("Requires-Dist", []) if ";" not in one)
    if plain != ["django", "django-filter", "djangorestframework"]:
        yield f"it requires {plain}"
    if "entry_points.txt" in infos:
        yield "it has entry points, which other programs load automatically"
    yield from problems_of_description(str(metadata.get_payload()))


def problems_of_description(text: str) -> Iterator[str]:
    """Return links that are dead on a package index, which shows the description without other files."""
    if "# django-pat-tokens" not in text or "```sh" not in text:
        yield "the description is not the README"
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    dead = [to for to in re.findall(r"\]\(([^)]*)\)|<(?:img|a)\b", prose) if not to.startswith("https://")]
    if dead:
        yield f"the description has relative links: {dead}"


def problems_of_sdist(path: str) -> Iterator[str]:
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
        (info,) = (name for name in sdist.getnames() if name.count("/") == 1 and name.endswith("/PKG-INFO"))
        metadata = message_from_bytes(cast("IO[bytes]", sdist.extractfile(info)).read())
    yield from problems_of_description(str(metadata.get_payload()))
    missing = (tracked(*IN_SDIST) | FILES_IN_SDIST) - names
    if missing:
        yield f"the sdist lacks {sorted(missing)}"
    junk = {name for name in names if "__pycache__" in name or name.endswith((".pyc", ".sqlite3")) or ".venv" in name}
    if junk:
        yield f"the sdist has {sorted(junk)}"


if __name__ == "__main__":
    problems = [*problems_of_wheel(sys.argv[1]), *problems_of_sdist(sys.argv[2])]
    sys.exit("\n".join(problems) or None)
