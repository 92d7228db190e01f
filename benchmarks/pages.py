"""The pages and the management API, with few and many rows to show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from benchmarks import timing
from benchmarks.site.models import Channel
from pat_tokens.models import PersonalAccessToken, Scope
from pat_tokens.services import create_token

MUCH = {"tokens": 100, "scopes": 50, "entities": 100_000}
LITTLE = {"tokens": 1, "scopes": 1, "entities": 1}

PATHS = {
    "page: list": "/pats/",
    "page: list, 100 rows, sorted by last use": "/pats/?rows=100&sort=-last_used_at&status=all",
    "page: token": "/pats/{token}/",
    "page: create": "/pats/create/",
    "API: list": "/api/pats/",
    "API: list, 100 rows": "/api/pats/?page_size=100",
    "API: token": "/api/pats/{token}/",
    "API: scopes": "/api/pats/{token}/scopes/",
    "API: entity types": "/api/pats/entities/",
    "API: entities, searched": "/api/pats/entities/channels/?search=channel",
}


def measure(effort: timing.Effort) -> dict[str, Any]:
    """Return the queries and the milliseconds of CPU (median) of each path, with few and with many rows to show."""
    with override_settings(MIDDLEWARE=settings.USUAL_MIDDLEWARE):
        return {name: _measure(amounts, effort) for name, amounts in (("little", LITTLE), ("much", MUCH))}


def check() -> None:
    """Raise AssertionError unless each path responds with 200."""
    with override_settings(MIDDLEWARE=settings.USUAL_MIDDLEWARE):
        _measure(LITTLE, timing.ONCE)


def _measure(amounts: dict[str, int], effort: timing.Effort) -> dict[str, dict[str, float]]:
    token = _make(amounts)
    client = Client()
    client.force_login(token.user)
    asks: dict[str, Callable[[int], None]] = {}
    queries = {}
    for name, path in PATHS.items():
        path = path.format(token=token.pk)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(path).status_code == 200, path
        queries[name] = len(captured)
        asks[name] = _repeat(client, path)
    small = timing.Effort(rounds=min(effort.rounds, 5), laps=1, repeats=2, warm_up=1)
    costs = timing.measure(asks, small)
    return {
        name: {"queries": queries[name], "ms": timing.Spread.of([cost.cpu * 1000 for cost in costs[name]]).median}
        for name in PATHS
    }


def _repeat(client: Client, path: str) -> Callable[[int], None]:
    def run(count: int) -> None:
        for _ in range(count):
            assert client.get(path).status_code == 200

    return run


def _make(amounts: dict[str, int]) -> PersonalAccessToken:
    user = User.objects.create(username=f"pages-{amounts['tokens']}")
    Channel.objects.bulk_create(
        (Channel(owner=user, name=f"Channel {number}") for number in range(amounts["entities"])), batch_size=1000
    )
    ids = Channel.objects.filter(owner=user).values_list("pk", flat=True)[: amounts["scopes"]]
    tokens = [create_token(user, name=f"Token {number}")[0] for number in range(amounts["tokens"])]
    Scope.objects.bulk_create(
        Scope(token=token, entity_type="channels", entity_id=str(pk), operation="read")
        for token in tokens
        for pk in ids
    )
    return tokens[0]
