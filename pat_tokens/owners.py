"""Load the owners of tokens. The site's user manager can hide users."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db.models import Manager, QuerySet

from pat_tokens.database.djangos_code import has_replaced_methods, is_djangos
from pat_tokens.database.uncached import uncached
from pat_tokens.models import PersonalAccessToken

if TYPE_CHECKING:
    from pat_tokens.querysets import TokenQuerySet


def with_owner(tokens: TokenQuerySet) -> TokenQuerySet:
    """Load the owners in the same query, unless the site's user manager can hide users: see `load_owners`."""
    return tokens if has_manager_with_rules(get_user_model()) else tokens.select_related("user")


def load_owners(tokens: Collection[PersonalAccessToken]) -> None:
    """Load the owners that `with_owner` didn't, in one query. Sets `owner_is_hidden` if the manager hides one."""
    without = [token for token in tokens if not PersonalAccessToken.user.is_cached(token)]
    if not without:
        return
    users: Any = get_user_model()._default_manager.using(without[0]._state.db)
    owners = {owner.pk: owner for owner in uncached(users.filter(pk__in={token.user_id for token in without}))}
    for token in without:
        token.owner_is_hidden = token.user_id not in owners
        if not token.owner_is_hidden:
            # As `select_related()` does. Setting the attribute would ask the site's router for each request.
            PersonalAccessToken.user.field.set_cached_value(token, owners[token.user_id])


def has_manager_with_rules(model: type[Any]) -> bool:
    """Return whether the model's default manager can hide rows or columns."""
    manager: Any = model._default_manager
    are_djangos = is_djangos(type(manager), like=Manager) and is_djangos(manager._queryset_class, like=QuerySet)
    return has_replaced_methods(manager) or not are_djangos
