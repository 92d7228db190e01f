"""What holds for each way to separate tenants in one database."""

from django.db import connection
from rest_framework.test import APIClient

TENANTS = ("acme", "globex")


def ask(tenant, token, path, method="get"):
    """Send a token to the host of a tenant."""
    client = APIClient(headers={"authorization": f"Bearer {token.secret}", "host": f"{tenant}.example.org"})
    return getattr(client, method)(path)


def check_that_tokens_work_for_their_tenant_alone(tokens):
    """Ask each tenant with each token, over one connection that is kept."""
    kept = connection.connection
    for _ in range(3):
        for name, other in (TENANTS, TENANTS[::-1]):
            for path in ("/api/channels/1/", "/api/by-slug/mine/", "/api/channels/"):
                response = ask(name, tokens[name], path)
                assert response.status_code == 200
                assert name in response.content.decode()
                assert ask(other, tokens[name], path).status_code == 401
            assert ask(name, tokens[name], "/api/channels/1/", "options").status_code == 200
            assert ask(other, tokens[name], "/api/channels/1/", "options").status_code == 401
    assert connection.connection is kept
