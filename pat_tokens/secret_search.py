"""Secrets that users search for: they are looked up, and never part of a URL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.utils.translation import pgettext
from django.views.decorators.debug import sensitive_variables

from pat_tokens.conf import conf
from pat_tokens.crypto import SecretText, digests, is_among, is_legacy_key, is_well_formed, part_pattern
from pat_tokens.labels import STATUS_LABELS
from pat_tokens.models import Reason

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
    """Return whether a parameter of a URL, or its name, contains a secret."""
    return any(map(holds_secret, _texts(query)))


@sensitive_variables()
def look_up(text: str, tokens: TokenQuerySet, *, are_own: bool = True) -> tuple[PersonalAccessToken | None, str]:
    """Return which of `tokens` has the secret that is in `text`, or None, and a message for the user.

    `are_own` says whether these are the user's own tokens.
    """
    token = find_token(text, tokens)
    if token is not None:
        notice = pgettext("pat_tokens", "This is the secret of “%(name)s”. Status: %(status)s.")
        is_replaced = token.is_active and token.is_previous and token.previous_secret is None
        status = Reason.REPLACED.label if is_replaced else STATUS_LABELS[token.status]
        return token, notice % {"name": token.name, "status": status}
    if _secrets_in(text):
        unknown = pgettext("pat_tokens", "None of your tokens has this secret.")
        return None, unknown if are_own else pgettext("pat_tokens", "No token has this secret.")
    return None, pgettext("pat_tokens", "This is not a complete secret. Copy all of it and search again.")


@sensitive_variables()
def look_up_query(
    query: QueryDict, tokens: TokenQuerySet, *, are_own: bool = True
) -> tuple[PersonalAccessToken | None, str]:
    """Like `look_up`, for a secret that is already part of a URL."""
    token, notice = look_up(" ".join(_texts(query)), tokens, are_own=are_own)
    warning = pgettext(
        "pat_tokens",
        "It was part of the URL, which browsers and servers store. Regenerate the token if others can read that.",
    )
    return token, f"{notice} {warning}"


@sensitive_variables()
def find_token(text: str, tokens: TokenQuerySet) -> PersonalAccessToken | None:
    """Return which of `tokens` has the secret that is in `text`, however it was copied, or None."""
    secrets = _secrets_in(text)
    if not secrets:
        return None
    candidates = digests(secrets[0], conf.peppers)
    token = tokens.with_any_digest(candidates).first()
    if token is not None:
        token.is_previous = not is_among(token.digest, candidates)
    return token


def _texts(query: QueryDict) -> Iterator[SecretText]:
    return (SecretText(text) for name, values in query.lists() for text in (name, *values))


@sensitive_variables()
def _secrets_in(text: str) -> list[str]:
    found = [SecretText(word) for word in re.findall(secret_pattern(), text)]
    return [secret for secret in found if is_legacy_key(secret) or is_well_formed(secret, conf.prefix)]
