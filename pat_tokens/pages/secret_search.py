"""Secrets that somebody pastes into a search field: they are looked up, and never part of a URL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.views.decorators.debug import sensitive_variables

from pat_tokens.conf import conf
from pat_tokens.crypto import LEGACY_KEY_LENGTH, SecretText, digests, is_legacy_key, is_well_formed

if TYPE_CHECKING:
    from django.http import QueryDict

    from pat_tokens.models import PersonalAccessToken
    from pat_tokens.querysets import TokenQuerySet

# With fewer characters of a secret behind its prefix, more than 160 random bits stay unknown.
MIN_LENGTH = 16


def secret_pattern() -> str:
    """Return the regular expression, for Python and JavaScript, of what must not be in a URL.

    Parts of a secret count, too. Texts with the prefix alone, such as a name, do not.
    """
    pattern = f"{re.escape(conf.prefix)}_[0-9A-Za-z]{{{MIN_LENGTH},}}"
    if conf.allow_legacy_keys:
        pattern += rf"|\b[0-9a-f]{{{LEGACY_KEY_LENGTH}}}\b"
    return pattern


@sensitive_variables()
def holds_secret(text: str) -> bool:
    """Return whether `text` has a secret, or a part of one, in it."""
    return re.search(secret_pattern(), text) is not None


@sensitive_variables()
def query_holds_secret(query: QueryDict) -> bool:
    """Return whether any parameter of a URL has a secret in it."""
    return any(holds_secret(value) for _name, values in query.lists() for value in values)


@sensitive_variables()
def is_complete(text: str) -> bool:
    """Return whether a whole secret is in `text`, without typing errors."""
    return bool(_secrets_in(text))


@sensitive_variables()
def find_token(text: str, tokens: TokenQuerySet) -> PersonalAccessToken | None:
    """Return the one of `tokens` whose secret is in `text`, in whatever way it was copied."""
    secrets = _secrets_in(text)
    return tokens.with_digest(digests(secrets[0], conf.peppers)).first() if secrets else None


@sensitive_variables()
def _secrets_in(text: str) -> list[str]:
    found = [SecretText(word) for word in re.findall(secret_pattern(), text)]
    return [secret for secret in found if is_legacy_key(secret) or is_well_formed(secret, conf.prefix)]
