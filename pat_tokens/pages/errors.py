"""How a page responds if the database fails, and what error reports show of its forms."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from django.conf import settings
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.template.response import SimpleTemplateResponse
from django.utils.log import log_response
from django.views.decorators.debug import sensitive_post_parameters

from pat_tokens.conf import conf
from pat_tokens.crypto import SecretText
from pat_tokens.exceptions import WRITE_OUTAGES, TemporarilyUnavailable
from pat_tokens.http import error_headers, error_status
from pat_tokens.log_events import log_outage

View = Callable[..., HttpResponseBase]


def hide_posted_values(view: View) -> View:
    """Decorate a page so that no error report contains what was posted: a password, or a secret in any field.

    Django's own decorator does this only without DEBUG.
    """

    @wraps(view)
    @sensitive_post_parameters()
    def call(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # Changed in place, because each frame of a report has the same object.
        for _name, values in request.POST.lists():
            values[:] = map(SecretText, values)
        return view(request, *args, **kwargs)

    return call


def show_outages(view: View) -> View:
    """Decorate a page so that it responds with 503 if the database fails, without any more queries.

    With DEBUG, Django's own page says more, for example that a table is missing.
    """

    @wraps(view)
    def call(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = view(request, *args, **kwargs)
        except WRITE_OUTAGES as outage:
            return _unavailable(request, outage)
        if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
            # Django renders it later.
            response.render = partial(_render, request, response.render)  # type: ignore[method-assign, assignment]
        return response

    return call


def _render(request: HttpRequest, render: Callable[[], HttpResponse]) -> HttpResponse:
    try:
        return render()
    except WRITE_OUTAGES as outage:
        return _unavailable(request, outage)


def _unavailable(request: HttpRequest, outage: Exception) -> HttpResponse:
    if settings.DEBUG:
        raise outage
    log_outage(outage)
    for connection in connections.all(initialized_only=True):
        # Django commits the transaction of a request unless the view raises an exception.
        if connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block:
            connection.set_rollback(True)
    error = TemporarilyUnavailable()
    page = render_to_string("pat_tokens/unavailable.html", {"text": error.message})
    headers = error_headers(error, keyword=conf.keyword, realm=conf.realm)
    response = HttpResponse(page, status=error_status(error), headers=headers)
    log_response("Service Unavailable: %s", request.path, response=response, request=request, exception=outage)
    return response
