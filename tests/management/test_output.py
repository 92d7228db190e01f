"""Output for people and pipes."""

import re
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command, get_commands, load_command_class
from django.utils import timezone

from pat_tokens import services
from pat_tokens.models import PersonalAccessToken


@pytest.mark.processes
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_closed_pipe_is_not_an_error(options):
    command = [sys.executable, "-m", "django", "pat_routes", "--settings=tests.settings", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_every_command_can_print_json():
    names = [name for name, app in get_commands().items() if app == "pat_tokens"]
    assert len(names) > 12
    for name in names:
        parser = load_command_class("pat_tokens", name).create_parser("manage.py", name)
        assert "--json" in parser.format_help(), name


@pytest.mark.django_db
@pytest.mark.parametrize(("zone", "offset"), [("UTC", "+00:00"), ("Asia/Kathmandu", "+05:45")])
@pytest.mark.parametrize("use_tz", [True, False])
def test_datetimes_have_utc_offset(token, settings, zone, offset, use_tz):
    settings.TIME_ZONE, settings.USE_TZ = zone, use_tz
    out, err = StringIO(), StringIO()
    call_command("pat_list", stdout=out)
    call_command("pat_create", "owner", "--name=new", stdout=StringIO(), stderr=err)
    for text, name in ((out.getvalue(), "deploy"), (err.getvalue(), "new")):
        expires_at = PersonalAccessToken.objects.get(name=name).expires_at
        local = expires_at.astimezone(ZoneInfo(zone)) if use_tz else expires_at
        assert f"{local:%Y-%m-%d %H:%M}{offset}" in text


@pytest.mark.django_db
@pytest.mark.parametrize("use_tz", [True, False])
def test_explanation_of_inactive_token_has_time_zone(make_token, settings, use_tz):
    settings.TIME_ZONE, settings.USE_TZ = "Asia/Tokyo", use_tz
    expired, revoked = make_token(), make_token()
    now = timezone.now()
    PersonalAccessToken.objects.update(issued_at=now - timedelta(days=2), expires_at=now)
    services.revoke_token(revoked)
    for token in (expired, revoked):
        out = StringIO()
        with suppress(SystemExit):
            call_command("pat_explain", str(token.pk), "GET", "/api/channels/", stdout=out)
        assert re.search(r"(expired|was revoked) on \w+ \d+, \d{4}, \d\d:\d\d JST\.", out.getvalue())
