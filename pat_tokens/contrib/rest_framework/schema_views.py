"""Describe the management API to drf-spectacular; loaded if it is an installed app."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from drf_spectacular.contrib.django_filters import DjangoFilterExtension
from drf_spectacular.extensions import (
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
    OpenApiViewExtension,
)
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.views import APIView

from pat_tokens.contrib.rest_framework.filtersets import MAX_TERM_LENGTH, UNUSED_FOR
from pat_tokens.contrib.rest_framework.serializers import (
    ExplainSerializer,
    PersonalAccessTokenActivitySerializer,
    PersonalAccessTokenCreateSerializer,
    PersonalAccessTokenDeletedSerializer,
    PersonalAccessTokenEntitySerializer,
    PersonalAccessTokenEntityTypeSerializer,
    PersonalAccessTokenMissingScopeSerializer,
    PersonalAccessTokenRegenerateSerializer,
    PersonalAccessTokenRotateSerializer,
    PersonalAccessTokenScopesAddSerializer,
    PersonalAccessTokenScopeSerializer,
    PersonalAccessTokenSerializer,
    PersonalAccessTokenUpdateSerializer,
    PersonalAccessTokenWithSecretSerializer,
)
from pat_tokens.durations import MAX_LENGTH
from pat_tokens.models import PersonalAccessToken


class NamedChoiceFieldSchema(OpenApiSerializerFieldExtension):
    """A separate component, so that drf-spectacular doesn't rename enums of the site."""

    target_class = "pat_tokens.contrib.rest_framework.fields.NamedChoiceField"

    def get_name(self) -> str:
        return str(self.target.component)

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.target.choices)}


class InputFieldSchema(OpenApiSerializerFieldExtension):
    target_class = "pat_tokens.contrib.rest_framework.fields.InputField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        schema: dict[str, Any] = self.target.get_schema()
        return schema


class ActivitySchema(OpenApiSerializerExtension):
    """A row of activity, where only rows of refused secrets have all fields."""

    target_class = "pat_tokens.contrib.rest_framework.serializers.PersonalAccessTokenActivitySerializer"

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        optional = self.target.fields_of_refusals
        return {**schema, "required": [name for name in schema.get("required", ()) if name not in optional]}


class TokenFilterBackendSchema(DjangoFilterExtension):
    target_class = "pat_tokens.contrib.rest_framework.filtersets.TokenFilterBackend"
    priority = 1

    def get_schema_operation_parameters(
        self, auto_schema: AutoSchema, *args: Any, **kwargs: Any
    ) -> list[dict[str, Any]]:
        parameters = super().get_schema_operation_parameters(auto_schema, *args, **kwargs)
        extra = {"allowEmptyValue": True} if auto_schema.method == "GET" else {}
        return [{**parameter, **extra} for parameter in parameters]


class PersonalAccessTokenMissingSerializer(serializers.Serializer[Any]):
    """A scope that the token lacks."""

    entity_type = serializers.CharField()
    entity_id = serializers.CharField()
    operation = serializers.CharField()


class PersonalAccessTokenErrorSerializer(serializers.Serializer[Any]):
    """Why a request was refused."""

    detail = serializers.CharField()
    code = serializers.CharField(required=False)
    missing = PersonalAccessTokenMissingSerializer(many=True, required=False)
    fix_url = serializers.CharField(
        required=False, help_text=_("Where the token's owner can add the scopes that are missing.")
    )
    url = serializers.CharField(
        required=False, help_text=_("The page where users confirm their identity, with `reauthentication_required`.")
    )


class PersonalAccessTokenStepSerializer(serializers.Serializer[Any]):
    """One step of the explanation; `ok` is null if it depends on the request itself."""

    step = serializers.CharField()
    ok = serializers.BooleanField(allow_null=True)
    text = serializers.CharField()


class PersonalAccessTokenExplanationSerializer(serializers.Serializer[Any]):
    """Why a token is allowed to make a request, or refused, and what the response would be."""

    allowed = serializers.BooleanField()
    status = serializers.IntegerField(allow_null=True)
    code = serializers.CharField(allow_null=True)
    requirement = serializers.CharField(allow_null=True)
    missing = PersonalAccessTokenMissingSerializer(many=True)
    fix_url = serializers.CharField(allow_null=True)
    steps = PersonalAccessTokenStepSerializer(many=True)


_FIELD_ERRORS = {"type": "object", "additionalProperties": {}}
_ERRORS = {
    400: _("Errors by field, or `detail` for what is no JSON. Nothing was changed."),
    401: _("Nobody is logged in, or the token is not valid."),
    403: _(
        "Refused: a personal access token, a session without the CSRF token, or one whose password confirmation has "
        "expired."
    ),
    404: _("You have nothing of this id, or there is no such page."),
    409: _("The token is not in the right state: `code` says why. Nothing was changed."),
    413: _("The body is too large."),
    415: _("The body is not JSON."),
}
_TAKEN = _("Any personal access token is accepted.")
_REFUSED = _("Personal access tokens are refused.")
_KEYWORDS = {
    name: OpenApiParameter(name, kind, OpenApiParameter.PATH, description=description)
    for name, kind, description in (
        ("token_id", OpenApiTypes.UUID, _("The id of a token.")),
        ("scope_id", OpenApiTypes.UUID, _("The id of a scope.")),
        ("entity_type", OpenApiTypes.STR, _("The name of an entity type.")),
    )
}
_OWNER = OpenApiParameter(
    "owner", OpenApiTypes.STR, description=_("The username of an account whose tokens the user manages. Default: mine.")
)
_UNUSED_FOR = OpenApiParameter(
    UNUSED_FOR,
    {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH},
    description=_("Only scopes that have not been used for this duration, such as `90d`, while uses were recorded."),
)
_SEARCH = OpenApiParameter(
    "search",
    {"type": "string", "maxLength": MAX_TERM_LENGTH},
    description=_("Search terms, all of which have to match, or an id."),
)


@dataclass(frozen=True)
class Operation:
    """What the schema says about an action, besides the keywords of its URL."""

    id: str
    summary: Any
    status: int
    response: Any
    request: Any = None
    errors: Iterable[int] = ()
    parameters: Sequence[Any] = ()
    takes_tokens: bool = False
    filters: bool | None = None

    def describe(self, method: Any) -> Any:
        """Return a copy of `method` with this description."""
        keywords = [_KEYWORDS[name] for name in signature(method).parameters if name in _KEYWORDS]
        errors = {401, 403, *self.errors}
        if self.request is not None:
            errors |= {400, 413, 415}
        if keywords:
            errors.add(404)
        if _OWNER in self.parameters:
            errors |= {400, 404}
        document = extend_schema(
            operation_id=f"personal_access_tokens_{self.id}",
            summary=self.summary,
            description=_TAKEN if self.takes_tokens else _REFUSED,
            parameters=[*keywords, *self.parameters],
            filters=self.filters,
            request=self.request,
            responses={
                self.status: self.response,
                **{code: OpenApiResponse(_error_body(code), description=_ERRORS[code]) for code in sorted(errors)},
            },
            tags=["Personal access tokens"],
            extensions={"x-pat-scope": "any"} if self.takes_tokens else {"x-pat-refused": True},
        )
        return document(_copy(method))


def _error_body(code: int) -> Any:
    return _FIELD_ERRORS if code == 400 else PersonalAccessTokenErrorSerializer


def _copy(method: Any) -> Any:
    # drf-spectacular sets attributes on the function, which also handles requests.
    @functools.wraps(method)
    def copy(*args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)

    return copy


_TOKEN, _TOKEN_WITH_SECRET = PersonalAccessTokenSerializer, PersonalAccessTokenWithSecretSerializer
_SCOPES = PersonalAccessTokenScopeSerializer(many=True)
_OPERATIONS = {  # by view and action
    "TokenViewSet": {
        "list": Operation(
            "list", pgettext_lazy("pat_tokens", "List my tokens"), 200, _TOKEN(many=True), parameters=[_OWNER]
        ),
        "create": Operation(
            "create",
            _("Create a token; only this response contains its secret"),
            201,
            _TOKEN_WITH_SECRET,
            request=PersonalAccessTokenCreateSerializer,
            parameters=[_OWNER],
        ),
        "destroy_all": Operation(
            "delete_all",
            _("Delete all my tokens, or those that match the filters"),
            200,
            PersonalAccessTokenDeletedSerializer,
            parameters=[_OWNER, OpenApiParameter("ordering", exclude=True)],
            filters=True,
        ),
        "retrieve": Operation("retrieve", pgettext_lazy("pat_tokens", "Show a token"), 200, _TOKEN),
        "partial_update": Operation(
            "update",
            _("Change the name or the description of a token, or the grace period of a rotation"),
            200,
            _TOKEN,
            request=PersonalAccessTokenUpdateSerializer,
            errors=[409],
        ),
        "destroy": Operation("delete", pgettext_lazy("pat_tokens", "Delete a token"), 204, None, errors=[400]),
        "revoke": Operation("revoke", _("Revoke a token immediately"), 200, _TOKEN, errors=[400]),
        "regenerate": Operation(
            "regenerate",
            _("Create a new secret and expiration date; only this response contains the secret"),
            200,
            _TOKEN_WITH_SECRET,
            request=PersonalAccessTokenRegenerateSerializer,
        ),
        "rotate": Operation(
            "rotate",
            _("Create a new secret, which only this response contains; the previous secret keeps working"),
            200,
            _TOKEN_WITH_SECRET,
            request=PersonalAccessTokenRotateSerializer,
            errors=[409],
        ),
        "finish_rotation": Operation(
            "rotate_finish", _("Stop the previous secret of a token now"), 200, _TOKEN, errors=[400, 409]
        ),
        "cancel_rotation": Operation(
            "rotate_cancel",
            _("Stop the new secret of a token, if it was never used, and keep the previous one"),
            200,
            _TOKEN,
            errors=[400, 409],
        ),
        "explain": Operation(
            "explain",
            _("Explain why a request would be allowed or refused, without running it"),
            200,
            PersonalAccessTokenExplanationSerializer,
            errors=[400],
            parameters=[ExplainSerializer],
        ),
    },
    "ScopeViewSet": {
        "list": Operation("scopes_list", _("List the scopes of a token"), 200, _SCOPES),
        "create": Operation(
            "scopes_create",
            _("Add scopes to a token, all or none, and list all its scopes"),
            201,
            _SCOPES,
            request=PersonalAccessTokenScopesAddSerializer,
        ),
        "destroy_all": Operation(
            "scopes_delete_all",
            _("Delete all scopes of a token, or the unused ones"),
            200,
            PersonalAccessTokenDeletedSerializer,
            errors=[400],
            parameters=[_UNUSED_FOR],
        ),
        "destroy": Operation("scopes_delete", _("Delete a scope of a token"), 204, None, errors=[400]),
    },
    "MissingScopeViewSet": {
        "list": Operation(
            "missing_list",
            _("List the scopes that a token recently lacked, the latest first"),
            200,
            PersonalAccessTokenMissingScopeSerializer(many=True),
            errors=[400],
        )
    },
    "ActivityViewSet": {
        "list": Operation(
            "activity_list",
            _("List what happened to my tokens, newest first"),
            200,
            PersonalAccessTokenActivitySerializer(many=True),
            parameters=[_OWNER],
            filters=True,
        ),
        "list_for_token": Operation(
            "activity_list_for_token",
            _("List what happened to a token, newest first"),
            200,
            PersonalAccessTokenActivitySerializer(many=True),
            errors=[400],
            filters=True,
        ),
    },
    "EntityTypeViewSet": {
        "list": Operation(
            "entity_types_list",
            _("List the entity types and their operations"),
            200,
            PersonalAccessTokenEntityTypeSerializer(many=True),
            parameters=[_OWNER],
        )
    },
    "EntityViewSet": {
        "list": Operation(
            "entities_list",
            _("List the entities of a type that I can choose for a scope"),
            200,
            PersonalAccessTokenEntitySerializer(many=True),
            parameters=[_OWNER, _SEARCH],
        )
    },
    "CurrentTokenViewSet": {
        "retrieve": Operation("current_retrieve", _("Show the token of this request"), 200, _TOKEN, takes_tokens=True),
        "revoke": Operation(
            "current_revoke", _("Revoke the token of this request immediately"), 204, None, takes_tokens=True
        ),
    },
}


class ManagementViews(OpenApiViewExtension):
    target_class = "pat_tokens.contrib.rest_framework.views.ManagementViewSet"
    match_subclasses = True

    def view_replacement(self) -> type[APIView]:
        view: type[APIView] = self.target
        operations = _OPERATIONS.get(view.__name__, {})
        members = {name: operation.describe(getattr(view, name)) for name, operation in operations.items()}
        if operations and hasattr(view, "get_queryset"):
            members["get_queryset"] = lambda self: PersonalAccessToken.objects.none()
        return type(view.__name__, (view,), members)
