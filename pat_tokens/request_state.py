"""What was found out about the token of one request, in one object on the request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.http import HttpRequest

    from pat_tokens.django_views.guards import GuardResult
    from pat_tokens.models import PersonalAccessToken
    from pat_tokens.scopes import RequiredScope

_ATTRIBUTE = "_pat_tokens"


@dataclass(repr=False)  # the keys contain secrets, and error reports show the attributes of a request
class RequestState:
    """The state of one request.

    `tokens` has the token for each secret and required scope that was looked up, and `allowed` the token for each
    requirement that a plain Django view was allowed, so that nothing is looked up or recorded twice. `guard_result` is
    the result of the middleware. `list_is_limited`: the view has called `limit_to_token`.
    """

    tokens: dict[tuple[str, RequiredScope | None], PersonalAccessToken] = field(default_factory=dict)
    allowed: dict[Any, PersonalAccessToken] = field(default_factory=dict)
    guard_result: GuardResult | None = None
    list_is_limited: bool = False


def state_of(request: HttpRequest) -> RequestState:
    """Return the state of `request`, which is created on first use."""
    attributes = vars(request)
    state = attributes.get(_ATTRIBUTE)
    if state is None:
        state = attributes[_ATTRIBUTE] = RequestState()
    return state
