"""The `conftest.py` of the generated sites: clients with a token, and a user with books."""

import pytest
from django.contrib.auth import get_user_model

from pat_tokens.testing import client_with, make_token


@pytest.fixture
def make_pat_token(db):
    return make_token


@pytest.fixture
def pat_client(db):
    """Return a client with a new token of a user, in its attribute `pat_token`."""

    def make(user, *scopes):
        token, secret = make_token(user, *scopes)
        client = client_with(secret)
        client.pat_token = token
        return client

    return make


@pytest.fixture
def alice(db):
    return get_user_model().objects.create_user("alice")


@pytest.fixture
def emma(alice):
    return alice.book_set.create(title="Emma")


@pytest.fixture
def other(alice):
    return alice.book_set.create(title="Persuasion")
