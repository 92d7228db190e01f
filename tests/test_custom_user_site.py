"""A site with a custom user model, in separate processes, because the model can't be changed later."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

SITE = Path(__file__).parent / "custom_user_site"


@pytest.mark.parametrize("use_tz", ["1", "0"], ids=["with time zones", "without time zones"])
def test_all_scenarios(use_tz):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV", "DJANGO_"))
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cov", str(SITE)]
    run = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=SITE,
        env={**environment, "CUSTOM_USER_USE_TZ": use_tz},
    )
    assert run.returncode == 0, run.stdout[-8000:]
    assert " passed" in run.stdout
