"""Files of the repository agree with each other."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pat_tokens

pytestmark = pytest.mark.repository

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_version_is_in_one_place():
    assert PROJECT["project"]["dynamic"] == ["readme", "version"]
    assert PROJECT["tool"]["hatch"]["version"] == {"path": "pat_tokens/__init__.py"}
    assert re.fullmatch(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?", pat_tokens.__version__)


def test_editorconfig_matches_ruff():
    (length,) = re.findall(r"^max_line_length = (\d+)$", (ROOT / ".editorconfig").read_text(), re.MULTILINE)
    assert int(length) == PROJECT["tool"]["ruff"]["line-length"]


def test_hooks_use_tools_of_make():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"- repo: (\S+)", hooks) == ["local"]
    assert re.findall(r"entry: (.+)", hooks)[0] == "make --silent .venv/.dev"  # a new clone has no tools yet
    tools = set(re.findall(r"\.venv/bin/([\w-]+)", hooks))
    fetched = {re.split(r"[<>=\[]", one)[0] for one in PROJECT["dependency-groups"]["lint"] if isinstance(one, str)}
    assert {{"lint-imports": "import-linter"}.get(tool, tool) for tool in tools} <= fetched


def test_all_supported_versions_are_tested():
    versions = re.search(r"^VERSIONS = \[(.*?)^\]", (ROOT / "noxfile.py").read_text(), re.MULTILINE | re.DOTALL)
    matrix = re.findall(r'nox.param\("(\d+\.\d+)", "(\d+\.\d+)"', versions[1])
    classifiers = PROJECT["project"]["classifiers"]
    for topic, tried in (
        ("Programming Language :: Python", {python for python, _django in matrix}),
        ("Framework :: Django", {django for _python, django in matrix}),
    ):
        named = {one.rpartition(" :: ")[2] for one in classifiers if re.fullmatch(rf"{topic} :: \d+\.\d+", one)}
        assert named == tried
    assert PROJECT["project"]["requires-python"] == f">={min(matrix, key=lambda pair: int(pair[0][2:]))[0]}"


def test_test_ids_are_deterministic():
    # pytest-xdist collects in each worker, and fails if the ids differ.
    names = []
    for seed in "12":
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=True
        )
        names.append([line for line in done.stdout.splitlines() if "::" in line])
    assert len(names[0]) > 1000
    assert names[0] == names[1]


def test_changelog_is_well_formed():
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d{2}-\d{2}\)", heading) for heading in headings[1:])
    body = text[text.index("## Unreleased") :]
    entries = re.findall(r"^- .+(?:\n  .+)*$", body, re.MULTILINE)
    assert len(set(entries)) == len(entries)
    lines = [line for line in body.splitlines() if line and not line.startswith("## ")]
    assert "\n".join(lines) == "\n".join(entries)
    assert not re.search(r"^(?:<{7}|={7}|>{7})", text, re.MULTILINE)
