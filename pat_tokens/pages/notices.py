"""Messages on the next page, with Django's messages framework if the site has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from django.contrib import messages

if TYPE_CHECKING:
    from django.http import HttpRequest

SESSION_KEY = "pat_tokens_notices"
MAX_WAITING = 5


def add(request: HttpRequest, text: str) -> None:
    """Show `text` on the next page."""
    if apps.is_installed("django.contrib.messages") and hasattr(request, "_messages"):
        messages.success(request, text, fail_silently=True)
        return
    request.session[SESSION_KEY] = [*request.session.get(SESSION_KEY, []), text][-MAX_WAITING:]


def take(request: HttpRequest) -> list[str]:
    """Return the messages for the current page, and remove them."""
    texts: list[str] = request.session.pop(SESSION_KEY) if SESSION_KEY in request.session else []
    return texts
