"""The candidates: a route and a header each."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone
from knox.models import AuthToken
from oauth2_provider.models import AccessToken, Application
from rest_framework.authtoken.models import Token
from rest_framework_api_key.models import APIKey
from rest_framework_simplejwt.tokens import AccessToken as WebToken

from benchmarks.site.models import Channel
from pat_tokens.conf import conf
from pat_tokens.crypto import digests
from pat_tokens.models import PersonalAccessToken, Scope
from pat_tokens.services import create_token

LIFETIME = timedelta(days=1)


@dataclass(frozen=True)
class Candidate:
    """One way to authenticate a request."""

    name: str  # in the table
    path: str
    authorization: str | None = None


def make_candidates(scope_counts: Sequence[int] = (1, 50, 500)) -> list[Candidate]:
    """Return the candidates, the anonymous one first; each has a user with a single secret."""
    channel = Channel.objects.create(owner=_user("channel"), name="Measured")
    ours = [
        Candidate(
            f"pat_tokens, {count} scope{'s' if count > 1 else ''}",
            f"/ours/{channel.pk}/",
            f"Bearer {_secret(channel, count)}",
        )
        for count in scope_counts
    ]
    others: dict[str, tuple[str, Callable[[], str]]] = {
        "DRF authtoken": ("authtoken", lambda: f"Token {Token.objects.create(user=_user('authtoken')).key}"),
        "knox": ("knox", lambda: f"Token {AuthToken.objects.create(_user('knox'))[1]}"),
        "simplejwt": ("simplejwt", lambda: f"Bearer {WebToken.for_user(_user('simplejwt'))}"),
        "api-key": ("api-key", lambda: f"Api-Key {APIKey.objects.create_key(name='measured')[1]}"),
        "oauth-toolkit": ("oauth-toolkit", lambda: f"Bearer {_oauth_secret()}"),
    }
    return [
        Candidate("anonymous", f"/anonymous/{channel.pk}/"),
        *ours,
        Candidate("its SELECT alone", f"/select/{channel.pk}/", f"Digest {_digest(channel)}"),
        Candidate("its SELECT and instances", f"/instances/{channel.pk}/", f"Digest {_digest(channel)}"),
        *(
            Candidate(name, f"/{route}/{channel.pk}/", authorization())
            for name, (route, authorization) in others.items()
        ),
    ]


def _user(name: str) -> User:
    return User.objects.create(username=f"{name}-{User.objects.count()}")


def _secret(channel: Channel, count: int) -> str:
    token, secret = create_token(_user("ours"), name="measured")
    # Inserted directly, because a service would first check whether the user can see each of them.
    ids = [channel.pk, *range(10**9, 10**9 + count - 1)]
    Scope.objects.bulk_create(
        Scope(token=token, entity_type="channels", entity_id=str(number), operation="read") for number in ids
    )
    assert PersonalAccessToken.objects.get(pk=token.pk).scope_set.count() == count
    return secret


def _digest(channel: Channel) -> str:
    secret = _secret(channel, 50)
    return digests(secret, conf.peppers)[0]


def _oauth_secret() -> str:
    user = _user("oauth")
    application = Application.objects.create(
        name="measured",
        user=user,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
    )
    secret = secrets.token_urlsafe(32)
    AccessToken.objects.create(
        user=user, application=application, token=secret, scope="read", expires=timezone.now() + LIFETIME
    )
    return secret
