"""The same durations, dates and scopes mean the same, or are refused, in the API, on the pages and in the commands."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from pat_tokens.models import PersonalAccessToken
from tests.clock import clock
from tests.factories import ChannelFactory

__all__ = ["clock"]  # a fixture

pytestmark = pytest.mark.django_db

NOW = datetime(2030, 6, 15, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def now(clock):
    clock.now = NOW


class Interface:
    """Creates a token with these fields; returns the invalid fields, by their names in the API.

    `count` is the number of wrong scopes that were named.
    """

    count = 0

    def __init__(self, client):
        self.client = client

    def create(self, **fields):
        raise NotImplementedError


class Api(Interface):
    def create(self, **fields):
        body = json.dumps({"name": "new", **fields})
        answer = self.client.post("/api/pats/", body, content_type="application/json")
        if answer.status_code == 201:
            return set()
        self.count = len(answer.json().get("scopes", ()))
        return set(answer.json())


class Pages(Interface):
    def create(self, *, duration=None, expires_at=None, scopes=()):
        form = {"name": "new", "duration": duration or ("date" if expires_at else ""), "expires_on": expires_at or ""}
        for number, scope in enumerate(scopes):
            typed = {"entity_type": scope["entity_type"], "entity_id": scope["entity_id"]}
            form |= {f"scopes-{number}-{name}": value for name, value in typed.items()}
            form[f"scopes-{number}-operations"] = scope["operation"]
        page = self.client.post("/pats/create/", form)
        if page.status_code == 302:
            return set()
        self.count = page.context["formset"].total_error_count()
        wrong = {name.replace("expires_on", "expires_at") for name in page.context["form"].errors}
        return wrong | ({"scopes"} if page.context["formset"].total_error_count() else set())


class Command(Interface):
    def create(self, *, scopes=(), **fields):
        options = [f"--{name.replace('_', '-')}={value}" for name, value in fields.items() if value is not None]
        options += ["--scope=" + ":".join(scope.values()) for scope in scopes]
        out = StringIO()
        try:
            call_command("pat_create", "owner", "--name=new", *options, stdout=out, stderr=out)
        except CommandError as error:
            self.count = len(str(error).splitlines())
            named = {line.partition(":")[0].split()[0] for line in str(error).splitlines()}
            return {{"--scope": "scopes"}.get(name, name[2:].replace("-", "_")) for name in named}
        return set()


@pytest.fixture(params=[Api, Pages, Command])
def interface(request, client, user):
    client.force_login(user)
    return request.param(client)


DURATIONS = {
    "24h": timedelta(hours=24),
    "7D": timedelta(days=7),
    " 30d ": timedelta(days=30),
    "2w": timedelta(weeks=2),
    "1y": timedelta(days=365),
    "366d": timedelta(days=366),
    "P7D": timedelta(days=7),
    "PT90M": timedelta(minutes=90),
    "P1DT12H": timedelta(hours=36),
    None: timedelta(days=30),
    **dict.fromkeys(
        ["0d", "PT0S", "-1d", "-P1D", "30", "1m", "1.5d", "30 d", "367d", "2y", "P2Y", "never", "soon", "P"]
    ),
}


def test_durations(case, interface):
    for text, lifetime in DURATIONS.items():
        with case(text):
            assert interface.create(duration=text) == (set() if lifetime else {"duration"})
            token = PersonalAccessToken.objects.first()
            assert (token and token.expires_at - NOW) == lifetime
            PersonalAccessToken.objects.all().delete()


DATES = {
    "2030-06-15": datetime(2030, 6, 15, 23, 59, 59, tzinfo=UTC),
    "2030-07-01": datetime(2030, 7, 1, 23, 59, 59, tzinfo=UTC),
    "2031-06-16": datetime(2031, 6, 16, 12, 0, tzinfo=UTC),  # the maximum is in the middle of this day
    **dict.fromkeys(["2030-06-14", "2031-06-17", "0001-01-01", "9999-12-31", "2030-02-30", "soon"]),
}


def test_dates(case, interface, settings):
    settings.TIME_ZONE = "UTC"
    for text, when in DATES.items():
        with case(text):
            assert interface.create(expires_at=text) == (set() if when else {"expires_at"})
            token = PersonalAccessToken.objects.first()
            assert (token and token.expires_at) == when
            PersonalAccessToken.objects.all().delete()


def test_date_is_in_time_zone_of_site(interface, settings):
    settings.TIME_ZONE = "America/New_York"
    assert interface.create(expires_at="2030-07-01") == set()
    assert PersonalAccessToken.objects.get().expires_at == datetime(2030, 7, 2, 3, 59, 59, tzinfo=UTC)


def test_duration_and_date_together(interface):
    wrong = {"expires_at"} if isinstance(interface, Pages) else {"duration"}
    assert interface.create(duration="7d", expires_at="2030-07-01") == wrong
    assert not PersonalAccessToken.objects.exists()


def test_scopes(case, interface, channel, stranger):
    theirs = ChannelFactory(owner=stranger)
    for entity_type, entity_id, operation, is_fine in (
        ("channels", str(channel.pk), "read", True),
        ("channels", f"0{channel.pk}", "read", True),
        ("channels", "*", "create", True),
        ("channels", str(channel.pk), "create", False),
        ("channels", str(theirs.pk), "read", False),
        ("channels", "987654", "read", False),
        ("channels", "**", "read", False),
        ("channels", "*", "fly", False),
        ("Channels", "*", "read", False),
        ("devices", "*", "publish", False),
    ):
        with case(entity_type, entity_id, operation):
            scope = {"entity_type": entity_type, "entity_id": entity_id, "operation": operation}
            fine = {"entity_type": "devices", "entity_id": "*", "operation": "list"}
            assert interface.create(scopes=[fine, scope]) == (set() if is_fine else {"scopes"})
            assert PersonalAccessToken.objects.count() == is_fine
            PersonalAccessToken.objects.all().delete()


def test_error_lists_end_with_20th_wrong_scope(interface):
    scopes = [
        {"entity_type": "channels", "entity_id": str(number), "operation": "read"} for number in range(1000, 1050)
    ]
    assert interface.create(scopes=scopes) == {"scopes"}
    assert interface.count == 20


def test_number_of_scopes_is_checked_before_scopes(interface, settings):
    settings.PAT_TOKENS_MAX_SCOPES_PER_TOKEN = 30
    scopes = [{"entity_type": "junk", "entity_id": str(number), "operation": "read"} for number in range(31)]
    assert interface.create(scopes=scopes)
    assert interface.count == 1
