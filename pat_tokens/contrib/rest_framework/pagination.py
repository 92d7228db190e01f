"""Pages of a list: `page` and `page_size`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request

if TYPE_CHECKING:
    from rest_framework.views import APIView

MAX_PAGE_SIZE = 100  # rows


class PagePagination(PageNumberPagination):
    """`count next previous results`; whatever page size the site has for its own lists."""

    page_size = 20
    max_page_size = MAX_PAGE_SIZE
    page_query_param = "page"
    page_query_description = _("The number of a page, from 1.")  # type: ignore[assignment]  # lazy, as help texts are
    page_size_query_param = "page_size"
    page_size_query_description = _("Rows on a page; more than 100 count as 100.")  # type: ignore[assignment]

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """Return the two parameters for the OpenAPI schema."""
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            parameter["schema"]["minimum"] = 1
            parameter["allowEmptyValue"] = True
        return parameters

    def get_page_size(self, request: Request) -> int:
        """Return what is asked for, at most 100; a page size that is no number is an error and not the default."""
        text: Any = request.query_params.get("page_size", "")
        if not text:
            return self.page_size
        if not (text.isascii() and text.isdigit() and text.strip("0")):
            raise ValidationError({"page_size": [gettext("This must be a number from 1 to %d.") % MAX_PAGE_SIZE]})
        return MAX_PAGE_SIZE if len(text.lstrip("0")) > len(str(MAX_PAGE_SIZE)) else min(int(text), MAX_PAGE_SIZE)
