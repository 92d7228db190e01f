"""The state of the current request, in one object on the request."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from threading import get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from pat_tokens.database.writing import WriteGuard
    from pat_tokens.django_views.bound_views import BoundView
    from pat_tokens.exceptions import TokenError
    from pat_tokens.filtering import LimitedList
    from pat_tokens.models import PersonalAccessToken
    from pat_tokens.scopes import RequiredScope

_ATTRIBUTE = "_pat_tokens"


@dataclass
class GuardResult:
    """The result of the middleware: the allowed token and its view, or the response if the view isn't called."""

    token: PersonalAccessToken | None = None
    response: HttpResponseBase | None = None
    varies: bool = False  # the response depends on the header
    bound_view: BoundView | None = None


@dataclass
class ViewState:
    """What a token is allowed in one view.

    `is_guarded` is true once the token is allowed. `limited_list` is the list that the view can return, `write_guard`
    checks what it writes, and `needs_object` says whether it has to load the entity in the URL.
    """

    is_guarded: bool = False
    limited_list: LimitedList | None = None
    write_guard: WriteGuard | None = None
    needs_object: bool = False

    def close(self) -> None:
        """Stop checking what the view writes; its response is known."""
        if self.write_guard is not None:
            self.write_guard.close()


@dataclass(repr=False)  # the keys contain secrets, and error reports show the attributes of a request
class RequestState:
    """What is known about the token of one request, so that nothing is looked up or recorded twice.

    `tokens` has the token, or the error, for each secret and required scope. `looked_up` has the token for each
    requirement whose entity was looked up. `options`: whether a token is allowed OPTIONS. `allowed` has the token for
    each requirement that was allowed to a plain Django view. `malformed_header` is a header that was already refused.
    `guard_result` is the result of the middleware. `sunset` is the value of the header `Sunset`, if the secret is a
    previous one with a known end. `limited_list` is the list that the view can return, and `write_guards` check what it
    writes. `views` has the state of each view, because views can call each other with the same request. `thread` is the
    one that queries the database for this request.
    """

    tokens: dict[tuple[str, RequiredScope | None], PersonalAccessToken | TokenError] = field(default_factory=dict)
    looked_up: dict[Any, PersonalAccessToken] = field(default_factory=dict)
    options: dict[Any, bool] = field(default_factory=dict)
    allowed: dict[Any, PersonalAccessToken] = field(default_factory=dict)
    guard_result: GuardResult | None = None
    malformed_header: str | bytes | None = None
    sunset: str | None = None
    limited_list: LimitedList | None = None
    write_guards: list[WriteGuard] = field(default_factory=list)
    views: dict[Any, ViewState] = field(default_factory=dict)
    thread: int = field(default_factory=get_ident)


def state_of(request: HttpRequest) -> RequestState:
    """Return the state of `request`, created on first use."""
    state: RequestState | None = getattr(request, _ATTRIBUTE, None)
    if state is None:
        state = RequestState()
        setattr(request, _ATTRIBUTE, state)
    return state


def override_attribute(request: Any, name: str, attribute: property) -> None:
    """Replace the attribute `name` of this request, but not of others, with a property.

    Its value stays in the `vars()` of the request.
    """
    kind: Any = type(request)
    request.__class__ = _subclass_with(kind, name, attribute)


@cache
def _subclass_with(cls: Any, name: str, attribute: property) -> Any:
    if getattr(cls, name, None) is attribute:
        return cls
    return type(cls.__name__, (cls,), {"__module__": cls.__module__, name: attribute})
