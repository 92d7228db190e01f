"""A site with a custom user model, in separate processes, because the model can't be changed later."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

SITE = Path(__file__).parent / "custom_user_site"


@pytest.mark.parametrize(
    ("scenarios", "use_tz", "with_admin"),
    [("scenarios.py", "1", "0"), ("scenarios.py", "0", "0"), ("admin_scenarios.py", "0", "1")],
    ids=["with time zones", "without time zones", "with an admin"],
)
def test_all_scenarios(scenarios, use_tz, with_admin):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV", "DJANGO_"))
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cov", str(SITE / scenarios)]
    run = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=SITE,
        env={**environment, "CUSTOM_USER_USE_TZ": use_tz, "CUSTOM_USER_ADMIN": with_admin},
    )
    assert run.returncode == 0, run.stdout[-8000:]
    assert " passed" in run.stdout
