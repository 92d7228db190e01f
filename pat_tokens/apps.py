"""The app configuration, the only module that imports from every layer."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.core.signals import got_request_exception, request_started
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import pgettext_lazy

from pat_tokens.conf import conf
from pat_tokens.http import hide_header, hide_scope_headers, hide_secrets, read_header

if TYPE_CHECKING:
    from django.http import HttpRequest


class PatTokensConfig(AppConfig):
    """The app. When all apps are loaded, it imports their `pat_integration` and `pat_entities` modules."""

    name = "pat_tokens"
    verbose_name = pgettext_lazy("pat_tokens", "Personal access tokens")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from pat_tokens import checks, contrib, mail  # noqa: PLC0415 -- the checks need the models
        from pat_tokens.database import statements  # noqa: PLC0415

        import_module("pat_tokens.django_views.pat_integration")
        for package in iter_modules(contrib.__path__, f"{contrib.__name__}."):
            module = f"{package.name}.pat_integration"
            if package.ispkg and find_spec(module):
                import_module(module)
        autodiscover_modules("pat_integration")
        autodiscover_modules("pat_entities")
        request_started.connect(_hide_header, dispatch_uid="pat_tokens.hide_header")
        got_request_exception.connect(_hide_failed_request, dispatch_uid="pat_tokens.hide_header")
        statements.observe_connections()
        mail.connect()
        checks.register_checks()


def _hide_header(
    sender: Any = None, environ: dict[str, Any] | None = None, scope: dict[str, Any] | None = None, **kwargs: object
) -> None:
    # Before any middleware can raise an error.
    if environ is not None:
        hide_header(environ, conf.header_key)
    elif scope is not None:
        hide_scope_headers(scope, conf.header)
        if hasattr(sender, "request_class"):
            sender.request_class = _with_hidden_header(sender.request_class)
    if "sentry_sdk" in sys.modules:
        import_module("pat_tokens.contrib.sentry").protect_request()


@cache
def _with_hidden_header(cls: Any) -> Any:
    # ASGIRequest joins the headers of its scope to plain strings. Django also reports 4xx responses, without a signal.
    if hasattr(cls, "_pat_tokens_hides_header"):
        return cls

    def init(request: Any, *args: Any, **kwargs: Any) -> None:
        cls.__init__(request, *args, **kwargs)
        hide_header(request.META, conf.header_key)

    return type(
        cls.__name__, (cls,), {"__module__": cls.__module__, "__init__": init, "_pat_tokens_hides_header": True}
    )


def _hide_failed_request(request: HttpRequest | None = None, **kwargs: object) -> None:
    # Django sends this signal before it writes a report. Until now, requests of other classes, such as those
    # of test clients, show the header, and all requests show other headers and cookies.
    if request is not None:
        read_header(request, conf.header_key)
        hide_secrets(request.META, conf.prefix)
        hide_secrets(request.COOKIES, conf.prefix)
