"""Declare the requirements of view functions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction

from pat_tokens.django_views.requirements import View, refuse_foreign, validated_requirements
from pat_tokens.requirements import Requirements


def pat_requirements(requirements: Requirements) -> Callable[[View], View]:
    """Declare what a view, sync or async, requires: a mapping from HTTP method to Requirement.

    `@pat_requirements({"GET": Requirement("channels", "read", "pk")})` takes the channel's id from the keyword `pk`.
    GET includes HEAD. OPTIONS is allowed to tokens with a scope for one of the methods. Other methods refuse tokens.
    The decorator only declares; `PersonalAccessTokenMiddleware` enforces, so the order of decorators doesn't matter.
    Raises ImproperlyConfigured for invalid mappings, and for views of DRF and Django Ninja.
    """
    requirements = validated_requirements(requirements)

    def decorate(view: View) -> View:
        refuse_foreign(view)
        # A wrapper, so that two names of one view can have different declarations.
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
