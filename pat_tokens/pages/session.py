"""Pages about the browser's session: the password prompt on its own, and which columns are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from pat_tokens.pages.base import Page, safe_url
from pat_tokens.pages.tables import COOKIE_AGE, SCOPE_COLUMNS, TOKEN_COLUMNS, cookie_name

if TYPE_CHECKING:
    from django.http import HttpRequest


TABLES = {"tokens": TOKEN_COLUMNS, "scopes": SCOPE_COLUMNS}


class Reauthenticate(Page):
    """The password prompt on its own, for users who are sent here by the API."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.ask_for_password() or HttpResponseRedirect(self._next())

    def post(self, request: HttpRequest) -> HttpResponse:
        return self.ask_for_password() or self.done(self._next())

    def _next(self) -> str:
        return safe_url(self.request, self.request.GET.get("next", ""))


class Columns(Page):
    """Store in a cookie which columns of a table are shown."""

    def post(self, request: HttpRequest, table: str) -> HttpResponse:
        columns = TABLES.get(table)
        if columns is None:
            raise Http404
        chosen = request.POST.getlist("columns")
        hidden = [column.name for column in columns if column.can_hide and column.name not in chosen]
        response = self.done(safe_url(request, request.POST.get("next", "")))
        response.set_cookie(
            cookie_name(table),
            ".".join(hidden),
            max_age=COOKIE_AGE,
            path=reverse("pat_tokens:token_list"),
            secure=request.is_secure() or settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
        return response
