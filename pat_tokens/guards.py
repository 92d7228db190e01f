"""Rules that every integration applies to a request with a token."""

from __future__ import annotations

import re
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers

from pat_tokens import authentication
from pat_tokens.conf import conf
from pat_tokens.csrf import has_session
from pat_tokens.database.writing import guard_writes
from pat_tokens.exceptions import InvalidToken, MethodNotAllowed, NotAllowed, OwnerNotAllowed, TokenError
from pat_tokens.filtering import LimitedList
from pat_tokens.http import error_body, error_headers, error_status
from pat_tokens.request_state import override_attribute, state_of
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement
from pat_tokens.scopes import ALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from django.http import HttpRequest

    from pat_tokens.models import PersonalAccessToken

# Exceptions of a view that become a JSON response for a token, instead of the site's error page.
REFUSALS = (NotAllowed, InvalidToken, PermissionDenied)

# Headers for a single kind of cache, such as CDN-Cache-Control (RFC 9213), for which it ignores Cache-Control.
_FOR_ONE_CACHE = re.compile(".+-Cache-Control|Surrogate-Control|Edge-Control|X-Accel-Expires", re.IGNORECASE)


def bind_request(request: HttpRequest, token: PersonalAccessToken, requirement: Requirement | None) -> None:
    """Limit the list and the writes of `request` to what `token` was allowed."""
    if requirement is None or requirement is ANY_TOKEN:
        return
    if token.decision is not None and token.decision.limited:
        state_of(request).limited_list = LimitedList(token, requirement)
    guard = guard_writes(str(request.method), token, requirement, request)
    if guard is not None:
        state_of(request).write_guards.append(guard)


def release_request(request: HttpRequest) -> None:
    """Stop checking what the view does; its response is known."""
    state = state_of(request)
    state.limited_list = None
    while guards := state.write_guards:
        guards.pop().close()


def set_token_user(request: HttpRequest, token: PersonalAccessToken) -> None:
    """Set `request.user` to the token's owner, and `request.auth` to the token."""
    user = token.user

    async def auser() -> Any:
        return user

    if not has_session(request):
        # Browsers don't add tokens to requests, so a request with a token can't be forged.
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    request.user = user
    request.auser = auser
    request.auth = token  # type: ignore[attr-defined]
    keep_out_of_caches(request)
    override_attribute(request, "method", _FIXED_METHOD)


def keep_out_of_caches(request: Any) -> None:
    """Prevent `cache_page` from storing the response to `request`.

    As a decorator of a guarded view, it sees the response before it varies on the header and is private.
    """
    override_attribute(request, "_cache_update_cache", _NEVER_CACHED)


def _set_method(request: HttpRequest, method: Any) -> None:
    # The decision is about this method, so views and later middleware can't change it.
    if method != vars(request).get("method"):
        raise MethodNotAllowed


_FIXED_METHOD = property(lambda request: vars(request).get("method"), _set_method)
# Django's middleware remembers in this attribute that it will store the response.
_NEVER_CACHED = property(lambda request: False, lambda request, value: None)


def parts_of(token: PersonalAccessToken, requirement: Requirement | None) -> list[tuple[Requirement, str]]:
    """Return the parts of `requirement`, each with the id of the entity that the token's decision is about."""
    required_scope = token.decision.required_scope if token.decision is not None else None
    if required_scope is None or requirement is None:
        return []
    return list(zip(requirement.parts, (scope.entity_id for scope in required_scope.scopes), strict=True))


def find_changed_keyword(
    parts: Iterable[tuple[Requirement, str]], decided: Mapping[str, Any], kwargs: Mapping[str, Any]
) -> str | None:
    """Return a keyword that names a different entity in `kwargs` than in `decided`, or None."""
    for part, entity_id in parts:
        if entity_id == ALL:  # of all entities
            continue
        for keyword in part.keywords:
            if keyword in kwargs and not _is_same(part, kwargs[keyword], decided.get(keyword)):
                return keyword
    return None


def _is_same(requirement: Requirement, one: Any, other: Any) -> bool:
    if str(one) == str(other):
        return True
    if isinstance(requirement.entity, EntityLookup):
        return False
    to_id = requirement.get_entity_type().to_id
    return to_id(one) == to_id(other)


def checked_loader(load: Callable[..., Any], check: Callable[[Any], None]) -> Callable[..., Any]:
    """Return `load`, a sync or async method of a view, passing what it returns to `check`."""
    return partial(_aload if iscoroutinefunction(load) else _load, load, check)


def _load(load: Callable[..., Any], check: Callable[[Any], None], *args: Any, **kwargs: Any) -> Any:
    found = load(*args, **kwargs)
    if isawaitable(found):
        return _acheck(found, check)
    check(found)
    return found


async def _aload(load: Callable[..., Any], check: Callable[[Any], None], *args: Any, **kwargs: Any) -> Any:
    return await _acheck(load(*args, **kwargs), check)


async def _acheck(loading: Any, check: Callable[[Any], None]) -> Any:
    found = await loading
    await sync_to_async(check)(found)
    return found


def has_same_keys(one: type[Model], model: type[Model]) -> bool:
    """Return whether a row of `one` belongs to the row of `model` with the same key."""
    related: Any = one._meta.pk.remote_field
    return related is not None and issubclass(related.model, model)


def is_related(found: Model, model: type[Model], entity_id: str) -> bool:
    """Return whether `found` belongs to this entity, or the entity to it.

    Makes a query for each relation between the two models, until one has both.
    """
    fields = [one for one in model._meta.get_fields() if one.is_relation and one.related_model]
    names = [one.name for one in fields if isinstance(found, one.related_model)]  # type: ignore[arg-type]
    rows = model._base_manager.using(found._state.db)
    if entity_id == ALL:
        return bool(names)
    return any(rows.filter(pk=entity_id, **{name: found.pk}).exists() for name in names)


def add_sunset(request: HttpRequest, response: Any) -> None:
    """Add the `Sunset` header to `response` if the secret of `request` is a previous one with a known end."""
    sunset = state_of(request).sunset
    if sunset is not None and isinstance(response, HttpResponseBase):
        response.headers.setdefault("Sunset", sunset)


def set_cache_headers(request: HttpRequest | None, response: Any) -> None:
    """Make `response` vary on the header and, if the request has the header, keep it out of shared caches.

    Otherwise a cache would keep responding to a revoked token. Without a request, the header is assumed.
    """
    if isinstance(response, HttpResponseBase):  # the view can return None by mistake
        headers = response.headers
        if conf.header not in headers.get("Vary", "").split(", "):
            patch_vary_headers(response, (conf.header,))
        if request is None or conf.header_key in request.META:
            control = headers.get("Cache-Control", "")
            if not control:
                headers["Cache-Control"] = "private"
            elif control != "private" and "no-store" not in control:
                patch_cache_control(response, private=True)
            for name in [name for name in headers if _FOR_ONE_CACHE.fullmatch(name)]:
                del headers[name]


def refusal(error: TokenError) -> HttpResponse:
    """Return the response to a request that `error` refuses: 401 or 403 with a challenge, or 503, and JSON."""
    headers = error_headers(error, keyword=conf.keyword, realm=conf.realm)
    response = JsonResponse(error_body(error), status=error_status(error), headers=headers)
    set_cache_headers(None, response)
    return response


def refuse(request: HttpRequest, token: PersonalAccessToken | None, error: Exception) -> HttpResponse:
    """Return the response for `error`, one of REFUSALS, which the view raised or caused."""
    refused = error if isinstance(error, TokenError) else OwnerNotAllowed()
    return refusal(authentication.refuse(refused, token=token, request=request))


__all__ = [
    "add_sunset",
    "bind_request",
    "keep_out_of_caches",
    "refusal",
    "refuse",
    "release_request",
    "set_cache_headers",
    "set_token_user",
]
