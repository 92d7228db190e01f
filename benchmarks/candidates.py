"""The candidates: a route and a header each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from knox.models import AuthToken
from rest_framework.authtoken.models import Token
from rest_framework_simplejwt.tokens import AccessToken as WebToken

from benchmarks import ANONYMOUS, AUTHTOKEN, INSTANCES, OURS
from benchmarks.site.models import Channel
from pat_tokens.conf import conf
from pat_tokens.crypto import digests
from pat_tokens.models import PersonalAccessToken, Scope
from pat_tokens.services import create_token, rotate_token


@dataclass(frozen=True)
class Candidate:
    """One way to authenticate a request."""

    name: str  # in the table
    path: str
    authorization: str | None = None


def make_candidates() -> list[Candidate]:
    """Return the candidates, the anonymous one first; each has a user with a single secret."""
    channel = Channel.objects.create(owner=_user("channel"), name="Measured")
    ours = {
        "pat_tokens, 1 scope": _secret(channel, 1),
        OURS: _secret(channel, 50),
        "pat_tokens, 500 scopes": _secret(channel, 500),
        "with networks": _secret(channel, 50, allowed_networks=["127.0.0.0/8", "10.0.0.0/8"]),
        "during an overlap": _rotated(channel),
    }
    others: dict[str, tuple[str, Callable[[], str]]] = {
        AUTHTOKEN: ("authtoken", lambda: f"Token {Token.objects.create(user=_user('authtoken')).key}"),
        "knox": ("knox", lambda: f"Token {AuthToken.objects.create(_user('knox'))[1]}"),
        "simplejwt": ("simplejwt", lambda: f"Bearer {WebToken.for_user(_user('simplejwt'))}"),
    }
    (digest,) = digests(_secret(channel, 50), conf.peppers)
    return [
        Candidate(ANONYMOUS, f"/anonymous/{channel.pk}/"),
        *(Candidate(name, f"/ours/{channel.pk}/", f"Bearer {secret}") for name, secret in ours.items()),
        Candidate(INSTANCES, f"/instances/{channel.pk}/", f"Digest {digest}"),
        *(Candidate(name, f"/{path}/{channel.pk}/", header()) for name, (path, header) in others.items()),
    ]


def _user(name: str) -> User:
    return User.objects.create(username=f"{name}-{User.objects.count()}")


def _secret(channel: Channel, count: int, **fields: Any) -> str:
    token, secret = create_token(_user("ours"), name="measured", **fields)
    # Inserted directly, because a service would first check whether the user can see each of them.
    ids = [channel.pk, *range(10**9, 10**9 + count - 1)]
    Scope.objects.bulk_create(
        Scope(token=token, entity_type="channels", entity_id=str(number), operation="read") for number in ids
    )
    assert PersonalAccessToken.objects.get(pk=token.pk).scope_set.count() == count
    return secret


def _rotated(channel: Channel) -> str:
    _secret(channel, 50)
    return rotate_token(PersonalAccessToken.objects.latest("created_at"))[1]
