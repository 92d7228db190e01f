"""sites.py DIRECTORY: add the package to third-party projects by following our how-to guide, and use a token there.

Each project is installed from the package index and started as shipped: `wagtail start`, and ARA, which uses Django
REST framework. The code blocks of docs/how-to/drf.md are added unchanged, with an entity type for the project's models.
Then a user logs in and creates a token on the page, and a program sends it.

Needs a Python with `uv`. All files are created in DIRECTORY. Servers listen on loopback.
"""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.pages import ROOT, find_block, read_blocks

HOW_TO = "how-to/drf.md"
NEW_SETTINGS, MORE_SETTINGS = "REST_FRAMEWORK = {", "*REST_FRAMEWORK["  # strings that identify the blocks
URLS, COMMANDS = "*urlpatterns", "python manage.py pat_routes"
STEP_SECONDS = 180
START_SECONDS = 60
PASSWORD = "alice-demo"


@dataclass
class Site:
    """A third-party project in its own virtual environment."""

    name: str
    packages: Sequence[str]
    directory: Path
    settings_file: str
    urls_file: str
    settings_block: str
    login_url: str  # a URL name
    entities_file: str
    entities: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def install(self, uv: Sequence[str], wheel: Path) -> None:
        run([*uv, "venv", "--quiet", "--python", sys.executable, str(self.directory / "venv")])
        python = str(self.directory / "venv/bin/python")
        run([*uv, "pip", "install", "--quiet", "--python", python, *self.packages, str(wheel)])
        self.project.mkdir()

    @property
    def project(self) -> Path:
        return self.directory / "project"

    def run(self, *command: str) -> str:
        """Run a command in the project, and return its output."""
        program = self.directory / "venv/bin" / command[0]
        return run([str(program), *command[1:]], cwd=self.project, env=self.variables())

    def variables(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "DJANGO_"))}
        return {**ours, "DJANGO_SUPERUSER_PASSWORD": PASSWORD, **self.environment}

    def follow_how_to(self) -> None:
        """Add the package as the guide says. Only `migrate` has to run before a user is created."""
        self.append(self.settings_file, find_block(HOW_TO, self.settings_block).text)
        self.append(self.settings_file, f'LOGIN_URL = "{self.login_url}"\n')
        self.append(self.urls_file, find_block(HOW_TO, URLS).text)
        (self.project / self.entities_file).write_text(self.entities)
        for command in find_block(HOW_TO, COMMANDS).text.splitlines():
            print(self.run(*command.split()).strip().splitlines()[-1])
        self.run(
            "python", "manage.py", "createsuperuser", "--no-input", "--username", "alice", "--email", "a@example.com"
        )

    def append(self, file: str, text: str) -> None:
        with (self.project / file).open("a") as opened:
            opened.write("\n" + text)

    @contextmanager
    def serve(self):
        """Run the site, and return its address."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        log = self.directory / "server.log"
        with log.open("w") as output:
            server = subprocess.Popen(
                [str(self.directory / "venv/bin/python"), "manage.py", "runserver", "--noreload", address],
                cwd=self.project, env=self.variables(), stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        try:
            deadline = time.monotonic() + START_SECONDS
            while not answers(address):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield f"http://{address}"
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


class Person:
    """A browser without JavaScript."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def open(self, path: str, data: Mapping[str, str] | None = None) -> tuple[str, str]:
        """Open a page, or submit its form, and return the resulting URL and content."""
        url = urllib.parse.urljoin(self.address, path)
        body = None
        if data is not None:
            _url, page = self.open(path)
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
            assert token, f"{url} has no form:\n{page[:2000]}"
            body = urllib.parse.urlencode({**data, "csrfmiddlewaretoken": token[1]}).encode()
        with self.opener.open(urllib.request.Request(url, body, {"Referer": url}), timeout=START_SECONDS) as answer:
            return answer.geturl(), answer.read().decode()

    def log_in(self) -> None:
        url, _page = self.open("/pats/")
        assert "login" in url, f"the pages redirect to {url} instead of a login page"
        url, _page = self.open(url, {"username": "alice", "password": PASSWORD})
        assert url == f"{self.address}/pats/", f"after the login came {url}"

    def make_token(self, entity_type: str, entity_id: str, operation: str) -> tuple[str, str]:
        """Return the path of a new token's page, and its secret."""
        names = ("scopes-0-entity_type", "scopes-0-entity_id", "scopes-0-operations")
        scope = dict(zip(names, (entity_type, entity_id, operation), strict=True))
        url, page = self.open("/pats/create/", {"name": "reader", "duration": "7d", **scope})
        secret = re.search(r"\bpat_[0-9A-Za-z]{49}\b", page)
        assert secret, f"{url} shows no secret"
        assert secret[0] not in self.open(url)[1], "the page shows the secret again"
        return url, secret[0]

    def revoke(self, url: str) -> None:
        self.open(f"{url}revoke/", {})


def check(address: str, secret: str | None, path: str, status: int, code: str | None = None) -> None:
    """Send a request like a program, and compare the response."""
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(address + path, headers=headers), timeout=30) as answer:
            got, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        got, body = error.code, error.read()
    who = "with the token" if secret else "without one"
    print(f"  GET {path} {who}: {got}")
    assert got == status, f"{status} was expected:\n{body.decode()[:2000]}"
    if code:
        assert json.loads(body)["code"] == code, body


def answers(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def run(command: Sequence[str], **options) -> str:
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=STEP_SECONDS,
        check=False,
        **options,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return done.stdout


WAGTAIL_API = """
from wagtail.api.v2.router import WagtailAPIRouter
from wagtail.api.v2.views import PagesAPIViewSet
from wagtail.images.api.v2.views import ImagesAPIViewSet

api_router = WagtailAPIRouter("wagtailapi")
api_router.register_endpoint("pages", PagesAPIViewSet)
api_router.register_endpoint("images", ImagesAPIViewSet)
urlpatterns = [path("api/v2/", api_router.urls), *urlpatterns]
"""

WAGTAIL_ENTITIES = """
from wagtail.models import Page

from pat_tokens.entities import EntityType, register
from pat_tokens.declarations import declare_view
from pat_tokens.requirements import Requirement


@register
class Pages(EntityType):
    name = "pages"
    model = Page
    search_fields = ("title",)

    def get_queryset(self, user):
        return Page.objects.live()


declare_view("wagtail.api.v2.views.PagesAPIViewSet", {"detail_view": Requirement("pages", "read", "pk")})
"""


def try_wagtail(site: Site) -> None:
    site.run("wagtail", "start", "mysite", ".")
    site.append("mysite/settings/base.py", 'INSTALLED_APPS += ["wagtail.api.v2"]\n')
    site.append("mysite/urls.py", WAGTAIL_API)
    site.run("python", "manage.py", "migrate", "--verbosity", "0")
    site.follow_how_to()
    with site.serve() as address:
        # Page 1 is the root of the tree, which Wagtail doesn't serve, and page 3 the home page.
        person = Person(address)
        person.log_in()
        url, secret = person.make_token("pages", "3", "read")
        check(address, secret, "/api/v2/pages/3/", 200)
        check(address, secret, "/api/v2/pages/2/", 403, "insufficient_scope")
        check(address, secret, "/api/v2/pages/", 403, "scope_not_declared")
        check(address, secret, "/api/v2/images/", 403, "scope_not_declared")
        check(address, secret, "/api/pats/", 403)
        check(address, None, "/api/v2/images/", 200)
        person.revoke(url)
        check(address, secret, "/api/v2/pages/3/", 401, "invalid_token")


ARA_MANAGE = """
import os
import sys

from django.core.management import execute_from_command_line

os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
execute_from_command_line(sys.argv)
"""

ARA_ENTITIES = """
from ara.api.models import Label, Playbook

from pat_tokens.entities import EntityType, register
from pat_tokens.declarations import declare_view
from pat_tokens.requirements import Requirement


@register
class Labels(EntityType):
    name = "labels"
    model = Label
    search_fields = ("name",)

    def get_queryset(self, user):
        return Label.objects.all()


@register
class Playbooks(EntityType):
    name = "playbooks"
    model = Playbook

    def get_queryset(self, user):
        return Playbook.objects.all()


declare_view("ara.api.views.PlaybookViewSet", {"list": Requirement("playbooks", "list")})
"""


def try_ara(site: Site) -> None:
    (site.project / "manage.py").write_text(ARA_MANAGE)
    (site.project / "reports").mkdir()
    (site.project / "reports/__init__.py").touch()
    # The project is an installed package, so its settings and URLs are extended in new modules.
    (site.project / "site_settings.py").write_text(
        'from ara.server.settings import *\n\nINSTALLED_APPS += ["reports"]\nROOT_URLCONF = "site_urls"\n'
    )
    (site.project / "site_urls.py").write_text("from ara.server.urls import urlpatterns\n")
    site.follow_how_to()
    names = "from ara.api.models import Label; [Label.objects.create(name=name) for name in ('nightly', 'weekly')]"
    site.run("python", "manage.py", "shell", "-c", names)
    with site.serve() as address:
        person = Person(address)
        person.log_in()
        url, secret = person.make_token("labels", "1", "read")
        check(address, None, "/api/v1/labels/1", 401)
        check(address, secret, "/api/v1/labels/1", 200)
        check(address, secret, "/api/v1/labels/2", 403, "insufficient_scope")
        check(address, secret, "/api/v1/labels", 403, "insufficient_scope")
        check(address, secret, "/api/v1/playbooks", 403, "insufficient_scope")
        check(address, secret, "/api/v1/hosts", 403, "scope_not_declared")
        check(address, secret, "/api/", 403, "scope_not_declared")
        person.revoke(url)
        check(address, secret, "/api/v1/labels/1", 401, "invalid_token")


def main(directory: Path) -> None:
    uv = (sys.executable, "-m", "uv")
    run(
        [
            *uv,
            "build",
            "--quiet",
            "--wheel",
            "--python",
            sys.executable,
            "--out-dir",
            str(directory / "dist"),
            str(ROOT),
        ]
    )
    (wheel,) = (directory / "dist").glob("*.whl")
    assert {block.language for block in read_blocks(HOW_TO)} == {"python", "sh"}
    sites = {
        try_wagtail: Site(
            "Wagtail",
            ("wagtail",),
            directory / "wagtail",
            settings_file="mysite/settings/base.py",
            urls_file="mysite/urls.py",
            settings_block=NEW_SETTINGS,
            login_url="wagtailadmin_login",
            entities_file="home/pat_entities.py",
            entities=WAGTAIL_ENTITIES,
        ),
        try_ara: Site(
            "ARA",
            ("ara[server]", "Django>=5.2"),
            directory / "ara",
            settings_file="site_settings.py",
            urls_file="site_urls.py",
            settings_block=MORE_SETTINGS,
            login_url="admin:login",
            entities_file="reports/pat_entities.py",
            entities=ARA_ENTITIES,
            environment={
                "ARA_BASE_DIR": str(directory / "ara/data"),
                "ARA_READ_LOGIN_REQUIRED": "true",
                "ARA_WRITE_LOGIN_REQUIRED": "true",
            },
        ),
    }
    for attempt, site in sites.items():
        print(f"{site.name}:", flush=True)
        site.install(uv, wheel)
        attempt(site)
        print(f"{site.name} works", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
