"""Checks for `manage.py check --deploy`: W040 to W049."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage
from django.db import connections, router
from django.views.debug import get_default_exception_reporter_filter

from pat_tokens.checks.settings import HEADER_NAME
from pat_tokens.conf import are_peppers, conf
from pat_tokens.lookup import token_database
from pat_tokens.models import PersonalAccessToken
from pat_tokens.setting_values import matches

INSECURE_PEPPER = "django-insecure-"  # the start of the SECRET_KEY that `startproject` generates


def check_peppers_for_deployment(**kwargs: Any) -> Iterator[CheckMessage]:
    own = getattr(settings, "PAT_TOKENS_PEPPERS", None)
    peppers = () if own and not are_peppers(own) else conf.peppers
    if any(pepper.startswith(INSECURE_PEPPER) for pepper in peppers):
        yield checks.Warning(
            f"The digests of tokens are made with a key that starts with {INSECURE_PEPPER!r}, like that of a new "
            "project.",
            hint="Such keys are often committed and shared. Set a new SECRET_KEY and add the old one to "
            "SECRET_KEY_FALLBACKS while its tokens are in use, or set PAT_TOKENS_PEPPERS.",
            id="pat_tokens.W040",
        )


def check_tls(**kwargs: Any) -> Iterator[CheckMessage]:
    if not (settings.SECURE_SSL_REDIRECT or settings.SECURE_PROXY_SSL_HEADER):
        yield checks.Warning(
            "No setting ensures that this site is only available over TLS. Over plain HTTP, anyone on the network can "
            "read the secrets of tokens.",
            hint="Set SECURE_SSL_REDIRECT = True, and SECURE_PROXY_SSL_HEADER behind a proxy. If the proxy itself "
            "refuses plain HTTP, add 'pat_tokens.W041' to SILENCED_SYSTEM_CHECKS.",
            id="pat_tokens.W041",
        )


def check_reports(**kwargs: Any) -> Iterator[CheckMessage]:
    """Django's exception reports, which can be emailed and stored, hide headers by name."""
    if matches(HEADER_NAME, conf.header):
        shown = get_default_exception_reporter_filter().cleanse_setting(conf.header_key, "secret")
        if shown == "secret":
            yield checks.Warning(
                f"Exception reports would show the header {conf.header}, which contains the secrets of tokens.",
                hint="Use a name with Auth, Token or Key in PAT_TOKENS_HEADER, or add the header to hidden_settings of "
                "your DEFAULT_EXCEPTION_REPORTER_FILTER.",
                id="pat_tokens.W042",
            )


def check_logging(**kwargs: Any) -> Iterator[CheckMessage]:
    if not matches(HEADER_NAME, conf.header):
        return
    own: Any = settings.LOGGING
    formatters = own.get("formatters", {}) if isinstance(own, dict) else {}
    formats = [str(value) for one in formatters.values() if isinstance(one, dict) for value in one.values()]
    formats.append(os.environ.get("GUNICORN_CMD_ARGS", ""))
    names = (conf.header.lower(), conf.header_key.lower())
    if any(name in text.lower() for text in formats for name in names):
        yield checks.Warning(
            f"A formatter in LOGGING, or GUNICORN_CMD_ARGS, includes the header {conf.header}, so logs would contain "
            "the secrets of tokens.",
            hint=f"Remove {conf.header} from the format. pat_tokens logs which tokens were used or refused.",
            id="pat_tokens.W043",
        )


def check_prepared_statements(**kwargs: Any) -> Iterator[CheckMessage]:
    """PostgreSQL takes several times longer to plan the look-up than to execute it."""
    connection = connections[token_database()]
    if connection.vendor != "postgresql":
        return
    from django.db.backends.postgresql.psycopg_any import is_psycopg3  # noqa: PLC0415 -- requires a driver

    options = connection.settings_dict["OPTIONS"]
    is_decided = "prepare_threshold" in options and (
        options["prepare_threshold"] is None or options.get("server_side_binding")
    )
    if is_psycopg3 and not is_decided:
        yield checks.Info(
            f"The database {connection.alias!r} plans the query that authenticates a token on each request.",
            hint="Set 'server_side_binding': True and 'prepare_threshold': 5 in the OPTIONS of the database. Behind "
            "PgBouncer in transaction mode, set 'prepare_threshold': None instead.",
            id="pat_tokens.I044",
        )


def check_replicas(**kwargs: Any) -> Iterator[CheckMessage]:
    alias = token_database()
    if alias != router.db_for_write(PersonalAccessToken):
        yield checks.Warning(
            f"Tokens are looked up in the database {alias!r}, which is not the one that they are written to. Until it "
            "has caught up, revoked tokens keep working, and new ones don't work.",
            hint="Remove PAT_TOKENS_READ_FROM_REPLICAS. If tokens have to work while the primary database is down, add "
            "'pat_tokens.W045' to SILENCED_SYSTEM_CHECKS.",
            id="pat_tokens.W045",
        )


DEPLOYMENT_CHECKS = (
    check_peppers_for_deployment,
    check_tls,
    check_reports,
    check_logging,
    check_prepared_statements,
    check_replicas,
)
