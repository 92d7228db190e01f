"""The Python of the how-to pages runs: in the site of the tutorial, with the imports that a page leaves out."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, find_block, read_blocks
from tests.docs.sites import environment

SECONDS = 400  # before it gives up; an idle machine takes ten
TUTORIAL = "tutorial/first-token.md"
README = "../README.md"
LIBRARY = ROOT / "tests/docs/library"

DRF = """
from library.models import Book
from library.views import BookViewSet
from rest_framework.decorators import action, api_view
from rest_framework.response import Response
from rest_framework.views import APIView

from pat_tokens.requirements import Requirement
"""
PLAIN = """
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import JsonResponse
from django.shortcuts import get_object_or_404
from django.views.generic import DetailView
from library.models import Book

from pat_tokens.decorators import pat_requirements
from pat_tokens.requirements import Requirement
"""
# file: what the page takes for granted, the page, and a part of the block.
MODULES = {
    "library/drf_report.py": (DRF, "how-to/drf.md", "class Report("),
    "library/drf_viewset.py": (DRF, "how-to/drf.md", "class LockableBookViewSet("),
    "library/drf_function.py": (DRF, "how-to/drf.md", "def lend("),
    "library/drf_lookup.py": (DRF, "how-to/drf.md", "Lookup("),
    "library/plain_function.py": (PLAIN, "how-to/plain-django.md", "def book("),
    "library/plain_class.py": (PLAIN, "how-to/plain-django.md", "class BookDetail("),
    "library/plain_list.py": (PLAIN, "how-to/plain-django.md", "def books("),
    "library/ninja_api.py": ("from library.models import Book", "how-to/ninja.md", "NinjaAPI("),
    "library/ninja_lists.py": ("from library.ninja_api import *", "how-to/ninja.md", "limits_list=True"),
    "library/consumers.py": (
        "from channels.generic.websocket import AsyncJsonWebsocketConsumer",
        "how-to/channels.md",
        "class BookConsumer(",
    ),
    "library/routing.py": (
        "from django.urls import path\nfrom library.consumers import BookConsumer\n"
        'websocket_urlpatterns = [path("books/<int:pk>/", BookConsumer.as_asgi())]',
        "how-to/channels.md",
        None,
    ),
    "mysite/asgi.py": (
        'import os\nos.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"',
        "how-to/channels.md",
        "ProtocolTypeRouter(",
    ),
    "library/ticking.py": ("", "how-to/several-processes.md", "watch("),
    "mysite/routers.py": ("", "how-to/several-processes.md", "class TokensOnPrimary"),
    "mysite/proxies.py": ("", "how-to/nginx.md", "def client_ip"),
    "library/test_tokens.py": ("", "how-to/testing.md", "def test_reads_one_book"),
    "library/tests.py": ("", "how-to/testing.md", "class TokenTests"),
    "library/lending.py": ("from pat_tokens.entities import EntityType", "how-to/drf.md", 'Operation("lend"'),
    "mysite/health.py": ("", "how-to/commands.md", "def health("),
}
# Headings below which the blocks of a page are run by something else.
ELSEWHERE = {
    "how-to/drf.md": {"Settings", "URLs", "What tokens can be for"},  # .ci/sites.py
    "how-to/plain-django.md": {"Plain Django views"},  # its middleware: make_site, below
}
# What is added to the settings. The cache is not: it needs Redis, and Django's own tests that it works.
SETTINGS = [("how-to/nginx.md", "PAT_TOKENS_CLIENT_IP"), ("how-to/several-processes.md", "DEFAULT_THROTTLE_RATES")]
REST_OF_MIDDLEWARE = """
MIDDLEWARE[-1:] = [
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
"""


def make_site(directory: Path) -> None:
    for app in ("mysite", "library", "templates"):
        (directory / app).mkdir()
        (directory / app / "__init__.py").touch()
    (directory / "mysite/settings.py").write_text(BASE_SETTINGS)
    for block in read_blocks(TUTORIAL):
        if block.path:
            block.write_to(directory)
    shutil.copy(LIBRARY / "urls.py", directory / "mysite/urls.py")
    shutil.copy(LIBRARY / "checks.py", directory / "test_pages.py")
    (directory / "templates/book.html").write_text("{{ object }}")
    for file, (before, page, part) in MODULES.items():
        (directory / file).write_text(before + "\n" + (find_block(page, part).text if part else ""))
    with (directory / "mysite/settings.py").open("a") as settings:
        settings.write(find_block("how-to/plain-django.md", "MIDDLEWARE = [").text)
        for page, part in SETTINGS:
            settings.write(find_block(page, part).text)
        settings.write(REST_OF_MIDDLEWARE)


BASE_SETTINGS = """
SECRET_KEY = "only for the site that is made of the documentation, and for nothing else"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "mysite.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": ["templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
"""


def make_site_of_people(directory: Path) -> None:
    page = "how-to/custom-user-models.md"
    for app in ("mysite", "library", "accounts"):
        (directory / app).mkdir()
        (directory / app / "__init__.py").touch()
    (directory / "mysite/settings.py").write_text(BASE_SETTINGS)
    for block in read_blocks(TUTORIAL) + read_blocks(page):
        if block.path and "/" in block.path:
            block.write_to(directory)
    shutil.copy(LIBRARY / "people_checks.py", directory / "test_pages.py")
    urls = directory / "mysite/urls.py"
    urls.write_text("".join(line for line in urls.read_text().splitlines(keepends=True) if "admin" not in line))
    with (directory / "mysite/settings.py").open("a") as settings:
        settings.write(
            find_block(page, "PAT_TOKENS_REFUSE").text
            + 'INSTALLED_APPS = ["accounts", *INSTALLED_APPS[1:4], *INSTALLED_APPS[-3:]]\n'
            'AUTH_USER_MODEL = "accounts.Person"\nLOGIN_URL = "/login/"\n'
        )
    job = find_block(page, "delete_tokens(user)").text.replace("delete_tokens(user)", "")
    (directory / "accounts/job.py").write_text(f"{job}\ndef delete_all(user):\n    delete_tokens(user)\n")


def run_tests_of(site: Path, *files: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."]
    done = subprocess.run(
        [*command, "--ds", "mysite.settings", "-p", "pat_tokens.contrib.pytest.plugin", *files],
        cwd=site,
        env=environment(site.parent),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def make_site_of_readme(directory: Path) -> None:
    for app in ("mysite", "library"):
        (directory / app).mkdir()
        (directory / app / "__init__.py").touch()
    for block in read_blocks(TUTORIAL):
        if block.path in {"library/models.py", "library/views.py"}:
            block.write_to(directory)
    (directory / "mysite/settings.py").write_text(
        BASE_SETTINGS
        + find_block(README, "REST_FRAMEWORK").text
        + 'INSTALLED_APPS += ["library"]\nLOGIN_URL = "/login/"\n'
    )
    (directory / "library/pat_entities.py").write_text(find_block(README, "@register").text)
    (directory / "mysite/urls.py").write_text(README_URLS + find_block(README, "*urlpatterns").text)
    shutil.copy(LIBRARY / "readme_checks.py", directory / "test_pages.py")


README_URLS = """
from django.urls import include, path
from library.views import BookViewSet
from rest_framework.routers import SimpleRouter

router = SimpleRouter()
router.register("books", BookViewSet)
urlpatterns = [path("api/", include(router.urls))]
"""


@pytest.mark.slow
@pytest.mark.usefixtures("own_database")
def test_the_snippets_work_in_one_site(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    make_site(site)
    run_tests_of(site, "test_pages.py", "library/test_tokens.py", "library/tests.py")


@pytest.mark.slow
@pytest.mark.usefixtures("own_database")
def test_users_may_be_of_any_model(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    make_site_of_people(site)
    run_tests_of(site, "test_pages.py")


@pytest.mark.slow
@pytest.mark.usefixtures("own_database")
def test_the_readme_is_enough(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    make_site_of_readme(site)
    run_tests_of(site, "test_pages.py")


def test_what_two_pages_show_is_the_same() -> None:
    for file in ("library/pat_entities.py", "mysite/settings.py"):
        (printed,) = [block.text for block in read_blocks(TUTORIAL) if block.path == file]
        shown = "\n".join(block.text for block in read_blocks("how-to/drf.md"))
        assert printed.partition("\nLOGIN_URL")[0].replace(', "library"]', "]").strip() in shown


@pytest.mark.parametrize("page", sorted({page for _before, page, _part in MODULES.values()}))
def test_every_block_of_these_pages_is_run(page: str) -> None:
    parts = [part for _before, of, part in MODULES.values() if of == page and part]
    parts += [part for of, part in SETTINGS if of == page]
    left = [
        block.text
        for block in read_blocks(page)
        if block.language == "python" and not any(part in block.text for part in parts)
        if block.heading not in ELSEWHERE.get(page, ())
    ]
    assert left == [], "name a file for it in MODULES, and ask it in library/checks.py"


@pytest.mark.parametrize(
    "page", sorted([ROOT / "README.md", *DOCS.glob("**/*.md")]), ids=lambda page: str(page.relative_to(ROOT))
)
def test_all_python_can_be_read_and_imports_what_there_is(page: Path) -> None:
    for block in read_blocks(page):
        if block.language == "python":
            for node in ast.walk(ast.parse(block.text)):
                if isinstance(node, ast.ImportFrom) and str(node.module).startswith("pat_tokens"):
                    exec(compile(ast.unparse(node), str(page), "exec"), {})
