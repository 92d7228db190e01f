"""Checks for `manage.py check --deploy`: W040 to W049."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage
from django.views.debug import get_default_exception_reporter_filter

from pat_tokens.checks.settings import HEADER_NAME
from pat_tokens.checks.values import is_list_of_strings, matches
from pat_tokens.conf import conf

INSECURE_PEPPER = "django-insecure-"  # what `startproject` marks its SECRET_KEY with


def check_peppers_for_deployment(**kwargs: Any) -> Iterator[CheckMessage]:
    """A key that everybody can read in a repository is no key."""
    peppers = conf.peppers if is_list_of_strings(conf.peppers) else ()
    if any(pepper.startswith(INSECURE_PEPPER) for pepper in peppers):
        yield checks.Warning(
            f"The digests of tokens are made with a key that begins with {INSECURE_PEPPER!r}, as a new project has it.",
            hint="Such keys are committed and shared. Set a new SECRET_KEY and put the old one into "
            "SECRET_KEY_FALLBACKS while its tokens are in use, or set PAT_TOKENS_PEPPERS.",
            id="pat_tokens.W040",
        )


def check_tls(**kwargs: Any) -> Iterator[CheckMessage]:
    """A secret in a header is as secret as the connection it comes through."""
    if not (settings.SECURE_SSL_REDIRECT or settings.SECURE_PROXY_SSL_HEADER):
        yield checks.Warning(
            "Nothing in the settings says that this site is reached through TLS alone; on plain HTTP everybody on the "
            "way can read the secrets of tokens.",
            hint="Set SECURE_SSL_REDIRECT = True, and SECURE_PROXY_SSL_HEADER behind a proxy. Where the proxy itself "
            "refuses plain HTTP, add 'pat_tokens.W041' to SILENCED_SYSTEM_CHECKS.",
            id="pat_tokens.W041",
        )


def check_reports(**kwargs: Any) -> Iterator[CheckMessage]:
    """Django's report of an exception, which may be mailed and kept, hides headers by their names."""
    if matches(HEADER_NAME, conf.header):
        shown = get_default_exception_reporter_filter().cleanse_setting(conf.header_key, "secret")
        if shown == "secret":
            yield checks.Warning(
                f"Reports of exceptions would show the header {conf.header}, and with it the secrets of tokens.",
                hint="Give PAT_TOKENS_HEADER a name with Auth, Token or Key in it, or have hidden_settings of your "
                "DEFAULT_EXCEPTION_REPORTER_FILTER cover it.",
                id="pat_tokens.W042",
            )


def check_logging(**kwargs: Any) -> Iterator[CheckMessage]:
    """A format of a log that names the header writes down every secret; what proxies log nobody can see from here."""
    if not matches(HEADER_NAME, conf.header):
        return
    own: Any = settings.LOGGING
    formatters = own.get("formatters", {}) if isinstance(own, dict) else {}
    formats = [str(value) for one in formatters.values() if isinstance(one, dict) for value in one.values()]
    formats.append(os.environ.get("GUNICORN_CMD_ARGS", ""))
    names = (conf.header.lower(), conf.header_key.lower())
    if any(name in text.lower() for text in formats for name in names):
        yield checks.Warning(
            f"A formatter of LOGGING, or GUNICORN_CMD_ARGS, names the header {conf.header}, so logs would have the "
            "secrets of tokens.",
            hint=f"Take {conf.header} out of the format. pat_tokens logs which token was used and which was refused.",
            id="pat_tokens.W043",
        )


DEPLOYMENT_CHECKS = (check_peppers_for_deployment, check_tls, check_reports, check_logging)
