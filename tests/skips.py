"""Which tests run here, and which skips are failures.

A test says with a marker what it needs:

- `postgres`, `mysql`: that database for the whole run; on another one the test is not applicable.
- `django_version(">=6.0")`: those versions of Django; on others the test is not applicable.
- `redis`, `browser`: a service. Where it is missing the test is skipped, and the reason says what is missing.
  A test that uses the fixture `page` is a browser test without saying so.
- `slow`: is skipped unless `--slow` is given.

Under `PAT_TOKENS_CI=1` nothing may be missing: slow tests run, and every skip is a failure unless the test
is not applicable. A reason that only the test itself can see is given by calling `not_applicable("...")`.
Where the CI leaves tests out of a run on purpose, it deselects them (`-m "not browser"`) and has another run
for them.
"""

import os
from collections.abc import Generator
from typing import Any, NoReturn, TypeVar

import django
import pytest
from django.conf import settings
from packaging.specifiers import SpecifierSet

from tests.services import chromium, redis_answers

NOT_APPLICABLE = "not applicable: "
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
ENGINES = {"postgres": "postgresql", "mysql": "mysql"}


def not_applicable(reason: str) -> NoReturn:
    """Skip the running test, in the CI too, for something that cannot be otherwise in this run."""
    pytest.skip(NOT_APPLICABLE + reason)


def strict() -> bool:
    """Whether a missing service or a skipped test is a failure."""
    return os.environ.get("PAT_TOKENS_CI") == "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    for item in items:
        if "page" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
    yield
    # Last of all, after pytest-django has put tests with transactions behind those without: Playwright leaves an
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
    if item.get_closest_marker("slow") and not (strict() or item.config.getoption("slow")):
        pytest.skip("slow: run with --slow")
    if item.get_closest_marker("browser"):
        if chromium() is None:
            pytest.skip("no Chromium: install it or name its path in CHROMIUM")
        # Django refuses the ORM where an event loop runs, and Playwright's runs here from now on.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


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
