"""Secret to token, or TokenError: what every integration calls to authenticate a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError, connections
from django.utils import timezone

from pat_tokens import crypto, log_events, lookup, services, signals
from pat_tokens.conf import conf
from pat_tokens.exceptions import (
    ExpiredToken,
    InactiveOwner,
    InsufficientScope,
    LegacyKeyExpired,
    MalformedToken,
    RefusedToken,
    RevokedToken,
    ScopeNotDeclared,
    TemporarilyUnavailable,
    ThirdPartyToken,
    TokenError,
    UnknownToken,
)
from pat_tokens.http import client_agent, client_ip, read_bearer, read_legacy_key
from pat_tokens.models import PersonalAccessToken, owner_is_active
from pat_tokens.request_state import state_of
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement, required_scope_from_url
from pat_tokens.scopes import RequiredScope

if TYPE_CHECKING:
    from django.http import HttpRequest

_OUTAGE = (OperationalError, InterfaceError)


def read_secret(request: HttpRequest) -> str | None:
    """Return the secret that `request` carries in its header, or None; raises MalformedToken."""
    value = request.META.get(conf.header_key)
    if value is None:
        return None
    try:
        secret = read_bearer(value, keyword=conf.keyword, prefix=conf.prefix)
    except TokenError as error:
        refuse(error, request=request)
        raise
    if secret is None and conf.allow_legacy_keys:
        legacy = read_legacy_key(value, keyword=conf.keyword)
        return None if legacy is None else legacy[1]
    return secret


def legacy_scheme(request: HttpRequest) -> str | None:
    """Return the scheme, in lower case, of a request whose header has a key as of authtoken; None for all others."""
    legacy = read_legacy_key(request.META.get(conf.header_key, ""), keyword=conf.keyword)
    return None if legacy is None else legacy[0]


def has_secret_format(secret: str) -> bool:
    """Tell whether a token may have this secret: one of ours, or an imported key where the site allows them."""
    return crypto.is_well_formed(secret, conf.prefix) or (crypto.is_legacy_key(secret) and conf.allow_legacy_keys)


def authenticate(
    secret: str,
    requirement: Requirement | None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    filtered: bool = False,
    third_party: bool = False,
    request: HttpRequest | None = None,
) -> PersonalAccessToken:
    """Return the token that has this secret and may do what `requirement` asks, its `user` and `decision` loaded.

    `kwargs` are the URL keywords that the requirement takes its entity id from; `filtered` says that the view limits
    its list to the token's ids; `third_party` that what no token has may belong to another scheme. One SELECT; two more
    where a URL names its entity by other fields than the key.
    Raises InvalidToken (401); ScopeNotDeclared, where `requirement` is None, and InsufficientScope (403);
    ThirdPartyToken; TemporarilyUnavailable (503), where the database does not answer.
    """
    secret = crypto.hide(secret)
    if requirement is None or requirement is ANY_TOKEN:
        required_scope = None
    else:
        required_scope = required_scope_from_url(requirement, kwargs or {}, filtered=filtered)
        if required_scope is None:
            return _authenticate_by_lookup(secret, requirement, kwargs or {}, third_party, request)
    token = authenticate_for_scope(secret, required_scope, third_party=third_party, request=request)
    if requirement is None:
        raise refuse(ScopeNotDeclared(), token=token, request=request)
    return allow(token, request=request)


async def aauthenticate(
    secret: str,
    requirement: Requirement | None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    filtered: bool = False,
    request: HttpRequest | None = None,
) -> PersonalAccessToken:
    """Do what `authenticate` does without blocking the event loop."""
    secret = crypto.hide(secret)
    # Django looks after the connections of its own requests; nobody else would do so for others.
    ask = _authenticate_in_thread if request is None else authenticate
    return await sync_to_async(ask)(secret, requirement, kwargs, filtered=filtered, request=request)


def _authenticate_in_thread(*args: Any, **kwargs: Any) -> PersonalAccessToken:
    _close_stale_connections()
    try:
        return authenticate(*args, **kwargs)
    finally:
        _close_stale_connections()


def _close_stale_connections() -> None:
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:  # then somebody else is at work with it, as the tests of a site are
            connection.close_if_unusable_or_obsolete()


def authenticate_for_scope(
    secret: str, required_scope: RequiredScope | None, *, third_party: bool = False, request: HttpRequest | None = None
) -> PersonalAccessToken:
    """Return the live token with this secret, and its decision about `required_scope`, which the caller has to heed.

    Raises InvalidToken, TemporarilyUnavailable, and ThirdPartyToken where `third_party` is true and no token has this
    secret.
    Within one request nothing is asked twice.
    """
    known = {} if request is None else state_of(request).tokens
    key = secret, required_scope
    token = known.get(key)
    if token is None:
        try:
            token, newest_digest = _find_token(secret, required_scope)
            _check_validity(token, request)
            if token.digest != newest_digest:
                services.redigest_token(token, newest_digest, request=request)
        except TokenError as error:
            if third_party and isinstance(error, UnknownToken):
                raise ThirdPartyToken from None
            refuse(error, token=token, request=request)
            raise
        except _OUTAGE as error:
            raise _unavailable(error, request, token) from error
        known[key] = token
    return token


def allow(token: PersonalAccessToken, *, request: HttpRequest | None = None) -> PersonalAccessToken:
    """Return `token` if its decision is yes, and remember its use; else raise InsufficientScope."""
    if not token.decision:
        missing = () if token.decision is None else token.decision.missing
        raise refuse(InsufficientScope(missing), token=token, request=request)
    if services.is_use_due(token):
        if request is None:
            services.record_use(token)
        else:
            address = client_ip(request, conf.client_ip)
            services.record_use(token, ip=address, agent=client_agent(request), request=request)
    log_events.log_use(token, request)
    if signals.token_authenticated.receivers:
        signals.token_authenticated.send_robust(type(token), token=token, request=request)
    return token


def require_entity(token: PersonalAccessToken, entity_id: str, *, request: HttpRequest | None = None) -> None:
    """Raise InsufficientScope unless `token` may do with this entity, too, what it was allowed to do."""
    if token.decision is None or token.decision.required_scope is None:
        return
    with _database_answers(request, token):
        decision = lookup.decide_for_token(
            token, token.decision.required_scope._replace(entity_id=entity_id, filtered=False)
        )
    if not decision:
        raise refuse(InsufficientScope(decision.missing), token=token, request=request)


def refuse(
    error: TokenError, *, token: PersonalAccessToken | None = None, request: HttpRequest | None = None
) -> TokenError:
    """Tell the log and the site's receivers that `error` refuses a request, and return it to be raised."""
    log_events.log_refusal(error, token=token, request=request)
    signals.token_refused.send_robust(type(error), reason=error.reason, token=token, request=request)
    return error


@contextmanager
def _database_answers(request: HttpRequest | None, token: PersonalAccessToken | None = None) -> Iterator[None]:
    try:
        yield
    except _OUTAGE as error:
        raise _unavailable(error, request, token) from error


def _unavailable(error: Exception, request: HttpRequest | None, token: PersonalAccessToken | None = None) -> TokenError:
    log_events.log_outage(error)
    return refuse(TemporarilyUnavailable(), token=token, request=request)


def _find_token(secret: str, required_scope: RequiredScope | None) -> tuple[PersonalAccessToken, str]:
    """Return the token, be it dead or alive, and the digest that it should have under the newest pepper."""
    if not has_secret_format(secret):
        raise MalformedToken
    digests = crypto.digests(secret, conf.peppers)
    token = lookup.find_token(digests, required_scope)
    if token is None or not crypto.is_among(token.digest, digests):
        raise UnknownToken
    return token, digests[0]


def _check_validity(token: PersonalAccessToken, request: HttpRequest | None) -> None:
    if token.revoked_at is not None:
        raise RevokedToken
    if token.is_expired_at(timezone.now()):
        raise LegacyKeyExpired if token.is_legacy else ExpiredToken
    if token.owner_is_hidden or not owner_is_active(token.user):
        raise InactiveOwner
    if conf.refuse and (answer := conf.refuse(token, request)):
        raise RefusedToken(answer if isinstance(answer, str) else None)


def _authenticate_by_lookup(
    secret: str, requirement: Requirement, kwargs: Mapping[str, Any], third_party: bool, request: HttpRequest | None
) -> PersonalAccessToken:
    required_scope = RequiredScope(requirement.entity_type, requirement.operation)
    token = authenticate_for_scope(secret, required_scope, third_party=third_party, request=request)
    if not token.decision:
        with _database_answers(request, token):
            entity_id = find_entity_id(requirement, kwargs, token.user)
            # An entity that the owner cannot see is not named, not even by its id.
            if entity_id is not None:
                # A copy: the one that this request remembers stands for the scope for all.
                token = copy(token)
                token.decision = lookup.decide_for_token(token, required_scope._replace(entity_id=entity_id))
    return allow(token, request=request)


def find_entity_id(requirement: Requirement, kwargs: Mapping[str, Any], user: Any) -> str | None:
    if not isinstance(requirement.entity, EntityLookup):
        return None
    fields = {field: kwargs.get(keyword) for field, keyword in requirement.entity.fields}
    # PostgreSQL fails on a NUL, which no text of it can hold.
    if any(value is None or "\0" in str(value) for value in fields.values()):
        return None
    try:
        found = requirement.get_entity_type().get_queryset(user).filter(**fields).values_list("pk", flat=True)[:2]
        keys = {str(key) for key in found}
    except (ValidationError, ValueError, TypeError, OverflowError):  # a keyword that no such column can hold
        return None
    return keys.pop() if len(keys) == 1 else None


__all__ = ["aauthenticate", "authenticate", "read_secret"]
