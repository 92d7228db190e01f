"""Which scopes of a token are used: a part of its page, and the page that removes unused ones."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pat_tokens import services
from pat_tokens.labels import ScopeLabel, describe_scopes, duration_label
from pat_tokens.pages.base import TokenPage, token_url
from pat_tokens.validation import clean_unused_for

if TYPE_CHECKING:
    from django.http import HttpRequest

LONG_UNUSED = "90d"
DURATIONS = ("7d", "30d", LONG_UNUSED, "1y")


def find_unused(labels: Sequence[ScopeLabel], unused_for: str = "") -> list[ScopeLabel]:
    """Return the labels of `ScopeQuerySet.uses` that can be removed: those without effect, and those that are unused.

    Unused are those that were not used for this duration; without one, those that were never used, or not for 90 days.
    """
    when = clean_unused_for(unused_for or LONG_UNUSED)

    def is_unused(scope: Any) -> bool:
        return scope.unused_since <= when or (scope.last_used_at is None and not unused_for)

    return [label for label in labels if label.problem or is_unused(label.scope)]


def find_watched_since(labels: Sequence[ScopeLabel]) -> datetime | None:
    """Return since when uses of the scopes have been recorded."""
    scopes: list[Any] = [label.scope for label in labels]
    return min((scope.recorded_since for scope in scopes), default=None)


class ScopesUnused(TokenPage):
    """Lists the unused scopes of a token, and removes them."""

    template_name = "pat_tokens/scopes_unused.html"

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        unused = sorted(self.find_unused(), key=attrgetter("sort_key"))
        return self.show(
            token=self.token,
            back_url=token_url(self.token),
            unused=unused,
            ids=",".join(str(label.scope.pk) for label in unused),  # type: ignore[attr-defined]  # rows
            unused_for=self.unused_for,
            durations=[(duration, duration_label(duration)) for duration in DURATIONS],
        )

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        listed = set(request.POST.get("ids", "").split(","))
        # Scopes that were used since the page was shown are kept.
        ids = [label.scope.pk for label in self.find_unused() if str(label.scope.pk) in listed]  # type: ignore[attr-defined]
        count = services.delete_scopes(self.token, self.token.scope_set.filter(pk__in=ids), actor=self.actor)
        text = ngettext("%(count)d unused scope was removed.", "%(count)d unused scopes were removed.", count)
        notice = text % {"count": count} if count else _("No scopes were removed.")
        return self.done(token_url(self.token), notice, is_warning=not count)

    def find_unused(self) -> list[ScopeLabel]:
        return find_unused(describe_scopes(self.owner, self.token.scope_set.sorted().uses()), self.unused_for)

    @property
    def unused_for(self) -> str:
        """The duration that the user chose, or an empty string."""
        chosen = self.request.GET.get("unused_for", "")
        return chosen if chosen in DURATIONS else ""
