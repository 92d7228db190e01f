"""Declare the requirements of class-based views."""

from __future__ import annotations

from typing import Any, ClassVar

from pat_tokens.django_views.requirements import View, refuse_foreign, validated_requirements
from pat_tokens.requirements import Requirements


class PersonalAccessTokenMixin:
    """Declares what a class-based view, sync or async, requires, in `pat_requirements`.

    A mapping from HTTP method to Requirement, as for the decorator; `as_view()` accepts it too. The mixin only
    declares; `PersonalAccessTokenMiddleware` enforces.
    """

    pat_requirements: ClassVar[Requirements] = {}

    @classmethod
    def as_view(cls, **initkwargs: Any) -> View:
        """Return the view function. Raises ImproperlyConfigured for invalid requirements."""
        validated_requirements(initkwargs.get("pat_requirements", cls.pat_requirements))
        parent: Any = super()
        view: View = parent.as_view(**initkwargs)
        refuse_foreign(view)
        return view


__all__ = ["PersonalAccessTokenMixin"]
