"""Settings, as one typed attribute each. They are only read here; `checks` validates them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables

from pat_tokens.crypto import SecretText

_T = TypeVar("_T")


class Setting(Generic[_T]):
    """The setting `PAT_TOKENS_<NAME>`, as an attribute of Conf. Its value is cached until `setting_changed`."""

    def __init__(self, default: _T) -> None:
        self.default = default

    def __set_name__(self, owner: type[Conf], name: str) -> None:
        self.attribute = name

    def __get__(self, conf: Conf, owner: type[Conf]) -> _T:
        value: _T = getattr(settings, _name_of(self.attribute), self.default)
        vars(conf)[self.attribute] = value
        return value


class Conf:
    """The settings with their defaults, and values derived from them."""

    # Secrets and headers
    prefix = Setting("pat")  # the start of every secret, before the underscore: letters and digits
    header = Setting("Authorization")  # the request header that contains the secret
    keywords: Setting[Sequence[str]] = Setting(("Bearer",))  # accepted before the secret in the header
    realm = Setting("api")  # in `WWW-Authenticate`
    allow_legacy_keys = Setting(False)  # whether keys imported from DRF's authtoken work until they expire

    # Lifetimes
    default_duration = Setting("30d")  # of a token if none is given
    max_duration = Setting("366d")
    allow_no_expiry = Setting(False)  # whether tokens without an expiration date are allowed (duration `never`)
    durations: Setting[Sequence[str]] = Setting(("24h", "7d", "30d", "60d", "90d", "1y"))  # offered by the pages
    max_grace_period = Setting("7d")  # of a rotation
    max_overlap = Setting("30d")  # how long a previous secret works after a rotation, used or not

    # Limits
    max_tokens_per_user = Setting(100)  # including inactive ones
    max_scopes_per_token = Setting(500)
    max_description_length = Setting(1000)  # at most 1000
    max_failed_lookups: Setting[int | None] = Setting(None)  # unknown secrets per address, minute and process

    # Requests
    last_used_interval = Setting(timedelta(minutes=1))  # between two updates of a token's last use
    read_from_replicas = Setting(False)  # whether authentication can use the router's database for reading
    trusted_proxies: Setting[Sequence[str]] = Setting(())  # networks whose `X-Forwarded-For` is trusted
    activity_days = Setting(365)  # for how many days activity is kept

    # Pages and emails
    base_template = Setting("pat_tokens/base.html")  # the template that the pages extend
    site_url = Setting("")  # the base URL of links in emails and responses, such as `https://example.org`
    # Days before the expiration on which the owner is reminded; 0 is once after it.
    reminder_days: Setting[Sequence[int]] = Setting((14, 3, 1))
    reminder_mail = Setting(True)  # whether reminders are emails. If not, a site can connect to `token_expiring`
    # What owners get emails about, besides reminders: some of `pat_tokens.mail.MAIL_KINDS`.
    mail_kinds: Setting[Sequence[str]] = Setting(("sensitive_action", "replaced", "network_not_allowed"))

    # Who can do what
    policy: Setting[str | type[Any]] = Setting("pat_tokens.policy.Policy")  # the class, or its dotted path
    # Classes, or their dotted paths, that can manage tokens by API.
    management_authentication: Setting[Sequence[str | type[Any]]] = Setting(
        ("rest_framework.authentication.SessionAuthentication",)
    )
    management_permissions: Setting[Sequence[str | type[Any]]] = Setting(())  # besides those of the API
    # How many seconds a password confirmation is valid for sensitive actions; None: never ask.
    reauthenticate_after: Setting[float | None] = Setting(None)

    @cached_property
    @sensitive_variables()
    def peppers(self) -> Sequence[str]:
        """The keys of digests, newest first. Default: SECRET_KEY and SECRET_KEY_FALLBACKS."""
        own: Any = getattr(settings, "PAT_TOKENS_PEPPERS", None)
        if own:
            if not are_peppers(own):
                raise ImproperlyConfigured("PAT_TOKENS_PEPPERS must be a list of strings, none of them empty.")
            return tuple(map(SecretText, own))
        # Django also accepts bytes, and raises its own error if there is no key.
        newest: str | bytes = getattr(settings, "SECRET_KEY", "") or settings.SECRET_KEY
        older: Sequence[str | bytes] = getattr(settings, "SECRET_KEY_FALLBACKS", ())
        keys = [newest, *(key for key in older if key)]
        return tuple(SecretText(key if isinstance(key, str) else key.decode("latin-1")) for key in keys)

    @cached_property
    def header_key(self) -> str:
        """The header as a key of `request.META` (PEP 3333)."""
        return "HTTP_" + self.header.upper().replace("-", "_")

    @cached_property
    def keyword(self) -> str:
        """The first keyword, which is used in challenges and in the schema."""
        return self.keywords[0]


def _name_of(attribute: str) -> str:
    return f"PAT_TOKENS_{attribute.upper()}"


def are_peppers(value: object) -> bool:
    """Return whether `value` is a list or tuple of nonempty strings."""
    return isinstance(value, list | tuple) and all(isinstance(pepper, str) and pepper for pepper in value)


def setting_names() -> list[str]:
    attributes = [name for name, value in vars(Conf).items() if isinstance(value, Setting)]
    return [_name_of(attribute) for attribute in (*attributes, "peppers")]


MIDDLEWARE_PATH = "pat_tokens.middleware.PersonalAccessTokenMiddleware"


def site_middleware(*names: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Return the dotted path and the class of each middleware that is one of the classes `names`, or a subclass."""
    for path in settings.MIDDLEWARE:
        middleware = import_string(path)
        bases = getattr(middleware, "__mro__", ())
        if any(f"{base.__module__}.{base.__qualname__}" in names for base in bases):
            yield path, middleware


conf = Conf()


def _forget(**_kwargs: object) -> None:
    # Whichever setting changed, because some of ours depend on Django's. Settings only change in tests.
    vars(conf).clear()


setting_changed.connect(_forget, dispatch_uid="pat_tokens.conf")
