"""A fixture for both conftest.py, the tests' and the demo's: many cases in one test."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from django.db import transaction

Case = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def case(db: None, subtests: pytest.Subtests) -> Case:
    """One case of many, `with case(row):`. A failure does not stop the others, and what is written is undone."""

    @contextmanager
    def case(*what: object) -> Iterator[None]:
        with subtests.test(" ".join(ascii(each)[:80] for each in what)), transaction.atomic():
            yield
            transaction.set_rollback(True)

    return case
