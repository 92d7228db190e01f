"""Limit a view, for one request, to the entity that was decided about: the URL's keywords, and what the view loads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from django.db.models import Model
from django.urls import ResolverMatch
from django.views import View
from django.views.generic.detail import SingleObjectMixin

from pat_tokens.authentication import require_again
from pat_tokens.exceptions import InheritanceNotAllowed, KeywordNotAllowed
from pat_tokens.guards import checked_loader, find_changed_keyword, has_same_keys, is_related, parts_of
from pat_tokens.request_state import override_attribute, state_of
from pat_tokens.requirements import EntityLookup, Requirement, is_list
from pat_tokens.scopes import ALL, RequiredScope

if TYPE_CHECKING:
    from django.http import HttpRequest

    from pat_tokens.models import PersonalAccessToken
    from pat_tokens.requirements import Resolution

_LOADERS = ("get_object", "aget_object", "get_queryset", "aget_queryset")  # methods of views, sync or async


class UrlKeywords(dict[str, Any]):
    """The keywords of a URL, as middleware and the view get them; `check` is called before a keyword is set."""

    check: Callable[[Mapping[str, Any]], None] | None = None

    def __setitem__(self, keyword: str, value: Any) -> None:
        if self.check is not None:
            self.check({keyword: value})
        super().__setitem__(keyword, value)

    def update(self, *args: Any, **kwargs: Any) -> None:
        for keyword, value in dict(*args, **kwargs).items():
            self[keyword] = value

    def __ior__(self, other: Any) -> UrlKeywords:  # type: ignore[override,misc]
        self.update(other)
        return self

    def setdefault(self, keyword: str, default: Any = None) -> Any:
        if keyword not in self:
            self[keyword] = default
        return self[keyword]

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def use_url_keywords(request: HttpRequest) -> None:
    """Pass UrlKeywords to the middleware and the view of `request`, whose URL isn't resolved yet."""
    override_attribute(request, "resolver_match", _RESOLVER_MATCH)


def _set_match(request: HttpRequest, match: Any) -> None:
    # Django sets the attribute before it passes the match's keywords to middleware, and then to the view.
    if isinstance(match, ResolverMatch):
        match.kwargs = UrlKeywords(match.kwargs)
    vars(request)["resolver_match"] = match


_RESOLVER_MATCH = property(lambda request: vars(request).get("resolver_match"), _set_match)


@dataclass(eq=False)
class BoundView:
    """The view that a token is allowed to use, and the URL keywords that the decision is about.

    `error` is why middleware that runs later was stopped.
    """

    token: PersonalAccessToken
    resolution: Resolution
    view_class: type | None
    kwargs: Mapping[str, Any]
    error: KeywordNotAllowed | None = field(default=None, init=False)

    def bind_keywords(self, kwargs: Mapping[str, Any]) -> None:
        """Refuse to change `kwargs`, which other middleware also gets, to those of another entity."""
        if isinstance(kwargs, UrlKeywords):
            kwargs.check = self._check_later

    def guard(self, view: View, kwargs: Mapping[str, Any]) -> None:
        """Check the keywords and the objects of a class-based view, which is about to be set up.

        This can also be a view that another view calls with the same request.
        """
        if type(view) is self.view_class:
            self.check_keywords(kwargs)
        own: Any = view
        for name in _LOADERS:
            load = getattr(own, name, None)
            if callable(load):
                check = self._check_object if name.endswith("object") else self._check_rows
                setattr(own, name, checked_loader(load, partial(check, view)))

    def check_keywords(self, kwargs: Mapping[str, Any]) -> None:
        """Raise KeywordNotAllowed if one of `kwargs` names an entity other than the one that the decision is for."""
        keyword = find_changed_keyword(self._parts(), self.kwargs, kwargs)
        if keyword is not None:
            raise KeywordNotAllowed(keyword)

    def _check_later(self, kwargs: Mapping[str, Any]) -> None:
        try:
            self.check_keywords(kwargs)
        except KeywordNotAllowed as error:
            self.error = error
            raise

    def _check_object(self, view: Any, found: Any) -> None:
        if not isinstance(found, Model):
            return
        others = []
        for part, entity_id in self._parts():
            if not _is_about_object(view, part):
                continue
            model: Any = part.get_entity_type().model._meta.concrete_model
            if not isinstance(found, model):
                if self._is_inherited(view) and not is_related(found, model, entity_id):
                    raise InheritanceNotAllowed
                continue
            found_id = str(getattr(found, model._meta.pk.attname))
            if entity_id in (ALL, found_id):
                return
            others.append(RequiredScope(part.entity_type, part.operation, found_id))
        for required_scope in others:
            require_again(self.token, required_scope, request=view.request)

    def _check_rows(self, view: Any, rows: Any) -> None:
        if not self._is_inherited(view):
            return
        models = set(map(type, rows)) if isinstance(rows, list | tuple) else {getattr(rows, "model", None)}
        others = [one for one in models if isinstance(one, type) and issubclass(one, Model)]
        for part, _entity_id in self._parts():
            # Django's own get_object() compares the keyword with the key of any model.
            is_bound = part.filter_by == "pk" if is_list(part) else _has_own_lookup(view, part)
            model: Any = part.get_entity_type().model._meta.concrete_model
            if is_bound and not all(issubclass(one, model) or has_same_keys(one, model) for one in others):
                raise InheritanceNotAllowed

    def _is_inherited(self, view: View) -> bool:
        return self.resolution.is_inherited and type(view) is self.view_class

    def _parts(self) -> list[tuple[Requirement, str]]:
        return parts_of(self.token, self.resolution.requirement)


def guard_class_based_views() -> None:
    """Guard each class-based view when it is set up for the request of a token.

    The function that `as_view()` returns creates the view, and decorators hide that function, so the view can't be
    reached from outside. Django calls `View.setup()` for every view before any code that uses the URL's keywords.
    """
    setup: Any = View.setup
    if hasattr(setup, "pat_tokens_setup"):
        return

    @wraps(setup)
    def guarded(view: View, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        guard_result = state_of(request).guard_result if hasattr(request, "_pat_tokens") else None
        if guard_result is not None and guard_result.bound_view is not None:
            guard_result.bound_view.guard(view, kwargs)
        setup(view, request, *args, **kwargs)

    guarded.pat_tokens_setup = setup  # type: ignore[attr-defined]
    View.setup = guarded  # type: ignore[method-assign,assignment]


def _is_about_object(view: Any, requirement: Requirement) -> bool:
    # Otherwise the view loads an object that belongs to the entity, or that the entity belongs to.
    entity = requirement.entity
    if entity is None or (isinstance(entity, EntityLookup) and all("__" in name for name, _keyword in entity.fields)):
        return False
    names = {getattr(view, "pk_url_kwarg", "pk"), getattr(view, "slug_url_kwarg", "slug")}
    keywords = names.intersection(getattr(view, "kwargs", ()))
    return not keywords or not keywords.isdisjoint(requirement.keywords)


def _has_own_lookup(view: Any, requirement: Requirement) -> bool:
    is_own = getattr(type(view), "get_object", None) is SingleObjectMixin.get_object
    return is_own and _is_about_object(view, requirement)
