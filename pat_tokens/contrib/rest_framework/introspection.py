"""What can be found out about a DRF view without running it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rest_framework.settings import api_settings
from rest_framework.versioning import URLPathVersioning

from pat_tokens.declarations import Own, find_own

if TYPE_CHECKING:
    # Not at run time: the classes that DRF's own settings name are imported while `rest_framework.views` is.
    from rest_framework.views import APIView

_METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")
_OURS = ("rest_framework.views", "django.views.generic.base")  # modules whose methods aren't overrides
_MISSING = object()


@dataclass(frozen=True)
class ViewInfo:
    """A view class with the arguments of `as_view()`; for ViewSets, `actions` maps lower-case methods to actions.

    Only plain attributes are read. A property could read `request.user`, which isn't known yet. `found` are attributes
    of the class that were read before; all routes of an inspection share them.
    """

    cls: type[Any]
    attributes: Mapping[str, Any]
    actions: Mapping[str, str] | None
    found: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, view: APIView) -> ViewInfo:
        """Return the ViewInfo of a view that is handling a request."""
        return cls(type(view), vars(view), getattr(view, "action_map", None))

    @classmethod
    def of_callback(cls, callback: Any, memo: dict[Any, Any] | None = None) -> ViewInfo:
        """Return the ViewInfo of what `as_view()` returned; with the memo of an inspection, the same one each time."""
        memo = {} if memo is None else memo
        key = (cls, id(callback))
        if key not in memo:
            found = memo.setdefault((cls, callback.cls), {})
            attributes, actions = getattr(callback, "initkwargs", {}), getattr(callback, "actions", None)
            memo[key] = cls(callback.cls, attributes, actions, found)
        info: ViewInfo = memo[key]
        return info

    def get(self, name: str, default: Any = None) -> Any:
        """Return a plain attribute, or `default` if it doesn't exist or is computed."""
        if name in self.attributes:
            return self.attributes[name]
        value = self._find(name)
        return default if value is _MISSING or hasattr(type(value), "__get__") else value

    def is_computed(self, name: str) -> bool:
        """Return whether an attribute is a property or another descriptor, whose value depends on the request."""
        return name not in self.attributes and hasattr(type(self._find(name)), "__get__")

    def _find(self, name: str) -> Any:
        if name not in self.found:
            holder = next((base for base in self.cls.__mro__ if name in vars(base)), None)
            self.found[name] = _MISSING if holder is None else vars(holder)[name]
        return self.found[name]

    def find_handler(self, name: str) -> Any:
        """Return the function that handles an HTTP method (in lower case), or None."""
        if self.actions and name in self.actions:
            return getattr(self.cls, self.actions[name], None)
        own = getattr(self.cls, name, None) or self.attributes.get(name)
        if own is None and name == "head":
            return self.find_handler("get")
        return own

    def serves(self, name: str) -> bool:
        """Return whether the view has a handler for an HTTP method (in lower case), so that it isn't a 405.

        Includes handlers that no action of a ViewSet maps to, because DRF calls them too.
        """
        names = self.get("http_method_names")
        if isinstance(names, Collection) and name not in names:
            return False
        return self.find_handler(name) is not None

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The HTTP methods that the view handles, in upper case; HEAD and OPTIONS only if it overrides them."""
        standard = (None if self.has_own_head else "head", None if self.has_own_options else "options")
        return tuple(name.upper() for name in _METHODS if name not in standard and self.serves(name))

    def action_of(self, name: str) -> str | None:
        """Return the action that an HTTP method (in lower case) is mapped to, or None."""
        if not self.actions:
            return None
        return self.actions.get(name) or (self.actions.get("get") if name == "head" else None)

    @property
    def is_viewset(self) -> bool:
        return self.actions is not None

    @property
    def is_function(self) -> bool:
        """Whether the view was created by `@api_view`."""
        return "api_view.<locals>" in self.cls.__qualname__ or self.cls.__qualname__ == "WrappedAPIView"

    @cached_property
    def own(self) -> Own:
        """What the view itself declares, of any type."""
        if self.is_computed("pat_requirements"):
            return Own("a computed pat_requirements")
        return find_own(self.cls, self.attributes)

    @property
    def has_own_head(self) -> bool:
        """Whether HEAD does something other than GET."""
        if self.actions and ("head" in self.actions or "get" in self.actions):
            return self.action_of("head") != self.action_of("get")
        return hasattr(self.cls, "head")

    @property
    def has_own_options(self) -> bool:
        """Whether OPTIONS does more than describe the view, so that it has to be declared."""
        return "options" in (self.actions or ()) or not _is_standard(getattr(self.cls, "options", None))

    @property
    def has_own_405(self) -> bool:
        """Whether the view overrides the response to methods that it doesn't have."""
        return not _is_standard(getattr(self.cls, "http_method_not_allowed", None))

    @property
    def lookup_field(self) -> str | None:
        """The model field that the view looks up its object by, or None if it is computed."""
        return None if self.is_computed("lookup_field") else str(self.get("lookup_field") or "pk")

    @property
    def lookup_keyword(self) -> str | None:
        """The URL keyword that the view looks up its object with, or None if it is computed."""
        if self.is_computed("lookup_url_kwarg"):
            return None
        return self.get("lookup_url_kwarg") or self.lookup_field

    @cached_property
    def harmless_keywords(self) -> frozenset[str]:
        """The URL keywords that choose a format or a version, not an entity."""
        keywords = {str(api_settings.FORMAT_SUFFIX_KWARG)}
        versioning = self.get("versioning_class")
        if isinstance(versioning, type) and issubclass(versioning, URLPathVersioning):
            keywords.add(versioning.version_param)
        return frozenset(keywords)

    def find_extra_action(self, name: str) -> Any:
        """Return the `@action` function that `name` belongs to, directly or through `.mapping`."""
        for base in self.cls.__mro__:
            for member in vars(base).values():
                mapping = getattr(member, "mapping", None)
                if hasattr(member, "url_path") and isinstance(mapping, Mapping) and name in mapping.values():
                    current = getattr(self.cls, getattr(member, "__name__", ""), None)
                    return member if current is member else None
        return None


def _is_standard(function: Any) -> bool:
    return getattr(function, "__module__", None) in _OURS
