import django
import pytest


@pytest.fixture
def admins(settings):
    """An address to which Django mails reports of errors."""
    address = "admin@example.com"
    settings.ADMINS = [("admin", address)] if django.VERSION < (6, 0) else [address]
