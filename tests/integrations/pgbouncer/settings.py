"""A site behind PgBouncer in transaction mode, with connections that are kept."""

import os

import dj_database_url

from tests.settings import *  # noqa: F403

# The tests start PgBouncer after the database was created.
DATABASES = {"default": dj_database_url.parse(os.environ["POSTGRES_URL"], conn_max_age=60)}
DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True
