"""Requests to a site that is built from the README."""

from django.core.management import call_command
from library.models import Book


def test_system_checks_pass(db):
    call_command("check", fail_level="WARNING")


def test_only_scope_is_allowed(pat_client, django_user_model):
    alice = django_user_model.objects.create_user("alice")
    book = Book.objects.create(owner=alice, title="Emma")
    other = Book.objects.create(owner=alice, title="Persuasion")

    client = pat_client(alice, f"books:{book.pk}:read")
    assert client.get(f"/api/books/{book.pk}/").json() == {"id": book.pk, "title": "Emma"}
    assert client.delete(f"/api/books/{book.pk}/").status_code == 403
    assert client.get(f"/api/books/{other.pk}/").status_code == 403
    assert client.get("/api/pats/").status_code == 403
    assert client.get("/api/pats/current/").status_code == 200


def test_pages_redirect_to_login(client):
    assert client.get("/pats/").headers["Location"] == "/login/?next=/pats/"
