"""Which make target runs a test, what a test needs, and which skips are failures.

MARKERS lists the markers. Two more are set here: `package` for every test that has no target of its own, and `database`
for every test that uses a database. So `make test` is `pytest -m package`.

If something that a marker requires is missing, the test is skipped with a reason. With `PAT_TOKENS_CI=1`, every skip is
a failure unless the test isn't applicable to this run, which the test itself decides: `not_applicable("...")`. If CI
leaves out tests on purpose, it deselects them (`-m "not browser"`) and runs them separately.
"""

import os
from collections.abc import Generator
from typing import Any, NoReturn, TypeVar

import django
import pytest
from django.conf import settings
from django.test import TransactionTestCase
from packaging.specifiers import SpecifierSet

from tests.services import chromium, redis_answers, strict

# Each has a target of make: test-browser, test-docs, ...
APART = {
    "browser": "drives Chromium; every test with the fixture `page`",
    "docs": "compares the documentation with the code, or does what a page says",
    "processes": "starts other processes: a site with other settings, a process that is killed",
    "races": "sends requests at the same time",
    "thorough": "sends generated input, raises at each line of a path, or counts objects over thousands of requests",
    "repository": "is about translations, packaging or the tests themselves",
}
MARKERS = {
    **APART,
    "postgres": "needs PostgreSQL as the database of the run, else it is not applicable",
    "sql": "depends on the SQL of a database: statements, locks, plans, errors, migrations",
    "mysql": "needs MariaDB or MySQL as the database of the run, else it is not applicable",
    "django_version(specifiers)": "is for these versions of Django, and not applicable to others",
    "redis": "needs a Redis that answers at REDIS_URL",
    "package": "set for all tests but those that have a target of their own",
    "database": "set for all tests that use a database",
}
NOT_APPLICABLE = "not applicable: "
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
ENGINES = {"postgres": "postgresql", "mysql": "mysql"}


def not_applicable(reason: str) -> NoReturn:
    """Skip the running test, in CI too, for something that can't be otherwise in this run."""
    pytest.skip(NOT_APPLICABLE + reason)


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "page" in fixtures:
            item.add_marker("browser")
        if not any(map(item.get_closest_marker, APART)):
            item.add_marker("package")
        if item.get_closest_marker("django_db") or "db" in fixtures or _is_django_test_case(item):
            item.add_marker("database")
    yield
    # At the end, after pytest-django has sorted tests by their use of transactions: Playwright leaves an
    # event loop running in this thread, in which synchronous tests of async code fail.
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    engine = settings.DATABASES["default"]["ENGINE"].rpartition(".")[2]
    for marker, wanted in ENGINES.items():
        if item.get_closest_marker(marker) and engine != wanted:
            not_applicable(f"the database of this run is {engine}, not {wanted}")
    for mark in item.iter_markers("django_version"):
        if not SpecifierSet(mark.args[0]).contains(django.__version__, prereleases=True):
            not_applicable(f"Django {django.__version__} is not {mark.args[0]}")
    if item.get_closest_marker("redis") and not redis_answers():
        pytest.skip("no Redis answers at REDIS_URL")
    if item.get_closest_marker("browser"):
        if chromium() is None:
            pytest.skip("no Chromium: install it or name its path in CHROMIUM")
        # Django refuses queries in a thread with an event loop, and Playwright's loop runs from now on.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


def _is_django_test_case(item: pytest.Item) -> bool:
    case = getattr(item, "cls", None)
    return isinstance(case, type) and issubclass(case, TransactionTestCase)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _judged((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _judged((yield))


def _judged(report: Report) -> Report:
    expected_to_fail = hasattr(report, "wasxfail")
    if report.skipped and strict() and not expected_to_fail:
        reason = _reason(report.longrepr)
        if not reason.startswith(NOT_APPLICABLE):
            report.outcome = "failed"
            report.longrepr = f"Skipped under PAT_TOKENS_CI=1: {reason}"
    return report


def _reason(longrepr: Any) -> str:
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return text.removeprefix("Skipped: ")
