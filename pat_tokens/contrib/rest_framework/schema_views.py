"""Describe the management API to drf-spectacular; loaded if it is an installed app."""

from __future__ import annotations

import functools
from collections.abc import Iterable
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

from pat_tokens.conf import conf
from pat_tokens.contrib.rest_framework.filtersets import MAX_TERM_LENGTH, UNUSED_FOR
from pat_tokens.contrib.rest_framework.serializers import (
    ActivitySerializer,
    DeletedSerializer,
    EntitySerializer,
    EntityTypeSerializer,
    ExplainSerializer,
    PersonalAccessTokenCreateSerializer,
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
from pat_tokens.entities import MAX_ID_LENGTH, registry
from pat_tokens.models import MAX_NETWORKS, PersonalAccessToken


class NamedChoiceFieldSchema(OpenApiSerializerFieldExtension):
    """A separate component, so that drf-spectacular doesn't rename enums of the site."""

    target_class = "pat_tokens.contrib.rest_framework.fields.NamedChoiceField"

    def get_name(self) -> str:
        return str(self.target.component)

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.target.choices)}


class TextFieldSchema(OpenApiSerializerFieldExtension):
    target_class = "pat_tokens.contrib.rest_framework.fields.TextField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        field: Any = self.target
        lengths = {"minLength": field.min_length, "maxLength": field.max_length}
        return {"type": "string", **{name: length for name, length in lengths.items() if length}}


class ExpiryFieldSchema(OpenApiSerializerFieldExtension):
    target_class = "pat_tokens.contrib.rest_framework.fields.ExpiryField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        return {"oneOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}


class NetworksFieldSchema(OpenApiSerializerFieldExtension):
    """A list of strings."""

    target_class = "pat_tokens.contrib.rest_framework.fields.NetworksField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        """Return the list."""
        return {
            "type": "array",
            "maxItems": MAX_NETWORKS,
            "items": {"type": "string", "description": "An address or a network, such as 10.0.0.0/8."},
        }


class ScopesFieldSchema(OpenApiSerializerFieldExtension):
    target_class = "pat_tokens.contrib.rest_framework.fields.ScopesField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        field: Any = self.target
        operations = {operation.name: None for entity_type in registry for operation in entity_type.operations}
        return {
            "type": "array",
            "minItems": 0 if field.allow_empty else 1,
            "maxItems": conf.max_scopes_per_token,
            "items": {
                "type": "object",
                "properties": {
                    "entity_type": {"type": "string", "enum": [entity_type.name for entity_type in registry]},
                    "entity_id": {
                        "oneOf": [
                            {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH},
                            {"type": "integer"},
                        ],
                        "description": _("The id of an entity that you can see, or `*` for all, current and future."),
                    },
                    "operation": {"type": "string", "enum": list(operations)},
                },
                "required": ["entity_type", "entity_id", "operation"],
            },
        }


class ActivitySchema(OpenApiSerializerExtension):
    """A row of activity, where only rows of refused secrets have all fields."""

    target_class = "pat_tokens.contrib.rest_framework.serializers.ActivitySerializer"

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
        "Refused: a personal access token, a session without the CSRF token, or one whose password is too long ago."
    ),
    404: _("You have nothing of this id, or there is no such page."),
    409: _("The token is not in the right state: `code` says why. Nothing was changed."),
    413: _("The body is too large."),
    415: _("The body is not JSON."),
}
_TAKEN = _("Any personal access token is accepted.")
_REFUSED = _("Personal access tokens are refused.")
_TOKEN_ID = OpenApiParameter("token_id", OpenApiTypes.UUID, OpenApiParameter.PATH, description=_("The id of a token."))
_SCOPE_ID = OpenApiParameter("scope_id", OpenApiTypes.UUID, OpenApiParameter.PATH, description=_("The id of a scope."))
_ENTITY_TYPE = OpenApiParameter(
    "entity_type", OpenApiTypes.STR, OpenApiParameter.PATH, description=_("The name of an entity type.")
)
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


def _document(
    operation_id: str,
    summary: Any,
    *answers: tuple[int, Any],
    request: Any = None,
    errors: Iterable[int] = (),
    parameters: Iterable[Any] = (),
    takes_tokens: bool = False,
    filters: bool | None = None,
) -> Any:
    parameters = list(parameters)
    possible = {401, 403, *errors}
    if request is not None:
        possible |= {400, 413, 415}
    if any(getattr(parameter, "location", "") == OpenApiParameter.PATH for parameter in parameters):
        possible.add(404)
    if _OWNER in parameters:
        possible |= {400, 404}
    return extend_schema(
        operation_id=f"personal_access_tokens_{operation_id}",
        summary=summary,
        description=_TAKEN if takes_tokens else _REFUSED,
        parameters=parameters,
        filters=filters,
        request=request,
        responses={
            **dict(answers),
            **{code: OpenApiResponse(_error_body(code), description=_ERRORS[code]) for code in sorted(possible)},
        },
        tags=["Personal access tokens"],
        extensions={"x-pat-scope": "any"} if takes_tokens else {"x-pat-refused": True},
    )


def _error_body(code: int) -> Any:
    return _FIELD_ERRORS if code == 400 else PersonalAccessTokenErrorSerializer


def _describe(view: type[APIView], **operations: Any) -> type[APIView]:
    members: dict[str, Any] = {name: describe(_copy(getattr(view, name))) for name, describe in operations.items()}
    if hasattr(view, "get_queryset"):
        members["get_queryset"] = lambda self: PersonalAccessToken.objects.none()
    return type(view.__name__, (view,), members)


def _copy(method: Any) -> Any:
    # drf-spectacular sets attributes on the function, which also handles requests.
    @functools.wraps(method)
    def copy(*args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)

    return copy


class TokenViews(OpenApiViewExtension):
    target_class = "pat_tokens.contrib.rest_framework.views.TokenViewSet"

    def view_replacement(self) -> type[APIView]:
        token, with_secret = PersonalAccessTokenSerializer, PersonalAccessTokenWithSecretSerializer

        return _describe(
            self.target,
            list=_document(
                "list",
                pgettext_lazy("pat_tokens", "List my tokens"),
                (200, token(many=True)),
                errors=(400, 404),
                parameters=[_OWNER],
            ),
            create=_document(
                "create",
                _("Create a token; only this response contains its secret"),
                (201, with_secret),
                request=PersonalAccessTokenCreateSerializer,
                parameters=[_OWNER],
            ),
            destroy_all=_document(
                "delete_all",
                _("Delete all my tokens, or those that match the filters"),
                (200, DeletedSerializer),
                errors=(400,),
                parameters=[_OWNER, OpenApiParameter("ordering", exclude=True)],
                filters=True,
            ),
            retrieve=_document(
                "retrieve", pgettext_lazy("pat_tokens", "Show a token"), (200, token), parameters=[_TOKEN_ID]
            ),
            partial_update=_document(
                "update",
                _("Change the name or the description of a token, or the grace period of a rotation"),
                (200, token),
                request=PersonalAccessTokenUpdateSerializer,
                errors=(409,),
                parameters=[_TOKEN_ID],
            ),
            destroy=_document(
                "delete",
                pgettext_lazy("pat_tokens", "Delete a token"),
                (204, None),
                errors=(400,),
                parameters=[_TOKEN_ID],
            ),
            revoke=_document(
                "revoke", _("Revoke a token immediately"), (200, token), errors=(400,), parameters=[_TOKEN_ID]
            ),
            regenerate=_document(
                "regenerate",
                _("Create a new secret and expiration date; only this response contains the secret"),
                (200, with_secret),
                request=PersonalAccessTokenRegenerateSerializer,
                parameters=[_TOKEN_ID],
            ),
            rotate=_document(
                "rotate",
                _("Create a new secret, which only this response contains; the previous secret keeps working"),
                (200, with_secret),
                request=PersonalAccessTokenRotateSerializer,
                errors=(409,),
                parameters=[_TOKEN_ID],
            ),
            finish_rotation=_document(
                "rotate_finish",
                _("Stop the previous secret of a token now"),
                (200, token),
                errors=(400, 409),
                parameters=[_TOKEN_ID],
            ),
            cancel_rotation=_document(
                "rotate_cancel",
                _("Stop the new secret of a token, if it was never used, and keep the previous one"),
                (200, token),
                errors=(400, 409),
                parameters=[_TOKEN_ID],
            ),
            explain=_document(
                "explain",
                _("Explain why a request would be allowed or refused, without running it"),
                (200, PersonalAccessTokenExplanationSerializer),
                errors=(400,),
                parameters=[_TOKEN_ID, ExplainSerializer],
            ),
        )


class ScopeViews(OpenApiViewExtension):
    target_class = "pat_tokens.contrib.rest_framework.views.ScopeViewSet"

    def view_replacement(self) -> type[APIView]:
        scopes = PersonalAccessTokenScopeSerializer(many=True)

        return _describe(
            self.target,
            list=_document("scopes_list", _("List the scopes of a token"), (200, scopes), parameters=[_TOKEN_ID]),
            create=_document(
                "scopes_create",
                _("Add scopes to a token, all or none, and list all its scopes"),
                (201, scopes),
                request=PersonalAccessTokenScopesAddSerializer,
                parameters=[_TOKEN_ID],
            ),
            destroy_all=_document(
                "scopes_delete_all",
                _("Delete all scopes of a token, or the unused ones"),
                (200, DeletedSerializer),
                errors=(400,),
                parameters=[_TOKEN_ID, _UNUSED_FOR],
            ),
            destroy=_document(
                "scopes_delete",
                _("Delete a scope of a token"),
                (204, None),
                errors=(400,),
                parameters=[_TOKEN_ID, _SCOPE_ID],
            ),
        )


class MissingScopeViews(OpenApiViewExtension):
    target_class = "pat_tokens.contrib.rest_framework.views.MissingScopeViewSet"

    def view_replacement(self) -> type[APIView]:
        return _describe(
            self.target,
            list=_document(
                "missing_list",
                _("List the scopes that a token was lately refused for, the latest first"),
                (200, PersonalAccessTokenMissingScopeSerializer(many=True)),
                errors=(400,),
                parameters=[_TOKEN_ID],
            ),
        )


class ActivityViews(OpenApiViewExtension):
    """What happened to tokens."""

    target_class = "pat_tokens.contrib.rest_framework.views.ActivityViewSet"

    def view_replacement(self) -> type[APIView]:
        return _describe(
            self.target,
            list=_document(
                "activity_list",
                _("List what happened to my tokens, newest first"),
                (200, ActivitySerializer(many=True)),
                errors=(400, 404),
                parameters=[_OWNER],
                filters=True,
            ),
            list_for_token=_document(
                "activity_list_for_token",
                _("List what happened to a token, newest first"),
                (200, ActivitySerializer(many=True)),
                errors=(400,),
                parameters=[_TOKEN_ID],
                filters=True,
            ),
        )


class EntityTypeViews(OpenApiViewExtension):
    target_class = "pat_tokens.contrib.rest_framework.views.EntityTypeViewSet"

    def view_replacement(self) -> type[APIView]:
        return _describe(
            self.target,
            list=_document(
                "entity_types_list",
                _("List the entity types and their operations"),
                (200, EntityTypeSerializer(many=True)),
                parameters=[_OWNER],
            ),
        )


class EntityViews(OpenApiViewExtension):
    target_class = "pat_tokens.contrib.rest_framework.views.EntityViewSet"

    def view_replacement(self) -> type[APIView]:
        return _describe(
            self.target,
            list=_document(
                "entities_list",
                _("List the entities of a type that I can choose for a scope"),
                (200, EntitySerializer(many=True)),
                errors=(400,),
                parameters=[_ENTITY_TYPE, _OWNER, _SEARCH],
            ),
        )


class CurrentTokenViews(OpenApiViewExtension):
    target_class = "pat_tokens.contrib.rest_framework.views.CurrentTokenViewSet"

    def view_replacement(self) -> type[APIView]:
        return _describe(
            self.target,
            retrieve=_document(
                "current_retrieve",
                _("Show the token of this request"),
                (200, PersonalAccessTokenSerializer),
                takes_tokens=True,
            ),
            revoke=_document(
                "current_revoke",
                _("Revoke the token of this request immediately"),
                (204, None),
                takes_tokens=True,
            ),
        )
