"""The reader of the pages and her books; the `conftest.py` of the sites that the pages make."""

import pytest
from django.contrib.auth import get_user_model


@pytest.fixture
def alice(db):
    return get_user_model().objects.create_user("alice")


@pytest.fixture
def emma(alice):
    return alice.book_set.create(title="Emma")


@pytest.fixture
def other(alice):
    return alice.book_set.create(title="Persuasion")
