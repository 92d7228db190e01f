"""The door to one view function."""

from __future__ import annotations

from collections.abc import Callable

from pat_tokens.django_views.guards import guard
from pat_tokens.django_views.requirements import View
from pat_tokens.requirements import Requirements


def pat_requirements(requirements: Requirements) -> Callable[[View], View]:
    """Let tokens into a view, sync or async, by a mapping from HTTP method to Requirement.

    `@pat_requirements({"GET": Requirement("channels", "read", "pk")})` takes the channel's id from the keyword `pk`.
    GET is HEAD, too; OPTIONS is answered to a token with any scope on the type; a method that is not listed is refused
    to tokens. With the token let in, `request.user` is its owner and `request.auth` the token. A request without a
    token gets what it got before. Make it the outermost decorator, above `login_required` and `csrf_exempt`; with the
    middleware installed, `login_required` may stand above it, too.
    """

    def decorate(view: View) -> View:
        return guard(view, requirements)

    return decorate


__all__ = ["pat_requirements"]
