"""System checks of DRF's settings, and of those of the management API. DRF itself need not be installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from pat_tokens.conf import conf
from pat_tokens.setting_values import has_url, is_class

DRF_CLASS = "pat_tokens.contrib.rest_framework.authentication.PersonalAccessTokenAuthentication"


def check_management(**kwargs: Any) -> Iterator[CheckMessage]:
    for name in ("PAT_TOKENS_MANAGEMENT_AUTHENTICATION", "PAT_TOKENS_MANAGEMENT_PERMISSIONS"):
        value = getattr(settings, name, ())
        if not isinstance(value, list | tuple) or not all(is_class(one, object) for one in value):
            yield Error(
                f"{name} is {value!r}, not a list of classes.",
                hint="List REST framework classes by their dotted paths.",
                id="pat_tokens.E071",
            )
            return
    drf = getattr(settings, "REST_FRAMEWORK", None)
    classes = drf.get("DEFAULT_AUTHENTICATION_CLASSES") if isinstance(drf, dict) else None
    if not isinstance(classes, list | tuple) or not has_url("pat_tokens_api:token-list"):
        return
    trusted = tuple(import_string(one) if isinstance(one, str) else one for one in conf.management_authentication)
    if not any(is_class(one, *trusted) for one in classes):
        yield checks.Warning(
            "None of REST_FRAMEWORK['DEFAULT_AUTHENTICATION_CLASSES'] can manage tokens with the management API.",
            hint="If users of this site log in with a class other than SessionAuthentication, add it to "
            "PAT_TOKENS_MANAGEMENT_AUTHENTICATION. If that class also accepts credentials that can do less than their "
            "user, override can_manage_tokens() of the policy.",
            id="pat_tokens.W007",
        )


def check_rest_framework(**kwargs: Any) -> Iterator[CheckMessage]:
    """DRF tries authentication classes in order, until one of them responds."""
    drf = getattr(settings, "REST_FRAMEWORK", None)
    classes = drf.get("DEFAULT_AUTHENTICATION_CLASSES", ()) if isinstance(drf, dict) else ()
    names = [_dotted_path(one) for one in classes] if isinstance(classes, list | tuple) else []
    if DRF_CLASS in names and not _views_read_tokens():
        yield checks.Warning(
            "REST_FRAMEWORK['DEFAULT_AUTHENTICATION_CLASSES'] has PersonalAccessTokenAuthentication, but REST "
            "framework was imported before it was added, so views don't read tokens.",
            hint="Add the class where REST_FRAMEWORK is first set, above everything in the settings that imports REST "
            "framework.",
            id="pat_tokens.W008",
        )
    if DRF_CLASS in names[1:]:
        yield checks.Warning(
            f"REST_FRAMEWORK['DEFAULT_AUTHENTICATION_CLASSES'] has {names[0]} before "
            "PersonalAccessTokenAuthentication. That class can accept a request before the token is read: a request "
            "with a session and a token that is bad or lacks the scope would only be limited by the session.",
            hint=f"List {DRF_CLASS!r} first. It passes every other request to the next class.",
            id="pat_tokens.W003",
        )


def _views_read_tokens() -> bool:
    # Views read this setting while REST framework is imported.
    views = sys.modules.get("rest_framework.views")
    return views is None or any(
        issubclass(one, import_string(DRF_CLASS)) for one in views.APIView.authentication_classes
    )


def _dotted_path(value: object) -> str:
    return (
        value if isinstance(value, str) else f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"
    )


SETTINGS_CHECKS = (check_management, check_rest_framework)
