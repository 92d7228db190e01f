"""Authenticate a request: return the token that belongs to a secret, or raise TokenError.

Every integration calls this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import connections
from django.urls import Resolver404, get_resolver
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from pat_tokens import activity, crypto, links, log_events, lookup, scope_usage, services, signals
from pat_tokens.conf import conf
from pat_tokens.database.uncached import uncached
from pat_tokens.exceptions import (
    OUTAGES,
    ExpiredToken,
    InactiveOwner,
    InsufficientScope,
    LegacyKeyExpired,
    MalformedToken,
    NetworkNotAllowed,
    NoScopeForOptions,
    RefusedToken,
    ReplacedToken,
    RevokedToken,
    ScopeNotDeclared,
    TemporarilyUnavailable,
    ThirdPartyToken,
    TokenError,
    TooManyFailures,
    UnknownToken,
)
from pat_tokens.http import (
    FAILURES_WINDOW,
    client_agent,
    format_http_date,
    read_bearer,
    read_header,
    read_legacy_key,
)
from pat_tokens.integrations import Route, inspect
from pat_tokens.models import PersonalAccessToken, owner_is_active
from pat_tokens.networks import is_in, network_of
from pat_tokens.policy import client_address, get_policy, recorded_ip
from pat_tokens.rate_limits import RateLimiter
from pat_tokens.request_state import RequestState, state_of
from pat_tokens.requirements import (
    ANY_TOKEN,
    EntityLookup,
    Requirement,
    find_problem,
    is_list,
    names_unknown_entity,
    needs_query,
    required_scope_from_url,
)
from pat_tokens.scopes import ALL, Decision, RequiredScope, ScopeKey, decide

if TYPE_CHECKING:
    from django.http import HttpRequest

_NO_TOKENS = _("The owner of the token can't have tokens on this site.")
# Reasons that are recorded as activity, with their names there.
_RECORDED = {
    "revoked": "revoked",
    "expired": "expired",
    "legacy_ended": "expired",
    "replaced": "replaced",
    "network_not_allowed": "network_not_allowed",
}
# In memory, because a shared counter would cost more than the query that it saves.
_failures = RateLimiter(0, FAILURES_WINDOW, size=4096)


def read_secret(request: HttpRequest) -> str | None:
    """Return the secret in the header of `request`, or None. Raises MalformedHeader."""
    value = read_header(request, conf.header_key)
    if value is None:
        return None
    state = state_of(request)
    if state.malformed_header is value:
        raise MalformedToken
    try:
        secret = read_bearer(value, keywords=conf.keywords, prefix=conf.prefix)
    except TokenError as error:
        state.malformed_header = value
        refuse(error, request=request)
        raise
    if secret is None and conf.allow_legacy_keys:
        legacy = read_legacy_key(value, keywords=conf.keywords)
        return None if legacy is None else legacy[1]
    return secret


def legacy_scheme(request: HttpRequest) -> str | None:
    """Return the scheme, in lower case, if the header contains a key in authtoken's format, otherwise None."""
    legacy = read_legacy_key(read_header(request, conf.header_key) or "", keywords=conf.keywords)
    return None if legacy is None else legacy[0]


def has_secret_format(secret: str) -> bool:
    """Return whether `secret` has the format of a secret, or of an imported key if the site allows those."""
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
    """Return the token with this secret, if it meets `requirement`, with its `user` and `decision` loaded.

    `kwargs` are the URL keywords that the entity id is taken from. `filtered`: the view limits its list to the token's
    ids. `third_party`: an unknown secret can belong to another scheme. Makes one query, or three if the URL identifies
    the entity by fields other than the primary key.

    Raises InvalidToken (401); NetworkNotAllowed, InsufficientScope and, if `requirement` is None, ScopeNotDeclared
    (403); ThirdPartyToken; TemporarilyUnavailable (503) if the database doesn't respond.
    """
    secret = crypto.SecretText(secret)
    token = _find(secret, requirement, kwargs or {}, filtered=filtered, third_party=third_party, request=request)
    if requirement is None:
        raise refuse(ScopeNotDeclared(), token=token, request=request)
    return allow(token, request=request, requirement=requirement)


def _find(
    secret: str,
    requirement: Requirement | None,
    kwargs: Mapping[str, Any],
    *,
    filtered: bool,
    third_party: bool,
    request: HttpRequest | None,
) -> PersonalAccessToken:
    if requirement is None or requirement is ANY_TOKEN:
        return authenticate_for_scope(secret, None, third_party=third_party, request=request)
    required_scope = required_scope_from_url(requirement, kwargs, filtered=filtered)
    token = authenticate_for_scope(secret, required_scope, third_party=third_party, request=request)
    if token.decision or not needs_query(requirement):
        return token
    return _decide_by_lookup(token, secret, requirement, kwargs, request)


def identify(request: HttpRequest) -> PersonalAccessToken | None:
    """Return the token of `request` if its view accepts it, otherwise None. For middleware that runs before the view.

    The URL determines the view, and so the requirement. Returns None for views that don't read tokens or refuse them.
    Doesn't set `request.user`. The view's own integration reuses the result, without another query or signal.
    """
    try:
        secret = read_secret(request)
        return None if secret is None else _identify(crypto.SecretText(secret), request)
    except (TokenError, ThirdPartyToken):
        return None


async def aidentify(request: HttpRequest) -> PersonalAccessToken | None:
    """Like `identify`, without blocking the event loop."""
    return await sync_to_async(identify)(request)


def _identify(secret: str, request: HttpRequest) -> PersonalAccessToken | None:
    try:
        match = get_resolver(getattr(request, "urlconf", None)).resolve(request.path_info)
    except Resolver404:
        return None
    report = inspect(Route.of(match))
    method = str(request.method)
    asked = report.find(method)
    if not report.reads_tokens or not (asked is None or asked.reads_tokens):
        return None
    if asked is None:
        if method != "OPTIONS" or not report.has_options:
            return None
        requirements = [one.resolution.requirement for one in report.methods if one.reads_tokens]
        known = [one for one in requirements if one is not None]
        found, is_allowed = _find_for_options(secret, known, match.kwargs, False, request)
        return found if is_allowed else None
    requirement = asked.resolution.requirement
    if requirement is None:
        return None
    token = _find(
        secret,
        requirement,
        match.kwargs,
        filtered=asked.may_limit,
        third_party=crypto.is_legacy_key(secret),
        request=request,
    )
    return token if token.decision else None


async def aauthenticate(
    secret: str,
    requirement: Requirement | None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    filtered: bool = False,
    request: HttpRequest | None = None,
) -> PersonalAccessToken:
    """Like `authenticate`, without blocking the event loop."""
    secret = crypto.SecretText(secret)
    # Django closes stale connections for its own requests only.
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
        if not connection.in_atomic_block:  # otherwise it is in use, for example by the site's tests
            connection.close_if_unusable_or_obsolete()


def authenticate_for_scope(
    secret: str, required_scope: RequiredScope | None, *, third_party: bool = False, request: HttpRequest | None = None
) -> PersonalAccessToken:
    """Return the usable token with this secret, and its decision about `required_scope`, which the caller has to check.

    Raises InvalidToken, TemporarilyUnavailable, and ThirdPartyToken if `third_party` is true and no token has this
    secret. Within one request, each secret and scope is looked up only once.
    """
    known = _state(request).tokens
    key = secret, required_scope
    token = known.get(key)
    if isinstance(token, TokenError):
        raise token  # already logged
    if token is None:
        try:
            if not third_party:
                _check_failures(request)
            token, newest_digest = find_by_secret(secret, required_scope)
            check_usable(token, request)
            if token.is_previous:
                _state(request).sunset = _sunset(token)
            stored = (
                (token.previous_digest, token.previous.pepper_id)
                if token.is_previous
                else (token.digest, token.pepper_id)
            )
            if stored != (newest_digest, crypto.pepper_id(conf.peppers[0])):
                services.redigest_token(token, newest_digest, request=request)
        except TokenError as error:
            if third_party and isinstance(error, UnknownToken):
                raise ThirdPartyToken from None
            if isinstance(error, UnknownToken):
                _count_failure(request)
            known[key] = refuse(error, token=token, request=request)
            raise
        except OUTAGES as error:
            raise _unavailable(error, request, token) from error
        known[key] = token
    return token


def _sunset(token: PersonalAccessToken) -> str | None:
    # RFC 8594. No header before the first use of the current secret, because that can bring the end closer.
    secret = token.previous_secret
    return None if secret is None or secret.grace_started_at is None else format_http_date(secret.expires_at)


def _state(request: HttpRequest | None) -> RequestState:
    return RequestState() if request is None else state_of(request)


def authenticate_options(
    secret: str,
    requirements: Iterable[Requirement],
    kwargs: Mapping[str, Any],
    *,
    third_party: bool = False,
    request: HttpRequest | None = None,
) -> PersonalAccessToken:
    """Return the token, if one of its scopes would allow one of the route's `requirements` with these URL keywords.

    Raises InvalidToken; ScopeNotDeclared if there are no requirements; and NoScopeForOptions, which doesn't reveal
    whether the entity in the URL exists.
    """
    secret = crypto.SecretText(secret)
    asked = list(requirements)
    token, is_allowed = _find_for_options(secret, asked, kwargs, third_party, request)
    if not asked:
        raise refuse(ScopeNotDeclared(), token=token, request=request)
    if not is_allowed:
        raise refuse(NoScopeForOptions(), token=token, request=request)
    return allow(token, request=request)


def _find_for_options(
    secret: str,
    asked: Sequence[Requirement],
    kwargs: Mapping[str, Any],
    third_party: bool,
    request: HttpRequest | None,
) -> tuple[PersonalAccessToken, bool]:
    token = authenticate_for_scope(secret, None, third_party=third_party, request=request)
    if not asked or ANY_TOKEN in asked:
        return token, bool(asked)
    known = _state(request).options
    key = secret, tuple(asked), tuple(sorted((name, str(value)) for name, value in kwargs.items()))
    if key not in known:
        with _database_answers(request, token):
            held = find_held_scopes(token)
            known[key] = any(decide(held, need_of(requirement, kwargs, token.user)) for requirement in asked)
    return token, known[key]


def find_held_scopes(token: PersonalAccessToken) -> list[ScopeKey]:
    """Return all scopes of `token`, from the database in which tokens are looked up."""
    return token.scope_set.using(lookup.token_database()).keys()


def need_of(requirement: Requirement, kwargs: Mapping[str, Any], user: Any) -> RequiredScope:
    """Return the scope that a request with these URL keywords requires, with a query if the URL has no key."""
    return required_scope_from_url(
        requirement,
        kwargs,
        filtered=is_list(requirement),
        find_id=lambda part: find_entity_id(part, kwargs, user),
    )


def allow(
    token: PersonalAccessToken, *, request: HttpRequest | None = None, requirement: Requirement | None = None
) -> PersonalAccessToken:
    """Return `token` and record its use if its decision about `requirement` allows the request.

    Raises InsufficientScope otherwise.
    """
    if not token.decision:
        missing = () if token.decision is None else token.decision.missing
        is_fixable = requirement is None or not names_unknown_entity(requirement, missing)
        raise refuse(InsufficientScope(missing, is_fixable=is_fixable), token=token, request=request)
    if token.awaits_first_use and not token.is_previous and token.decision.required_scope is not None:
        services.record_first_use(token, request=request)
    now = timezone.now()
    if services.is_use_due(token, now):
        if request is None:
            services.record_use(token)
        else:
            agent = client_agent(request, prefix=conf.prefix)
            services.record_use(token, ip=recorded_ip(request), agent=agent, request=request)
    scope_usage.record_scope_use(token, request=request, now=now)
    log_events.log_use(token, request)
    if signals.token_authenticated.receivers:
        signals.token_authenticated.send_robust(type(token), token=token, request=request)
    return token


def require_entity(
    token: PersonalAccessToken, entity_id: str, *, position: int = 0, request: HttpRequest | None = None
) -> None:
    """Raise InsufficientScope unless an allowed operation of `token` also covers this entity.

    `position` is that of the operation in the required scopes.
    """
    if token.decision is None or token.decision.required_scope is None:
        return
    allowed = token.decision.required_scope.scopes[position]
    with _database_answers(request, token):
        required_scope = RequiredScope(allowed.entity_type, allowed.operation, entity_id)
        decided = lookup.decide_again(token, required_scope)
    if not decided.decision:
        raise refuse(InsufficientScope(required_scope.scopes), token=token, request=request)
    scope_usage.record_scope_use(decided, request=request)


def require_scope(request: Any, entity_type: str, operation: str, entity_id: object = ALL) -> None:
    """Raise InsufficientScope unless the token of `request` also has this scope; without a token, do nothing.

    For views that find a further entity in the body of the request: the requirement of a view only covers entities in
    its URL. `entity_id` is the entity's primary key. Call it before anything is written. Makes one query. Raises
    ImproperlyConfigured if there is no such entity type or operation.
    """
    token = getattr(request, "auth", None)
    if not isinstance(token, PersonalAccessToken):
        return
    requirement = Requirement(entity_type, operation)
    problem = find_problem(requirement)
    if problem:
        raise ImproperlyConfigured(f"require_scope(): {problem}.")
    key = None if entity_id == ALL else requirement.get_entity_type().to_id(entity_id)
    require_again(
        token,
        RequiredScope(entity_type, operation, key or ALL),
        is_fixable=key is not None or entity_id == ALL,
        request=getattr(request, "_request", request),
    )


def require_again(
    token: PersonalAccessToken, required_scope: RequiredScope, *, is_fixable: bool = True, request: HttpRequest | None
) -> None:
    """Raise InsufficientScope unless `token` also has this scope. The integration logs and converts the error."""
    decided = lookup.decide_again(token, required_scope)
    if not decided.decision:
        raise InsufficientScope(required_scope.scopes, is_fixable=is_fixable)
    scope_usage.record_scope_use(decided, request=request)


async def arequire_scope(request: Any, entity_type: str, operation: str, entity_id: object = ALL) -> None:
    """Like `require_scope`, without blocking the event loop."""
    await sync_to_async(require_scope)(request, entity_type, operation, entity_id)


def refuse(
    error: TokenError, *, token: PersonalAccessToken | None = None, request: HttpRequest | None = None
) -> TokenError:
    """Log that `error` refuses the request, send the signal, and return `error` for the caller to raise.

    Sets `fix_url` of an InsufficientScope, and records what is missing.
    """
    # The response to OPTIONS doesn't say what is missing.
    is_options = request is not None and request.method == "OPTIONS"
    if isinstance(error, InsufficientScope) and error.is_fixable and token is not None and not is_options:
        if request is not None and links.can_add(token, error.missing):
            error.fix_url = links.scopes_add_url(token, error.missing, request=request)
        scope_usage.record_missing(token, error.missing, request=request)
    log_events.log_refusal(error, token=token, request=request)
    signals.token_refused.send_robust(type(error), reason=error.reason, token=token, request=request)
    if token is not None and error.reason in _RECORDED:
        activity.record_refusal(token, _RECORDED[error.reason], request=request)
    return error


@contextmanager
def _database_answers(request: HttpRequest | None, token: PersonalAccessToken | None = None) -> Iterator[None]:
    try:
        yield
    except OUTAGES as error:
        raise _unavailable(error, request, token) from error


def _unavailable(error: Exception, request: HttpRequest | None, token: PersonalAccessToken | None = None) -> TokenError:
    log_events.log_outage(error)
    return refuse(TemporarilyUnavailable(), token=token, request=request)


def find_by_secret(secret: str, required_scope: RequiredScope | None = None) -> tuple[PersonalAccessToken, str]:
    """Return the token, whatever its status, and its digest under the newest pepper.

    Raises MalformedToken or UnknownToken.
    """
    if not has_secret_format(secret):
        raise MalformedToken
    digests = crypto.digests(secret, conf.peppers)
    token = lookup.find_token(digests, required_scope)
    stored = "" if token is None else (token.previous_digest or "") if token.is_previous else token.digest
    if token is None or not crypto.is_among(stored, digests):
        raise UnknownToken
    return token, digests[0]


def _check_failures(request: HttpRequest | None) -> None:
    limit = conf.max_failed_lookups
    if limit is not None and (network := _network(request)) is not None and _failures.count(network) >= limit:
        raise TooManyFailures


def _count_failure(request: HttpRequest | None) -> None:
    if conf.max_failed_lookups is not None and (network := _network(request)) is not None:
        _failures.take(network)


def _network(request: HttpRequest | None) -> str | None:
    return None if request is None else network_of(recorded_ip(request))


def check_usable(token: PersonalAccessToken, request: HttpRequest | None = None) -> None:
    """Raise InvalidToken or NetworkNotAllowed if `token` can't be used now."""
    if token.is_revoked:
        raise RevokedToken
    if token.is_expired:
        raise LegacyKeyExpired if token.is_legacy else ExpiredToken
    if token.is_previous and token.previous_secret is None:
        raise ReplacedToken
    if token.owner_is_hidden or not owner_is_active(user := token.user):
        raise InactiveOwner
    if token.allowed_networks:
        address = token.client_address = None if request is None else client_address(request)
        if not is_in(address, token.allowed_networks):
            raise NetworkNotAllowed(None if address is None else str(address))
    policy = get_policy()
    if not policy.can_have_tokens(user):
        raise RefusedToken(_NO_TOKENS)
    if answer := policy.refuse_token(token, request):
        raise RefusedToken(answer if isinstance(answer, str) else None)


def _decide_by_lookup(
    token: PersonalAccessToken,
    secret: str,
    requirement: Requirement,
    kwargs: Mapping[str, Any],
    request: HttpRequest | None,
) -> PersonalAccessToken:
    decision: Decision = token.decision  # type: ignore[assignment]  # the caller has it
    on_all: RequiredScope = decision.required_scope  # type: ignore[assignment]
    known = _state(request).looked_up
    key = secret, requirement, on_all.filtered, tuple(str(kwargs.get(keyword)) for keyword in requirement.keywords)
    if key not in known:

        def find_id(part: Requirement) -> str | None:
            is_missing = ScopeKey(part.entity_type, ALL, part.operation) in decision.missing
            return find_entity_id(part, kwargs, token.user) if is_missing else None

        with _database_answers(request, token):
            required_scope = required_scope_from_url(requirement, kwargs, filtered=on_all.filtered, find_id=find_id)
            # The id of an entity that the owner can't see isn't revealed.
            if required_scope != on_all:
                known[key] = lookup.decide_again(token, required_scope)
            else:
                known[key] = token
    return known[key]


def find_entity_id(requirement: Requirement, kwargs: Mapping[str, Any], user: Any) -> str | None:
    if not isinstance(requirement.entity, EntityLookup):
        return None
    fields = {field: kwargs.get(keyword) for field, keyword in requirement.entity.fields}
    # PostgreSQL raises an error for NUL characters.
    if any(value is None or "\0" in str(value) for value in fields.values()):
        return None
    try:
        found = uncached(requirement.get_entity_type().get_queryset(user).filter(**fields))
        keys = {str(key) for key in found.values_list("pk", flat=True)[:2]}
    except (ValidationError, ValueError, TypeError, OverflowError):  # not a valid value for the field
        return None
    return keys.pop() if len(keys) == 1 else None


__all__ = [
    "aauthenticate",
    "aidentify",
    "arequire_scope",
    "authenticate",
    "identify",
    "read_secret",
    "require_scope",
]
