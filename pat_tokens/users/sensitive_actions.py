"""Who can reveal a secret or widen a token, checked where the service is called.

Sensitive actions are creating, regenerating, rotating, adding scopes, and allowing more networks. They require that the
actor confirms their identity, if the site asks for it. On another user's token, they let the actor act as that user. So
they need a permission that no other permission implies, and are never allowed for owners with more rights than the
actor (OWASP ASVS 4.0.3 section 4.1).
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _

from pat_tokens.models import owner_is_active
from pat_tokens.users import reauthentication
from pat_tokens.users.managed import is_managed_by

if TYPE_CHECKING:
    from django.http import HttpRequest

PERMISSION = "pat_tokens.create_for_others"
_PERMISSION_CACHES = ("_perm_cache", "_user_perm_cache", "_group_perm_cache")


def require(request: HttpRequest, owner: Any) -> None:
    """Raise unless the user of `request` can create, widen or renew a token of `owner`.

    Raises PermissionDenied, whose message says what is missing, and ReauthenticationRequired.
    """
    reason = find_obstacle(request.user, owner)
    if reason is not None:
        raise PermissionDenied(reason)
    reauthentication.require(request)


def find_obstacle(actor: Any, owner: Any) -> str | None:
    """Return why `actor` can't act for `owner`, as a string for users, or None."""
    if actor.pk == owner.pk:
        return None
    is_managed = is_managed_by(owner, actor)
    if not is_managed and not actor.has_perm(PERMISSION):
        return _("You need the permission “Can create and renew tokens for other users” to do this.")
    if getattr(actor, "is_superuser", False):
        return None
    if getattr(owner, "is_superuser", False):
        return _("%(owner)s is a superuser, and you are not.") % {"owner": owner}
    if getattr(owner, "is_staff", False) and not getattr(actor, "is_staff", False):
        return _("%(owner)s is a staff member, and you are not.") % {"owner": owner}
    if is_managed:  # naming these users in the policy is the site's consent
        return None
    permissions = _get_permissions(owner)
    if permissions is None:
        return _("%(owner)s is inactive, so it is unknown which permissions they have.") % {"owner": owner}
    if lacking := sorted(permissions - (_get_permissions(actor) or set())):
        return _("%(owner)s has a permission that you do not have: %(permission)s.") % {
            "owner": owner,
            "permission": lacking[0],
        }
    return None


def _get_permissions(user: Any) -> set[str] | None:
    # Returns None if they are unknown.
    if not hasattr(user, "get_all_permissions"):
        return set()
    active = copy(user)
    if not owner_is_active(user):
        # Inactive users have no permissions, but get them back when the account is activated.
        try:
            active.is_active = True
        except AttributeError:  # a property of the site's user model
            return None
    for name in _PERMISSION_CACHES:
        vars(active).pop(name, None)
    return set(active.get_all_permissions())
