"""All errors about tokens, each with a code and a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, InternalError, OperationalError
from django.utils.translation import gettext_lazy as _

from pat_tokens.conf import conf

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

    from pat_tokens.scopes import ScopeKey


# Exceptions of a database that is down, or that ended a transaction to resolve a deadlock.
OUTAGES = (OperationalError, InterfaceError)
WRITE_OUTAGES = (*OUTAGES, InternalError)  # or that is read-only
NON_FIELD = "non_field_errors"  # key in `InvalidInput.errors` for errors that belong to no field


class TokenError(Exception):
    """The base class of errors: a stable `code` for clients, a `reason` for logs, and a `message` for users."""

    code = "token_error"
    reason = "error"
    default_message: _StrOrPromise = _("The token could not be used.")
    values: Mapping[str, object] = {}  # for the placeholders of the message

    def __init__(self, message: _StrOrPromise | None = None) -> None:
        self._message = message or self.default_message
        super().__init__()

    @property
    def message(self) -> str:
        """What happened and what to do next, in the language that is active when it is read."""
        text = str(self._message)
        return text % self.values if self.values else text

    def __str__(self) -> str:
        return self.message


class InvalidToken(TokenError):
    """The secret doesn't belong to a usable token: 401 (RFC 6750 section 3.1, `invalid_token`).

    The message is the same for malformed and unknown secrets, so that it reveals nothing about existing tokens.
    """

    code = "invalid_token"
    reason = "invalid"
    default_message = _("The token is not valid.")


class MalformedToken(InvalidToken):
    """A secret with our prefix is malformed; rejected without a query."""

    reason = "malformed"


class MalformedHeader(MalformedToken):
    """The header contains a secret in an unsupported form, or can't be read at all."""

    code = "malformed"
    default_message = _("The header is malformed. Send the token as %(example)s (one space, no quotes or brackets).")

    @property
    def message(self) -> str:
        return super().message % {"example": f"{conf.header}: {conf.keyword} {conf.prefix}_..."}


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
    """The digest matched an imported key that has expired."""

    reason = "legacy_ended"
    default_message = _("This old key has expired. Its owner can regenerate the token to get a new secret.")


class ReplacedToken(InvalidToken):
    """The digest matched a secret that a newer one replaced."""

    reason = "replaced"
    default_message = _("This secret was replaced. Use the current secret of the token.")


class InactiveOwner(InvalidToken):
    """The digest matched a token whose owner can't log in."""

    reason = "inactive_owner"


class RefusedToken(InvalidToken):
    """The policy's `refuse_token` refused the token."""

    reason = "refused"
    default_message = _("This site does not accept the token.")


class ThirdPartyToken(Exception):
    """The request has a credential in our format that no token has, so it can belong to another scheme.

    Integrations treat the request as one without a token.
    """


class TemporarilyUnavailable(TokenError):
    """The database doesn't respond, so no token can be checked: 503."""

    code = "temporarily_unavailable"
    reason = "unavailable"
    default_message = _("The service is temporarily unavailable. Try again later.")


class TooManyFailures(TokenError):
    """Too many unknown secrets came from this address: 429 for up to a minute."""

    code = "too_many_failures"
    reason = "too_many_failures"
    default_message = _("Too many unknown tokens were sent from your address. Try again in a minute.")


class NotAllowed(TokenError):
    """A valid token isn't allowed to do this: 403."""

    reason = "not_allowed"


class InsufficientScope(NotAllowed):
    """No scope of the token covers the request (RFC 6750 section 3.1, `insufficient_scope`)."""

    code = "insufficient_scope"
    reason = "insufficient_scope"
    default_message = _("The token lacks the scope %(scopes)s.")

    fix_url: str | None = None  # where the owner can add what is missing

    def __init__(self, missing: Sequence[ScopeKey], *, is_fixable: bool = True) -> None:
        super().__init__()
        self.missing = tuple(missing)
        self.is_fixable = is_fixable  # False if the URL names no entity that the owner can see
        self.values = {"scopes": ", ".join(map(str, self.missing))}


class NoScopeForOptions(NotAllowed):
    """No scope of the token allows any method here. OPTIONS doesn't reveal which scope would."""

    code = InsufficientScope.code
    reason = InsufficientScope.reason
    default_message = _("The token has no scope for any method of this URL.")


class ScopeNotDeclared(NotAllowed):
    """The view declares no requirement, so it refuses every token."""

    code = "scope_not_declared"
    reason = "scope_not_declared"
    default_message = _("Personal access tokens can't be used here: this view doesn't declare a required scope.")


class NetworkNotAllowed(NotAllowed):
    """The token can't be used from the address of this request, whatever its scopes."""

    code = "network_not_allowed"
    reason = "network_not_allowed"
    default_message = _("The token is limited to networks, and the address of this request is unknown.")

    def __init__(self, address: str | None = None) -> None:
        super().__init__(None if address is None else _("The token can't be used from %(address)s."))
        self.address = address
        self.values = {"address": address}


class KeyNotAllowed(ScopeNotDeclared):
    """A write would change the primary key of an entity, or create one with a key that is in use."""

    reason = "key_not_allowed"
    default_message = _("A personal access token can't change an entity's primary key or choose one that is in use.")


class MethodNotAllowed(ScopeNotDeclared, PermissionDenied):
    """A view or middleware would run a different method than the one that was allowed."""

    reason = "method_not_allowed"
    default_message = _("A personal access token can be used only for the method of its request.")


class InheritanceNotAllowed(ScopeNotDeclared, PermissionDenied):
    """A view inherits its requirement, and loads something that the requirement isn't about."""

    default_message = _(
        "This view inherits a requirement for one type of entity, but loads another. It has to declare its own "
        "pat_requirements."
    )


class KeywordNotAllowed(ScopeNotDeclared, PermissionDenied):
    """A keyword of the URL would get the value of an entity other than the one that the decision is for."""

    reason = "keyword_not_allowed"
    default_message = _(
        "The URL keyword %(keyword)s was changed after the scopes of the token were checked. Middleware that changes "
        "it has to come before PersonalAccessTokenMiddleware."
    )

    def __init__(self, keyword: str) -> None:
        super().__init__()
        self.values = {"keyword": keyword}


class OwnerNotAllowed(NotAllowed):
    """The token's scopes cover the request, but its owner isn't allowed to do it."""

    code = "permission_denied"
    reason = "owner_not_allowed"
    default_message = _("The owner of the token is not allowed to do this.")


class ReauthenticationRequired(TokenError):
    """The user has to confirm their identity first: 403 from the API, a password prompt on pages.

    `by_password`: our own page can ask for the password. Otherwise `url` is the site's page for it, or None.
    """

    code = "reauthentication_required"
    reason = "reauthentication_required"
    default_message = _("Confirm your identity, then try again.")

    def __init__(self, *, by_password: bool = False, url: str | None = None) -> None:
        super().__init__()
        self.by_password = by_password
        self.url = url


class Conflict(TokenError):
    """The state of the token doesn't allow this; nothing was written. 409 from the API."""


class RotationInProgress(Conflict):
    """The token has two working secrets, and can't have a third."""

    code = "rotation_in_progress"
    reason = "rotation_in_progress"
    default_message = _(
        "The previous secret of this token still works. Finish the rotation to stop it now, or cancel the rotation "
        "if the new secret was never used. Then rotate again."
    )


class RotationInUse(Conflict):
    """A rotation can't be canceled once the new secret was used."""

    code = "rotation_in_use"
    reason = "rotation_in_use"
    default_message = _(
        "The new secret is already in use, so the rotation can't be canceled. You can finish it, or regenerate the "
        "token to replace both secrets."
    )


class NoRotation(Conflict):
    """The token has no previous secret that works."""

    code = "no_rotation"
    reason = "no_rotation"
    default_message = _("This token has no previous secret that still works. Rotate the token first.")


class NotActive(Conflict):
    """Only active tokens can be rotated."""

    code = "not_active"
    reason = "not_active"
    default_message = _("Only active tokens can be rotated. Regenerate this one to get a new secret.")


class InvalidInput(TokenError):
    """The arguments of a service are invalid; nothing was written.

    `errors` maps a field name to its messages or, for `scopes`, to a list with one mapping per row.
    """

    code = "invalid"
    default_message = _("The input is not valid.")

    def __init__(self, errors: Mapping[str, Sequence[Any]]) -> None:
        super().__init__()
        self.errors = dict(errors)

    @property
    def message(self) -> str:
        """All errors on one line, for commands and logs."""
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
    "Conflict",
    "ExpiredToken",
    "InactiveOwner",
    "InsufficientScope",
    "InvalidInput",
    "InvalidToken",
    "MalformedHeader",
    "MalformedToken",
    "NetworkNotAllowed",
    "NoRotation",
    "NotActive",
    "NotAllowed",
    "OwnerNotAllowed",
    "RefusedToken",
    "ReplacedToken",
    "RevokedToken",
    "RotationInProgress",
    "RotationInUse",
    "ScopeNotDeclared",
    "TokenError",
    "TooManyFailures",
    "UnknownToken",
]
