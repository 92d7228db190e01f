"""Declare what a view function requires of a token."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction

from pat_tokens.django_views.requirements import View, refuse_foreign, validated_requirements
from pat_tokens.requirements import Requirements


def pat_requirements(requirements: Requirements) -> Callable[[View], View]:
    """Declare what a view, sync or async, requires of a token, as a mapping from HTTP method to Requirement.

    `@pat_requirements({"GET": Requirement("channels", "read", "pk")})` takes the channel's id from the keyword `pk`.
    GET includes HEAD; OPTIONS is answered to a token with a scope for one of the methods; tokens are refused for any
    other method. The decorator only declares: `PersonalAccessTokenMiddleware` enforces it, so its place among other
    decorators does not matter. Raises ImproperlyConfigured for another shape, and for views of DRF and Django Ninja.
    """
    requirements = validated_requirements(requirements)

    def decorate(view: View) -> View:
        refuse_foreign(view)
        # A wrapper, so that one view can be declared differently under two names.
        declared: Any
        if iscoroutinefunction(view):

            async def declared(*args: Any, **kwargs: Any) -> Any:
                return await view(*args, **kwargs)

        else:

            def declared(*args: Any, **kwargs: Any) -> Any:
                return view(*args, **kwargs)

        functools.update_wrapper(declared, view)
        declared.pat_requirements = requirements
        return declared  # type: ignore[no-any-return]

    return decorate


__all__ = ["pat_requirements"]
