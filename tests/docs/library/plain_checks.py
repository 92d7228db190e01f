"""Asks the plain views of their page, in a site that has no Django REST framework."""

import pytest
from django.apps import apps
from django.core.management import call_command


def test_the_checks_have_nothing_to_say():
    assert not apps.is_installed("rest_framework")
    call_command("check", fail_level="WARNING")


@pytest.mark.parametrize("path", ["/books/{}/", "/books/{}/page/"])
def test_a_token_reaches_what_its_scope_names(pat_client, alice, emma, other, path):
    client = pat_client(alice, f"books:{emma.pk}:read")
    assert "Emma" in client.get(path.format(emma.pk)).content.decode()
    assert client.get(path.format(other.pk)).json()["missing"] == [
        {"entity_type": "books", "entity_id": str(other.pk), "operation": "read"}
    ]
    assert pat_client(alice).get(path.format(emma.pk)).status_code == 403


def test_a_list_is_limited_to_what_its_scopes_name(pat_client, alice, emma, other):
    limited = pat_client(alice, f"books:{emma.pk}:list").get("/books/").json()["books"]
    assert limited == [{"id": emma.pk, "title": "Emma"}]
    assert len(pat_client(alice, "books:*:list").get("/books/").json()["books"]) == 2


def test_without_a_token_people_log_in(client, alice, emma):
    assert client.get(f"/books/{emma.pk}/").headers["Location"].startswith("/accounts/login/")
    client.force_login(alice)
    assert client.get(f"/books/{emma.pk}/").json() == {"title": "Emma"}
    assert client.get("/pats/").status_code == 200


def test_a_view_that_declares_nothing_refuses(pat_client, alice):
    assert pat_client(alice, "books:*:read").get("/undeclared/").json()["code"] == "scope_not_declared"
