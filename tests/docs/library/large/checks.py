"""Requests with tokens to the large site of the guide on third-party views."""

import pytest
from django.core.management import call_command
from library.models import Book, Branch, Invoice, Loan, Shelf


@pytest.fixture
def rows(alice):
    """The same objects in two branches, of which a token gets the scopes of the first."""
    for number in (1, 2):
        branch = Branch.objects.create(pk=number, slug=f"b{number}")
        branch.members.add(alice)
        for model in (Book, Invoice, Loan, Shelf):
            model.objects.create(pk=number, branch=branch, number=number)


@pytest.fixture
def ask(pat_client, alice, rows):
    """Send a request with a token that has one scope, and return the status."""

    def ask(scope, method, path):
        return getattr(pat_client(alice, *([scope] if scope else [])), method)(f"/api/{path}").status_code

    return ask


def test_declarations_are_valid(db, capsys):
    call_command("check")
    assert "pat_tokens.E" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        ("books:{}:read", "get", "books/{}/", 200),
        ("loans:{}:read", "get", "loans/{}/", 200),
        ("loans:{}:delete", "delete", "loans/{}/", 204),
        ("books:{}:read", "get", "books/{}/reviews/", 200),
        ("books:{}:update", "post", "books/{}/reviews/", 201),
        ("books:{}:read", "get", "books/{}/reviews/7/", 200),
        ("books:{}:update", "put", "books/{}/reviews/7/", 200),
        ("invoices:{}:update", "post", "invoices/{}/pay/", 200),
        ("invoices:{}:read", "get", "invoices/by-number/{}/", 200),
        ("branches:{}:read", "get", "branches/b{}/opening-hours/", 200),
        ("branches:{}:read", "get", "branches/{}/shelves/", 200),
        ("shelves:{0}:read", "get", "branches/{0}/shelves/{0}/", 200),
    ],
)
def test_scope_opens_its_entity(ask, scope, method, path, status):
    assert ask(scope.format(1), method, path.format(1)) == status
    assert ask(scope.format(1), method, path.format(2)) == 403
    assert ask(None, method, path.format(1)) == 403


def test_operations_without_entity(ask):
    assert ask("loans:*:create", "post", "loans/") == 201
    assert ask("loans:1:read", "post", "loans/") == 403
    assert ask(None, "get", "status/") == 200


@pytest.mark.parametrize("path", ["catalog/", "books/"])
def test_lists_are_limited(pat_client, alice, rows, path):
    limited = pat_client(alice, "books:1:list").get(f"/api/{path}").json()
    assert [row["id"] for row in limited] == [1]
    assert len(pat_client(alice, "books:*:list").get(f"/api/{path}").json()) == 2


def test_everything_else_is_refused(pat_client, alice, rows):
    client = pat_client(alice, *(f"{name}:*:{what}" for name in TYPES for what in OPERATIONS))
    for method, path in REFUSED:
        response = getattr(client, method)(f"/api/{path}")
        assert (path, response.status_code, response.json()["code"]) == (path, 403, "scope_not_declared")


TYPES = ("books", "branches", "invoices", "loans", "reviews", "shelves")
OPERATIONS = ("create", "read", "list", "update", "delete")
REFUSED = [
    ("get", "reports/"),
    ("get", "invoices/export/"),
    ("get", "internal/status/"),
    ("delete", "invoices/by-number/1/"),
    ("delete", "branches/1/shelves/1/"),
    ("get", "opening-hours/"),
]
