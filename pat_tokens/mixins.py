"""The door to one class of views."""

from __future__ import annotations

from typing import Any, ClassVar

from pat_tokens.django_views.guards import guard
from pat_tokens.django_views.requirements import View
from pat_tokens.requirements import Requirements


class PersonalAccessTokenMixin:
    """Lets tokens into a class-based view, sync or async, by its `pat_requirements`.

    They map HTTP method to Requirement, as those of the decorator do, and can be given to `as_view()`, too. The place
    among the other base classes does not matter, as long as it is before `View`.
    """

    pat_requirements: ClassVar[Requirements] = {}

    @classmethod
    def as_view(cls, **initkwargs: Any) -> View:
        """Return the view function, which looks at the token before anything else of the class runs."""
        parent: Any = super()
        return guard(parent.as_view(**initkwargs), initkwargs.get("pat_requirements", cls.pat_requirements))


__all__ = ["PersonalAccessTokenMixin"]
