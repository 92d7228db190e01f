"""The steps of the guide on key rotation: a secret works in each of them, in old and new processes."""

from itertools import pairwise
from typing import Any

import pytest
from django.test import override_settings

from pat_tokens.authentication import authenticate
from pat_tokens.exceptions import UnknownToken
from pat_tokens.requirements import ANY_TOKEN
from tests.docs.pages import read_blocks
from tests.factories import TokenFactory

PAGE = "how-to/key-rotation.md"
KEY = "the key of the site"

# Digests are updated after the request's transaction.
pytestmark = [pytest.mark.docs, pytest.mark.django_db(transaction=True)]


def steps(heading: str) -> list[dict[str, Any]]:
    """Return the settings of each step below a heading."""
    found = []
    for block in read_blocks(PAGE):
        if block.heading == heading and block.language == "python":
            names: dict[str, Any] = {"SECRET_KEY": KEY}
            exec(block.text, names)
            found.append({name: value for name, value in names.items() if name.isupper()})
    return found


ROTATIONS = [
    pytest.param(steps("SECRET_KEY"), id="SECRET_KEY"),
    pytest.param([{"SECRET_KEY": KEY}, *steps("Your own peppers")], id="PAT_TOKENS_PEPPERS"),
]


def works(secret: str, settings: dict[str, Any]) -> bool:
    with override_settings(**{"SECRET_KEY_FALLBACKS": [], **settings}):
        try:
            return authenticate(secret, ANY_TOKEN) is not None
        except UnknownToken:
            return False


def make(settings: dict[str, Any]) -> str:
    with override_settings(**{"SECRET_KEY_FALLBACKS": [], **settings}):
        return str(TokenFactory().secret)


@pytest.mark.parametrize("stages", ROTATIONS)
def test_used_secret_works_in_every_step(stages: list[dict[str, Any]]) -> None:
    secret = make(stages[0])
    for before, after in pairwise(stages):
        made_meanwhile = make(before)
        for one in (secret, made_meanwhile):
            # Old and new processes run at the same time, and the token is sent to both.
            assert [works(one, stage) for stage in (before, after, before, after)] == [True] * 4


@pytest.mark.parametrize("stages", ROTATIONS)
def test_only_unused_secret_stops_with_old_key(stages: list[dict[str, Any]]) -> None:
    used, unused = make(stages[0]), make(stages[0])
    assert works(used, stages[-2])
    assert (works(used, stages[-1]), works(unused, stages[-1])) == (True, False)


@pytest.mark.parametrize("stages", ROTATIONS)
def test_every_step_is_needed_with_old_processes(stages: list[dict[str, Any]]) -> None:
    secret = make(stages[0])
    assert works(secret, stages[2])  # a process with the new key stores the token under it
    assert not works(secret, stages[0])  # and a process without that key doesn't find the token


def test_page_has_these_steps() -> None:
    assert [len(steps(heading)) for heading in ("SECRET_KEY", "Your own peppers")] == [4, 3]
