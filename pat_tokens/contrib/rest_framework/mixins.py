"""Reaching a view that names its own authentication classes."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication

from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication


class PersonalAccessTokenMixin:
    """For a view that names its own `authentication_classes`: tokens count there, too, and come first.

    First, since another Bearer scheme may refuse a secret that it does not know.
    """

    pat_authentication_class: type[PersonalAccessTokenAuthentication] = PersonalAccessTokenAuthentication

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Return the token's class before those of the view."""
        parent: Any = super()
        others = [
            authenticator
            for authenticator in parent.get_authenticators()
            if not isinstance(authenticator, PersonalAccessTokenAuthentication)
        ]
        return [self.pat_authentication_class(), *others]


__all__ = ["PersonalAccessTokenMixin"]
