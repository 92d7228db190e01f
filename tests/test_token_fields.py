"""The fields of a token are listed once; every interface offers each of them."""

import pytest
from django.contrib import admin
from django.core.management import load_command_class

from pat_tokens.contrib.rest_framework import serializers
from pat_tokens.management.base import as_dict
from pat_tokens.models import PersonalAccessToken
from pat_tokens.pages.forms import TokenForm
from pat_tokens.services import create_token, update_token
from pat_tokens.validation import EDITABLE_FIELDS


@pytest.mark.django_db
def test_every_interface_has_all_fields(token):
    offered = {
        "API, create": serializers.PersonalAccessTokenCreateSerializer().fields,
        "API, update": serializers.PersonalAccessTokenUpdateSerializer().fields,
        "API, output": serializers.PersonalAccessTokenSerializer(token).data,
        "pages": TokenForm.base_fields,
        "admin": admin.site._registry[PersonalAccessToken].add_fields,
        "commands, output": as_dict(token),
    }
    for command in ("pat_create", "pat_import_authtoken"):
        parser = load_command_class("pat_tokens", command).create_parser("manage.py", command)
        offered[command] = {action.dest for action in parser._actions}
    missing = {place: set(EDITABLE_FIELDS) - set(fields) for place, fields in offered.items()}
    assert not any(missing.values()), missing


def test_misspelled_field_is_a_type_error(token, django_assert_num_queries):
    with django_assert_num_queries(0):
        with pytest.raises(TypeError, match="unexpected keyword arguments: expiry"):
            create_token(token.user, name="new", expiry="1h")
        with pytest.raises(TypeError, match="unexpected keyword arguments: scopes"):
            update_token(token, scopes=[])
