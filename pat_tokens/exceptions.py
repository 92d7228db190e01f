"""Everything that can go wrong with a token: a code and a message each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

    from pat_tokens.scopes import ScopeKey


NON_FIELD = "non_field_errors"  # in `InvalidInput.errors`: what belongs to no field


class TokenError(Exception):
    """Base of every error of this package: a stable `code` for clients, a `reason` for logs, a `message` for people."""

    code = "token_error"
    reason = "error"
    default_message: _StrOrPromise = _("The token could not be used.")

    def __init__(self, message: _StrOrPromise | None = None) -> None:
        self._message = message or self.default_message
        super().__init__()

    @property
    def message(self) -> str:
        """What happened and what to do next, in the language that is active when it is read."""
        return str(self._message)

    def __str__(self) -> str:
        return self.message


class InvalidToken(TokenError):
    """The secret does not open anything; doors answer 401 (RFC 6750 section 3.1, `invalid_token`).

    The message is the same for a malformed and an unknown secret, so that nobody can probe for a token.
    """

    code = "invalid_token"
    reason = "invalid"
    default_message = _("The token is not valid.")


class MalformedToken(InvalidToken):
    """The header is ours but holds no well-formed secret; refused without a query."""

    reason = "malformed"


class UnknownToken(InvalidToken):
    """No token has this secret."""

    reason = "unknown"


class RevokedToken(InvalidToken):
    """The digest matched a token that was revoked."""

    reason = "revoked"
    default_message = _("The token was revoked. Its owner can regenerate it.")


class ExpiredToken(InvalidToken):
    """The digest matched a token that has expired."""

    reason = "expired"
    default_message = _("The token has expired. Its owner can regenerate it.")


class LegacyKeyExpired(ExpiredToken):
    """The digest matched a key that was imported from another scheme, and its time is over."""

    reason = "legacy_ended"
    default_message = _(
        "The time of this old key is over. Its owner can regenerate the token, which gives a new secret."
    )


class InactiveOwner(InvalidToken):
    """The digest matched a token whose owner may no longer log in."""

    reason = "inactive_owner"


class RefusedToken(InvalidToken):
    """The site's own `PAT_TOKENS_REFUSE` callable said no."""

    reason = "refused"
    default_message = _("This site does not accept the token.")


class ThirdPartyToken(Exception):
    """What a request carries may be ours by its shape, is not, and may belong to another scheme: not an answer.

    Doors treat the request as one without a token.
    """


class TemporarilyUnavailable(TokenError):
    """The database could not be asked, so nobody is let in; doors answer 503."""

    code = "temporarily_unavailable"
    reason = "unavailable"
    default_message = _("The site cannot answer this just now. Try again later.")


class NotAllowed(TokenError):
    """A valid token is not allowed to do this; doors answer 403."""

    reason = "not_allowed"


class InsufficientScope(NotAllowed):
    """No scope of the token covers what is asked (RFC 6750 section 3.1, `insufficient_scope`)."""

    code = "insufficient_scope"
    reason = "insufficient_scope"
    default_message = _("The token lacks the scope %(scopes)s.")

    def __init__(self, missing: Sequence[ScopeKey]) -> None:
        super().__init__()
        self.missing = tuple(missing)

    @property
    def message(self) -> str:
        """Names each missing scope."""
        return super().message % {"scopes": ", ".join(map(str, self.missing))}


class ScopeNotDeclared(NotAllowed):
    """The view says nothing about tokens, so every token is refused there."""

    code = "scope_not_declared"
    reason = "scope_not_declared"
    default_message = _(
        "Personal access tokens cannot be used here: this view declares no scope that would allow them."
    )


class OwnerNotAllowed(NotAllowed):
    """The scopes would do, but the token's owner may not do this, which a view tells people by a login page."""

    code = "permission_denied"
    reason = "owner_not_allowed"
    default_message = _("The owner of the token is not allowed to do this.")


class ReauthenticationRequired(TokenError):
    """A person has to prove again who they are before this; doors answer 403, pages by a question.

    `by_password` says that our own page can ask for it; otherwise `url` is where the site does, or None.
    """

    code = "reauthentication_required"
    reason = "reauthentication_required"
    default_message = _("Confirm first that it is you, then try again.")

    def __init__(self, *, by_password: bool = False, url: str | None = None) -> None:
        super().__init__()
        self.by_password = by_password
        self.url = url


class InvalidInput(TokenError):
    """What was asked of a service cannot be done; nothing was written.

    `errors` maps a field name to its messages, or for `scopes` to a list with one mapping for each row.
    """

    code = "invalid"
    default_message = _("The input is not valid.")

    def __init__(self, errors: Mapping[str, Sequence[Any]]) -> None:
        super().__init__()
        self.errors = dict(errors)

    @property
    def message(self) -> str:
        """All errors on one line, for a command or a log."""
        return "; ".join(f"{field}: {_flatten(messages)}" for field, messages in self.errors.items())


def _flatten(messages: Sequence[Any]) -> str:
    texts = []
    for position, message in enumerate(messages, start=1):
        if isinstance(message, Mapping):
            texts += [f"row {position}, {field}: {_flatten(inner)}" for field, inner in message.items()]
        else:
            texts.append(str(message))
    return " ".join(texts)


__all__ = [
    "ExpiredToken",
    "InactiveOwner",
    "InsufficientScope",
    "InvalidInput",
    "InvalidToken",
    "MalformedToken",
    "NotAllowed",
    "OwnerNotAllowed",
    "RefusedToken",
    "RevokedToken",
    "ScopeNotDeclared",
    "TokenError",
    "UnknownToken",
]
