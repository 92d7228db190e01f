"""For the tests of a site: DRF's client with a token."""

from __future__ import annotations

from rest_framework.test import APIClient

from pat_tokens.testing import client_with


def api_client_with(secret: str) -> APIClient:
    """Return DRF's test client, whose requests all carry `secret`."""
    return client_with(secret, APIClient)


__all__ = ["api_client_with"]
