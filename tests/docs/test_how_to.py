"""The Python code of the how-to guides works, on the tutorial's site, in the files that the pages name."""

import ast
import builtins
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, Block, find_block, fits, read_blocks
from tests.docs.sites import environment, run

pytestmark = pytest.mark.docs

TUTORIAL = "tutorial/first-token.md"
README = "../README.md"
LIBRARY = ROOT / "tests/docs/library"

# Pages whose files are added to the tutorial's site, in this order; plain Django views have their own site.
PAGES = [
    "how-to/drf.md",
    "how-to/ninja.md",
    "how-to/channels.md",
    "how-to/several-processes.md",
    "how-to/nginx.md",
    "how-to/testing.md",
    "how-to/commands.md",
]
PLAIN = "how-to/plain-django.md"
# Pages whose files need packages or views that these sites don't have. They are parsed here; test_middleware_pages.py
# and tests/integrations/ run most of them.
OTHERS = [
    "how-to/audit-packages.md",
    "how-to/error-envelopes.md",
    "how-to/idempotency-and-caches.md",
    "how-to/multi-tenancy.md",
    "how-to/oauth-and-api-keys.md",
    "how-to/reauthentication.md",
    "how-to/user-in-middleware.md",
]
PEOPLE = "how-to/custom-user-models.md"
LARGE = "how-to/third-party-views.md"
# Headings whose Python code is for existing files or a shell, and where it is run.
FRAGMENTS = {
    "how-to/activity.md": {"Record who made a change"},
    "how-to/drf.md": {"Settings", "URLs", "Entity types"},  # .ci/sites.py
    "how-to/key-rotation.md": {"SECRET_KEY", "Your own peppers"},  # test_key_rotation.py
    "how-to/languages.md": {  # tests/demo/test_languages.py
        "Use the language of the browser",
        "Let users choose",
        "Labels of your entity types",
    },
    "how-to/link-to-the-form.md": {"A new token", "A missing scope"},  # test_link_to_the_form.py
    "how-to/many-entities.md": {"Users with very many entities", "What to expect"},  # tests/test_query_plans.py
    "how-to/migrating-from-authtoken.md": {"Before you start", "Accept the old keys"},
    "how-to/migrating-from-knox.md": {"Accept both kinds of token", "Let knox tokens expire"},
    "how-to/reauthentication.md": {"Ask for the password again", "Use your own check"},
    "how-to/restyling.md": {"Your base template", "Bootstrap 5"},
    "how-to/departures.md": {"When somebody leaves"},  # tests/test_departures.py
    "how-to/service-accounts.md": {"Service accounts"},  # tests/users/test_managed.py
}
# The page's cache needs Redis.
OWN_CACHE = """
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
MIDDLEWARE.insert(0, "pat_tokens.middleware.PersonalAccessTokenMiddleware")
"""


def make_project(directory: Path, *pages: str) -> None:
    """Create a project with the files of these pages."""
    for app in ("mysite", "library"):
        (directory / app).mkdir()
        (directory / app / "__init__.py").touch()
    shutil.copy(LIBRARY / "books.py", directory / "conftest.py")
    (directory / "mysite/settings.py").write_text(BASE_SETTINGS)
    for page in pages:
        for block in read_blocks(page):
            if is_file(block):
                (directory / block.path).parent.mkdir(parents=True, exist_ok=True)
                block.write_to(directory)


def is_file(block: Block) -> bool:
    return block.path is not None and "/" in block.path


def make_site(directory: Path) -> None:
    make_project(directory, TUTORIAL, *PAGES)
    shutil.copy(LIBRARY / "urls.py", directory / "mysite/urls.py")
    shutil.copy(LIBRARY / "checks.py", directory / "test_pages.py")
    with (directory / "mysite/settings.py").open("a") as settings:
        settings.write(OWN_CACHE)


def make_site_of_plain_views(directory: Path) -> None:
    make_project(directory, PLAIN)
    (models,) = [block for block in read_blocks(TUTORIAL) if block.path == "library/models.py"]
    models.write_to(directory)
    with (directory / "mysite/urls.py").open("a") as urls:
        urls.write('urlpatterns.append(path("undeclared/", lambda request: None))\n')
    shutil.copy(LIBRARY / "plain_checks.py", directory / "test_pages.py")


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


def make_site_of_people(directory: Path, *, without_auth: bool = False) -> None:
    make_project(directory, TUTORIAL, PEOPLE)
    shutil.copy(LIBRARY / "people_checks.py", directory / "test_pages.py")
    urls = directory / "mysite/urls.py"
    left_out = ("admin", "auth.urls", "pat_tokens.urls") if without_auth else ("admin",)
    urls.write_text(
        "".join(line for line in urls.read_text().splitlines(keepends=True) if not any(one in line for one in left_out))
    )
    with (directory / "mysite/settings.py").open("a") as settings:
        settings.write('INSTALLED_APPS.remove("django.contrib.admin")\n')
        if without_auth:
            settings.write(WITHOUT_AUTH)


WITHOUT_AUTH = """
INSTALLED_APPS.remove("django.contrib.auth")
MIDDLEWARE = [one for one in MIDDLEWARE if "contrib.auth" not in one]
TEMPLATES[0]["OPTIONS"]["context_processors"].remove("django.contrib.auth.context_processors.auth")
"""


def run_tests_of(site: Path, *files: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."]
    done = run(
        [*command, "-p", "pytest_django.plugin", "--ds", "mysite.settings", *files],
        {**environment(site.parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=site,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def make_site_of_readme(directory: Path) -> None:
    make_project(directory)
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


MANAGE = """
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
execute_from_command_line(sys.argv)
"""


def make_large_site(directory: Path) -> None:
    make_project(directory)
    shutil.copytree(LIBRARY / "large", directory / "library", dirs_exist_ok=True)
    (directory / "library/urls.py").rename(directory / "mysite/urls.py")
    (directory / "library/checks.py").rename(directory / "test_pages.py")
    (directory / "manage.py").write_text(MANAGE)
    for block in read_blocks(TUTORIAL):
        if block.path == "mysite/settings.py":
            block.write_to(directory)


def follow(blocks: list[Block], site: Path) -> None:
    """Write the files and run the commands, and compare what they print, or write, with the page."""
    (site.parent / "steps").mkdir()
    variables, printed = environment(site.parent / "steps"), ""
    for block in blocks:
        if block.path:
            block.write_to(site)
            printed = (site / "library/pat_declarations.py").read_text() if block.is_addition else ""
        elif block.language == "sh":
            done = run(["bash", "-ec", block.text], variables, cwd=site)
            assert done.returncode == 0, done.stderr
            printed = done.stdout
        else:
            assert fits(f"...\n{block.text}\n...", f"\n{printed}\n"), f"{printed}\nand not\n{block.text}"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The directory of a new site."""
    directory = tmp_path / "site"
    directory.mkdir()
    return directory


@pytest.mark.usefixtures("own_database")
def test_how_to_code_works_in_one_site(site: Path) -> None:
    make_site(site)
    run_tests_of(site, "test_pages.py", "library/test_tokens.py", "library/tests.py")


@pytest.mark.usefixtures("own_database")
def test_plain_views_need_only_their_page(site: Path) -> None:
    make_site_of_plain_views(site)
    run_tests_of(site, "test_pages.py")


@pytest.mark.usefixtures("own_database")
def test_custom_user_model_page_works(site: Path) -> None:
    make_site_of_people(site)
    run_tests_of(site, "test_pages.py")


@pytest.mark.usefixtures("own_database")
def test_site_without_contrib_auth_works(site: Path) -> None:
    make_site_of_people(site, without_auth=True)
    run_tests_of(site, "test_pages.py")
    with (site / "mysite/urls.py").open("a") as urls:
        urls.write('urlpatterns.append(path("pats/", include("pat_tokens.urls")))\n')
    done = run(
        [sys.executable, "-m", "django", "check", "--settings", "mysite.settings"],
        {**os.environ, "PYTHONPATH": f"{site}:{ROOT}"},
        cwd=site,
    )
    assert done.stderr.splitlines()[-1].startswith(
        "django.core.exceptions.ImproperlyConfigured: The pages of pat_tokens need django.contrib.auth"
    )


@pytest.mark.usefixtures("own_database")
def test_large_site_is_declared_by_its_page(site: Path) -> None:
    make_large_site(site)
    blocks = read_blocks(LARGE)
    follow(blocks[: [block.heading for block in blocks].index("In CI")], site)
    run_tests_of(site, "test_pages.py")


@pytest.mark.usefixtures("own_database")
def test_readme_is_complete(site: Path) -> None:
    make_site_of_readme(site)
    run_tests_of(site, "test_pages.py")


def test_repeated_code_is_identical() -> None:
    for file in ("library/pat_entities.py", "mysite/settings.py"):
        (printed,) = [block.text for block in read_blocks(TUTORIAL) if block.path == file]
        shown = "\n".join(block.text for block in read_blocks("how-to/drf.md"))
        assert printed.replace(', "library"]', "]").strip() in shown


def test_python_blocks_name_their_file() -> None:
    pages = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.glob("how-to/*.md"))
    nameless = [
        (page, block.text)
        for page in pages
        for block in read_blocks(page)
        if block.language == "python" and not is_file(block) and block.heading not in FRAGMENTS.get(page, ())
    ]
    assert nameless == [], "begin the paragraph before it with `folder/file.py`"


def test_files_have_their_imports() -> None:
    for page in (*PAGES, PLAIN, PEOPLE, *OTHERS):
        files: dict[str, str] = {}
        for block in read_blocks(page):
            if block.language == "python" and is_file(block) and block.path != "mysite/settings.py":
                files[str(block.path)] = files.get(str(block.path), "") + block.text
        for file, text in files.items():
            imported, bound, used = names_of(text)
            assert imported <= used, (page, file)
            assert used <= imported | bound | set(dir(builtins)), (page, file)


def names_of(text: str) -> tuple[set[str], set[str], set[str]]:
    """Return the names that a module imports, defines, and uses."""
    imported: set[str] = set()
    bound: set[str] = set()
    used: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                imported |= {one.asname or one.name.partition(".")[0] for one in names}
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name) | ast.arg(arg=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                bound.add(name)
    return imported, bound, used


def test_python_blocks_parse_and_import() -> None:
    for page in (ROOT / "README.md", *DOCS.glob("**/*.md")):
        for block in read_blocks(page):
            if block.language == "python":
                for node in ast.walk(ast.parse(block.text, str(page))):
                    if isinstance(node, ast.ImportFrom) and str(node.module).startswith("pat_tokens"):
                        exec(compile(ast.unparse(node), str(page), "exec"), {})
