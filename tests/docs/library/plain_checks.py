"""Requests to the views of the guide on plain Django views, on a site without DRF."""

import pytest
from django.apps import apps
from django.core.management import call_command


def test_system_checks_pass(db):
    assert not apps.is_installed("rest_framework")
    call_command("check", fail_level="WARNING")


@pytest.mark.parametrize("path", ["/books/{}/", "/books/{}/page/"])
def test_token_reads_entity_of_scope(pat_client, alice, emma, other, path):
    client = pat_client(alice, f"books:{emma.pk}:read")
    assert "Emma" in client.get(path.format(emma.pk)).content.decode()
    assert client.get(path.format(other.pk)).json()["missing"] == [
        {"entity_type": "books", "entity_id": str(other.pk), "operation": "read"}
    ]
    assert pat_client(alice).get(path.format(emma.pk)).status_code == 403


def test_list_is_limited_to_scopes(pat_client, alice, emma, other):
    limited = pat_client(alice, f"books:{emma.pk}:list").get("/books/").json()["books"]
    assert limited == [{"id": emma.pk, "title": "Emma"}]
    assert len(pat_client(alice, "books:*:list").get("/books/").json()["books"]) == 2


def test_anonymous_users_are_redirected_to_login(client, alice, emma):
    assert client.get(f"/books/{emma.pk}/").headers["Location"].startswith("/accounts/login/")
    client.force_login(alice)
    assert client.get(f"/books/{emma.pk}/").json() == {"title": "Emma"}
    assert client.get("/pats/").status_code == 200


def test_undeclared_view_refuses_tokens(pat_client, alice):
    assert pat_client(alice, "books:*:read").get("/undeclared/").json()["code"] == "scope_not_declared"
