"""The fixture `case`: several cases in one test."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from django.db import transaction

Case = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def case(db: None, subtests: pytest.Subtests) -> Case:
    """Run one case of several: `with case(row):`. A failure doesn't stop the others, and writes are rolled back."""

    @contextmanager
    def case(*what: object) -> Iterator[None]:
        with subtests.test(" ".join(ascii(each)[:80] for each in what)), transaction.atomic():
            yield
            transaction.set_rollback(True)

    return case
