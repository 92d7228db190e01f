"""Pagination of the management API. `filtering` limits the lists of a site's own views, whatever their pagination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination, PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

if TYPE_CHECKING:
    from rest_framework.views import APIView

MAX_PAGE_SIZE = 100  # rows
MAX_ID_DIGITS = 18  # of the id of a row of activity, which is less than 2 ** 63
MAX_PAGE_DIGITS = 9  # of a page number, so that no database gets an offset it can't hold


class PageSizeMixin:
    """A page size that is independent of the site's own, and strict about what clients ask for."""

    page_size = 20
    max_page_size = MAX_PAGE_SIZE
    page_size_query_param = "page_size"
    page_size_query_description = _("Rows per page, at most 100.")

    def get_page_size(self, request: Request) -> int:
        """Return the page size that the client asks for, at most 100; raises ValidationError if it is not a number."""
        text: Any = request.query_params.get("page_size", "")
        if not text:
            return self.page_size
        if not (text.isascii() and text.isdigit() and text.strip("0")):
            raise ValidationError({"page_size": [gettext("This must be a number from 1 to %d.") % MAX_PAGE_SIZE]})
        return MAX_PAGE_SIZE if len(text.lstrip("0")) > len(str(MAX_PAGE_SIZE)) else min(int(text), MAX_PAGE_SIZE)

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        parent: Any = super()
        parameters: list[dict[str, Any]] = parent.get_schema_operation_parameters(view)
        for parameter in parameters:
            parameter["allowEmptyValue"] = True
            if parameter["schema"]["type"] == "integer":
                parameter["schema"]["minimum"] = 1
        return parameters


class PagePagination(PageSizeMixin, PageNumberPagination):  # type: ignore[misc]  # lazy descriptions
    """`count next previous results`."""

    page_query_param = "page"
    page_query_description = _("The page number, from 1.")  # type: ignore[assignment]  # lazy, as help texts are


class UncountedPagination(PagePagination):
    """`next previous results`: reads one more row to see whether there is a next page, without counting."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.request = request
        self.size = self.get_page_size(request)
        text = request.query_params.get(self.page_query_param) or "1"
        if not (text.isascii() and text.isdigit() and 0 < len(text.lstrip("0")) <= MAX_PAGE_DIGITS):
            raise NotFound(pgettext("pat_tokens", "Invalid page."))
        self.number = int(text)
        start = (self.number - 1) * self.size
        rows = list(queryset[start : start + self.size + 1])
        if not rows and self.number > 1:
            raise NotFound(pgettext("pat_tokens", "Invalid page."))
        self.has_next = len(rows) > self.size
        return rows[: self.size]

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.get_next_link(), "previous": self.get_previous_link(), "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        paginated: dict[str, Any] = super().get_paginated_response_schema(schema)
        del paginated["properties"]["count"]
        paginated["required"] = [field for field in paginated.get("required", ()) if field != "count"]
        return paginated

    def get_next_link(self) -> str | None:
        return self._link(self.number + 1) if self.has_next else None

    def get_previous_link(self) -> str | None:
        return self._link(self.number - 1) if self.number > 1 else None

    def _link(self, number: int) -> str:
        request: Any = self.request
        url = request.build_absolute_uri()
        key = self.page_query_param
        return str(remove_query_param(url, key) if number == 1 else replace_query_param(url, key, number))


class ActivityPagination(PageSizeMixin, CursorPagination):  # type: ignore[misc]
    """`next previous results`, newest first: as fast on the last page as on the first."""

    ordering = "-id"

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Return the cursor in the URL; raises NotFound for one that can't be ours."""
        cursor: Cursor | None = super().decode_cursor(request)
        position: Any = None if cursor is None else cursor.position
        if position is not None and not (position.isascii() and position.isdigit() and len(position) <= MAX_ID_DIGITS):
            raise NotFound(self.invalid_cursor_message)
        return cursor
