"""Find what a plain Django view requires: declared on the view, or outside of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from pat_tokens.conf import MIDDLEWARE_PATH, site_middleware
from pat_tokens.declarations import Own, class_of, declared_for_view, find_own, find_refusal, find_sources
from pat_tokens.integrations import integration_of
from pat_tokens.requirements import Requirement, Requirements, Resolution

View = Callable[..., Any]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")  # methods that can be declared; HEAD counts as GET


def find_requirement(view: View, method: str, *, url_name: str | None = None, route: str | None = None) -> Resolution:
    """Return what the plain `view` requires for `method`; decorators around a declared view don't matter."""
    return find_requirements(view, (method,), url_name=url_name, route=route)[method]


def find_requirements(
    view: View, methods: Iterable[str], *, url_name: str | None = None, route: str | None = None
) -> dict[str, Resolution]:
    """Return what the plain `view` requires, by method."""
    own = _find_own(view)
    if not (own.requirements is None or isinstance(own.requirements, Mapping)):  # a site can set it to any value
        problem = "declared on the view: pat_requirements is not a mapping from HTTP method to Requirement"
        return dict.fromkeys(methods, Resolution(None, problem))
    layers_of_view = tuple(_identities(view))
    outside = next((one for one in layers_of_view if find_refusal(one, None)), None) or next(
        (one for one in layers_of_view if declared_for_view(one) is not None), None
    )
    sources = find_sources(view=outside, url_name=url_name, own=own, route=route)
    found = {}
    for method in methods:
        key = "GET" if method == "HEAD" else method
        found[method] = sources.find((key,)) or Resolution(None, f"not declared: no requirement for {key}")
    return found


def declared_methods(view: View, *, url_name: str | None = None, route: str | None = None) -> list[str]:
    """Return the methods that `view` has a requirement for, without HEAD and OPTIONS."""
    found = find_requirements(view, METHODS, url_name=url_name, route=route)
    return [method for method, resolution in found.items() if resolution.requirement is not None]


def _find_own(view: View) -> Own:
    """Return what `view` itself declares: as an argument of `as_view()`, on the function, or on its class."""
    given = getattr(view, "view_initkwargs", {})
    view_class = getattr(view, "view_class", None) or _class_of_method(view)
    of_class = find_own(view_class, given) if isinstance(view_class, type) else Own(None)
    # Decorators copy the attribute from the class or from the arguments of as_view().
    of_function = getattr(view, "pat_requirements", None)
    if of_function is None or of_function == of_class.requirements:
        return of_class
    if "pat_requirements" in given:
        return of_class
    if isinstance(view_class, type) and getattr(view_class, "dispatch", None) is not None:
        # Set by @method_decorator; subclasses inherit it with the method.
        of_dispatch = find_own(view_class, {}, "dispatch")
        return of_dispatch._replace(requirements=of_function)
    return Own(of_function)


def _class_of_method(view: View) -> type | None:
    # `@method_decorator` wraps the bound method of one instance.
    bound = getattr(view, "__wrapped__", view)
    instance = getattr(getattr(bound, "func", bound), "__self__", None)
    return type(instance) if hasattr(instance, "dispatch") else None


def has_middleware() -> bool:
    """Return whether the middleware is installed. Without it, plain views don't read tokens."""
    return any(site_middleware(MIDDLEWARE_PATH))


def is_guarded(view: View, *, url_name: str | None = None, route: str | None = None) -> bool:
    """Return whether `view` has a declaration, its own or from elsewhere."""
    return _find_own(view).requirements is not None or bool(declared_methods(view, url_name=url_name, route=route))


def validated_requirements(requirements: Any) -> Requirements:
    """Return a copy of a declaration. Raises ImproperlyConfigured if it is invalid."""
    if not isinstance(requirements, Mapping):
        raise ImproperlyConfigured(
            f"{requirements!r} is not a mapping from HTTP method to Requirement: write {{'GET': Requirement(...)}}."
        )
    for method, requirement in requirements.items():
        if not isinstance(method, str) or method != method.upper() or method == "HEAD":
            raise ImproperlyConfigured(
                f"{method!r} is not an HTTP method that can be declared: write it in upper case, and GET for HEAD."
            )
        if requirement is not None and not isinstance(requirement, Requirement):
            raise ImproperlyConfigured(f"{method}: {requirement!r} is not a Requirement.")
    return dict(requirements)


def refuse_foreign(view: View) -> None:
    """Raise ImproperlyConfigured for views of a framework that has its own integration."""
    integration = integration_of(view)
    if integration is not None:
        raise ImproperlyConfigured(
            f"{view!r} is a view of {integration.name}, which authenticates tokens itself. Write "
            "pat_requirements = {...} in its class, or use pat_tokens.declarations.declare_view."
        )


def _identities(view: View) -> Iterator[Any]:
    for layer in layers(view):
        identity = class_of(layer)
        if isinstance(identity, Hashable):
            yield identity


def layers(view: View) -> Iterator[Any]:
    """Return `view` and the functions that its decorators wrap, as recorded by `functools.wraps`."""
    layer: Any = view
    seen = set()
    while layer is not None and id(layer) not in seen:
        seen.add(id(layer))
        yield layer
        layer = getattr(layer, "__wrapped__", None)
