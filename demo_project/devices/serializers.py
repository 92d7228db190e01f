import json
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from rest_framework import serializers

from demo_project.devices.models import Channel, Client, Dashboard, Group

MAX_PAYLOAD_BYTES = 64 * 1024  # of one message as JSON

ENTITY_FIELDS = ("id", "name", "owner", "created_at")


class OwnedSerializer(serializers.ModelSerializer):
    owner = serializers.SlugRelatedField(slug_field=get_user_model().USERNAME_FIELD, read_only=True)


class ClientSerializer(OwnedSerializer):
    class Meta:
        model = Client
        fields = ENTITY_FIELDS


class ChannelSerializer(OwnedSerializer):
    class Meta:
        model = Channel
        fields = ENTITY_FIELDS


class GroupSerializer(OwnedSerializer):
    class Meta:
        model = Group
        fields = ENTITY_FIELDS


class DashboardSerializer(OwnedSerializer):
    shared_with = serializers.SlugRelatedField(slug_field=get_user_model().USERNAME_FIELD, many=True, read_only=True)

    class Meta:
        model = Dashboard
        fields = (*ENTITY_FIELDS, "shared_with")


class OtherUserSerializer(serializers.Serializer):
    """Names the other user of a share."""

    user = serializers.CharField(max_length=255, help_text="The other user's username.")

    def validate_user(self, name: str) -> AbstractBaseUser:
        try:
            found = get_user_model()._default_manager.get_by_natural_key(name)
        except get_user_model().DoesNotExist:
            raise serializers.ValidationError("There is no such user.") from None
        if found == self.context["request"].user:
            raise serializers.ValidationError("You already own this dashboard.")
        return found


class MessageSerializer(serializers.Serializer):
    """A message to publish."""

    payload = serializers.JSONField(allow_null=True, help_text="Any JSON.")

    def validate_payload(self, payload: Any) -> Any:
        if len(json.dumps(payload)) > MAX_PAYLOAD_BYTES:
            raise serializers.ValidationError(f"A message can have at most {MAX_PAYLOAD_BYTES} bytes.")
        return payload


class PublishedSerializer(serializers.Serializer):
    """The result of publishing a message."""

    receivers = serializers.IntegerField(help_text="The number of subscribers.")
