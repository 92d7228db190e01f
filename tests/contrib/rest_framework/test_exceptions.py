"""What a site's own exception handler gets."""

import pytest
from rest_framework.exceptions import ErrorDetail
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from pat_tokens.contrib.rest_framework.exceptions import TokenAPIException, as_validation_error
from pat_tokens.exceptions import ExpiredToken, InsufficientScope, InvalidInput, ScopeNotDeclared
from pat_tokens.scopes import ScopeKey

MISSING = ScopeKey("channels", "42", "publish")
ERRORS = [ExpiredToken(), ScopeNotDeclared(), InsufficientScope([MISSING])]


def leaves(detail):
    if isinstance(detail, dict):
        return [leaf for value in detail.values() for leaf in leaves(value)]
    if isinstance(detail, list):
        return [leaf for value in detail for leaf in leaves(value)]
    return [detail]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_it_is_an_exception_of_drf_like_any_other(error):
    found = TokenAPIException(error)
    assert str(found) == error.message
    assert found.get_codes() == error.code
    assert found.get_full_details() == {"message": error.message, "code": error.code}
    assert all(isinstance(leaf, ErrorDetail) and leaf.code == error.code for leaf in leaves(found.detail))
    answer = exception_handler(found, {})
    assert answer.status_code == found.status_code
    assert answer.data == found.detail
    assert answer["WWW-Authenticate"] == found.auth_header


def test_what_is_missing_is_in_the_body():
    assert TokenAPIException(ERRORS[2]).detail == {
        "detail": "The token lacks the scope channels:42:publish.",
        "code": "insufficient_scope",
        "missing": [{"entity_type": "channels", "entity_id": "42", "operation": "publish"}],
    }


def test_input_errors_are_field_errors():
    rows = [{}, {"operation": ["no"]}]
    found = as_validation_error(InvalidInput({"name": ["bad"], "scopes": rows, "non_field_errors": ["full"]}))
    assert found.status_code == 400
    assert found.detail == {"name": ["bad"], "scopes": rows, "non_field_errors": ["full"]}


def test_errors_of_no_field_have_the_name_that_the_site_gives_them(monkeypatch):
    monkeypatch.setattr(api_settings, "NON_FIELD_ERRORS_KEY", "errors")
    assert as_validation_error(InvalidInput({"non_field_errors": ["full"]})).detail == {"errors": ["full"]}
