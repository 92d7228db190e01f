"""Test helpers for sites that use DRF."""

from __future__ import annotations

from rest_framework.test import APIClient

from pat_tokens.testing import client_with


def api_client_with(secret: str) -> APIClient:
    """Return DRF's test client, which sends `secret` with each request."""
    return client_with(secret, APIClient)


__all__ = ["api_client_with"]
