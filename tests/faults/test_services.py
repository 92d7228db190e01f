"""A service that is interrupted between two statements has changed nothing or everything."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from django.db import connection

from pat_tokens import deferred_writes
from pat_tokens.conf import conf
from tests.faults.cases import OLD_PEPPER, SERVICES, Scene


class Cut(Exception):
    """The exception that stops a service."""


@pytest.fixture(autouse=True)
def _pepper(settings):
    settings.PAT_TOKENS_PEPPERS = [*conf.peppers, OLD_PEPPER]


def run_cut(service, scene, statement, *, executed):
    """Return whether there was such a statement; it fails before or after it is executed."""
    left = statement

    def cut(execute, sql, *args):
        nonlocal left
        if sql.startswith("BEGIN"):  # SQLite's cursor wrapper
            return execute(sql, *args)
        left -= 1
        if left == 0 and not executed:
            raise Cut
        result = execute(sql, *args)
        if left == 0:
            raise Cut
        return result

    try:
        with connection.execute_wrapper(cut):
            service(scene)
    except Cut:
        return True
    assert left > 0
    return False


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("executed", [False, True], ids=["before a statement", "after a statement"])
@pytest.mark.parametrize("name", SERVICES)
def test_failed_service_writes_nothing(name, executed):
    statement = 0
    while True:
        statement += 1
        deferred_writes.forget_failures()
        scene = Scene()
        before = scene.view()
        if not run_cut(SERVICES[name], scene, statement, executed=executed):
            break
        assert scene.view() == before
    assert statement > 1
    assert scene.view() != before


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_killed_process_leaves_all_or_nothing():
    database = str(connection.settings_dict["NAME"])
    connection.close()
    command = [sys.executable, "-m", "tests.faults.killed", database]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert set(told) == set(SERVICES)
    for name, states in told.items():
        assert states["before"] != states["after"], name
        assert states["deaths"], name
        assert states["deaths"] == [states["before"]] * len(states["deaths"]), name
