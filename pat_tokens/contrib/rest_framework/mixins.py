"""Accept tokens on views that set their own authentication classes."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication

from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication


class PersonalAccessTokenMixin:
    """Adds our authentication class to a view that sets its own `authentication_classes`.

    It comes first, because another class for the scheme Bearer could refuse secrets that it doesn't know.
    """

    pat_authentication_class: type[PersonalAccessTokenAuthentication] = PersonalAccessTokenAuthentication

    def get_authenticators(self) -> list[BaseAuthentication]:
        parent: Any = super()
        others = [
            authenticator
            for authenticator in parent.get_authenticators()
            if not isinstance(authenticator, PersonalAccessTokenAuthentication)
        ]
        return [self.pat_authentication_class(), *others]


__all__ = ["PersonalAccessTokenMixin"]
