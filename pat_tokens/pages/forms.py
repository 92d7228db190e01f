"""Forms of the pages: they keep what was typed and pass it on; judging is for the services."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django import forms
from django.conf import settings
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from pat_tokens.conf import conf
from pat_tokens.durations import NEVER, parse_duration
from pat_tokens.entities import EntityType, Operation, registry
from pat_tokens.labels import Capability, all_label, duration_label, entity_names, type_label
from pat_tokens.models import MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH
from pat_tokens.scopes import ALL, ScopeKey
from pat_tokens.validation import clean_renewal

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.http import QueryDict

    from pat_tokens.models import PersonalAccessToken

OWN_DATE = "date"  # the choice of a duration that is none: a date of one's own
MAX_SUGGESTIONS = 20
MAX_TERM_LENGTH = 100  # characters of a search for an entity
NON_FIELD = "non_field_errors"

ErrorMap = Mapping[str, Sequence[Any]]


class ServiceForm(forms.Form):
    """A form whose errors come from a service, and are shown beside the fields they are about."""

    required_css_class = "required"
    fields_of_errors: ClassVar[dict[str, str | None]] = {NON_FIELD: None}

    @property
    def service_errors(self) -> dict[str, list[str]]:
        """The form's own errors, by the names that services use."""
        names = {name: key for key, name in self.fields_of_errors.items()}
        return {names.get(name, name): list(map(str, messages)) for name, messages in self.errors.items()}

    def add_service_errors(self, errors: ErrorMap) -> None:
        """Show the `errors` of an InvalidInput, next to those that the form has found itself."""
        found = set(self.errors)
        for key, messages in errors.items():
            name = self.fields_of_errors.get(key, key)
            if name is None or (name in self.fields and name not in found):
                self.add_error(name, [str(message) for message in messages])


class NameForm(ServiceForm):
    """The name of a token."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        required=False,
        strip=False,
        help_text=gettext_lazy("A unique name by which you will recognise this token."),
        widget=forms.TextInput(
            attrs={"maxlength": MAX_NAME_LENGTH, "autocomplete": "off", "required": True, "spellcheck": "false"}
        ),
    )


class DescriptionForm(ServiceForm):
    """The description of a token."""

    description = forms.CharField(
        label=gettext_lazy("Description"),
        required=False,
        strip=False,
        help_text=gettext_lazy("What is this token for, and where is it used?"),
        widget=forms.Textarea(attrs={"rows": 2, "maxlength": MAX_DESCRIPTION_LENGTH}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit = min(conf.max_description_length, MAX_DESCRIPTION_LENGTH)
        self.fields["description"].widget.attrs["maxlength"] = limit


class DurationSelect(forms.Select):
    """A choice of durations, each with its seconds, from which the script computes the expiration date."""

    same_seconds: int | None = None  # of the empty choice

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Add the seconds to the option."""
        option = super().create_option(name, value, *args, **kwargs)
        seconds = _seconds(str(value)) if value else self.same_seconds
        if seconds is not None:
            option["attrs"]["data-pat-seconds"] = str(seconds)
        return option


class DurationForm(ServiceForm):
    """How long a token lives: one of the site's durations, or up to the end of a day of one's own."""

    fields_of_errors: ClassVar[dict[str, str | None]] = {NON_FIELD: None, "expires_at": "expires_on"}

    duration = forms.CharField(
        label=gettext_lazy("Duration"), required=False, widget=DurationSelect(attrs={"data-pat-duration": True})
    )
    expires_on = forms.DateField(
        label=gettext_lazy("Last day"),
        required=False,
        help_text=gettext_lazy("The token works until the end of this day."),
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "data-pat-own-date": True}),
    )
    # Any text at all: a browser's own word for where it is, which is only looked up.
    timezone = forms.Field(required=False, widget=forms.HiddenInput(attrs={"data-pat-timezone": True}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        now = timezone.localtime() if settings.USE_TZ else datetime.now().astimezone()
        longest = now + parse_duration(conf.max_duration)
        self.fields["duration"].initial = conf.default_duration
        self.fields["duration"].widget.choices = _duration_choices(now)
        self.fields["expires_on"].widget.attrs |= {
            "min": now.date().isoformat(),
            "max": (longest.date() - timedelta(days=1)).isoformat(),
        }

    def clean(self) -> dict[str, Any]:
        """Refuse a date of one's own that is missing, or that stands beside a duration."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if "expires_on" in data and "duration" in data:
            is_own = data["duration"] == OWN_DATE
            if is_own and data["expires_on"] is None:
                self.add_error("expires_on", _("Choose the last day on which the token shall work."))
            elif not is_own and data["expires_on"] is not None:
                message = _("This is used only with the duration “Until a date”. Choose that one, or empty this field.")
                self.add_error("expires_on", message)
        return data

    @property
    def expiry(self) -> dict[str, Any]:
        """The arguments for a service, as far as they are valid."""
        duration, day = (self.cleaned_data.get(name) for name in ("duration", "expires_on"))
        if duration == OWN_DATE:
            return {"expires_at": self._end_of(day)} if day else {}
        return {"duration": duration or None}

    def _end_of(self, day: date) -> datetime:
        end = datetime.combine(day, time(23, 59, 59), tzinfo=_zone(self.cleaned_data.get("timezone")))
        return end.astimezone(UTC) if date.min < day < date.max else end


class TokenForm(NameForm, DurationForm, DescriptionForm):
    """A new token, without its scopes."""

    field_order = ("name", "duration", "expires_on", "timezone", "description")

    @property
    def texts(self) -> dict[str, str]:
        """The arguments for a service besides the expiration, as far as they are valid."""
        return {name: self.cleaned_data.get(name, "") for name in ("name", "description")}


class RegenerateForm(DurationForm):
    """A new expiration date for a token, which lives as long as before unless something else is chosen."""

    def __init__(self, *args: Any, token: PersonalAccessToken, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        now = timezone.now()
        expires_at = clean_renewal(token, None, None, now=now)
        field = self.fields["duration"]
        field.initial = ""
        if expires_at is None:
            same = duration_label(NEVER)
        else:
            field.widget.same_seconds = int((expires_at - now).total_seconds())
            same = _date_text(timezone.localtime(expires_at) if settings.USE_TZ else expires_at)
        label = pgettext("pat_tokens", "As long as before (%(date)s)") % {"date": same}
        field.widget.choices = [("", label), *field.widget.choices]


@dataclass
class ScopeRow:
    """One row of scopes as it was typed: an entity and several operations on it."""

    index: str
    entity_type: str = ""
    entity_id: str = ""
    operations: list[str] = field(default_factory=list)
    term: str = ""
    errors: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was chosen here, so that there is nothing to complain about."""
        return not (self.entity_type or self.entity_id or self.operations)

    @property
    def prefix(self) -> str:
        """What the names of this row's fields begin with."""
        return f"scopes-{self.index}"

    @property
    def keys(self) -> list[ScopeKey]:
        """A scope for each operation; without any, one that says so."""
        return [ScopeKey(self.entity_type, self.entity_id, operation) for operation in self.operations or [""]]


@dataclass(frozen=True)
class Choice:
    """A choice in a row of scopes."""

    value: str
    label: str
    is_chosen: bool = False
    operation: Operation | None = None
    type_name: str = ""


_ROW_FIELD = re.compile(r"scopes-([0-9]{1,6})-(entity_type|entity_id|operations|term)", re.ASCII)


class ScopeRows:
    """The rows of scopes of a form; each may have several operations, and gives one scope for each."""

    template_index = "__n__"  # stands where a script puts the number of the row that it adds

    def __init__(self, user: AbstractBaseUser, data: QueryDict | None = None) -> None:
        self.user = user
        self.errors: list[str] = []
        self.rows = [ScopeRow("0")] if data is None else _read_rows(data)
        self._searched: ScopeRow | None = None

    @property
    def scopes(self) -> list[ScopeKey]:
        """What a service is asked for."""
        return [key for row in self.rows if not row.is_empty for key in row.keys]

    def take_step(self, step: str) -> None:
        """Do what a button other than the last one asks for: `add`, `remove-3`, `find-3`, or just show again."""
        verb, _separator, index = step.partition("-")
        if verb == "add":
            self.add_row()
        elif verb == "remove":
            self.rows = [row for row in self.rows if row.index != index]
        elif verb == "find":
            self._searched = next((row for row in self.rows if row.index == index), None)

    def add_row(self) -> None:
        """Add an empty row, as far as a token may have as many scopes."""
        if len(self.rows) < conf.max_scopes_per_token:
            self.rows.append(ScopeRow(str(max((int(row.index) for row in self.rows), default=-1) + 1)))

    def add_service_errors(self, errors: Sequence[Any]) -> None:
        """Put the errors of the single scopes to the rows that they came from."""
        owners = [row for row in self.rows if not row.is_empty for _key in row.keys]
        for position, problems in enumerate(errors):
            if not isinstance(problems, Mapping):
                self.errors.append(str(problems))
                continue
            for name, messages in problems.items():
                known = owners[position].errors.setdefault("operations" if name == "operation" else name, [])
                known += [str(message) for message in messages if str(message) not in known]

    @property
    def has_errors(self) -> bool:
        """Whether anything is wrong with any row."""
        return bool(self.errors) or any(row.errors for row in self.rows)

    @cached_property
    def views(self) -> list[ScopeRowView]:
        """The rows with all that a template needs."""
        return [ScopeRowView(self, row) for row in self.rows]

    @cached_property
    def blank(self) -> ScopeRowView:
        """The row that a script copies."""
        return ScopeRowView(self, ScopeRow(self.template_index))

    @cached_property
    def types(self) -> list[EntityType]:
        """The entity types to choose from, by what people call them."""
        return sorted(registry, key=lambda entity_type: type_label(entity_type).casefold())

    @cached_property
    def names(self) -> dict[tuple[str, str], str]:
        """What the chosen entities are called."""
        return entity_names(self.user, self._chosen)

    @cached_property
    def suggestions(self) -> dict[str, list[tuple[str, str]]]:
        """The first entities of each chosen type, for those who choose without a script."""
        chosen = {row.entity_type for row in self.rows}
        return {known.name: suggest(known, self.user)[0] for known in self.types if known.name in chosen}

    @property
    def capabilities(self) -> list[Capability]:
        """What the rows allow, in words; rows that are not finished do not count."""
        capabilities: dict[tuple[str, str], Capability] = {}
        for row in self.rows:
            entity_type = registry.get(row.entity_type)
            if entity_type is None or not row.entity_id:
                continue
            is_all = row.entity_id == ALL
            entity_id = row.entity_id if is_all else entity_type.to_id(row.entity_id) or ""
            name = all_label(entity_type) if is_all else self.names.get((row.entity_type, entity_id))
            operations = [found for found in entity_type.operations if found.name in row.operations]
            if name is None or not operations:
                continue
            capability = capabilities.setdefault(
                (row.entity_type, entity_id), Capability(type_label(entity_type), name, is_all)
            )
            capability.operations += [operation for operation in operations if operation not in capability.operations]
        return list(capabilities.values())

    def found_for(self, row: ScopeRow) -> list[tuple[str, str]]:
        """Return the entities that a row offers: those that were searched for, else the first ones."""
        entity_type = registry.get(row.entity_type)
        if entity_type is None:
            return []
        if row is self._searched and row.term:
            return suggest(entity_type, self.user, row.term)[0]
        return self.suggestions.get(row.entity_type, [])

    @property
    def _chosen(self) -> list[ScopeKey]:
        keys = []
        for row in self.rows:
            entity_type = registry.get(row.entity_type)
            entity_id = entity_type.to_id(row.entity_id) if entity_type and row.entity_id != ALL else None
            if entity_id is not None:
                keys.append(ScopeKey(row.entity_type, entity_id, ""))
        return keys


class ScopeRowView:
    """A row as a template shows it."""

    def __init__(self, rows: ScopeRows, row: ScopeRow) -> None:
        self._rows = rows
        self.row = row
        self.number = 0 if row.index == rows.template_index else rows.rows.index(row) + 1

    @property
    def type_choices(self) -> list[dict[str, Any]]:
        """The entity types, each with where its entities are searched and what all of them are called."""
        return [
            {
                "value": known.name,
                "label": type_label(known),
                "is_chosen": known.name == self.row.entity_type,
                "url": reverse("pat_tokens:entity_list", args=[known.name]),
                "all": all_label(known),
            }
            for known in self._rows.types
        ]

    @property
    def entity_type(self) -> EntityType | None:
        """The chosen entity type."""
        return registry.get(self.row.entity_type)

    @property
    def all_label(self) -> str:
        """The words for all entities of the chosen type."""
        return all_label(self.entity_type) if self.entity_type else ""

    @property
    def operation_choices(self) -> list[Choice]:
        """The operations of the chosen type."""
        return operation_choices(self.entity_type, self.row.operations) if self.entity_type else []

    @property
    def entity_choices(self) -> list[Choice]:
        """The entities on offer, the chosen one among them wherever it is."""
        if self.entity_type is None or not self.row.entity_type:
            return []
        found = dict(self._rows.found_for(self.row))
        chosen = self.row.entity_id if self.row.entity_id in ("", ALL) else self.entity_type.to_id(self.row.entity_id)
        if chosen and chosen != ALL and chosen not in found:
            found[chosen] = self._rows.names.get((self.entity_type.name, chosen), chosen)
        return [Choice(entity_id, label, entity_id == chosen) for entity_id, label in found.items()]

    @property
    def is_for_all(self) -> bool:
        """Whether all entities were chosen."""
        return self.row.entity_id == ALL


def operation_choices(entity_type: EntityType, chosen: Sequence[str] = ()) -> list[Choice]:
    """Return the operations of a type as choices."""
    return [
        Choice(operation.name, str(operation.label), operation.name in chosen, operation, entity_type.name)
        for operation in entity_type.operations
    ]


def suggest(entity_type: EntityType, user: AbstractBaseUser, term: str = "") -> tuple[list[tuple[str, str]], bool]:
    """Return the first entities that `user` may pick and `term` finds, as (id, label), and whether there are more."""
    found = entity_type.search(entity_type.get_queryset(user), term[:MAX_TERM_LENGTH])
    if not found.ordered:
        found = found.order_by("pk")
    entities = list(found[: MAX_SUGGESTIONS + 1])
    pairs = [(str(entity.pk), entity_type.get_label(entity)) for entity in entities[:MAX_SUGGESTIONS]]
    return pairs, len(entities) > MAX_SUGGESTIONS


def _read_rows(data: QueryDict) -> list[ScopeRow]:
    rows: dict[int, ScopeRow] = {}
    limit = conf.max_scopes_per_token + 1  # one too many is enough for a service to refuse them all
    for key in data:
        match = _ROW_FIELD.fullmatch(key)
        if match is None:
            continue
        number = int(match[1])
        if number not in rows and len(rows) >= limit:
            continue
        row = rows.setdefault(number, ScopeRow(str(number)))
        if match[2] == "operations":
            row.operations = list(dict.fromkeys(data.getlist(key)))
        else:
            setattr(row, match[2], data[key])
    return [row for _number, row in sorted(rows.items())]


def _duration_choices(now: datetime) -> list[tuple[str, str]]:
    offered = list(dict.fromkeys([*conf.durations, conf.default_duration]))
    seconds = {duration: _seconds(duration) for duration in offered}
    longest = parse_duration(conf.max_duration).total_seconds()
    choices = []
    for duration in sorted(offered, key=lambda duration: seconds[duration] or 0):
        length = seconds[duration]
        if length is not None and length <= longest:
            day = _date_text(now + timedelta(seconds=length))
            choices.append(
                (duration, _("%(duration)s (%(date)s)") % {"duration": duration_label(duration), "date": day})
            )
    choices.append((OWN_DATE, _("Until a date…")))
    if conf.allow_no_expiry:
        choices.append((NEVER, duration_label(NEVER)))
    return choices


def _date_text(when: datetime) -> str:
    return formats.date_format(when, "DATE_FORMAT")


def _seconds(duration: str) -> int | None:
    try:
        return int(parse_duration(duration).total_seconds())
    except ValueError:
        return None


def _zone(name: Any) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ValueError, TypeError, OSError, ZoneInfoNotFoundError):
        return timezone.get_current_timezone()
