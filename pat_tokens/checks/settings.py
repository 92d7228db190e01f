"""Checks of the `PAT_TOKENS_*` settings, and of Django's settings that they depend on.

E001 to E019 and W001 to W009 are about settings, E030 to E039 and W030 to W039 about middleware, E060 to E069 about
reminders, E070 to E079 about the policy and who can manage tokens, E080 to E089 and W080 to W089 about the pages, W090
to W099 about the database.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.db import connections
from django.utils import timezone

from pat_tokens.checks.pages import (
    check_base_template,
    check_login_url,
    check_static_files,
    check_template_engine,
    check_template_order,
)
from pat_tokens.conf import MIDDLEWARE_PATH, are_peppers, conf, setting_names, site_middleware
from pat_tokens.durations import NEVER, add_duration, parse_duration, parse_grace_period
from pat_tokens.inspection.middleware import middleware_before_ours
from pat_tokens.lookup import token_database
from pat_tokens.mail import MAIL_KINDS
from pat_tokens.models import MAX_DESCRIPTION_LENGTH
from pat_tokens.networks import parse_network
from pat_tokens.policy import Policy, is_overridden
from pat_tokens.setting_values import has_url, is_class, is_integer, is_list_of_strings, matches

MAX_REMINDER_DAYS = 3660
MIN_PEPPER_LENGTH = 32  # characters
MIN_PEPPER_VARIETY = 5  # different characters, like Django's check of SECRET_KEY

_START = "PAT_TOKENS_"
_PREFIX = re.compile(r"[A-Za-z0-9]{1,20}", re.ASCII)  # the hint, which includes it, is stored in 32 characters
HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*", re.ASCII)
_NO_CREDENTIALS = {"content-length", "content-type", "cookie", "host"}  # headers with another meaning
_KEYWORD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # `token` of RFC 9110 section 5.6.2
_REALM = re.compile(r"[ !#-\[\]-~]+", re.ASCII)  # what RFC 6750 section 3 allows between the quotes
_LIMITS = ("PAT_TOKENS_MAX_TOKENS_PER_USER", "PAT_TOKENS_MAX_SCOPES_PER_TOKEN")
MAX_ACTIVITY_DAYS = 36_500
_SWITCHES = (
    "PAT_TOKENS_ALLOW_NO_EXPIRY",
    "PAT_TOKENS_ALLOW_LEGACY_KEYS",
    "PAT_TOKENS_READ_FROM_REPLICAS",
    "PAT_TOKENS_REMINDER_MAIL",
)
_SITE_URL = re.compile(r"https?://[^/?#\s]+(?:/[^?#\s]*)?", re.ASCII)


def check_names(**kwargs: Any) -> Iterator[CheckMessage]:
    known = [name.removeprefix(_START) for name in setting_names()]
    for name in dir(settings):
        if name.startswith(_START) and (word := name.removeprefix(_START)) not in known:
            close = difflib.get_close_matches(word, known, n=1)
            hint = (
                f"Did you mean {_START}{close[0]}?" if close else f"There are {_START}... {', '.join(sorted(known))}."
            )
            yield checks.Warning(f"There is no setting {name}.", hint=hint, id="pat_tokens.W001")


def check_prefix(**kwargs: Any) -> Iterator[CheckMessage]:
    if not matches(_PREFIX, conf.prefix):
        yield Error(
            f"PAT_TOKENS_PREFIX is {conf.prefix!r}, which no secret can start with.",
            hint="Use 1 to 20 of the characters A-Z, a-z and 0-9. The underscore is added automatically.",
            id="pat_tokens.E001",
        )


def check_peppers(**kwargs: Any) -> Iterator[CheckMessage]:
    """Messages never show a pepper."""
    peppers = getattr(settings, "PAT_TOKENS_PEPPERS", None)
    if peppers is None:
        return
    if not peppers or not are_peppers(peppers):
        yield Error(
            "PAT_TOKENS_PEPPERS is not a list of strings, or one of them is empty.",
            hint="Use a list of secret strings, newest first: [os.environ['PAT_PEPPER']]. "
            "Remove the setting to use SECRET_KEY and SECRET_KEY_FALLBACKS.",
            id="pat_tokens.E002",
        )
        return
    for position, pepper in enumerate(peppers):
        if len(pepper) < MIN_PEPPER_LENGTH or len(set(pepper)) < MIN_PEPPER_VARIETY:
            yield checks.Warning(
                f"PAT_TOKENS_PEPPERS[{position}] is short or simple enough to be guessed.",
                hint=f"Use at least {MIN_PEPPER_LENGTH} random characters, for example from "
                "python -c 'import secrets; print(secrets.token_urlsafe(48))'. Put the new pepper first, and keep "
                "the old one after it until no token uses it.",
                id="pat_tokens.W002",
            )


def check_header(**kwargs: Any) -> Iterator[CheckMessage]:
    if not matches(HEADER_NAME, conf.header) or conf.header.lower() in _NO_CREDENTIALS:
        yield Error(
            f"PAT_TOKENS_HEADER is {conf.header!r}, which is not a header that can contain a secret.",
            hint="Use Authorization, or your own name of letters, digits and hyphens, such as X-Access-Token.",
            id="pat_tokens.E003",
        )
    if not is_list_of_strings(conf.keywords) or not all(matches(_KEYWORD, keyword) for keyword in conf.keywords):
        yield Error(
            f"PAT_TOKENS_KEYWORDS is {conf.keywords!r}, which is not a list of words that are valid in a header.",
            hint="Use ['Bearer'], or other words without spaces, such as ['Bearer', 'Token'].",
            id="pat_tokens.E004",
        )
    if not matches(_REALM, conf.realm):
        yield Error(
            f"PAT_TOKENS_REALM is {conf.realm!r}, which is not valid in a WWW-Authenticate header.",
            hint="Use ASCII characters without quotes and backslashes, such as api.",
            id="pat_tokens.E005",
        )


def check_durations(**kwargs: Any) -> Iterator[CheckMessage]:
    longest = _span(conf.max_duration)
    if longest is None:
        yield Error(
            f"PAT_TOKENS_MAX_DURATION is {conf.max_duration!r}, which is not a duration.",
            hint=f"{_DURATION_HINT} It can't be longer than dates can represent.",
            id="pat_tokens.E006",
        )
    yield from _check_duration("PAT_TOKENS_DEFAULT_DURATION", conf.default_duration, longest, "E007", "E008")
    if not is_list_of_strings(conf.durations):
        yield Error(
            f"PAT_TOKENS_DURATIONS is {conf.durations!r}, which is not a list of durations.",
            hint="Use a list of durations, such as ['7d', '30d', '90d'].",
            id="pat_tokens.E009",
        )
        return
    for duration in conf.durations:
        yield from _check_duration("PAT_TOKENS_DURATIONS", duration, longest, "E010", "E011")


def check_rotation(**kwargs: Any) -> Iterator[CheckMessage]:
    """How long two secrets of a token work."""
    try:
        parse_grace_period(conf.max_grace_period)
    except (ValueError, TypeError, AttributeError):
        yield Error(
            f"PAT_TOKENS_MAX_GRACE_PERIOD is {conf.max_grace_period!r}, which is not a duration.",
            hint="Use a number with a unit, such as 24h or 7d, or 0 to allow no grace period.",
            id="pat_tokens.E090",
        )
    if _span(conf.max_overlap) is None:
        yield Error(
            f"PAT_TOKENS_MAX_OVERLAP is {conf.max_overlap!r}, which is not a duration.",
            hint=_DURATION_HINT,
            id="pat_tokens.E091",
        )


_DURATION_HINT = "Use a positive number with a unit, such as 24h, 30d, 2w or 1y, or an ISO 8601 duration, such as P30D."


def _check_duration(
    setting: str, duration: object, longest: timedelta | None, unreadable: str, too_long: str
) -> Iterator[CheckMessage]:
    if isinstance(duration, str) and duration.strip().lower() == NEVER:
        if not conf.allow_no_expiry:
            yield Error(
                f"{setting} contains {NEVER!r}, but tokens must expire on this site.",
                hint="Remove it, or set PAT_TOKENS_ALLOW_NO_EXPIRY = True.",
                id=f"pat_tokens.{too_long}",
            )
        return
    span = _span(duration)
    if span is None:
        yield Error(
            f"{setting} contains {duration!r}, which is not a duration.",
            hint=_DURATION_HINT,
            id=f"pat_tokens.{unreadable}",
        )
    elif longest is not None and span > longest:
        yield Error(
            f"{setting} contains {duration!r}, which is longer than PAT_TOKENS_MAX_DURATION, {conf.max_duration!r}.",
            hint="Use a shorter duration, or raise the maximum.",
            id=f"pat_tokens.{too_long}",
        )


def check_switches(**kwargs: Any) -> Iterator[CheckMessage]:
    """Strings from environment variables, such as "False", would count as true."""
    for name in _SWITCHES:
        value = getattr(settings, name, False)
        if not isinstance(value, bool):
            yield Error(f"{name} is {value!r}, not True or False.", hint="Write True or False.", id="pat_tokens.E012")


def check_limits(**kwargs: Any) -> Iterator[CheckMessage]:
    for name in _LIMITS:
        value = getattr(settings, name, 1)
        if not is_integer(value) or value < 1:
            yield Error(
                f"{name} is {value!r}, not a positive integer.",
                hint="Use a number such as 100, or remove the setting to use the default.",
                id="pat_tokens.E013",
            )
    failures: Any = conf.max_failed_lookups
    if failures is not None and (not is_integer(failures) or failures < 1):
        yield Error(
            f"PAT_TOKENS_MAX_FAILED_LOOKUPS is {failures!r}, not a positive integer.",
            hint="Use the number of failures per minute, such as 600, or remove the setting for no limit.",
            id="pat_tokens.E019",
        )
    length: Any = conf.max_description_length
    if not is_integer(length) or not 1 <= length <= MAX_DESCRIPTION_LENGTH:
        yield Error(
            f"PAT_TOKENS_MAX_DESCRIPTION_LENGTH is {length!r}, not an integer from 1 to {MAX_DESCRIPTION_LENGTH}.",
            hint=f"The column stores at most {MAX_DESCRIPTION_LENGTH} characters.",
            id="pat_tokens.E014",
        )
    interval: Any = conf.last_used_interval
    if not isinstance(interval, timedelta) or interval < timedelta():
        yield Error(
            f"PAT_TOKENS_LAST_USED_INTERVAL is {interval!r}, not a timedelta of zero or more.",
            hint="Use a timedelta, such as timedelta(minutes=1).",
            id="pat_tokens.E015",
        )


def check_activity(**kwargs: Any) -> Iterator[CheckMessage]:
    days: Any = conf.activity_days
    if not is_integer(days) or not 1 <= days <= MAX_ACTIVITY_DAYS:
        yield Error(
            f"PAT_TOKENS_ACTIVITY_DAYS is {days!r}, not an integer from 1 to {MAX_ACTIVITY_DAYS}.",
            hint="Use the number of days that activity is kept, such as 365.",
            id="pat_tokens.E062",
        )


def check_mail_kinds(**kwargs: Any) -> Iterator[CheckMessage]:
    kinds: Any = conf.mail_kinds
    if not isinstance(kinds, list | tuple | set) or not all(kind in MAIL_KINDS for kind in kinds):
        known = ", ".join(MAIL_KINDS)
        yield Error(
            f"PAT_TOKENS_MAIL_KINDS is {kinds!r}, not a list of kinds of emails.",
            hint=f"Use some of: {known}. An empty tuple sends no emails but reminders.",
            id="pat_tokens.E063",
        )


def check_reminders(**kwargs: Any) -> Iterator[CheckMessage]:
    days: Any = conf.reminder_days
    if (
        not isinstance(days, list | tuple)
        or not all(is_integer(number) and 0 <= number <= MAX_REMINDER_DAYS for number in days)
        or len(set(days)) != len(days)
    ):
        yield Error(
            f"PAT_TOKENS_REMINDER_DAYS is {days!r}, not a list of different integers from 0 to {MAX_REMINDER_DAYS}.",
            hint="Use the days before the expiration, such as (14, 3, 1), or an empty tuple for no reminders.",
            id="pat_tokens.E060",
        )
    if conf.site_url != "" and not matches(_SITE_URL, conf.site_url):
        yield Error(
            f"PAT_TOKENS_SITE_URL is {conf.site_url!r}, which is not the base URL of a site.",
            hint="Use a scheme and a host, such as https://example.org.",
            id="pat_tokens.E061",
        )


def check_policy(**kwargs: Any) -> Iterator[CheckMessage]:
    value = getattr(settings, "PAT_TOKENS_POLICY", None)
    if value is not None and not is_class(value, Policy):
        yield Error(
            f"PAT_TOKENS_POLICY is {value!r}, not a policy class.",
            hint="Use the dotted path of a subclass of pat_tokens.policy.Policy, such as 'shop.tokens.ShopPolicy'.",
            id="pat_tokens.E070",
        )


def check_trusted_proxies(**kwargs: Any) -> Iterator[CheckMessage]:
    """Where requests come from, for tokens with allowed networks."""
    proxies: Any = conf.trusted_proxies
    if not is_list_of_strings(proxies, may_be_empty=True) or not all(map(_is_network, proxies)):
        yield Error(
            f"PAT_TOKENS_TRUSTED_PROXIES is {proxies!r}, not a list of addresses or networks.",
            hint="Use a list such as ['127.0.0.1', '10.0.3.0/28'].",
            id="pat_tokens.E072",
        )
        return
    is_behind_proxy = settings.SECURE_PROXY_SSL_HEADER or settings.USE_X_FORWARDED_HOST
    if is_behind_proxy and not proxies and not _policy_overrides("get_client_ip"):
        yield checks.Warning(
            "SECURE_PROXY_SSL_HEADER or USE_X_FORWARDED_HOST says that this site is behind a proxy, but "
            "PAT_TOKENS_TRUSTED_PROXIES doesn't name it, so the addresses of clients are unknown, and tokens with "
            "allowed networks are refused.",
            hint="Set PAT_TOKENS_TRUSTED_PROXIES to the addresses of the proxy, such as ['127.0.0.1'], or override "
            "get_client_ip() of the policy.",
            id="pat_tokens.W070",
        )


def _is_network(text: str) -> bool:
    try:
        parse_network(text)
    except ValueError:
        return False
    return True


def check_reauthentication(**kwargs: Any) -> Iterator[CheckMessage]:
    after: Any = conf.reauthenticate_after
    if after is None:
        return
    if isinstance(after, bool) or not isinstance(after, int | float) or not 0 < after < math.inf:
        yield Error(
            f"PAT_TOKENS_REAUTHENTICATE_AFTER is {after!r}, not a positive number of seconds.",
            hint="Use a number, such as 600 for ten minutes, or remove the setting to never ask.",
            id="pat_tokens.E018",
        )
    elif not has_url("pat_tokens:reauthenticate") and not _policy_overrides("get_reauthentication"):
        yield checks.Warning(
            "PAT_TOKENS_REAUTHENTICATE_AFTER is set, but this site has no page where users can enter their password, "
            "so the API can't create or regenerate tokens.",
            hint="Include pat_tokens.urls in your URLs, or override get_reauthentication() of the policy.",
            id="pat_tokens.W006",
        )


def check_legacy_keys(**kwargs: Any) -> Iterator[CheckMessage]:
    """Clients keep sending imported keys in `Authorization`, whatever `PAT_TOKENS_HEADER` is."""
    if conf.allow_legacy_keys is True and str(conf.header).lower() != "authorization":
        yield checks.Warning(
            f"PAT_TOKENS_ALLOW_LEGACY_KEYS is True and PAT_TOKENS_HEADER is {conf.header!r}, so imported keys are not "
            "read from Authorization, where clients of authtoken send them.",
            hint="Remove PAT_TOKENS_HEADER until the last imported key has expired, or set "
            "PAT_TOKENS_ALLOW_LEGACY_KEYS = False.",
            id="pat_tokens.W004",
        )


def check_middleware(**kwargs: Any) -> Iterator[CheckMessage]:
    if MIDDLEWARE_PATH not in settings.MIDDLEWARE:
        return
    for path in middleware_before_ours():
        yield Error(
            f"MIDDLEWARE has {path} before PersonalAccessTokenMiddleware, so it can respond before the token is "
            "read, with a CSRF error or a redirect to the login page.",
            hint=f"Move {MIDDLEWARE_PATH!r} up, before {path!r}.",
            id="pat_tokens.E030",
        )


def check_caching(**kwargs: Any) -> Iterator[CheckMessage]:
    if MIDDLEWARE_PATH not in settings.MIDDLEWARE:
        return
    place = settings.MIDDLEWARE.index(MIDDLEWARE_PATH)
    for path, _middleware in site_middleware("django.middleware.cache.UpdateCacheMiddleware"):
        if place < settings.MIDDLEWARE.index(path):
            yield checks.Warning(
                f"MIDDLEWARE has PersonalAccessTokenMiddleware before {path}, which then stores responses to tokens "
                "before they are marked as private. A revoked token would keep getting them.",
                hint=f"Move {path!r} to the top of MIDDLEWARE, as Django's documentation recommends.",
                id="pat_tokens.W031",
            )


def check_database(**kwargs: Any) -> Iterator[CheckMessage]:
    """Each look-up of a token sees what was committed before it."""
    alias = token_database()
    if not connections[alias].settings_dict["AUTOCOMMIT"]:
        yield checks.Warning(
            f"DATABASES[{alias!r}], which has the tokens, sets AUTOCOMMIT to False. A transaction then stays open "
            "until your own code ends it. With repeatable read, MariaDB's default, it doesn't see that a token was "
            "revoked, so the token keeps working until then.",
            hint="Remove AUTOCOMMIT, and use ATOMIC_REQUESTS or transaction.atomic() for transactions. If a middleware "
            "of yours ends the transaction of every request, add 'pat_tokens.W090' to SILENCED_SYSTEM_CHECKS.",
            id="pat_tokens.W090",
        )


def _policy_overrides(method: str) -> bool:
    # An invalid policy has a message of its own.
    return is_class(conf.policy, Policy) and is_overridden(method)


def _span(text: object) -> timedelta | None:
    try:
        span = parse_duration(text) if isinstance(text, str) else None
        if span is not None:
            add_duration(timezone.now(), span)
    except ValueError:
        return None
    return span


SETTINGS_CHECKS = (
    check_names,
    check_prefix,
    check_peppers,
    check_header,
    check_durations,
    check_rotation,
    check_switches,
    check_limits,
    check_activity,
    check_mail_kinds,
    check_reminders,
    check_policy,
    check_trusted_proxies,
    check_reauthentication,
    check_template_engine,
    check_base_template,
    check_template_order,
    check_static_files,
    check_login_url,
    check_legacy_keys,
    check_middleware,
    check_caching,
    check_database,
)
