"""Describe tokens to drf-spectacular: the Bearer scheme, and what each operation requires.

Loaded if drf-spectacular is an installed app. To include scopes in the schema of its own operations, a site sets
`DEFAULT_SCHEMA_CLASS` to `ScopeAutoSchema`, or to its own class with `ScopeSchemaMixin`.
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
    """The Bearer scheme, for each operation that doesn't refuse tokens."""

    target_class = "pat_tokens.contrib.rest_framework.authentication.PersonalAccessTokenAuthentication"
    match_subclasses = True
    name = SCHEME

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        scheme = build_bearer_security_scheme_object(conf.header, conf.keyword, f"{conf.prefix}_…")
        texts = [_("A personal access token. It can do what its scopes and its owner's permissions allow.")]
        if scheme["type"] != "http":  # tools such as Swagger UI then send exactly what users type
            example = f"{conf.keyword} {conf.prefix}_…"
            texts.append(_("Required prefix: enter `%(example)s`, not only the secret.") % {"example": example})
        return {**scheme, "description": " ".join(texts)}

    def get_security_requirement(self, auto_schema: AutoSchema) -> Any:
        """Return nothing if tokens are refused, otherwise the scheme; from OpenAPI 3.1 on, with the scope."""
        requirement = find_requirement(auto_schema)
        if requirement is None:
            return None
        # OpenAPI 3.0 requires an empty list for all schemes except OAuth.
        named = not spectacular_settings.OAS_VERSION.startswith("3.0") and requirement is not ANY_TOKEN
        return {SCHEME: _name_scopes(requirement, auto_schema) if named else []}


class ScopeSchemaMixin:
    """For schema classes of drf-spectacular: adds each operation's scope to its description and as `x-pat-scope`.

    `x-pat-scope` is a string such as `channels:{id}:publish`, several of them with spaces in between if all are needed,
    or `any` if any token is accepted. If every token is refused, `x-pat-refused` is true.
    """

    def get_description(self) -> str:
        schema: Any = self
        description: str = super().get_description()  # type: ignore[misc]
        if not _takes_tokens(schema):
            return description
        return f"{description}\n\n{_explain(find_requirement(schema), schema)}".strip()

    def get_extensions(self) -> dict[str, Any]:
        schema: Any = self
        extensions: dict[str, Any] = super().get_extensions()  # type: ignore[misc]
        if not _takes_tokens(schema):
            return extensions
        requirement = find_requirement(schema)
        if requirement is None:
            return {"x-pat-refused": True, **extensions}
        return {"x-pat-scope": " ".join(_name_scopes(requirement, schema)), **extensions}


class ScopeAutoSchema(ScopeSchemaMixin, AutoSchema):  # type: ignore[misc]  # DRF's own method has other arguments
    """drf-spectacular's own schema class, with the scope of each operation."""


def find_requirement(auto_schema: AutoSchema) -> Requirement | None:
    """Return what an operation requires, or None if it refuses every token."""
    route = auto_schema.path_regex
    names = _url_names.setdefault(auto_schema.registry, {})
    if not names:
        names.update((one.pattern.replace("^", ""), one.url_name) for one in walk() if one.url_name)
    # drf-spectacular keeps the `^` of included patterns; Django's routes don't have it.
    facts = RouteInfo(route, names.get(route.replace("^", "")), frozenset(_KEYWORD.findall(route)))
    return resolve(ViewInfo.of(auto_schema.view), auto_schema.method, facts).requirement


_url_names: WeakKeyDictionary[Any, dict[str, str]] = WeakKeyDictionary()  # route to URL name, by run


def _takes_tokens(auto_schema: AutoSchema) -> bool:
    authenticators = auto_schema.view.get_authenticators()
    return any(isinstance(one, PersonalAccessTokenAuthentication) for one in authenticators)


def _name_scopes(requirement: Requirement, auto_schema: AutoSchema) -> list[str]:
    if requirement is ANY_TOKEN:
        return ["any"]
    # The schema can rename keywords: `{id}` for `pk`.
    called = dict(
        zip(_KEYWORD.findall(auto_schema.path_regex), re.findall(r"{([^{}]+)}", auto_schema.path), strict=False)
    )

    def name(part: Requirement) -> str:
        entity = ",".join(f"{{{called.get(keyword, keyword)}}}" for keyword in part.keywords) or "*"
        return f"{part.entity_type}:{entity}:{part.operation}"

    return list(map(name, requirement.parts))


def _explain(requirement: Requirement | None, auto_schema: AutoSchema) -> str:
    if requirement is None:
        return _("Personal access tokens are refused.")
    if requirement is ANY_TOKEN:
        return _("Any personal access token is accepted.")
    first, *others = _name_scopes(requirement, auto_schema)
    if is_filtered(ViewInfo.of(auto_schema.view), requirement):
        text = _("A personal access token needs the scope `%(scope)s`, or scopes for single ids, which limit the list.")
    else:
        text = _("A personal access token needs the scope `%(scope)s`.")
    texts = [text % {"scope": first}, *(_("It also needs the scope `%(scope)s`.") % {"scope": one} for one in others)]
    return " ".join(texts)


__all__ = ["ScopeAutoSchema", "ScopeSchemaMixin"]
