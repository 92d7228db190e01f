"""The management API responds as documented with other settings of DRF."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

HERE = Path(__file__).parent
TESTS = ("test_views.py", "test_views_access.py", "test_views_queries.py", "test_filtersets.py")


def test_responses_do_not_depend_on_drf_settings():
    """In a separate process, because classes read DRF's settings when they are defined."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:cov"]
    command += ["--ds", "tests.contrib.rest_framework.hostile_settings", *(str(HERE / name) for name in TESTS)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV"))}
    run = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout[-5000:]
    assert " passed" in run.stdout
