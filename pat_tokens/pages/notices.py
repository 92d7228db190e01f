"""Messages on the next page, with Django's messages framework if the site has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from django.contrib import messages

if TYPE_CHECKING:
    from django.http import HttpRequest

SESSION_KEY = "pat_tokens_notices"
MAX_WAITING = 5


def add(request: HttpRequest, text: str, *, is_warning: bool = False) -> None:
    """Show `text` on the next page: what was done or, with `is_warning`, why nothing was done."""
    if apps.is_installed("django.contrib.messages") and hasattr(request, "_messages"):
        messages.add_message(request, messages.WARNING if is_warning else messages.SUCCESS, text, fail_silently=True)
        return
    waiting = request.session.get(SESSION_KEY, [])
    request.session[SESSION_KEY] = [*waiting, ["warning" if is_warning else "good", text]][-MAX_WAITING:]


def take(request: HttpRequest) -> list[tuple[str, str]]:
    """Return the kinds and texts of the messages for the current page, and remove them."""
    waiting: list[tuple[str, str]] = request.session.pop(SESSION_KEY) if SESSION_KEY in request.session else []
    return waiting
