"""The core's errors as answers of DRF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import APIException, PermissionDenied, ValidationError
from rest_framework.settings import api_settings

from pat_tokens.conf import conf
from pat_tokens.exceptions import NON_FIELD, InvalidInput, ReauthenticationRequired, TokenError
from pat_tokens.http import error_body, error_headers, error_status


class TokenAPIException(APIException):
    """A refused token, as 401 or 403 with its challenge, or 503, and a JSON body.

    Not a subclass of DRF's AuthenticationFailed: for that one DRF takes the challenge of the view's first
    authentication class, and makes a 403 of the 401 where that class has none, as SessionAuthentication.
    """

    def __init__(self, error: TokenError) -> None:
        self.error = error
        self.status_code = error_status(error)
        headers = error_headers(error, keyword=conf.keyword, realm=conf.realm)
        # DRF writes these two attributes of an exception into headers, and leaves out what is not there.
        self.auth_header = headers.get("WWW-Authenticate")
        self.wait = int(headers.get("Retry-After", 0))
        super().__init__(error_body(error), error.code)

    def __str__(self) -> str:
        return self.error.message

    # A site's own exception handler asks these, and expects of an error of one code and one text what DRF gives.

    def get_codes(self) -> Any:
        """Return the error's code."""
        return self.error.code

    def get_full_details(self) -> Any:
        """Return the error's message and code."""
        return {"message": self.error.message, "code": self.error.code}


class ReauthenticationAPIException(PermissionDenied):
    """A person has to prove again who they are: 403 with a code of its own and, where there is one, the page for it."""

    def __init__(self, error: ReauthenticationRequired, *, url: str | None) -> None:
        super().__init__({**error_body(error), **({"url": url} if url else {})}, error.code)


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
