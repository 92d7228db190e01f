"""Forms of the pages. They keep the user's input and pass it to services, which validate it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext, pgettext_lazy

from pat_tokens.conf import conf
from pat_tokens.crypto import SecretText
from pat_tokens.durations import NEVER, parse_duration, parse_grace_period
from pat_tokens.fields import NetworksFormField
from pat_tokens.labels import TimeFormat, duration_label
from pat_tokens.models import MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH
from pat_tokens.validation import (
    EDITABLE_FIELDS,
    DurationRules,
    clean_grace_period,
    clean_renewal,
    last_second,
    max_description_length,
)

if TYPE_CHECKING:
    from pat_tokens.models import PersonalAccessToken, PreviousSecret

OWN_DATE = "date"  # the choice “Until a date…”, which isn't a duration
NON_FIELD = "non_field_errors"
GRACE_PERIODS = ("1h", "6h", "24h", "2d", "3d", "7d")  # offered up to the site's maximum
ErrorMap = Mapping[str, Sequence[Any]]


class HiddenValuesMixin(forms.BaseForm):
    """Hides strings from error reports until a service has checked that there is no secret in them."""

    def clean(self) -> dict[str, Any]:
        """Hide the values of all fields."""
        for name, value in self.cleaned_data.items():
            if isinstance(value, str):
                self.cleaned_data[name] = SecretText(value)
        return self.cleaned_data


class ServiceForm(HiddenValuesMixin, forms.Form):
    """A form that shows the errors of a service next to its fields."""

    required_css_class = "required"
    fields_of_errors: ClassVar[dict[str, str | None]] = {NON_FIELD: None}

    @property
    def service_errors(self) -> dict[str, list[str]]:
        """The form's own errors, by the field names of services."""
        names = {name: key for key, name in self.fields_of_errors.items()}
        return {names.get(name, name): list(map(str, messages)) for name, messages in self.errors.items()}

    def add_service_errors(self, errors: ErrorMap) -> None:
        """Show the `errors` of an InvalidInput, in addition to the form's own."""
        found = set(self.errors)
        for key, messages in errors.items():
            name = self.fields_of_errors.get(key, key)
            if name is None or (name in self.fields and name not in found):
                self.add_error(name, [str(message) for message in messages])

    def focus(self, name: str | None = None) -> None:
        """Let browsers focus the field `name`, or the first invalid one."""
        name = name or next((name for name in self.fields if name in self.errors), None)
        if name is not None:
            self.fields[name].widget.attrs["autofocus"] = True


class TokenFieldsForm(ServiceForm):
    """The fields of a token that can be set and edited, or `only` one of them."""

    name = forms.CharField(
        label=pgettext_lazy("pat_tokens", "Name"),
        required=False,
        strip=False,
        help_text=gettext_lazy("A unique name that helps you recognize this token."),
        widget=forms.TextInput(
            attrs={"maxlength": MAX_NAME_LENGTH, "autocomplete": "off", "required": True, "spellcheck": "false"}
        ),
    )
    description = forms.CharField(
        label=pgettext_lazy("pat_tokens", "Description"),
        required=False,
        strip=False,
        help_text=gettext_lazy("What is this token for, and where is it used?"),
        widget=forms.Textarea(attrs={"rows": 2, "maxlength": MAX_DESCRIPTION_LENGTH}),
    )

    allowed_networks = NetworksFormField(
        label=pgettext_lazy("pat_tokens", "Allowed Networks"),
        required=False,
        help_text=gettext_lazy("Addresses or networks, such as 10.0.0.0/8, one per line. Empty: everywhere."),
    )

    def __init__(
        self,
        *args: Any,
        only: str | None = None,
        required_networks: str = "",
        address_text: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        networks = self.fields["allowed_networks"]
        networks.help_text = f"{required_networks or networks.help_text} {address_text}".strip()
        self.fields["description"].widget.attrs["maxlength"] = max_description_length()
        if only is not None:
            self.fields = {only: self.fields[only]}


class DurationSelect(forms.Select):
    """A select of durations, with the seconds of each option for the script."""

    same_seconds: int | None = None  # the seconds of the empty choice

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        seconds = _seconds(str(value)) if value else self.same_seconds
        if seconds is not None:
            option["attrs"]["data-pat-seconds"] = str(seconds)
        return option


class DurationForm(ServiceForm):
    """The lifetime of a token: one of the site's durations, or until the end of a day."""

    fields_of_errors: ClassVar[dict[str, str | None]] = {NON_FIELD: None, "expires_at": "expires_on"}

    duration = forms.CharField(
        label=pgettext_lazy("pat_tokens", "Duration"),
        required=False,
        widget=DurationSelect(attrs={"data-pat-duration": True}),
    )
    expires_on = forms.DateField(
        label=pgettext_lazy("pat_tokens", "Last day"),
        required=False,
        help_text=gettext_lazy("The token works until the end of this day."),
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "data-pat-own-date": True}),
    )
    # Not validated: the browser's time zone name, which is only looked up.
    timezone = forms.Field(required=False, widget=forms.HiddenInput(attrs={"data-pat-timezone": True}))

    def __init__(self, *args: Any, rules: DurationRules, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rules = rules
        now = timezone.localtime() if settings.USE_TZ else datetime.now().astimezone()
        longest = now + rules.longest
        self.fields["duration"].initial = rules.default
        chosen = self.data.get(self.add_prefix("duration")) or self.initial.get("duration") or ""
        self.fields["duration"].widget.choices = _duration_choices(rules, now, chosen)
        self.fields["expires_on"].widget.attrs |= {
            "min": now.date().isoformat(),
            "max": longest.date().isoformat(),
        }

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if "expires_on" in data and "duration" in data:
            is_own = data["duration"] == OWN_DATE
            if is_own and data["expires_on"] is None:
                self.add_error("expires_on", _("Choose the last day on which the token works."))
            elif not is_own and data["expires_on"] is not None:
                message = _(
                    "This is only for the duration “Until a date”. Choose that duration, or leave this field empty."
                )
                self.add_error("expires_on", message)
        return data

    @property
    def expiry(self) -> dict[str, Any]:
        """The arguments for a service, if they are valid."""
        duration, day = (self.cleaned_data.get(name) for name in ("duration", "expires_on"))
        if duration == OWN_DATE:
            return {"expires_at": self._end_of(day)} if day else {}
        return {"duration": duration or None}

    def _end_of(self, day: date) -> datetime | date:
        if not date.min < day < date.max:  # which has no equivalent in other time zones
            return day
        return last_second(self.rules, day, timezone.now(), _zone(self.cleaned_data.get("timezone")))


class TokenForm(TokenFieldsForm, DurationForm):
    """A new token, without its scopes."""

    field_order = ("name", "duration", "expires_on", "timezone")

    @property
    def fields_after_duration(self) -> list[forms.BoundField]:
        """All fields but the name and the duration."""
        return [self[name] for name in EDITABLE_FIELDS if name != "name"]

    @property
    def values(self) -> dict[str, Any]:
        """The valid arguments for a service besides the expiration."""
        return {name: self.cleaned_data[name] for name in EDITABLE_FIELDS if name in self.cleaned_data}


class RegenerateForm(DurationForm):
    """A new expiration date for a token; by default, its lifetime stays the same."""

    fields_of_errors: ClassVar[dict[str, str | None]] = {
        **DurationForm.fields_of_errors,
        "scopes": None,
        "allowed_networks": None,
    }

    def __init__(self, *args: Any, token: PersonalAccessToken, **kwargs: Any) -> None:
        super().__init__(*args, rules=DurationRules(token.user, token), **kwargs)
        now = timezone.now()
        expires_at = clean_renewal(token, None, None, now=now)
        field = self.fields["duration"]
        field.initial = ""
        if expires_at is None:
            same = duration_label(NEVER)
        else:
            field.widget.same_seconds = int((expires_at - now).total_seconds())
            same = TimeFormat().date(expires_at)
        label = pgettext("pat_tokens", "As long as before (%(date)s)") % {"date": same}
        field.widget.choices = [("", label), *field.widget.choices]


def _grace_period_field() -> forms.CharField:
    return forms.CharField(
        label=pgettext_lazy("pat_tokens", "Grace period"), required=False, strip=False, widget=forms.Select
    )


class RotateForm(RegenerateForm):
    """A new expiration date, and how long the current secret works after the first use of the new one."""

    grace_period = _grace_period_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["grace_period"]
        field.initial = clean_grace_period(None)
        now = ("0", _("None: the current secret stops immediately"))
        field.widget.choices = [now, *_grace_period_choices(field.initial)]
        field.help_text = _("How long the current secret works after the first use of the new one.")


class GracePeriodForm(ServiceForm):
    """How long the previous secret works, for a token that has one."""

    grace_period = _grace_period_field()

    def __init__(self, *args: Any, secret: PreviousSecret, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["grace_period"]
        field.initial = secret.grace_period
        field.widget.choices = _grace_period_choices(secret.grace_period)


def _grace_period_choices(initial: str) -> list[tuple[str, str]]:
    longest = parse_grace_period(conf.max_grace_period)
    offered = {parse_grace_period(text): text for text in (*GRACE_PERIODS, conf.max_grace_period, initial)}
    return [(text, duration_label(text)) for span, text in sorted(offered.items()) if timedelta() < span <= longest]


def _duration_choices(rules: DurationRules, now: datetime, chosen: str) -> list[tuple[str, str]]:
    choices = [(OWN_DATE, pgettext("pat_tokens", "Until a date…"))]
    if rules.allows_never:
        choices.append((NEVER, duration_label(NEVER)))
    seconds = _seconds(chosen)
    is_further = seconds is not None and chosen not in rules.choices and seconds <= rules.longest.total_seconds()
    time_format = TimeFormat()
    dated = [
        (
            duration,
            pgettext("pat_tokens", "%(duration)s (%(date)s)")
            % {"duration": duration_label(duration), "date": time_format.date(now + parse_duration(duration))},
        )
        for duration in (*rules.choices, *([chosen] if is_further else []))
        if duration != NEVER
    ]
    return [*dated, *choices]


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
