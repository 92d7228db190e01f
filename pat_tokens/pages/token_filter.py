"""Which tokens the parameters of the list select."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import pgettext_lazy

from pat_tokens.entities import Operation, registry
from pat_tokens.querysets import Status, has_scope

if TYPE_CHECKING:
    from django.http import QueryDict

    from pat_tokens.querysets import TokenQuerySet

LIST_QUERY = ("q", "in", "operation", "status", "owner")
ALL = "all"  # as a status
SEARCH_FIELDS = {
    "name": pgettext_lazy("pat_tokens", "Name"),
    "description": pgettext_lazy("pat_tokens", "Description"),
    "id": pgettext_lazy("pat_tokens", "ID"),
}


class TokenFilter:
    """The search, the operation and the status of a list of tokens. Invalid parameters are ignored."""

    def __init__(self, query: QueryDict) -> None:
        self.term = read_term(query)
        self.field = query.get("in", "")
        if self.field not in SEARCH_FIELDS:
            self.field = "name"
        self.operations = _operations()
        self.operation = query.get("operation", "")
        if self.operation not in self.operations:
            self.operation = ""
        self.status = query.get("status", Status.ACTIVE)
        if self.status not in (*Status, ALL):
            self.status = Status.ACTIVE

    def apply(self, tokens: TokenQuerySet) -> TokenQuerySet:
        """Return those of `tokens` that the list shows."""
        if self.term or self.operation:
            tokens = tokens.filter(self.matches)
        return tokens if self.status == ALL else tokens.with_status(self.status)

    @property
    def query(self) -> dict[str, str]:
        """The parameters that select the same tokens."""
        field = self.field if self.term else ""
        return {"q": self.term, "in": field, "operation": self.operation, "status": self.status}

    @property
    def matches(self) -> Q:
        """The condition for the search and the operation, whatever the status."""
        found = self._contains_term if self.term else ~Q(pk=None)
        return found & has_scope(operation=self.operation) if self.operation else found

    @property
    def _contains_term(self) -> Q:
        matches = Q(pk=None) if self.field == "id" else Q(**{f"{self.field}__icontains": self.term})
        hint = self.term.replace("...", "…")
        if "…" in hint:
            how = "endswith" if hint.startswith("…") else "exact"
            matches |= Q(**{f"hint__{how}": hint}) | Q(**{f"previous__hint__{how}": hint})
        try:
            return matches | Q(pk=uuid.UUID(self.term))
        except ValueError:
            return matches


def _operations() -> dict[str, Operation]:
    # Operations of several entity types can have the same name but different labels. The first label is used for all.
    found: dict[str, Operation] = {}
    for entity_type in registry:
        for operation in entity_type.operations:
            found.setdefault(operation.name, operation)
    return dict(sorted(found.items(), key=lambda item: not item[1].dangerous))


def read_term(query: QueryDict) -> str:
    return query.get("q", "").replace("\0", "").strip()[:255]


def list_url(**query: str) -> str:
    """Return the URL of the list with these parameters; empty ones are left out."""
    text = urlencode({name: value for name, value in query.items() if value})
    return reverse("pat_tokens:token_list") + (f"?{text}" if text else "")
