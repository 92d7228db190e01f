"""Read secrets from headers, and convert errors to challenges (RFC 6750)."""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.utils import translation
from django.utils.http import http_date

from pat_tokens.crypto import (
    BODY_LENGTH,
    CHECKSUM_LENGTH,
    SecretBytes,
    SecretText,
    holds_secret,
    is_legacy_key,
    part_pattern,
)
from pat_tokens.durations import as_aware
from pat_tokens.exceptions import (
    Conflict,
    InsufficientScope,
    InvalidToken,
    MalformedHeader,
    MalformedToken,
    NetworkNotAllowed,
    TemporarilyUnavailable,
    TokenError,
    TooManyFailures,
)

if TYPE_CHECKING:
    from django.http import HttpRequest

SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")  # RFC 9110 section 9.2.1
LEGACY_KEYWORD = "token"  # the scheme of DRF's TokenAuthentication, in lower case
RETRY_AFTER = 5  # seconds
FAILURES_WINDOW = 60  # seconds
MAX_HEADER_LENGTH = 16_384  # characters, enough for a JWT
TYPING_ERROR = 6  # characters by which a mistyped secret can be longer or shorter; the length of the checksum

_SEPARATORS = re.compile(r"[\s,;]")


def read_header(request: HttpRequest, key: str) -> str | bytes | None:
    """Return the header `key` of `request.META`, and hide it from error reports."""
    if type(request.META.get(key)) is str:
        request.META[key] = SecretText(request.META[key])  # no variable of this frame holds all headers
    if type(request.META.get(key)) is SecretText:
        # Django copies the headers on first use, which can be before they were hidden.
        vars(request).pop("headers", None)
    header: str | bytes | None = request.META.get(key)
    return header


def hide_header(environ: dict[str, Any], key: str) -> None:
    """Hide the header `key` from error reports; in all other respects it stays the same string."""
    if type(environ.get(key)) is str:
        environ[key] = SecretText(environ[key])


def hide_secrets(values: dict[str, Any], prefix: str) -> None:
    """Hide values of headers or cookies that contain a secret, or a part of one, from error reports.

    They stay the same strings.
    """
    pattern = part_pattern(prefix, legacy=False)
    for name, value in values.items():
        if type(value) is str and re.search(pattern, value):
            values[name] = SecretText(value)


def hide_scope_headers(scope: MutableMapping[str, Any], *names: str) -> None:
    """Keep the headers called `names` of an ASGI connection out of error reports; their values stay the same bytes.

    The list is changed in place: servers and middleware that hold the same one no longer show them either.
    """
    hidden = {name.lower().encode("latin-1") for name in names}
    headers = scope.get("headers") or ()
    wrapped = [(name, SecretBytes(value) if name.lower() in hidden else value) for name, value in headers]
    if isinstance(headers, list):
        headers[:] = wrapped
    else:
        scope["headers"] = wrapped


def read_bearer(value: str | bytes | None, *, keywords: Sequence[str], prefix: str) -> str | None:
    """Return the secret in an `Authorization` header, or None if the header has none of ours.

    None: no header, another scheme, or one of our keywords without our prefix. Raises MalformedHeader if the header
    contains one of our secrets in any other form, or can't be read by any scheme, and MalformedToken if a secret in the
    right form is invalid.
    """
    if value is None:
        return None
    if not isinstance(value, str | bytes):
        raise MalformedHeader
    text = SecretText((value.decode("latin-1") if isinstance(value, bytes) else value).strip(" \t"))
    scheme, _space, rest = map(SecretText, text.partition(" "))
    is_our_scheme = scheme.lower() in map(str.lower, keywords)
    if is_our_scheme and _is_one_secret(rest, prefix):
        if not _is_readable(rest):
            raise MalformedToken
        return rest
    if not _is_readable(rest if is_our_scheme else SecretText(scheme.partition("\t")[0])):
        raise MalformedHeader
    # Not passed on to the next class, which could accept the session of the request.
    if _holds_secret(text, tuple(keywords), prefix):
        raise MalformedHeader
    return None


def _is_readable(text: str) -> bool:
    return 0 < len(text) <= MAX_HEADER_LENGTH and text.isascii() and text.isprintable()


def _is_one_secret(text: str, prefix: str) -> bool:
    if not text.startswith(prefix + "_"):
        return False
    return text[len(prefix) + 1 :].isalnum() or not (_SEPARATORS.search(text) or holds_secret(text, prefix))


def _holds_secret(text: str, keywords: tuple[str, ...], prefix: str) -> bool:
    if prefix + "_" not in text:
        return False
    start = SecretText(text[:MAX_HEADER_LENGTH])
    return _misplaced(keywords, prefix).search(start) is not None or holds_secret(text, prefix)


@lru_cache(maxsize=8)
def _misplaced(keywords: tuple[str, ...], prefix: str) -> re.Pattern[str]:
    """Return a pattern that finds secrets in an unsupported form, even mistyped ones.

    It matches our prefix at the start or after one of our keywords, whatever is between them; or, anywhere, a complete
    credential with our prefix and about our length. Neither occurs in a JWT or in Base64.
    """
    ours = "|".join(map(re.escape, keywords))
    length = BODY_LENGTH + CHECKSUM_LENGTH
    body = f"[A-Za-z0-9]{{{length - TYPING_ERROR},{length + TYPING_ERROR}}}"
    return re.compile(
        rf"(?:\A[^A-Za-z0-9_]*|(?<![A-Za-z0-9_])(?i:{ours})[^A-Za-z0-9_]+){prefix}_"
        rf"|(?<![A-Za-z0-9_.~+/-]){prefix}_{body}(?![A-Za-z0-9_~+/-])"
    )


def read_legacy_key(value: str | bytes, *, keywords: Sequence[str]) -> tuple[str, str] | None:
    """Return the scheme, in lower case, and the authtoken key after it, or None.

    The scheme is one of `keywords` or `Token`. Whitespace is handled like in DRF's TokenAuthentication.
    """
    text = SecretText(value.decode("latin-1") if isinstance(value, bytes) else value)
    if len(text) > MAX_HEADER_LENGTH:
        return None
    words = tuple(map(SecretText, text.split()))
    if len(words) != 2 or not is_legacy_key(words[1]):
        return None
    scheme = words[0].lower()
    return (scheme, words[1]) if scheme in (LEGACY_KEYWORD, *map(str.lower, keywords)) else None


def challenge(error: TokenError | None, *, keyword: str, realm: str) -> str:
    """Return the `WWW-Authenticate` value for `error`, or without an error if it is None (RFC 6750 section 3)."""
    parts = [f'realm="{_quotable(realm)}"']
    if error is not None:
        # RFC 6750 section 3.1 has no error code for a malformed header.
        code = InvalidToken.code if isinstance(error, InvalidToken) else error.code
        parts.append(f'error="{_quotable(code)}"')
        with translation.override(None):  # headers are ASCII, so the message isn't translated
            parts.append(f'error_description="{_quotable(error.message)}"')
    if isinstance(error, InsufficientScope):
        parts.append(f'scope="{_quotable(" ".join(map(str, error.missing)))}"')
    return f"{keyword} {', '.join(parts)}"


def _quotable(text: str) -> str:
    # RFC 6750 section 3 allows %x20-21 / %x23-5B / %x5D-7E inside these quoted strings.
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)


def error_status(error: TokenError) -> HTTPStatus:
    """Return the status of the response to a request that `error` refuses."""
    if isinstance(error, TemporarilyUnavailable):
        return HTTPStatus.SERVICE_UNAVAILABLE
    if isinstance(error, TooManyFailures):
        return HTTPStatus.TOO_MANY_REQUESTS
    if isinstance(error, Conflict):
        return HTTPStatus.CONFLICT
    return HTTPStatus.UNAUTHORIZED if isinstance(error, InvalidToken) else HTTPStatus.FORBIDDEN


def error_headers(error: TokenError, *, keyword: str, realm: str) -> dict[str, str]:
    """Return the response headers for a request that `error` refuses: a challenge, or Retry-After."""
    if isinstance(error, TemporarilyUnavailable):
        return {"Retry-After": str(RETRY_AFTER)}
    if isinstance(error, TooManyFailures):
        return {"Retry-After": str(FAILURES_WINDOW)}
    if isinstance(error, Conflict | NetworkNotAllowed):  # other credentials would not help
        return {}
    return {"WWW-Authenticate": challenge(error, keyword=keyword, realm=realm)}


def error_body(error: TokenError) -> dict[str, Any]:
    """Return the JSON body of the response to a request that `error` refuses."""
    body: dict[str, Any] = {"detail": error.message, "code": error.code}
    if isinstance(error, InsufficientScope):
        body["missing"] = [scope._asdict() for scope in error.missing]
        if error.fix_url:
            body["fix_url"] = error.fix_url
    return body


def format_http_date(when: datetime) -> str:
    """Return `when` as the value of a header (RFC 9110 section 5.6.7)."""
    return http_date(as_aware(when).timestamp())


def client_agent(request: HttpRequest, *, prefix: str) -> str:
    """Return the user agent without characters that databases can't store."""
    agent = str(request.META.get("HTTP_USER_AGENT", "")).replace("\0", "").encode(errors="ignore").decode()
    return "" if re.search(part_pattern(prefix, legacy=True), agent) else agent
