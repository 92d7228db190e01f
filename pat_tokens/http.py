"""Header value to secret, and error to challenge header: the one place that reads and writes RFC 6750."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from http import HTTPStatus
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from django.utils import translation

from pat_tokens.crypto import SecretText, is_legacy_key
from pat_tokens.exceptions import InsufficientScope, InvalidToken, MalformedToken, TemporarilyUnavailable, TokenError

if TYPE_CHECKING:
    from django.http import HttpRequest

LEGACY_KEYWORD = "token"  # of DRF's TokenAuthentication; schemes are compared in lower case
RETRY_AFTER = 5  # seconds
MAX_HEADER_LENGTH = 16_384  # characters; a JWT of another Bearer scheme fits, junk of megabytes does not


def read_bearer(value: str | bytes | None, *, keyword: str, prefix: str) -> str | None:
    """Return the secret in an `Authorization` header, or None where the header is not for us.

    Total over any text or bytes. Not for us: no header, another scheme, our scheme without our prefix.
    Raises MalformedToken where the header is for us, or for nobody, and cannot be a secret.
    """
    if value is None:
        return None
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    text = text.strip(" \t")
    mark = prefix + "_"
    scheme, _, rest = text.partition(" ")
    if scheme.lower() != keyword.lower():
        # Not passed on, since a session beside it would let it in: what no scheme begins, and a secret gone astray.
        if not _is_scheme(scheme.partition("\t")[0]) or _holds_secret(text, keyword, mark):
            raise MalformedToken
        return None
    if not rest or len(rest) > MAX_HEADER_LENGTH or not _is_visible_ascii(rest):
        raise MalformedToken
    if rest.startswith(mark):
        return SecretText(rest)
    if _holds_secret(text, keyword, mark):
        raise MalformedToken
    return None


def _is_scheme(word: str) -> bool:
    return 0 < len(word) <= MAX_HEADER_LENGTH and _is_visible_ascii(word)


def _holds_secret(text: str, keyword: str, mark: str) -> bool:
    # Without its keyword, behind other space, or in the second of two headers, which servers join with a comma
    # (RFC 9110 section 5.3).
    if mark not in text:
        return False
    words = text.replace(",", " ").split()
    after_keyword = (word for before, word in pairwise(words) if before.lower() == keyword.lower())
    return words[0].startswith(mark) or any(word.startswith(mark) for word in after_keyword)


def read_legacy_key(value: str | bytes, *, keyword: str) -> tuple[str, str] | None:
    """Return the scheme, in lower case, and what has the shape of an authtoken key behind it, or None.

    The scheme is `keyword` or `Token`. Space between is read as DRF's own TokenAuthentication reads it.
    """
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if len(text) > MAX_HEADER_LENGTH:
        return None
    match text.split():
        case [scheme, key] if scheme.lower() in (LEGACY_KEYWORD, keyword.lower()) and is_legacy_key(key):
            return scheme.lower(), SecretText(key)
    return None


def _is_visible_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable()


def challenge(error: TokenError | None, *, keyword: str, realm: str) -> str:
    """Return the `WWW-Authenticate` value for `error`, or the bare challenge for None (RFC 6750 section 3)."""
    parts = [f'realm="{_quotable(realm)}"']
    if error is not None:
        parts.append(f'error="{_quotable(error.code)}"')
        with translation.override(None):  # a header holds ASCII alone; a translation would not survive it
            parts.append(f'error_description="{_quotable(error.message)}"')
    if isinstance(error, InsufficientScope):
        parts.append(f'scope="{_quotable(" ".join(map(str, error.missing)))}"')
    return f"{keyword} {', '.join(parts)}"


def _quotable(text: str) -> str:
    # RFC 6750 section 3 allows %x20-21 / %x23-5B / %x5D-7E inside these quoted strings.
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)


def error_status(error: TokenError) -> HTTPStatus:
    """Return the status of the answer to a request that `error` refuses."""
    if isinstance(error, TemporarilyUnavailable):
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.UNAUTHORIZED if isinstance(error, InvalidToken) else HTTPStatus.FORBIDDEN


def error_headers(error: TokenError, *, keyword: str, realm: str) -> dict[str, str]:
    """Return the headers of the answer to a request that `error` refuses: a challenge, or when to come again."""
    if isinstance(error, TemporarilyUnavailable):
        return {"Retry-After": str(RETRY_AFTER)}
    return {"WWW-Authenticate": challenge(error, keyword=keyword, realm=realm)}


def error_body(error: TokenError) -> dict[str, Any]:
    """Return the JSON body of the answer to a request that `error` refuses."""
    body: dict[str, Any] = {"detail": error.message, "code": error.code}
    if isinstance(error, InsufficientScope):
        body["missing"] = [scope._asdict() for scope in error.missing]
    return body


def client_ip(request: HttpRequest, ask: Callable[[HttpRequest], str | None] | None = None) -> str | None:
    """Return the client's address as `ask` or the server gives it; None where that is no IP address.

    Without a zone, which no database can store, and as IPv4 where IPv6 maps one (RFC 4291 section 2.5.5.2).
    """
    value = ask(request) if ask else request.META.get("REMOTE_ADDR")
    try:
        address = ipaddress.ip_address(value or "")
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or ipaddress.IPv6Address(int(address))
    return str(address)


def client_agent(request: HttpRequest) -> str:
    """Return what the client calls itself, without what a database could not hold."""
    return str(request.META.get("HTTP_USER_AGENT", "")).replace("\0", "")
