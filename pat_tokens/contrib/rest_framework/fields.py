"""Serializer fields that don't depend on the site's REST_FRAMEWORK settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from pat_tokens.conf import conf
from pat_tokens.durations import as_aware
from pat_tokens.entities import MAX_ID_LENGTH, registry
from pat_tokens.models import MAX_NETWORKS


class InputField(serializers.Field[Any, Any, Any, Any]):
    """Passes on what the client sends; services validate it together with all other fields."""

    def to_internal_value(self, data: Any) -> Any:
        return data

    def get_schema(self) -> dict[str, Any]:
        raise NotImplementedError


class TextField(InputField):
    """A string; the lengths are only for the OpenAPI schema."""

    def __init__(self, *, min_length: int = 0, max_length: int | None = None, **kwargs: Any) -> None:
        self.min_length = min_length
        self.max_length = max_length
        super().__init__(**kwargs)

    def get_schema(self) -> dict[str, Any]:
        lengths = {"minLength": self.min_length, "maxLength": self.max_length}
        return {"type": "string", **{name: length for name, length in lengths.items() if length}}


class ExpiryField(InputField):
    """A date, or a date and time."""

    def get_schema(self) -> dict[str, Any]:
        return {"oneOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}


class NetworksField(InputField):
    """A list of networks in CIDR notation."""

    def get_schema(self) -> dict[str, Any]:
        network = {"type": "string", "description": "An address or a network, such as 10.0.0.0/8."}
        return {"type": "array", "maxItems": MAX_NETWORKS, "items": network}


class ScopesField(InputField):
    """A list of objects with the three fields of a scope."""

    default_error_messages = {
        "not_a_list": _("This must be a list of scopes."),
        "empty": _("Add at least one scope."),
    }

    def __init__(self, *, allow_empty: bool = True, **kwargs: Any) -> None:
        self.allow_empty = allow_empty
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Iterator[Mapping[str, Any] | None]:
        """Return the rows lazily, with None for each row that isn't an object."""
        if not isinstance(data, list):
            self.fail("not_a_list")
        if not data and not self.allow_empty:
            self.fail("empty")
        return (row if isinstance(row, Mapping) else None for row in data)

    def get_schema(self) -> dict[str, Any]:
        operations = {operation.name: None for entity_type in registry for operation in entity_type.operations}
        properties = {
            "entity_type": {"type": "string", "enum": [entity_type.name for entity_type in registry]},
            "entity_id": {
                "oneOf": [{"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH}, {"type": "integer"}],
                "description": _("The id of an entity that you can see, or `*` for all, current and future."),
            },
            "operation": {"type": "string", "enum": list(operations)},
        }
        return {
            "type": "array",
            "minItems": 0 if self.allow_empty else 1,
            "maxItems": conf.max_scopes_per_token,
            "items": {"type": "object", "properties": properties, "required": list(properties)},
        }


class StrictDateTimeField(serializers.DateTimeField):
    """A datetime in UTC."""

    def to_representation(self, value: datetime) -> str:
        return as_aware(value).astimezone(UTC).isoformat().replace("+00:00", "Z")


class NamedChoiceField(serializers.ChoiceField):
    """One of several words, which are a component of the OpenAPI schema called `component`."""

    def __init__(self, choices: Any, *, component: str, **kwargs: Any) -> None:
        self.component = component
        super().__init__(choices, read_only=True, **kwargs)
