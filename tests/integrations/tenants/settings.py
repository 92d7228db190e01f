"""A site with a PostgreSQL schema per tenant, configured as in the documentation of django-tenants."""

import os

import dj_database_url

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as TENANT_APPS
from tests.settings import MIDDLEWARE

DATABASES = {
    "default": dj_database_url.parse(os.environ["POSTGRES_URL"], engine="django_tenants.postgresql_backend"),
}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
SHARED_APPS = ["django_tenants", "tests.integrations.tenants", "django.contrib.contenttypes"]
INSTALLED_APPS = [*SHARED_APPS, *(app for app in TENANT_APPS if app not in SHARED_APPS)]
TENANT_MODEL = "tenants.Tenant"
TENANT_DOMAIN_MODEL = "tenants.Domain"
MIDDLEWARE = ["django_tenants.middleware.main.TenantMainMiddleware", *MIDDLEWARE]
ALLOWED_HOSTS = [".example.org"]
