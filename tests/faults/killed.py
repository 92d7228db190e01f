"""Run as `python -m tests.faults.killed DATABASE`: kill a process after each statement of each service.

The last line of output is JSON: for each service, the state before, after, and after each kill.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.races.runner import set_up


def main(database: str) -> None:
    set_up(database)
    from tests.faults.cases import SERVICES

    told = {name: try_each(service) for name, service in SERVICES.items()}
    sys.stdout.write("\n" + json.dumps(told) + "\n")


def try_each(service: Callable[[Any], Any]) -> dict[str, Any]:
    from tests.faults.cases import Scene

    deaths = []
    while True:
        scene = Scene()
        before = scene.view()
        if not dies_after(len(deaths) + 1, partial(service, scene)):
            return {"before": before, "after": scene.view(), "deaths": deaths}
        deaths.append(scene.view())


def dies_after(statement: int, act: Callable[[], Any]) -> bool:
    """Run the service in a process that kills itself after this many statements. Return False if it finished."""
    from django.db import connection

    connection.close()  # connections belong to one process
    child = os.fork()
    if child:
        _pid, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            return True
        assert os.waitstatus_to_exitcode(status) == 0
        return False
    code = 1
    try:
        left = statement

        def count(execute: Callable[..., Any], *args: Any) -> Any:
            nonlocal left
            result = execute(*args)
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        connection.ensure_connection()  # executes statements on some databases
        with connection.execute_wrapper(count):
            act()
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])
