"""The activity page."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import pgettext

from pat_tokens.labels import describe_activity
from pat_tokens.models import Activity, Kind
from pat_tokens.pages.base import Page

if TYPE_CHECKING:
    from django.http import HttpRequest, QueryDict

    from pat_tokens.querysets import ActivityQuerySet

SIZE = 50  # rows on a page
MAX_ID = 2**63 - 1


@dataclass(frozen=True)
class ActivityFilter:
    """What the query string of a page of activity selects. Invalid parameters are ignored."""

    kinds: list[str]
    token: uuid.UUID | None
    since: date | None
    until: date | None

    @classmethod
    def read(cls, query: QueryDict) -> Self:
        return cls(
            [kind for kind in query.getlist("kind") if kind in Kind.values],
            _read_uuid(query.get("token", "")),
            _read_date(query.get("since", "")),
            _read_date(query.get("until", "")),
        )

    def apply(self, found: ActivityQuerySet) -> ActivityQuerySet:
        if self.kinds:
            found = found.filter(kind__in=self.kinds)
        if self.token:
            found = found.for_token(self.token)
        if self.since:
            found = found.since(_start_of(self.since))
        if self.until:
            found = found.until(_start_of(self.until + timedelta(days=1)))
        return found

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters that select the same."""
        chosen = [
            *(("kind", kind) for kind in self.kinds),
            *(("token", self.token), ("since", self.since), ("until", self.until)),
        ]
        return [(name, str(value)) for name, value in chosen if value]

    @property
    def context(self) -> dict[str, Any]:
        """The variables of a template with the form of the filter."""
        return {
            "kinds": Kind.choices,
            "kind": self.kinds[0] if self.kinds else "",
            "token": str(self.token or ""),
            "since": self.since,
            "until": self.until,
            "is_filtered": bool(self.query),
        }


class ActivityList(Page):
    """The activity of a user's tokens, including deleted ones."""

    template_name = "pat_tokens/activity_list.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        chosen = ActivityFilter.read(request.GET)
        rows, newer, older = read_page(chosen.apply(Activity.objects.for_owner(self.owner)), request.GET)
        kept = chosen.query
        if owner := request.GET.get("owner"):
            kept = [*kept, ("owner", owner)]
        return self.show(
            rows=describe_activity(rows),
            newer_url=newer and "?" + urlencode([*kept, newer]),
            older_url=older and "?" + urlencode([*kept, older]),
            tokens=self._token_choices(chosen.token, rows),
            **chosen.context,
        )

    def _token_choices(self, chosen: uuid.UUID | None, rows: list[Activity]) -> list[tuple[str, str]]:
        choices = [(str(pk), name) for pk, name in self.tokens.order_by("name_key").values_list("pk", "name")]
        choices.sort(key=lambda choice: choice[1].casefold())
        if chosen and str(chosen) not in dict(choices):
            name = rows[0].token_name if rows else str(chosen)
            choices.append((str(chosen), pgettext("pat_tokens", "%(name)s (deleted)") % {"name": name}))
        return choices


def read_page(found: ActivityQuerySet, query: QueryDict) -> tuple[list[Activity], Any, Any]:
    """Return the page of `found` that `query` selects, and the parameters of the newer and older pages, if any."""
    # By id, so that the last page is as fast as the first.
    after, before = (_read_id(query.get(name, "")) for name in ("after", "before"))
    if after is not None:
        rows = list(found.filter(pk__gt=after).order_by("pk")[: SIZE + 1])
        has_newer, has_older = len(rows) > SIZE, True
        rows = rows[:SIZE][::-1]
    else:
        rows = list((found if before is None else found.filter(pk__lt=before)).newest_first()[: SIZE + 1])
        has_newer, has_older = before is not None, len(rows) > SIZE
        rows = rows[:SIZE]
    if not rows:
        return rows, None, None
    return rows, has_newer and ("after", rows[0].pk), has_older and ("before", rows[-1].pk)


def _read_id(text: str) -> int | None:
    is_id = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ID)) and int(text) <= MAX_ID
    return int(text) if is_id else None


def _read_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _read_date(text: str) -> date | None:
    try:
        found = parse_date(text)
    except ValueError:
        return None
    return found if found and 1 < found.year < 9999 else None


def _start_of(day: date) -> datetime:
    start = datetime.combine(day, time())
    return timezone.make_aware(start) if settings.USE_TZ else start
