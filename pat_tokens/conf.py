"""Settings: one typed property each. It only reads; judging is for `checks`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
_DERIVED = {"header_key", "keyword"}  # properties of Conf that follow from others


class Conf:
    """`PAT_TOKENS_<NAME>` for each property in capitals, read once, and anew after `setting_changed`."""

    @cached_property
    def prefix(self) -> str:
        """What every secret starts with, before the underscore; letters and digits. Default `pat`."""
        return _read("PAT_TOKENS_PREFIX", "pat")

    @cached_property
    @sensitive_variables()
    def peppers(self) -> Sequence[str]:
        """Keys of the digests, newest first. Default: SECRET_KEY and SECRET_KEY_FALLBACKS."""
        own: Any = _read("PAT_TOKENS_PEPPERS", None)
        if own:
            if not are_peppers(own):
                raise ImproperlyConfigured("PAT_TOKENS_PEPPERS must be a list of strings, none of them empty.")
            return tuple(map(SecretText, own))
        # Django takes bytes for its keys, too, and says by itself that there is none.
        newest: str | bytes = _read("SECRET_KEY", "") or settings.SECRET_KEY
        older: Sequence[str | bytes] = _read("SECRET_KEY_FALLBACKS", ())
        keys = [newest, *(key for key in older if key)]
        return tuple(SecretText(key if isinstance(key, str) else key.decode("latin-1")) for key in keys)

    @cached_property
    def header(self) -> str:
        """Name of the request header that carries the secret. Default `Authorization`."""
        return _read("PAT_TOKENS_HEADER", "Authorization")

    @cached_property
    def header_key(self) -> str:
        """The header as a key of `request.META` (PEP 3333)."""
        return "HTTP_" + self.header.upper().replace("-", "_")

    @cached_property
    def keywords(self) -> Sequence[str]:
        """The words that are accepted before the secret in the header. Default only `Bearer`."""
        return _read("PAT_TOKENS_KEYWORDS", ("Bearer",))

    @cached_property
    def keyword(self) -> str:
        """The first of the keywords, which challenges and names the scheme in the schema."""
        return self.keywords[0]

    @cached_property
    def realm(self) -> str:
        """The realm named in `WWW-Authenticate`. Default `api`."""
        return _read("PAT_TOKENS_REALM", "api")

    @cached_property
    def default_duration(self) -> str:
        """How long a token lives when nobody says. Default `30d`."""
        return _read("PAT_TOKENS_DEFAULT_DURATION", "30d")

    @cached_property
    def max_duration(self) -> str:
        """The longest life that can be asked for. Default `366d`."""
        return _read("PAT_TOKENS_MAX_DURATION", "366d")

    @cached_property
    def allow_no_expiry(self) -> bool:
        """Whether a token may live for ever (duration `never`). Default no."""
        return _read("PAT_TOKENS_ALLOW_NO_EXPIRY", False)

    @cached_property
    def allow_legacy_keys(self) -> bool:
        """Whether imported keys of DRF's authtoken open their tokens, until these expire. Default no."""
        return _read("PAT_TOKENS_ALLOW_LEGACY_KEYS", False)

    @cached_property
    def durations(self) -> Sequence[str]:
        """The durations that the pages offer. Default 24h, 7d, 30d, 60d, 90d, 1y."""
        return _read("PAT_TOKENS_DURATIONS", ("24h", "7d", "30d", "60d", "90d", "1y"))

    @cached_property
    def max_tokens_per_user(self) -> int:
        """How many tokens, dead ones included, a user may have. Default 100."""
        return _read("PAT_TOKENS_MAX_TOKENS_PER_USER", 100)

    @cached_property
    def max_scopes_per_token(self) -> int:
        """How many scopes a token may have. Default 500."""
        return _read("PAT_TOKENS_MAX_SCOPES_PER_TOKEN", 500)

    @cached_property
    def max_description_length(self) -> int:
        """How many characters a description may have, 1000 at most. Default 1000."""
        return _read("PAT_TOKENS_MAX_DESCRIPTION_LENGTH", 1000)

    @cached_property
    def last_used_interval(self) -> timedelta:
        """How much time passes at least between two writes of a token's last use. Default a minute."""
        return _read("PAT_TOKENS_LAST_USED_INTERVAL", _MINUTE)

    @cached_property
    def read_from_replicas(self) -> bool:
        """Whether authentication may read from the database that the router names for reading. Default no."""
        return _read("PAT_TOKENS_READ_FROM_REPLICAS", False)

    @cached_property
    def max_failed_lookups(self) -> int | None:
        """How many unknown secrets an address can send in a minute, in each process. Default None: no limit."""
        return _read("PAT_TOKENS_MAX_FAILED_LOOKUPS", None)

    @cached_property
    def base_template(self) -> str:
        """The template that the pages extend. Default our own, which needs nothing of the host."""
        return _read("PAT_TOKENS_BASE_TEMPLATE", "pat_tokens/base.html")

    @cached_property
    def reminder_days(self) -> Sequence[int]:
        """How many days before its end a token's owner is told, each once; 0 is after it. Default 14, 3 and 1."""
        return _read("PAT_TOKENS_REMINDER_DAYS", (14, 3, 1))

    @cached_property
    def reminder_mail(self) -> bool:
        """Whether reminders are mailed; a site with its own notifications listens to `token_expiring`. Default yes."""
        return _read("PAT_TOKENS_REMINDER_MAIL", True)

    @cached_property
    def site_url(self) -> str:
        """Where this site is, for links in mails and responses: `https://example.org`."""
        return _read("PAT_TOKENS_SITE_URL", "")

    @cached_property
    def language(self) -> Callable[..., str | None] | None:
        """A callable, or its dotted path, from user to the language of mails to them; default LANGUAGE_CODE."""
        return _callable(_read("PAT_TOKENS_LANGUAGE", None))

    @cached_property
    def refuse(self) -> Callable[..., Any] | None:
        """A callable, or its dotted path, asked with `(token, request)` at each authentication.

        A truthy answer refuses the token; a text answer is told to the client.
        """
        return _callable(_read("PAT_TOKENS_REFUSE", None))

    @cached_property
    def policy(self) -> str | type[Any]:
        """The policy class, or its dotted path. Default `pat_tokens.policy.Policy`."""
        return _read("PAT_TOKENS_POLICY", "pat_tokens.policy.Policy")

    @cached_property
    def management_authentication(self) -> Sequence[str | type[Any]]:
        """Authentication classes, or their dotted paths, that stand for a user in person. Default: sessions only."""
        return _read("PAT_TOKENS_MANAGEMENT_AUTHENTICATION", ("rest_framework.authentication.SessionAuthentication",))

    @cached_property
    def management_permissions(self) -> Sequence[str | type[Any]]:
        """Permission classes, or their dotted paths, that the management API asks besides its own. Default none."""
        return _read("PAT_TOKENS_MANAGEMENT_PERMISSIONS", ())

    @cached_property
    def reauthenticate_after(self) -> float | None:
        """How many seconds a password counts before creating, widening and regenerating ask again; None: never."""
        return _read("PAT_TOKENS_REAUTHENTICATE_AFTER", None)

    @cached_property
    def reauthenticate(self) -> Callable[..., Any] | None:
        """A callable, or its dotted path, from request to whether the person has proven lately who they are.

        True: yes. None: our own page asks for the password. A text: the address where to prove it. Else: no.
        """
        return _callable(_read("PAT_TOKENS_REAUTHENTICATE", None))

    @cached_property
    def client_ip(self) -> Callable[..., str | None] | None:
        """A callable, or its dotted path, from request to client address; default `REMOTE_ADDR`."""
        return _callable(_read("PAT_TOKENS_CLIENT_IP", None))


def _read(name: str, default: _T) -> _T:
    value: _T = getattr(settings, name, default)
    return value


def _callable(value: Any) -> Callable[..., Any] | None:
    found: Callable[..., Any] | None = import_string(value) if isinstance(value, str) else value
    return found


def are_peppers(value: object) -> bool:
    """Return whether `value` is a list or tuple of strings that aren't empty."""
    return isinstance(value, list | tuple) and all(isinstance(pepper, str) and pepper for pepper in value)


def setting_names() -> list[str]:
    """Return the name of every setting that there is."""
    properties = (name for name, value in vars(Conf).items() if isinstance(value, cached_property))
    return [f"PAT_TOKENS_{name.upper()}" for name in properties if name not in _DERIVED]


conf = Conf()


def _forget(**_kwargs: object) -> None:
    # Settings change in tests alone. Whichever it was: some of ours follow from Django's.
    vars(conf).clear()


setting_changed.connect(_forget, dispatch_uid="pat_tokens.conf")
