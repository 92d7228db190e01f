"""All candidates in one process, each as its own documentation configures it; DATABASE_URL chooses the database."""

import os
from datetime import timedelta

import dj_database_url

SECRET_KEY = "only for benchmarks: nothing here is worth protecting"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ALLOWED_HOSTS = ["testserver", "127.0.0.1"]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "rest_framework",
    "rest_framework.authtoken",
    "knox",
    "pat_tokens",
    "benchmarks.site",
]

# None, because the cost of middleware would make all candidates look alike.
MIDDLEWARE: list[str] = []

ROOT_URLCONF = "benchmarks.site.views"
# Connections stay open, as on fast sites.
DATABASES = {"default": dj_database_url.config(default="sqlite://:memory:", conn_max_age=None)}
if "PREPARED" in os.environ:  # docs/how-to/prepared-statements.md
    DATABASES["default"]["OPTIONS"] = {"server_side_binding": True, "prepare_threshold": 5}

REST_FRAMEWORK = {"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"]}

SIMPLE_JWT = {"ACCESS_TOKEN_LIFETIME": timedelta(hours=6)}  # longer than a run

LOGGING = {"version": 1, "loggers": {"pat_tokens": {"level": "ERROR"}, "django": {"level": "ERROR"}}}
