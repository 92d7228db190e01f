"""A secret is only in the response that created it: searched for in every place, by every interface."""

import asyncio
import io
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.core import mail
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import include, path, reverse
from django.utils.log import AdminEmailHandler
from django.views.debug import ExceptionReporter

from pat_tokens import services, signals
from pat_tokens.authentication import aauthenticate, authenticate
from pat_tokens.models import PersonalAccessToken
from pat_tokens.pages import base, one_time_secret
from pat_tokens.requirements import ANY_TOKEN
from tests.factories import TokenFactory, UserFactory
from tests.security import secret_locations

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls("tests.security.test_hygiene"),
    # Django 6.1 requires MAILERS, which older versions don't have.
    pytest.mark.filterwarnings("ignore:Django 2028 will not have a default mailer"),
]

urlpatterns = [path("admin/", admin.site.urls), path("", include("tests.urls"))]

ENGINES = ["db", "cached_db", "cache", "file", "signed_cookies"]
JSON = {"accept": "application/json, text/html"}
DURATION = {"duration": "7d"}
ROWS = {"scopes-0-entity_type": "channels", "scopes-0-entity_id": "*", "scopes-0-operations": ["read"]}


class Scene:
    """A user with a token to regenerate, who is also staff, so that all interfaces can be used."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.user = UserFactory(username="owner", is_staff=True, is_superuser=True)
        self.token = TokenFactory(user=self.user, name="old")
        client.force_login(self.user)
        client.raise_request_exception = False

    def page(self, name: str, /, *args: Any, **data: Any) -> Any:
        return self.client.post(reverse(f"pat_tokens:{name}", args=args), data)

    def script(self, name: str, /, *args: Any, **data: Any) -> Any:
        return self.client.post(reverse(f"pat_tokens:{name}", args=args), data, headers=JSON)

    def api(self, path: str, /, **data: Any) -> Any:
        return self.client.post(f"/api/pats/{path}", data, content_type="application/json")

    def admin(self, name: str, /, *args: Any, **data: Any) -> Any:
        return self.client.post(reverse(f"admin:pat_tokens_personalaccesstoken_{name}", args=args), data)


def by_command(scene: Scene) -> None:
    out = io.StringIO()
    call_command("pat_create", "owner", name="new", scopes=["channels:*:read"], stdout=out, stderr=out)


INTERFACES: dict[str, Callable[[Scene], Any]] = {
    "page create": lambda scene: scene.page("token_create", name="new", **DURATION, **ROWS),
    "page regenerate": lambda scene: scene.page("token_regenerate", scene.token.pk, **DURATION),
    "script create": lambda scene: scene.script("token_create", name="new", **DURATION, **ROWS),
    "script regenerate": lambda scene: scene.script("token_regenerate", scene.token.pk, **DURATION),
    "api create": lambda scene: scene.api("", name="new"),
    "api regenerate": lambda scene: scene.api(f"{scene.token.pk}/regenerate/"),
    "admin create": lambda scene: scene.admin("add", user=scene.user.pk, name="new", duration="30d", scopes=""),
    "admin regenerate": lambda scene: scene.admin("regenerate", scene.token.pk, duration="30d"),
    "command": by_command,
}
# Interfaces that respond with a redirect, so that the secret has to be passed on.
REDIRECTING = [interface for interface in INTERFACES if interface.startswith(("page", "script", "admin"))]


@pytest.fixture
def memory():
    """All loggers at DEBUG, and emails to admins."""
    memory, mailing = secret_locations.Memory(), AdminEmailHandler(include_html=True)
    mailing.setLevel(logging.ERROR)
    root = logging.getLogger()
    names = [name for name, logger in root.manager.loggerDict.items() if isinstance(logger, logging.Logger)]
    loggers = [root, *map(logging.getLogger, names)]
    before = [(logger, logger.level, logger.disabled) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.disabled = False
        logger.addHandler(memory)
    root.addHandler(mailing)
    yield memory
    root.removeHandler(mailing)
    for logger, level, disabled in before:
        logger.setLevel(level)
        logger.disabled = disabled
        logger.removeHandler(memory)


@pytest.fixture
def made(monkeypatch):
    """The secrets that are created."""
    secrets = []
    make = services.make_secret

    def remember(prefix: str) -> str:
        secrets.append(make(prefix))
        return secrets[-1]

    monkeypatch.setattr(services, "make_secret", remember)
    return secrets


@pytest.fixture
def scene(client, settings, tmp_path, memory, admins):
    """The scene, with settings that make a site log the most."""
    settings.SESSION_FILE_PATH = str(tmp_path)
    cache.clear()
    yield Scene(client)
    cache.clear()


def everywhere(scene: Scene, memory: secret_locations.Memory, folder: Any) -> dict[str, str]:
    """Return the content of each place on the server, by name."""
    return {
        **secret_locations.database(),
        **secret_locations.sessions(scene.client.session, folder),
        **secret_locations.cache(),
        **secret_locations.outbox(),
        "log": "\n".join(memory.lines),
    }


def later_pages(scene: Scene) -> dict[str, str]:
    """Return all later pages and responses about tokens."""
    shown = {}
    for token in PersonalAccessToken.objects.all():
        name = "admin:pat_tokens_personalaccesstoken_{}".format
        for url in [
            "/pats/",
            f"/pats/{token.pk}/",
            f"/pats/{token.pk}/edit/name/",
            f"/pats/{token.pk}/regenerate/",
            "/api/pats/",
            f"/api/pats/{token.pk}/",
            reverse(name("changelist")),
            reverse(name("change"), args=[token.pk]),
            reverse(name("history"), args=[token.pk]),
        ]:
            answer = scene.client.get(url)
            assert answer.status_code == 200
            shown[url] = answer.content.decode() + str(answer.headers) + str(answer.cookies)
    return shown


@pytest.mark.thorough
@pytest.mark.parametrize("debug", [False, True], ids=["production", "debug"])
@pytest.mark.parametrize("interface", INTERFACES)
def test_secret_is_only_in_one_response(scene, memory, made, settings, tmp_path, interface, debug):
    settings.DEBUG = debug
    answer = INTERFACES[interface](scene)
    (secret,) = made
    if interface in REDIRECTING:
        told = f"{answer.content!r} {answer.headers} {answer.cookies}"
        assert secret_locations.found(secret, {"redirect": told, **everywhere(scene, memory, tmp_path)}) == []
        page = answer.json()["location"] if interface.startswith("script") else answer.url
        assert secret in scene.client.get(page).content.decode()
    assert authenticate(secret, ANY_TOKEN).user == scene.user
    shown = later_pages(scene)
    assert secret_locations.found(secret, {**shown, **everywhere(scene, memory, tmp_path)}) == []


@pytest.mark.thorough
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("interface", ["page create", "admin regenerate"])
def test_secret_is_not_stored_during_redirect(scene, memory, made, settings, tmp_path, interface, engine):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    scene.client.force_login(scene.user)
    answer = INTERFACES[interface](scene)
    assert one_time_secret.SESSION_KEY in scene.client.session, "one share is in the session"
    assert answer.cookies[one_time_secret.COOKIE_NAME].value, "the other is with the browser alone"
    assert secret_locations.found(made[0], everywhere(scene, memory, tmp_path)) == []
    scene.client.get(answer.json()["location"] if interface.startswith("script") else answer.url)
    assert one_time_secret.SESSION_KEY not in scene.client.session
    assert secret_locations.found(made[0], everywhere(scene, memory, tmp_path)) == []


class Forced(Exception):
    """An exception in a request that has a secret in memory."""


def fail(*args: Any, **kwargs: Any) -> Any:
    raise Forced("by the test")


# The failing function, by the interfaces that call it after the secret was created.
ALL = ["page create", "api regenerate", "admin create", "command"]
CREATING = ["page create", "api create"]
HIDING = ["script regenerate", "admin create"]
FAILURES: dict[str, tuple[tuple[Any, str], list[str]]] = {
    "digesting": ((services, "digest"), ALL),
    "the hint": ((services, "hint"), ALL),
    "writing a row": ((PersonalAccessToken, "save"), ALL),
    "writing scopes": ((services, "_insert_scopes"), CREATING),
    "announcing": ((services, "_announce"), ALL),
    "hiding": ((one_time_secret, "hide"), HIDING),
    "splitting": ((one_time_secret, "split"), HIDING),
    "leading on": ((base, "token_url"), ["page create"]),
    "describing": (
        ("pat_tokens.contrib.rest_framework.serializers.PersonalAccessTokenSerializer", "to_representation"),
        ["api create"],
    ),
    "rendering JSON": (
        ("rest_framework.renderers.JSONRenderer", "render"),
        ["api create"],
    ),
    "logging in the admin": (("django.contrib.admin.options.ModelAdmin", "log_addition"), ["admin create"]),
    "logging a change": (("django.contrib.admin.options.ModelAdmin", "log_change"), ["admin regenerate"]),
}


# With DEBUG the report is the response and an email, otherwise only an email.
@pytest.mark.parametrize(
    ("failure", "interface", "debug"),
    [
        *[(failure, interface, True) for failure, (_where, interfaces) in FAILURES.items() for interface in interfaces],
        ("hiding", "script regenerate", False),
        ("digesting", "api regenerate", False),
    ],
)
def test_exception_reports_have_no_secret(
    scene, memory, made, settings, tmp_path, monkeypatch, failure, interface, debug
):
    settings.DEBUG = debug
    (target, name), _doors = FAILURES[failure]
    monkeypatch.setattr(*([f"{target}.{name}"] if isinstance(target, str) else [target, name]), fail)
    if interface == "command":
        with pytest.raises(Forced):
            INTERFACES[interface](scene)
        reports = {}
    else:
        answer = INTERFACES[interface](scene)
        assert answer.status_code == 500
        reports = {"answer": secret_locations.without_lines_of_code(answer.content.decode())}
        assert ("Forced" in reports["answer"]) == debug
        assert any("Forced" in text and "<html" in text for text in secret_locations.outbox().values())
    assert len(made) == 1
    assert secret_locations.found(made[0], {**reports, **everywhere(scene, memory, tmp_path)}) == []


@pytest.mark.parametrize("debug", [False, True], ids=["production", "debug"])
@pytest.mark.parametrize("interface", ["page create", "admin regenerate"])
@pytest.mark.parametrize("where", ["join", "is_among", "close"])
def test_report_of_secret_page_has_no_secret(
    scene, memory, made, settings, tmp_path, monkeypatch, where, interface, debug
):
    settings.DEBUG = debug
    answer = INTERFACES[interface](scene)
    page = answer.json()["location"] if interface.startswith("script") else answer.url
    monkeypatch.setattr(one_time_secret, where, fail)
    answer = scene.client.get(page)
    assert answer.status_code == 500
    reports = {"answer": secret_locations.without_lines_of_code(answer.content.decode())}
    assert secret_locations.found(made[0], {**reports, **everywhere(scene, memory, tmp_path)}) == []


@pytest.mark.parametrize("interface", ["page create", "api create", "command"])
def test_failing_receiver_is_logged_without_secret(
    scene, memory, made, tmp_path, interface, django_capture_on_commit_callbacks
):
    signals.token_created.connect(fail)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            INTERFACES[interface](scene)
    finally:
        signals.token_created.disconnect(fail)
    assert "Forced" in "".join(memory.lines)
    assert secret_locations.found(made[0], everywhere(scene, memory, tmp_path)) == []


@pytest.mark.parametrize("where", ["pat_tokens.lookup.find_token", "pat_tokens.crypto.digest"])
@pytest.mark.parametrize("ask", [authenticate, aauthenticate], ids=["sync", "async"])
def test_report_of_own_password_check_has_no_secret(scene, monkeypatch, where, ask):
    secret = TokenFactory(user=scene.user).secret
    plain = [str(secret)]  # popped, so that this test's frame doesn't contain it
    monkeypatch.setattr(where, fail)
    try:
        answer = ask(plain.pop(), ANY_TOKEN)
        asyncio.run(answer)
    except Forced as error:
        report = ExceptionReporter(None, type(error), error, error.__traceback__).get_traceback_html()
    assert "Forced" in report
    assert secret_locations.found(secret, {"report": secret_locations.without_lines_of_code(report)}) == []


@pytest.mark.parametrize("debug", [False, True], ids=["production", "debug"])
def test_report_of_request_has_no_secret(scene, memory, settings, tmp_path, monkeypatch, debug):
    settings.DEBUG = debug
    token = TokenFactory(user=scene.user, scopes=[("channels", "*", "list")])
    client = Client(raise_request_exception=False, headers={"authorization": f"Bearer {token.secret}"})
    for where in ("pat_tokens.lookup.find_token", "pat_tokens.services.is_use_due", "tests.views.ChannelViewSet.list"):
        with monkeypatch.context() as patch:
            patch.setattr(where, fail)
            answer = client.get("/api/channels/")
        assert answer.status_code == 500
        reports = {"answer": secret_locations.without_lines_of_code(answer.content.decode())}
        assert secret_locations.found(token.secret, {**reports, **everywhere(scene, memory, tmp_path)}) == [], where


PASTED: dict[str, Callable[[Scene, str], Any]] = {
    "search": lambda scene, secret: scene.page("token_search", q=secret),
    "script search": lambda scene, secret: scene.script("token_search", q=secret),
    "page create": lambda scene, secret: scene.page("token_create", name="new", description=secret, **DURATION),
    "page edit": lambda scene, secret: scene.page("token_edit", scene.token.pk, "description", description=secret),
    "page delete": lambda scene, secret: scene.page("token_delete", scene.token.pk, anything=secret),
    "admin search": lambda scene, secret: scene.admin("search", q=secret),
    "admin create": lambda scene, secret: scene.admin("add", user=scene.user.pk, name=secret, duration="30d"),
    "admin scopes": lambda scene, secret: scene.admin(
        "add", user=scene.user.pk, name="new", duration="30d", scopes=f"channels:{secret}:read"
    ),
    "admin change": lambda scene, secret: scene.admin("change", scene.token.pk, name="new", description=secret),
    "admin networks": lambda scene, secret: scene.admin("change", scene.token.pk, name="new", allowed_networks=secret),
    "admin rotate": lambda scene, secret: scene.admin("rotate", scene.token.pk, grace_period=secret),
    "admin list": lambda scene, secret: scene.admin("changelist", action=secret, _selected_action=scene.token.pk),
    "admin revoke": lambda scene, secret: scene.admin("revoke", scene.token.pk, anything=secret),
}


@pytest.mark.thorough
@pytest.mark.parametrize("debug", [False, True], ids=["production", "debug"])
@pytest.mark.parametrize("interface", PASTED)
def test_report_has_no_pasted_secret(scene, memory, settings, tmp_path, interface, debug):
    """The database fails at a query about the session, or about tokens."""
    settings.DEBUG = debug
    failed = 0
    for table, number in (("session", 1), ("accesstoken", 1), ("accesstoken", 2), ("accesstoken", 3)):
        memory.lines.clear()
        asked = []

        def run(execute, sql, *args, table=table, number=number, asked=asked):
            asked += [sql] if table in sql else []
            return fail() if table in sql and len(asked) == number else execute(sql, *args)

        with connection.execute_wrapper(run):
            answer = PASTED[interface](scene, str(scene.token.secret))
        if answer.status_code != 500:
            continue  # no such query, or the form is shown again
        failed += 1
        reports = {"answer": secret_locations.without_lines_of_code(answer.content.decode())}
        places = {**reports, **secret_locations.outbox(), "log": "\n".join(memory.lines)}
        assert secret_locations.found(scene.token.secret, places) == []
    assert failed


@pytest.mark.parametrize("debug", [False, True], ids=["production", "debug"])
@pytest.mark.parametrize("where", ["find_token", "is_use_due", "list"])
def test_report_of_request_has_no_imported_key(scene, memory, settings, tmp_path, monkeypatch, where, debug):
    settings.DEBUG = debug
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = True
    key = "0123456789abcdef0123456789abcdef01234567"
    services.import_token(scene.user, key, name="imported", duration="7d", scopes=[("channels", "*", "list")])
    modules = {"find_token": "pat_tokens.lookup", "is_use_due": "pat_tokens.services", "list": ""}
    monkeypatch.setattr(f"{modules[where] or 'tests.views.ChannelViewSet'}.{where}", fail)
    answer = Client(raise_request_exception=False, headers={"authorization": f"Token {key}"}).get("/api/channels/")
    assert answer.status_code == 500
    reports = {"answer": secret_locations.without_lines_of_code(answer.content.decode())}
    assert secret_locations.found(f"_{key}", {**reports, **everywhere(scene, memory, tmp_path)}) == []


def test_search_finds_planted_secret(scene, memory, settings, tmp_path, made):
    """A secret that is put into each place is found; otherwise the other tests would prove nothing."""
    answer = INTERFACES["page create"](scene)
    secret = str(scene.client.get(answer.url).context["revealed"].secret)
    assert made == [secret]
    body = secret[4:-6]
    PersonalAccessToken.objects.update(description=f"kept: {body}")
    session = scene.client.session
    session["kept"] = secret
    session.save()
    (tmp_path / "session").write_text(body[:20])
    cache.set("kept", [secret])
    logging.getLogger("anything").debug("kept %s", body[10:30])
    mail.mail_admins("kept", secret)
    expected = {
        "table pat_tokens_personalaccesstoken",
        "session",
        "sessions",
        "session files",
        "cache",
        "log",
        "mail 1",
    }
    assert expected <= set(secret_locations.found(secret, everywhere(scene, memory, tmp_path)))
