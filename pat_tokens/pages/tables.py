"""A table that is sorted, paged and narrowed by its query string, and forgives whatever stands there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from django.http import HttpRequest, QueryDict
    from django.utils.functional import _StrOrPromise

SIZES = (5, 10, 25, 50, 100)  # rows per page
COOKIE_AGE = 365 * 24 * 3600  # seconds
_MAX_PAGE = 10**9


@dataclass(frozen=True)
class Column:
    """A column: its name in URLs, its heading, and whether a person may hide it."""

    name: str
    label: _StrOrPromise
    can_hide: bool = True


@dataclass(frozen=True)
class Heading:
    """A column as it stands above the table now."""

    column: Column
    url: str
    direction: str  # ascending, descending, or empty


class Table:
    """One page of rows, with the links that lead to the other pages and orders."""

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
        self.size = _read_number(self._query.get("rows", ""))
        if self.size not in SIZES:
            self.size = size
        self.sizes = SIZES
        self.count = 0
        self.number = 1
        self.rows: Sequence[Any] = ()

    def fill(self, rows: Any, count: int) -> None:
        """Show the page of `rows`, a queryset or list of `count` rows, that the query string asks for."""
        self.count = count
        self.number = min(max(1, _read_number(self._query.get("page", ""), default=1)), self.page_count)
        start = (self.number - 1) * self.size
        self.rows = rows[start : start + self.size]

    @property
    def page_count(self) -> int:
        """How many pages there are, at least one."""
        return max(1, math.ceil(self.count / self.size))

    @property
    def headings(self) -> list[Heading]:
        """The visible columns with the link that sorts by each."""
        return [
            Heading(
                column,
                url=self.url(
                    sort=f"-{column.name}" if column.name == self.sort and not self.is_descending else column.name
                ),
                direction=self.direction if column.name == self.sort else "",
            )
            for column in self.columns
        ]

    @property
    def direction(self) -> str:
        """The word of `aria-sort` for the sorted column."""
        return "descending" if self.is_descending else "ascending"

    @property
    def page_urls(self) -> dict[str, str]:
        """Links to the first, previous, next and last page; empty where that is this page or none."""
        last = self.page_count
        at_start, at_end = self.number == 1, self.number == last
        return {
            "first": "" if at_start else self.url(page="1"),
            "previous": "" if at_start else self.url(page=str(self.number - 1)),
            "next": "" if at_end else self.url(page=str(self.number + 1)),
            "last": "" if at_end else self.url(page=str(last)),
        }

    def url(self, **changes: str) -> str:
        """Return the relative link to the first page with these changes; an empty text leaves a part out."""
        query = {**self._query, "page": "", **changes}
        return "?" + urlencode({key: value for key, value in query.items() if value})

    @property
    def kept(self) -> dict[str, str]:
        """What a form that changes the number of rows has to send along."""
        return {key: value for key, value in self._query.items() if key not in ("rows", "page")}

    @property
    def shows(self) -> dict[str, bool]:
        """By column name, whether it is visible."""
        return {column.name: column.name not in self.hidden for column in self.all_columns}

    def _read_sort(self, default: str) -> tuple[str, bool]:
        text = self._query.get("sort", "")
        if text.removeprefix("-") not in {column.name for column in self.all_columns}:
            text = default
        return text.removeprefix("-"), text.startswith("-")


def cookie_name(table: str) -> str:
    """Return the name of the cookie in which a browser remembers the hidden columns of a table."""
    return f"pat_tokens_hidden_{table}"


def read_hidden(request: HttpRequest, table: str, columns: Sequence[Column]) -> set[str]:
    """Return the columns that this browser hides."""
    names = set(request.COOKIES.get(cookie_name(table), "").split("."))
    return {column.name for column in columns if column.can_hide and column.name in names}


def _only(query: QueryDict, keys: Sequence[str]) -> dict[str, str]:
    return {key: str(query[key]).replace("\0", "") for key in keys if query.get(key)}


def _read_number(text: str, default: int = 0) -> int:
    return min(int(text), _MAX_PAGE) if text.isascii() and text.isdigit() and len(text) < 20 else default
