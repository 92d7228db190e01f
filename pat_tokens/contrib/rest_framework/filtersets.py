"""What the list of tokens can be filtered by."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django_filters import BooleanFilter
from django_filters.fields import ChoiceField
from django_filters.rest_framework import (
    CharFilter,
    ChoiceFilter,
    DjangoFilterBackend,
    FilterSet,
    IsoDateTimeFilter,
    OrderingFilter,
)

from pat_tokens.durations import parse_iso_datetime
from pat_tokens.querysets import SORTABLE, Status, TokenQuerySet

MAX_TERM_LENGTH = 255  # characters; SQLite fails on a very long LIKE


class StrictDateTimeFormField(forms.CharField):
    """A moment in a query string."""

    default_error_messages = {"invalid": _("Write a date and time as 2030-12-31T12:00:00Z.")}

    def to_python(self, value: Any) -> datetime | None:  # type: ignore[override]
        """Return the moment, or None for nothing."""
        if value in self.empty_values:
            return None
        try:
            return parse_iso_datetime(str(value))  # with its spaces: nothing but spaces is no moment, and not nothing
        except ValueError:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from None

    def run_validators(self, value: Any) -> None:
        """Do nothing: there is no rule for a moment, and those of text would fail on it."""


class StrictDateTimeFilter(IsoDateTimeFilter):
    """Compares with a moment."""

    field_class = StrictDateTimeFormField


class YesNoFormField(forms.Field):
    """`true` or `false`; Django's own would take any other word for no answer."""

    default_error_messages = {"invalid": _("Write true or false.")}

    def to_python(self, value: Any) -> bool | None:
        """Return the answer, or None for nothing."""
        if not value:
            return None
        answer = {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
        if answer is None:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return answer


class YesNoFilter(BooleanFilter):
    """Compares with yes or no."""

    field_class = YesNoFormField


class OrderingFormField(ChoiceField):
    """One of the fields to sort by; django-filter's own would take nothing between two commas for no answer."""

    default_error_messages = {"required": _("Write a field to sort by on each side of a comma.")}

    def validate(self, value: str) -> None:
        """Raise ValidationError for what is no field to sort by."""
        if value in self.empty_values:
            raise forms.ValidationError(self.error_messages["required"], code="required")
        super().validate(value)


class StrictOrderingFilter(OrderingFilter):
    """Sorts by fields that are separated by commas, with nothing left out between them."""

    field_class = OrderingFormField


class TokenFilterSet(FilterSet):
    """The filters of `GET /api/pats/`; a value that cannot be is an error, and an empty one is no filter."""

    status = ChoiceFilter(
        choices=Status.choices,
        method="filter_status",
        null_label=None,
        empty_label=None,
        label=_("Tokens that have this status now; revoked wins over expired."),
    )
    name = CharFilter(lookup_expr="icontains", max_length=MAX_TERM_LENGTH, label=_("Part of the name, in any case."))
    search = CharFilter(
        method="filter_search", max_length=MAX_TERM_LENGTH, label=_("Part of the name or of the description.")
    )
    entity_type = CharFilter(
        method="filter_scope",
        max_length=MAX_TERM_LENGTH,
        label=_("Tokens with a scope for this entity type; with `operation`, one scope for both."),
    )
    operation = CharFilter(
        method="filter_scope",
        max_length=MAX_TERM_LENGTH,
        label=_("Tokens with a scope for this operation; with `entity_type`, one scope for both."),
    )
    expires_before = StrictDateTimeFilter(
        field_name="expires_at", lookup_expr="lt", label=_("Tokens that expire, or expired, before this moment.")
    )
    expires_after = StrictDateTimeFilter(
        field_name="expires_at", lookup_expr="gt", label=_("Tokens that expire, or expired, after this moment.")
    )
    last_used_before = StrictDateTimeFilter(
        field_name="last_used_at", lookup_expr="lt", label=_("Tokens that were used, and not since this moment.")
    )
    never_used = YesNoFilter(
        field_name="last_used_at", lookup_expr="isnull", label=_("Tokens that were never used, or that were.")
    )
    ordering = StrictOrderingFilter(
        fields=[(name, name) for name in SORTABLE],
        method="filter_ordering",
        label=_("Fields to sort by, a `-` before one turning it round. Newest first by default."),
    )

    def filter_status(self, tokens: TokenQuerySet, name: str, value: str) -> TokenQuerySet:
        """Keep the tokens that have this status now."""
        return tokens.with_status(value)

    def filter_search(self, tokens: TokenQuerySet, name: str, value: str) -> TokenQuerySet:
        """Keep the tokens with this in their name or description."""
        return tokens.search(value)

    def filter_scope(self, tokens: TokenQuerySet, name: str, value: str) -> TokenQuerySet:
        """Keep the tokens with one scope that is of this type and for this operation, where both are asked for."""
        asked = {key: self.form.cleaned_data[key] for key in ("entity_type", "operation")}
        asked = {key: text for key, text in asked.items() if text}
        return tokens.with_scope(**asked) if next(iter(asked)) == name else tokens

    def filter_ordering(self, tokens: TokenQuerySet, name: str, value: list[str]) -> TokenQuerySet:
        """Sort; newest first unless asked otherwise, and last of all among equals."""
        return tokens.sorted_by(*value)


class TokenFilterBackend(DjangoFilterBackend):
    """django-filter's backend; a class of its own for the OpenAPI schema to know its parameters by."""
