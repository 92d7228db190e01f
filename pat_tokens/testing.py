"""Test helpers for sites: create tokens, and clients that send them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, TypeVar, overload

from django.test import Client

from pat_tokens.conf import conf
from pat_tokens.exceptions import InvalidInput
from pat_tokens.scopes import ScopeKey
from pat_tokens.services import create_token

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from pat_tokens.models import PersonalAccessToken

_ClientT = TypeVar("_ClientT", bound=Client)


def make_token(
    user: AbstractBaseUser, *scopes: str | tuple[str, str, str], **fields: Any
) -> tuple[PersonalAccessToken, str]:
    """Return a new token of `user` and its secret: `make_token(user, "channels:*:read", "channels:42:publish")`.

    It is created by the service, so `user` has to see the entities. `fields` are those of `services.create_token`.
    """
    fields.setdefault("name", f"test {uuid.uuid4()}")
    return create_token(user, scopes=[_parse(scope) for scope in scopes], **fields)


def headers_with(secret: str) -> dict[str, str]:
    """Return request headers with `secret`, for `client.get(path, headers=...)`."""
    return {conf.header: f"{conf.keyword} {secret}"}


@overload
def client_with(secret: str) -> Client: ...
@overload
def client_with(secret: str, client_class: type[_ClientT]) -> _ClientT: ...
def client_with(secret: str, client_class: type[Client] = Client) -> Client:
    """Return a test client, Django's own or of `client_class`, that sends `secret` with each request.

    An AsyncClient doesn't keep its headers; pass `headers_with(secret)` to each of its requests.
    """
    return client_class(headers=headers_with(secret))


def _parse(scope: str | tuple[str, str, str]) -> ScopeKey:
    if not isinstance(scope, str):
        return ScopeKey(*scope)
    try:
        return ScopeKey.parse(scope)
    except ValueError as error:
        raise InvalidInput({"scopes": [f"{scope}: {error}"]}) from None


__all__ = ["client_with", "headers_with", "make_token"]
