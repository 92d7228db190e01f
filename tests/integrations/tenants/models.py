"""The tenants, in the public schema."""

from django_tenants.models import DomainMixin, TenantMixin


class Tenant(TenantMixin):
    """Tables are made by the tests: apps without migrations need `--run-syncdb`."""

    auto_create_schema = False


class Domain(DomainMixin):
    """A host name of a tenant."""
