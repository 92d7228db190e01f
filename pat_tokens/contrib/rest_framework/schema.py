"""What drf-spectacular says about tokens: the Bearer scheme, and what each operation requires.

Loaded where drf-spectacular is an installed app. For a site's own operations to name their scopes, its setting
`DEFAULT_SCHEMA_CLASS` names `ScopeAutoSchema`, or a class of its own with `ScopeSchemaMixin`.
"""

from __future__ import annotations

import re
from typing import Any
from weakref import WeakKeyDictionary

from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from drf_spectacular.settings import spectacular_settings

from pat_tokens.conf import conf
from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication
from pat_tokens.contrib.rest_framework.filters import is_filtered
from pat_tokens.contrib.rest_framework.introspection import ViewInfo
from pat_tokens.contrib.rest_framework.requirements import RouteInfo, resolve
from pat_tokens.inspection.routes import walk
from pat_tokens.requirements import ANY_TOKEN, Requirement

SCHEME = "personalAccessToken"

_KEYWORD = re.compile(r"<(?:[^<>:]*:)?([^<>]+)>")  # `<int:pk>`, `<pk>`, and the name in `(?P<pk>...)`


class PersonalAccessTokenScheme(OpenApiAuthenticationExtension):
    """The Bearer scheme, on each operation that tokens are not refused at."""

    target_class = "pat_tokens.contrib.rest_framework.authentication.PersonalAccessTokenAuthentication"
    match_subclasses = True
    name = SCHEME

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return how a request carries a secret."""
        return {
            **build_bearer_security_scheme_object(conf.header, conf.keyword, f"{conf.prefix}_…"),
            "description": _("A personal access token. It can do what its scopes say and its owner may."),
        }

    def get_security_requirement(self, auto_schema: AutoSchema) -> Any:
        """Return nothing where tokens are refused; else the scheme, from OpenAPI 3.1 on with the scope."""
        requirement = find_requirement(auto_schema)
        if requirement is None:
            return None
        # OpenAPI 3.0 wants an empty list for every scheme but OAuth's.
        named = not spectacular_settings.OAS_VERSION.startswith("3.0") and requirement is not ANY_TOKEN
        return {SCHEME: [_name_scope(requirement, auto_schema)] if named else []}


class ScopeSchemaMixin:
    """For a schema class of drf-spectacular: names each operation's scope, as text and as `x-pat-scope`.

    `x-pat-scope` is such as `channels:{id}:publish`, or `any` where any token will do. Where every token is refused,
    there is `x-pat-refused: true`.
    """

    def get_description(self) -> str:
        """Return the description with a sentence about tokens."""
        schema: Any = self
        description: str = super().get_description()  # type: ignore[misc]
        if not _takes_tokens(schema):
            return description
        return f"{description}\n\n{_explain(find_requirement(schema), schema)}".strip()

    def get_extensions(self) -> dict[str, Any]:
        """Return the extensions with that about tokens."""
        schema: Any = self
        extensions: dict[str, Any] = super().get_extensions()  # type: ignore[misc]
        if not _takes_tokens(schema):
            return extensions
        return {**_extend(find_requirement(schema), schema), **extensions}


class ScopeAutoSchema(ScopeSchemaMixin, AutoSchema):  # type: ignore[misc]  # DRF's own method has other arguments
    """drf-spectacular's own schema class with each operation's scope."""


def find_requirement(auto_schema: AutoSchema) -> Requirement | None:
    """Return what an operation requires of a token; None where it refuses every token."""
    route = auto_schema.path_regex
    names = _url_names.setdefault(auto_schema.registry, {})
    if not names:
        names.update((one.pattern.replace("^", ""), one.url_name) for one in walk() if one.url_name)
    # drf-spectacular keeps the anchor of an included pattern, which the routes of Django do not have.
    facts = RouteInfo(route, names.get(route.replace("^", "")), frozenset(_KEYWORD.findall(route)))
    return resolve(ViewInfo.of(auto_schema.view), auto_schema.method, facts).requirement


_url_names: WeakKeyDictionary[Any, dict[str, str]] = WeakKeyDictionary()  # for each run: from route to URL name


def _takes_tokens(auto_schema: AutoSchema) -> bool:
    authenticators = auto_schema.view.get_authenticators()
    return any(isinstance(one, PersonalAccessTokenAuthentication) for one in authenticators)


def _name_scope(requirement: Requirement, auto_schema: AutoSchema) -> str:
    if requirement is ANY_TOKEN:
        return "any"
    # The schema may call a keyword otherwise than the URL does: `{id}` for `pk`.
    called = dict(
        zip(_KEYWORD.findall(auto_schema.path_regex), re.findall(r"{([^{}]+)}", auto_schema.path), strict=False)
    )
    entity = ",".join(f"{{{called.get(keyword, keyword)}}}" for keyword in requirement.keywords) or "*"
    return f"{requirement.entity_type}:{entity}:{requirement.operation}"


def _explain(requirement: Requirement | None, auto_schema: AutoSchema) -> str:
    if requirement is None:
        return _("Personal access tokens are refused here.")
    if requirement is ANY_TOKEN:
        return _("Any personal access token can be used here.")
    if is_filtered(ViewInfo.of(auto_schema.view), requirement):
        text = _("A personal access token needs the scope `%(scope)s`, or scopes for single ids, which limit the list.")
    else:
        text = _("A personal access token needs the scope `%(scope)s`.")
    return text % {"scope": _name_scope(requirement, auto_schema)}


def _extend(requirement: Requirement | None, auto_schema: AutoSchema) -> dict[str, Any]:
    if requirement is None:
        return {"x-pat-refused": True}
    return {"x-pat-scope": _name_scope(requirement, auto_schema)}


__all__ = ["ScopeAutoSchema", "ScopeSchemaMixin"]
