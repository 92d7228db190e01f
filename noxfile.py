"""The sessions that CI runs in addition to `make test`; `nox --list` lists them, and .ci/run starts them.

Each session has its own environment. The services are expected at POSTGRES_URL, MYSQL_URL and REDIS_URL.
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = True

VERSIONS = [
    nox.param("3.11", "5.2", id="django5.2"),
    nox.param("3.12", "6.0", id="django6.0"),
    nox.param("3.13", "6.1", id="django6.1"),
]
OLDEST = VERSIONS[0].args[0]
NEWEST, NEWEST_DJANGO = VERSIONS[-1].args
EVERY_VERSION = nox.parametrize(["python", "django"], VERSIONS)
SERVICES = {
    "POSTGRES_URL": "postgres://postgres@127.0.0.1:5432/postgres",
    "MYSQL_URL": "mysql://root@127.0.0.1:3306/test",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
}
URL = {name: os.environ.get(name, default) for name, default in SERVICES.items()}
DATABASES = {"sqlite": None, "postgresql": URL["POSTGRES_URL"], "mariadb": URL["MYSQL_URL"]}
HERE = {"PYTHONPATH": "."}


def install(session: nox.Session, *groups: str, django: str | None = None) -> None:
    """Install the dependencies of the package and of these groups; the package itself is used from this directory."""
    chosen = [f"Django~={django}.0"] if django else []
    session.install(
        "-r", "pyproject.toml", "--all-extras", *(f"--group={group}" for group in groups), *chosen, silent=True
    )


def pytest(session: nox.Session, *args: str, database: str = "sqlite", **env: str | None) -> None:
    """Run pytest on a database; avoidable skips are failures (tests/skips.py)."""
    env = {"PAT_TOKENS_CI": "1", "DATABASE_URL": DATABASES[database], "REDIS_URL": None, **env}
    session.run("python", "-m", "pytest", *args, *session.posargs, env=env)


# The longest come first, because .ci/run starts them in this order.


# Every version of Django and every database has one run of all tests of the package; the other pairs have the tests
# that depend on both. `make test` runs all on SQLite with the Django of the oldest Python. Races depend on the
# database alone.
WHOLE = {("sqlite", "5.2"), ("sqlite", "6.1"), ("postgresql", "6.0"), ("mariadb", "6.1")}


@nox.session
@EVERY_VERSION
@nox.parametrize("database", [nox.param(name, id=name) for name in ("mariadb", "postgresql", "sqlite")])
def tests(session: nox.Session, database: str, django: str) -> None:
    """Test the package: everything and races (WHOLE), or what depends on the SQL of a database."""
    install(session, "browser", django=django)
    if (database, django) not in WHOLE:
        pytest(session, "-m", "package and sql", database=database)
    elif database == "sqlite":
        pytest(session, "-m", "package", database=database)
    else:
        tests = "(package and database) or races or (thorough and not processes)"
        # `thorough` generates more examples on SQLite; here they are about what a database does differently.
        pytest(session, "-m", tests, "--hypothesis-profile=default", database=database)


@nox.session
@nox.parametrize(["python", "django"], [VERSIONS[0], VERSIONS[-1]])
def processes(session: nox.Session, django: str) -> None:
    """Run the tests that start other processes: sites with other settings, processes that are killed."""
    install(session, "browser", django=django)
    pytest(session, "-m", "processes")


@nox.session(python=OLDEST)
def thorough(session: nox.Session) -> None:
    """Send generated input and take long ways through the code, on SQLite; `tests` does on other databases."""
    install(session, "browser")
    pytest(session, "-m", "thorough and not processes")


@nox.session
@nox.parametrize(["python", "django"], [VERSIONS[0], VERSIONS[-1]])
def browser(session: nox.Session, django: str) -> None:
    """Run the tests in Chromium; with the oldest Django only those of the admin, whose templates are Django's."""
    install(session, "browser", django=django)
    admin_only = ["tests/browser/test_admin.py"] if django == "5.2" else []
    pytest(session, "-m", "browser", *admin_only)


@nox.session
@nox.parametrize(
    ["python", "django", "database", "redis"],
    [
        nox.param("3.11", "5.2", "sqlite", False, id="django5.2"),
        nox.param("3.12", "6.0", "postgresql", True, id="django6.0"),
        nox.param("3.13", "6.1", "mariadb", True, id="django6.1"),
    ],
)
def demo(session: nox.Session, django: str, database: str, redis: bool) -> None:
    """Test the demo once on each database, with its own broker and with Redis."""
    install(session, "browser", django=django)
    manage = ("python", "-W", "error", "-m", "django")
    session.run(*manage, "makemigrations", "--check", "--dry-run", "--settings=tests.settings", env=HERE)
    session.run(*manage, "check", "--fail-level=WARNING", "--settings=demo_project.settings", env=HERE)
    if redis:
        pytest(session, "tests/demo", database=database, REDIS_URL=URL["REDIS_URL"])
    else:
        pytest(session, "tests/demo", "-m", "not redis", database=database)


@nox.session(python=OLDEST)
def sites(session: nox.Session) -> None:
    """Add the package to third-party projects, and use a token there."""
    session.install("uv")
    with TemporaryDirectory() as directory:
        session.run("python", ".ci/sites.py", directory, env=HERE)


@nox.session(python=OLDEST)
def oldest(session: nox.Session) -> None:
    """Test with the lowest versions of REST framework and other dependencies that pyproject.toml allows."""
    session.install("-r", "pyproject.toml", "--all-extras", "--resolution=lowest-direct", silent=True)
    session.install(
        "-r", "pyproject.toml", "--all-extras", "--group=test", silent=True
    )  # doesn't upgrade installed packages
    # Old versions raise warnings that newer ones have fixed.
    ignored = [f"-Wignore::{warning}" for warning in ("DeprecationWarning", "PendingDeprecationWarning")]
    pytest(session, *ignored, "-m", "package", "tests/contrib/rest_framework")


@nox.session(python="3.12")
def integrations(session: nox.Session) -> None:
    """Test sites with third-party packages, each with its own settings."""
    install(session, "test", "integrations", django="6.0")
    for settings in sorted(Path("tests/integrations").glob("*/settings.py")):
        site = settings.parent
        pytest(session, str(site), f"--ds={'.'.join(site.parts)}.settings", POSTGRES_URL=URL["POSTGRES_URL"])


@nox.session(python=NEWEST)
def docs(session: nox.Session) -> None:
    """Build the documentation, compare it with the code, and follow its instructions."""
    install(session, "browser", "docs", django=NEWEST_DJANGO)
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", session.create_tmp())
    pytest(session, "-m", "docs")


@nox.session(python=NEWEST)
def repository(session: nox.Session) -> None:
    """Check translations, packaging and the tests themselves."""
    install(session, "browser", django=NEWEST_DJANGO)
    pytest(session, "-m", "repository")


@nox.session(python=OLDEST)
def types(session: nox.Session) -> None:
    """Check types, and those that a user's site sees."""
    install(session, "browser", "lint")
    session.run("mypy")
    session.run("mypy", "--config-file", "tests/typed_site/mypy.ini", env=HERE)
    session.run("pyright", "--project", "tests/typed_site", "--pythonpath", f"{session.bin}/python")


@nox.session(python=OLDEST)
def wheel(session: nox.Session) -> None:
    """Build wheel and sdist, and use the wheel in an empty environment."""
    session.install("build", "twine", "uv")
    with TemporaryDirectory() as directory:
        session.run(".ci/wheel", session.bin, directory, external=True)


@nox.session(python=NEWEST)
def benchmarks(session: nox.Session) -> None:
    """Check that all candidates respond correctly, without measuring."""
    install(session, "bench", django=NEWEST_DJANGO)
    session.run("python", "-m", "benchmarks", "--check", env=HERE)


@nox.session(python=OLDEST)
def lint(session: nox.Session) -> None:
    """Check style, format and the direction of imports."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--cache-dir", session.create_tmp(), env=HERE)
