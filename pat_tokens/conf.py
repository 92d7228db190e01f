"""Settings: one typed property each. It only reads; judging is for `checks`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

from django.conf import Settings, settings
from django.utils.module_loading import import_string

_T = TypeVar("_T")

_MINUTE = timedelta(minutes=1)
_DERIVED = {"header_key"}  # properties of Conf that follow from others


class Conf:
    """`PAT_TOKENS_<NAME>` for each property in capitals, each read when it is asked for."""

    @property
    def prefix(self) -> str:
        """What every secret starts with, before the underscore; letters and digits. Default `pat`."""
        return _read("PAT_TOKENS_PREFIX", "pat")

    @property
    def peppers(self) -> Sequence[str]:
        """Keys of the digests, newest first. Default: SECRET_KEY and SECRET_KEY_FALLBACKS."""
        own: Sequence[str] | None = _read("PAT_TOKENS_PEPPERS", None)
        if own:
            return own
        # Django takes bytes for its keys, too, and says by itself that there is none.
        newest: str | bytes = _read("SECRET_KEY", "") or settings.SECRET_KEY
        older: Sequence[str | bytes] = _read("SECRET_KEY_FALLBACKS", ())
        return [key if isinstance(key, str) else key.decode("latin-1") for key in (newest, *older)]

    @property
    def header(self) -> str:
        """Name of the request header that carries the secret. Default `Authorization`."""
        return _read("PAT_TOKENS_HEADER", "Authorization")

    @property
    def header_key(self) -> str:
        """The header as a key of `request.META` (PEP 3333)."""
        return _header_key(self.header)

    @property
    def keyword(self) -> str:
        """The word before the secret in the header. Default `Bearer`."""
        return _read("PAT_TOKENS_KEYWORD", "Bearer")

    @property
    def realm(self) -> str:
        """The realm named in `WWW-Authenticate`. Default `api`."""
        return _read("PAT_TOKENS_REALM", "api")

    @property
    def default_duration(self) -> str:
        """How long a token lives when nobody says. Default `30d`."""
        return _read("PAT_TOKENS_DEFAULT_DURATION", "30d")

    @property
    def max_duration(self) -> str:
        """The longest life that can be asked for. Default `366d`."""
        return _read("PAT_TOKENS_MAX_DURATION", "366d")

    @property
    def allow_no_expiry(self) -> bool:
        """Whether a token may live for ever (duration `never`). Default no."""
        return _read("PAT_TOKENS_ALLOW_NO_EXPIRY", False)

    @property
    def allow_legacy_keys(self) -> bool:
        """Whether imported keys of DRF's authtoken open their tokens, until these expire. Default no."""
        return _read("PAT_TOKENS_ALLOW_LEGACY_KEYS", False)

    @property
    def durations(self) -> Sequence[str]:
        """The durations that the pages offer. Default 24h, 7d, 30d, 60d, 90d, 1y."""
        return _read("PAT_TOKENS_DURATIONS", ("24h", "7d", "30d", "60d", "90d", "1y"))

    @property
    def max_tokens_per_user(self) -> int:
        """How many tokens, dead ones included, a user may have. Default 100."""
        return _read("PAT_TOKENS_MAX_TOKENS_PER_USER", 100)

    @property
    def max_scopes_per_token(self) -> int:
        """How many scopes a token may have. Default 500."""
        return _read("PAT_TOKENS_MAX_SCOPES_PER_TOKEN", 500)

    @property
    def max_description_length(self) -> int:
        """How many characters a description may have, 1000 at most. Default 1000."""
        return _read("PAT_TOKENS_MAX_DESCRIPTION_LENGTH", 1000)

    @property
    def last_used_interval(self) -> timedelta:
        """How much time passes at least between two writes of a token's last use. Default a minute."""
        return _read("PAT_TOKENS_LAST_USED_INTERVAL", _MINUTE)

    @property
    def base_template(self) -> str:
        """The template that the pages extend. Default our own, which needs nothing of the host."""
        return _read("PAT_TOKENS_BASE_TEMPLATE", "pat_tokens/base.html")

    @property
    def reminder_days(self) -> Sequence[int]:
        """How many days before its end a token's owner is told, each once; 0 is after it. Default 14, 3 and 1."""
        return _read("PAT_TOKENS_REMINDER_DAYS", (14, 3, 1))

    @property
    def reminder_mail(self) -> bool:
        """Whether reminders are mailed; a site with its own notifications listens to `token_expiring`. Default yes."""
        return _read("PAT_TOKENS_REMINDER_MAIL", True)

    @property
    def site_url(self) -> str:
        """Where this site is, for links in mails: `https://example.org`. Without it mails have no links."""
        return _read("PAT_TOKENS_SITE_URL", "")

    @property
    def language(self) -> Callable[..., str | None] | None:
        """A callable, or its dotted path, from user to the language of mails to them; default LANGUAGE_CODE."""
        return _callable(_read("PAT_TOKENS_LANGUAGE", None))

    @property
    def refuse(self) -> Callable[..., Any] | None:
        """A callable, or its dotted path, asked with `(token, request)` at each authentication.

        A truthy answer refuses the token; a text answer is told to the client.
        """
        return _callable(_read("PAT_TOKENS_REFUSE", None))

    @property
    def reauthenticate_after(self) -> float | None:
        """How many seconds a password counts before creating, widening and regenerating ask again; None: never."""
        return _read("PAT_TOKENS_REAUTHENTICATE_AFTER", None)

    @property
    def reauthenticate(self) -> Callable[..., Any] | None:
        """A callable, or its dotted path, from request to whether the person has proven lately who they are.

        True: yes. None: our own page asks for the password. A text: the address where to prove it. Else: no.
        """
        return _callable(_read("PAT_TOKENS_REAUTHENTICATE", None))

    @property
    def client_ip(self) -> Callable[..., str | None] | None:
        """A callable, or its dotted path, from request to client address; default `REMOTE_ADDR`."""
        return _callable(_read("PAT_TOKENS_CLIENT_IP", None))


def _read(name: str, default: _T) -> _T:
    # Django looks for a setting that a site leaves out in three places, and raises and catches on the way; each token
    # check asks for several. What a settings module says, and what is set later, is all in one dictionary.
    wrapped = object.__getattribute__(settings, "_wrapped")  # which `settings` itself would look for in Python
    value: _T = vars(wrapped).get(name, default) if type(wrapped) is Settings else getattr(settings, name, default)
    return value


@cache
def _header_key(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")


def _callable(value: Any) -> Callable[..., Any] | None:
    found: Callable[..., Any] | None = import_string(value) if isinstance(value, str) else value
    return found


def setting_names() -> list[str]:
    """Return the name of every setting that there is."""
    properties = (name for name, value in vars(Conf).items() if isinstance(value, property))
    return [f"PAT_TOKENS_{name.upper()}" for name in properties if name not in _DERIVED]


conf = Conf()
