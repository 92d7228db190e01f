"""What the pages are written with: elements that a host can override, and moments that keep counting."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.template import Context, Library
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pat_tokens.labels import UNITS, span_text
from pat_tokens.pages.secret_search import secret_pattern

register = Library()

TEXTS = {
    "ago": gettext_lazy("%(time)s ago"),
    "ago-now": gettext_lazy("just now"),
    "until": gettext_lazy("Expires in %(time)s"),
    "expired": gettext_lazy("Expired %(time)s ago"),
    "expired-now": gettext_lazy("Expired just now"),
    "revoked": gettext_lazy("Revoked %(time)s ago"),
    "revoked-now": gettext_lazy("Revoked just now"),
}
NOW = 10  # seconds for which a moment that has passed is "just now"


class Content(SafeString):
    """What stands between the tags of an element; perhaps a secret, so its repr tells nothing of it.

    At the level DEBUG `django.template` logs the repr of a whole context for each name that is not in it.
    """

    def __repr__(self) -> str:
        return "<Content>"


@register.simple_block_tag(takes_context=True)
def element(context: Context, content: SafeString, element_name: str, **parameters: Any) -> SafeString:
    """Render `pat_tokens/elements/<element_name>.html` around what stands between the tags, its `content`."""
    template = context.template.engine.get_template(f"pat_tokens/elements/{element_name}.html")  # type: ignore[union-attr]
    inner = context.new({**parameters, "content": Content(content), "csrf_token": context.get("csrf_token")})
    return template.render(inner)


@register.inclusion_tag("pat_tokens/elements/moment.html")
def moment(value: datetime | None, kind: str = "ago") -> dict[str, Any]:
    """Render a moment as the time since or until it (`ago`, `used`, `expires`, `revoked`), or as its date (`at`)."""
    if value is not None and timezone.is_naive(value):
        value = timezone.make_aware(value, timezone.get_default_timezone())
    return {"moment": value, "kind": kind, "text": _moment_text(value, kind)}


register.simple_tag(secret_pattern, name="secret_pattern")


@register.simple_tag
def moment_texts() -> dict[str, str]:
    """Return the texts that moments are made of, for the script that lets them go on counting."""
    return {
        **{unit: str(text) % {"number": "{}"} for unit, text in UNITS.items()},
        **{name: str(text) % {"time": "{}"} for name, text in TEXTS.items()},
        "now": str(NOW),
    }


def _moment_text(value: datetime | None, kind: str) -> str:
    if value is None:
        return _("Never expires") if kind == "expires" else _("Not used yet")
    if kind == "at":
        return date_format(timezone.localtime(value), "DATETIME_FORMAT")
    rest = value - datetime.now(tz=UTC)
    name = kind
    if kind == "expires":
        name = "until" if rest.total_seconds() > 0 else "expired"
    elif kind == "used":
        name = "ago"
    if name != "until" and abs(rest).total_seconds() < NOW:
        name += "-now"
    return str(TEXTS[name]) % {"time": span_text(abs(rest))}
