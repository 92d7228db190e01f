"""A site whose database backend puts the schema of the current tenant before each table's name."""

import os

import dj_database_url

from tests.settings import *  # noqa: F403

DATABASES = {"default": dj_database_url.parse(os.environ["POSTGRES_URL"], engine="tests.integrations.quoting.backend")}
MIDDLEWARE = ["tests.integrations.quoting.tenants.TenantMiddleware", *MIDDLEWARE]  # noqa: F405
ALLOWED_HOSTS = [".example.org"]
