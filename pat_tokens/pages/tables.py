"""The tables of tokens and of scopes, sorted and paginated by the query string. Invalid parameters are ignored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.utils.html import conditional_escape
from django.utils.translation import pgettext_lazy

if TYPE_CHECKING:
    from django.http import HttpRequest, QueryDict
    from django.utils.functional import _StrOrPromise
    from django.utils.safestring import SafeString

SIZES = (5, 10, 25, 50, 100)  # rows per page
COOKIE_AGE = 365 * 24 * 3600  # seconds
PAGE_LABELS = {
    "first": pgettext_lazy("pat_tokens", "First page"),
    "previous": pgettext_lazy("pat_tokens", "Previous page"),
    "next": pgettext_lazy("pat_tokens", "Next page"),
    "last": pgettext_lazy("pat_tokens", "Last page"),
}


@dataclass(frozen=True)
class Column:
    """A column: its name in URLs, its heading, and whether it can be hidden or sorted by."""

    name: str
    label: _StrOrPromise
    can_hide: bool = True
    can_sort: bool = True


# The cells of rows are in the templates, in the same order.
TOKEN_COLUMNS = (
    Column("name", pgettext_lazy("pat_tokens", "Name"), can_hide=False),
    Column("description", pgettext_lazy("pat_tokens", "Description")),
    Column("access", pgettext_lazy("pat_tokens", "Access"), can_sort=False),
    Column("issued_at", pgettext_lazy("pat_tokens", "Issued At")),
    Column("expires_at", pgettext_lazy("pat_tokens", "Expires At")),
    Column("last_used_at", pgettext_lazy("pat_tokens", "Last Used At")),
)
SCOPE_COLUMNS = (
    Column("entity_type", pgettext_lazy("pat_tokens", "Entity Type")),
    Column("entity", pgettext_lazy("pat_tokens", "Entity"), can_hide=False),
    Column("operation", pgettext_lazy("pat_tokens", "Operation")),
    Column("last_used_at", pgettext_lazy("pat_tokens", "Last Used")),
)


@dataclass(frozen=True)
class Heading:
    """The heading of a column, with its current sort order; `url` is empty if it can't be sorted by."""

    column: Column
    url: str
    direction: str  # ascending, descending, or empty


class Table:
    """One page of rows, with links to other pages and sort orders."""

    def __init__(
        self,
        request: HttpRequest,
        name: str,
        columns: Sequence[Column],
        *,
        sort: str,
        size: int,
        keep: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.all_columns = columns
        self.hidden = read_hidden(request, name, columns)
        self.columns = [column for column in columns if column.name not in self.hidden]
        self._query = _only(request.GET, ("sort", "rows", "page", *keep))
        self.sort, self.is_descending = self._read_sort(sort)
        self.size = next((one for one in SIZES if str(one) == self._query.get("rows")), size)
        self.sizes = SIZES
        self.fill((), 0)

    def fill(self, rows: Any, count: int) -> None:
        """Show the page that the query string selects. `rows` is an ordered queryset or list of `count` rows."""
        paginator: Paginator[Any] = Paginator(rows, self.size)
        paginator.count = count  # already known, so the paginator doesn't count
        self.page = paginator.get_page(self._query.get("page", 1))

    @property
    def rows(self) -> Any:
        return self.page.object_list

    @property
    def count(self) -> int:
        return self.page.paginator.count

    @property
    def number(self) -> int:
        return self.page.number

    @property
    def page_count(self) -> int:
        return self.page.paginator.num_pages

    @property
    def headings(self) -> list[Heading]:
        """The visible columns, each with a link to sort by it."""
        return [
            Heading(
                column,
                url=self._sort_url(column) if column.can_sort else "",
                direction=self.direction if column.name == self.sort else "",
            )
            for column in self.columns
        ]

    def _sort_url(self, column: Column) -> str:
        is_reversed = column.name == self.sort and not self.is_descending
        return self.url(sort=f"-{column.name}" if is_reversed else column.name)

    @property
    def direction(self) -> str:
        """The value of `aria-sort` for the sorted column."""
        return "descending" if self.is_descending else "ascending"

    @property
    def page_urls(self) -> dict[str, str]:
        """Links to the first, previous, next and last page; empty for the current page and if there is none."""
        has_previous, has_next = self.page.has_previous(), self.page.has_next()
        return {
            "first": self.url(page="1") if has_previous else "",
            "previous": self.url(page=str(self.number - 1)) if has_previous else "",
            "next": self.url(page=str(self.number + 1)) if has_next else "",
            "last": self.url(page=str(self.page_count)) if has_next else "",
        }

    @property
    def page_links(self) -> list[tuple[str, _StrOrPromise, str]]:
        """The name, label and URL of each link in `page_urls`."""
        return [(name, PAGE_LABELS[name], url) for name, url in self.page_urls.items()]

    def url(self, **changes: str) -> str:
        """Return the relative URL of the first page with these changes; an empty string removes a parameter."""
        query = {**self._query, "page": "", **changes}
        return "?" + urlencode({key: value for key, value in query.items() if value})

    @property
    def kept(self) -> dict[str, str]:
        """The parameters that the form for the number of rows sends along."""
        return {key: value for key, value in self._query.items() if key not in ("rows", "page")}

    @property
    def column_choices(self) -> list[tuple[Column, bool]]:
        """The columns that can be hidden, each with whether it is visible."""
        return [(column, column.name not in self.hidden) for column in self.all_columns if column.can_hide]

    @cached_property
    def labels(self) -> dict[str, SafeString]:
        """The labels of the visible columns by name, escaped once and not for each cell."""
        return {column.name: conditional_escape(column.label) for column in self.columns}

    def _read_sort(self, default: str) -> tuple[str, bool]:
        text = self._query.get("sort", "")
        if text.removeprefix("-") not in {column.name for column in self.all_columns if column.can_sort}:
            text = default
        return text.removeprefix("-"), text.startswith("-")


def cookie_name(table: str) -> str:
    """Return the name of the cookie that stores the hidden columns of a table."""
    return f"pat_tokens_hidden_{table}"


def read_hidden(request: HttpRequest, table: str, columns: Sequence[Column]) -> set[str]:
    """Return the columns that are hidden in this browser."""
    names = set(request.COOKIES.get(cookie_name(table), "").split("."))
    return {column.name for column in columns if column.can_hide and column.name in names}


def _only(query: QueryDict, keys: Sequence[str]) -> dict[str, str]:
    return {key: str(query[key]).replace("\0", "") for key in keys if query.get(key)}
