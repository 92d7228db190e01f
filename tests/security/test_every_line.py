"""Wherever a request fails while a secret is in memory, no report shows the secret."""

import asyncio
import gc
import io
import logging
import secrets
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.contrib import admin
from django.core.management import call_command
from django.core.signals import got_request_exception, request_started
from django.db import transaction
from django.test import AsyncClient, Client
from django.urls import include, path, reverse
from django.views.debug import ExceptionReporter

from pat_tokens import crypto, watcher
from tests.contrib.channels import consumers
from tests.contrib.ninja.api import api as ninja_api
from tests.factories import ChannelFactory, TokenFactory, UserFactory
from tests.plain_site import function
from tests.security import secret_locations
from tests.security.every_line import FOLDER, Line, Raised, tracing
from tests.security.test_other_forms import OURS

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.django_db,
    pytest.mark.urls("tests.security.test_every_line"),
    # An exception at the line that would close a connection leaves it open; Python 3.13 warns about those of SQLite.
    pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning"),
]

urlpatterns = [
    path("admin/", admin.site.urls),
    path("decorated/<int:pk>/", function),
    path("ninja/", ninja_api.urls),
    path("", include("tests.urls")),
]

BODY = "Q7aX0m9Zb2Nc8Vd5Lf1Kg3Jh6Hj4GkP0oI9uY8tR7eW"
HEAD = f"pat_{BODY}"
SECRET = HEAD + crypto.checksum(HEAD)
NEEDLES = [SECRET[start : start + 8] for start in range(4, len(SECRET) - 8)]


@pytest.fixture(autouse=True)
def collected():
    """Delete connections that were left open here, and not in a test without the filter above."""
    yield
    gc.collect()


class Random(SimpleNamespace):
    """Chooses the characters of SECRET, so that it is known while it is created."""

    def __init__(self) -> None:
        super().__init__(token_bytes=secrets.token_bytes, chosen=0)

    def choice(self, alphabet: str) -> str:
        self.chosen += 1
        return BODY[(self.chosen - 1) % len(BODY)]


@pytest.fixture(autouse=True)
def random(monkeypatch):
    random = Random()
    monkeypatch.setattr(crypto, "secrets", random)
    return random


@pytest.fixture
def site(client, settings):
    """A site with the middleware, and a user who can do everything."""
    settings.MIDDLEWARE = [OURS, *django_settings.MIDDLEWARE]
    user = UserFactory(username="owner", is_staff=True, is_superuser=True)
    channel = ChannelFactory(owner=user)
    client.force_login(user)
    client.raise_request_exception = False
    return SimpleNamespace(user=user, channel=channel, client=client)


class Reports:
    """The reports and log records of one request."""

    def __init__(self, *, rendered: bool) -> None:
        self.rendered = rendered
        self.texts: dict[str, str] = {}
        self.memory = secret_locations.Memory()

    def hear(self, request: Any = None, **kwargs: Any) -> None:
        self.add(request, *sys.exc_info())

    def add(self, request: Any, kind: Any, error: Any, traceback: Any) -> None:
        reporter = ExceptionReporter(request, kind, error, traceback)
        for debug in (True, False) if self.rendered else (True,):  # Django hides the least with DEBUG
            django_settings.DEBUG = debug  # without the signal, which would clear the package's cached settings
            data = reporter.get_traceback_data()
            for frame in data["frames"]:
                frame.update(pre_context=(), context_line="", post_context=())  # the code itself
            self.texts[f"report, DEBUG={debug}"] = str(data)
            if self.rendered:
                self.texts[f"page, DEBUG={debug}"] = secret_locations.without_lines_of_code(
                    reporter.get_traceback_html()
                )
                self.texts[f"mail, DEBUG={debug}"] = reporter.get_traceback_text()
        django_settings.DEBUG = False

    def __enter__(self) -> "Reports":
        got_request_exception.connect(self.hear)
        root = logging.getLogger()
        self.level = root.level
        root.setLevel(logging.DEBUG)
        root.addHandler(self.memory)
        return self

    def __exit__(self, *exc_info: object) -> None:
        got_request_exception.disconnect(self.hear)
        root = logging.getLogger()
        root.setLevel(self.level)
        root.removeHandler(self.memory)
        self.texts["log"] = "\n".join(self.memory.lines)


@pytest.fixture
def fail_at_each_line():
    """Repeat an action with an exception at the next line each time; return where the secret is shown."""

    def run(act, begins=lambda: True, expected=(200, 201, 302)):
        shown, lines = [], 0
        while True:
            line = Line(lines, begins)
            # Only every 25th report is also rendered as a page and an email, which is slow.
            with Reports(rendered=lines % 25 == 0) as reports, transaction.atomic():
                try:
                    with tracing(line):
                        response = act()
                    # A successful response shows the secret in spite of the failure.
                    if response is not None and response.status_code >= 400:
                        reports.texts["answer"] = response.content.decode()
                except Raised as error:  # like the output of a command
                    reports.add(None, type(error), error, error.__traceback__)
                transaction.set_rollback(True)
            if line.where is None:
                assert lines > 20
                assert getattr(response, "status_code", 200) in expected
                return shown
            lines += 1
            reports.texts["frames"] = "\n".join(line.frames)
            place = f"{line.where[0].removeprefix(FOLDER)}:{line.where[1]}"
            shown += [f"{name} at {place}: {found}" for name, text in reports.texts.items() for found in excerpts(text)]

    return run


def excerpts(text):
    """Return the text around the secret in `text`, if any."""
    start = min((text.index(needle) for needle in NEEDLES if needle in text), default=None)
    return [] if start is None else [text[max(0, start - 60) : start + 10]]


ROWS = {"scopes-0-entity_type": "channels", "scopes-0-entity_id": "*", "scopes-0-operations": ["read"]}
ADMIN = "admin:pat_tokens_personalaccesstoken"


MAKING = {
    "page create": lambda site, token: site.client.post(
        reverse("pat_tokens:token_create"), {"name": "new", "duration": "7d", **ROWS}
    ),
    "page regenerate": lambda site, token: site.client.post(
        reverse("pat_tokens:token_regenerate", args=[token.pk]), {"duration": "7d"}
    ),
    "API create": lambda site, token: site.client.post("/api/pats/", {"name": "new"}, content_type="application/json"),
    "API regenerate": lambda site, token: site.client.post(
        f"/api/pats/{token.pk}/regenerate/", {}, content_type="application/json"
    ),
    "admin create": lambda site, token: site.client.post(
        reverse(f"{ADMIN}_add"), {"user": site.user.pk, "name": "new", "duration": "30d", "scopes": ""}
    ),
    "admin regenerate": lambda site, token: site.client.post(
        reverse(f"{ADMIN}_regenerate", args=[token.pk]), {"duration": "30d"}
    ),
    "command": lambda site, token: call_command(
        "pat_create", "owner", name="new", stdout=io.StringIO(), stderr=io.StringIO()
    ),
}


@pytest.mark.parametrize(
    "kind",
    [
        kind if kind in ("page regenerate", "API create") else pytest.param(kind, marks=pytest.mark.processes)
        for kind in MAKING
    ],
)
def test_creating_a_secret(site, random, fail_at_each_line, kind):
    random.chosen = 1  # for another secret
    token = TokenFactory(user=site.user)

    def act():
        random.chosen = 0
        return MAKING[kind](site, token)

    assert fail_at_each_line(act, begins=lambda: random.chosen > 0) == []


@pytest.mark.processes
@pytest.mark.parametrize("kind", ["page create", "admin create"])
def test_showing_a_secret(site, random, settings, fail_at_each_line, kind):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    url = MAKING[kind](site, None).url
    cookies = {name: morsel.value for name, morsel in site.client.cookies.items()}

    def act():
        for name, value in cookies.items():
            site.client.cookies[name] = value
        return site.client.get(url)

    assert fail_at_each_line(act) == []
    assert SECRET in act().content.decode()


RECEIVING = [
    ("/api/channels/{}/", "X-Site-Credential", "Bearer  {}"),
    ("/decorated/{}/", "Authorization", "{}"),
    pytest.param("/api/channels/{}/", "Authorization", "Bearer {}", marks=pytest.mark.processes),
    pytest.param("/api/channels/{}/", "X-Site-Credential", "Bearer {}", marks=pytest.mark.processes),
    pytest.param("/api/channels/{}/", "X-Site-Credential", 'Token "{}"', marks=pytest.mark.processes),
    pytest.param("/decorated/{}/", "X-Site-Credential", "Bearer {}", marks=pytest.mark.processes),
    pytest.param("/ninja/sync/{}", "X-Site-Credential", "Bearer {}", marks=pytest.mark.processes),
    pytest.param("/ninja/sync/{}", "X-Site-Credential", "<{}>", marks=pytest.mark.processes),
]


@pytest.mark.parametrize(("route", "header", "form"), RECEIVING)
def test_receiving_a_secret(site, settings, fail_at_each_line, route, header, form):
    TokenFactory(user=site.user, scopes=[("channels", "*", "read")])
    settings.PAT_TOKENS_HEADER = header
    client = Client(raise_request_exception=False, headers={header: form.format(SECRET)})
    url = route.format(site.channel.pk)
    status = 200 if form == "Bearer {}" else 401
    arrived = []

    def act():
        arrived.clear()
        return client.get(url)

    def arrive(**kwargs):
        arrived.append(True)

    request_started.connect(arrive)  # after the package's receiver, which hides the header
    try:
        assert fail_at_each_line(act, begins=lambda: bool(arrived), expected=[status]) == []
    finally:
        request_started.disconnect(arrive)


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("X-Site-Credential", "{}"),
        pytest.param("X-Site-Credential", "Bearer {}", marks=pytest.mark.processes),
    ],
)
def test_receiving_a_secret_under_asgi(site, settings, fail_at_each_line, header, form):
    TokenFactory(user=site.user, scopes=[("channels", "*", "read")])
    settings.PAT_TOKENS_HEADER = header
    settings.MIDDLEWARE = ["tests.security.test_every_line.fail_first", *settings.MIDDLEWARE]
    client = AsyncClient(raise_request_exception=False)
    headers = {header: crypto.SecretText(form.format(SECRET))}  # in the test's own frames; it is sent as plain bytes
    arrived = []

    def act():
        arrived.clear()
        return async_to_sync(client.get)(f"/ninja/async/{site.channel.pk}", headers=headers)

    def arrive(**kwargs):
        arrived.append(True)

    request_started.connect(arrive)
    try:
        status = 200 if form == "Bearer {}" else 401
        assert fail_at_each_line(act, begins=lambda: bool(arrived), expected=[status]) == []
    finally:
        request_started.disconnect(arrive)


def fail_first(get_response):
    """Middleware that can fail before this package has read anything."""

    def middleware(request):
        if "fail" in request.GET:
            raise Raised
        return get_response(request)

    return middleware


@pytest.mark.parametrize("header", ["Authorization", "X-Site-Credential"])
def test_middleware_that_fails_first(site, settings, header):
    settings.PAT_TOKENS_HEADER = header
    settings.MIDDLEWARE = ["tests.security.test_every_line.fail_first", *settings.MIDDLEWARE]
    headers = {header: f"Bearer {SECRET}"}
    for get in (
        Client(raise_request_exception=False).get,
        async_to_sync(AsyncClient(raise_request_exception=False).get),
    ):
        with Reports(rendered=True) as reports:
            assert get("/?fail=1", headers=headers).status_code == 500
        assert [name for name, text in reports.texts.items() if excerpts(text)] == []


@pytest.mark.parametrize(
    ("header", "form", "subprotocols"),
    [
        ("X-Site-Credential", "Bearer  {}", []),
        pytest.param("X-Site-Credential", "Bearer {}", [], marks=pytest.mark.processes),
        pytest.param("Authorization", "Bearer {}", [], marks=pytest.mark.processes),
        pytest.param("Authorization", None, ["bearer", "{}"], marks=pytest.mark.processes),
        pytest.param("Authorization", None, ["{}"], marks=pytest.mark.processes),
    ],
)
def test_receiving_a_secret_by_a_websocket(site, settings, monkeypatch, fail_at_each_line, header, form, subprotocols):
    TokenFactory(user=site.user, scopes=[("channels", "*", "subscribe")])
    settings.PAT_TOKENS_HEADER = header
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)  # inside this test's transaction
    monkeypatch.setattr(watcher, "INTERVAL", 1000)  # what it asks has no secret in it
    name, headers, offered = header.lower().encode(), [], []

    @async_to_sync
    async def act():
        messages = asyncio.Queue()
        await messages.put({"type": "websocket.connect"})

        async def send(message):
            await messages.put({"type": "websocket.disconnect", "code": 1000})

        headers[:] = [] if form is None else [(name, form.format(SECRET).encode())]
        offered[:] = [text.format(SECRET) for text in subprotocols]
        if offered:
            headers.append((b"sec-websocket-protocol", ", ".join(offered).encode()))
        path = f"/ws/channels/{site.channel.pk}/"
        scope = {"type": "websocket", "path": path, "query_string": b"", "headers": headers, "subprotocols": offered}
        await consumers.outside(scope, messages.get, send)

    assert fail_at_each_line(act, begins=lambda: not excerpts(str([headers, offered]))) == []


@pytest.mark.parametrize(
    ("template", "mistake"),
    [
        ("elements/page.html", "{% no_such_tag %}"),
        ("elements/page.html", "{{ content }}{% include 'no-such-template.html' %}"),
        ("elements/copyable.html", "{{ text }}{% include 'no-such-template.html' %}"),
        ("token_detail.html", "{{ revealed.secret }}{% include 'no-such-template.html' %}"),
    ],
)
def test_error_in_overridden_template(site, settings, tmp_path, template, mistake):
    path = tmp_path / "pat_tokens" / template
    path.parent.mkdir(parents=True)
    path.write_text(mistake)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    settings.DEBUG = True
    url = MAKING["page create"](site, None).url
    with Reports(rendered=True) as reports:
        answer = site.client.get(url)
    assert answer.status_code == 500
    shown = {**reports.texts, "answer": answer.content.decode()}
    assert [name for name, text in shown.items() if any(needle in text for needle in NEEDLES)] == []
