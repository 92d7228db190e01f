"""Serializer fields that take exactly what they say, whatever the site's REST_FRAMEWORK settings are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.settings import api_settings

from pat_tokens.querysets import Status
from pat_tokens.scopes import ScopeKey


def parse_iso_datetime(text: str) -> datetime:
    """Return the moment that an ISO 8601 `text` names; without an offset it is in the current time zone.

    Raises ValueError for anything else, and for what is no moment in UTC, as which databases keep it.
    """
    when = parse_datetime(text)
    if when is None:
        raise ValueError("not a date and time")
    try:
        if timezone.is_naive(when):
            when = timezone.make_aware(when)
        when = when.astimezone(UTC)
        return when if settings.USE_TZ else timezone.make_naive(when, timezone.get_default_timezone())
    except OverflowError:
        raise ValueError("out of range") from None


class TextField(serializers.CharField):
    """Text and nothing else: DRF's CharField makes text of numbers."""

    default_error_messages = {"invalid": _("This must be text.")}

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Refuse what is no text first: CharField looks at its `str()`, which may be very long or deep."""
        if data is not serializers.empty and data is not None and not isinstance(data, str):
            self.fail("invalid")
        return super().run_validation(data)


class StrictDateTimeField(serializers.DateTimeField):
    """A moment: read with any offset, written in UTC."""

    default_error_messages = {"invalid": _("Write a date and time as 2030-12-31T12:00:00Z.")}

    def to_internal_value(self, value: Any) -> datetime:
        """Return the moment; text without an offset is in the current time zone."""
        try:
            return parse_iso_datetime(value)
        except (ValueError, TypeError):
            self.fail("invalid")

    def to_representation(self, value: datetime) -> str:
        """Return ISO 8601 in UTC."""
        if timezone.is_naive(value):
            value = timezone.make_aware(value, timezone.get_default_timezone())
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


class StatusField(serializers.ChoiceField):
    """What a token is at this moment."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=Status.choices, read_only=True, **kwargs)


class ScopesField(serializers.Field[Any, Any, Any, Any]):
    """Rows of a scope's three fields; what they mean is judged by the services, all at once."""

    default_error_messages = {
        "not_a_list": _("This must be a list of scopes."),
        "empty": _("Name at least one scope."),
        "row": _("A scope is an object with entity_type, entity_id and operation."),
        "text": _("This must be text."),
    }

    def __init__(self, *, allow_empty: bool = True, **kwargs: Any) -> None:
        self.allow_empty = allow_empty
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> list[dict[str, Any]]:
        """Return the rows with text or nothing in each field."""
        if not isinstance(data, list):
            self.fail("not_a_list")
        if not data and not self.allow_empty:
            self.fail("empty")
        errors = [self._find_errors(row) for row in data]
        if any(errors):
            raise serializers.ValidationError(errors)
        return [{field: _to_text(row.get(field)) for field in ScopeKey._fields} for row in data]

    def _find_errors(self, row: Any) -> dict[str, list[Any]]:
        if not isinstance(row, Mapping):
            return {api_settings.NON_FIELD_ERRORS_KEY: [self.error_messages["row"]]}
        wrong = (field for field in ScopeKey._fields if not isinstance(_to_text(row.get(field)), str | None))
        return {field: [self.error_messages["text"]] for field in wrong}


def _to_text(value: Any) -> Any:
    # An id may come as the integer that it is; to Python a boolean is one too.
    return str(value) if type(value) is int else value
