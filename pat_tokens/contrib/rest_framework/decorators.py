"""Declare the requirements of `@api_view` functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured

from pat_tokens.contrib.rest_framework.introspection import ViewInfo
from pat_tokens.requirements import Requirements

_View = TypeVar("_View", bound=Callable[..., Any])


def pat_requirements(requirements: Requirements) -> Callable[[_View], _View]:
    """Declare what a view requires, by HTTP method or action. For an APIView class, or above `@api_view`.

    Raises ImproperlyConfigured below `@api_view`, because the function isn't a view yet.
    """
    if not isinstance(requirements, Mapping):
        raise ImproperlyConfigured("@pat_requirements takes a mapping: @pat_requirements({'GET': Requirement(...)}).")

    def declare(view: _View) -> _View:
        where = f"{getattr(view, '__module__', '')}.{getattr(view, '__qualname__', view)}"
        view_class: Any = view if isinstance(view, type) else getattr(view, "cls", None)
        if view_class is None or not hasattr(view_class, "as_view"):
            raise ImproperlyConfigured(
                f"{where}: @pat_requirements belongs above @api_view, as the first of its decorators; "
                "below it there is no view yet."
            )
        if view_class is not view and not ViewInfo.of_callback(view).is_function:
            raise ImproperlyConfigured(
                f"{where}: @pat_requirements would declare for every route of {view_class.__qualname__}. Set "
                "pat_requirements on the class, or use declare_url() for one route."
            )
        view_class.pat_requirements = dict(requirements)
        return view

    return declare


__all__ = ["pat_requirements"]
