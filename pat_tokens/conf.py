"""Settings, as one typed property each. They are only read here; `checks` validates them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables

from pat_tokens.crypto import SecretText

_T = TypeVar("_T")

_MINUTE = timedelta(minutes=1)
_DERIVED = {"header_key", "keyword"}  # properties of Conf that depend on others


class Conf:
    """`PAT_TOKENS_<NAME>` for each property, in upper case. Values are cached until `setting_changed`."""

    @cached_property
    def prefix(self) -> str:
        """The start of every secret, before the underscore: letters and digits. Default: `pat`."""
        return _read("PAT_TOKENS_PREFIX", "pat")

    @cached_property
    @sensitive_variables()
    def peppers(self) -> Sequence[str]:
        """The keys of digests, newest first. Default: SECRET_KEY and SECRET_KEY_FALLBACKS."""
        own: Any = _read("PAT_TOKENS_PEPPERS", None)
        if own:
            if not are_peppers(own):
                raise ImproperlyConfigured("PAT_TOKENS_PEPPERS must be a list of strings, none of them empty.")
            return tuple(map(SecretText, own))
        # Django also accepts bytes, and raises its own error if there is no key.
        newest: str | bytes = _read("SECRET_KEY", "") or settings.SECRET_KEY
        older: Sequence[str | bytes] = _read("SECRET_KEY_FALLBACKS", ())
        keys = [newest, *(key for key in older if key)]
        return tuple(SecretText(key if isinstance(key, str) else key.decode("latin-1")) for key in keys)

    @cached_property
    def header(self) -> str:
        """The request header that contains the secret. Default: `Authorization`."""
        return _read("PAT_TOKENS_HEADER", "Authorization")

    @cached_property
    def header_key(self) -> str:
        """The header as a key of `request.META` (PEP 3333)."""
        return "HTTP_" + self.header.upper().replace("-", "_")

    @cached_property
    def keywords(self) -> Sequence[str]:
        """The keywords that are accepted before the secret in the header. Default: only `Bearer`."""
        return _read("PAT_TOKENS_KEYWORDS", ("Bearer",))

    @cached_property
    def keyword(self) -> str:
        """The first keyword, which is used in challenges and in the schema."""
        return self.keywords[0]

    @cached_property
    def realm(self) -> str:
        """The realm in `WWW-Authenticate`. Default: `api`."""
        return _read("PAT_TOKENS_REALM", "api")

    @cached_property
    def default_duration(self) -> str:
        """The lifetime of a token if none is given. Default: `30d`."""
        return _read("PAT_TOKENS_DEFAULT_DURATION", "30d")

    @cached_property
    def max_duration(self) -> str:
        """The maximum lifetime. Default: `366d`."""
        return _read("PAT_TOKENS_MAX_DURATION", "366d")

    @cached_property
    def max_grace_period(self) -> str:
        """The maximum grace period of a rotation. Default: `7d`."""
        return _read("PAT_TOKENS_MAX_GRACE_PERIOD", "7d")

    @cached_property
    def max_overlap(self) -> str:
        """The maximum time that a previous secret works after a rotation, used or not. Default: `30d`."""
        return _read("PAT_TOKENS_MAX_OVERLAP", "30d")

    @cached_property
    def allow_no_expiry(self) -> bool:
        """Whether tokens without an expiration date are allowed (duration `never`). Default: no."""
        return _read("PAT_TOKENS_ALLOW_NO_EXPIRY", False)

    @cached_property
    def allow_legacy_keys(self) -> bool:
        """Whether keys imported from DRF's authtoken are accepted until they expire. Default: no."""
        return _read("PAT_TOKENS_ALLOW_LEGACY_KEYS", False)

    @cached_property
    def durations(self) -> Sequence[str]:
        """The durations that the pages offer. Default: 24h, 7d, 30d, 60d, 90d, 1y."""
        return _read("PAT_TOKENS_DURATIONS", ("24h", "7d", "30d", "60d", "90d", "1y"))

    @cached_property
    def max_tokens_per_user(self) -> int:
        """The maximum number of tokens per user, including inactive ones. Default: 100."""
        return _read("PAT_TOKENS_MAX_TOKENS_PER_USER", 100)

    @cached_property
    def max_scopes_per_token(self) -> int:
        """The maximum number of scopes per token. Default: 500."""
        return _read("PAT_TOKENS_MAX_SCOPES_PER_TOKEN", 500)

    @cached_property
    def max_description_length(self) -> int:
        """The maximum length of a description, at most 1000. Default: 1000."""
        return _read("PAT_TOKENS_MAX_DESCRIPTION_LENGTH", 1000)

    @cached_property
    def last_used_interval(self) -> timedelta:
        """The minimum time between two updates of a token's last use. Default: one minute."""
        return _read("PAT_TOKENS_LAST_USED_INTERVAL", _MINUTE)

    @cached_property
    def activity_days(self) -> int:
        """For how many days activity is kept. Default: 365."""
        return _read("PAT_TOKENS_ACTIVITY_DAYS", 365)

    @cached_property
    def read_from_replicas(self) -> bool:
        """Whether authentication can use the database that the router returns for reading. Default: no."""
        return _read("PAT_TOKENS_READ_FROM_REPLICAS", False)

    @cached_property
    def max_failed_lookups(self) -> int | None:
        """How many unknown secrets an address can send per minute and process. Default: None, no limit."""
        return _read("PAT_TOKENS_MAX_FAILED_LOOKUPS", None)

    @cached_property
    def base_template(self) -> str:
        """The template that the pages extend. Default: the package's own, which depends on nothing in the site."""
        return _read("PAT_TOKENS_BASE_TEMPLATE", "pat_tokens/base.html")

    @cached_property
    def reminder_days(self) -> Sequence[int]:
        """How many days before the expiration to remind the owner; 0 is once after it. Default: 14, 3 and 1."""
        return _read("PAT_TOKENS_REMINDER_DAYS", (14, 3, 1))

    @cached_property
    def mail_kinds(self) -> Sequence[str]:
        """What owners get emails about, besides reminders: some of `pat_tokens.mail.MAIL_KINDS`."""
        return _read("PAT_TOKENS_MAIL_KINDS", ("sensitive_action", "replaced", "network_not_allowed"))

    @cached_property
    def reminder_mail(self) -> bool:
        """Whether reminders are sent by email. If not, a site can connect to `token_expiring`. Default: yes."""
        return _read("PAT_TOKENS_REMINDER_MAIL", True)

    @cached_property
    def site_url(self) -> str:
        """The base URL of links in emails and responses, such as `https://example.org`."""
        return _read("PAT_TOKENS_SITE_URL", "")

    @cached_property
    def trusted_proxies(self) -> Sequence[str]:
        """The networks of proxies whose `X-Forwarded-For` is believed. Default: none."""
        return _read("PAT_TOKENS_TRUSTED_PROXIES", ())

    @cached_property
    def policy(self) -> str | type[Any]:
        """The policy class, or its dotted path. Default: `pat_tokens.policy.Policy`."""
        return _read("PAT_TOKENS_POLICY", "pat_tokens.policy.Policy")

    @cached_property
    def management_authentication(self) -> Sequence[str | type[Any]]:
        """Authentication classes, or their dotted paths, that can manage tokens by API. Default: sessions only."""
        return _read("PAT_TOKENS_MANAGEMENT_AUTHENTICATION", ("rest_framework.authentication.SessionAuthentication",))

    @cached_property
    def management_permissions(self) -> Sequence[str | type[Any]]:
        """Additional permission classes of the management API, or their dotted paths. Default: none."""
        return _read("PAT_TOKENS_MANAGEMENT_PERMISSIONS", ())

    @cached_property
    def reauthenticate_after(self) -> float | None:
        """For how many seconds a password counts before sensitive actions ask for it again. None: never ask."""
        return _read("PAT_TOKENS_REAUTHENTICATE_AFTER", None)


def _read(name: str, default: _T) -> _T:
    value: _T = getattr(settings, name, default)
    return value


def are_peppers(value: object) -> bool:
    """Return whether `value` is a list or tuple of nonempty strings."""
    return isinstance(value, list | tuple) and all(isinstance(pepper, str) and pepper for pepper in value)


def setting_names() -> list[str]:
    """Return the names of all settings."""
    properties = (name for name, value in vars(Conf).items() if isinstance(value, cached_property))
    return [f"PAT_TOKENS_{name.upper()}" for name in properties if name not in _DERIVED]


MIDDLEWARE_PATH = "pat_tokens.middleware.PersonalAccessTokenMiddleware"


def site_middleware(*names: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Return the middleware of this site that is one of the classes `names`, or a subclass, by dotted path."""
    for path in settings.MIDDLEWARE:
        middleware = import_string(path)
        bases = getattr(middleware, "__mro__", ())
        if any(f"{base.__module__}.{base.__qualname__}" in names for base in bases):
            yield path, middleware


conf = Conf()


def _forget(**_kwargs: object) -> None:
    # Settings only change in tests. Any of them, because some of ours depend on Django's.
    vars(conf).clear()


setting_changed.connect(_forget, dispatch_uid="pat_tokens.conf")
