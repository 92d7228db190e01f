"""A list for a token that has scopes for some ids: limited to those ids, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.db.models import QuerySet

from pat_tokens.entities import LIST
from pat_tokens.exceptions import InsufficientScope
from pat_tokens.request_state import state_of
from pat_tokens.requirements import Requirement
from pat_tokens.scopes import Decision

if TYPE_CHECKING:
    from django.http import HttpRequest

    from pat_tokens.models import PersonalAccessToken


def is_list(requirement: Requirement) -> bool:
    """Tell whether `requirement` is that of a list, which may be limited to the ids of a token."""
    return requirement.operation == LIST.name and requirement.entity is None


def limit(queryset: QuerySet[Any], token: PersonalAccessToken, requirement: Requirement) -> QuerySet[Any]:
    """Return what of `queryset` the token may list; one query for the ids, and only for a limited token.

    Raises InsufficientScope where `queryset` cannot be limited.
    """
    decision = token.decision
    if decision is None or not decision.limited:
        return queryset
    if not _can_be_limited(queryset, requirement):
        raise needs_all(decision)
    entity_type = requirement.get_entity_type()
    from pat_tokens.lookup import find_entity_ids  # noqa: PLC0415 -- needs the models, which DRF's settings precede

    ids = find_entity_ids(token, entity_type.name, requirement.operation)
    # An id spelled otherwise than this package writes it means nothing to `scopes.decide`, so neither here.
    keys = [key for key in ids if entity_type.to_id(key) == key and entity_type.is_storable(key)]
    path = requirement.filter_by
    if path == "pk":
        # By its name: a table that inherits from the entity's may have a key of its own.
        path = entity_type.model._meta.pk.name
        return queryset.filter(**{f"{path}__in": entity_type.as_values(keys, queryset.db)})
    # Not by a join: a row that many entities lead to would come many times, and be counted as many.
    rows = queryset.model._base_manager.using(queryset.db)
    rows = rows.filter(**{f"{path}__in": entity_type.as_values(keys, queryset.db)})
    return queryset.filter(pk__in=rows.values("pk"))


def limit_to_token(request: HttpRequest, queryset: QuerySet[Any], *, filter_by: str = "pk") -> QuerySet[Any]:
    """Return what of `queryset` the token of `request` may list, or all of it for a request without a token.

    A view outside DRF calls this to say that it limits its list; one that does not needs a scope for `*`.
    `filter_by` is the field path from the listed model to the entity's key.
    """
    token: Any = getattr(request, "auth", None)
    decision = getattr(token, "decision", None)
    if isinstance(decision, Decision) and decision.required_scope is not None:
        required_scope = decision.required_scope
        queryset = limit(
            queryset, token, Requirement(required_scope.entity_type, str(required_scope.operation), filter_by=filter_by)
        )
    state_of(request).list_is_limited = True
    return queryset


async def alimit_to_token(request: HttpRequest, queryset: QuerySet[Any], *, filter_by: str = "pk") -> QuerySet[Any]:
    """Do what `limit_to_token` does without blocking the event loop."""
    return await sync_to_async(limit_to_token)(request, queryset, filter_by=filter_by)


def is_limited(request: HttpRequest) -> bool:
    """Tell whether the view of `request` has called `limit_to_token`."""
    return state_of(request).list_is_limited


def needs_all(decision: Decision) -> InsufficientScope:
    """Return the refusal of a list that is not limited: the scope for all is missing."""
    return InsufficientScope(() if decision.required_scope is None else (decision.required_scope.scope,))


def _can_be_limited(queryset: object, requirement: Requirement) -> bool:
    # A slice or a union cannot be filtered any more, and ids of one model say nothing about the rows of another.
    if not isinstance(queryset, QuerySet) or queryset.query.is_sliced or queryset.query.combinator:
        return False
    model = requirement.get_entity_type().model._meta.concrete_model
    return requirement.filter_by != "pk" or (model is not None and issubclass(queryset.model, model))


__all__ = ["alimit_to_token", "limit_to_token"]
