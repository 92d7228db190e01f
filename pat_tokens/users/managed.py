"""Whose tokens a user looks after: their own, and those of the accounts that the policy lets them manage."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db.models import Q

from pat_tokens.entities import is_storable_text
from pat_tokens.models import PersonalAccessToken
from pat_tokens.policy import get_policy
from pat_tokens.querysets import TokenQuerySet


def find_owner(user: Any, username: str | None) -> Any:
    """Return the user called `username` if `user` manages their tokens; None stands for `user`.

    Otherwise raises ObjectDoesNotExist, whether or not the account exists.
    """
    if username is None or username == user.get_username():
        return user
    if not is_storable_text(username):
        raise ObjectDoesNotExist
    managed = get_policy().get_managed_users(user)
    try:
        return managed.get(**{get_user_model().USERNAME_FIELD: username})
    except (ValidationError, ValueError, TypeError):  # not a valid value for the field
        raise ObjectDoesNotExist from None


def find_managed_tokens(user: Any) -> TokenQuerySet:
    """Return the tokens of `user` and of the accounts that they manage."""
    managed = get_policy().get_managed_users(user)
    return PersonalAccessToken.objects.filter(Q(user=user) | Q(user__in=managed))


def find_managed_names(user: Any) -> list[str]:
    """Return the usernames of the accounts that `user` manages, in order."""
    name = get_user_model().USERNAME_FIELD
    managed = get_policy().get_managed_users(user).exclude(pk=user.pk)
    return [str(found) for found in managed.order_by(name).values_list(name, flat=True)]


def is_managed_by(owner: Any, user: Any) -> bool:
    """Return whether the policy lets `user` manage the tokens of `owner`, who is somebody else."""
    return bool(get_policy().get_managed_users(user).filter(pk=owner.pk).exists())
