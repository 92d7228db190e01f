"""Requests of users with the model from the guide on custom user models."""

import io

import pytest
from accounts.models import Person
from django.core.management import call_command
from django.utils import timezone
from library.models import Book


@pytest.fixture
def ada(db):
    return Person.objects.create(email="ada@example.com")


@pytest.fixture
def emma(ada):
    return Book.objects.create(owner=ada, title="Emma")


def test_system_checks_pass(db):
    call_command("check", fail_level="WARNING")


def test_command_of_the_page(client, ada, emma):
    output = io.StringIO()
    scope = f"books:{emma.pk}:read"
    call_command("pat_create", "ada@example.com", name="reader", scope=[scope], stdout=output)
    carried = {"Authorization": f"Bearer {output.getvalue().strip()}"}
    assert client.get(f"/api/books/{emma.pk}/", headers=carried).json()["title"] == "Emma"


def test_inactive_user_is_refused(pat_client, ada, emma):
    client = pat_client(ada, f"books:{emma.pk}:read")
    assert client.get(f"/api/books/{emma.pk}/").status_code == 200
    Person.objects.update(left_at=timezone.now())
    assert client.get(f"/api/books/{emma.pk}/").status_code == 401


def test_guest_is_refused_with_reason(pat_client, db):
    guest = Person.objects.create(email="guest@example.org")
    answer = pat_client(guest, "books:*:read").get("/api/books/1/")
    assert (answer.status_code, answer.json()["detail"]) == (401, "Guests cannot use tokens here.")


def test_job_deletes_tokens(pat_client, ada, emma):
    from accounts.jobs import leave

    client = pat_client(ada, "books:*:read")
    leave(ada)
    assert client.get(f"/api/books/{emma.pk}/").status_code == 401
