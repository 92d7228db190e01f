"""Many processes that send a revoked secret at the same time."""

import json
import os
import subprocess
import sys
from textwrap import dedent

import pytest
from django.db import connection

from pat_tokens import services
from pat_tokens.models import Activity

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]

PROCESSES, REQUESTS = 4, 50
STRESS = 20, 500  # 10,000 requests in all, with --rounds 1000
SENDER = """
    import json, os, time

    import django
    from django.conf import settings

    from tests import settings as tests

    tests.DATABASES["default"]["NAME"] = os.environ["DATABASE_NAME"]
    settings.configure(**{name: getattr(tests, name) for name in dir(tests) if name.isupper()})
    django.setup()

    from django.db import connection
    from django.test import Client

    written = []

    def watch(execute, sql, *args):
        if sql.startswith("INSERT") or (sql.startswith("UPDATE") and "pat_tokens_activity" in sql):
            written.append(sql)
        return execute(sql, *args)

    client = Client(headers={"authorization": "Bearer " + os.environ["SECRET"]})
    print("ready", flush=True)
    input()
    started = time.monotonic()
    with connection.execute_wrapper(watch):
        statuses = {client.get("/api/channels/").status_code for _ in range(int(os.environ["REQUESTS"]))}
    minutes = 1 + (time.monotonic() - started) // 60
    print(json.dumps([list(statuses), len(written), minutes]))
"""


def test_one_row_and_one_write_for_each_process(token, pytestconfig):
    services.revoke_token(token)
    processes, requests = STRESS if pytestconfig.getoption("rounds") >= 1000 else (PROCESSES, REQUESTS)
    env = {
        **os.environ,
        "DATABASE_NAME": connection.settings_dict["NAME"],
        "SECRET": token.secret,
        "REQUESTS": str(requests),
    }
    senders = [
        subprocess.Popen(
            [sys.executable, "-c", dedent(SENDER)],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    try:
        assert {sender.stdout.readline() for sender in senders} == {"ready\n"}
        for sender in senders:
            sender.stdin.write("go\n")
            sender.stdin.flush()
        found = [json.loads(sender.communicate(timeout=600)[0]) for sender in senders]
    finally:
        for sender in senders:
            sender.kill()
            sender.wait()
    assert all(statuses == [401] for statuses, _written, _minutes in found)
    assert all(written <= minutes for _statuses, written, minutes in found)
    row = Activity.objects.refusals().get()
    assert row.reason == "revoked"
    assert 1 <= sum(written for _statuses, written, _minutes in found) <= row.count <= processes * requests
