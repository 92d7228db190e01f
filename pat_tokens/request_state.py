"""The state of the current request, in one object on the request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from pat_tokens.exceptions import TokenError
    from pat_tokens.filtering import LimitedList
    from pat_tokens.models import PersonalAccessToken
    from pat_tokens.scopes import RequiredScope
    from pat_tokens.writing import Writes

_ATTRIBUTE = "_pat_tokens"


@dataclass
class GuardResult:
    """What the middleware decided: the allowed token, and the response if the view is not called."""

    token: PersonalAccessToken | None = None
    response: HttpResponseBase | None = None
    varies: bool = False  # the response depends on the header


@dataclass
class ViewState:
    """What one view may do: the list that it may return, and whether it has to load the entity of the URL."""

    limited_list: LimitedList | None = None
    needs_object: bool = False


@dataclass(repr=False)  # the keys contain secrets, and error reports show the attributes of a request
class RequestState:
    """What is known about the token of one request, so that nothing is looked up or recorded twice.

    `tokens` has the token, or the refusal, for each secret and required scope that was looked up; `looked_up` the token
    for each requirement whose entity was looked up; `options` whether a token is allowed OPTIONS; and `allowed` the
    token for each requirement that a plain Django view was allowed, so that nothing is looked up or recorded twice.
    `malformed_header` is a header that was refused already. `guard_result` is the result of the middleware.
    `sunset` is the value of the header `Sunset`, where the secret is a previous one whose end is known.
    `limited_list` is the list that the view may return, and `writes` are the writes that are checked. `views` has the
    state of each view, where views of a framework call each other with the same request.
    """

    tokens: dict[tuple[str, RequiredScope | None], PersonalAccessToken | TokenError] = field(default_factory=dict)
    looked_up: dict[Any, PersonalAccessToken] = field(default_factory=dict)
    options: dict[Any, bool] = field(default_factory=dict)
    allowed: dict[Any, PersonalAccessToken] = field(default_factory=dict)
    guard_result: GuardResult | None = None
    malformed_header: str | bytes | None = None
    sunset: str | None = None
    limited_list: LimitedList | None = None
    writes: Writes | None = None
    views: dict[Any, ViewState] = field(default_factory=dict)


def state_of(request: HttpRequest) -> RequestState:
    """Return the state of `request`, which is created on first use."""
    state: RequestState | None = getattr(request, _ATTRIBUTE, None)
    if state is None:
        state = RequestState()
        setattr(request, _ATTRIBUTE, state)
    return state
