"""Filter lists by the ids that a token has scopes for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.db.models import QuerySet
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from pat_tokens.contrib.rest_framework import deferred_imports as deferred
from pat_tokens.contrib.rest_framework.exceptions import TokenAPIException
from pat_tokens.contrib.rest_framework.introspection import ViewInfo
from pat_tokens.declarations import has_limited_list
from pat_tokens.exceptions import InsufficientScope, TokenError
from pat_tokens.request_state import state_of
from pat_tokens.requirements import Requirement, is_list
from pat_tokens.scopes import Decision

if TYPE_CHECKING:
    # Not at run time: the classes that DRF's own settings name are imported while `rest_framework.views` is.
    from rest_framework.views import APIView


class ScopeFilterBackend(BaseFilterBackend):
    """Limits a list to the ids that the token has scopes for; requests without a token are unaffected."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        """Return the rows that the token can list. Makes one query, and only if the token is limited to ids."""
        token: Any = request.auth
        decision = getattr(token, "decision", None)
        if not isinstance(decision, Decision) or not decision.limited:
            return queryset
        state = state_of(request._request).views.get(view)
        try:
            if state is None or state.limited_list is None:
                raise deferred.filtering.needs_all(decision)
            return state.limited_list.limit(queryset, request=request._request)
        except InsufficientScope as error:
            raise refused(error, token, request) from error


class ScopeFilterMixin:
    """Does the same as `ScopeFilterBackend`, for views that set their own filter backends."""

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        parent: Any = super()
        filtered: QuerySet[Any] = _limited_and_filtered(self, parent.filter_queryset, queryset)
        return filtered

    async def afilter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Do the same in adrf's async views."""
        parent: Any = super()
        filtered: QuerySet[Any] = await _alimited_and_filtered(self, parent.afilter_queryset, queryset)
        return filtered


def refused(error: TokenError, token: Any, request: Request) -> TokenAPIException:
    """Return the exception for a refused token, after logging `error` and sending the signal."""
    return TokenAPIException(deferred.authentication.refuse(error, token=token, request=request._request))


def is_filtered(facts: ViewInfo, requirement: Requirement) -> bool:
    """Return whether a view can limit its list to ids, so that scopes for some ids are enough."""
    if not is_list(requirement) or not hasattr(facts.cls, "filter_queryset"):
        return False
    return has_backend(facts) or has_limited_list(facts.cls)


def has_backend(facts: ViewInfo) -> bool:
    """Return whether the view itself names `ScopeFilterBackend` or has `ScopeFilterMixin`."""
    backends = facts.get("filter_backends", ())
    return issubclass(facts.cls, ScopeFilterMixin) or (
        isinstance(backends, list | tuple)
        and any(isinstance(backend, type) and issubclass(backend, ScopeFilterBackend) for backend in backends)
    )


def add_backend(view: Any) -> None:
    """Limit the list of this view before its own `filter_queryset()`, or adrf's `afilter_queryset()`."""
    view.filter_queryset = partial(_limited_and_filtered, view, view.filter_queryset)
    if hasattr(view, "afilter_queryset"):
        view.afilter_queryset = partial(_alimited_and_filtered, view, view.afilter_queryset)


def _limited_and_filtered(view: Any, filter_queryset: Callable[[Any], Any], queryset: QuerySet[Any]) -> Any:
    return filter_queryset(ScopeFilterBackend().filter_queryset(view.request, queryset, view))


async def _alimited_and_filtered(
    view: Any, filter_queryset: Callable[[Any], Awaitable[Any]], queryset: QuerySet[Any]
) -> Any:
    limit = sync_to_async(ScopeFilterBackend().filter_queryset)
    return await filter_queryset(await limit(view.request, queryset, view))


__all__ = ["ScopeFilterBackend", "ScopeFilterMixin"]
