"""Secrets that users paste into a search field: they are looked up, and never part of a URL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.views.decorators.debug import sensitive_variables

from pat_tokens.conf import conf
from pat_tokens.crypto import SecretText, digests, is_legacy_key, is_well_formed, part_pattern

if TYPE_CHECKING:
    from django.http import QueryDict

    from pat_tokens.models import PersonalAccessToken
    from pat_tokens.querysets import TokenQuerySet


def secret_pattern() -> str:
    """Return a regular expression, for Python and JavaScript, for strings that must not be in a URL.

    It includes parts of secrets. Strings with only the prefix, such as a name, don't match.
    """
    return part_pattern(conf.prefix, legacy=conf.allow_legacy_keys)


@sensitive_variables()
def holds_secret(text: str) -> bool:
    """Return whether `text` contains a secret, or a part of one."""
    return re.search(secret_pattern(), text) is not None


@sensitive_variables()
def query_holds_secret(query: QueryDict) -> bool:
    """Return whether a parameter of a URL contains a secret."""
    return any(holds_secret(value) for _name, values in query.lists() for value in values)


@sensitive_variables()
def is_complete(text: str) -> bool:
    """Return whether `text` contains a complete secret without typos."""
    return bool(_secrets_in(text))


@sensitive_variables()
def find_token(text: str, tokens: TokenQuerySet) -> PersonalAccessToken | None:
    """Return the one of `tokens` whose secret is in `text`, however it was copied."""
    secrets = _secrets_in(text)
    return tokens.with_any_digest(digests(secrets[0], conf.peppers)).first() if secrets else None


@sensitive_variables()
def _secrets_in(text: str) -> list[str]:
    found = [SecretText(word) for word in re.findall(secret_pattern(), text)]
    return [secret for secret in found if is_legacy_key(secret) or is_well_formed(secret, conf.prefix)]
