"""Filters for tokens."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from itertools import islice
from typing import Any

from django import forms
from django.core.validators import EMPTY_VALUES
from django.http import QueryDict
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _
from django_filters import BooleanFilter
from django_filters.fields import ChoiceField
from django_filters.rest_framework import (
    CharFilter,
    ChoiceFilter,
    DjangoFilterBackend,
    FilterSet,
    IsoDateTimeFilter,
    MultipleChoiceFilter,
    OrderingFilter,
    UUIDFilter,
)

from pat_tokens.durations import parse_iso_datetime
from pat_tokens.models import Kind
from pat_tokens.querysets import SORTABLE, ActivityQuerySet, Status, TokenQuerySet
from pat_tokens.validation import MAX_ERRORS

UNUSED_FOR = "unused_for"  # the parameter that selects scopes to delete
MAX_TERM_LENGTH = 255  # characters; SQLite fails on a very long LIKE

_UNKNOWN = gettext_noop("Unknown parameter. Known parameters: %(known)s.")
_NO_PARAMETER = _("This request takes no parameters.")
_REPEATED = _("Give this parameter once.")
_EMPTY = _("This parameter is empty.")


class StrictDateTimeFormField(forms.Field):
    """A datetime in a query string."""

    default_error_messages = {"invalid": _("Enter a date and time such as 2030-12-31T12:00:00Z.")}

    def to_python(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        try:
            return parse_iso_datetime(str(value))  # not stripped: spaces alone are an error
        except ValueError:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from None


class StrictDateTimeFilter(IsoDateTimeFilter):
    field_class = StrictDateTimeFormField


class YesNoFormField(forms.Field):
    """`true` or `false`; Django's own field ignores other values."""

    default_error_messages = {"invalid": _("Enter true or false.")}

    def to_python(self, value: Any) -> bool | None:
        if not value:
            return None
        answer = {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
        if answer is None:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return answer


class YesNoFilter(BooleanFilter):
    field_class = YesNoFormField


class OrderingFormField(ChoiceField):
    """One of the fields to sort by; django-filter's own ignores empty ones."""

    default_error_messages = {"required": _("Enter a field to sort by on each side of a comma.")}

    def validate(self, value: str) -> None:
        if value in self.empty_values:
            raise forms.ValidationError(self.error_messages["required"], code="required")
        super().validate(value)


class StrictOrderingFilter(OrderingFilter):
    """Sorts by comma-separated fields, none of which can be empty."""

    field_class = OrderingFormField


class TokenFilterSet(FilterSet):
    """The filters of `GET /api/pats/`: an invalid value is an error, an empty one is ignored."""

    status = ChoiceFilter(
        choices=Status.choices,
        method="filter_status",
        null_label=None,
        empty_label=None,
        label=_("Tokens with this status. Revoked takes precedence over expired."),
    )
    name = CharFilter(lookup_expr="icontains", max_length=MAX_TERM_LENGTH, label=_("Part of the name, ignoring case."))
    search = CharFilter(
        method="filter_search",
        max_length=MAX_TERM_LENGTH,
        label=_("Part of the name or the description, ignoring case."),
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
        field_name="expires_at", lookup_expr="lt", label=_("Tokens that expire before this date.")
    )
    expires_after = StrictDateTimeFilter(
        field_name="expires_at", lookup_expr="gt", label=_("Tokens that expire after this date.")
    )
    last_used_before = StrictDateTimeFilter(
        field_name="last_used_at", lookup_expr="lt", label=_("Tokens that were last used before this date.")
    )
    never_used = YesNoFilter(
        field_name="last_used_at",
        lookup_expr="isnull",
        label=_("Tokens that were never used (true), or that were (false)."),
    )
    ordering = StrictOrderingFilter(
        fields=[(name, name) for name in SORTABLE],
        method="filter_ordering",
        label=_("Fields to sort by, each with an optional `-` for descending order. Newest first by default."),
    )

    def filter_status(self, tokens: TokenQuerySet, name: str, value: str) -> TokenQuerySet:
        return tokens.with_status(value)

    def filter_search(self, tokens: TokenQuerySet, name: str, value: str) -> TokenQuerySet:
        return tokens.search(value)

    def filter_scope(self, tokens: TokenQuerySet, name: str, value: str) -> TokenQuerySet:
        """Keep tokens that have a single scope with both this entity type and this operation."""
        asked = {key: self.form.cleaned_data[key] for key in ("entity_type", "operation")}
        asked = {key: text for key, text in asked.items() if text}
        return tokens.with_scope(**asked) if next(iter(asked)) == name else tokens

    def filter_ordering(self, tokens: TokenQuerySet, name: str, value: list[str]) -> TokenQuerySet:
        return tokens.sorted_by(*value)


class ActivityFilterSet(FilterSet):
    """The filters of activity: an invalid value is an error, an empty one is ignored."""

    kind = MultipleChoiceFilter(
        choices=Kind.choices, distinct=False, label=_("What happened. Repeat it for several kinds.")
    )
    token = UUIDFilter(field_name="token_id", label=_("The id of a token, which may have been deleted."))
    since = StrictDateTimeFilter(method="filter_since", label=_("What happened at this datetime or later."))
    until = StrictDateTimeFilter(method="filter_until", label=_("What happened before this datetime."))

    def filter_since(self, rows: ActivityQuerySet, name: str, value: datetime) -> ActivityQuerySet:
        return rows.since(value)

    def filter_until(self, rows: ActivityQuerySet, name: str, value: datetime) -> ActivityQuerySet:
        return rows.until(value)

    def __init__(self, data: QueryDict | None = None, *args: Any, **kwargs: Any) -> None:
        if data is not None:
            data = data.copy()
            data.setlist("kind", [kind for kind in data.getlist("kind") if kind])
        super().__init__(data, *args, **kwargs)


class TokenFilterBackend(DjangoFilterBackend):
    """django-filter's backend; a subclass so that the OpenAPI schema can describe its parameters."""


class TokenSelectionFilterSet(TokenFilterSet):
    """The filters of `DELETE /api/pats/`, where ignoring a parameter would delete too much."""

    ordering = None  # type: ignore[assignment]  # django-filter's way to leave a filter out

    @property
    def errors(self) -> dict[str, Any]:
        """Errors by parameter, including parameters that are unknown, empty or repeated."""
        errors = {**find_parameter_errors(self.data, self.filters), **super().errors}
        for name in self.filters:
            if name in self.data and name not in errors and self.form.cleaned_data[name] in EMPTY_VALUES:
                errors[name] = [_EMPTY]
        return errors


def find_parameter_errors(query: QueryDict, known: Collection[str] = ()) -> dict[str, Any]:
    """Return an error for each parameter that isn't in `known`, or is empty or repeated."""
    errors = {}
    for name, values in query.lists():
        if name not in known:
            errors[name] = [_NO_PARAMETER if not known else gettext(_UNKNOWN) % {"known": ", ".join(known)}]
        elif len(values) > 1:
            errors[name] = [_REPEATED]
        elif not values[0].strip():
            errors[name] = [_EMPTY]
    return dict(islice(errors.items(), MAX_ERRORS))
