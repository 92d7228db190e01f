"""Convert errors of the core to DRF exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from rest_framework.exceptions import APIException, PermissionDenied, ValidationError
from rest_framework.settings import api_settings

from pat_tokens.conf import conf
from pat_tokens.exceptions import NON_FIELD, InvalidInput, ReauthenticationRequired, TokenError
from pat_tokens.http import error_body, error_headers, error_status

_ResponseT = TypeVar("_ResponseT")


class TokenAPIException(APIException):
    """A refused token: 401 or 403 with a challenge, or 503.

    `detail` is a string with a code, as exception handlers expect. `body` has everything that the client should get,
    and `complete()` adds what the handler left out. Not a subclass of AuthenticationFailed, for which DRF uses the
    challenge of the view's first authentication class, or turns the 401 into a 403 if that class has none.
    """

    def __init__(self, error: TokenError) -> None:
        self.error = error
        self.status_code = error_status(error)
        self.headers = error_headers(error, keyword=conf.keyword, realm=conf.realm)
        # DRF writes these two attributes of an exception into headers, if they are set.
        self.auth_header = self.headers.get("WWW-Authenticate")
        self.wait = int(self.headers.get("Retry-After", 0))
        self.body = error_body(error)
        # Exception handlers read these too.
        self.default_detail, self.default_code = error.message, error.code
        super().__init__()


class ReauthenticationAPIException(PermissionDenied):
    """The user has to confirm their identity: a 403 with its own code and the URL of a page for it, if there is one."""

    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, error: ReauthenticationRequired, *, url: str | None) -> None:
        self.body = {**error_body(error), **({"url": url} if url else {})}
        super().__init__(error.message, error.code)


def complete(response: _ResponseT, error: Exception) -> _ResponseT:
    """Return the response of an exception handler, with the fields of `error` that it left out.

    DRF's own handler writes only `detail`, and sites have their own formats: the other fields are added next to
    `detail`.
    """
    if isinstance(error, TokenAPIException | ReauthenticationAPIException):
        answer: Any = response
        neighbors = _find_neighbors(error.body["detail"], getattr(answer, "data", None))
        for name, value in error.body.items() if neighbors is not None else ():
            neighbors.setdefault(name, value)
        if answer.status_code == error.status_code:
            for name, value in error.headers.items():
                answer.headers.setdefault(name, value)
    return response


def _find_neighbors(detail: str, data: Any) -> Any:
    if isinstance(data, dict):
        if any(_says(value, detail) for value in data.values()):
            return data
        data = list(data.values())
    if isinstance(data, list):
        return next(filter(None, (_find_neighbors(detail, value) for value in data)), None)
    return None


def _says(value: Any, detail: str) -> bool:
    # Exception handlers return the text alone, in a list, or as a part of a longer text.
    texts = value if isinstance(value, list) else [value]
    return any(isinstance(text, str) and detail in text for text in texts)


def as_validation_error(error: InvalidInput) -> ValidationError:
    """Return `error` as DRF field errors, with the site's own key for errors that belong to no field."""
    return ValidationError(_with_site_key(error.errors))


def _with_site_key(errors: Any) -> Any:
    if isinstance(errors, Mapping):
        keys = {NON_FIELD: api_settings.NON_FIELD_ERRORS_KEY}
        return {keys.get(field, field): _with_site_key(messages) for field, messages in errors.items()}
    if isinstance(errors, list):
        return [_with_site_key(message) for message in errors]
    return errors
