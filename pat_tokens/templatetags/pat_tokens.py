"""Template tags for elements, which a site can override, and for relative times, which the script updates."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import Any, cast

from django.forms import BoundField
from django.template import Context, Library
from django.urls import reverse
from django.utils.html import conditional_escape, format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy, pgettext_lazy

from pat_tokens.crypto import HiddenRepr
from pat_tokens.durations import as_aware, round_rest
from pat_tokens.labels import TimeFormat, refusals_text, short_name
from pat_tokens.models import Activity
from pat_tokens.policy import can_see_tokens
from pat_tokens.secret_search import secret_pattern

register = Library()

_TIME_TEXTS = {
    "ago": gettext_lazy("%(time)s ago"),
    "ago-now": pgettext_lazy("pat_tokens", "just now"),
    "until": gettext_lazy("Expires in %(time)s"),
    "expired": gettext_lazy("Expired %(time)s ago"),
    "expired-now": pgettext_lazy("pat_tokens", "Expired just now"),
    "stops": gettext_lazy("Stops in %(time)s"),
    "stopped": gettext_lazy("Stopped %(time)s ago"),
    "stopped-now": pgettext_lazy("pat_tokens", "Stopped just now"),
    "revoked": gettext_lazy("Revoked %(time)s ago"),
    "revoked-now": pgettext_lazy("pat_tokens", "Revoked just now"),
    "never": pgettext_lazy("pat_tokens", "Never expires"),
    "unused": pgettext_lazy("pat_tokens", "Not used yet"),
}
_SCRIPT_TEXTS = {
    "copied": pgettext_lazy("pat_tokens", "Copied"),
    "failed": gettext_lazy("Copying failed. Select the text and copy it manually."),
    "expiry": gettext_lazy("The token will expire on {}."),
    "past": gettext_lazy("The token would have expired on {}. Choose a later date."),
    "found": gettext_lazy("Number of suggestions: {}"),
    "more": gettext_lazy("There are more results. Keep typing to narrow them down."),
    "none": pgettext_lazy("pat_tokens", "Nothing found"),
    "search": gettext_lazy("Search by name or ID"),
    "first": gettext_lazy("Select an entity type first"),
    "error": gettext_lazy("The server could not be reached. Try again."),
    "out": gettext_lazy("You are no longer logged in. Log in again."),
    "row": gettext_lazy("Scope {}"),
    "remove": gettext_lazy("Remove scope {}"),
    "added": pgettext_lazy("pat_tokens", "{} was added"),
    "drop": pgettext_lazy("pat_tokens", "Remove {}"),
    "dropped": pgettext_lazy("pat_tokens", "{} was removed"),
    "replaced": gettext_lazy("{} was added. It includes the others, which were removed."),
    "selected": pgettext_lazy("pat_tokens", "Selected: {}"),
}
_ENDS = {"expires": ("until", "expired"), "stops": ("stops", "stopped")}  # before and after the time
_TIMES = "pat_tokens_times"  # a key of the rendered template
_NOW = 60  # seconds
_PREFIXES = ("data_", "aria_")
_ATTRIBUTES = frozenset(
    [
        "autocapitalize",
        "autocomplete",
        "checked",
        "form",
        "inputmode",
        "maxlength",
        "placeholder",
        "required",
        "role",
        "spellcheck",
    ]
)


class Content(HiddenRepr, SafeString):
    """The content or the attributes of an element. The repr is hidden, because it can contain a secret.

    At the level DEBUG, `django.template` logs the repr of the whole context for each variable that is missing.
    """


@register.simple_block_tag(takes_context=True)
def element(context: Context, content: SafeString, element_name: str, **variables: Any) -> SafeString:
    """Render `pat_tokens/elements/<element_name>.html` with the HTML between the tags as `content`.

    Arguments that start with `data_` or `aria_`, and a few others such as `placeholder`, are HTML attributes, which the
    element gets as `attrs`. Those that are empty or False are left out.
    """
    template = context.template.engine.get_template(f"pat_tokens/elements/{element_name}.html")  # type: ignore[union-attr]
    names = [name for name in variables if name.startswith(_PREFIXES) or name in _ATTRIBUTES]
    attributes = {name.replace("_", "-"): value for name in names if (value := variables.pop(name))}
    variables |= {
        "attrs": Content(_format_attributes(attributes)),
        "content": Content(content.strip()),
        "csrf_token": context.get("csrf_token"),
    }
    return template.render(context.new(variables))


def _format_attributes(attributes: dict[str, Any]) -> str:
    # All at once: Django's `flatatt` formats each of them on its own, which takes three times as long.
    if not attributes:
        return ""
    pattern = "".join(f" {name}{{}}" if value is True else f' {name}="{{}}"' for name, value in attributes.items())
    return format_html(pattern, *("" if value is True else value for value in attributes.values()))


class _PageTimes(TimeFormat):
    """The times on one page. It looks up texts and the template once, because a list has hundreds of times."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.now = datetime.now(tz=UTC)
        self.texts = {name: str(text) for name, text in _TIME_TEXTS.items()}
        self.template = context.template.engine.get_template("pat_tokens/elements/time.html")  # type: ignore[union-attr]
        self.context = context.new({})

    @classmethod
    def of(cls, context: Context) -> _PageTimes:
        """Return the instance of the page that is rendered with `context`."""
        # The bottom layer, because each element and each included template adds a layer.
        shared: dict[Any, Any] = context.render_context.dicts[0]
        if _TIMES not in shared:
            shared[_TIMES] = cls(context)
        return cast("_PageTimes", shared[_TIMES])

    def render(self, value: datetime | None, kind: str) -> SafeString:
        if value is None:
            return self.never if kind == "expires" else self.unused
        value = as_aware(value)
        exact = self.exact(value)
        text = exact if kind == "at" else self._relative(value, kind)
        # ISO 8601 has no characters that HTML escapes.
        iso = SafeString(value.isoformat())
        return self._render({"value": iso, "kind": kind, "exact": exact, "text": text})

    @cached_property
    def never(self) -> SafeString:
        return self._render({"text": self.texts["never"]})

    @cached_property
    def unused(self) -> SafeString:
        return self._render({"text": self.texts["unused"]})

    def _render(self, variables: dict[str, str]) -> SafeString:
        with self.context.push(variables):
            return self.template.render(self.context)

    def _relative(self, value: datetime, kind: str) -> str:
        rest = value - self.now
        name = kind
        is_ahead = kind in _ENDS and rest.total_seconds() > 0
        if kind in _ENDS:
            name = _ENDS[kind][0 if is_ahead else 1]
        elif kind == "used":
            name = "ago"
        if not is_ahead and abs(rest).total_seconds() < _NOW:
            return self.texts[f"{name}-now"]
        return self.texts[name] % {"time": self.span(round_rest(rest) if is_ahead else abs(rest))}


@register.simple_tag(takes_context=True)
def timestamp(context: Context, value: datetime | None, kind: str = "ago") -> SafeString:
    """Render the time since or until `value` (`ago`, `used`, `expires`, `revoked`), or the date itself (`at`)."""
    return _PageTimes.of(context).render(value, kind)


@register.simple_tag(takes_context=True)
def refusals(context: Context, row: Activity, count: int) -> SafeString:
    """Render how often a secret was refused, and the last time, which `row` is about."""
    text = conditional_escape(refusals_text(row, count, date="\0"))
    date = timestamp(context, row.last_at or row.at, "at")
    return mark_safe(text.replace("\0", date.strip()))  # noqa: S308 -- both parts are escaped


register.simple_tag(secret_pattern, name="secret_pattern")


@register.simple_tag
def script_texts() -> dict[str, str]:
    """Return the translated strings that the script needs, by name."""
    times = TimeFormat()
    date = {name: f"{{{name}}}" for name in ("day", "month", "year")}
    clock = {name: f"{{{name}}}" for name in ("date", "time", "zone")}
    return {
        **{unit: text % {"number": "{}"} for unit, text in times.units.items()},
        "months": "|".join(times.months),
        "date": times.date_pattern % date,
        "datetime": times.datetime_pattern % clock,
        **{name: str(text) % {"time": "{}"} for name, text in _TIME_TEXTS.items()},
        **{name: str(text) for name, text in _SCRIPT_TEXTS.items()},
        "now": str(_NOW),
    }


@register.simple_tag(takes_context=True)
def owner_url(context: Context, name: str, **query: Any) -> str:
    """Return the URL of a page about the tokens of the same owner, with these parameters."""
    parts = filter(None, [urlencode(query), context.get("owner_query")])
    return "?".join(filter(None, [reverse(f"pat_tokens:{name}"), "&".join(parts)]))


register.filter(short_name)


@register.filter
def with_class(field: BoundField, name: str) -> SafeString:
    """Render the control of a form field with this class."""
    return field.as_widget(attrs={"class": name})


@register.simple_tag(takes_context=True, name="can_see_tokens")
def can_see_tokens_tag(context: Context) -> bool:
    """Return whether to link to the pages: False only if the user is logged in and can't see them."""
    user = context.get("user") or getattr(context.get("request"), "user", None)
    return user is None or not user.is_authenticated or can_see_tokens(user)
