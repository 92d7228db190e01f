"""Small sites built from the documentation, in separate processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.docs.pages import ROOT

SECONDS = 400  # seconds; an idle machine takes fifteen


def environment(directory: Path) -> dict[str, str]:
    """Return the environment of a process that finds `python`, `django-admin` and this package, without settings."""
    tools, library = directory / "tools", directory / "library"
    tools.mkdir(), library.mkdir()
    # A script instead of a symbolic link, with which Python wouldn't find its environment.
    for name, command in {"python": sys.executable, "django-admin": f"{sys.executable} -m django"}.items():
        (tools / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (tools / name).chmod(0o755)
    (library / "pat_tokens").symlink_to(ROOT / "pat_tokens")
    ours = ("DJANGO_", "DATABASE_URL", "PAT_TOKENS_", "COV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(library), "PYTHONDONTWRITEBYTECODE": "1"}


def run(command: Sequence[str], env: dict[str, str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command, and return it with what it printed, even if it failed."""
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=SECONDS, check=False)
