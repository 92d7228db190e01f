"""What a DRF view says about itself without being run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rest_framework.settings import api_settings
from rest_framework.versioning import URLPathVersioning

from pat_tokens.declarations import Own, find_own

if TYPE_CHECKING:
    # Not at run time: the classes that DRF's own settings name are imported while `rest_framework.views` is.
    from rest_framework.views import APIView

_METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")
_OURS = ("rest_framework.views", "django.views.generic.base")  # where methods that do nothing of their own come from


@dataclass(frozen=True)
class ViewInfo:
    """A view class with what `as_view()` gave it; a ViewSet has `actions`, from method in small letters to action.

    Only plain attributes count. A property may read `request.user`, and that is what is being found out.
    """

    cls: type[Any]
    attributes: Mapping[str, Any]
    actions: Mapping[str, str] | None

    @classmethod
    def of(cls, view: APIView) -> ViewInfo:
        """Return the facts of a view that is handling a request."""
        return cls(type(view), vars(view), getattr(view, "action_map", None))

    @classmethod
    def of_callback(cls, callback: Any) -> ViewInfo:
        """Return the facts of what `as_view()` returned."""
        return cls(callback.cls, getattr(callback, "initkwargs", {}), getattr(callback, "actions", None))

    def get(self, name: str, default: Any = None) -> Any:
        """Return a plain attribute, or `default` where there is none or it is computed."""
        if name in self.attributes:
            return self.attributes[name]
        for base in self.cls.__mro__:
            if name in vars(base):
                value = vars(base)[name]
                return default if hasattr(type(value), "__get__") else value
        return default

    def is_computed(self, name: str) -> bool:
        """Tell whether an attribute is a property or the like, so that nobody knows it before a request."""
        if name in self.attributes:
            return False
        for base in self.cls.__mro__:
            if name in vars(base):
                return hasattr(type(vars(base)[name]), "__get__")
        return False

    def find_handler(self, name: str) -> Any:
        """Return the function that would handle an HTTP method (in small letters), or None."""
        if self.actions and name in self.actions:
            return getattr(self.cls, self.actions[name], None)
        own = getattr(self.cls, name, None) or self.attributes.get(name)
        if own is None and name == "head":
            return self.find_handler("get")
        return own

    def serves(self, name: str) -> bool:
        """Tell whether the view has a handler for an HTTP method (in small letters), so that it is no 405.

        One that no action of a ViewSet maps counts, too: DRF calls it where it is there.
        """
        names = self.get("http_method_names")
        if isinstance(names, Collection) and name not in names:
            return False
        return self.find_handler(name) is not None

    def methods(self) -> Iterator[str]:
        """Return the HTTP methods that the view handles, in capitals; HEAD and OPTIONS only where they are its own."""
        for name in _METHODS:
            standard = (name == "head" and not self.has_own_head) or (name == "options" and not self.has_own_options)
            if self.serves(name) and not standard:
                yield name.upper()

    def action_of(self, name: str) -> str | None:
        """Return the action that an HTTP method (in small letters) is mapped to, or None."""
        if not self.actions:
            return None
        return self.actions.get(name) or (self.actions.get("get") if name == "head" else None)

    @property
    def is_viewset(self) -> bool:
        """Whether its methods are mapped to actions."""
        return self.actions is not None

    @property
    def is_function(self) -> bool:
        """Whether `@api_view` made it of a function."""
        return "api_view.<locals>" in self.cls.__qualname__ or self.cls.__qualname__ == "WrappedAPIView"

    @property
    def own(self) -> Own:
        """What the view declares itself, whatever it is."""
        if self.is_computed("pat_requirements"):
            return Own("a computed pat_requirements")
        return find_own(self.cls, self.attributes)

    @property
    def own_requirements(self) -> Any:
        """The requirements that the view declares itself."""
        return self.own.requirements

    @property
    def has_own_head(self) -> bool:
        """Whether HEAD does something else here than GET."""
        if self.actions and ("head" in self.actions or "get" in self.actions):
            return self.action_of("head") != self.action_of("get")
        return hasattr(self.cls, "head")

    @property
    def has_own_options(self) -> bool:
        """Whether OPTIONS does something else here than describe the view, so that it has to be declared."""
        return "options" in (self.actions or ()) or not _is_standard(getattr(self.cls, "options", None))

    @property
    def has_own_405(self) -> bool:
        """Whether the view does something of its own with methods that it does not have."""
        return not _is_standard(getattr(self.cls, "http_method_not_allowed", None))

    @property
    def lookup_field(self) -> str | None:
        """The model field that the view looks its object up by; None where it is computed."""
        return None if self.is_computed("lookup_field") else str(self.get("lookup_field") or "pk")

    @property
    def lookup_keyword(self) -> str | None:
        """The URL keyword that the view looks its object up with; None where it is computed."""
        if self.is_computed("lookup_url_kwarg"):
            return None
        return self.get("lookup_url_kwarg") or self.lookup_field

    @property
    def harmless_keywords(self) -> frozenset[str]:
        """The URL keywords that choose a format or a version and no entity."""
        keywords = {str(api_settings.FORMAT_SUFFIX_KWARG)}
        versioning = self.get("versioning_class")
        if isinstance(versioning, type) and issubclass(versioning, URLPathVersioning):
            keywords.add(versioning.version_param)
        return frozenset(keywords)

    def find_extra_action(self, name: str) -> Any:
        """Return the function that `@action` decorated and that `name` belongs to, itself or by `.mapping`."""
        for base in self.cls.__mro__:
            for member in vars(base).values():
                mapping = getattr(member, "mapping", None)
                if isinstance(mapping, Mapping) and hasattr(member, "url_path") and name in mapping.values():
                    current = getattr(self.cls, getattr(member, "__name__", ""), None)
                    return member if current is member else None
        return None


def _is_standard(function: Any) -> bool:
    return getattr(function, "__module__", None) in _OURS
