"""A token, its scopes and what they can be for, as JSON."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from pat_tokens.contrib.rest_framework.fields import ScopesField, StatusField, StrictDateTimeField, TextField
from pat_tokens.inspection.explain import METHODS
from pat_tokens.models import MAX_NAME_LENGTH, PersonalAccessToken, Scope

MAX_PATH_LENGTH = 2000  # characters of a path that is to be explained

_FIXED = (
    *("id", "user", "secret", "digest", "hint", "is_legacy", "status"),
    *("created_at", "issued_at", "last_used_at", "revoked_at"),
)


class PersonalAccessTokenScopeSerializer(serializers.ModelSerializer[Scope]):
    """A scope."""

    class Meta:
        model = Scope
        fields = ["id", "entity_type", "entity_id", "operation"]
        read_only_fields = fields

    def to_representation(self, instance: Scope) -> dict[str, Any]:
        """Return the four fields; by hand, since a page of tokens can hold tens of thousands of scopes."""
        return {"id": str(instance.pk), **instance.key._asdict()}


class PersonalAccessTokenSerializer(serializers.ModelSerializer[PersonalAccessToken]):
    """A token."""

    status = StatusField()
    created_at = StrictDateTimeField(read_only=True)
    issued_at = StrictDateTimeField(read_only=True)
    expires_at = StrictDateTimeField(read_only=True, allow_null=True)
    last_used_at = StrictDateTimeField(read_only=True, allow_null=True)
    revoked_at = StrictDateTimeField(read_only=True, allow_null=True)
    scopes = PersonalAccessTokenScopeSerializer(source="scope_set", many=True, read_only=True)

    class Meta:
        model = PersonalAccessToken
        fields = [
            "id",
            "name",
            "description",
            "status",
            "hint",
            "created_at",
            "issued_at",
            "expires_at",
            "last_used_at",
            "revoked_at",
            "scopes",
        ]
        read_only_fields = fields


class PersonalAccessTokenWithSecretSerializer(PersonalAccessTokenSerializer):
    """A token with its secret, in the one answer that has it."""

    secret = serializers.CharField(read_only=True)

    class Meta(PersonalAccessTokenSerializer.Meta):
        fields = [*PersonalAccessTokenSerializer.Meta.fields, "secret"]
        read_only_fields = fields


class _Input(serializers.Serializer[Any]):
    """What a client sends; its rules are those of the services, which every door shares."""


class PersonalAccessTokenRegenerateSerializer(_Input):
    """How long the token lives from now on: a duration, or an expiry date, or the site's default."""

    duration = TextField(required=False, allow_null=True, min_length=1, max_length=40)
    expires_at = StrictDateTimeField(required=False, allow_null=True)


class PersonalAccessTokenCreateSerializer(PersonalAccessTokenRegenerateSerializer):
    """A new token."""

    name = TextField(min_length=1, max_length=MAX_NAME_LENGTH)
    description = TextField(required=False, allow_blank=True)
    scopes = ScopesField(required=False)


class PersonalAccessTokenUpdateSerializer(_Input):
    """What can be changed about a token."""

    name = TextField(required=False, min_length=1, max_length=MAX_NAME_LENGTH)
    description = TextField(required=False, allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what would be ignored: who sends it believes to have changed something."""
        errors: dict[str, Any] = {field: [_("This cannot be changed.")] for field in _FIXED}
        errors |= {field: [_("Regenerate the token to give it a new time.")] for field in ("duration", "expires_at")}
        errors["scopes"] = [_("Add and delete scopes at the token's own scopes/.")]
        errors = {field: message for field, message in errors.items() if field in self.initial_data}
        if errors:
            raise serializers.ValidationError(errors)
        return attrs


class PersonalAccessTokenScopesAddSerializer(_Input):
    """Scopes to add, all of them or none."""

    scopes = ScopesField(allow_empty=False)


class EntityOperationSerializer(serializers.Serializer[Any]):
    """Something that a token can do with entities of a type."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field, not the label of this one
    description = serializers.CharField()
    dangerous = serializers.BooleanField()
    per_entity = serializers.BooleanField()

    class Meta:
        ref_name = "PersonalAccessTokenEntityOperation"


class EntityTypeSerializer(serializers.Serializer[Any]):
    """A kind of entity that scopes can be for."""

    name = serializers.CharField()
    label = serializers.SerializerMethodField()  # type: ignore[assignment]
    operations = EntityOperationSerializer(many=True)

    def get_label(self, entity_type: Any) -> str:
        """Return what people call the type."""
        return str(entity_type.label or entity_type.name)

    class Meta:
        ref_name = "PersonalAccessTokenEntityType"


class EntitySerializer(serializers.Serializer[Any]):
    """An entity that the user may pick."""

    id = serializers.CharField(source="pk")
    label = serializers.SerializerMethodField()  # type: ignore[assignment]

    def get_label(self, entity: Any) -> str:
        """Return what people call the entity."""
        return str(self.context["entity_type"].get_label(entity))

    class Meta:
        ref_name = "PersonalAccessTokenEntity"


class DeletedSerializer(serializers.Serializer[Any]):
    """How many were deleted."""

    deleted = serializers.IntegerField()

    class Meta:
        ref_name = "PersonalAccessTokenDeleted"


class ExplainSerializer(serializers.Serializer[Any]):
    """What a token would do."""

    method = serializers.ChoiceField(METHODS, default="GET")
    path = serializers.CharField(max_length=MAX_PATH_LENGTH)
