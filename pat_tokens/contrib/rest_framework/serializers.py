"""Serializers for tokens, scopes and entities, and for the bodies of requests.

Each is named after its component of the OpenAPI schema, with a prefix that keeps it apart from those of the site.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from pat_tokens.contrib.rest_framework.fields import (
    ExpiryField,
    NamedChoiceField,
    NetworksField,
    ScopesField,
    StrictDateTimeField,
    TextField,
)
from pat_tokens.durations import MAX_LENGTH
from pat_tokens.entities import ASK
from pat_tokens.inspection.explain import METHODS
from pat_tokens.models import MAX_NAME_LENGTH, Activity, Kind, MissingScope, PersonalAccessToken, Reason, Scope, Via
from pat_tokens.policy import grantable_operations
from pat_tokens.querysets import Status
from pat_tokens.scopes import ScopeKey
from pat_tokens.validation import EDITABLE_FIELDS, find_unknown_fields

MAX_PATH_LENGTH = 2000  # characters
_DATETIME = StrictDateTimeField()


class PersonalAccessTokenScopeSerializer(serializers.ModelSerializer[Scope]):
    """A scope; `last_used_at` is written when it is first used, and then at most once an hour."""

    last_used_at = StrictDateTimeField(read_only=True, allow_null=True)

    class Meta:
        model = Scope
        fields = ["id", "entity_type", "entity_id", "operation", "last_used_at"]
        read_only_fields = fields

    def to_representation(self, instance: Scope) -> dict[str, Any]:
        """Faster than DRF's fields, because a token can have hundreds of scopes."""
        last = instance.last_used_at
        last_used_at = None if last is None else _DATETIME.to_representation(last)
        return {"id": str(instance.pk), **instance.key._asdict(), "last_used_at": last_used_at}


class PersonalAccessTokenMissingScopeSerializer(serializers.ModelSerializer[MissingScope]):
    """A scope that a token recently lacked; `count` is a lower bound of the refused requests."""

    last_at = StrictDateTimeField(read_only=True)

    class Meta:
        model = MissingScope
        fields = ["entity_type", "entity_id", "operation", "count", "last_at"]
        read_only_fields = fields


class PersonalAccessTokenPreviousSecretSerializer(serializers.Serializer[Any]):
    """The previous secret while it works; `expires_at` is when it stops, as things stand."""

    hint = serializers.CharField()
    expires_at = StrictDateTimeField()
    last_used_at = StrictDateTimeField(allow_null=True)
    grace_period = serializers.CharField()
    grace_started_at = StrictDateTimeField(allow_null=True)


class PersonalAccessTokenSerializer(serializers.ModelSerializer[PersonalAccessToken]):
    """A token."""

    owner = serializers.SerializerMethodField()
    status = NamedChoiceField(Status.choices, component="PersonalAccessTokenStatus")
    created_at = StrictDateTimeField(read_only=True)
    issued_at = StrictDateTimeField(read_only=True)
    expires_at = StrictDateTimeField(read_only=True, allow_null=True)
    last_used_at = StrictDateTimeField(read_only=True, allow_null=True)
    revoked_at = StrictDateTimeField(read_only=True, allow_null=True)
    previous_secret = PersonalAccessTokenPreviousSecretSerializer(read_only=True, allow_null=True)
    allowed_networks = serializers.ListField(child=serializers.CharField(), read_only=True)
    scope_count = serializers.SerializerMethodField()
    scopes = PersonalAccessTokenScopeSerializer(source="scope_set", many=True, read_only=True)

    class Meta:
        model = PersonalAccessToken
        fields = [
            "id",
            "owner",
            *EDITABLE_FIELDS,
            "status",
            "hint",
            "created_at",
            "issued_at",
            "expires_at",
            "last_used_at",
            "revoked_at",
            "previous_secret",
            "scope_count",
            "scopes",
        ]
        read_only_fields = fields

    def get_owner(self, token: PersonalAccessToken) -> str:
        return str(token.user.get_username())

    def get_scope_count(self, token: PersonalAccessToken) -> int:
        return len(token.scope_set.all())


class PersonalAccessTokenRowSerializer(PersonalAccessTokenSerializer):
    """A token in a list: `scope_count` is annotated, and `listed_scopes` are its first scopes."""

    scope_count = serializers.IntegerField(read_only=True)  # type: ignore[assignment]
    scopes = PersonalAccessTokenScopeSerializer(source="listed_scopes", many=True, read_only=True)


class PersonalAccessTokenWithSecretSerializer(PersonalAccessTokenSerializer):
    """A token with its secret."""

    secret = serializers.CharField(read_only=True)

    class Meta(PersonalAccessTokenSerializer.Meta):
        fields = [*PersonalAccessTokenSerializer.Meta.fields, "secret"]
        read_only_fields = fields


class PersonalAccessTokenActivityTokenSerializer(serializers.Serializer[Any]):
    """The token of a row of activity, which may have been deleted."""

    id = serializers.UUIDField(source="token_id")
    name = serializers.CharField(source="token_name")


class PersonalAccessTokenActivityChangesSerializer(serializers.Serializer[Any]):
    """What changed: names of fields, and scopes as `type:id:operation`."""

    fields = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]
    scopes_added = serializers.ListField(child=serializers.CharField())
    scopes_deleted = serializers.ListField(child=serializers.CharField())


class PersonalAccessTokenActivitySerializer(serializers.ModelSerializer[Activity]):
    """What happened to a token; rows of refused secrets also have `reason`, `count` and `last_at`."""

    at = StrictDateTimeField(read_only=True)
    kind = NamedChoiceField(Kind.choices, component="PersonalAccessTokenActivityKind")
    actor = serializers.SerializerMethodField()
    via = NamedChoiceField(Via.choices, component="PersonalAccessTokenActivityVia")
    token = PersonalAccessTokenActivityTokenSerializer(source="*")
    changes = PersonalAccessTokenActivityChangesSerializer(source="all_changes")
    reason = NamedChoiceField(Reason.choices, component="PersonalAccessTokenActivityReason")
    count = serializers.IntegerField(read_only=True)
    last_at = StrictDateTimeField(read_only=True)

    fields_of_refusals = ("reason", "count", "last_at")

    class Meta:
        model = Activity
        fields = [
            *("id", "at", "kind", "actor", "via", "ip", "agent", "token", "changes"),
            *("reason", "count", "last_at"),
        ]
        read_only_fields = fields

    def get_actor(self, row: Activity) -> str | None:
        """Return the username, or null for the system."""
        return row.actor_name or None

    def to_representation(self, instance: Activity) -> dict[str, Any]:
        """Return the fields; those about refused secrets only where there are any."""
        values = super().to_representation(instance)
        if instance.kind != Kind.REFUSED:
            for name in self.fields_of_refusals:
                del values[name]
        return values


class InputSerializer(serializers.Serializer[Any]):
    """The fields of a request body. The services validate their values."""

    hints: ClassVar[Mapping[str, Any]] = {}  # for fields that are set elsewhere

    def read(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the values, and errors by field that a service reports together with its own.

        Raises ValidationError if the body isn't an object.
        """
        data = self.initial_data
        if not isinstance(data, Mapping):
            self.is_valid(raise_exception=True)
        errors: dict[str, Any] = {**find_unknown_fields(data, self.fields.keys())}
        errors.update((field, [hint]) for field, hint in self.hints.items() if field in data)
        values = {}
        for name, field in self.fields.items():
            try:
                values[name] = field.run_validation(data.get(name, serializers.empty))
            except serializers.SkipField:
                continue
            except serializers.ValidationError as error:
                errors[name] = error.detail
        return values, errors


class PersonalAccessTokenRegenerateSerializer(InputSerializer):
    """The new lifetime of a token."""

    duration = TextField(required=False, allow_null=True, min_length=1, max_length=40)
    expires_at = ExpiryField(required=False, allow_null=True)


class PersonalAccessTokenRotateSerializer(PersonalAccessTokenRegenerateSerializer):
    """How long the token lives from now on, and how long the previous secret works."""

    grace_period = TextField(required=False, allow_null=True, min_length=1, max_length=MAX_LENGTH)


class PersonalAccessTokenFieldsSerializer(InputSerializer):
    """The fields that can be set and edited."""

    name = TextField(required=False, min_length=1, max_length=MAX_NAME_LENGTH)
    description = TextField(required=False)
    allowed_networks = NetworksField(required=False)


class PersonalAccessTokenCreateSerializer(PersonalAccessTokenFieldsSerializer):
    """A new token."""

    name = TextField(min_length=1, max_length=MAX_NAME_LENGTH)
    duration = TextField(required=False, allow_null=True, min_length=1, max_length=40)
    expires_at = ExpiryField(required=False, allow_null=True)
    scopes = ScopesField(required=False)


class PersonalAccessTokenUpdateSerializer(PersonalAccessTokenFieldsSerializer):
    """The fields of a token that can be changed."""

    grace_period = TextField(required=False, min_length=1, max_length=MAX_LENGTH)
    hints = {
        "duration": _("Rotate or regenerate the token to give it a new expiration date."),
        "expires_at": _("Rotate or regenerate the token to give it a new expiration date."),
        "scopes": _("Use the token's scopes/ to add and delete scopes."),
    }


class PersonalAccessTokenScopesAddSerializer(InputSerializer):
    """Scopes to add, all or none."""

    scopes = ScopesField(allow_empty=False)


class PersonalAccessTokenEntityOperationSerializer(serializers.Serializer[Any]):
    """An operation on entities of a type."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field, not the label of this one
    description = serializers.CharField()
    dangerous = serializers.BooleanField()
    per_entity = serializers.BooleanField()


class PersonalAccessTokenPresetScopeSerializer(serializers.Serializer[Any]):
    """A scope of a preset."""

    entity_type = serializers.CharField()
    entity_id = serializers.SerializerMethodField()
    operation = serializers.CharField()

    def get_entity_id(self, scope: ScopeKey) -> str | None:
        """Return `*`, or None if the user chooses the entity."""
        return None if scope.entity_id == ASK else scope.entity_id


class PersonalAccessTokenPresetSerializer(serializers.Serializer[Any]):
    """Scopes to start from."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    description = serializers.CharField()
    scopes = PersonalAccessTokenPresetScopeSerializer(many=True)


class PersonalAccessTokenEntityTypeSerializer(serializers.Serializer[Any]):
    """A type of entities that scopes can name."""

    name = serializers.CharField()
    label = serializers.SerializerMethodField()  # type: ignore[assignment]
    operations = PersonalAccessTokenEntityOperationSerializer(many=True)
    presets = PersonalAccessTokenPresetSerializer(many=True)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Return the type with those of its operations and presets that the user can grant."""
        known = {operation.name for operation in grantable_operations(self.context["user"], instance)}
        fields = super().to_representation(instance)
        offered = self.context["presets"]
        return {
            **fields,
            "operations": [
                {**row, "description": instance.describe(operation)}
                for operation, row in zip(instance.operations, fields["operations"], strict=True)
                if row["name"] in known
            ],
            "presets": [row for row in fields["presets"] if row["name"] in offered],
        }

    def get_label(self, entity_type: Any) -> str:
        return str(entity_type.label or entity_type.name)


class PersonalAccessTokenEntitySerializer(serializers.Serializer[Any]):
    """An entity that the user can choose."""

    id = serializers.CharField(source="pk")
    label = serializers.SerializerMethodField()  # type: ignore[assignment]

    def get_label(self, entity: Any) -> str:
        return str(self.context["entity_type"].get_label(entity))


class PersonalAccessTokenDeletedSerializer(serializers.Serializer[Any]):
    """The number of deleted rows."""

    deleted = serializers.IntegerField()


class ExplainSerializer(serializers.Serializer[Any]):
    """A request to explain."""

    method = serializers.ChoiceField(METHODS, default="GET")
    path = serializers.CharField(max_length=MAX_PATH_LENGTH)
