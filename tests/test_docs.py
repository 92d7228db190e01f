"""The reference documents everything in the code, and nothing else."""

import logging
import re
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.dispatch import Signal

from pat_tokens import log_events, signals
from pat_tokens.conf import setting_names
from pat_tokens.contrib.rest_framework import urls
from pat_tokens.crypto import is_well_formed, make_secret
from pat_tokens.exceptions import InvalidToken, NotAllowed, TemporarilyUnavailable, TooManyFailures

pytestmark = pytest.mark.docs

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "pat_tokens"
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*/*.md"), DOCS / "index.md"])
NOTES = [ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]  # can contain removed names

LINK = re.compile(r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)")
PICTURE = re.compile(r"^```\{image\} (\S+)()", re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)


def first_cells(page):
    """Return the first string in backticks of each table row of the page."""
    return re.findall(r"^\| `([^`]+)`", (DOCS / page).read_text(), re.MULTILINE)


def words(text):
    """Return the strings in backticks."""
    return re.findall(r"`([^`]+)`", text)


def kinds(error):
    """Return the errors that are raised, without base classes."""
    below = [kind for child in error.__subclasses__() for kind in (child, *kinds(child))]
    return [kind for kind in below if kind.__module__.startswith("pat_tokens")]


def once(names):
    """Return the names as a set, and assert that they are unique."""
    assert len(set(names)) == len(names)
    return set(names)


def test_settings_are_documented():
    assert once(first_cells("reference/settings.md")) == set(setting_names())


def test_documented_settings_exist():
    named = {name for page in PAGES for name in re.findall(r"\bPAT_TOKENS_[A-Z_]*[A-Z]", page.read_text())}
    assert named <= set(setting_names())


def test_checks_are_documented():
    sources = [path.read_text() for path in PACKAGE.rglob("*.py")]
    ids = {number for source in sources for number in re.findall(r"\"(?:pat_tokens\.)?([EIW]\d{3})\"", source)}
    assert {name.removeprefix("pat_tokens.") for name in once(first_cells("reference/checks.md"))} == ids


def test_signals_are_documented():
    declared = {name for name, value in vars(signals).items() if isinstance(value, Signal)}
    assert once(first_cells("reference/signals.md")) == declared


def test_log_events_are_documented():
    text = (DOCS / "reference/log-events.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \| ([A-Z]+) \| (.*) \|$", text, re.MULTILINE)
    assert (
        once([name for name, *_rest in rows]) == set(first_cells("reference/log-events.md")) == set(log_events.EVENTS)
    )
    for name, logger, level, facts in rows:
        documented = log_events.Event(
            logger, logging.getLevelName(level), log_events.EVENTS[name].text, tuple(words(facts))
        )
        assert documented == log_events.EVENTS[name]


def test_logging_uses_events():
    sources = {path.name: path.read_text() for path in PACKAGE.rglob("*.py")}
    assert [name for name, source in sources.items() if "import logging" in source] == ["log_events.py"]
    said = set(re.findall(r'(?:\blog|_announce)\(\s*"(\w+)"', "".join(sources.values())))
    assert said == set(log_events.EVENTS)


def test_refusal_reasons_are_documented():
    text = (DOCS / "reference/signals.md").read_text()
    (listed,) = re.findall(r"^`reason` is one of (.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    assert once(words(listed)) == {
        error.reason for error in (*kinds(InvalidToken), *kinds(NotAllowed), TemporarilyUnavailable, TooManyFailures)
    }


def test_commands_are_documented():
    headings = re.findall(r"^## (\S+)$", (DOCS / "reference/commands.md").read_text(), re.MULTILINE)
    assert once(headings) == {name for name, app in get_commands().items() if app == "pat_tokens"}


def test_api_routes_are_documented():
    rows = re.findall(r"^\| `([A-Z]+) /api/pats/([^`?]*)", (DOCS / "reference/http-api.md").read_text(), re.MULTILINE)
    documented = [(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in rows]
    routed = {
        (method.upper(), re.sub(r"<[^>]+>", "{}", str(route.pattern)))
        for route in urls.urlpatterns
        for method in route.callback.actions
        if method != "head"  # added by DRF when a view is called
    }
    assert once(documented) == routed


def test_modules_are_in_architecture():
    text = (DOCS / "explanation/architecture.md").read_text()
    rows = text[text.index("| layer |") : text.index("\n\n`conf` only reads")].splitlines()
    named = [name.removesuffix("/") for row in rows for name in re.findall(r"`([a-z0-9_/]+)`", row.split("|")[2])]
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {"contrib", "migrations"}
    # A package whose modules belong to several layers, or do different things, has a row for each of them.
    for name in packages - set(named):
        packages.remove(name)
        modules |= {f"{name}/{path.stem}" for path in PACKAGE.glob(f"{name}/*.py") if path.stem != "__init__"}
    integrations = {f"contrib/{path.parent.name}" for path in PACKAGE.glob("contrib/*/__init__.py")}
    integrations |= {f"contrib/{path.stem}" for path in PACKAGE.glob("contrib/*.py")} - {"contrib/__init__"}
    assert once(named) == modules | packages | integrations


def anchors(page):
    """Return the anchors of a page, on a forge and in Sphinx."""
    headings = HEADING.findall(BLOCK.sub("", page.read_text()))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_are_valid():
    dead = []
    for document in PAGES + NOTES:
        text = document.read_text()
        targets = LINK.findall(BLOCK.sub("", text)) + PICTURE.findall(text)
        within = [(document.parent / to if to else document, anchor) for to, anchor in targets if "://" not in to]
        dead += [
            (document.name, str(to), anchor)
            for to, anchor in within
            if not to.exists() or (anchor and anchor not in anchors(to))
        ]
    assert dead == []


def test_comparison_has_measured_queries():
    performance = (DOCS / "explanation/performance.md").read_text()
    requests = performance.partition("<!-- requests: generated -->")[2].partition("\n\n")[0]  # the first table
    measured = dict(re.findall(r"^\| ([\w -]+?)(?:, 1 scope)? \| (\d+) \|", requests, re.MULTILINE))
    compared = {}
    for table in (DOCS / "explanation/comparison.md").read_text().split("\n## "):
        rows = [[cell.strip() for cell in line.split("|")[2:-1]] for line in table.splitlines() if line[:1] == "|"]
        if rows:
            compared |= dict(zip((re.sub(r" [\d.]+$", "", name) for name in rows[0]), rows[-1], strict=True))
    measured["django-pat-tokens"] = measured["pat_tokens"]
    both = measured.keys() & compared.keys()
    assert both == {"django-pat-tokens", "DRF authtoken", "knox", "simplejwt"}
    assert {name: compared[name].partition(",")[0] for name in both} == {name: measured[name] for name in both}


def test_pages_are_in_index():
    contents = re.findall(
        r"^((?:tutorial|how-to|reference|explanation)/\S+)$", (DOCS / "index.md").read_text(), re.MULTILINE
    )
    assert once(contents) == {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.glob("*/*.md")}


def expression_for_scanners():
    text = (DOCS / "explanation/token-format.md").read_text()
    return re.compile(re.search(r"```text\n(.+)\n```", text)[1])


def test_scanner_expression_finds_secrets():
    secrets = [make_secret("pat") for _ in range(100)]
    text = " ".join(f"token={secret}, 'Bearer {secret}'; pat_short pat_{'a' * 60}" for secret in secrets)
    assert expression_for_scanners().findall(text) == [secret for secret in secrets for _ in range(2)]


def test_scanner_expression_finds_nothing_else():
    others = [
        "pat_" + "a" * 48,
        "pat_" + "a" * 50,
        "pat_" + "a" * 24 + "-" + "a" * 24,
        "xpat_" + "a" * 49,
        "PAT_" + "a" * 49,
        "ghp_" + "a" * 36,
        "github_pat_" + "a" * 22 + "_" + "a" * 59,
        "glpat-" + "a" * 20,
        "eyJhbGciOiJIUzI1NiJ9.e30." + "a" * 43,
        "0b8c2f6e-6c1f-4a6e-9f6e-2f1d5f1f7a10",
        "0123456789abcdef" * 3,
    ]
    found = {other: expression_for_scanners().findall(f"token={other}\n{other} '{other}'") for other in others}
    assert not any(found.values()), found


def test_checksum_rejects_similar_strings():
    secret = make_secret("pat")
    forged = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    assert expression_for_scanners().findall(forged) == [forged]
    assert (is_well_formed(secret, prefix="pat"), is_well_formed(forged, prefix="pat")) == (True, False)
