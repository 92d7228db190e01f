"""What a site's own exception handler gets."""

import pytest
from rest_framework.exceptions import ErrorDetail, PermissionDenied
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from pat_tokens.contrib.rest_framework.exceptions import TokenAPIException, as_validation_error, complete
from pat_tokens.exceptions import (
    ExpiredToken,
    InsufficientScope,
    InvalidInput,
    ScopeNotDeclared,
    TemporarilyUnavailable,
    TooManyFailures,
)
from pat_tokens.scopes import ScopeKey

MISSING = ScopeKey("channels", "42", "publish")
ERRORS = [ExpiredToken(), ScopeNotDeclared(), InsufficientScope([MISSING])]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_error_is_a_drf_exception(error):
    found = TokenAPIException(error)
    assert str(found) == error.message
    assert found.get_codes() == error.code
    assert found.get_full_details() == {"message": error.message, "code": error.code}
    assert found.detail == ErrorDetail(error.message, error.code)
    assert (found.default_detail, found.default_code) == (error.message, error.code)
    answer = complete(exception_handler(found, {}), found)
    assert answer.status_code == found.status_code
    assert answer.data["detail"] == error.message
    assert answer.data["code"] == error.code
    assert answer["WWW-Authenticate"] == found.auth_header


BODY = {
    "detail": "The token lacks the scope channels:42:publish.",
    "code": "insufficient_scope",
    "missing": [{"entity_type": "channels", "entity_id": "42", "operation": "publish"}],
}
DETAIL = BODY["detail"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"detail": DETAIL}, BODY),
        ({"message": DETAIL, "code": 403}, {**BODY, "code": 403, "message": DETAIL}),
        ({"errors": [{"detail": DETAIL}]}, {"errors": [BODY]}),
        ({"error": {"info": {"detail": DETAIL}}}, {"error": {"info": BODY}}),
        ([{"detail": "another"}, {"detail": DETAIL}], [{"detail": "another"}, BODY]),
        ({"errors": [DETAIL], "status": 403}, {**BODY, "errors": [DETAIL], "status": 403}),
        ({"error": {"messages": ["no", DETAIL]}}, {"error": {**BODY, "messages": ["no", DETAIL]}}),
        ({"message": f"Error: {DETAIL}"}, {**BODY, "message": f"Error: {DETAIL}"}),
        ({"errors": ["another"]}, {"errors": ["another"]}),
        ({"error": "forbidden"}, {"error": "forbidden"}),
        ([DETAIL], [DETAIL]),
        (None, None),
    ],
)
def test_missing_scopes_are_added_next_to_detail(data, expected):
    response = complete(Response(data, status=403), TokenAPIException(ERRORS[2]))
    assert response.data == expected
    assert 'error="insufficient_scope"' in response["WWW-Authenticate"]


def test_headers_are_added_if_handler_omits_them():
    for error, name, value in [
        (TemporarilyUnavailable(), "Retry-After", "5"),
        (TooManyFailures(), "Retry-After", "60"),
        (ExpiredToken(), "WWW-Authenticate", None),
        (ScopeNotDeclared(), "WWW-Authenticate", None),
    ]:
        found = TokenAPIException(error)
        answer = complete(Response({"error": "no"}, status=found.status_code), found)
        assert answer[name] == (value or found.auth_header)
        own = Response({"error": "no"}, status=found.status_code, headers={name: "own"})
        assert complete(own, found)[name] == "own"
        assert name not in complete(Response({"error": "no"}, status=200), found)


def test_other_errors_are_unchanged():
    response = complete(Response({"detail": "no"}, status=403), PermissionDenied("no"))
    assert response.data == {"detail": "no"}
    assert "WWW-Authenticate" not in complete(Response({"detail": DETAIL}, status=200), TokenAPIException(ERRORS[2]))


def test_input_errors_are_field_errors():
    rows = [{}, {"operation": ["no"]}]
    found = as_validation_error(InvalidInput({"name": ["bad"], "scopes": rows, "non_field_errors": ["full"]}))
    assert found.status_code == 400
    assert found.detail == {"name": ["bad"], "scopes": rows, "non_field_errors": ["full"]}


def test_non_field_errors_use_site_key(monkeypatch):
    monkeypatch.setattr(api_settings, "NON_FIELD_ERRORS_KEY", "errors")
    assert as_validation_error(InvalidInput({"non_field_errors": ["full"]})).detail == {"errors": ["full"]}
